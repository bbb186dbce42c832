"""Interfaces that other slices claim: `InterfaceClaim` in, interface and address out, and both back when it is deleted.

Three writes in an order that a crash may cut anywhere: the address (which names interface and claim), the interface
(which names the claim), the claim's answer. The interface's id follows from the claim, and the address book knows what
an interface already has, so that the next try goes on where the last one stopped. Giving back is the same, backwards:
first the interface goes, then its addresses; what a crash leaves of that is found by the claim named in each record.

A claim that fails keeps nothing, and its failure is final: the claimant deletes it and makes another.
"""

from __future__ import annotations

import msgspec

from ropewalk.base.errors import Fault
from ropewalk.model.ids import InterfaceId, SecurityGroupId, VpcId
from ropewalk.model.network import InterfaceClaim
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result
from ropewalk.runtime.informer import Change, Informer
from ropewalk.services.ec2.faults import group_elsewhere, not_found
from ropewalk.services.ec2.holds import Doomed
from ropewalk.services.ec2.ids import claimed_interface_id, mac_of, private_dns_name
from ropewalk.services.ec2.records import Interface, Subnet, Vpc
from ropewalk.services.ec2.slice import Ec2
from ropewalk.store.protocol import KeyExists, StoreError

_WORKERS = 8
"""Claims answered at once: their writes share commits."""


def _same_wish(old: InterfaceClaim, new: InterfaceClaim) -> bool:
    """Whether only our own answer differs."""
    answered = msgspec.structs.replace(
        old,
        interface=new.interface,
        address=new.address,
        mac=new.mac,
        private_dns=new.private_dns,
        failure=new.failure,
    )
    return answered == new


