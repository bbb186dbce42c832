"""Network interfaces: addresses, groups, status, and what a service manages."""

from __future__ import annotations

import pytest

from ropewalk.base.entropy import SeededEntropy
from ropewalk.model.agent import STATUSES, WORKLOADS
from ropewalk.store.memory import MemoryStore
from unit.services.ec2.kit import Crash, FailingStore, World


async def described(world: World, name: str) -> dict:
    return (await world.run("DescribeNetworkInterfaces", NetworkInterfaceIds=[name]))["NetworkInterfaces"][0]


async def made(world: World, **params) -> dict:
    params.setdefault("SubnetId", await world.default_subnet())
    return (await world.run("CreateNetworkInterface", **params))["NetworkInterface"]


async def test_an_interface_says_what_it_is() -> None:
    world = await World().seeded()
    interface = await made(
        world,
        Description="mine",
        TagSpecifications=[{"ResourceType": "network-interface", "Tags": [{"Key": "a", "Value": "b"}]}],
    )
    got = await described(world, interface["NetworkInterfaceId"])
    assert got == interface
    assert (got["Status"], got["InterfaceType"], got["RequesterManaged"]) == ("available", "interface", False)
    assert got["PrivateDnsName"] == f"ip-{got['PrivateIpAddress'].replace('.', '-')}.ec2.internal"
    assert [g["GroupName"] for g in got["Groups"]] == ["default"]
    assert got["TagSet"] == [{"Key": "a", "Value": "b"}]


async def test_a_claimed_interface_follows_its_workload() -> None:
    world = await World().seeded()
    async with world.running():
        await world.claim("ecs/t")
        await world.clock.settle()
        claim = await world.ec2.claims.get("ecs/t")
        assert claim is not None
        free = await described(world, claim.interface)
        assert (free["Status"], free["RequesterManaged"]) == ("available", True)
        assert free["Description"] == "arn:aws:ecs:us-east-1:123456789012:attachment/ecs/t"
        await world.store.create(WORKLOADS + "m/u", b'{"interface":{"id":"%s"}}' % claim.interface.encode())
        await world.clock.settle()
        carried = await described(world, claim.interface)
        assert (carried["Status"], carried["Attachment"]["Status"]) == ("in-use", "attached")
        in_use = [{"Name": "status", "Values": ["in-use"]}]
        assert len((await world.run("DescribeNetworkInterfaces", Filters=in_use))["NetworkInterfaces"]) == 1
        name = {"NetworkInterfaceId": claim.interface}
        assert (await world.fault("DeleteNetworkInterface", **name)).code == "InvalidNetworkInterface.InUse"
        await world.store.create(STATUSES + "m/u", b'{"phase":"stopped"}')
        await world.clock.settle()
        assert (await described(world, claim.interface))["Status"] == "available"
        assert (await world.fault("DeleteNetworkInterface", **name)).code == "OperationNotPermitted"
        change = await world.fault("ModifyNetworkInterfaceAttribute", **name, SourceDestCheck={"Value": False})
        assert change.code == "OperationNotPermitted"


async def test_addresses_can_be_chosen() -> None:
    world = await World().seeded()
    interface = await made(
        world,
        PrivateIpAddresses=[
            {"PrivateIpAddress": "172.31.0.50"},
            {"PrivateIpAddress": "172.31.0.40", "Primary": True},
        ],
        SubnetId=next(
            s["SubnetId"] for s in (await world.run("DescribeSubnets"))["Subnets"] if s["CidrBlock"] == "172.31.0.0/20"
        ),
    )
    assert [(a["PrivateIpAddress"], a["Primary"]) for a in interface["PrivateIpAddresses"]] == [
        ("172.31.0.40", True),
        ("172.31.0.50", False),
    ]
    base = {"SubnetId": interface["SubnetId"]}
    for params, code in (
        ({"PrivateIpAddress": "172.31.0.40"}, "InvalidIPAddress.InUse"),
        ({"PrivateIpAddress": "172.31.0.3"}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "172.31.15.255"}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "172.31.16.9"}, "InvalidParameterValue"),
        ({"PrivateIpAddress": "banana"}, "InvalidParameterValue"),
        ({"SecondaryPrivateIpAddressCount": 50}, "PrivateIpAddressLimitExceeded"),
        ({"Ipv6AddressCount": 1}, "UnsupportedOperation"),
        ({"InterfaceType": "efa"}, "UnsupportedOperation"),
        ({"Groups": ["sg-x"]}, "InvalidGroup.NotFound"),
        ({"SubnetId": "subnet-x"}, "InvalidSubnetID.NotFound"),
        (
            {"PrivateIpAddress": "172.31.0.60", "PrivateIpAddresses": [{"PrivateIpAddress": "172.31.0.60"}]},
            "InvalidParameterValue",
        ),
    ):
        assert (await world.fault("CreateNetworkInterface", **{**base, **params})).code == code, params


async def test_a_group_too_many_and_one_of_another_vpc_are_refused() -> None:
    world = await World().seeded()
    groups = [(await world.run("CreateSecurityGroup", GroupName=f"g{n}", Description="d"))["GroupId"] for n in range(6)]
    subnet = await world.default_subnet()
    many = await world.fault("CreateNetworkInterface", SubnetId=subnet, Groups=groups)
    assert many.code == "SecurityGroupsPerInterfaceLimitExceeded"
    vpc = (await world.run("CreateVpc", CidrBlock="10.0.0.0/16"))["Vpc"]["VpcId"]
    far = (await world.run("CreateSecurityGroup", GroupName="far", Description="d", VpcId=vpc))["GroupId"]
    mixed = await world.fault("CreateNetworkInterface", SubnetId=subnet, Groups=[far])
    assert mixed.code == "InvalidParameter"


