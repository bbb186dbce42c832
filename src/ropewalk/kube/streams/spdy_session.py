"""A SPDY session over a bare connection: streams that can be read and written, with back-pressure.

One task reads the connection and sorts what comes. A stream that nobody reads fast enough stops that reading, and with
it the whole session: its peer may know no windows, and TCP's is the only one that holds for everybody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from ropewalk.base.http.messages import Duplex
from ropewalk.kube.streams.clients import ClientGone
from ropewalk.kube.streams.spdy import (
    INITIAL_WINDOW,
    Event,
    Finished,
    GoneAway,
    Granted,
    Opened,
    Received,
    Reset,
    SpdyServer,
)
from ropewalk.kube.streams.spdy_frames import ResetStatus

PIECE = 32 * 1024
HELD_BYTES = 256 * 1024

Refuse = Callable[[dict[str, str]], str]
"""Why a stream with these headers is not wanted; "" where it is."""


class SpdyStream:
    def __init__(self, session: SpdySession, identity: int, headers: dict[str, str]) -> None:
        self.identity = identity
        self.headers = headers
        self._session = session
        self._held = bytearray()
        self._news = asyncio.Event()
        self._over = False
        self._ignored = False
        self._owed = 0
        self.was_reset = False

    async def read(self) -> bytes:
        """b"" at the end of what the peer sends, and once the session is over."""
        while not self._held:
            if self._over:
                return b""
            self._news.clear()
            await self._news.wait()
        data = bytes(self._held)
        self._held.clear()
        self._owed += len(data)
        if self._owed >= INITIAL_WINDOW // 2:
            owed, self._owed = self._owed, 0
            await self._session.taken(self.identity, owed)
        self._session.drained()
        return data

    def ignore(self) -> None:
        """Whatever the peer sends on it is thrown away."""
        self._ignored = True
        self._held.clear()
        self._session.drained()

    async def write(self, data: bytes) -> None:
        """Raises `ClientGone` once the stream or the session is over."""
        await self._session.send(self.identity, data)

    async def finish(self) -> None:
        """Nothing more will be written."""
        await self._session.finish(self.identity)

    async def reset(self) -> None:
        await self._session.reset(self.identity)

    # --- told by the session

    @property
    def full(self) -> bool:
        return len(self._held) > HELD_BYTES and not self._over

    def feed(self, data: bytes) -> None:
        if not self._ignored:
            self._held += data
            self._news.set()

    def end(self) -> None:
        self._over = True
        self._news.set()


class SpdySession:
    def __init__(self, duplex: Duplex, refuse: Refuse) -> None:
        self._duplex = duplex
        self._refuse = refuse
        self._protocol = SpdyServer()
        self._streams: dict[int, SpdyStream] = {}
        self._opened: asyncio.Queue[SpdyStream | None] = asyncio.Queue()
        self._granted = asyncio.Event()
        self._drained = asyncio.Event()
        self._flushing = asyncio.Lock()
        self.over = False

    async def run(self) -> None:
        """Read until the peer is gone or goes away."""
        try:
            while not self.over and (incoming := await self._duplex.read()):
                for event in self._protocol.receive(incoming):
                    self._take(event)
                await self._flush()
                while any(stream.full for stream in self._streams.values()):
                    self._drained.clear()
                    await self._drained.wait()
        except (ConnectionError, ClientGone):
            return
        finally:
            self._lost()

    def _take(self, event: Event) -> None:
        if isinstance(event, Opened):
            why = self._refuse(event.headers)
            if why:
                self._protocol.reset(event.stream, ResetStatus.REFUSED_STREAM)
                return
            stream = self._streams[event.stream] = SpdyStream(self, event.stream, event.headers)
            self._protocol.reply(event.stream)
            self._opened.put_nowait(stream)
        elif isinstance(event, GoneAway):
            self._lost()
        elif isinstance(event, Granted):
            self._granted.set()
        elif (known := self._streams.get(event.stream)) is None:
            return
        elif isinstance(event, Received):
            known.feed(event.data)
        elif isinstance(event, Reset):
            known.was_reset = True
            known.end()
            del self._streams[event.stream]
            self._granted.set()
        else:
            assert isinstance(event, Finished)
            known.end()

    async def opened(self) -> SpdyStream | None:
        """The next stream that the peer opened and that was not refused; None once the session is over."""
        stream = await self._opened.get()
        if stream is None:
            self._opened.put_nowait(None)
        return stream

    async def close(self) -> None:
        """Say goodbye."""
        self._protocol.go_away()
        with contextlib.suppress(ClientGone):
            await self._flush()
        self._lost()

    def forget(self, stream: SpdyStream) -> None:
        """Nobody will read it any more."""
        stream.ignore()
        self._streams.pop(stream.identity, None)

    # --- for its streams

    async def send(self, identity: int, data: bytes) -> None:
        while data:
            if not self._protocol.alive(identity) or self.over:
                raise ClientGone("the stream is gone")
            size = min(self._protocol.sendable(identity), PIECE)
            if size == 0:
                self._granted.clear()
                await self._granted.wait()
                continue
            piece, data = data[:size], data[size:]
            self._protocol.send(identity, piece)
            await self._flush()

    async def finish(self, identity: int) -> None:
        self._protocol.send(identity, b"", fin=True)
        await self._flush()

    async def reset(self, identity: int) -> None:
        self._protocol.reset(identity)
        await self._flush()

    async def taken(self, identity: int, count: int) -> None:
        self._protocol.taken(identity, count)
        with contextlib.suppress(ClientGone):  # who reads will see the end of the stream
            await self._flush()

    def drained(self) -> None:
        self._drained.set()

    async def _flush(self) -> None:
        async with self._flushing:
            while self._protocol.outgoing:
                data = bytes(self._protocol.outgoing)
                self._protocol.outgoing.clear()
                try:
                    await self._duplex.write(data)
                except ConnectionError as gone:
                    self._lost()
                    raise ClientGone(str(gone)) from gone

    def _lost(self) -> None:
        if not self.over:
            self.over = True
            self._opened.put_nowait(None)
        for stream in self._streams.values():
            stream.end()
        self._granted.set()
        self._drained.set()
