"""Amazon CloudWatch Logs: groups, streams, events, searches.

journal = await SqliteJournal.open(home / "logs" / "events.sqlite")    # or MemoryJournal()
logs = Logs.over(store, journal, clock, entropy, region, account)
JournalSink(logs, permissions)                                         # agents.ports.LogSink
controllers(logs)                                                      # Runnables; close the journal after them
"""

from ropewalk.runtime.controller import Runnable
from ropewalk.services.logs import events, groups, search, streams
from ropewalk.services.logs.journal import Journal
from ropewalk.services.logs.memory_journal import MemoryJournal
from ropewalk.services.logs.reader import GroupReader
from ropewalk.services.logs.retention import Retention
from ropewalk.services.logs.sink import JournalSink
from ropewalk.services.logs.slice import Logs, operations
from ropewalk.services.logs.sqlite_journal import SqliteJournal

__all__ = [
    "RESOURCES",
    "GroupReader",
    "Journal",
    "JournalSink",
    "Logs",
    "MemoryJournal",
    "SqliteJournal",
    "controllers",
    "operations",
]

RESOURCES = (events, groups, search, streams)
"""Importing a resource's module offers its operations."""


def controllers(logs: Logs) -> list[Runnable]:
    return [Retention(logs)]
