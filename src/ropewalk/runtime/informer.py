"""A table's records in memory, kept up to date by list and watch: synchronous to read, eventually consistent.

Handlers hear of every change in order, after the cache has it; a burst may be seen as one change where the watch had to
start over. A value that does not decode is logged and skipped: one bad record must not blind a controller.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from ropewalk.base.clock import Clock
from ropewalk.base.log import logger
from ropewalk.runtime.table import Table
from ropewalk.store.protocol import Compacted, Event, EventKind, Revision
from ropewalk.store.sorted_keys import SortedKeys

log = logger(__name__)

R = TypeVar("R", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Change(Generic[R]):
    """What happened to one record. Both None never occurs; both present is a change of content."""

    key: str
    old: R | None
    new: R | None


class Informer(Generic[R]):
    """The cache of one table. `run` belongs under a supervisor."""

    def __init__(self, table: Table[R], clock: Clock, *, reader: str = "") -> None:
        """`reader` says whose cache it is, where several watch one prefix."""
        self.table = table
        self.name = f"{reader} informer {table.prefix}".lstrip()
        self._clock = clock
        self._records: dict[str, R] = {}
        self._keys = SortedKeys()
        self._handlers: list[Callable[[Change[R]], None]] = []
        self._synced = asyncio.Event()
        self._revision = Revision(0)
        self._as_of = 0.0

    def __len__(self) -> int:
        return len(self._records)

    @property
    def revision(self) -> Revision:
        """The store's revision that the cache has seen at least."""
        return self._revision

    @property
    def is_synced(self) -> bool:
        return self._synced.is_set()

    @property
    def age(self) -> float:
        """Seconds since the watch last brought something (or the last full list)."""
        return self._clock.monotonic() - self._as_of

    async def synced(self) -> None:
        """Returns once the first full list is in the cache."""
        await self._synced.wait()

    def get(self, key: str) -> R | None:
        return self._records.get(key)

    def keys(self, under: str = "") -> list[str]:
        return list(self._keys.under(under))

    def items(self, under: str = "") -> list[tuple[str, R]]:
        """Records whose key starts with `under`, in key order."""
        records = self._records
        return [(key, records[key]) for key in self._keys.under(under)]

    def on_change(self, callback: Callable[[Change[R]], None]) -> None:
        """Call `callback` for every change from now on; what is cached already is told at once, as created.

        A callback may not block; what it raises is logged, and the next one runs.
        """
        self._handlers.append(callback)
        for key, record in self.items():
            self._call(callback, Change(key, None, record))

    async def run(self) -> None:
        while True:
            try:
                await self._relist()
                async with aclosing(self.table.store.watch(self.table.prefix, self._revision)) as events:
                    async for event in events:
                        self._observe(event)
            except Compacted as gone:
                log.info("watch fell behind, listing again", prefix=self.table.prefix, oldest=gone.oldest)
                await asyncio.sleep(0)

    async def _relist(self) -> None:
        """One consistent list, page by page; differences to the cache become changes."""
        prefix = self.table.prefix
        cut = len(prefix)
        page = await self.table.store.list(prefix)
        at = page.revision
        found: dict[str, R] = {}
        while True:
            for entry in page.entries:
                if (record := self._decode(entry.key, entry.value)) is not None:
                    found[entry.key[cut:]] = record
            if not page.more:
                break
            page = await self.table.store.list(prefix, after=page.entries[-1].key, revision=at)
        for key in self.keys():
            if key not in found:
                self._set(key, None)
        for key, record in found.items():
            self._set(key, record)
        self._revision = at
        self._as_of = self._clock.monotonic()
        self._synced.set()

    def _observe(self, event: Event) -> None:
        key = event.key[len(self.table.prefix) :]
        self._revision = event.revision
        self._as_of = self._clock.monotonic()
        if event.kind is EventKind.DELETE:
            self._set(key, None)
        elif (record := self._decode(event.key, event.value)) is not None:
            self._set(key, record)

    def _set(self, key: str, new: R | None) -> None:
        old = self._records.get(key)
        if new is None:
            if old is None:
                return
            del self._records[key]
            self._keys.remove(key)
        else:
            if new == old:
                return
            self._records[key] = new
            if old is None:
                self._keys.add(key)
        change = Change(key, old, new)
        for callback in self._handlers:
            self._call(callback, change)

    def _call(self, callback: Callable[[Change[R]], None], change: Change[R]) -> None:
        try:
            callback(change)
        except Exception:
            log.bug("handler of changes failed", prefix=self.table.prefix, key=change.key)

    def _decode(self, key: str, value: bytes) -> R | None:
        try:
            return self.table.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.error("record does not decode, skipped", key=key, error=error)
            return None
