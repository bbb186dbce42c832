"""Two ends of a connection in one process, with a connection's manners: bounded, ordered, and closed by either end."""

from __future__ import annotations

import asyncio

CAPACITY = 64 * 1024


class _Way:
    """Bytes one way. Reader and writer wait on the same event, never both: one waits for bytes, the other for room."""

    def __init__(self) -> None:
        self.held = bytearray()
        self.ended = False
        self.changed = asyncio.Event()

    def end(self) -> None:
        self.ended = True
        self.changed.set()


class PipeEnd:
    """A `Duplex`. What was written before a close is still read."""

    def __init__(self, incoming: _Way, outgoing: _Way) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self.closed = False

    async def read(self) -> bytes:
        way = self._incoming
        while not way.held:
            if way.ended or self.closed:
                return b""
            way.changed.clear()
            await way.changed.wait()
        data = bytes(way.held)
        way.held.clear()
        way.changed.set()
        return data

    async def write(self, data: bytes) -> None:
        way = self._outgoing
        if way.ended:
            raise ConnectionResetError("the peer is gone")
        way.held += data
        way.changed.set()
        while len(way.held) > CAPACITY and not way.ended:
            way.changed.clear()
            await way.changed.wait()

    def close(self) -> None:
        self.closed = True
        self._incoming.end()
        self._outgoing.end()


def pipe() -> tuple[PipeEnd, PipeEnd]:
    one, other = _Way(), _Way()
    return PipeEnd(one, other), PipeEnd(other, one)
