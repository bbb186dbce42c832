"""VPCs and what comes with them."""

from __future__ import annotations

import pytest

from unit.services.ec2.kit import World


async def test_the_default_vpc_is_as_in_aws() -> None:
    world = await World().seeded()
    vpc = await world.vpc()
    assert (vpc["CidrBlock"], vpc["IsDefault"], vpc["State"]) == ("172.31.0.0/16", True, "available")
    subnets = (await world.run("DescribeSubnets"))["Subnets"]
    assert sorted((s["AvailabilityZone"], s["CidrBlock"]) for s in subnets) == [
        ("us-east-1a", "172.31.0.0/20"),
        ("us-east-1b", "172.31.16.0/20"),
        ("us-east-1c", "172.31.32.0/20"),
    ]
    assert all(s["DefaultForAz"] and s["MapPublicIpOnLaunch"] for s in subnets)
    assert {s["AvailableIpAddressCount"] for s in subnets} == {4091}
    table = (await world.run("DescribeRouteTables"))["RouteTables"][0]
    gateway = (await world.run("DescribeInternetGateways"))["InternetGateways"][0]
    assert [(r["DestinationCidrBlock"], r["GatewayId"], r["State"]) for r in table["Routes"]] == [
        ("172.31.0.0/16", "local", "active"),
        ("0.0.0.0/0", gateway["InternetGatewayId"], "active"),
    ]
    assert [a["Main"] for a in table["Associations"]] == [True]
    group = (await world.run("DescribeSecurityGroups"))["SecurityGroups"][0]
    assert group["GroupName"] == "default"
    assert [p["UserIdGroupPairs"][0]["GroupId"] for p in group["IpPermissions"]] == [group["GroupId"]]
    assert [p["IpRanges"] for p in group["IpPermissionsEgress"]] == [[{"CidrIp": "0.0.0.0/0"}]]
    acl = (await world.run("DescribeNetworkAcls"))["NetworkAcls"][0]
    assert len(acl["Associations"]) == 3
    options = (await world.run("DescribeDhcpOptions"))["DhcpOptions"][0]
    assert vpc["DhcpOptionsId"] == options["DhcpOptionsId"]
    attribute = await world.run("DescribeVpcAttribute", VpcId=vpc["VpcId"], Attribute="enableDnsHostnames")
    assert attribute["EnableDnsHostnames"] == {"Value": True}


async def test_a_vpc_lives_and_dies_with_what_belongs_to_it() -> None:
    world = World()
    vpc = (await world.run("CreateVpc", CidrBlock="10.1.2.3/16"))["Vpc"]
    assert (vpc["CidrBlock"], vpc["State"]) == ("10.1.0.0/16", "pending")
    assert (await world.vpc())["State"] == "available"
    for table in (world.ec2.groups, world.ec2.route_tables, world.ec2.acls):
        assert len(await table.list()) == 1
    await world.run("DeleteVpc", VpcId=vpc["VpcId"])
    for table in (world.ec2.vpcs, world.ec2.groups, world.ec2.route_tables, world.ec2.acls):
        assert await table.list() == []


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "MissingParameter"),
        ({"CidrBlock": "10.0.0.0/8"}, "InvalidVpc.Range"),
        ({"CidrBlock": "10.0.0.0/29"}, "InvalidVpc.Range"),
        ({"CidrBlock": "10.0.0.0"}, "InvalidParameterValue"),
        ({"CidrBlock": "banana/16"}, "InvalidParameterValue"),
        ({"CidrBlock": "10.0.0.0/16", "InstanceTenancy": "dedicated"}, "UnsupportedOperation"),
        ({"CidrBlock": "10.0.0.0/16", "AmazonProvidedIpv6CidrBlock": True}, "UnsupportedOperation"),
        ({"CidrBlock": "10.0.0.0/16", "DryRun": True}, "DryRunOperation"),
        (
            {"CidrBlock": "10.0.0.0/16", "TagSpecifications": [{"ResourceType": "subnet", "Tags": []}]},
            "InvalidParameterValue",
        ),
    ],
)
async def test_bad_vpcs_are_refused(params: dict, code: str) -> None:
    assert (await World().fault("CreateVpc", **params)).code == code


