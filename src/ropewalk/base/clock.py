"""Time, injected. The only module that may read a clock or sleep.

Deadlines, leases and back-off use `monotonic`; tokens, stamps and bills use `wall`. Everything that waits takes a
`Clock`, so that controllers run in tests in virtual time: a minute of back-off costs no second.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Awaitable
from contextlib import suppress
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """What may be asked of time."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once `seconds` have passed on this clock."""
        ...


class Late(Exception):
    """A piece of work takes longer than it may."""


async def within(work: Awaitable[T], clock: Clock, seconds: float) -> T:
    """Its result. Raises `Late` once the time is over and it has been cancelled; `asyncio.shield` lets it go on."""
    task = asyncio.ensure_future(work)
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((task, timer), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Late
        return task.result()
    finally:
        task.cancel()
        timer.cancel()
        await asyncio.gather(task, timer, return_exceptions=True)


async def happens(event: asyncio.Event, clock: Clock, seconds: float) -> bool:
    """Wait for the event, so many seconds at most; whether it is set."""
    if not event.is_set():
        with suppress(Late):
            await within(event.wait(), clock, seconds)
    return event.is_set()


class SystemClock:
    """The machine's own clock."""

    __slots__ = ()

    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def pause(self, seconds: float) -> None:
        """Block the whole thread: for commands without a loop."""
        time.sleep(seconds)


class VirtualClock:
    """Time that moves only when told: for tests and simulation.

    `advance` wakes sleepers in order of their deadline (ties: order of arrival) and lets the loop settle after each,
    so that a run is a function of its inputs. Bounded: one settle runs at most `settle_rounds` empty loop passes.
    """

    __slots__ = ("_counter", "_epoch", "_now", "_settle_rounds", "_sleepers")

    def __init__(self, epoch: float = 1_700_000_000.0, settle_rounds: int = 50) -> None:
        self._now = 0.0
        self._epoch = epoch
        self._counter = 0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._settle_rounds = settle_rounds

    def monotonic(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._epoch + self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._counter += 1
        heapq.heappush(self._sleepers, (self._now + seconds, self._counter, future))
        await future

    def next_deadline(self) -> float | None:
        """When the next sleeper wakes (monotonic), or None where nobody sleeps."""
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        return self._sleepers[0][0] if self._sleepers else None

    async def settle(self) -> None:
        """Let every ready callback run without moving time."""
        for _ in range(self._settle_rounds):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Move time forward, waking each sleeper at its own moment."""
        target = self._now + seconds
        await self.settle()
        while (deadline := self.next_deadline()) is not None and deadline <= target:
            self._now = max(self._now, deadline)
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
            await self.settle()
        self._now = target
        await self.settle()
