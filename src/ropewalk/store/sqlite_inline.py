"""The writer of a SQLite store that need not outlive a power cut: it commits on the event loop itself.

Where a commit waits for no disk it takes some ten microseconds, less than handing it to a thread and being told of its
end. All that is asked for within one turn of the loop shares one commit. What is acknowledged survives any end of the
process, not of the machine: for control planes whose machines are fakes, and die with it anyway.
"""

from __future__ import annotations

import asyncio

from ropewalk.store.sqlite_writer import Committer, Report, Work


class InlineWriter:
    """See `ropewalk.store.sqlite_writer.Writer`."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._waiting: list[Work] = []
        self._failure: Exception | None = None

    def start(self, loop: asyncio.AbstractEventLoop, report: Report, revision: int) -> None:
        self._loop = loop
        self._report = report
        self._committer.begin(revision)

    def put(self, work: Work) -> None:
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(work)

    def _flush(self) -> None:
        group, self._waiting = self._waiting, []
        if not group:
            return  # close came first
        if self._failure is None:
            self._failure = self._committer.commit(group)
        self._report(group, self._failure)

    async def close(self) -> None:
        while self._waiting:
            self._flush()
        self._committer.mark()
        self._committer.close()
