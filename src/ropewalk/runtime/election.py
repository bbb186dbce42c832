"""Leading: doing something only while one holds a lease of the store.

The holder counts from before each renewal was asked and steps down a fifth of the lease before it could run out, so two
never lead at once as long as their clocks run at the same speed. What must be safe even then takes the term with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ropewalk.base.clock import Clock
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.store.protocol import Lease, Store, StoreError

log = logger(__name__)


class LeaderElection:
    """Runs `lead(term)` while `holder` has the lease `lease`. A `Runnable`.

    `lead` is cancelled when the lease is lost, and called again once it is won again. What it raises ends `run` after
    the lease was given back; so does its return.
    """

    def __init__(
        self,
        store: Store,
        lease: str,
        holder: str,
        lead: Callable[[int], Awaitable[None]],
        *,
        clock: Clock,
        seconds: float = 15.0,
    ) -> None:
        self.name = f"election {lease}"
        self._store = store
        self._lease = lease
        self._holder = holder
        self._lead = lead
        self._clock = clock
        self._seconds = seconds
        self._term: int | None = None
        self._until = 0.0

    @property
    def term(self) -> int | None:
        """The term led now, None while another leads or nobody."""
        return self._term

    async def run(self) -> None:
        while True:
            term = await self._win()
            log.info("leading", lease=self._lease, holder=self._holder, term=term)
            try:
                if await self._serve(term):
                    return
            finally:
                self._term = None
                with suppress(StoreError):
                    await self._store.release(self._lease, self._holder)
            log.warning("stepped down", lease=self._lease, holder=self._holder, term=term)

    async def _win(self) -> int:
        while True:
            asked = self._clock.monotonic()
            lease = await self._ask(self._seconds)
            if lease is not None and lease.holder == self._holder:
                self._until = asked + self._seconds
                if self._left() > 0:
                    return lease.term
            await self._clock.sleep(self._seconds / 3)

    async def _serve(self, term: int) -> bool:
        """Lead until the lease is lost (False) or `lead` is through (True)."""
        self._term = term
        work = asyncio.ensure_future(self._lead(term))
        renewal = asyncio.create_task(self._renew(term))
        both: set[asyncio.Future[None]] = {work, renewal}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
                return True
            renewal.result()
            return False
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _renew(self, term: int) -> None:
        """Returns once the lease is lost, or so near its end that it must be taken for lost."""
        pause = self._seconds / 3
        while (left := self._left()) > 0:
            await self._clock.sleep(min(pause, left))
            asked = self._clock.monotonic()
            if (left := self._left()) <= 0:
                return
            lease = await self._ask(left)
            if lease is None:
                pause = self._seconds / 15
            elif (lease.holder, lease.term) == (self._holder, term):
                self._until = asked + self._seconds
                pause = self._seconds / 3
            else:
                return

    def _left(self) -> float:
        """Seconds in which it is certainly ours."""
        return self._until - self._seconds / 5 - self._clock.monotonic()

    async def _ask(self, patience: float) -> Lease | None:
        """Acquire or renew; None where the store cannot say within `patience`."""
        asking = asyncio.ensure_future(self._store.acquire(self._lease, self._holder, self._seconds))
        alarm = asyncio.ensure_future(self._clock.sleep(patience))
        both: set[asyncio.Future[Lease] | asyncio.Future[None]] = {asking, alarm}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            return asking.result() if asking.done() else None
        except Retryable as reason:
            log.warning("lease not renewed", lease=self._lease, reason=reason)
            return None
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
