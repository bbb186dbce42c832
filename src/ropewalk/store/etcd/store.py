"""The store on etcd v3: for a control plane on several hosts.

Everything lies under one prefix: `<prefix>/data` + key, the identity, the leases. etcd's own revisions are ours: each
write is one transaction on one key, so no two events share a revision. They are etcd's for all its prefixes, so they
may skip; and so is compaction: let etcd do it (`--auto-compaction-retention`), and give it room for our largest values
(`--max-request-bytes=2097152`). A watch that loses its connection resumes after the last event it gave.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import msgspec

from ropewalk.base.clock import Clock, SystemClock
from ropewalk.base.entropy import Entropy
from ropewalk.base.log import logger
from ropewalk.store.bounds import check_key, check_lease, check_limit, check_write
from ropewalk.store.etcd._generated import etcd_pb2 as pb
from ropewalk.store.etcd.calls import Calls, Credentials
from ropewalk.store.etcd.leases import EtcdLeases
from ropewalk.store.protocol import (
    MAX_PAGE,
    Compacted,
    Entry,
    Event,
    EventKind,
    Identity,
    KeyExists,
    KeyMissing,
    Lease,
    Page,
    Revision,
    StoreClosed,
    StoreUnavailable,
    WrongRevision,
)

log = logger(__name__)


class EtcdStore:
    """See `ropewalk.store.protocol.Store`. Made by `open`. Raises `StoreUnavailable` while etcd cannot be reached."""

    def __init__(self, calls: Calls, prefix: bytes, identity: Identity, revision: int, clock: Clock) -> None:
        self._calls = calls
        self._data = prefix + b"/data"
        self._identity_key = prefix + b"/identity"
        self._identity = identity
        self._revision = revision
        self._clock = clock
        self._leases = EtcdLeases(calls, prefix + b"/lease")
        self._closed = asyncio.Event()
        self._follower = asyncio.create_task(self._follow_identity(), name="etcd identity")

    @classmethod
    async def open(
        cls,
        address: str,
        prefix: str,
        entropy: Entropy,
        *,
        clock: Clock | None = None,
        credentials: Credentials | None = None,
    ) -> EtcdStore:
        """`prefix` (such as "/ropewalk/main") keeps installations that share an etcd apart."""
        root = prefix.rstrip("/").encode()
        calls = Calls(address, credentials)
        key = root + b"/identity"
        fresh = msgspec.json.encode(Identity(entropy.hex(32), 1))
        try:
            answer = await calls.txn(
                pb.TxnRequest(
                    compare=[_at_revision(key, 0)],
                    success=[pb.RequestOp(request_put=pb.PutRequest(key=key, value=fresh))],
                    failure=[pb.RequestOp(request_range=pb.RangeRequest(key=key))],
                )
            )
        except BaseException:
            await calls.close()
            raise
        found = fresh if answer.succeeded else answer.responses[0].response_range.kvs[0].value
        identity = msgspec.json.decode(found, type=Identity)
        return cls(calls, root, identity, answer.header.revision, clock or SystemClock())

    @property
    def identity(self) -> Identity:
        return self._identity

    @property
    def revision(self) -> Revision:
        """The greatest that this client has seen."""
        return Revision(self._revision)

    @property
    def watches_keep_up(self) -> bool:
        return False

    async def bump_epoch(self) -> Identity:
        while True:
            read = await self._calls.range(pb.RangeRequest(key=self._identity_key))
            found = read.kvs[0]
            identity = msgspec.json.decode(found.value, type=Identity)
            fresh = Identity(identity.store_id, identity.epoch + 1)
            put = pb.PutRequest(key=self._identity_key, value=msgspec.json.encode(fresh))
            written = await self._calls.txn(
                pb.TxnRequest(
                    compare=[_at_revision(self._identity_key, found.mod_revision)],
                    success=[pb.RequestOp(request_put=put)],
                )
            )
            if written.succeeded:
                self._identity = fresh
                return fresh

    async def get(self, key: str) -> Entry | None:
        check_key(key)
        answer = await self._calls.range(pb.RangeRequest(key=self._key(key)))
        self._saw(answer.header.revision)
        return self._entry(answer.kvs[0]) if answer.kvs else None

    async def list(
        self, prefix: str, *, after: str = "", limit: int = MAX_PAGE, revision: Revision | None = None
    ) -> Page:
        check_limit(limit)
        start = self._key(after) + b"\0" if after >= prefix and after else self._key(prefix)
        request = pb.RangeRequest(key=start, range_end=_end_of(self._key(prefix)), limit=limit, revision=revision or 0)
        try:
            answer = await self._calls.range(request)
        except Compacted:
            raise Compacted(await self._oldest()) from None
        self._saw(answer.header.revision)
        at = Revision(answer.header.revision if revision is None else revision)
        return Page(tuple(map(self._entry, answer.kvs)), at, answer.count - len(answer.kvs))

    async def create(self, key: str, value: bytes) -> Revision:
        check_write(key, value)
        put = pb.PutRequest(key=self._key(key), value=value)
        answer = await self._calls.txn(
            pb.TxnRequest(compare=[_at_revision(put.key, 0)], success=[pb.RequestOp(request_put=put)])
        )
        if not answer.succeeded:
            raise KeyExists(key)
        return self._saw(answer.header.revision)

    async def update(self, key: str, value: bytes, expected: Revision) -> Revision:
        check_write(key, value)
        put = pb.RequestOp(request_put=pb.PutRequest(key=self._key(key), value=value))
        return await self._change(key, expected, put)

    async def delete(self, key: str, expected: Revision | None = None) -> Revision:
        check_key(key)
        drop = pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=self._key(key)))
        return await self._change(key, expected, drop)

    async def _change(self, key: str, expected: int | None, change: pb.RequestOp) -> Revision:
        """Do `change` to a key that is there, at the revision expected where one is."""
        full = self._key(key)
        compare = [pb.Compare(result=pb.Compare.GREATER, target=pb.Compare.VERSION, key=full, version=0)]
        if expected is not None:
            compare.append(_at_revision(full, expected))
        look = pb.RequestOp(request_range=pb.RangeRequest(key=full))
        answer = await self._calls.txn(pb.TxnRequest(compare=compare, success=[change], failure=[look]))
        if answer.succeeded:
            return self._saw(answer.header.revision)
        found = answer.responses[0].response_range.kvs
        if not found:
            raise KeyMissing(key)
        raise WrongRevision(key, expected or 0, found[0].mod_revision)

    async def watch(self, prefix: str, after: Revision) -> AsyncGenerator[Event, None]:
        cursor = int(after)
        while True:
            try:
                async with aclosing(self._responses(self._key(prefix), cursor)) as responses:
                    async for response in responses:
                        for raw in response.events:
                            if raw.kv.mod_revision <= cursor:
                                continue
                            cursor = raw.kv.mod_revision
                            self._saw(cursor)
                            yield self._event(raw)
                        if not response.events and not response.created:
                            cursor = max(cursor, response.header.revision)  # all up to here was given
            except StoreUnavailable as lost:
                log.warning("watch lost its connection, resuming", prefix=prefix, after=cursor, reason=lost.reason)
                await self._sleep(lost.after)

    async def _responses(self, key: bytes, cursor: int) -> AsyncGenerator[pb.WatchResponse, None]:
        """The raw stream. Starts at the revision already seen, so that etcd says when what follows it is gone."""
        request = pb.WatchCreateRequest(
            key=key, range_end=_end_of(key), start_revision=max(cursor, 1), prev_kv=True, progress_notify=True
        )
        async with aclosing(self._calls.watch(request)) as responses:
            async for response in responses:
                yield response

    async def compact(self, before: Revision) -> None:
        present = (await self._calls.range(pb.RangeRequest(key=self._identity_key))).header.revision
        target = min(before, present)
        if target > 0:
            with suppress(Compacted):
                await self._calls.compact(target)

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease:
        check_lease(name, holder, seconds)
        return await self._leases.acquire(name, holder, seconds)

    async def release(self, name: str, holder: str) -> None:
        await self._leases.release(name, holder)

    async def close(self) -> None:
        if self._closed.is_set():
            return
        self._closed.set()
        self._follower.cancel()
        await asyncio.gather(self._follower, return_exceptions=True)
        await self._calls.close()

    async def _follow_identity(self) -> None:
        """See epochs that other processes begin."""
        while True:
            try:
                read = await self._calls.range(pb.RangeRequest(key=self._identity_key))
                self._take_identity(read.kvs[0])
                async with aclosing(self._responses(self._identity_key, read.header.revision)) as responses:
                    async for response in responses:
                        for event in response.events:
                            if event.type == pb.Event.PUT:
                                self._take_identity(event.kv)
            except (StoreUnavailable, Compacted):
                await self._sleep(1.0)
            except StoreClosed:
                return

    def _take_identity(self, found: pb.KeyValue) -> None:
        identity = msgspec.json.decode(found.value, type=Identity)
        if identity.store_id != self._identity.store_id or identity.epoch > self._identity.epoch:
            self._identity = identity

    async def _oldest(self) -> int:
        """The revision etcd was compacted to: it tells only those who watch from too early."""
        request = pb.WatchCreateRequest(key=self._identity_key, start_revision=1)
        try:
            async with aclosing(self._calls.watch(request)) as responses:
                async for response in responses:
                    if not response.created:
                        break
        except Compacted as gone:
            return gone.oldest
        return 1

    async def _sleep(self, seconds: float) -> None:
        """On the clock, cut short by `close`."""
        waits: set[asyncio.Future[object]] = {
            asyncio.ensure_future(self._clock.sleep(seconds)),
            asyncio.ensure_future(self._closed.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _key(self, key: str) -> bytes:
        return self._data + key.encode()

    def _saw(self, revision: int) -> Revision:
        self._revision = max(self._revision, revision)
        return Revision(revision)

    def _entry(self, found: pb.KeyValue) -> Entry:
        key = found.key[len(self._data) :].decode()
        return Entry(key, found.value, Revision(found.mod_revision), Revision(found.create_revision))

    def _event(self, raw: pb.Event) -> Event:
        key = raw.kv.key[len(self._data) :].decode()
        revision = Revision(raw.kv.mod_revision)
        if raw.type == pb.Event.DELETE:
            last = raw.prev_kv
            return Event(EventKind.DELETE, key, last.value, revision, Revision(last.create_revision), last.value)
        previous = raw.prev_kv.value if raw.kv.version > 1 else None
        return Event(EventKind.PUT, key, raw.kv.value, revision, Revision(raw.kv.create_revision), previous)


def _at_revision(key: bytes, revision: int) -> pb.Compare:
    """The key was last written at `revision`; 0 means that it is not there."""
    return pb.Compare(result=pb.Compare.EQUAL, target=pb.Compare.MOD, key=key, mod_revision=revision)


def _end_of(prefix: bytes) -> bytes:
    """The first key after all that start with `prefix`, which is UTF-8 and so never ends in 0xff."""
    return prefix[:-1] + bytes([prefix[-1] + 1])