async def test_what_cannot_be_made_whole_takes_no_address() -> None:
    world = await World().seeded()
    subnet = (await world.run("DescribeSubnets"))["Subnets"][0]
    taken = await made(world, SubnetId=subnet["SubnetId"])
    free = str(await world.default_subnet())
    assert free
    with pytest.raises(Exception, match=r"InvalidIPAddress\.InUse"):
        await world.run(
            "CreateNetworkInterface",
            SubnetId=subnet["SubnetId"],
            PrivateIpAddresses=[
                {"PrivateIpAddress": _neighbour(taken["PrivateIpAddress"]), "Primary": True},
                {"PrivateIpAddress": taken["PrivateIpAddress"]},
            ],
        )
    assert [item.key.split("/")[1] for item in await world.ec2.addresses.table.list()] == [taken["PrivateIpAddress"]]


def _neighbour(address: str) -> str:
    head, _, last = address.rpartition(".")
    return f"{head}.{int(last) + 1 if int(last) < 250 else int(last) - 1}"


async def test_a_client_token_makes_one_interface() -> None:
    world = await World().seeded()
    subnet = await world.default_subnet()
    first = await made(world, ClientToken="t")
    assert await made(world, ClientToken="t") == first
    other = next(s["SubnetId"] for s in (await world.run("DescribeSubnets"))["Subnets"] if s["SubnetId"] != subnet)
    fault = await world.fault("CreateNetworkInterface", SubnetId=other, ClientToken="t")
    assert fault.code == "IdempotentParameterMismatch"


async def test_secondary_addresses_come_and_go() -> None:
    world = await World().seeded()
    interface = await made(world)
    name = {"NetworkInterfaceId": interface["NetworkInterfaceId"]}
    new = (await world.run("AssignPrivateIpAddresses", **name, SecondaryPrivateIpAddressCount=2))[
        "AssignedPrivateIpAddresses"
    ]
    addresses = [a["PrivateIpAddress"] for a in new]
    got = await described(world, interface["NetworkInterfaceId"])
    assert [a["PrivateIpAddress"] for a in got["PrivateIpAddresses"]] == [interface["PrivateIpAddress"], *addresses]
    own = await world.fault("AssignPrivateIpAddresses", **name, PrivateIpAddresses=[interface["PrivateIpAddress"]])
    assert own.code == "InvalidIPAddress.InUse"
    primary = await world.fault(
        "UnassignPrivateIpAddresses", **name, PrivateIpAddresses=[interface["PrivateIpAddress"]]
    )
    assert primary.code == "InvalidParameterValue"
    await world.run("UnassignPrivateIpAddresses", **name, PrivateIpAddresses=addresses)
    assert len(await world.ec2.addresses.table.list()) == 1
    await world.run("DeleteNetworkInterface", **name)
    assert await world.ec2.addresses.table.list() == []


async def test_attributes_are_modified_and_described() -> None:
    world = await World().seeded()
    group = (await world.run("CreateSecurityGroup", GroupName="g", Description="d"))["GroupId"]
    name = {"NetworkInterfaceId": (await made(world))["NetworkInterfaceId"]}
    await world.run("ModifyNetworkInterfaceAttribute", **name, Groups=[group])
    await world.run("ModifyNetworkInterfaceAttribute", **name, SourceDestCheck={"Value": False})
    await world.run("ModifyNetworkInterfaceAttribute", **name, Description={"Value": "new"})
    for attribute, member, value in (
        ("groupSet", "Groups", [{"GroupId": group, "GroupName": "g"}]),
        ("sourceDestCheck", "SourceDestCheck", {"Value": False}),
        ("description", "Description", {"Value": "new"}),
    ):
        got = await world.run("DescribeNetworkInterfaceAttribute", **name, Attribute=attribute)
        assert got[member] == value
    assert (await world.fault("ModifyNetworkInterfaceAttribute", **name)).code == "MissingParameter"
    both = {"SourceDestCheck": {"Value": True}, "Description": {"Value": "x"}}
    assert (await world.fault("ModifyNetworkInterfaceAttribute", **name, **both)).code == "InvalidParameterCombination"


async def test_names_follow_the_vpcs_switch() -> None:
    world = await World().seeded()
    vpc = (await world.vpc())["VpcId"]
    interface = await made(world)
    await world.run("ModifyVpcAttribute", VpcId=vpc, EnableDnsHostnames={"Value": False})
    assert "PrivateDnsName" not in await described(world, interface["NetworkInterfaceId"])


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("operation", ["CreateNetworkInterface", "DeleteNetworkInterface", "AssignPrivateIpAddresses"])
@pytest.mark.parametrize("at", [1, 2])
async def test_a_crash_leaves_no_address_behind(operation: str, at: int, after: bool) -> None:
    inner = MemoryStore(SeededEntropy(3))
    store = FailingStore(inner)
    world = await World(store).seeded()
    if operation == "CreateNetworkInterface":
        params = {"SubnetId": await world.default_subnet()}
    else:
        params = {"NetworkInterfaceId": (await made(world))["NetworkInterfaceId"]}
        if operation == "AssignPrivateIpAddresses":
            params["SecondaryPrivateIpAddressCount"] = 1
    store.fail(at, after=after, stay_dead=True)
    with pytest.raises(Crash):
        await world.run(operation, **params)
    world = World(inner, 2)
    async with world.running():
        await world.clock.settle()
    owned = {(i.record.id, a) for i in await world.ec2.interfaces.list() for a in i.record.addresses}
    booked = {(i.record.interface, i.key.split("/")[1]) for i in await world.ec2.addresses.table.list()}
    assert booked == owned
