"""One agent's session as the gateway sees it: what it has yet to be told.

No I/O: `take` answers the messages that are due. A snapshot is due only after the agent's complete report, since only
that shows whether this store was restored to its past.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from msgspec.structs import replace

from ropewalk.agents.mirror import WorkloadMirror, stamp
from ropewalk.model.agent import Apply, Dial, Down, Forget, Snapshot
from ropewalk.model.ids import MachineId, WorkloadUid
from ropewalk.model.workload import Desire, Generation
from ropewalk.store.protocol import Identity


class Stopped(Protocol):
    def stopped(self, machine: str, uid: str) -> bool:
        """Whether the workload's last status says that it is over."""
        ...


class AgentSession:
    def __init__(self, machine: MachineId, identity: str, streams: int = 0) -> None:
        self.machine = machine
        self.id = identity
        self.streams = streams
        """The version of streams that the agent speaks; 0: none."""
        self.ended = False
        self.news = asyncio.Event()
        self._dirty: dict[str, None] = {}
        self._forget: dict[str, None] = {}
        self._dials: list[Dial] = []
        self._has_reported = False
        self._snapshot = True

    def end(self) -> None:
        self.ended = True
        self.news.set()

    def dirty(self, uid: str) -> None:
        self._dirty[uid] = None
        self.news.set()

    def removed(self, uid: str, *, stopped: bool) -> None:
        """Its record is gone: forgotten where it was over, else absent from the next snapshot."""
        self._dirty.pop(uid, None)
        if stopped:
            self._forget[uid] = None
        else:
            self._snapshot = True
        self.news.set()

    def resync(self, uids: Iterable[str]) -> None:
        self._dirty.update(dict.fromkeys(uids))
        self._snapshot = True
        self.news.set()

    def dial(self, stream: str) -> None:
        """Let the agent dial back on this stream."""
        self._dials.append(Dial(stream))
        self.news.set()

    def reported(self) -> None:
        self._has_reported = True
        self.news.set()

    def snapshot_due(self) -> None:
        self._snapshot = True
        self.news.set()

    def take(self, mirror: WorkloadMirror, statuses: Stopped, identity: Identity, revision: int) -> list[Down]:
        """Everything due now, to be sent in this order."""
        self.news.clear()
        found: list[Down] = []
        dirty, self._dirty = self._dirty, {}
        for uid in dirty:
            held = mirror.get(self.machine, uid)
            if held is None:
                continue
            workload = stamp(held, identity.store_id, identity.epoch)
            if statuses.stopped(self.machine, uid) and workload.desire is Desire.RUN:
                # It is over: an agent that lost its journal must not begin it again.
                workload = replace(workload, desire=Desire.STOP)
            found.append(Apply(workload))
        if self._snapshot and self._has_reported:
            self._snapshot = False
            uids = tuple(WorkloadUid(uid) for uid in mirror.of(self.machine))
            found.append(Snapshot(Generation(identity.store_id, identity.epoch, revision), uids))
        found.extend(Forget(WorkloadUid(uid)) for uid in self._forget)
        self._forget = {}
        found.extend(self._dials)
        self._dials = []
        return found
