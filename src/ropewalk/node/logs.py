"""The log pump: follows every container's log file and ships its lines to the control plane, none lost, none twice.

The files are the buffer: while the control plane is away, or refuses the lines (their role may not write them any
more), nothing is read, and nothing is lost up to the files' cap; lines that are refused for an hour are given up. The
cursor in the journal moves only once a batch was taken; a batch sent twice is recognised by its position. Files are
polled, quickly while lines come and slowly while none do: an inotify watch would save little and break on overlays.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from ropewalk.base.clock import Clock, happens
from ropewalk.base.log import logger
from ropewalk.model.agent import LogBatch, LogLine
from ropewalk.model.ids import MachineId, WorkloadUid
from ropewalk.model.workload import Container, LogRoute, Record, Workload
from ropewalk.node import log_files
from ropewalk.node.folders import Folders
from ropewalk.node.journal import Journal
from ropewalk.node.log_files import Cursor
from ropewalk.node.runtime import Runtime, RuntimeFailure
from ropewalk.node.transport import NotGiven, Transport, TransportFailure

log = logger(__name__)

LOG_KEY = "log/"
QUICK = 0.1
SLOW = 0.5
"""Seconds between looks at a file that is written to, and at one that is not."""
FILE_CAP = 16 << 20
"""A larger file is put aside; the second-last of them goes, read or not: 32 MiB a container at most."""
RETRY_SECONDS = 1.0
REFUSED_RETRY = 10.0
REFUSED_KEPT = 3600.0
"""Seconds between two tries of lines that are refused, and for how long they are kept."""


class _Refused(Exception):
    """The control plane will not take the lines, for the reason that it gave."""


class _Kept(Record, frozen=True):
    """What the journal says of one followed container."""

    uid: str
    container: str
    route: LogRoute | None
    cursor: Cursor
    newest: int
    """The newest attempt there is."""
    runtime_id: str = ""
    ended: bool = False
    """No process of any attempt writes any more."""


@dataclass(slots=True)
class _Tail:
    kept: _Kept
    idle: float = QUICK
    next_look: float = 0.0
    refused_at: float | None = None
    """When lines were first refused; None while they are taken."""

    @property
    def key(self) -> tuple[str, str]:
        return self.kept.uid, self.kept.container


class LogPump:
    """One a machine. `check`, `follow` and `ended` are the life cycle's, `forget` the agent's."""

    name = "agent-logs"

    def __init__(
        self,
        *,
        machine: MachineId,
        transport: Transport,
        runtime: Runtime,
        journal: Journal,
        clock: Clock,
        folders: Folders,
    ) -> None:
        self._machine = machine
        self._transport = transport
        self._runtime = runtime
        self._journal = journal
        self._clock = clock
        self._folders = folders
        self._tails: dict[tuple[str, str], _Tail] = {}
        self._news = asyncio.Event()
        self._leaving: set[str] = set()
        for value in journal.items(LOG_KEY).values():
            kept = msgspec.json.decode(value, type=_Kept)
            self._tails[kept.uid, kept.container] = _Tail(kept)

    # --- what the life cycle says

    async def check(self, workload: Workload) -> str:
        """Open every log stream by an empty batch; answers why one cannot be written to. A control plane that is away
        is no failure: the lines wait in their files.
        """
        for container in workload.containers:
            if container.log is None or (workload.uid, container.name) in self._tails:
                continue
            batch = self._batch(workload.uid, container.name, container.log, Cursor(), Cursor(), ())
            try:
                receipt = await self._transport.logs(batch)
            except (TransportFailure, NotGiven):
                return ""
            if receipt.failure:
                return _cannot_open(receipt.failure)
        return ""

    async def follow(self, workload: Workload, container: Container, attempt: int, runtime_id: str) -> None:
        """Returns once the journal knows of it: from then on no crash loses a line."""
        if not self._folders.real:
            return
        key = (workload.uid, container.name)
        tail = self._tails.get(key)
        if tail is None:
            kept = _Kept(workload.uid, container.name, container.log, Cursor(attempt), attempt, runtime_id)
            tail = self._tails[key] = _Tail(kept)
        else:
            newest = max(attempt, tail.kept.newest)
            tail.kept = replace(tail.kept, newest=newest, runtime_id=runtime_id, ended=False)
            tail.next_look = 0.0
        await self._journal.put(_key(tail.kept), msgspec.json.encode(tail.kept))
        self._news.set()

    def adopted(self, living: Collection[str], known: Collection[str]) -> None:
        """After a restart: of which workloads containers may still write, and which are known at all."""
        for uid, container in list(self._tails):
            if uid not in living:
                self.ended(uid, container, self._tails[uid, container].kept.newest)
            if uid not in known:
                self._leaving.add(uid)

    def ended(self, uid: str, container: str, attempt: int) -> None:
        tail = self._tails.get((uid, container))
        if tail is not None and attempt >= tail.kept.newest:
            tail.kept = replace(tail.kept, ended=True)
            tail.next_look = 0.0
            self._news.set()

    def drained(self, uid: str) -> bool:
        """Whether every line of the workload has been taken."""
        return not any(key[0] == uid for key in self._tails)

    def forget(self, uid: str) -> None:
        """Remove the workload's log files as soon as every line has been taken."""
        if not self._folders.real:
            return
        if self.drained(uid):
            self._folders.remove_logs(uid)
        else:
            self._leaving.add(uid)

    # --- the loop

    async def run(self) -> None:
        if not self._folders.real:
            await asyncio.get_running_loop().create_future()
        while True:
            now = self._clock.monotonic()
            due = [t for t in self._tails.values() if t.next_look <= now]
            for tail in due:
                await self._look(tail)
            wake = min((t.next_look for t in self._tails.values()), default=now + SLOW)
            await self._pause(max(0.01, wake - self._clock.monotonic()))

    async def _pause(self, seconds: float) -> None:
        """Until then, or until something new is to be followed."""
        self._news.clear()
        await happens(self._news, self._clock, seconds)

    async def _look(self, tail: _Tail) -> None:
        try:
            active = await self._advance(tail)
        except (TransportFailure, NotGiven) as away:
            log.debug("log lines wait for the control plane", workload=tail.kept.uid, reason=away)
            await self._wait(tail, RETRY_SECONDS)
            return
        except _Refused:
            await self._wait(tail, REFUSED_RETRY)
            return
        except (OSError, RuntimeFailure) as failed:
            log.warning("a log file could not be read", workload=tail.kept.uid, reason=failed)
            tail.next_look = self._clock.monotonic() + RETRY_SECONDS
            return
        tail.idle = QUICK if active else min(SLOW, tail.idle * 1.5)
        tail.next_look = self._clock.monotonic() + (0.0 if active else tail.idle)

    async def _wait(self, tail: _Tail, seconds: float) -> None:
        """Leave the lines where they are for so long; their files are kept small meanwhile."""
        tail.next_look = self._clock.monotonic() + seconds
        try:
            await self._cap(tail, self._path(tail.kept, tail.kept.newest))
        except (OSError, RuntimeFailure) as failed:
            log.warning("a log file could not be put aside", workload=tail.kept.uid, reason=failed)

    async def _advance(self, tail: _Tail) -> bool:
        """One step forward; whether there may be more at once."""
        if tail.kept.route is None:
            return await self._keep_small(tail)
        cursor = tail.kept.cursor
        path = self._path(tail.kept, cursor.attempt)
        present = log_files.find(path, cursor.inode) if cursor.inode else path
        over = tail.kept.ended or cursor.attempt < tail.kept.newest
        if present is None:
            # Its file was rotated away unread, or removed.
            await self._move(tail, replace(cursor, inode=0, offset=0))
            return True
        found = log_files.read(present, cursor, final=over or present != path)
        if found is not None:
            await self._move(tail, await self._ship(tail, tail.kept.route, found))
            await self._cap(tail, path)
            return True
        if present != path:
            await self._move(tail, replace(cursor, inode=0, offset=0))
            return True
        if not over:
            return False
        if cursor.attempt < tail.kept.newest:
            await self._move(tail, replace(cursor, attempt=cursor.attempt + 1, inode=0, offset=0))
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            return True
        await self._finish(tail)
        return False

    async def _keep_small(self, tail: _Tail) -> bool:
        """A container whose output goes nowhere else: only its files' size is watched."""
        if tail.kept.ended:
            await self._finish(tail)
        else:
            await self._cap(tail, self._path(tail.kept, tail.kept.newest))
        return False

    async def _ship(self, tail: _Tail, route: LogRoute, found: log_files.Read) -> Cursor:
        """Send one read as one batch; answers where to go on. Raises `_Refused` while refused lines are kept."""
        kept = tail.kept
        batch = self._batch(kept.uid, kept.container, route, kept.cursor, found.cursor, found.lines)
        receipt = await self._transport.logs(batch)
        if receipt.failure:
            self._refused(tail, receipt.failure)
            return found.cursor
        tail.refused_at = None
        taken = receipt.position - kept.cursor.position
        if 0 <= taken < found.cursor.position - kept.cursor.position:
            if taken == 0:
                raise TransportFailure("the control plane took none of the lines")
            # It had a part of them already, from before a crash: go on exactly after that.
            return replace(found.cursor, offset=kept.cursor.offset + taken, position=kept.cursor.position + taken)
        return found.cursor

    def _refused(self, tail: _Tail, reason: str) -> None:
        """Returns once the lines may be given up."""
        about = {"workload": tail.kept.uid, "container": tail.kept.container, "reason": reason}
        now = self._clock.monotonic()
        if tail.refused_at is None:
            tail.refused_at = now
            log.warning("log lines are refused and kept for an hour", **about)
        if now - tail.refused_at < REFUSED_KEPT:
            raise _Refused(reason)
        log.warning("log lines are refused and given up", **about)

    async def _move(self, tail: _Tail, cursor: Cursor) -> None:
        tail.kept = replace(tail.kept, cursor=cursor)
        if tail.key in self._tails:
            await self._journal.put(_key(tail.kept), msgspec.json.encode(tail.kept))

    async def _finish(self, tail: _Tail) -> None:
        self._tails.pop(tail.key, None)
        await self._journal.delete(_key(tail.kept))
        if tail.kept.uid in self._leaving and self.drained(tail.kept.uid):
            self._leaving.discard(tail.kept.uid)
            self._folders.remove_logs(tail.kept.uid)

    async def _cap(self, tail: _Tail, path: Path) -> None:
        """Put a file aside that has grown too large. The runtime then writes a new one at the same path."""
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return
        if found.st_size < FILE_CAP or tail.kept.ended:
            return
        cursor = tail.kept.cursor
        if not cursor.inode and path == self._path(tail.kept, cursor.attempt):
            # Nothing of it has been read yet: it is to be found again under its other name.
            await self._move(tail, replace(cursor, inode=found.st_ino))
        os.replace(path, log_files.rotated(path))
        await self._runtime.reopen_log(tail.kept.runtime_id)

    def _batch(
        self, uid: str, container: str, route: LogRoute, start: Cursor, end: Cursor, lines: tuple[LogLine, ...]
    ) -> LogBatch:
        return LogBatch(
            machine=self._machine,
            workload=WorkloadUid(uid),
            container=container,
            group=route.group,
            stream=route.stream,
            create_group=route.create_group,
            previous=start.position,
            position=end.position,
            lines=lines,
            credentials=route.credentials,
        )

    def _path(self, kept: _Kept, attempt: int) -> Path:
        return Path(self._folders.logs(kept.uid)) / self._folders.log_path(kept.container, attempt)


def _cannot_open(failure: str) -> str:
    """In the words that Fargate has for a log driver that cannot open its stream (…/stopped-task-error-codes.html)."""
    what = "group" if "logs:CreateLogGroup" in failure else "stream"
    return (
        "failed to validate logger args: create stream has been retried 1 times: "
        f"failed to create Cloudwatch log {what}: {failure} : exit status 1"
    )


def _key(kept: _Kept) -> str:
    return f"{LOG_KEY}{kept.uid}/{kept.container}"
