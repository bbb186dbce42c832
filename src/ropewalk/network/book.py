"""The fabric as this host last heard it, indexed; what is attached here is never forgotten by silence. Pure.

A whole fabric that lacks an attached interface (a store emptied or restored from a backup) does not take it away: its
record, VPC and groups stay as last known. Only a change that names it as removed does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Mapping
from typing import TypeVar

from ropewalk.model.agent import FabricDown
from ropewalk.model.ids import InterfaceId, SecurityGroupId, VpcId
from ropewalk.model.network import Fabric, FabricChange, FabricInterface, SecurityGroupSpec, VpcSpec

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")

FabricDial = Callable[[], AsyncIterator[FabricDown]]
"""Opens the stream of GET /agent/v1/fabric: a whole fabric first, then changes. Called again whenever it ends."""


class FabricBook:
    """Mutable, owned by one event loop."""

    __slots__ = ("groups", "interfaces", "names", "serial", "vpcs")

    def __init__(self) -> None:
        self.vpcs: dict[VpcId, VpcSpec] = {}
        self.groups: dict[SecurityGroupId, SecurityGroupSpec] = {}
        self.interfaces: dict[InterfaceId, FabricInterface] = {}
        self.names: dict[VpcId, dict[str, tuple[str, ...]]] = {}
        self.serial = 0

    def replace(self, fabric: Fabric, attached: Iterable[InterfaceId]) -> set[VpcId]:
        """Take a whole fabric. Answers every VPC concerned."""
        concerned = set(self.vpcs) | {vpc.id for vpc in fabric.vpcs}
        interfaces = {interface.id: interface for interface in fabric.interfaces}
        vpcs = {vpc.id: vpc for vpc in fabric.vpcs}
        groups = {group.id: group for group in fabric.groups}
        for kept in attached:
            record = self.interfaces.get(kept)
            if record is None or kept in interfaces:
                continue
            interfaces[kept] = record
            if record.vpc in self.vpcs:
                vpcs.setdefault(record.vpc, self.vpcs[record.vpc])
            for group in record.groups:
                if group in self.groups:
                    groups.setdefault(group, self.groups[group])
        # An unchanged record stays the same object: planners recognise by it what they need not plan again.
        self.vpcs = _same(self.vpcs, vpcs)
        self.groups = _same(self.groups, groups)
        self.interfaces = _same(self.interfaces, interfaces)
        self.names = _indexed(fabric.names)
        self.serial = fabric.serial
        return concerned

    def change(self, change: FabricChange) -> set[VpcId]:
        """Take a change. Answers the VPCs concerned."""
        concerned: set[VpcId] = set()
        for interface_id in change.removed_interfaces:
            gone = self.interfaces.pop(InterfaceId(interface_id), None)
            concerned.update({gone.vpc} if gone else ())
        for group_id in change.removed_groups:
            removed = self.groups.pop(SecurityGroupId(group_id), None)
            concerned.update({removed.vpc} if removed else ())
        for vpc_id in change.removed_vpcs:
            self.vpcs.pop(VpcId(vpc_id), None)
            self.names.pop(VpcId(vpc_id), None)
            concerned.add(VpcId(vpc_id))
        for vpc in change.vpcs:
            self.vpcs[vpc.id] = vpc
        for group in change.groups:
            self.groups[group.id] = group
        for interface in change.interfaces:
            self.interfaces[interface.id] = interface
        concerned.update(vpc.id for vpc in change.vpcs)
        concerned.update(group.vpc for group in change.groups)
        concerned.update(interface.vpc for interface in change.interfaces)
        self._change_names(change)
        self.serial = change.serial
        return concerned

    def _change_names(self, change: FabricChange) -> None:
        for vpc, name, address in change.removed_names:
            known = self.names.get(VpcId(vpc), {})
            left = tuple(a for a in known.get(_canonical(name), ()) if a != address)
            if left:
                known[_canonical(name)] = left
            else:
                known.pop(_canonical(name), None)
        for vpc, name, address in change.names:
            known = self.names.setdefault(VpcId(vpc), {})
            before = known.get(_canonical(name), ())
            if address not in before:
                known[_canonical(name)] = (*before, address)


def _same(before: Mapping[_K, _V], after: Mapping[_K, _V]) -> dict[_K, _V]:
    return {key: before[key] if key in before and before[key] == value else value for key, value in after.items()}


def _canonical(name: str) -> str:
    return name.rstrip(".").lower()


def _indexed(names: Iterable[tuple[str, str, str]]) -> dict[VpcId, dict[str, tuple[str, ...]]]:
    found: dict[VpcId, dict[str, tuple[str, ...]]] = {}
    for vpc, name, address in names:
        known = found.setdefault(VpcId(vpc), {})
        known[_canonical(name)] = (*known.get(_canonical(name), ()), address)
    return found
