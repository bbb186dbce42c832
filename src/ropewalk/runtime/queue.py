"""A bounded queue of keys for workers: each key waits at most once and never runs twice at the same time.

A key added while it runs runs once more afterwards. Failures wait exponentially longer, with jitter, up to a ceiling;
`forget` resets that. Delays live on one heap and one timer, so that twenty thousand waiting keys cost one sleeper.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque

from ropewalk.base.clock import Clock, happens
from ropewalk.base.entropy import Entropy

FIRST_RETRY = 0.05
LONGEST_RETRY = 60.0
CAPACITY = 200_000


class QueueFull(Exception):
    """More keys wait than the queue may hold: the producer must list again later."""


class WorkQueue:
    """See the module. `run_timer` must be running for delayed keys to become due."""

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        *,
        capacity: int = CAPACITY,
        first_retry: float = FIRST_RETRY,
        longest_retry: float = LONGEST_RETRY,
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._capacity = capacity
        self._first_retry = first_retry
        self._longest_retry = longest_retry
        self._ready: deque[str] = deque()
        self._waiting: set[str] = set()
        self._running: set[str] = set()
        self._again: set[str] = set()
        self._failures: dict[str, int] = {}
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._getters: deque[asyncio.Future[None]] = deque()
        self._timer_news = asyncio.Event()

    def __len__(self) -> int:
        """Keys ready to run."""
        return len(self._ready)

    @property
    def delayed(self) -> int:
        return len(self._due)

    @property
    def running(self) -> int:
        return len(self._running)

    def failures(self, key: str) -> int:
        """How often the key has failed in a row."""
        return self._failures.get(key, 0)

    def add(self, key: str) -> None:
        """Run `key` as soon as a worker is free. Raises `QueueFull`."""
        if key in self._running:
            self._admit(key, self._again)
            self._again.add(key)
        elif key not in self._waiting:
            self._admit(key, self._waiting)
            self._due.pop(key, None)
            self._waiting.add(key)
            self._ready.append(key)
            self._wake()

    def add_after(self, key: str, seconds: float) -> None:
        """Run `key` in `seconds`, unless it is to run sooner anyway. Raises `QueueFull`."""
        if seconds <= 0:
            self.add(key)
            return
        if key in self._waiting or key in self._again:
            return
        due = self._clock.monotonic() + seconds
        known = self._due.get(key)
        if known is not None and known <= due:
            return
        if known is None:
            self._admit(key, self._due)
        self._due[key] = due
        heapq.heappush(self._heap, (due, key))
        if len(self._heap) > 64 and len(self._heap) > 2 * len(self._due):
            self._heap = [(when, name) for name, when in self._due.items()]
            heapq.heapify(self._heap)
        self._timer_news.set()

    def add_failed(self, key: str) -> float:
        """Run `key` after its back-off; answers the seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        ceiling = min(self._longest_retry, self._first_retry * float(1 << min(failures, 32)))
        delay = ceiling * (0.5 + self._entropy.random() / 2)
        self.add_after(key, delay)
        return delay

    def forget(self, key: str) -> None:
        """The key did well: its next failure counts as its first."""
        self._failures.pop(key, None)

    async def get(self) -> str:
        """The next key; it counts as running until `done`."""
        while not self._ready:
            getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if getter.done() and not getter.cancelled():
                    self._wake()  # hand the wake-up on, or a key would wait for nobody
                raise
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._running.add(key)
        return key

    def done(self, key: str) -> None:
        """The worker is finished with `key`. What was asked for meanwhile happens now."""
        self._running.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    async def run_timer(self) -> None:
        """Move keys whose delay is over to the ready ones, for ever."""
        while True:
            self._timer_news.clear()
            self._release_due()
            wait = None if not self._heap else self._heap[0][0] - self._clock.monotonic()
            await self._until_news_or(wait)

    def _release_due(self) -> None:
        now = self._clock.monotonic()
        while self._heap and (self._heap[0][0] <= now or self._due.get(self._heap[0][1]) != self._heap[0][0]):
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)

    async def _until_news_or(self, seconds: float | None) -> None:
        if seconds is None:
            await self._timer_news.wait()
        else:
            await happens(self._timer_news, self._clock, seconds)

    def _admit(self, key: str, held: set[str] | dict[str, float]) -> None:
        if key not in held and key not in self._due and self._size() >= self._capacity:
            raise QueueFull(f"{self._capacity} keys wait already, {key} does not fit")

    def _size(self) -> int:
        return len(self._waiting) + len(self._again) + len(self._due)

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return
