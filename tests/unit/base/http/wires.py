"""A transport without a socket: what the server writes is kept, and the test plays the client."""

from __future__ import annotations

import asyncio
from typing import Any

from ropewalk.base.clock import VirtualClock
from ropewalk.base.http.connection import Connection
from ropewalk.base.http.limits import Limits
from ropewalk.base.http.messages import Handler, Refuse, plain_refusal
from ropewalk.base.http.server import HttpServer


class FakeTransport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000)})
        self.written = bytearray()
        self.closed = self.aborted = self.paused = False

    def write(self, data: Any) -> None:
        if not self.closed:
            self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Wire:
    """One connection to a server of its own."""

    def __init__(self, handler: Handler, limits: Limits | None = None, refuse: Refuse = plain_refusal) -> None:
        self.clock = VirtualClock()
        self.server = HttpServer(handler, name="test", clock=self.clock, limits=limits, refuse=refuse)
        self.transport = FakeTransport()
        self.connection = Connection(self.server)
        self.connection.connection_made(self.transport)

    async def send(self, data: bytes) -> str:
        """Feed bytes and let the server settle; answers what it has written since the last call."""
        self.connection.data_received(data)
        return await self.read()

    async def read(self) -> str:
        await self.clock.settle()
        text = bytes(self.transport.written).decode("latin-1")
        self.transport.written.clear()
        return text

    def lose(self) -> None:
        self.transport.closed = True
        self.connection.connection_lost(None)

    async def sweep(self, seconds: float) -> str:
        """Let time pass, and the server look at its deadlines."""
        await self.clock.advance(seconds)
        if self.connection.deadline <= self.clock.monotonic():
            self.connection.expire()
        return await self.read()
