"""The statuses that agents reported, in the store and at hand: written only when they are news, the highest wins."""

from __future__ import annotations

from ropewalk.model.agent import STATUSES
from ropewalk.model.status import WorkloadPhase, WorkloadStatus
from ropewalk.runtime.table import Table
from ropewalk.store.protocol import KeyExists, KeyMissing, Revision, Store, WrongRevision


class StatusBook:
    """The gateway is the only writer of statuses, so what it wrote last is what stands; a second gateway (another
    process took over) is noticed by a refused write, and the record read anew.
    """

    def __init__(self, store: Store) -> None:
        self._table = Table(store, STATUSES, WorkloadStatus)
        self._known: dict[str, tuple[WorkloadStatus, Revision]] = {}

    async def load(self) -> None:
        for item in await self._table.list():
            self._known[item.key] = (item.record, item.revision)

    def known(self, machine: str, uid: str) -> bool:
        return f"{machine}/{uid}" in self._known

    def stopped(self, machine: str, uid: str) -> bool:
        found = self._known.get(f"{machine}/{uid}")
        return found is not None and found[0].phase is WorkloadPhase.STOPPED

    def over(self) -> list[tuple[str, str]]:
        """(machine, uid) of every workload whose last status says that it is over."""
        keys = [key for key, (status, _) in self._known.items() if status.phase is WorkloadPhase.STOPPED]
        return [(machine, uid) for machine, _, uid in (key.partition("/") for key in keys)]

    async def take(self, machine: str, status: WorkloadStatus) -> None:
        """Durable when this returns, unless a later one or the same is there already."""
        key = f"{machine}/{status.uid}"
        while True:
            found = self._known.get(key)
            if found is not None and not _news(status, found[0]):
                return
            try:
                if found is None:
                    revision = await self._table.create(key, status)
                else:
                    revision = await self._table.update(key, status, found[1])
            except (KeyExists, KeyMissing, WrongRevision):
                await self._read(key)
                continue
            newest = self._known.get(key)
            if newest is None or newest[1] < revision:
                self._known[key] = (status, revision)
            return

    async def drop(self, machine: str, uid: str) -> None:
        key = f"{machine}/{uid}"
        if self._known.pop(key, None) is not None:
            await self._table.delete(key)

    async def _read(self, key: str) -> None:
        found = await self._table.find(key)
        if found is None:
            self._known.pop(key, None)
        else:
            self._known[key] = (found.record, found.revision)


def _news(status: WorkloadStatus, known: WorkloadStatus) -> bool:
    """A later word of the same workload; one that is over stays over."""
    if known.phase is WorkloadPhase.STOPPED and status.phase is not WorkloadPhase.STOPPED:
        return False
    return status.sequence > known.sequence
