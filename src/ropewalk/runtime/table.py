"""A typed view on one prefix of the store: records in and out, revisions kept.

A record is a frozen msgspec Struct; it is stored as JSON, so that a store can be read with any tool. `mutate` is the
one way to change a record that others change too: read, apply a pure function, write at the revision read, again on
conflict (bounded).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from ropewalk.base.errors import Retryable
from ropewalk.store.protocol import KeyExists, KeyMissing, Revision, Store, WrongRevision

R = TypeVar("R", bound=msgspec.Struct)

_CONFLICT_TRIES = 16
"""More than the writers of any one record; past it the queue's back-off is the better judge."""


@dataclass(frozen=True, slots=True)
class Versioned(Generic[R]):
    """A record and the revision it was read at."""

    key: str
    record: R
    revision: Revision


class Table(Generic[R]):
    """Records of one type under one prefix. Keys given and returned are relative to the prefix."""

    def __init__(self, store: Store, prefix: str, record: type[R]) -> None:
        if not (prefix.startswith("/") and prefix.endswith("/")):
            raise ValueError(f"a table's prefix begins and ends with a slash, not {prefix!r}")
        self.store = store
        self.prefix = prefix
        self.record_type = record
        self._decoder = msgspec.json.Decoder(record)
        self._encoder = msgspec.json.Encoder()

    def decode(self, value: bytes) -> R:
        return self._decoder.decode(value)

    def encode(self, record: R) -> bytes:
        return self._encoder.encode(record)

    async def find(self, key: str) -> Versioned[R] | None:
        entry = await self.store.get(self.prefix + key)
        return None if entry is None else Versioned(key, self.decode(entry.value), entry.revision)

    async def get(self, key: str) -> R | None:
        found = await self.find(key)
        return None if found is None else found.record

    async def list(self, under: str = "") -> list[Versioned[R]]:
        """Every record whose key starts with `under`, in key order."""
        found: list[Versioned[R]] = []
        cut = len(self.prefix)
        after = ""
        while True:
            page = await self.store.list(self.prefix + under, after=after)
            found.extend(Versioned(e.key[cut:], self.decode(e.value), e.revision) for e in page.entries)
            if not page.more:
                return found
            after = page.entries[-1].key

    async def records(self, under: str = "") -> Iterable[R]:
        return [item.record for item in await self.list(under)]

    async def create(self, key: str, record: R) -> Revision:
        """Raises `KeyExists`."""
        return await self.store.create(self.prefix + key, self.encode(record))

    async def update(self, key: str, record: R, expected: Revision) -> Revision:
        """Raises `KeyMissing`, `WrongRevision`."""
        return await self.store.update(self.prefix + key, self.encode(record), expected)

    async def delete(self, key: str, expected: Revision | None = None) -> bool:
        """Whether there was such a record."""
        try:
            await self.store.delete(self.prefix + key, expected)
        except KeyMissing:
            return False
        return True

    async def mutate(self, key: str, change: Callable[[R], R | None]) -> R | None:
        """Apply `change` to the record at `key` until it sticks; None from `change` leaves the record alone.

        Returns the record as it stands afterwards, or None where there is none.
        """
        for _ in range(_CONFLICT_TRIES):
            found = await self.find(key)
            if found is None:
                return None
            changed = change(found.record)
            if changed is None or changed == found.record:
                return found.record
            try:
                await self.update(key, changed, found.revision)
            except WrongRevision:
                continue
            except KeyMissing:
                return None
            return changed
        raise Retryable(f"{self.prefix}{key} is written by many at once", after=0.05)

    async def put(self, key: str, record: R) -> Revision:
        """Create or replace, whatever is there."""
        for _ in range(_CONFLICT_TRIES):
            found = await self.find(key)
            try:
                if found is None:
                    return await self.create(key, record)
                return await self.update(key, record, found.revision)
            except (KeyExists, KeyMissing, WrongRevision):
                continue
        raise Retryable(f"{self.prefix}{key} is written by many at once", after=0.05)
