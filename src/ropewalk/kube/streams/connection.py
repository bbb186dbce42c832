"""Manners of an upgraded connection, whatever is spoken on it: an idle limit, a goodbye that loses no last words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ropewalk.base.clock import Clock
from ropewalk.base.http.messages import Duplex

IDLE_SECONDS = 4 * 3600.0
"""The kubelet's --streaming-connection-idle-timeout."""
LINGER_SECONDS = 2.0


class WatchedDuplex:
    """A `Duplex` that remembers when bytes last went either way."""

    def __init__(self, duplex: Duplex, clock: Clock) -> None:
        self._duplex = duplex
        self._clock = clock
        self.used_at = clock.monotonic()

    async def read(self) -> bytes:
        data = await self._duplex.read()
        self.used_at = self._clock.monotonic()
        return data

    async def write(self, data: bytes) -> None:
        self.used_at = self._clock.monotonic()
        await self._duplex.write(data)
        self.used_at = self._clock.monotonic()

    def close(self) -> None:
        self._duplex.close()


async def talk(duplex: Duplex, clock: Clock, handler: Callable[[Duplex], Awaitable[None]]) -> None:
    """Let `handler` have the connection; close it when nothing was said for too long, and when the handler is done.

    At the end the peer gets a moment to close first: a socket that is closed with bytes unread throws away what was
    sent last, such as an exit status.
    """
    watched = WatchedDuplex(duplex, clock)

    async def watch() -> None:
        while (left := watched.used_at + IDLE_SECONDS - clock.monotonic()) > 0:
            await clock.sleep(left)
        duplex.close()

    watching = asyncio.ensure_future(watch())
    try:
        await handler(watched)
        await _linger(duplex, clock)
    finally:
        watching.cancel()
        duplex.close()


async def _linger(duplex: Duplex, clock: Clock) -> None:
    async def drain() -> None:
        try:
            while await duplex.read():
                pass
        except ConnectionError:
            return

    draining = asyncio.ensure_future(drain())
    timer = asyncio.ensure_future(clock.sleep(LINGER_SECONDS))
    try:
        await asyncio.wait((draining, timer), return_when=asyncio.FIRST_COMPLETED)
    finally:
        draining.cancel()
        timer.cancel()
        await asyncio.gather(draining, timer, return_exceptions=True)
