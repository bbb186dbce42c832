"""What every backend promises; the contract suite in `tests/contract/test_store.py` holds each to it.

A store maps keys (paths such as `/ecs/clusters/default`) to raw JSON bytes. Every write gets a revision of its own,
greater than all before it: no two events that one watch can see share a revision, so a watcher may resume after any
single event. Writes answer, and watch events appear, only once the write is durable.

Leases are apart from the keys: renewing one makes no revision, no history and no event.

Bounds: a key holds at most 1,024 bytes of UTF-8 and no NUL; a value at most 1.5 MiB; a page at most 10,000 entries.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import Enum
from typing import NewType, Protocol

import msgspec

from ropewalk.base.errors import Retryable

Revision = NewType("Revision", int)

MAX_KEY_BYTES = 1024
MAX_VALUE_BYTES = 1536 * 1024
MAX_PAGE = 10_000


class StoreError(Exception):
    """Any refusal of a store. Never shown to a user as it stands: callers say what it means in their terms."""


class KeyExists(StoreError):
    """`create` found the key taken."""


class KeyMissing(StoreError):
    """`update` or `delete` found no such key."""


class WrongRevision(StoreError):
    """The key has moved on: `current` is its revision now."""

    def __init__(self, key: str, expected: int, current: int) -> None:
        super().__init__(f"{key}: expected revision {expected}, it is at {current}")
        self.current = Revision(current)


class Compacted(StoreError):
    """History before `oldest` is gone: list again and watch from the list's revision."""

    def __init__(self, oldest: int) -> None:
        super().__init__(f"history before revision {oldest} was compacted")
        self.oldest = Revision(oldest)


class OutOfBounds(StoreError):
    """A key, value, page or lease outside the bounds named above; nothing was done."""


class FutureRevision(StoreError):
    """A list was asked for at a revision the store has not reached: it was read from another store or epoch."""


class StoreUnavailable(StoreError, Retryable):
    """The backend cannot be reached just now. A write that met this may or may not have happened: read and see."""

    def __init__(self, reason: str, after: float = 1.0) -> None:
        Retryable.__init__(self, reason, after)


class StoreClosed(StoreError):
    """The store is closed or its disk refused a write; nothing more will be answered."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A key as it stands. The garbage collector has nothing to look for in one, and a store has very many."""

    key: str
    value: bytes
    revision: Revision
    """Of its last write."""
    created: Revision
    """Of its creation."""


@dataclass(frozen=True, slots=True)
class Page:
    entries: tuple[Entry, ...]
    revision: Revision
    """The store's revision the page was read at; watch from it to miss nothing."""
    remaining: int
    """Keys of the list after the last entry."""

    @property
    def more(self) -> bool:
        return self.remaining > 0


class EventKind(Enum):
    PUT = "put"
    DELETE = "delete"


class Event(msgspec.Struct, frozen=True, gc=False):
    kind: EventKind
    key: str
    value: bytes
    """The new value; for DELETE the last one."""
    revision: Revision
    created: Revision
    previous: bytes | None
    """The value before this write, None for a creation."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose revisions these are. Restoring or resetting a store changes one of the two."""

    store_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Lease:
    name: str
    holder: str
    """Empty where nobody holds it."""
    term: int
    """Grows by one each time the holder changes."""


class Store(Protocol):
    @property
    def identity(self) -> Identity: ...

    @property
    def revision(self) -> Revision:
        """Of the last durable write."""
        ...

    @property
    def watches_keep_up(self) -> bool:
        """Whether a watch that waits for its next event has it in the loop's turn after `revision` has reached it.

        Then whoever reads `revision` and lets the loop turn knows that every watch has told what came before.
        """
        ...

    async def bump_epoch(self) -> Identity:
        """Begin a new epoch: called when an agent proves that this store was restored to its past."""
        ...

    async def get(self, key: str) -> Entry | None: ...

    async def list(
        self, prefix: str, *, after: str = "", limit: int = MAX_PAGE, revision: Revision | None = None
    ) -> Page:
        """Entries whose key starts with `prefix`, in key order, `after` exclusive; at an older `revision` if asked.

        Raises `Compacted` where that revision is no longer kept, `FutureRevision` where it was not reached yet.
        """
        ...

    async def create(self, key: str, value: bytes) -> Revision:
        """Raises `KeyExists`."""
        ...

    async def update(self, key: str, value: bytes, expected: Revision) -> Revision:
        """Raises `KeyMissing`, `WrongRevision`."""
        ...

    async def delete(self, key: str, expected: Revision | None = None) -> Revision:
        """Raises `KeyMissing`, `WrongRevision`. None deletes whatever is there."""
        ...

    def watch(self, prefix: str, after: Revision) -> AsyncGenerator[Event, None]:
        """Every event under `prefix` with a revision greater than `after`, in order, forever.

        Raises `Compacted` at the first step where `after` is older than the oldest revision kept, or later where the
        watcher fell so far behind that its events were compacted away; `StoreClosed` once the store is closed.
        Close the generator (`aclosing`) where you leave it early.
        """
        ...

    async def compact(self, before: Revision) -> None:
        """Forget history older than `before` (at most the present revision); the newest value of each key stays.

        Afterwards `list` answers at, and `watch` starts after, revisions from `before` on.
        """
        ...

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease:
        """Take or renew the lease for `holder` if it is free, expired or its own; answers who holds it now.

        The term grows whenever a lease that was free or expired is taken, and stays while its holder renews it.
        Count your own time from before this call: the lease may run longer than asked, never shorter.
        """
        ...

    async def release(self, name: str, holder: str) -> None:
        """Give the lease up, if `holder` has it."""
        ...

    async def close(self) -> None: ...
