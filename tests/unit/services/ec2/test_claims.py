"""Interfaces for claims: filled in, followed, given back; never doubled and never leaked, wherever a crash falls."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.settings import Settings, Timings
from ropewalk.model.agent import STATUSES, WORKLOADS
from ropewalk.model.ids import MachineId, SecurityGroupId
from ropewalk.store.memory import MemoryStore
from unit.services.ec2.kit import FailingStore, World


async def answered(world: World, key: str):
    await world.clock.settle()
    claim = await world.ec2.claims.get(key)
    assert claim is not None
    assert claim.interface or claim.failure
    return claim


async def test_a_claim_is_filled_in_with_an_interface_of_its_own() -> None:
    world = await World().seeded()
    async with world.running():
        await world.claim("ecs/t1", machine="host-1")
        claim = await answered(world, "ecs/t1")
        interface = await world.ec2.interfaces.get(claim.interface)
        assert interface is not None
        assert interface.addresses == (claim.address,)
        assert interface.mac == claim.mac
        assert claim.mac.startswith("0e:")
        assert claim.private_dns == f"ip-{claim.address.replace('.', '-')}.ec2.internal"
        assert interface.claim == "ecs/t1"
        assert interface.machine == "host-1"
        vpc = (await world.ec2.vpcs.list())[0].record
        assert interface.groups == (vpc.default_group,)


async def test_two_claims_get_two_addresses() -> None:
    world = await World().seeded()
    async with world.running():
        await world.claim("ecs/a")
        await world.claim("ecs/b")
        a, b = await answered(world, "ecs/a"), await answered(world, "ecs/b")
        assert a.address != b.address
        assert a.interface != b.interface


async def test_the_machine_may_be_named_later() -> None:
    world = await World().seeded()
    async with world.running():
        await world.claim("ecs/t")
        claim = await answered(world, "ecs/t")
        await world.ec2.claims.mutate("ecs/t", lambda c: msgspec.structs.replace(c, machine=MachineId("host-9")))
        await world.clock.settle()
        interface = await world.ec2.interfaces.get(claim.interface)
        assert interface is not None and interface.machine == "host-9"


@pytest.mark.parametrize(
    ("subnet", "groups", "code"),
    [
        ("subnet-nowhere", (), "InvalidSubnetID.NotFound"),
        ("", (SecurityGroupId("sg-nowhere"),), "InvalidGroup.NotFound"),
    ],
)
async def test_what_does_not_exist_fails_the_claim_in_awss_words(subnet: str, groups: tuple, code: str) -> None:
    world = await World().seeded()
    async with world.running():
        await world.claim("ecs/t", subnet, groups)
        claim = await answered(world, "ecs/t")
        assert claim.failure.startswith(code + ": ")
        assert await world.ec2.interfaces.list() == []
        assert await world.ec2.addresses.table.list() == []


async def test_a_group_of_another_vpc_fails_the_claim() -> None:
    world = await World().seeded()
    other = (await world.run("CreateVpc", CidrBlock="10.0.0.0/16"))["Vpc"]["VpcId"]
    group = (await world.run("CreateSecurityGroup", GroupName="g", Description="d", VpcId=other))["GroupId"]
    async with world.running():
        await world.claim("ecs/t", groups=(SecurityGroupId(group),))
        assert "different networks" in (await answered(world, "ecs/t")).failure


async def test_a_full_subnet_fails_the_rest_and_frees_with_each_deletion() -> None:
    world = await World().seeded()
    vpc = (await world.run("CreateVpc", CidrBlock="10.0.0.0/24"))["Vpc"]["VpcId"]
    subnet = (await world.run("CreateSubnet", VpcId=vpc, CidrBlock="10.0.0.0/28"))["Subnet"]["SubnetId"]
    async with world.running():
        for number in range(14):
            await world.claim(f"ecs/{number:02}", subnet)
        claims = [await answered(world, f"ecs/{number:02}") for number in range(14)]
        good = [c for c in claims if c.interface]
        assert len(good) == 11
        assert {c.address for c in good} == {f"10.0.0.{n}" for n in range(4, 15)}
        assert all(c.failure.startswith("InsufficientFreeAddressesInSubnet: ") for c in claims if not c.interface)
        gone = next(n for n, c in enumerate(claims) if c.interface)
        await world.ec2.claims.delete(f"ecs/{gone:02}")
        await world.clock.settle()
        await world.claim("ecs/next", subnet)
        assert (await answered(world, "ecs/next")).address == claims[gone].address


async def put_workload(world: World, key: str, interface: str) -> None:
    await world.store.create(WORKLOADS + key, b'{"uid":"u","interface":{"id":"%s"}}' % interface.encode())


@pytest.mark.parametrize("how", ["stopped", "workload gone"])
@pytest.mark.parametrize("machine", ["", "m"])
async def test_a_carried_interface_outlives_its_claim(how: str, machine: str) -> None:
    world = await World().seeded()
    async with world.running():
        await world.claim("ecs/t", machine=machine)
        claim = await answered(world, "ecs/t")
        await put_workload(world, "m/u", claim.interface)
        await world.ec2.claims.delete("ecs/t")
        await world.clock.settle()
        assert await world.ec2.interfaces.get(claim.interface) is not None
        if how == "stopped":
            await world.store.create(STATUSES + "m/u", b'{"phase":"running"}')
            await world.clock.settle()
            assert await world.ec2.interfaces.get(claim.interface) is not None
            entry = await world.store.get(STATUSES + "m/u")
            await world.store.update(STATUSES + "m/u", b'{"phase":"stopped"}', entry.revision)
        else:
            await world.store.delete(WORKLOADS + "m/u")
        await world.clock.settle()
        assert await world.ec2.interfaces.list() == []
        assert await world.ec2.addresses.table.list() == []


@pytest.mark.parametrize("machine", ["", "m"])
async def test_a_workload_that_the_cache_has_not_heard_of_counts(machine: str) -> None:
    world = await World().seeded()
    async with world.running():
        await world.claim("ecs/u", machine=machine)
        claim = await answered(world, "ecs/u")
    assert not await world.ec2.carriers.carried(claim.interface, "ecs/u", MachineId(machine))
    await put_workload(world, "m/other", "eni-other")
    await put_workload(world, "m/u", claim.interface)
    assert not world.ec2.carriers.is_carried(claim.interface)
    assert await world.ec2.carriers.carried(claim.interface, "ecs/u", MachineId(machine))
    await world.store.create(STATUSES + "m/u", b'{"phase":"stopped"}')
    assert not await world.ec2.carriers.carried(claim.interface, "ecs/u", MachineId(machine))


async def test_the_grace_of_a_deleted_interface_is_waited_for() -> None:
    settings = dataclasses.replace(Settings(), timings=Timings(deleted_interface_grace=30.0))
    world = await World(settings=settings).seeded()
    async with world.running():
        await world.claim("ecs/t")
        await answered(world, "ecs/t")
        await world.ec2.claims.delete("ecs/t")
        await world.clock.advance(29)
        assert len(await world.ec2.interfaces.list()) == 1
        await world.clock.advance(2)
        assert await world.ec2.interfaces.list() == []


async def test_a_claim_deleted_while_nobody_watched_is_found() -> None:
    store = MemoryStore(SeededEntropy(3))
    first = await World(store).seeded()
    async with first.running():
        await first.claim("ecs/t")
        await answered(first, "ecs/t")
    await first.ec2.claims.delete("ecs/t")
    second = await World(store, 2).seeded()
    async with second.running():
        await second.clock.settle()
        assert await second.ec2.interfaces.list() == []
        assert await second.ec2.addresses.table.list() == []


async def test_a_new_claim_under_an_old_key_gets_a_new_interface() -> None:
    world = await World().seeded()
    async with world.running():
        await world.claim("ecs/t")
        first = await answered(world, "ecs/t")
        await put_workload(world, "m/u", first.interface)
        await world.ec2.claims.delete("ecs/t")
        await world.claim("ecs/t")
        second = await answered(world, "ecs/t")
        assert second.interface != first.interface
        assert second.address != first.address
        assert len(await world.ec2.interfaces.list()) == 2
        await world.store.delete(WORKLOADS + "m/u")
        await world.clock.settle()
        one_of_each(world, second, await world.ec2.interfaces.list(), await world.ec2.addresses.table.list())


def one_of_each(world: World, claim, interfaces, addresses) -> None:
    assert len(interfaces) == 1
    assert len(addresses) == 1
    assert interfaces[0].record.id == claim.interface
    assert addresses[0].record.interface == claim.interface
    assert addresses[0].key.endswith("/" + claim.address)


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
@pytest.mark.parametrize("dead", [False, True], ids=["retried", "restarted"])
@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_crash_while_making_neither_doubles_nor_leaks(at: int, dead: bool, after: bool) -> None:
    inner = MemoryStore(SeededEntropy(3))
    store = FailingStore(inner)
    world = await World(store).seeded()
    async with world.running():
        await world.claim("ecs/t")
        store.fail(at, after=after, stay_dead=dead)
        await world.clock.advance(1)
        assert store.writes >= at
    if dead:
        world = World(inner, 2)
        async with world.running():
            claim = await answered(world, "ecs/t")
    claim = await answered(world, "ecs/t")
    one_of_each(world, claim, await world.ec2.interfaces.list(), await world.ec2.addresses.table.list())


@pytest.mark.parametrize("after", [False, True], ids=["before the write", "after the write"])
@pytest.mark.parametrize("dead", [False, True], ids=["retried", "restarted"])
@pytest.mark.parametrize("at", [1, 2])
async def test_a_crash_while_giving_back_leaks_nothing(at: int, dead: bool, after: bool) -> None:
    inner = MemoryStore(SeededEntropy(3))
    store = FailingStore(inner)
    world = await World(store).seeded()
    async with world.running():
        await world.claim("ecs/t")
        await answered(world, "ecs/t")
        await inner.delete(world.ec2.claims.prefix + "ecs/t")
        store.fail(at, after=after, stay_dead=dead)
        await world.clock.advance(1)
        assert store.writes >= at
    if dead:
        world = World(inner, 2)
        async with world.running():
            await world.clock.settle()
    assert await world.ec2.interfaces.list() == []
    assert await world.ec2.addresses.table.list() == []


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", [1, 2])
async def test_a_claim_deleted_during_a_crash_leaks_nothing(at: int, after: bool) -> None:
    inner = MemoryStore(SeededEntropy(3))
    store = FailingStore(inner)
    world = await World(store).seeded()
    async with world.running():
        await world.claim("ecs/t")
        store.fail(at, after=after, stay_dead=True)
        await world.clock.settle()
        assert store.broken
    await inner.delete(world.ec2.claims.prefix + "ecs/t")
    world = World(inner, 2)
    async with world.running():
        await world.clock.settle()
    assert await world.ec2.interfaces.list() == []
    assert await world.ec2.addresses.table.list() == []


@pytest.mark.parametrize("after", [False, True])
async def test_seeding_cut_short_anywhere_ends_in_one_default_network(after: bool) -> None:
    whole = await World(MemoryStore(SeededEntropy(3))).seeded()
    writes = whole.store.revision
    for at in range(1, writes + 1):
        inner = MemoryStore(SeededEntropy(3))
        store = FailingStore(inner)
        store.fail(at, after=after, stay_dead=True)
        with pytest.raises(Exception, match=r"create|update"):
            await World(store).seeded()
        world = await World(inner, 2).seeded()
        for table, count in (
            (world.ec2.vpcs, 1),
            (world.ec2.subnets, 3),
            (world.ec2.route_tables, 1),
            (world.ec2.groups, 1),
            (world.ec2.gateways, 1),
            (world.ec2.acls, 1),
            (world.ec2.dhcp_options, 1),
        ):
            assert len(await table.list()) == count, f"write {at}: {table.prefix}"
        assert (await world.ec2.vpcs.list())[0].record.state == "available"
        before = world.store.revision
        await world.seeded()
        assert world.store.revision == before, "seeding again changes nothing"
