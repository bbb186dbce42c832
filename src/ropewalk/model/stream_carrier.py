"""One end of a stream over a bare connection: frames out against credit, frames in with back-pressure.

Used alike by the control plane's end (`agents/streams.py`) and the agent's (`node/streams.py`), which may not import
each other. One task reads, always, so that credit and the news that the peer is gone arrive while nobody asks for
frames; credit bounds what it holds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from types import TracebackType

from ropewalk.base.http.messages import Duplex
from ropewalk.model.streams import (
    DATA,
    Frame,
    FrameKind,
    FrameReader,
    StreamBroken,
    Windows,
    encode,
    end_of,
    pieces,
)

MAX_HELD = 4096
"""Frames not yet asked for. Data is bounded by credit; nobody sends so many resizes."""


class StreamGone(Exception):
    """The other end is gone, or spoke wrongly: nothing more can be sent."""


class StreamEnd:
    """An async context manager: leaving it closes the connection."""

    def __init__(self, duplex: Duplex) -> None:
        self._duplex = duplex
        self._reader = FrameReader()
        self._windows = Windows()
        self._frames: deque[Frame] = deque()
        self._unreturned = 0
        self._news = asyncio.Event()
        self._credit = asyncio.Event()
        self._sending = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()
        self.closed = asyncio.Event()

    async def __aenter__(self) -> StreamEnd:
        self._task = asyncio.get_running_loop().create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        self._lost()
        self._duplex.close()
        self.closed.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def receive(self, hold: FrameKind | None = None) -> Frame | None:
        """The next frame; None once the other end is gone. Asking for it says that the one before has been dealt with:
        its bytes are given back as credit, except for data of the kind to `hold`: there `give_back` says when.
        """
        unreturned, self._unreturned = self._unreturned, 0
        await self.give_back(unreturned)
        while not self._frames:
            if self.gone:
                return None
            self._news.clear()
            await self._news.wait()
        frame = self._frames.popleft()
        if frame.kind in DATA and frame.kind is not hold:
            self._unreturned = len(frame.payload)
        return frame

    async def lost(self) -> None:
        """Return once the other end is gone."""
        await self._gone.wait()

    @property
    def gone(self) -> bool:
        return self._gone.is_set()

    async def send(self, frame: Frame) -> None:
        """A frame that is not data. Raises `StreamGone`."""
        await self._write(encode(frame))

    async def write(self, kind: FrameKind, data: bytes) -> None:
        """Data of any length, as credit allows. Raises `StreamGone`."""
        async with self._sending:
            for piece in pieces(kind, data):
                await self._credited(piece)

    async def end(self, kind: FrameKind) -> None:
        """After all data of the kind that was written before. Raises `StreamGone`."""
        async with self._sending:
            await self._write(encode(end_of(kind)))

    async def _credited(self, piece: Frame) -> None:
        data = piece.payload
        while data:
            while self._windows.may_send == 0:
                if self.gone:
                    raise StreamGone("the other end is gone")
                self._credit.clear()
                await self._credit.wait()
            part, data = data[: self._windows.may_send], data[self._windows.may_send :]
            self._windows.sent(len(part))
            await self._write(encode(Frame(piece.kind, part)))

    async def _write(self, data: bytes) -> None:
        if self.gone:
            raise StreamGone("the other end is gone")
        try:
            await self._duplex.write(data)
        except ConnectionError as lost:  # what came before may still be read: only the reader says that all is over
            raise StreamGone(str(lost)) from lost

    async def give_back(self, count: int) -> None:
        """So many bytes of held data have been dealt with."""
        grant = self._windows.taken(count) if count else None
        if grant is not None and not self.gone:
            with contextlib.suppress(ConnectionError):
                await self._duplex.write(encode(grant))

    async def _read(self) -> None:
        try:
            while data := await self._duplex.read():
                for frame in self._reader.feed(data):
                    self._take(frame)
        except (StreamBroken, ConnectionError):
            self._duplex.close()
        finally:
            self._lost()

    def _take(self, frame: Frame) -> None:
        if frame.kind is FrameKind.WINDOW:
            self._windows.granted(frame)
            self._credit.set()
            return
        if frame.kind in DATA:
            self._windows.received(len(frame.payload))
        if len(self._frames) >= MAX_HELD:
            raise StreamBroken("more frames than anybody needs")
        self._frames.append(frame)
        self._news.set()

    def _lost(self) -> None:
        self._gone.set()
        self._news.set()
        self._credit.set()
