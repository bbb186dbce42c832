"""A container of the fake runtime: what it is, what it has written, what was typed into it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ropewalk.model.streams import LogQuery
from ropewalk.model.workload import Container, Workload
from ropewalk.node.fake_behaviour import Behaviour
from ropewalk.node.runtime import ContainerState, ImageInfo, LogPiece
from ropewalk.node.shapes import rfc3339_nano

KEPT_BYTES = 256 * 1024
"""Of one run's output: a fake container's memory is the control plane's."""


class Line(NamedTuple):
    written_at: float
    error: bool
    text: bytes
    """With its line feed, unless the run ended without one."""


class Output:
    """What one run of a container has written, the oldest lines dropped beyond a bound."""

    def __init__(self) -> None:
        self.lines: deque[Line] = deque()
        self.first = 0
        """How many lines were dropped before `lines[0]`."""
        self.ended = False
        self.changed = asyncio.Event()
        self.listeners: list[Callable[[bytes, bool], None]] = []
        """Told of every write as it happens."""
        self._bytes = 0
        self._unfinished = {False: b"", True: b""}

    def write(self, now: float, data: bytes, *, error: bool = False) -> None:
        for listener in self.listeners:
            listener(data, error)
        *whole, rest = (self._unfinished[error] + data).split(b"\n")
        self._unfinished[error] = rest
        for text in whole:
            self._keep(Line(now, error, text + b"\n"))
        if len(rest) >= KEPT_BYTES // 4:
            self._flush(now, error)

    def end(self, now: float) -> None:
        for error in (False, True):
            self._flush(now, error)
        self.ended = True
        self.changed.set()

    def _flush(self, now: float, error: bool) -> None:
        rest, self._unfinished[error] = self._unfinished[error], b""
        if rest:
            self._keep(Line(now, error, rest))

    def _keep(self, line: Line) -> None:
        self.lines.append(line)
        self._bytes += len(line.text)
        while self._bytes > KEPT_BYTES and len(self.lines) > 1:
            self._bytes -= len(self.lines.popleft().text)
            self.first += 1
        self.changed.set()

    def since(self, number: int) -> Iterator[Line]:
        """Lines from the number-th on, as far as they are kept."""
        for at in range(max(0, number - self.first), len(self.lines)):
            yield self.lines[at]


class Reading:
    """One reader's way through an output: which lines, cut where."""

    def __init__(self, output: Output, query: LogQuery) -> None:
        self.output = output
        self.next = 0
        self._query = query
        self._left = query.limit_bytes or None
        if query.tail_lines >= 0:
            wanted = [n for n, line in enumerate(output.lines, output.first) if self._selected(line)]
            tail = wanted[len(wanted) - query.tail_lines :] if query.tail_lines < len(wanted) else wanted
            self.next = tail[0] if tail and query.tail_lines else output.first + len(output.lines)

    @property
    def full(self) -> bool:
        return self._left == 0

    def take(self) -> list[LogPiece]:
        """What is new."""
        found: list[LogPiece] = []
        lines = list(self.output.since(self.next))
        self.next = self.output.first + len(self.output.lines)
        for line in lines:
            if not self._selected(line) or self.full:
                continue
            text = line.text
            if self._query.timestamps:
                text = rfc3339_nano(line.written_at).encode() + b" " + text
            if self._left is not None:
                text = text[: self._left]
                self._left -= len(text)
            found.append(LogPiece(text, line.error))
        return found

    def _selected(self, line: Line) -> bool:
        wanted = self._query.stderr if line.error else self._query.stdout
        return wanted and line.written_at >= self._query.since


class Input:
    """What was typed into a container by those attached to it."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._ended = False
        self._changed = asyncio.Event()

    def feed(self, data: bytes) -> None:
        """Beyond a bound it is lost: nobody reads it."""
        if not self._ended and len(self._held) < KEPT_BYTES:
            self._held += data
            self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()

    async def read(self) -> bytes:
        """b"" at its end."""
        while not self._held and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        data = bytes(self._held)
        self._held.clear()
        return data


@dataclass(slots=True)
class FakeContainer:
    state: ContainerState
    behaviour: Behaviour
    spec: Container
    workload: Workload
    log: Path | None
    image: ImageInfo
    output: Output
    input: Input = field(default_factory=Input)
    exited: asyncio.Event = field(default_factory=asyncio.Event)
    timer: asyncio.Task[None] | None = None
    """What lets it end by itself."""

    @property
    def hostname(self) -> str:
        return self.workload.hostname or self.workload.name.rpartition("/")[2]
