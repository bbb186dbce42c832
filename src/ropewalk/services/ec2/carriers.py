"""Which interfaces are carried by a workload: the waist's records, read for one fact only.

An interface may be given back once nothing carries it: no workload names it, or its agent has reported STOPPED, which
means that nothing is left on the machine. The informers answer quickly for what users look at; the question before an
interface is deleted goes to the store itself, since a cache may not yet have heard of a workload written a moment ago.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ropewalk.base.clock import Clock
from ropewalk.model.agent import STATUSES, WORKLOADS
from ropewalk.model.ids import InterfaceId, MachineId
from ropewalk.model.status import WorkloadPhase
from ropewalk.runtime.informer import Change, Informer
from ropewalk.runtime.table import Table
from ropewalk.store.protocol import Store


class _CarriedInterface(msgspec.Struct, frozen=True):
    id: InterfaceId


class Carrier(msgspec.Struct, frozen=True):
    """A Workload, as far as this slice cares."""

    interface: _CarriedInterface | None = None


class CarrierStatus(msgspec.Struct, frozen=True):
    """A WorkloadStatus, as far as this slice cares."""

    phase: WorkloadPhase


class Carriers:
    """`workloads` and `statuses` must run for `is_carried` and `on_release` to live."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._workloads: Table[Carrier] = Table(store, WORKLOADS, Carrier)
        self._statuses: Table[CarrierStatus] = Table(store, STATUSES, CarrierStatus)
        self.workloads = Informer(self._workloads, clock, reader="ec2")
        self.statuses = Informer(self._statuses, clock, reader="ec2")
        self._key_of: dict[InterfaceId, str] = {}
        self._listeners: list[Callable[[InterfaceId], None]] = []
        self.workloads.on_change(self._workload_changed)
        self.statuses.on_change(self._status_changed)

    def on_release(self, listener: Callable[[InterfaceId], None]) -> None:
        """Called with an interface that has just ceased to be carried."""
        self._listeners.append(listener)

    def is_carried(self, interface: InterfaceId) -> bool:
        """As the caches see it: for display."""
        key = self._key_of.get(interface)
        return key is not None and not self._stopped(self.statuses.get(key))

    async def carried(self, interface: InterfaceId, claim: str, machine: MachineId) -> bool:
        """As the store has it too. A claim's key ends in the uid of the workload that it was made for: with the machine
        that names one record. Where the claim does not say which machine, all workloads are looked through.
        """
        if self.is_carried(interface):
            return True
        if machine and claim:
            return await self._carries(f"{machine}/{claim.rpartition('/')[2]}", interface)
        needle = f'"{interface}"'.encode()
        after = ""
        while True:
            page = await self._store.list(WORKLOADS, after=after)
            for entry in page.entries:
                if needle in entry.value and await self._carries(entry.key[len(WORKLOADS) :], interface):
                    return True
            if not page.more:
                return False
            after = page.entries[-1].key

    async def _carries(self, key: str, interface: InterfaceId) -> bool:
        workload = await self._workloads.get(key)
        if workload is None or workload.interface is None or workload.interface.id != interface:
            return False
        return not self._stopped(await self._statuses.get(key))

    @staticmethod
    def _stopped(status: CarrierStatus | None) -> bool:
        return status is not None and status.phase is WorkloadPhase.STOPPED

    def _workload_changed(self, change: Change[Carrier]) -> None:
        old = change.old.interface.id if change.old is not None and change.old.interface is not None else None
        new = change.new.interface.id if change.new is not None and change.new.interface is not None else None
        if new is not None:
            self._key_of[new] = change.key
            if self._stopped(self.statuses.get(change.key)):
                self._released(new)
        if old is not None and old != new and self._key_of.get(old) == change.key:
            del self._key_of[old]
            self._released(old)

    def _status_changed(self, change: Change[CarrierStatus]) -> None:
        if not self._stopped(change.new):
            return
        workload = self.workloads.get(change.key)
        if workload is not None and workload.interface is not None:
            self._released(workload.interface.id)

    def _released(self, interface: InterfaceId) -> None:
        for listener in self._listeners:
            listener(interface)
