"""Who watches what in this process, and the bounded buffer between a write and a watcher.

A watcher is either behind (it reads the shared history from its cursor) or live (writes put events into its buffer).
It starts behind; a buffer that overflows throws it back. A watcher so far behind that the history moved on is told
`Compacted`. So a slow watcher costs at most one buffer of references, and an idle one nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable

from ropewalk.store.protocol import Event, Revision, StoreClosed

BUFFER = 4096
"""Events a live watcher may have waiting."""

History = Callable[[str, int, int], tuple[list[Event], int, bool]]
"""(prefix, after, limit) → the next events under prefix, the revision read up to, and whether that is the present."""


class Watcher:
    """One watch: its prefix, where it stands, what waits for it."""

    __slots__ = ("cursor", "failure", "live", "pending", "prefix", "waiter")

    def __init__(self, prefix: str, after: int) -> None:
        self.prefix = prefix
        self.cursor = after
        self.live = False
        self.pending: deque[Event] = deque()
        self.waiter: asyncio.Future[None] | None = None
        self.failure: Exception | None = None

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def push(self, event: Event) -> None:
        if not self.live or event.revision <= self.cursor:
            return
        if len(self.pending) >= BUFFER:
            self.cursor = self.pending[0].revision - 1
            self.pending.clear()
            self.live = False
            return
        self.pending.append(event)
        self.wake()


class Watchers:
    """Every watcher of one store, found by the prefixes of a key."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._by_prefix: dict[str, set[Watcher]] = {}
        self._lengths: tuple[int, ...] = ()
        self._closed: Exception | None = None

    def __len__(self) -> int:
        return sum(map(len, self._by_prefix.values()))

    def dispatch(self, event: Event) -> None:
        """Hand a durable event to all who watch a prefix of its key."""
        key = event.key
        for length in self._lengths:
            for watcher in self._by_prefix.get(key[:length], ()):
                if length <= len(key):
                    watcher.push(event)

    def close(self, reason: str) -> None:
        """End every watch, and all to come, with `StoreClosed`."""
        self._closed = StoreClosed(reason)
        for watchers in self._by_prefix.values():
            for watcher in watchers:
                watcher.failure = self._closed
                watcher.wake()

    async def watch(self, prefix: str, after: Revision) -> AsyncGenerator[Event, None]:
        """The body of `Store.watch`."""
        watcher = Watcher(prefix, after)
        watcher.failure = self._closed
        self._add(watcher)
        try:
            while True:
                if watcher.failure is not None:
                    raise watcher.failure
                if not watcher.live:
                    self._catch_up(watcher)
                while watcher.pending:
                    event = watcher.pending.popleft()
                    watcher.cursor = event.revision
                    yield event
                if watcher.live and watcher.failure is None:
                    watcher.waiter = asyncio.get_running_loop().create_future()
                    await watcher.waiter
        finally:
            self._remove(watcher)

    def _catch_up(self, watcher: Watcher) -> None:
        events, read, present = self._history(watcher.prefix, watcher.cursor, BUFFER)
        watcher.pending.extend(events)
        watcher.live = present
        if not events:
            watcher.cursor = max(watcher.cursor, read)

    def _add(self, watcher: Watcher) -> None:
        self._by_prefix.setdefault(watcher.prefix, set()).add(watcher)
        self._measure()

    def _remove(self, watcher: Watcher) -> None:
        watchers = self._by_prefix[watcher.prefix]
        watchers.discard(watcher)
        if not watchers:
            del self._by_prefix[watcher.prefix]
            self._measure()

    def _measure(self) -> None:
        self._lengths = tuple(sorted({len(prefix) for prefix in self._by_prefix}))
