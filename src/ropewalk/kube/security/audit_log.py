"""The audit log's file: lines of JSON, written behind the requests' backs, a new file when one is full.

A request never waits for the disk: lines gather in a bounded buffer and are written together by a thread. What does not
fit is dropped and counted. What is in the buffer when the process dies is lost.
https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/#log-backend
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from ropewalk.base.clock import Clock
from ropewalk.base.log import logger
from ropewalk.kube.machinery import times

log = logger(__name__)

BUFFER_BYTES = 16 << 20
FILE_BYTES = 100 << 20
KEPT_FILES = 5
GATHERED_SECONDS = 0.2


class AuditLog:
    """A `Runnable`."""

    name = "audit log"

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        buffer_bytes: int = BUFFER_BYTES,
        file_bytes: int = FILE_BYTES,
        kept_files: int = KEPT_FILES,
    ) -> None:
        """`kept_files` are full ones, beside that which is written; the oldest goes first."""
        self._path = path
        self._clock = clock
        self._buffer_bytes = buffer_bytes
        self._file_bytes = file_bytes
        self._kept_files = kept_files
        self._lines: list[bytes] = []
        self._held = 0
        self._told = 0
        self._filled = asyncio.Event()
        self.dropped = 0
        """Lines that found no room, since the start."""

    def put(self, line: bytes) -> None:
        """Take one event, without its newline. Never waits."""
        if self._held + len(line) > self._buffer_bytes:
            self.dropped += 1
            return
        self._lines.append(line)
        self._held += len(line) + 1
        if len(self._lines) == 1:
            self._filled.set()

    async def run(self) -> None:
        try:
            while True:
                await self._filled.wait()
                await self._clock.sleep(GATHERED_SECONDS)
                await asyncio.to_thread(self._written, self._taken())
        finally:
            self.flush()

    def flush(self) -> None:
        """Write what there is, here and now: for the end."""
        self._written(self._taken())

    def _taken(self) -> bytes:
        self._filled.clear()
        lines, self._lines, self._held = self._lines, [], 0
        if self.dropped > self._told:
            log.warning("audit events dropped: the disk is too slow for them", events=self.dropped - self._told)
            self._told = self.dropped
        return b"".join(line + b"\n" for line in lines)

    def _written(self, text: bytes) -> None:
        """On a thread of its own."""
        if not text:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._turn_over(len(text))
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
        except OSError as error:
            log.error("audit log cannot be written", path=self._path, error=error)

    def _turn_over(self, coming: int) -> None:
        """Put the file aside where it would grow too large, and remove the oldest of those put aside."""
        if not self._path.exists() or self._path.stat().st_size + coming <= self._file_bytes:
            return
        stamp = times.rfc3339_micro(self._clock.wall()).replace(":", "-").rstrip("Z")
        self._path.rename(self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}"))
        full = sorted(self._path.parent.glob(f"{self._path.stem}-*{self._path.suffix}"))
        for old in full[: -self._kept_files] if self._kept_files else full:
            old.unlink()
