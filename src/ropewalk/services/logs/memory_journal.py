"""The journal in memory: for tests and for simulations that keep nothing. Bounded: the oldest events give way."""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Sequence

from ropewalk.services.logs.journal import (
    EVENT_OVERHEAD,
    LogEvent,
    Place,
    Query,
    Scan,
    Source,
    Stream,
    StreamMissing,
)

KEPT_EVENTS = 200_000


class MemoryJournal:
    """See `ropewalk.services.logs.journal.Journal`. Keeps the newest `kept` events of each group."""

    def __init__(self, kept: int = KEPT_EVENTS) -> None:
        self._kept = kept
        self._streams: dict[str, dict[str, Stream]] = {}
        self._events: dict[str, list[LogEvent]] = {}
        self._positions: dict[tuple[str, str], tuple[int, int]] = {}
        self._last_id = 0

    async def create_stream(self, group: str, name: str, now: int) -> bool:
        streams = self._streams.setdefault(group, {})
        if name in streams:
            return False
        streams[name] = Stream(name, now)
        return True

    async def delete_stream(self, group: str, name: str) -> bool:
        if self._streams.get(group, {}).pop(name, None) is None:
            return False
        self._events[group] = [event for event in self._events.get(group, ()) if event.stream != name]
        return True

    async def delete_group(self, group: str) -> None:
        self._streams.pop(group, None)
        self._events.pop(group, None)

    async def stream(self, group: str, name: str) -> Stream | None:
        return self._streams.get(group, {}).get(name)

    async def streams(self, group: str, prefix: str, after: str, limit: int, descending: bool) -> list[Stream]:
        named = self._streams.get(group, {})
        names = sorted((name for name in named if name.startswith(prefix)), reverse=descending)
        if after:
            names = [name for name in names if (name < after if descending else name > after)]
        return [named[name] for name in names[:limit]]

    async def streams_by_time(
        self, group: str, after: tuple[int, str] | None, limit: int, descending: bool
    ) -> list[Stream]:
        def key(stream: Stream) -> tuple[int, str]:
            return (-1 if stream.last is None else stream.last, stream.name)

        streams = sorted(self._streams.get(group, {}).values(), key=key, reverse=descending)
        if after is not None:
            streams = [item for item in streams if (key(item) < after if descending else key(item) > after)]
        return streams[:limit]

    async def append(
        self, group: str, stream: str, events: Sequence[tuple[int, str]], now: int, source: Source | None = None
    ) -> int:
        known = self._streams.get(group, {}).get(stream)
        if known is None:
            raise StreamMissing(stream)
        if source is not None:
            held = await self.position(source.workload, source.container)
            if held is not None and source.previous < held:
                return held
            self._positions[source.workload, source.container] = (source.position, now)
        kept = self._events.setdefault(group, [])
        for timestamp, message in events:
            self._last_id += 1
            event = LogEvent(self._last_id, timestamp, now, stream, message)
            bisect.insort(kept, event, key=lambda item: item.place)
        if events:
            stamps = [timestamp for timestamp, _ in events]
            self._streams[group][stream] = dataclasses.replace(
                known,
                first=min(stamps) if known.first is None else min(known.first, *stamps),
                last=max(stamps) if known.last is None else max(known.last, *stamps),
                ingested=now,
                bytes=known.bytes + sum(len(message.encode()) + EVENT_OVERHEAD for _, message in events),
            )
        self._drop(group, max(0, len(kept) - self._kept))
        return 0 if source is None else source.position

    def _drop(self, group: str, count: int) -> None:
        """The `count` oldest events of a group."""
        kept = self._events.get(group, [])
        for event in kept[:count]:
            stream = self._streams[group][event.stream]
            self._streams[group][event.stream] = dataclasses.replace(stream, bytes=stream.bytes - event.size)
        del kept[:count]

    async def position(self, workload: str, container: str) -> int | None:
        found = self._positions.get((workload, container))
        return None if found is None else found[0]

    async def search(self, query: Query) -> Scan:
        events = [event for event in self._events.get(query.group, ()) if query.start <= event.timestamp <= query.end]
        if query.backward:
            events = [event for event in reversed(events) if event.place < query.after]
        else:
            events = [event for event in events if event.place > query.after]
        if query.streams is not None:
            events = [event for event in events if event.stream in query.streams]
        if query.prefix:
            events = [event for event in events if event.stream.startswith(query.prefix)]
        found: list[LogEvent] = []
        room, at = query.bytes, query.after
        for looked, event in enumerate(events):
            if looked >= query.budget:
                return Scan(tuple(found), at)
            if query.matches is None or query.matches(event.message):
                room -= event.size
                if found and (room < 0 or len(found) >= query.limit):
                    return Scan(tuple(found), at)
                found.append(event)
            at = Place(event.timestamp, event.id)
        return Scan(tuple(found), None)

    async def stored_bytes(self, groups: Sequence[str]) -> dict[str, int]:
        return {
            group: sum(stream.bytes for stream in self._streams[group].values())
            for group in groups
            if self._streams.get(group)
        }

    async def expire(self, group: str, before: int, limit: int) -> int:
        old = bisect.bisect_left(self._events.get(group, ()), before, key=lambda event: event.timestamp)
        count = min(old, limit)
        self._drop(group, count)
        return count

    async def forget(self, groups: frozenset[str], before: int) -> None:
        for group, streams in list(self._streams.items()):
            newest = max((max(stream.created, stream.ingested or 0) for stream in streams.values()), default=0)
            if group not in groups and newest < before:
                await self.delete_group(group)
        self._positions = {key: held for key, held in self._positions.items() if held[1] >= before}

    async def close(self) -> None:
        self._streams.clear()
        self._events.clear()
