"""The one thread that writes a SQLite store: takes what waits, commits it as one group, says so to the event loop.

While a group is on its way to the disk the next one gathers, so a lone writer waits for one fdatasync and 256 writers
share one. Work items of a group succeed or fail together. The loop's side does its work after the commit, never inside
it, and a checkpoint runs in this thread only: a second thread that truncates the log stalls every writer.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ropewalk.base.clock import Clock
from ropewalk.base.log import logger
from ropewalk.store.keyspace import Change
from ropewalk.store.leases import Held
from ropewalk.store.protocol import Identity, Revision
from ropewalk.store.sqlite_file import DatabaseFile
from ropewalk.store.sqlite_lock import Mark, write_mark

log = logger(__name__)

_GROUP = 1024
MARK_EVERY = 1.0
"""Seconds the mark may lag behind the database."""


@dataclass(frozen=True, slots=True)
class Write:
    """A decided change and who waits for it."""

    change: Change
    waiter: asyncio.Future[Revision]


@dataclass(frozen=True, slots=True)
class Forget:
    """Rows to drop: these changes were compacted away."""

    gone: Sequence[Change]
    oldest: Revision


@dataclass(frozen=True, slots=True)
class Keep:
    """A lease row, or a new epoch, and who waits for it."""

    what: Held | int
    waiter: asyncio.Future[None]


Work = Write | Forget | Keep
Report = Callable[[Sequence[Work], Exception | None], None]
"""Called on the loop after each group: its work, and why it failed if it did."""


class Committer:
    """Commits groups to the database, and keeps the mark beside it. Everything blocks; one thread at a time."""

    def __init__(self, database: DatabaseFile, mark_path: Path, identity: Identity, clock: Clock) -> None:
        self._database = database
        self._mark_path = mark_path
        self._identity = identity
        self._clock = clock
        self._revision = 0
        self._marked = 0
        self._marked_at = 0.0

    def begin(self, revision: int) -> None:
        self._revision = self._marked = revision
        self._marked_at = self._clock.monotonic()

    @property
    def lags(self) -> bool:
        """Whether the mark is behind what is committed."""
        return self._marked != self._revision

    def commit(self, group: Sequence[Work]) -> Exception | None:
        """All of the group, or nothing and why."""
        changes: list[Change] = []
        epoch = 0
        try:
            with self._database.transaction():
                for work in group:
                    if isinstance(work, Write):
                        changes.append(work.change)
                    elif isinstance(work, Forget):
                        self._database.forget(work.gone, work.oldest)
                    elif isinstance(work.what, Held):
                        self._database.keep_lease(work.what)
                    else:
                        epoch = work.what
                        self._database.set_epoch(epoch)
                if changes:
                    self._database.append(changes)
        except (sqlite3.Error, OSError) as error:
            log.error("the store's disk refused a write", error=error)
            return error
        if changes:
            self._revision = changes[-1].revision
        if epoch:
            self._identity = Identity(self._identity.store_id, epoch)
            self.mark()
        elif self._clock.monotonic() - self._marked_at >= MARK_EVERY:
            self.mark()
        return None

    def mark(self) -> None:
        self._marked_at = self._clock.monotonic()
        self._marked = self._revision
        mark = Mark(self._identity.store_id, self._identity.epoch, self._revision)
        try:
            write_mark(self._mark_path, mark, durable=self._database.power_safe)
        except OSError as error:
            log.warning("the store's mark was not written", path=os.fspath(self._mark_path), error=error)

    def close(self) -> None:
        self._database.close()


class Writer(Protocol):
    """What the store hands its work to."""

    def start(self, loop: asyncio.AbstractEventLoop, report: Report, revision: int) -> None: ...

    def put(self, work: Work) -> None: ...

    async def close(self) -> None:
        """Commit what waits, then let the file go."""
        ...


class WriterThread:
    """Owns the database from `start` to the end of `close`. A `Writer`.

    Groups are made on the loop's side: what one turn of the loop writes is handed over together, and what comes while a
    group is on its way to the disk is the next. Handing over each write by itself would make every one a group of its
    own, since the thread would take the interpreter's lock from the very loop that is about to write more.
    """

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._queue: queue.SimpleQueue[list[Work] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="ropewalk store", daemon=True)
        self._waiting: list[Work] = []
        self._handing_over = False
        """A group is with the thread, or the loop will hand one over in its next turn."""

    def start(self, loop: asyncio.AbstractEventLoop, report: Report, revision: int) -> None:
        self._loop = loop
        self._report = report
        self._committer.begin(revision)
        self._thread.start()

    def put(self, work: Work) -> None:
        self._waiting.append(work)
        if not self._handing_over:
            self._handing_over = True
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        group = self._waiting[:_GROUP]
        del self._waiting[:_GROUP]
        self._handing_over = bool(group)
        if group:
            self._queue.put(group)

    def _committed(self, group: Sequence[Work], failure: Exception | None) -> None:
        """On the loop. The next group goes first: its way to the disk is the longer one."""
        self._hand_over()
        self._report(group, failure)

    async def close(self) -> None:
        while self._waiting:
            self._hand_over()
        self._queue.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _run(self) -> None:
        failure: Exception | None = None
        try:
            while (group := self._next()) is not None:
                if failure is None:
                    failure = self._committer.commit(group)
                try:
                    self._loop.call_soon_threadsafe(self._committed, group, failure)
                except RuntimeError:
                    return  # the loop is gone, and with it all who could be answered
            self._committer.mark()
        finally:
            self._committer.close()

    def _next(self) -> list[Work] | None:
        """The next group; None is the end."""
        while True:
            try:
                return self._queue.get(timeout=MARK_EVERY if self._committer.lags else None)
            except queue.Empty:
                self._committer.mark()
