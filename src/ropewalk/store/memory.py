"""The store in memory: the reference of what a store means, and the state of simulated installations and tests.

Nothing survives the process; everything else is as in the others, bounded history included.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from ropewalk.base.clock import Clock, SystemClock
from ropewalk.base.entropy import Entropy
from ropewalk.store import keyspace
from ropewalk.store.bounds import check_key, check_lease, check_limit, check_write
from ropewalk.store.keyspace import Change, Keyspace, Retention
from ropewalk.store.leases import LeaseBook
from ropewalk.store.protocol import MAX_PAGE, Entry, Event, Identity, Lease, Page, Revision, StoreClosed


class MemoryStore:
    """See `ropewalk.store.protocol.Store`. Leases and history's age are judged on `clock`."""

    def __init__(self, entropy: Entropy, *, clock: Clock | None = None, retention: Retention | None = None) -> None:
        clock = clock or SystemClock()
        self._identity = Identity(store_id=entropy.hex(32), epoch=1)
        self._keys = Keyspace(clock, retention or Retention())
        self._leases = LeaseBook(clock)
        self._closed = False

    @property
    def identity(self) -> Identity:
        return self._identity

    @property
    def revision(self) -> Revision:
        return self._keys.revision

    @property
    def watches_keep_up(self) -> bool:
        return True

    async def bump_epoch(self) -> Identity:
        self._check_open()
        self._identity = Identity(self._identity.store_id, self._identity.epoch + 1)
        return self._identity

    async def get(self, key: str) -> Entry | None:
        self._check_open()
        check_key(key)
        return self._keys.get(key)

    async def list(
        self, prefix: str, *, after: str = "", limit: int = MAX_PAGE, revision: Revision | None = None
    ) -> Page:
        self._check_open()
        check_limit(limit)
        return self._keys.page(prefix, after, limit, revision)

    async def create(self, key: str, value: bytes) -> Revision:
        self._check_open()
        check_write(key, value)
        return self._apply(keyspace.decide_create(key, value, self._keys.get(key), self._next()))

    async def update(self, key: str, value: bytes, expected: Revision) -> Revision:
        self._check_open()
        check_write(key, value)
        return self._apply(keyspace.decide_update(key, value, expected, self._keys.get(key), self._next()))

    async def delete(self, key: str, expected: Revision | None = None) -> Revision:
        self._check_open()
        check_key(key)
        return self._apply(keyspace.decide_delete(key, expected, self._keys.get(key), self._next()))

    def watch(self, prefix: str, after: Revision) -> AsyncGenerator[Event, None]:
        return self._keys.watch(prefix, after)

    async def compact(self, before: Revision) -> None:
        self._check_open()
        self._keys.compact(before)

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease:
        self._check_open()
        check_lease(name, holder, seconds)
        return self._leases.acquire(name, holder, seconds)[0]

    async def release(self, name: str, holder: str) -> None:
        self._check_open()
        self._leases.release(name, holder)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._keys.watchers.close("the store is closed")

    def _next(self) -> Revision:
        return Revision(self._keys.revision + 1)

    def _apply(self, change: Change) -> Revision:
        self._keys.apply((change,))
        self._keys.compact(self._keys.due())
        return change.revision

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("the store is closed")
