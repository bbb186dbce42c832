"""A controller: keys in, `reconcile(key)` until it says `Done`.

Level-triggered: a key says only that something about it may have changed; reconcile reads the present state and moves
it one step towards what is wanted. The same key never runs twice at once. What a reconcile raises decides the next try:
`Retryable` after its own delay, anything else is logged as a bug and tried again with growing back-off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, Union

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.runtime.queue import CAPACITY, QueueFull, WorkQueue

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more to do until the key is enqueued again."""


@dataclass(frozen=True, slots=True)
class RequeueAfter:
    """Look again after so many seconds (sooner if enqueued)."""

    seconds: float


Result = Union[Done, RequeueAfter]
Reconcile = Callable[[str], Awaitable[Result]]
Turn = Callable[[], Awaitable[None]]
"""Awaited before each step of background work: see `ropewalk.runtime.courtesy`."""
DONE = Done()


async def at_once() -> None:
    """The `Turn` of who gives way to nobody."""


class Runnable(Protocol):
    """Something a supervisor keeps running."""

    @property
    def name(self) -> str: ...

    async def run(self) -> None:
        """Runs until cancelled."""
        ...


class Controller:
    """Runs `reconcile` for enqueued keys on `workers` workers. A `Runnable`.

    `everything`, where given, lists all keys: asked once after the queue had overflowed and half of it is worked off.
    Without it an overflow raises `QueueFull` to whoever enqueues.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconcile,
        *,
        clock: Clock,
        entropy: Entropy,
        workers: int = 1,
        capacity: int = CAPACITY,
        everything: Callable[[], Iterable[str]] | None = None,
        turn: Turn = at_once,
    ) -> None:
        if workers < 1:
            raise ValueError(f"{name}: a controller has at least one worker")
        self.name = name
        self.queue = WorkQueue(clock, entropy, capacity=capacity)
        self._reconcile = reconcile
        self._workers = workers
        self._capacity = capacity
        self._everything = everything
        self._turn = turn
        self._overflowed = False

    def enqueue(self, key: str) -> None:
        """Reconcile `key` soon."""
        try:
            self.queue.add(key)
        except QueueFull:
            if self._everything is None:
                raise
            if not self._overflowed:
                log.warning("queue full, will list everything", controller=self.name)
            self._overflowed = True

    def enqueue_after(self, key: str, seconds: float) -> None:
        """Reconcile `key` in so many seconds, or sooner if it is enqueued."""
        self.queue.add_after(key, seconds)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.queue.run_timer(), name=f"{self.name} timer")
            for number in range(self._workers):
                group.create_task(self._work(), name=f"{self.name} worker {number}")

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            try:
                await self._turn()
                await self._step(key)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    self.queue.add(key)  # still counted as running: it runs again once somebody works again
                    raise
                delay = self.queue.add_failed(key)
                log.bug("reconcile was cancelled from inside", controller=self.name, key=key, again=f"{delay:.2f}s")
            finally:
                self.queue.done(key)
            self._list_after_overflow()

    async def _step(self, key: str) -> None:
        try:
            result = await self._reconcile(key)
        except Retryable as wait:
            log.debug("reconcile will try again", controller=self.name, key=key, reason=wait.reason)
            self.queue.add_after(key, wait.after)
        except Exception:
            delay = self.queue.add_failed(key)
            log.bug("reconcile failed", controller=self.name, key=key, again=f"{delay:.2f}s")
        else:
            self.queue.forget(key)
            if isinstance(result, RequeueAfter):
                self.queue.add_after(key, result.seconds)

    def _list_after_overflow(self) -> None:
        if self._overflowed and self._everything is not None and len(self.queue) <= self._capacity // 2:
            self._overflowed = False
            for key in self._everything():
                self.enqueue(key)
