"""What happened to an object, told to people: counted, bounded, gone after a while.

The same thing again only raises a count, so that a loop of failures is one record. `record` never blocks and never
fails: what it is told waits in memory, repeats already merged, and is written about once a second. Losing the last
second in a crash is accepted; these records are news, never state.
"""

from __future__ import annotations

import asyncio
from hashlib import blake2b

import msgspec

from ropewalk.base.clock import Clock
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.runtime.table import Table
from ropewalk.store.protocol import OutOfBounds

log = logger(__name__)

MESSAGE = 1024
"""Characters of a message that are kept."""


class Happening(msgspec.Struct, frozen=True):
    """Something that happened to `about` `count` times."""

    about: str
    reason: str
    """One word, such as "ImagePullFailed"."""
    message: str
    warning: bool
    count: int
    first: float
    """Wall time in seconds."""
    last: float


class EventRecorder:
    """Writes happenings under `<about>/<digest>` of its table. A `Runnable`."""

    def __init__(
        self,
        table: Table[Happening],
        clock: Clock,
        *,
        per_object: int = 32,
        keep_seconds: float = 3600.0,
        every: float = 1.0,
        waiting: int = 10_000,
    ) -> None:
        self.name = f"events {table.prefix}"
        self.dropped = 0
        """Happenings that found `waiting` others waiting."""
        self._table = table
        self._clock = clock
        self._per_object = per_object
        self._keep = keep_seconds
        self._every = every
        self._capacity = waiting
        self._waiting: dict[str, Happening] = {}
        self._news = asyncio.Event()

    def record(self, about: str, reason: str, message: str, *, warning: bool = False) -> None:
        """Remember that this happened to the object `about` (a key such as "ecs/services/web")."""
        now = self._clock.wall()
        message = message if len(message) <= MESSAGE else message[: MESSAGE - 1] + "…"
        digest = blake2b(f"{reason}\0{warning}\0{message}".encode(errors="replace"), digest_size=8).hexdigest()
        self._merge(f"{about}/{digest}", Happening(about, reason, message, warning, 1, now, now))

    async def about(self, about: str) -> list[Happening]:
        """What was written of the object, the latest first."""
        found = [item.record for item in await self._table.list(about + "/") if item.record.about == about]
        return sorted(found, key=lambda happening: happening.last, reverse=True)

    async def run(self) -> None:
        swept = self._clock.monotonic()
        await self._sweep("")
        while True:
            await self._news.wait()
            await self._clock.sleep(self._every)
            await self.flush()
            if self._clock.monotonic() - swept >= self._keep / 4:
                swept = self._clock.monotonic()
                await self._sweep("")

    async def flush(self) -> None:
        """Write what waits. What the store cannot take now waits on."""
        self._news.clear()
        waiting, self._waiting = self._waiting, {}
        objects = dict.fromkeys(happening.about for happening in waiting.values())
        try:
            for key, happening in list(waiting.items()):
                try:
                    await self._write(key, happening)
                except OutOfBounds as error:
                    log.error("happening cannot be kept, dropped", about=happening.about, error=error)
                del waiting[key]
        except Retryable as reason:
            log.warning("events wait for the store", waiting=len(waiting), reason=reason)
        finally:
            for key, happening in waiting.items():
                self._merge(key, happening)
        for about in objects:
            await self._sweep(about + "/")

    async def _write(self, key: str, fresh: Happening) -> None:
        found = await self._table.find(key)
        if found is None or found.record.last < self._clock.wall() - self._keep:
            await self._table.put(key, fresh)
        else:
            await self._table.put(key, _merged(found.record, fresh))

    def _merge(self, key: str, happening: Happening) -> None:
        known = self._waiting.get(key)
        if known is not None:
            self._waiting[key] = _merged(known, happening)
        elif len(self._waiting) < self._capacity:
            self._waiting[key] = happening
        else:
            if self.dropped == 0:
                log.warning("events come faster than they are written, dropping", waiting=self._capacity)
            self.dropped += 1
            return
        self._news.set()

    async def _sweep(self, under: str) -> None:
        """Delete what is too old, and of each object what is more than it may have."""
        limit = self._clock.wall() - self._keep
        by_object: dict[str, list[tuple[float, str]]] = {}
        for item in await self._table.list(under):
            by_object.setdefault(item.record.about, []).append((item.record.last, item.key))
        for happenings in by_object.values():
            happenings.sort(reverse=True)
            for place, (last, key) in enumerate(happenings):
                if place >= self._per_object or last < limit:
                    await self._table.delete(key)


def _merged(old: Happening, new: Happening) -> Happening:
    return msgspec.structs.replace(
        old, count=old.count + new.count, first=min(old.first, new.first), last=max(old.last, new.last)
    )
