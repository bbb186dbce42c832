"""Where log events live: streams and their events, by the uid of the group they belong to.

A Protocol with a durable implementation (`sqlite_journal`) and one in memory (`memory_journal`), held to one contract
suite. Knows nothing of names of groups, of quotas, patterns or AWS: the slice does. Streams are kept here rather than
in the store because every event changes its stream's record, and both must change together or not at all.

Times are milliseconds since 1970. Events are ordered by (timestamp, id); ids grow in order of arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

EVENT_OVERHEAD = 26
"""Bytes that AWS adds to each event's text when it counts."""


class Place(NamedTuple):
    """A place between events: after every event up to and including (timestamp, id)."""

    timestamp: int
    id: int


FIRST = Place(-1, 0)
LAST = Place(1 << 62, 0)


@dataclass(frozen=True, slots=True)
class LogEvent:
    id: int
    timestamp: int
    ingested: int
    stream: str
    message: str

    @property
    def place(self) -> Place:
        return Place(self.timestamp, self.id)

    @property
    def size(self) -> int:
        return len(self.message.encode("utf-8", "surrogatepass")) + EVENT_OVERHEAD


@dataclass(frozen=True, slots=True)
class Stream:
    name: str
    created: int
    first: int | None = None
    """Timestamp of the earliest event ever taken; None for none."""
    last: int | None = None
    ingested: int | None = None
    """When the newest event came in."""
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """A container's output as its agent ships it: what has been taken is known by its position."""

    workload: str
    container: str
    previous: int
    position: int


@dataclass(frozen=True, slots=True)
class Scan:
    """One step of a search."""

    events: tuple[LogEvent, ...]
    """In the order asked for."""
    reached: Place | None
    """Where to go on; None where there is nothing beyond."""


Matches = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for, and how far to go in one step."""

    group: str
    start: int
    end: int
    """Both inclusive."""
    after: Place
    """Go on from here: upward, or downward for a backward search."""
    limit: int
    bytes: int
    """Stop before the events' sizes come to more than this, but give at least one."""
    backward: bool = False
    streams: frozenset[str] | None = None
    """Only these; None for all."""
    prefix: str = ""
    """Only streams whose names begin so, however many."""
    matches: Matches | None = None
    budget: int = 1 << 62
    """Look at no more events than this in one step, matching or not."""


class StreamMissing(Exception):
    """No such stream."""


class Journal(Protocol):
    async def create_stream(self, group: str, name: str, now: int) -> bool:
        """False where there is one already."""
        ...

    async def delete_stream(self, group: str, name: str) -> bool:
        """Its events too. False where there is none."""
        ...

    async def delete_group(self, group: str) -> None:
        """Everything of it."""
        ...

    async def stream(self, group: str, name: str) -> Stream | None: ...

    async def streams(self, group: str, prefix: str, after: str, limit: int, descending: bool) -> list[Stream]:
        """By name, `after` exclusive ("" for the beginning)."""
        ...

    async def streams_by_time(
        self, group: str, after: tuple[int, str] | None, limit: int, descending: bool
    ) -> list[Stream]:
        """By (last event's timestamp, name), streams without events as -1; `after` exclusive, None for the first."""
        ...

    async def append(
        self, group: str, stream: str, events: Sequence[tuple[int, str]], now: int, source: Source | None = None
    ) -> int:
        """Durable on return. With a source: takes what is new, and answers the position now held. Without: answers 0.

        A source's batch that begins before the position held and ends after it is not taken: its sender goes on from
        the position answered. Raises `StreamMissing`.
        """
        ...

    async def position(self, workload: str, container: str) -> int | None:
        """What of a container's output is held."""
        ...

    async def search(self, query: Query) -> Scan: ...

    async def stored_bytes(self, groups: Sequence[str]) -> dict[str, int]: ...

    async def expire(self, group: str, before: int, limit: int) -> int:
        """Delete up to `limit` events older than `before`; answers how many."""
        ...

    async def forget(self, groups: frozenset[str], before: int) -> None:
        """Drop groups other than `groups` that have taken nothing since `before`, and positions as old."""
        ...

    async def close(self) -> None: ...
