"""Requests first: background work of one process makes room while callers are being answered, within bounds.

One loop answers requests and moves everything that earlier requests began. A caller who starts tasks one after another
would wait for the tasks before; so while requests come in, reconcilers make one step for every few requests answered,
and go at their own pace again once the process has been quiet for a moment. (A share of the time would not do: a
request that waits for background work takes long, and would so grant it more.) They are never put off for long: once
they have been behind for a second they give way no more, whatever comes in, until there is a quiet moment again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ropewalk.base.clock import Clock

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")

QUIET = 0.002
"""Seconds without a request after which nobody needs to be let through."""
SAVED = 10
"""Steps that may be made at once after a pause: a caller who starts one task and asks for it until it runs is not
kept waiting by his own questions. Also granted at most before they are used.
"""
PER_STEP = 4
"""Requests answered for each step granted: a step, with what follows from it, costs as much as two."""
LONGEST = 1.0
"""Seconds that background work may run behind before it is put off no more."""
CAUGHT_UP = 0.05
"""Seconds without a request that end being behind. More than a stalled loop takes to look quiet."""


class Courtesy:
    """`first` wraps what answers requests; background work awaits `turn` before each step. A `Runnable`."""

    name = "courtesy"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answering = 0
        self._last = -CAUGHT_UP
        """When a request was last answered."""
        self._answered = 0
        self._granted = SAVED
        """Steps that may be made although requests come in."""
        self._behind_since: float | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._put_off = asyncio.Event()

    def first(self, handler: Callable[[Asked], Awaitable[Answered]]) -> Callable[[Asked], Awaitable[Answered]]:
        """The handler, its requests let through before background work."""

        async def handle(request: Asked) -> Answered:
            if self._quiet(CAUGHT_UP):
                self._behind_since = None
                self._granted = SAVED
            self._answering += 1
            try:
                return await handler(request)
            finally:
                self._answering -= 1
                self._last = self._clock.monotonic()
                self._grant()

        return handle

    async def turn(self) -> None:
        """Returns when the next step of background work may be done; mostly at once."""
        if self._quiet(QUIET):
            return
        if self._granted:
            self._granted -= 1
            return
        if self._behind_since is None:
            self._behind_since = self._clock.monotonic()
        if self._too_late():
            return
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        self._put_off.set()
        await mine

    async def run(self) -> None:
        """Let everybody go on once it is quiet, or once they have waited long enough."""
        while True:
            await self._put_off.wait()
            await self._clock.sleep(QUIET)
            if self._quiet(QUIET) or self._too_late():
                self._release()
            if not self._waiting:
                self._put_off.clear()

    def _quiet(self, seconds: float) -> bool:
        return not self._answering and self._clock.monotonic() - self._last >= seconds

    def _too_late(self) -> bool:
        return self._behind_since is not None and self._clock.monotonic() - self._behind_since >= LONGEST

    def _grant(self) -> None:
        """A step, where one is due: to whoever waits, else to whoever asks next."""
        self._answered += 1
        if self._answered % PER_STEP:
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():  # else a worker that was stopped meanwhile
                waiter.set_result(None)
                return
        self._granted = min(SAVED, self._granted + 1)

    def _release(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
