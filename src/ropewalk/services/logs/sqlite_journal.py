"""The journal on disk: one SQLite file under `<home>/logs`, apart from the store.

One thread writes: it takes every write that waits, commits them together with one fsync, and only then answers. Reads
run in two other threads on connections of their own, searches with their pattern there too, so that the loop never
waits for either. Memory is bounded by SQLite's caches, by the writes that may wait, and by what one search may return.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ropewalk.base.log import logger
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

log = logger(__name__)

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]
"""`Any`: each work has a result of its own, typed again where it is handed out."""

WAITING_WRITES = 64
"""Each at most a batch of about a megabyte; more writers wait their turn."""
READERS = 2
CHUNK = 1000
"""Events fetched at once by a search."""
DELETED_AT_ONCE = 5_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS streams (
  id INTEGER PRIMARY KEY AUTOINCREMENT, grp TEXT NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL,
  first INTEGER, last INTEGER, ingested INTEGER, bytes INTEGER NOT NULL DEFAULT 0, UNIQUE (grp, name)
);
CREATE INDEX IF NOT EXISTS streams_by_time ON streams (grp, coalesce(last, -1), name);
CREATE TABLE IF NOT EXISTS events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, grp TEXT NOT NULL, stream INTEGER NOT NULL, timestamp INTEGER NOT NULL,
  ingested INTEGER NOT NULL, message TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_stream ON events (stream, timestamp);
CREATE INDEX IF NOT EXISTS events_by_group ON events (grp, timestamp);
CREATE TABLE IF NOT EXISTS doomed (stream INTEGER PRIMARY KEY);
CREATE TABLE IF NOT EXISTS positions (
  workload TEXT NOT NULL, container TEXT NOT NULL, position INTEGER NOT NULL, at INTEGER NOT NULL,
  PRIMARY KEY (workload, container)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class _Waiting:
    work: Work
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


class SqliteJournal:
    """See `ropewalk.services.logs.journal.Journal`. Made by `open`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(WAITING_WRITES)
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._readers = ThreadPoolExecutor(READERS, "logs-read")
        self._writer = threading.Thread(target=self._write_all, name="logs-write", daemon=True)
        self._closed = False
        self._reaping = True
        """Whether doomed streams may still have events. The writer thread's own."""

    @staticmethod
    async def open(path: Path) -> SqliteJournal:
        journal = SqliteJournal(path)
        await asyncio.to_thread(journal._prepare)
        journal._writer.start()
        return journal

    def _prepare(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = self._connect()
        try:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(_SCHEMA)
        finally:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-8192")
        return connection

    # --- writing

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise RuntimeError("the journal is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        async with self._room:
            self._queue.put(_Waiting(work, loop, future))
            return await asyncio.shield(future)

    def _write_all(self) -> None:
        """The writer thread: until None comes."""
        connection = self._connect()
        going = True
        while going:
            batch: list[_Waiting] = []
            try:
                item = self._queue.get(block=not self._reaping)
            except queue.Empty:
                self._reap(connection)
                continue
            while True:
                if item is None:
                    going = False
                    break
                batch.append(item)
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if batch:
                _commit(connection, batch)
        connection.close()

    async def create_stream(self, group: str, name: str, now: int) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            made = connection.execute(
                "INSERT OR IGNORE INTO streams (grp, name, created) VALUES (?, ?, ?)", (group, name, now)
            )
            return made.rowcount == 1

        return await self._write(work)

    async def delete_stream(self, group: str, name: str) -> bool:
        return await self._write(lambda connection: self._doom(connection, "grp = ? AND name = ?", (group, name))) > 0

    async def delete_group(self, group: str) -> None:
        await self._write(lambda connection: self._doom(connection, "grp = ?", (group,)))

    def _doom(self, connection: sqlite3.Connection, which: str, values: tuple[str, ...]) -> int:
        """Streams vanish at once, and their events with them from every reader; the writer deletes those when idle."""
        connection.execute(f"INSERT INTO doomed SELECT id FROM streams WHERE {which}", values)
        gone = connection.execute(f"DELETE FROM streams WHERE {which}", values).rowcount
        self._reaping = self._reaping or gone > 0
        return gone

    def _reap(self, connection: sqlite3.Connection) -> None:
        """Delete some events of doomed streams."""
        try:
            connection.execute("BEGIN IMMEDIATE")
            found = connection.execute("SELECT stream FROM doomed LIMIT 1").fetchone()
            if found is None:
                self._reaping = False
            else:
                chosen = f"SELECT id FROM events WHERE stream = ? LIMIT {DELETED_AT_ONCE}"
                deleted = connection.execute(f"DELETE FROM events WHERE id IN ({chosen})", found).rowcount
                if deleted < DELETED_AT_ONCE:
                    connection.execute("DELETE FROM doomed WHERE stream = ?", found)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            log.error("log events could not be deleted, will try again at the next start", error=error)
            self._reaping = False
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    async def append(
        self, group: str, stream: str, events: Sequence[tuple[int, str]], now: int, source: Source | None = None
    ) -> int:
        return await self._write(lambda connection: _append(connection, group, stream, events, now, source))

    async def expire(self, group: str, before: int, limit: int) -> int:
        return await self._write(lambda connection: _expire(connection, group, before, limit))

    async def forget(self, groups: frozenset[str], before: int) -> None:
        def work(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute("SELECT grp, max(max(created, coalesce(ingested, 0))) FROM streams GROUP BY grp")
            gone = [str(group) for group, newest in rows.fetchall() if group not in groups and newest < before]
            connection.execute("DELETE FROM positions WHERE at < ?", (before,))
            return gone

        for group in await self._write(work):
            await self.delete_group(group)
        await self._write(lambda connection: connection.execute("PRAGMA incremental_vacuum(2000)").fetchall())

    # --- reading

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise RuntimeError("the journal is closed")

        def run() -> T:
            connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = self._connect()
                self._connections.append(connection)
            return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    async def stream(self, group: str, name: str) -> Stream | None:
        def work(connection: sqlite3.Connection) -> Stream | None:
            row = connection.execute(f"{_STREAM} WHERE grp = ? AND name = ?", (group, name)).fetchone()
            return None if row is None else Stream(*row)

        return await self._read(work)

    async def streams(self, group: str, prefix: str, after: str, limit: int, descending: bool) -> list[Stream]:
        end = _after_all(prefix)
        order = "DESC" if descending else "ASC"
        low, high = (prefix, after or end) if descending else (after or prefix, end)
        bounds = "name >= ? AND name < ?" if descending or not after else "name > ? AND name < ?"

        def work(connection: sqlite3.Connection) -> list[Stream]:
            rows = connection.execute(
                f"{_STREAM} WHERE grp = ? AND {bounds} ORDER BY name {order} LIMIT ?", (group, low, high, limit)
            )
            return [Stream(*row) for row in rows]

        return await self._read(work)

    async def streams_by_time(
        self, group: str, after: tuple[int, str] | None, limit: int, descending: bool
    ) -> list[Stream]:
        order, sign = ("DESC", "<") if descending else ("ASC", ">")
        beyond = "" if after is None else f"AND (coalesce(last, -1), name) {sign} (?, ?)"

        def work(connection: sqlite3.Connection) -> list[Stream]:
            rows = connection.execute(
                f"{_STREAM} WHERE grp = ? {beyond} ORDER BY coalesce(last, -1) {order}, name {order} LIMIT ?",
                (group, *(after or ()), limit),
            )
            return [Stream(*row) for row in rows]

        return await self._read(work)

    async def position(self, workload: str, container: str) -> int | None:
        return await self._read(lambda connection: _position(connection, workload, container))

    async def search(self, query: Query) -> Scan:
        return await self._read(lambda connection: _search(connection, query))

    async def stored_bytes(self, groups: Sequence[str]) -> dict[str, int]:
        def work(connection: sqlite3.Connection) -> dict[str, int]:
            marks = ",".join("?" * len(groups))
            rows = connection.execute(
                f"SELECT grp, sum(bytes) FROM streams WHERE grp IN ({marks}) GROUP BY grp", tuple(groups)
            )
            return {group: int(total) for group, total in rows}

        return await self._read(work)

    async def close(self) -> None:
        """Finishes what waits, then lets go of the file."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._connections:
            connection.close()


_STREAM = "SELECT name, created, first, last, ingested, bytes FROM streams"


def _commit(connection: sqlite3.Connection, batch: Sequence[_Waiting]) -> None:
    """One transaction for all; a work that fails leaves no trace and does not take the others with it."""
    answers: list[tuple[_Waiting, Any, Exception | None]] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for waiting in batch:
            connection.execute("SAVEPOINT work")
            try:
                answers.append((waiting, waiting.work(connection), None))
            except Exception as error:
                connection.execute("ROLLBACK TO work")
                answers.append((waiting, None, error))
            connection.execute("RELEASE work")
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        log.error("log events could not be written", error=error)
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        answers = [(waiting, None, error) for waiting in batch]
    for waiting, result, failure in answers:
        try:
            waiting.loop.call_soon_threadsafe(_settle, waiting.future, result, failure)
        except RuntimeError:
            log.warning("a writer of log events left before its answer")


def _settle(future: asyncio.Future[Any], result: Any, failure: Exception | None) -> None:
    if future.cancelled():
        return
    if failure is None:
        future.set_result(result)
    else:
        future.set_exception(failure)


def _position(connection: sqlite3.Connection, workload: str, container: str) -> int | None:
    row = connection.execute(
        "SELECT position FROM positions WHERE workload = ? AND container = ?", (workload, container)
    ).fetchone()
    return None if row is None else int(row[0])


def _append(
    connection: sqlite3.Connection,
    group: str,
    stream: str,
    events: Sequence[tuple[int, str]],
    now: int,
    source: Source | None,
) -> int:
    row = connection.execute("SELECT id FROM streams WHERE grp = ? AND name = ?", (group, stream)).fetchone()
    if row is None:
        raise StreamMissing(stream)
    if source is not None:
        held = _position(connection, source.workload, source.container)
        if held is not None and source.previous < held:
            return held
        connection.execute(
            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)",
            (source.workload, source.container, source.position, now),
        )
    if events:
        connection.executemany(
            "INSERT INTO events (grp, stream, timestamp, ingested, message) VALUES (?, ?, ?, ?, ?)",
            [(group, row[0], timestamp, now, message) for timestamp, message in events],
        )
        stamps = [timestamp for timestamp, _ in events]
        size = sum(len(message.encode()) + EVENT_OVERHEAD for _, message in events)
        connection.execute(
            "UPDATE streams SET first = min(coalesce(first, ?1), ?1), last = max(coalesce(last, ?2), ?2), "
            "ingested = ?3, bytes = bytes + ?4 WHERE id = ?5",
            (min(stamps), max(stamps), now, size, row[0]),
        )
    return 0 if source is None else source.position


def _expire(connection: sqlite3.Connection, group: str, before: int, limit: int) -> int:
    rows = connection.execute(
        "SELECT id, stream, length(CAST(message AS BLOB)) FROM events WHERE grp = ? AND timestamp < ? "
        "ORDER BY timestamp LIMIT ?",
        (group, before, limit),
    ).fetchall()
    freed: dict[int, int] = {}
    for _, stream, size in rows:
        freed[stream] = freed.get(stream, 0) + size + EVENT_OVERHEAD
    connection.executemany("DELETE FROM events WHERE id = ?", [(row[0],) for row in rows])
    connection.executemany(
        "UPDATE streams SET bytes = bytes - ? WHERE id = ?", [(size, stream) for stream, size in freed.items()]
    )
    return len(rows)


FEW_STREAMS = 8
"""Up to so many streams are read by themselves and merged; for more, the group's events are read and sifted."""


def _search(connection: sqlite3.Connection, query: Query) -> Scan:
    names = _names(connection, query)
    found: list[LogEvent] = []
    room, looked, at = query.bytes, 0, query.after
    while True:
        rows = _chunk(connection, query, at, list(names))
        for identifier, stream, timestamp, ingested, message in rows:
            if looked >= query.budget:
                return Scan(tuple(found), at)
            looked += 1
            name = names.get(stream)
            if name is not None and (query.matches is None or query.matches(message)):
                event = LogEvent(identifier, timestamp, ingested, name, message)
                room -= event.size
                if found and (room < 0 or len(found) >= query.limit):
                    return Scan(tuple(found), at)
                found.append(event)
            at = Place(timestamp, identifier)
        if len(rows) < CHUNK:
            return Scan(tuple(found), None)


def _names(connection: sqlite3.Connection, query: Query) -> dict[int, str]:
    """Of the streams that the search is over, by id."""
    which, values = "SELECT id, name FROM streams WHERE grp = ?", [query.group]
    if query.prefix:
        which += " AND name >= ? AND name < ?"
        values += [query.prefix, _after_all(query.prefix)]
    if query.streams is not None:
        which += f" AND name IN ({','.join('?' * len(query.streams))})"
        values += query.streams
    names: dict[int, str] = dict(connection.execute(which, values).fetchall())
    return names


def _after_all(prefix: str) -> str:
    """Above every name that begins so."""
    return prefix + "\U0010ffff" if prefix else "\U0010ffff" * 8


def _chunk(
    connection: sqlite3.Connection, query: Query, at: Place, streams: list[int]
) -> list[tuple[int, int, int, int, str]]:
    """The next events beyond `at`, in order: complete up to the last of them, and no more where fewer than CHUNK."""
    order, sign = ("DESC", "<") if query.backward else ("ASC", ">")
    rest = f"timestamp BETWEEN ? AND ? AND (timestamp, id) {sign} (?, ?) ORDER BY timestamp {order}, id {order} LIMIT ?"
    low, high = query.start, query.end
    if query.backward:
        high = min(high, at.timestamp)
    else:
        low = max(low, at.timestamp)  # where the index is entered: the row values alone would not tell SQLite
    tail = (low, high, at.timestamp, at.id, CHUNK)
    columns = "SELECT id, stream, timestamp, ingested, message FROM events"
    if (query.streams is None and not query.prefix) or len(streams) > FEW_STREAMS:
        return connection.execute(f"{columns} WHERE grp = ? AND {rest}", (query.group, *tail)).fetchall()
    rows: list[tuple[int, int, int, int, str]] = []
    for stream in streams:
        rows.extend(connection.execute(f"{columns} WHERE stream = ? AND {rest}", (stream, *tail)).fetchall())
    rows.sort(key=lambda row: (row[2], row[0]), reverse=query.backward)
    return rows[:CHUNK]
