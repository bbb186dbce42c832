"""The fabric's feed: whole first, then exactly what changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from ropewalk.model.agent import FabricDelta, FabricWhole
from ropewalk.model.ids import InterfaceId
from ropewalk.model.network import Fabric, FabricChange, FabricInterface
from ropewalk.services.ec2.reader import NetworkViews
from unit.services.ec2.kit import World


class Host:
    """A host agent's view: the fabric as told so far."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stream: AsyncIterator = world.feed.watch("host-1")
        self._task: asyncio.Task | None = None
        self.fabric = Fabric()
        self.changes: list[FabricChange] = []

    async def __aenter__(self) -> Host:
        self._task = asyncio.create_task(self._listen())
        await self._world.clock.settle()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._stream.aclose()

    async def _listen(self) -> None:
        async for message in self._stream:
            if isinstance(message, FabricWhole):
                self.fabric = message.fabric
            else:
                assert isinstance(message, FabricDelta)
                self.changes.append(message.change)
                self._apply(message.change)

    def _apply(self, change: FabricChange) -> None:
        def merged(now: tuple, new: tuple, gone: tuple[str, ...]) -> tuple:
            known = {record.id: record for record in now} | {record.id: record for record in new}
            return tuple(known[key] for key in sorted(known) if key not in gone)

        self.fabric = Fabric(
            vpcs=merged(self.fabric.vpcs, change.vpcs, change.removed_vpcs),
            groups=merged(self.fabric.groups, change.groups, change.removed_groups),
            interfaces=merged(self.fabric.interfaces, change.interfaces, change.removed_interfaces),
            names=tuple(sorted({*self.fabric.names, *change.names} - set(change.removed_names))),
            serial=change.serial,
        )

    async def latest(self) -> Fabric:
        await self._world.clock.settle()
        return self.fabric


def alike(one: Fabric, other: Fabric) -> bool:
    return msgspec.structs.replace(one, serial=0, names=tuple(sorted(one.names))) == msgspec.structs.replace(
        other, serial=0, names=tuple(sorted(other.names))
    )


async def test_the_whole_comes_first() -> None:
    world = await World().seeded()
    interface = (await world.run("CreateNetworkInterface", SubnetId=await world.default_subnet()))["NetworkInterface"]
    async with world.running(), Host(world) as host:
        fabric = await host.latest()
        vpc = fabric.vpcs[0]
        assert vpc.cidrs == ("172.31.0.0/16",)
        assert sorted((s.cidr, s.gateway) for s in vpc.subnets)[0] == ("172.31.0.0/20", "172.31.0.1")
        group = fabric.groups[0]
        assert [(r.protocol, r.group, r.cidr) for r in group.ingress] == [("-1", group.id, "")]
        assert [(r.protocol, r.group, r.cidr) for r in group.egress] == [("-1", "", "0.0.0.0/0")]
        address = interface["PrivateIpAddress"]
        assert fabric.interfaces == (
            FabricInterface(
                id=InterfaceId(interface["NetworkInterfaceId"]),
                vpc=vpc.id,
                subnet=interface["SubnetId"],
                addresses=(address,),
                mac=interface["MacAddress"],
                groups=(group.id,),
            ),
        )
        assert fabric.names == ((vpc.id, interface["PrivateDnsName"], address),)
        assert fabric.serial > 0
        assert host.changes == []


