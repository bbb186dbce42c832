"""Every workload record of the store as the gateway last saw it: revisions kept, changes told by machine.

Rather than an informer of decoded records: a record's generation is the revision it was written at, so the mirror keeps
entry and revision together, and it must see deletions with their revision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ropewalk.base.clock import Clock
from ropewalk.base.log import logger
from ropewalk.model.agent import WORKLOADS
from ropewalk.model.workload import Generation, Workload
from ropewalk.store.protocol import Compacted, EventKind, Revision, Store, StoreClosed, StoreError

log = logger(__name__)

RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Held:
    """One workload's record and the revision of its last write."""

    workload: Workload
    revision: int


Changed = Callable[[str, str, bool], None]
"""(machine, uid, removed)"""


class WorkloadMirror:
    def __init__(self, store: Store, clock: Clock, changed: Changed) -> None:
        self._store = store
        self._clock = clock
        self._changed = changed
        self._machines: dict[str, dict[str, Held]] = {}
        self._synced = asyncio.Event()
        self._from = Revision(0)
        self.revision = 0
        """The store's revision that the mirror shows."""

    async def synced(self) -> None:
        await self._synced.wait()

    def of(self, machine: str) -> dict[str, Held]:
        return self._machines.get(machine, {})

    def get(self, machine: str, uid: str) -> Held | None:
        return self.of(machine).get(uid)

    async def refresh(self, machine: str, uid: str) -> Held | None:
        """Ask the store itself: the mirror may lag."""
        entry = await self._store.get(f"{WORKLOADS}{machine}/{uid}")
        return None if entry is None else _decode(entry.value, entry.revision)

    async def run(self) -> None:
        while True:
            try:
                await self._load()
                self._synced.set()
                async for event in self._store.watch(WORKLOADS, self._from):
                    machine, uid = _split(event.key)
                    self.revision = event.revision
                    if event.kind is EventKind.DELETE:
                        self._remove(machine, uid)
                    elif (held := _decode(event.value, event.revision)) is not None:
                        self._put(machine, uid, held)
            except Compacted:
                log.info("workloads are listed anew: the watch fell behind")
            except StoreClosed:
                raise
            except StoreError as failed:
                log.warning("workloads cannot be watched", reason=failed)
                await self._clock.sleep(RETRY_SECONDS)

    async def _load(self) -> None:
        seen: set[tuple[str, str]] = set()
        after = ""
        page = await self._store.list(WORKLOADS)
        self._from = page.revision
        while True:
            for entry in page.entries:
                machine, uid = _split(entry.key)
                seen.add((machine, uid))
                known = self.get(machine, uid)
                if known is None or known.revision != entry.revision:
                    held = _decode(entry.value, entry.revision)
                    if held is not None:
                        self._put(machine, uid, held)
            if not page.more:
                break
            after = page.entries[-1].key
            page = await self._store.list(WORKLOADS, after=after, revision=self._from)
        self.revision = self._from
        gone = [(m, u) for m, held in self._machines.items() for u in held if (m, u) not in seen]
        for machine, uid in gone:
            self._remove(machine, uid)

    def _put(self, machine: str, uid: str, held: Held) -> None:
        self._machines.setdefault(machine, {})[uid] = held
        self._changed(machine, uid, False)

    def _remove(self, machine: str, uid: str) -> None:
        known = self._machines.get(machine)
        if known is not None and known.pop(uid, None) is not None:
            if not known:
                del self._machines[machine]
            self._changed(machine, uid, True)


def stamp(held: Held, store_id: str, epoch: int) -> Workload:
    """The record as it is sent: its generation says which write of which store it is."""
    return msgspec.structs.replace(held.workload, generation=Generation(store_id, epoch, held.revision))


def _split(key: str) -> tuple[str, str]:
    machine, _, uid = key[len(WORKLOADS) :].partition("/")
    return machine, uid


def _decode(value: bytes, revision: int) -> Held | None:
    try:
        return Held(msgspec.json.decode(value, type=Workload), revision)
    except msgspec.DecodeError as broken:
        log.error("a workload record cannot be read and is left alone", revision=revision, reason=broken)
        return None
