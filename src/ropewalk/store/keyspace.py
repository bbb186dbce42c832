"""The keys of one store in this process's memory: present values in order, bounded history, watchers.

The memory backend is this and nothing more; the SQLite backend applies to it what its disk has taken. So reads and
lists never touch a disk, and both backends answer alike. Revisions are consecutive: history is a list, and a revision
its index.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from operator import attrgetter

import msgspec

from ropewalk.base.clock import Clock
from ropewalk.store.protocol import (
    Compacted,
    Entry,
    Event,
    EventKind,
    FutureRevision,
    KeyExists,
    KeyMissing,
    Page,
    Revision,
    WrongRevision,
)
from ropewalk.store.sorted_keys import SortedKeys
from ropewalk.store.watching import Watchers


@dataclass(frozen=True, slots=True)
class Retention:
    """How much history is kept at most. Judged when something is written."""

    events: int = 10_000
    seconds: float = 3600.0
    bytes: int = 64 * 1024 * 1024
    """Of values superseded or deleted."""
    slack: int = 256
    """Events above a bound before compaction sets in, so that it works in batches."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """One write, decided: what stands before and after it."""

    key: str
    revision: Revision
    before: Entry | None
    after: Entry | None

    def event(self) -> Event:
        if self.after is not None:
            previous = None if self.before is None else self.before.value
            return Event(EventKind.PUT, self.key, self.after.value, self.revision, self.after.created, previous)
        last = self.before
        if last is None:
            raise ValueError(f"{self.key}: a change from nothing to nothing")
        return Event(EventKind.DELETE, self.key, last.value, self.revision, last.created, last.value)


def decide_create(key: str, value: bytes, present: Entry | None, revision: Revision) -> Change:
    if present is not None:
        raise KeyExists(key)
    return Change(key, revision, None, Entry(key, value, revision, revision))


def decide_update(key: str, value: bytes, expected: int, present: Entry | None, revision: Revision) -> Change:
    if present is None:
        raise KeyMissing(key)
    if present.revision != expected:
        raise WrongRevision(key, expected, present.revision)
    return Change(key, revision, present, Entry(key, value, revision, present.created))


def decide_delete(key: str, expected: int | None, present: Entry | None, revision: Revision) -> Change:
    if present is None:
        raise KeyMissing(key)
    if expected is not None and present.revision != expected:
        raise WrongRevision(key, expected, present.revision)
    return Change(key, revision, present, None)


class Keyspace:
    """Present entries, history after `oldest`, and the watchers of both."""

    def __init__(
        self,
        clock: Clock,
        retention: Retention,
        entries: Iterable[Entry] = (),
        history: Iterable[Change] = (),
        oldest: int = 0,
    ) -> None:
        """`entries` stand at revision `oldest`; `history` are all changes after it."""
        self._clock = clock
        self._retention = retention
        self._current = {entry.key: entry for entry in entries}
        self._history: list[Change] = []
        self._times: list[float] = []
        self._bytes = 0
        self.oldest = Revision(oldest)
        """The oldest revision one may list at or watch after."""
        self.revision = Revision(oldest)
        self.watchers = Watchers(self._events_after)
        now = clock.monotonic()
        for change in history:
            if change.after is None:
                del self._current[change.key]
            else:
                self._current[change.key] = change.after
            self._remember(change, now)
        self._keys = SortedKeys(self._current)

    def __len__(self) -> int:
        return len(self._current)

    @property
    def kept(self) -> int:
        """Events of history in memory."""
        return len(self._history)

    def get(self, key: str) -> Entry | None:
        return self._current.get(key)

    def apply(self, changes: Iterable[Change]) -> None:
        """Make durable changes visible: to reads at once, to watchers in order."""
        now = self._clock.monotonic()
        for change in changes:
            after = change.after
            if after is None:
                del self._current[change.key]
                self._keys.remove(change.key)
            else:
                self._current[change.key] = after
                if change.before is None:
                    self._keys.add(change.key)
            self._remember(change, now)
            self.watchers.dispatch(change.event())

    def _remember(self, change: Change, now: float) -> None:
        if change.revision != self.revision + 1:
            raise ValueError(f"revision {change.revision} follows {self.revision}")
        self._history.append(change)
        self._times.append(now)
        self._bytes += 0 if change.before is None else len(change.before.value)
        self.revision = change.revision

    def page(self, prefix: str, after: str, limit: int, revision: int | None) -> Page:
        at = self.revision if revision is None else revision
        if at < self.oldest:
            raise Compacted(self.oldest)
        if at > self.revision:
            raise FutureRevision(f"revision {at} is not reached, the store is at {self.revision}")
        undone = self._undone(prefix, after, at)
        found = tuple(islice(self._past(prefix, after, undone), limit))
        if len(found) < limit:
            return Page(found, Revision(at), 0)
        count = self._keys.count(prefix, after)
        for key, entry in undone.items():
            count += (entry is not None) - (key in self._current)
        return Page(found, Revision(at), count - len(found))

    def _undone(self, prefix: str, after: str, revision: int) -> dict[str, Entry | None]:
        """What was written since, as it was before."""
        undone: dict[str, Entry | None] = {}
        for change in reversed(self._history[revision - self.oldest :]):
            if change.key.startswith(prefix) and change.key > after:
                undone[change.key] = change.before
        return undone

    def _past(self, prefix: str, after: str, undone: Mapping[str, Entry | None]) -> Iterator[Entry]:
        """In order, and no further than somebody reads."""
        current, keys = self._current, self._keys.under(prefix, after)
        if not undone:
            return (current[key] for key in keys)
        before = (entry for _, entry in sorted(undone.items()) if entry is not None)
        unchanged = (current[key] for key in keys if key not in undone)
        return merge(before, unchanged, key=attrgetter("key"))

    def watch(self, prefix: str, after: Revision) -> AsyncGenerator[Event, None]:
        return self.watchers.watch(prefix, after)

    def _events_after(self, prefix: str, after: int, limit: int) -> tuple[list[Event], int, bool]:
        if after < self.oldest:
            raise Compacted(self.oldest)
        events: list[Event] = []
        for index in range(after - self.oldest, len(self._history)):
            change = self._history[index]
            if change.key.startswith(prefix):
                events.append(change.event())
                if len(events) == limit:
                    return events, change.revision, change.revision == self.revision
        return events, self.revision, True

    def due(self) -> Revision:
        """Up to where history has outgrown its bounds: what to `compact` to; `oldest` where it has not."""
        keep = self._retention
        excess = len(self._history) - keep.events
        drop = excess if excess > keep.slack else 0
        limit = self._clock.monotonic() - keep.seconds
        late = min(drop + keep.slack, len(self._times) - 1)
        if late >= 0 and self._times[late] < limit:
            while drop < len(self._times) and self._times[drop] < limit:
                drop += 1
        size = self._bytes
        if size > keep.bytes:
            for index, change in enumerate(self._history):
                size -= 0 if change.before is None else len(change.before.value)
                if size <= keep.bytes * 3 // 4:
                    drop = max(drop, index + 1)
                    break
        return Revision(self.oldest + drop)

    def compact(self, before: int) -> list[Change]:
        """Forget history up to `before` (clamped to the present); answers the changes forgotten."""
        count = min(before, self.revision) - self.oldest
        if count <= 0:
            return []
        gone = self._history[:count]
        del self._history[:count]
        del self._times[:count]
        self._bytes -= sum(0 if change.before is None else len(change.before.value) for change in gone)
        self.oldest = Revision(self.oldest + count)
        return gone