class ClaimKeeper:
    """The claims' reconciler. One runs in the process that owns the slice."""

    name = "ec2-interface-claims"

    def __init__(self, ec2: Ec2) -> None:
        self._ec2 = ec2
        self.informer = Informer(ec2.claims, ec2.clock, reader="ec2")
        self.controller = Controller(
            self.name,
            self.reconcile,
            clock=ec2.clock,
            entropy=ec2.entropy,
            workers=_WORKERS,
            everything=lambda: {*self.informer.keys(), *self._made},
        )
        self._made: dict[str, dict[InterfaceId, VpcId]] = {}
        """By claim: interfaces that exist for it, or of which at least an address does."""
        self._claim_of: dict[InterfaceId, str] = {}
        self._deleted_at: dict[str, float] = {}
        self.informer.on_change(self._changed)
        ec2.carriers.on_release(self._released)

    async def run(self) -> None:
        """The informer runs beside this, under the same supervisor."""
        await self.load()
        await self.controller.run()

    async def load(self) -> None:
        """Learn what was made before this process began, so that what a crash or a missed deletion left is found."""
        for address in await self._ec2.addresses.table.list():
            owner = address.record
            if owner.claim:
                self._remember(owner.claim, owner.interface, VpcId(address.key.split("/", 1)[0]))
            else:
                await self._sweep(owner.interface, *address.key.split("/", 1))
        for item in await self._ec2.interfaces.list():
            if item.record.claim:
                self._remember(item.record.claim, item.record.id, item.record.vpc)
        for key in self._made:
            self.controller.enqueue(key)

    async def reconcile(self, key: str) -> Result:
        entry = await self._ec2.store.get(self._ec2.claims.prefix + key)
        if entry is None:
            return await self._ended(key)
        self._deleted_at.pop(key, None)
        claim = self._ec2.claims.decode(entry.value)
        mine = InterfaceId(claim.interface) or claimed_interface_id(self._ec2.store.identity, key, entry.created)
        for other in [i for i in self._made.get(key, {}) if i != mine or claim.failure]:
            await self._give_back(key, other)
        if claim.failure:
            return DONE
        if claim.interface:
            await self._follow(mine, claim)
            return DONE
        try:
            made = await self._make(key, mine, claim)
        except Fault as fault:
            await self._give_back(key, mine)
            await self._answer(key, {"failure": f"{fault.code}: {fault.message}"})
            return DONE
        vpc = await self._ec2.vpcs.get(made.vpc)
        named = vpc is not None and vpc.dns_hostnames
        address = made.addresses[0]
        await self._answer(
            key,
            {
                "interface": made.id,
                "address": address,
                "mac": made.mac,
                "private_dns": private_dns_name(address, self._ec2.settings.region) if named else "",
            },
        )
        return DONE

    async def _make(self, key: str, interface: InterfaceId, claim: InterfaceClaim) -> Interface:
        ec2 = self._ec2
        try:
            with ec2.holds.using(claim.subnet, *claim.groups), ec2.addresses.making(interface):
                subnet = await ec2.subnets.get(claim.subnet)
                if subnet is None:
                    raise not_found("subnet", claim.subnet)
                groups = await self._groups(subnet, claim.groups)
                self._remember(key, interface, subnet.vpc)
                held = await ec2.addresses.held(subnet.vpc, interface)
                address = held[0] if held else await ec2.addresses.take(subnet, interface, key)
                record = Interface(
                    id=interface,
                    vpc=subnet.vpc,
                    subnet=subnet.id,
                    zone=subnet.zone,
                    addresses=(address,),
                    mac=mac_of(interface),
                    groups=groups,
                    description=claim.description,
                    created_at=ec2.clock.wall(),
                    claim=key,
                    requester=claim.requester,
                    machine=claim.machine,
                )
                try:
                    await ec2.interfaces.create(interface, record)
                except KeyExists:
                    return await ec2.interfaces.get(interface) or record
                return record
        except Doomed as doomed:
            gone = doomed.resource
            raise (not_found("subnet", gone) if gone == claim.subnet else not_found("sg", gone)) from None

    async def _groups(self, subnet: Subnet, wanted: tuple[SecurityGroupId, ...]) -> tuple[SecurityGroupId, ...]:
        if not wanted:
            vpc: Vpc | None = await self._ec2.vpcs.get(subnet.vpc)
            if vpc is None:
                raise not_found("subnet", subnet.id)
            return (vpc.default_group,)
        for group in wanted:
            found = await self._ec2.groups.get(group)
            if found is None:
                raise not_found("sg", group)
            if found.vpc != subnet.vpc:
                raise group_elsewhere(group, subnet.id)
        return wanted

    async def _answer(self, key: str, members: dict[str, str]) -> None:
        """Fill in the claim; one deleted meanwhile is reconciled again by its deletion."""

        def fill(claim: InterfaceClaim) -> InterfaceClaim | None:
            if claim.interface or claim.failure:
                return None
            return msgspec.structs.replace(claim, **members)

        await self._ec2.claims.mutate(key, fill)

    async def _follow(self, interface: InterfaceId, claim: InterfaceClaim) -> None:
        """The claimant may say later which machine carries the interface."""
        await self._ec2.interfaces.mutate(
            interface,
            lambda record: msgspec.structs.replace(record, machine=claim.machine),
        )

    async def _ended(self, key: str) -> Result:
        """The claim was deleted: give back what was made for it, once nothing carries it."""
        made = self._made.get(key)
        if not made:
            self._deleted_at.pop(key, None)
            return DONE
        now = self._ec2.clock.monotonic()
        due = self._deleted_at.setdefault(key, now) + self._ec2.settings.timings.deleted_interface_grace
        if now < due:
            return RequeueAfter(due - now)
        for interface in list(made):
            await self._give_back(key, interface)
        if key not in self._made:
            self._deleted_at.pop(key, None)
        return DONE

    async def _give_back(self, key: str, interface: InterfaceId) -> None:
        """Delete the interface, then free its addresses; not while it is carried: its release enqueues the key."""
        vpc = self._made.get(key, {}).get(interface)
        if vpc is None:
            return
        found = await self._ec2.interfaces.get(interface)
        if found is not None:
            if await self._ec2.carriers.carried(interface, key, found.machine):
                return
            await self._ec2.interfaces.delete(interface)
        addresses = {*(found.addresses if found else ()), *await self._ec2.addresses.held(vpc, interface)}
        await self._ec2.addresses.give_back(vpc, sorted(addresses), interface)
        self._forget(key, interface)

    async def _sweep(self, interface: InterfaceId, vpc: str, address: str) -> None:
        """Free an address that a crash left without its interface. Only for interfaces that no claim stands behind."""
        if self._ec2.addresses.is_making(interface):
            return
        found = await self._ec2.interfaces.get(interface)
        if found is None or address not in found.addresses:
            try:
                await self._ec2.addresses.give_back(VpcId(vpc), [address], interface)
            except StoreError:
                self._ec2.addresses.forget(VpcId(vpc))
                raise

    def _remember(self, key: str, interface: InterfaceId, vpc: VpcId) -> None:
        self._made.setdefault(key, {})[interface] = vpc
        self._claim_of[interface] = key

    def _forget(self, key: str, interface: InterfaceId) -> None:
        self._claim_of.pop(interface, None)
        made = self._made.get(key, {})
        made.pop(interface, None)
        if not made:
            self._made.pop(key, None)

    def _changed(self, change: Change[InterfaceClaim]) -> None:
        if change.old is not None and change.new is not None and _same_wish(change.old, change.new):
            return
        self.controller.enqueue(change.key)

    def _released(self, interface: InterfaceId) -> None:
        key = self._claim_of.get(interface)
        if key is None:
            return
        claim = self.informer.get(key)
        if claim is None or claim.interface != interface or key in self._deleted_at:
            self.controller.enqueue(key)
