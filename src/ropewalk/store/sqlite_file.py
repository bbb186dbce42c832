"""The database file of the SQLite store: schema, loading, and what one transaction of the writer thread does.

One row a revision (`log`): its value, or NULL for a deletion. A row goes once compaction has passed a later row of its
key. Everything here blocks and is used by one thread at a time; nothing here knows the event loop.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ropewalk.store.keyspace import Change
from ropewalk.store.leases import Held
from ropewalk.store.protocol import Entry, Identity, Lease, Revision, StoreError

_SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE log (revision INTEGER PRIMARY KEY, key TEXT NOT NULL, created INTEGER NOT NULL, value BLOB);
CREATE TABLE lease (name TEXT PRIMARY KEY, holder TEXT NOT NULL, term INTEGER NOT NULL, seconds REAL NOT NULL)
  WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
"""

_CHECKPOINT_PAGES = 2_000
"""Pages of 4 KiB in the write-ahead log before a commit moves them into the file (PASSIVE, by the writer itself)."""
_CHECKPOINT_PAGES_INLINE = 500
"""Where a commit, and so a checkpoint, runs on the event loop: two milliseconds of copying at most."""

_ROWS = 128
"""Inserted at once at most."""


@cache
def _insertion(rows: int) -> str:
    return f"INSERT INTO log VALUES {', '.join(['(?, ?, ?, ?)'] * rows)}"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A database as found."""

    identity: Identity
    oldest: int
    entries: list[Entry]
    """As they stood at `oldest`."""
    history: list[Change]
    leases: tuple[Held, ...]


class DatabaseFile:
    """One open database. Raises sqlite3.Error and OSError as they come."""

    def __init__(self, path: Path, *, power_safe: bool = True) -> None:
        """`power_safe` says whether a commit waits for the disk: without it a power cut may cost the whole file."""
        self.power_safe = power_safe
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite's own files follow its mode
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=32)
        run = self._connection.execute
        run("PRAGMA journal_mode=WAL")
        run(f"PRAGMA synchronous={'FULL' if power_safe else 'OFF'}")
        run(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES if power_safe else _CHECKPOINT_PAGES_INLINE}")
        run("PRAGMA journal_size_limit=16777216")
        run("PRAGMA cache_size=-8192")

    def load(self, fresh_id: str) -> Loaded:
        """Everything in the file; a new file gets its schema and `fresh_id` first."""
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._create(fresh_id)
        elif version != _SCHEMA_VERSION:
            raise StoreError(f"the store's file has schema {version}, this version of Ropewalk knows {_SCHEMA_VERSION}")
        meta = dict(self._connection.execute("SELECT name, value FROM meta"))
        oldest = int(meta["oldest"])
        current: dict[str, Entry] = {}
        history: list[Change] = []
        for change in self._changes(current):
            if change.revision > oldest:
                history.append(change)
        entries = self._undone(current, history)
        leases = tuple(
            Held(Lease(name, holder, term), seconds)
            for name, holder, term, seconds in self._connection.execute("SELECT name, holder, term, seconds FROM lease")
        )
        return Loaded(Identity(meta["store_id"], int(meta["epoch"])), oldest, entries, history, leases)

    def _create(self, store_id: str) -> None:
        self._connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version={_SCHEMA_VERSION};COMMIT;")
        with self.transaction():
            self._connection.executemany(
                "INSERT INTO meta VALUES (?, ?)", [("store_id", store_id), ("epoch", 1), ("oldest", 0)]
            )

    def _changes(self, current: dict[str, Entry]) -> Iterator[Change]:
        rows = self._connection.execute("SELECT revision, key, created, value FROM log ORDER BY revision")
        for revision, key, created, value in rows:
            before = current.get(key)
            if before is not None:
                key = before.key
            if value is None:
                current.pop(key, None)
                after = None
            else:
                after = current[key] = Entry(key, value, revision, created)
            if before is not None or after is not None:
                yield Change(key, revision, before, after)

    @staticmethod
    def _undone(current: dict[str, Entry], history: Sequence[Change]) -> list[Entry]:
        """What stood before `history`."""
        past: dict[str, Entry | None] = dict(current)
        for change in reversed(history):
            past[change.key] = change.before
        return [entry for entry in past.values() if entry is not None]

    def transaction(self) -> _Transaction:
        return _Transaction(self._connection)

    def append(self, changes: Sequence[Change]) -> None:
        """Many rows a statement: each statement lets go of the interpreter's lock, and must wait to have it back."""
        start = 0
        while start < len(changes):
            size = min(_ROWS, 1 << (len(changes) - start).bit_length() - 1)  # powers of two: few statements to prepare
            values: list[object] = []
            for change in changes[start : start + size]:
                after = change.after
                if after is None:
                    values += (change.revision, change.key, 0, None)
                else:
                    values += (change.revision, change.key, after.created, after.value)
            self._connection.execute(_insertion(size), values)
            start += size

    def forget(self, gone: Sequence[Change], oldest: Revision) -> None:
        """Drop the rows that the changes compacted away leave without use."""
        rows = [(c.before.revision,) for c in gone if c.before is not None]
        rows += [(c.revision,) for c in gone if c.after is None]
        rows.sort()
        self._connection.executemany("DELETE FROM log WHERE revision = ?", rows)
        self._set("oldest", oldest)

    def keep_lease(self, held: Held) -> None:
        lease = held.lease
        self._connection.execute(
            "INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?)", (lease.name, lease.holder, lease.term, held.seconds)
        )

    def set_epoch(self, epoch: int) -> None:
        self._set("epoch", epoch)

    def _set(self, name: str, value: int) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def close(self) -> None:
        self._connection.close()


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK where anything raises."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            try:
                self._connection.execute("COMMIT")
                return
            except sqlite3.Error:
                self._roll_back()
                raise
        self._roll_back()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
