"""What an agent must not forget when it is killed: accepted workloads with their state, and log offsets.

Keys to JSON values. `put` and `delete` return once the change is durable; writers at the same time share one fsync. The
file is append-only, each line checked by a CRC: a torn last line (the power failed in a write) is dropped on opening,
since nobody was told that it was durable. When most of the file is history it is written anew beside and renamed, so
it stays bounded by the live data.

Rather than SQLite: the agent's data is small and wholly in memory anyway, and a virtual machine's agent stays light.
"""

from __future__ import annotations

import asyncio
import os
import zlib
from pathlib import Path
from typing import Protocol

import msgspec

from ropewalk.base.log import logger

log = logger(__name__)

COMPACT_FLOOR = 1 << 20
"""Bytes below which history is left alone."""
COMPACT_RATIO = 4
"""File size over live size from which it is written anew."""

_DECODER: msgspec.json.Decoder[tuple[str, msgspec.Raw]] = msgspec.json.Decoder(tuple[str, msgspec.Raw])


class Journal(Protocol):
    def items(self, prefix: str) -> dict[str, bytes]:
        """Every live key under `prefix` and its value; the keys whole, the longest unchanged first."""
        ...

    def get(self, key: str) -> bytes | None: ...

    async def put(self, key: str, value: bytes) -> None:
        """`value` is one JSON document without newlines."""
        ...

    async def delete(self, key: str) -> None: ...

    async def close(self) -> None: ...


class MemoryJournal:
    """For simulated machines and tests: survives the agent, not the process."""

    def __init__(self) -> None:
        self.live: dict[str, bytes] = {}

    def items(self, prefix: str) -> dict[str, bytes]:
        return {key: value for key, value in self.live.items() if key.startswith(prefix)}

    def get(self, key: str) -> bytes | None:
        return self.live.get(key)

    async def put(self, key: str, value: bytes) -> None:
        self.live.pop(key, None)
        self.live[key] = value

    async def delete(self, key: str) -> None:
        self.live.pop(key, None)

    async def close(self) -> None:
        return


class FileJournal:
    """One file, mode 0600 (it holds environment variables). One process at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._live, good = _load(path)
        self._live_bytes = sum(len(_line(k, v)) for k, v in self._live.items())
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.ftruncate(self._file, good)
        self._size = good
        self._pending: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._broken = False

    def items(self, prefix: str) -> dict[str, bytes]:
        return {key: value for key, value in self._live.items() if key.startswith(prefix)}

    def get(self, key: str) -> bytes | None:
        return self._live.get(key)

    async def put(self, key: str, value: bytes) -> None:
        before = self._live.pop(key, None)
        self._live_bytes += len(_line(key, value)) - (len(_line(key, before)) if before is not None else 0)
        self._live[key] = value
        await self._append(_line(key, value))

    async def delete(self, key: str) -> None:
        before = self._live.pop(key, None)
        if before is not None:
            self._live_bytes -= len(_line(key, before))
            await self._append(_line(key, b"null"))

    async def close(self) -> None:
        if self._writer is not None:
            await self._writer
        os.close(self._file)

    async def _append(self, line: bytes) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._pending.append((line, future))
        if self._writer is None or self._writer.done():
            self._writer = loop.create_task(self._write())
        await future

    async def _write(self) -> None:
        """Everything that came while the last fsync ran is the next group."""
        while self._pending:
            group, self._pending = self._pending, []
            try:
                # After a failed write the file's end is not known: it is written anew as a whole.
                if self._broken or self._size > max(COMPACT_FLOOR, COMPACT_RATIO * self._live_bytes):
                    # The live data already holds the group's changes.
                    whole = b"".join(_line(k, v) for k, v in self._live.items())
                    await asyncio.to_thread(self._replace, whole)
                else:
                    await asyncio.to_thread(self._extend, b"".join(line for line, _ in group))
            except OSError as error:
                self._broken = True
                log.error("the journal cannot be written", path=self._path, error=error)
                for _, future in group + self._pending:
                    if not future.done():
                        future.set_exception(error)
                self._pending.clear()
                return
            self._broken = False
            for _, future in group:
                if not future.done():
                    future.set_result(None)

    def _extend(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        os.fdatasync(self._file)
        self._size += len(data)

    def _replace(self, data: bytes) -> None:
        fresh = self._path.with_suffix(".new")
        file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        os.fsync(file)
        os.replace(fresh, self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        os.close(self._file)
        self._file = file
        self._size = len(data)


def _line(key: str, value: bytes) -> bytes:
    payload = b"[" + msgspec.json.encode(key) + b"," + value + b"]"
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def _load(path: Path) -> tuple[dict[str, bytes], int]:
    """The live pairs, and how many bytes of the file are whole."""
    live: dict[str, bytes] = {}
    good = 0
    data = path.read_bytes() if path.exists() else b""
    for line in data.splitlines(keepends=True):
        payload = line[9:-1]
        if not line.endswith(b"\n") or line[:9] != b"%08x " % zlib.crc32(payload):
            log.warning("the journal's tail was torn and is dropped", path=path, bytes=len(data) - good)
            break
        key, value = _DECODER.decode(payload)
        live.pop(key, None)
        if bytes(value) != b"null":
            live[key] = bytes(value)
        good += len(line)
    return live, good
