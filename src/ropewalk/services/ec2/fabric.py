"""`FabricSource`: what the hosts must realise, told whole once and then change by change.

Fed by informers, so it costs no read and says a change within one turn of the loop. Each watcher has a set of what
may have changed since it was last told, and what it was told; a burst becomes one change, a slow watcher's backlog is
bounded by what exists. An interface is told only once its VPC, subnet and groups can be told with or before it,
whatever order the informers heard of them in. Every host is told everything: a rule that names a group needs the
addresses of its members wherever they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ropewalk.model.agent import FabricDelta, FabricDown, FabricWhole
from ropewalk.model.ids import InterfaceId, SecurityGroupId, SubnetId, VpcId
from ropewalk.model.network import Fabric, FabricChange, FabricInterface, Rule, SecurityGroupSpec, VpcSpec
from ropewalk.runtime.controller import Runnable
from ropewalk.runtime.informer import Change, Informer
from ropewalk.services.ec2.ids import private_dns_name
from ropewalk.services.ec2.reader import subnet_spec
from ropewalk.services.ec2.records import GroupRule, Interface, SecurityGroup, Subnet, Vpc
from ropewalk.services.ec2.slice import Ec2

Name = tuple[str, str, str]


def rule_of(rule: GroupRule) -> Rule:
    return Rule(
        protocol=rule.protocol, from_port=rule.from_port, to_port=rule.to_port, cidr=rule.cidr, group=rule.group
    )


def group_spec(group: SecurityGroup) -> SecurityGroupSpec:
    return SecurityGroupSpec(
        id=group.id,
        vpc=group.vpc,
        ingress=tuple(rule_of(rule) for rule in group.rules if not rule.egress),
        egress=tuple(rule_of(rule) for rule in group.rules if rule.egress),
    )


@dataclass(slots=True)
class _Watcher:
    """What one host was told, and what it may not know yet."""

    vpcs: dict[VpcId, VpcSpec] = field(default_factory=dict)
    groups: dict[SecurityGroupId, SecurityGroupSpec] = field(default_factory=dict)
    interfaces: dict[InterfaceId, FabricInterface] = field(default_factory=dict)
    names: dict[InterfaceId, tuple[Name, ...]] = field(default_factory=dict)
    pending_vpcs: set[VpcId] = field(default_factory=set)
    pending_groups: set[SecurityGroupId] = field(default_factory=set)
    pending_interfaces: set[InterfaceId] = field(default_factory=set)
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class FabricFeed:
    """Implements `agents.ports.FabricSource`. Its informers run under the daemon's supervisor."""

    def __init__(self, ec2: Ec2) -> None:
        self._region = ec2.settings.region
        self._vpcs = Informer(ec2.vpcs, ec2.clock, reader="fabric")
        self._subnets = Informer(ec2.subnets, ec2.clock, reader="fabric")
        self._groups = Informer(ec2.groups, ec2.clock, reader="fabric")
        self._interfaces = Informer(ec2.interfaces, ec2.clock, reader="fabric")
        self._subnets_of: dict[VpcId, set[SubnetId]] = {}
        self._interfaces_of: dict[VpcId, set[InterfaceId]] = {}
        self._waiting: dict[str, set[InterfaceId]] = {}
        """By what they lack: interfaces that cannot be told yet."""
        self._watchers: list[_Watcher] = []
        self._vpcs.on_change(self._vpc_changed)
        self._subnets.on_change(self._subnet_changed)
        self._groups.on_change(self._group_changed)
        self._interfaces.on_change(self._interface_changed)

    @property
    def runnables(self) -> list[Runnable]:
        return [self._vpcs, self._subnets, self._groups, self._interfaces]

    async def watch(self, host: str) -> AsyncIterator[FabricDown]:
        """The whole first, then changes, for ever. `host` is not asked about yet: every host is told everything."""
        for informer in (self._vpcs, self._subnets, self._groups, self._interfaces):
            await informer.synced()
        watcher = _Watcher()
        self._watchers.append(watcher)
        try:
            watcher.pending_vpcs.update(VpcId(key) for key, _ in self._vpcs.items())
            watcher.pending_groups.update(SecurityGroupId(key) for key, _ in self._groups.items())
            watcher.pending_interfaces.update(InterfaceId(key) for key, _ in self._interfaces.items())
            whole = self._take(watcher)
            yield FabricWhole(
                Fabric(
                    vpcs=whole.vpcs,
                    groups=whole.groups,
                    interfaces=whole.interfaces,
                    names=whole.names,
                    serial=whole.serial,
                )
            )
            while True:
                await watcher.wake.wait()
                watcher.wake.clear()
                await asyncio.sleep(0)  # what one commit brought belongs in one change
                change = self._take(watcher)
                if change != FabricChange(serial=change.serial):
                    yield FabricDelta(change)
        finally:
            self._watchers.remove(watcher)

    def _serial(self) -> int:
        return max(i.revision for i in (self._vpcs, self._subnets, self._groups, self._interfaces))

    def _take(self, watcher: _Watcher) -> FabricChange:
        """What the watcher does not know yet; from now on it does."""
        vpcs, gone_vpcs = _differences(watcher.pending_vpcs, watcher.vpcs, self._vpc_spec)
        groups, gone_groups = _differences(watcher.pending_groups, watcher.groups, self._group_spec)
        changed = sorted(watcher.pending_interfaces)
        interfaces, gone_interfaces = _differences(watcher.pending_interfaces, watcher.interfaces, self._interface_spec)
        names: list[Name] = []
        gone_names: list[Name] = []
        for interface in changed:
            before = watcher.names.pop(interface, ())
            after = self._names(interface) if interface in watcher.interfaces else ()
            if after:
                watcher.names[interface] = after
            names.extend(name for name in after if name not in before)
            gone_names.extend(name for name in before if name not in after)
        return FabricChange(
            serial=self._serial(),
            vpcs=vpcs,
            groups=groups,
            interfaces=interfaces,
            names=tuple(names),
            removed_vpcs=gone_vpcs,
            removed_groups=gone_groups,
            removed_interfaces=gone_interfaces,
            removed_names=tuple(gone_names),
        )

    def _vpc_spec(self, key: VpcId) -> VpcSpec | None:
        vpc = self._vpcs.get(key)
        if vpc is None or vpc.state != "available":
            return None
        subnets = [self._subnets.get(subnet) for subnet in sorted(self._subnets_of.get(key, ()))]
        return VpcSpec(
            id=vpc.id,
            cidrs=(vpc.cidr,),
            subnets=tuple(subnet_spec(subnet) for subnet in subnets if subnet is not None),
            created_at=vpc.created_at,
        )

    def _group_spec(self, key: SecurityGroupId) -> SecurityGroupSpec | None:
        group = self._groups.get(key)
        return None if group is None else group_spec(group)

    def _interface_spec(self, key: InterfaceId) -> FabricInterface | None:
        interface = self._interfaces.get(key)
        if interface is None:
            return None
        lacking = [group for group in interface.groups if self._groups.get(group) is None]
        if self._subnets.get(interface.subnet) is None:
            lacking.append(SecurityGroupId(interface.subnet))
        if self._vpc_spec(interface.vpc) is None:
            lacking.append(SecurityGroupId(interface.vpc))
        if lacking:
            for what in lacking:
                self._waiting.setdefault(what, set()).add(key)
            return None
        return FabricInterface(
            id=interface.id,
            vpc=interface.vpc,
            subnet=interface.subnet,
            addresses=interface.addresses,
            mac=interface.mac,
            groups=interface.groups,
            machine=interface.machine,
            source_dest_check=interface.source_dest_check,
        )

    def _names(self, key: InterfaceId) -> tuple[Name, ...]:
        """What the VPC's resolver answers for an interface: a name an address, where the VPC has both switches on."""
        interface = self._interfaces.get(key)
        vpc = None if interface is None else self._vpcs.get(interface.vpc)
        if interface is None or vpc is None or not (vpc.dns_support and vpc.dns_hostnames):
            return ()
        return tuple(
            (interface.vpc, private_dns_name(address, self._region), address) for address in interface.addresses
        )

    def _vpc_changed(self, change: Change[Vpc]) -> None:
        vpc = VpcId(change.key)
        for watcher in self._watchers:
            watcher.pending_vpcs.add(vpc)
            watcher.pending_interfaces.update(self._interfaces_of.get(vpc, ()))
        self._appeared(vpc)

    def _subnet_changed(self, change: Change[Subnet]) -> None:
        subnet = change.new or change.old
        if subnet is None:
            return
        known = self._subnets_of.setdefault(subnet.vpc, set())
        if change.new is None:
            known.discard(subnet.id)
        else:
            known.add(subnet.id)
        if not known:
            del self._subnets_of[subnet.vpc]
        for watcher in self._watchers:
            watcher.pending_vpcs.add(subnet.vpc)
        self._appeared(subnet.id)

    def _group_changed(self, change: Change[SecurityGroup]) -> None:
        for watcher in self._watchers:
            watcher.pending_groups.add(SecurityGroupId(change.key))
        self._appeared(change.key)

    def _interface_changed(self, change: Change[Interface]) -> None:
        interface = change.new or change.old
        if interface is None:
            return
        known = self._interfaces_of.setdefault(interface.vpc, set())
        if change.new is None:
            known.discard(interface.id)
            self._waits_no_more(interface.id)
        else:
            known.add(interface.id)
        if not known:
            del self._interfaces_of[interface.vpc]
        for watcher in self._watchers:
            watcher.pending_interfaces.add(interface.id)
        self._wake()

    def _waits_no_more(self, interface: InterfaceId) -> None:
        for what in [what for what, waiting in self._waiting.items() if interface in waiting]:
            self._waiting[what].discard(interface)
            if not self._waiting[what]:
                del self._waiting[what]

    def _appeared(self, what: str) -> None:
        waiting = self._waiting.pop(what, None)
        if waiting:
            for watcher in self._watchers:
                watcher.pending_interfaces.update(waiting)
        self._wake()

    def _wake(self) -> None:
        for watcher in self._watchers:
            watcher.wake.set()


K = TypeVar("K", bound=str)
S = TypeVar("S")


def _differences(
    pending: set[K], told: dict[K, S], present: Callable[[K], S | None]
) -> tuple[tuple[S, ...], tuple[str, ...]]:
    """Take `pending`: what is now new or different, and what is gone; `told` is brought up to date."""
    changed: list[S] = []
    gone: list[str] = []
    for key in sorted(pending):
        now = present(key)
        if now is None:
            if told.pop(key, None) is not None:
                gone.append(key)
        elif told.get(key) != now:
            told[key] = now
            changed.append(now)
    pending.clear()
    return tuple(changed), tuple(gone)
