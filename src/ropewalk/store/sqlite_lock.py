"""Who owns a database, and how far it had come: the two small files beside it.

`<db>.lock` is held by flock for as long as the owning process lives and names its pid. `<db>.mark` holds a revision
that the database has certainly reached; a database found behind its mark, or under another's, was restored from a
backup, and must begin a new epoch so that nobody takes its old truth for news.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

import msgspec

from ropewalk.base.log import logger
from ropewalk.store.protocol import StoreClosed

log = logger(__name__)


class Mark(msgspec.Struct, frozen=True):
    """How far a database had come at least."""

    store_id: str
    epoch: int
    revision: int


class FileLock:
    """Held until `release` or the process's end."""

    def __init__(self, path: Path) -> None:
        """Raises `StoreClosed` naming the owner."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._descriptor)
            raise StoreClosed(f"{path} is held by process {owner}, which owns this store") from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._descriptor)


def read_mark(path: Path) -> Mark | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Mark)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        log.warning("the store's mark is unreadable, a restored backup cannot be told", path=path, error=error)
        return None


def write_mark(path: Path, mark: Mark, *, durable: bool = True) -> None:
    """Replace the mark atomically; `durable` says whether before a power cut too. Raises OSError."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, msgspec.json.encode(mark))
        if durable:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.replace(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(fresh)
        raise
