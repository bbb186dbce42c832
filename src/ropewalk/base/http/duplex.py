"""The bare connection that an upgraded request's handler talks over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

READ_BUFFER_BYTES = 256 * 1024


class ConnectionDuplex:
    """Fed by its connection's callbacks; reads pause the transport when nobody takes the bytes."""

    __slots__ = ("_buffer", "_drained", "_ended", "_paused", "_transport", "_waiter")

    def __init__(self, transport: asyncio.Transport, drained: Callable[[], Awaitable[None]]) -> None:
        self._transport = transport
        self._drained = drained
        self._buffer = bytearray()
        self._ended = False
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > READ_BUFFER_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def end(self) -> None:
        """The peer closed its side, or the connection is lost."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def read(self) -> bytes:
        while not self._buffer:
            if self._ended:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = bytes(self._buffer)
        self._buffer.clear()
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        if self._transport.is_closing():
            raise ConnectionResetError("the peer is gone")
        self._transport.write(data)
        await self._drained()

    def close(self) -> None:
        self._transport.close()
