"""Subnets: ranges, zones, conflicts, default ones."""

from __future__ import annotations

import pytest

from ropewalk.services.ec2.subnets import zone_id
from unit.services.ec2.kit import World


async def a_vpc(world: World, cidr: str = "10.0.0.0/16") -> str:
    return (await world.run("CreateVpc", CidrBlock=cidr))["Vpc"]["VpcId"]


async def test_a_subnet_says_what_it_is() -> None:
    world = World()
    vpc = await a_vpc(world)
    subnet = (
        await world.run(
            "CreateSubnet",
            VpcId=vpc,
            CidrBlock="10.0.1.0/24",
            AvailabilityZone="us-east-1b",
            TagSpecifications=[{"ResourceType": "subnet", "Tags": [{"Key": "Name", "Value": "web"}]}],
        )
    )["Subnet"]
    assert subnet["AvailableIpAddressCount"] == 251
    assert (subnet["AvailabilityZone"], subnet["AvailabilityZoneId"]) == ("us-east-1b", "use1-az2")
    assert subnet["SubnetArn"] == f"arn:aws:ec2:us-east-1:123456789012:subnet/{subnet['SubnetId']}"
    assert subnet["Tags"] == [{"Key": "Name", "Value": "web"}]
    assert (await world.run("DescribeSubnets", SubnetIds=[subnet["SubnetId"]]))["Subnets"] == [subnet]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({}, "MissingParameter"),
        ({"CidrBlock": "10.1.0.0/24"}, "InvalidSubnet.Range"),
        ({"CidrBlock": "10.0.0.0/15"}, "InvalidSubnet.Range"),
        ({"CidrBlock": "10.0.0.0/29"}, "InvalidSubnet.Range"),
        ({"CidrBlock": "10.0.0.128/25"}, "InvalidSubnet.Conflict"),
        ({"CidrBlock": "10.0.0.0/16"}, "InvalidSubnet.Conflict"),
        ({"CidrBlock": "10.0.9.0/24", "AvailabilityZone": "us-east-1z"}, "InvalidParameterValue"),
        ({"CidrBlock": "10.0.9.0/24", "AvailabilityZoneId": "use1-az9"}, "InvalidParameterValue"),
        (
            {"CidrBlock": "10.0.9.0/24", "AvailabilityZone": "us-east-1a", "AvailabilityZoneId": "use1-az1"},
            "InvalidParameterCombination",
        ),
        ({"CidrBlock": "10.0.9.0/24", "Ipv6CidrBlock": "fd00::/64"}, "UnsupportedOperation"),
        ({"CidrBlock": "x"}, "InvalidParameterValue"),
    ],
)
async def test_bad_subnets_are_refused(more: dict, code: str) -> None:
    world = World()
    vpc = await a_vpc(world)
    await world.run("CreateSubnet", VpcId=vpc, CidrBlock="10.0.0.0/24")
    assert (await world.fault("CreateSubnet", VpcId=vpc, **more)).code == code


async def test_a_zone_may_be_given_by_its_id() -> None:
    world = World()
    vpc = await a_vpc(world)
    made = await world.run("CreateSubnet", VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZoneId="use1-az3")
    assert made["Subnet"]["AvailabilityZone"] == "us-east-1c"


async def test_a_subnet_in_use_stays_and_an_empty_one_goes() -> None:
    world = await World().seeded()
    subnet = await world.default_subnet()
    interface = (await world.run("CreateNetworkInterface", SubnetId=subnet))["NetworkInterface"]["NetworkInterfaceId"]
    assert (await world.fault("DeleteSubnet", SubnetId=subnet)).code == "DependencyViolation"
    await world.run("DeleteNetworkInterface", NetworkInterfaceId=interface)
    await world.run("DeleteSubnet", SubnetId=subnet)
    assert (await world.fault("DeleteSubnet", SubnetId=subnet)).code == "InvalidSubnetID.NotFound"


async def test_an_interface_being_made_keeps_its_subnet() -> None:
    world = await World().seeded()
    subnet = await world.default_subnet()
    with world.ec2.holds.using(subnet):
        assert (await world.fault("DeleteSubnet", SubnetId=subnet)).code == "DependencyViolation"
    with world.ec2.holds.deleting([subnet]):
        assert (await world.fault("CreateNetworkInterface", SubnetId=subnet)).code == "InvalidSubnetID.NotFound"


async def test_a_default_subnet_is_made_again_where_it_was() -> None:
    world = await World().seeded()
    taken = await world.fault("CreateDefaultSubnet", AvailabilityZone="us-east-1a")
    assert taken.code == "DefaultSubnetAlreadyExistsInAvailabilityZone"
    subnets = (await world.run("DescribeSubnets"))["Subnets"]
    gone = next(s for s in subnets if s["AvailabilityZone"] == "us-east-1b")
    await world.run("DeleteSubnet", SubnetId=gone["SubnetId"])
    made = (await world.run("CreateDefaultSubnet", AvailabilityZone="us-east-1b"))["Subnet"]
    assert (made["CidrBlock"], made["DefaultForAz"]) == (gone["CidrBlock"], True)


async def test_the_public_address_switch_is_kept() -> None:
    world = await World().seeded()
    subnet = await world.default_subnet()
    await world.run("ModifySubnetAttribute", SubnetId=subnet, MapPublicIpOnLaunch={"Value": False})
    got = (await world.run("DescribeSubnets", SubnetIds=[subnet]))["Subnets"][0]
    assert got["MapPublicIpOnLaunch"] is False
    assert (await world.fault("ModifySubnetAttribute", SubnetId=subnet)).code == "MissingParameter"
    refused = await world.fault("ModifySubnetAttribute", SubnetId=subnet, EnableDns64={"Value": True})
    assert refused.code == "UnsupportedOperation" and "EnableDns64" in refused.message


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("us-east-1a", "use1-az1"),
        ("eu-central-1c", "euc1-az3"),
        ("ap-northeast-1b", "apne1-az2"),
        ("ap-southeast-2a", "apse2-az1"),
        ("us-gov-west-1a", "usgw1-az1"),
        ("my-own-zone", "my-own-zone"),
    ],
)
def test_zone_ids_are_short(zone: str, expected: str) -> None:
    assert zone_id(zone) == expected
