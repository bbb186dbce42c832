"""The store in one SQLite file: for one process, which owns it by a lock.

Reads and lists come from memory. A write is decided against what is committed and what is on its way, gets its
revision, and goes to the writer; its answer and its event come after the commit. A refusal that rests on a write
still on its way waits for that write too, so that no answer tells of what a crash could undo.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

from ropewalk.base.clock import Clock, SystemClock
from ropewalk.base.collecting import paused
from ropewalk.base.entropy import Entropy
from ropewalk.base.log import logger
from ropewalk.store import keyspace
from ropewalk.store.bounds import check_key, check_lease, check_limit, check_write
from ropewalk.store.keyspace import Change, Keyspace, Retention
from ropewalk.store.leases import Held, LeaseBook
from ropewalk.store.protocol import (
    MAX_PAGE,
    Entry,
    Event,
    Identity,
    Lease,
    Page,
    Revision,
    StoreClosed,
    StoreError,
)
from ropewalk.store.sqlite_file import DatabaseFile, Loaded
from ropewalk.store.sqlite_inline import InlineWriter
from ropewalk.store.sqlite_lock import FileLock, Mark, read_mark, write_mark
from ropewalk.store.sqlite_writer import Committer, Forget, Keep, Work, Write, Writer, WriterThread

log = logger(__name__)

Decide = Callable[[Entry | None, Revision], Change]


class SqliteStore:
    """See `ropewalk.store.protocol.Store`. Made by `open`; leases and history's age are judged on `clock`."""

    def __init__(self, loaded: Loaded, lock: FileLock, writer: Writer, clock: Clock, retention: Retention) -> None:
        self._identity = loaded.identity
        self._epoch = loaded.identity.epoch
        """The last one given out; `identity` follows once it is durable."""
        self._keys = Keyspace(clock, retention, loaded.entries, loaded.history, loaded.oldest)
        self._leases = LeaseBook(clock, loaded.leases)
        self._lock = lock
        self._writer = writer
        self._next = self._keys.revision + 1
        self._staged: dict[str, Write] = {}
        self._leasing: dict[str, asyncio.Future[None]] = {}
        self._closing = False
        self._closed: StoreClosed | None = None
        self._ended = asyncio.Event()
        writer.start(asyncio.get_running_loop(), self._report, self._keys.revision)

    @classmethod
    async def open(
        cls,
        path: Path,
        entropy: Entropy,
        *,
        clock: Clock | None = None,
        retention: Retention | None = None,
        power_safe: bool = True,
    ) -> SqliteStore:
        """Open or create. Raises `StoreClosed` where another process owns the file or the disk refuses it.

        Without `power_safe` what was acknowledged survives the end of the process, not of the machine, and costs
        a tenth.
        """
        clock = clock or SystemClock()
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(path.name + ".lock"))
        mark_path = path.with_name(path.name + ".mark")
        try:
            database, loaded = await asyncio.get_running_loop().run_in_executor(
                None, _load, path, mark_path, entropy.hex(32), power_safe
            )
        except (sqlite3.Error, OSError) as error:
            lock.release()
            raise StoreClosed(f"{path}: {error}") from error
        except BaseException:
            lock.release()
            raise
        committer = Committer(database, mark_path, loaded.identity, clock)
        writer = WriterThread(committer) if power_safe else InlineWriter(committer)
        return cls(loaded, lock, writer, clock, retention or Retention())

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
        self._epoch += 1
        fresh = Identity(self._identity.store_id, self._epoch)
        await asyncio.shield(self._keep(fresh.epoch))
        return fresh

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
        check_write(key, value)
        return await self._write(key, lambda present, at: keyspace.decide_create(key, value, present, at))

    async def update(self, key: str, value: bytes, expected: Revision) -> Revision:
        check_write(key, value)
        return await self._write(key, lambda present, at: keyspace.decide_update(key, value, expected, present, at))

    async def delete(self, key: str, expected: Revision | None = None) -> Revision:
        check_key(key)
        return await self._write(key, lambda present, at: keyspace.decide_delete(key, expected, present, at))

    def watch(self, prefix: str, after: Revision) -> AsyncGenerator[Event, None]:
        return self._keys.watch(prefix, after)

    async def compact(self, before: Revision) -> None:
        self._check_open()
        self._forget(before)

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease:
        self._check_open()
        check_lease(name, holder, seconds)
        lease, row = self._leases.acquire(name, holder, seconds)
        await self._keep_lease(name, row)
        return lease

    async def release(self, name: str, holder: str) -> None:
        self._check_open()
        await self._keep_lease(name, self._leases.release(name, holder))

    async def close(self) -> None:
        """Commits what was asked for before; everything afterwards raises `StoreClosed`."""
        if self._closing:
            await self._ended.wait()
            return
        self._closing = True
        if self._closed is None:
            self._close("the store is closed")
        await self._writer.close()
        await asyncio.sleep(0)  # the last group's report runs
        self._lock.release()
        self._ended.set()

    def _check_open(self) -> None:
        if self._closed is not None:
            raise self._closed

    def _close(self, reason: str) -> None:
        self._closed = StoreClosed(reason)
        self._keys.watchers.close(reason)

    async def _write(self, key: str, decide: Decide) -> Revision:
        self._check_open()
        staged = self._staged.get(key)
        present = self._keys.get(key) if staged is None else staged.change.after
        try:
            change = decide(present, Revision(self._next))
        except StoreError:
            if staged is not None:
                await asyncio.shield(staged.waiter)
            raise
        self._next += 1
        write = Write(change, asyncio.get_running_loop().create_future())
        self._staged[key] = write
        self._writer.put(write)
        return await asyncio.shield(write.waiter)

    async def _keep_lease(self, name: str, row: Held | None) -> None:
        """Write the row, or where there is none wait for the one on its way: a renewal answers for what it renews."""
        if row is not None:
            self._leasing[name] = waiter = self._keep(row)
        elif (found := self._leasing.get(name)) is not None:
            waiter = found
        else:
            return
        try:
            await asyncio.shield(waiter)
        finally:
            if waiter.done() and self._leasing.get(name) is waiter:
                del self._leasing[name]

    def _keep(self, what: Held | int) -> asyncio.Future[None]:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writer.put(Keep(what, waiter))
        return waiter

    def _forget(self, before: int) -> None:
        gone = self._keys.compact(before)
        if gone:
            self._writer.put(Forget(gone, self._keys.oldest))

    def _report(self, group: Sequence[Work], failure: Exception | None) -> None:
        """After a group's commit, on the loop."""
        if failure is not None:
            self._fail(group, failure)
            return
        writes = [work for work in group if isinstance(work, Write)]
        if writes:
            self._keys.apply([write.change for write in writes])
            for write in writes:
                if self._staged.get(write.change.key) is write:
                    del self._staged[write.change.key]
                if not write.waiter.done():
                    write.waiter.set_result(write.change.revision)
            if self._closed is None:
                self._forget(self._keys.due())
        for work in group:
            if isinstance(work, Keep):
                if isinstance(work.what, int):
                    self._identity = Identity(self._identity.store_id, work.what)
                if not work.waiter.done():
                    work.waiter.set_result(None)

    def _fail(self, group: Sequence[Work], failure: Exception) -> None:
        reason = f"the store's disk refused a write ({failure}); free space or mend it, then start again"
        if self._closed is None:
            self._close(reason)
        for work in group:
            if not isinstance(work, Forget) and not work.waiter.done():
                work.waiter.set_exception(StoreClosed(reason))
                work.waiter.exception()  # who was cancelled meanwhile does not come to fetch it


def _load(path: Path, mark_path: Path, fresh_id: str, power_safe: bool) -> tuple[DatabaseFile, Loaded]:
    """Open the file and see whether it is the one that was here before; blocking."""
    database = DatabaseFile(path, power_safe=power_safe)
    try:
        with paused():
            loaded = database.load(fresh_id)
        identity = loaded.identity
        revision = loaded.oldest + len(loaded.history)
        mark = read_mark(mark_path)
        if mark is not None and (
            mark.store_id != identity.store_id or mark.revision > revision or mark.epoch > identity.epoch
        ):
            log.warning("the store was restored to its past, beginning a new epoch", path=path, revision=revision)
            identity = Identity(identity.store_id, max(identity.epoch, mark.epoch) + 1)
            with database.transaction():
                database.set_epoch(identity.epoch)
        write_mark(mark_path, Mark(identity.store_id, identity.epoch, revision), durable=power_safe)
    except BaseException:
        database.close()
        raise
    return database, Loaded(identity, loaded.oldest, loaded.entries, loaded.history, loaded.leases)