async def test_a_change_is_told_alone() -> None:
    world = await World().seeded()
    async with world.running(), Host(world) as host:
        await host.latest()
        group = (await world.run("DescribeSecurityGroups"))["SecurityGroups"][0]["GroupId"]
        web = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        await world.run("AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[web])
        fabric = await host.latest()
        assert len(host.changes) == 1
        assert [g.id for g in host.changes[0].groups] == [group]
        assert host.changes[0] == FabricChange(serial=host.changes[0].serial, groups=fabric.groups)
        assert ("tcp", 80, 80, "0.0.0.0/0") in [
            (r.protocol, r.from_port, r.to_port, r.cidr) for r in fabric.groups[0].ingress
        ]
        await world.run("RevokeSecurityGroupIngress", GroupId=group, IpPermissions=[web])
        assert len((await host.latest()).groups[0].ingress) == 1


async def test_what_does_not_concern_the_network_is_not_told() -> None:
    world = await World().seeded()
    async with world.running(), Host(world) as host:
        await host.latest()
        await world.run("CreateTags", Resources=[(await world.vpc())["VpcId"]], Tags=[{"Key": "a", "Value": "b"}])
        await host.latest()
        assert host.changes == []


async def test_names_follow_the_vpcs_switches() -> None:
    world = await World().seeded()
    vpc = (await world.vpc())["VpcId"]
    await world.run("CreateNetworkInterface", SubnetId=await world.default_subnet())
    async with world.running(), Host(world) as host:
        names = (await host.latest()).names
        assert len(names) == 1
        for switch in ("EnableDnsSupport", "EnableDnsHostnames"):
            await world.run("ModifyVpcAttribute", VpcId=vpc, **{switch: {"Value": False}})
            assert (await host.latest()).names == ()
            await world.run("ModifyVpcAttribute", VpcId=vpc, **{switch: {"Value": True}})
            assert (await host.latest()).names == names


async def test_told_step_by_step_is_the_same_as_told_at_once() -> None:
    world = await World().seeded()
    async with world.running(), Host(world) as early:
        vpc = (await world.run("CreateVpc", CidrBlock="10.0.0.0/16"))["Vpc"]["VpcId"]
        subnet = (await world.run("CreateSubnet", VpcId=vpc, CidrBlock="10.0.0.0/24"))["Subnet"]["SubnetId"]
        group = (await world.run("CreateSecurityGroup", GroupName="g", Description="d", VpcId=vpc))["GroupId"]
        names = [
            (await world.run("CreateNetworkInterface", SubnetId=subnet, Groups=[group]))["NetworkInterface"][
                "NetworkInterfaceId"
            ]
            for _ in range(3)
        ]
        await world.claim("ecs/t")
        await early.latest()
        await world.run("DeleteNetworkInterface", NetworkInterfaceId=names[0])
        await world.run("AssignPrivateIpAddresses", NetworkInterfaceId=names[1], SecondaryPrivateIpAddressCount=1)
        async with Host(world) as late:
            assert alike(await early.latest(), await late.latest())
            assert len(late.fabric.interfaces) == 3
        for name in names[1:]:
            await world.run("DeleteNetworkInterface", NetworkInterfaceId=name)
        await world.run("DeleteSecurityGroup", GroupId=group)
        await world.run("DeleteSubnet", SubnetId=subnet)
        await world.run("DeleteVpc", VpcId=vpc)
        async with Host(world) as late:
            assert alike(await early.latest(), await late.latest())
            assert [v.id for v in late.fabric.vpcs] == [(await world.vpc())["VpcId"]]
            assert len(late.fabric.interfaces) == 1


async def test_an_interface_waits_for_its_group() -> None:
    """The informers hear of groups and interfaces apart: whoever comes first, an interface is never told too early."""
    world = await World().seeded()
    group = (await world.run("CreateSecurityGroup", GroupName="g", Description="d"))["GroupId"]
    created = await world.run("CreateNetworkInterface", SubnetId=await world.default_subnet(), Groups=[group])
    vpcs, subnets, groups, interfaces = world.feed.runnables
    tasks = [asyncio.create_task(each.run()) for each in (vpcs, subnets, interfaces)]
    await world.clock.settle()
    async with Host(world) as host:
        groups._synced.set()
        assert (await host.latest()).interfaces == ()
        tasks.append(asyncio.create_task(groups.run()))
        fabric = await host.latest()
        assert [i.id for i in fabric.interfaces] == [created["NetworkInterface"]["NetworkInterfaceId"]]
        assert [i.id for i in host.changes[-1].interfaces] == [fabric.interfaces[0].id]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_burst_is_told_in_few_changes() -> None:
    world = await World().seeded()
    async with world.running(), Host(world) as host:
        for number in range(40):
            await world.claim(f"ecs/{number:02}")
        assert len((await host.latest()).interfaces) == 40
        assert len(host.changes) < 40


async def test_other_slices_read_networks() -> None:
    world = await World().seeded()
    reader = NetworkViews(world.ec2)
    subnet = await world.default_subnet()
    view = await reader.subnet(subnet)
    assert view is not None
    assert (view.vpc, view.free_addresses) == ((await world.vpc())["VpcId"], 4091)
    await world.run("CreateNetworkInterface", SubnetId=subnet)
    view = await reader.subnet(subnet)
    assert view is not None and view.free_addresses == 4090
    default = await reader.default_security_group(view.vpc)
    assert await reader.security_group_vpc(default) == view.vpc
    assert await reader.subnet("subnet-x") is None
    assert await reader.security_group_vpc("sg-x") is None