async def test_what_asks_for_nothing_passes() -> None:
    await World().run(
        "CreateVpc", CidrBlock="10.0.0.0/16", InstanceTenancy="default", AmazonProvidedIpv6CidrBlock=False, DryRun=False
    )


@pytest.mark.parametrize("dependent", ["subnet", "group", "table", "gateway"])
async def test_a_vpc_with_dependents_stays(dependent: str) -> None:
    world = World()
    vpc = (await world.run("CreateVpc", CidrBlock="10.0.0.0/16"))["Vpc"]["VpcId"]
    if dependent == "subnet":
        await world.run("CreateSubnet", VpcId=vpc, CidrBlock="10.0.0.0/24")
    elif dependent == "group":
        await world.run("CreateSecurityGroup", VpcId=vpc, GroupName="g", Description="d")
    elif dependent == "table":
        await world.run("CreateRouteTable", VpcId=vpc)
    else:
        gateway = (await world.run("CreateInternetGateway"))["InternetGateway"]["InternetGatewayId"]
        await world.run("AttachInternetGateway", VpcId=vpc, InternetGatewayId=gateway)
    fault = await world.fault("DeleteVpc", VpcId=vpc)
    assert fault.code == "DependencyViolation"
    assert fault.message == f"The vpc '{vpc}' has dependencies and cannot be deleted."


async def test_attributes_are_switched_one_at_a_time() -> None:
    world = await World().seeded()
    vpc = (await world.vpc())["VpcId"]
    await world.run("ModifyVpcAttribute", VpcId=vpc, EnableDnsSupport={"Value": False})
    got = await world.run("DescribeVpcAttribute", VpcId=vpc, Attribute="enableDnsSupport")
    assert got["EnableDnsSupport"] == {"Value": False}
    both = {"EnableDnsSupport": {"Value": True}, "EnableDnsHostnames": {"Value": True}}
    assert (await world.fault("ModifyVpcAttribute", VpcId=vpc, **both)).code == "InvalidParameterCombination"
    assert (await world.fault("ModifyVpcAttribute", VpcId=vpc)).code == "MissingParameter"


async def test_unknown_vpcs_are_not_found() -> None:
    world = World()
    for operation, params in (
        ("DeleteVpc", {"VpcId": "vpc-x"}),
        ("DescribeVpcs", {"VpcIds": ["vpc-x"]}),
        ("DescribeVpcAttribute", {"VpcId": "vpc-x", "Attribute": "enableDnsSupport"}),
        ("ModifyVpcAttribute", {"VpcId": "vpc-x", "EnableDnsSupport": {"Value": True}}),
        ("CreateSubnet", {"VpcId": "vpc-x", "CidrBlock": "10.0.0.0/24"}),
        ("CreateRouteTable", {"VpcId": "vpc-x"}),
        ("CreateSecurityGroup", {"VpcId": "vpc-x", "GroupName": "g", "Description": "d"}),
    ):
        fault = await world.fault(operation, **params)
        assert (fault.code, fault.message) == ("InvalidVpcID.NotFound", "The vpc ID 'vpc-x' does not exist"), operation


async def test_a_deleted_default_vpc_stays_away_until_asked_for() -> None:
    world = await World().seeded()
    vpc = (await world.vpc())["VpcId"]
    assert (await world.fault("CreateDefaultVpc")).code == "DefaultVpcAlreadyExists"
    for subnet in (await world.run("DescribeSubnets"))["Subnets"]:
        await world.run("DeleteSubnet", SubnetId=subnet["SubnetId"])
    gateway = (await world.run("DescribeInternetGateways"))["InternetGateways"][0]["InternetGatewayId"]
    await world.run("DetachInternetGateway", InternetGatewayId=gateway, VpcId=vpc)
    await world.run("DeleteVpc", VpcId=vpc)
    await world.seeded()
    assert (await world.run("DescribeVpcs"))["Vpcs"] == []
    assert (await world.fault("CreateDefaultSubnet", AvailabilityZone="us-east-1a")).code == "DefaultVpcDoesNotExist"
    assert (await world.run("CreateDefaultVpc"))["Vpc"]["IsDefault"]
    assert len((await world.run("DescribeSubnets"))["Subnets"]) == 3
