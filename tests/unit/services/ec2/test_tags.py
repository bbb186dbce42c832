"""Tags: on everything, at creation and after."""

from __future__ import annotations

import pytest

from unit.services.ec2.kit import World


async def everything(world: World) -> dict[str, str]:
    """One id of each kind, by resource type."""
    subnet = await world.default_subnet()
    rules = (await world.run("DescribeSecurityGroupRules"))["SecurityGroupRules"]
    interface = (await world.run("CreateNetworkInterface", SubnetId=subnet))["NetworkInterface"]
    return {
        "vpc": (await world.vpc())["VpcId"],
        "subnet": subnet,
        "route-table": (await world.run("DescribeRouteTables"))["RouteTables"][0]["RouteTableId"],
        "internet-gateway": (await world.run("DescribeInternetGateways"))["InternetGateways"][0]["InternetGatewayId"],
        "security-group": (await world.run("DescribeSecurityGroups"))["SecurityGroups"][0]["GroupId"],
        "security-group-rule": rules[0]["SecurityGroupRuleId"],
        "network-interface": interface["NetworkInterfaceId"],
        "network-acl": (await world.run("DescribeNetworkAcls"))["NetworkAcls"][0]["NetworkAclId"],
        "dhcp-options": (await world.run("DescribeDhcpOptions"))["DhcpOptions"][0]["DhcpOptionsId"],
    }


async def tags_of(world: World, name: str) -> dict[str, str]:
    filters = [{"Name": "resource-id", "Values": [name]}]
    return {tag["Key"]: tag["Value"] for tag in (await world.run("DescribeTags", Filters=filters))["Tags"]}


async def test_every_kind_of_resource_takes_tags() -> None:
    world = await World().seeded()
    ids = await everything(world)
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    await world.run("CreateTags", Resources=list(ids.values()), Tags=tags)
    described = (await world.run("DescribeTags"))["Tags"]
    assert {(t["ResourceType"], t["ResourceId"]) for t in described} == set(ids.items())
    for name in ids.values():
        assert await tags_of(world, name) == {"a": "1", "b": "2"}
    await world.run("CreateTags", Resources=[ids["vpc"]], Tags=[{"Key": "a", "Value": "3"}])
    assert await tags_of(world, ids["vpc"]) == {"a": "3", "b": "2"}


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ([{"Key": "a"}], {"b": "2"}),
        ([{"Key": "a", "Value": "1"}], {"b": "2"}),
        ([{"Key": "a", "Value": "other"}], {"a": "1", "b": "2"}),
        ([{"Key": "a", "Value": ""}], {"a": "1", "b": "2"}),
        ([], {}),
    ],
)
async def test_tags_are_deleted_as_asked(given: list, left: dict) -> None:
    world = await World().seeded()
    vpc = (await world.vpc())["VpcId"]
    await world.run("CreateTags", Resources=[vpc], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    await world.run("DeleteTags", Resources=[vpc], Tags=given)
    assert await tags_of(world, vpc) == left


@pytest.mark.parametrize(
    ("resources", "tags", "code"),
    [
        (["vpc-x"], [{"Key": "a", "Value": ""}], "InvalidVpcID.NotFound"),
        (["i-1"], [{"Key": "a", "Value": ""}], "InvalidID"),
        (["nonsense"], [{"Key": "a", "Value": ""}], "InvalidID"),
        (["sgr-x"], [{"Key": "a", "Value": ""}], "InvalidSecurityGroupRuleId.NotFound"),
        ([], [], "MissingParameter"),
        ([], [{"Key": "aws:x", "Value": ""}], "InvalidParameterValue"),
        ([], [{"Key": "k" * 129, "Value": ""}], "InvalidParameterValue"),
        ([], [{"Key": "k", "Value": "v" * 257}], "InvalidParameterValue"),
        ([], [{"Key": "k", "Value": ""}, {"Key": "k", "Value": "x"}], "InvalidParameterValue"),
        ([], [{"Value": "x"}], "MissingParameter"),
        ([], [{"Key": f"k{n}", "Value": ""} for n in range(51)], "TagLimitExceeded"),
    ],
)
async def test_bad_tags_change_nothing(resources: list, tags: list, code: str) -> None:
    world = await World().seeded()
    vpc = (await world.vpc())["VpcId"]
    assert (await world.fault("CreateTags", Resources=[vpc, *resources], Tags=tags)).code == code


async def test_fifty_tags_are_the_most_over_several_calls() -> None:
    world = await World().seeded()
    vpc, subnet = (await world.vpc())["VpcId"], await world.default_subnet()
    await world.run("CreateTags", Resources=[vpc], Tags=[{"Key": f"k{n}", "Value": ""} for n in range(50)])
    more = [{"Key": "more", "Value": ""}]
    assert (await world.fault("CreateTags", Resources=[subnet, vpc], Tags=more)).code == "TagLimitExceeded"
    await world.run("CreateTags", Resources=[vpc], Tags=[{"Key": "k1", "Value": "changed"}])


async def test_tags_filter_what_carries_them() -> None:
    world = await World().seeded()
    subnet = await world.default_subnet()
    await world.run("CreateTags", Resources=[subnet], Tags=[{"Key": "Name", "Value": "web-1"}])
    for filters in (
        [{"Name": "tag:Name", "Values": ["web-*"]}],
        [{"Name": "tag-key", "Values": ["Name"]}],
        [{"Name": "tag-value", "Values": ["web-1"]}],
    ):
        found = (await world.run("DescribeSubnets", Filters=filters))["Subnets"]
        assert [s["SubnetId"] for s in found] == [subnet]
    none = [{"Name": "tag:Name", "Values": ["db"]}]
    assert (await world.run("DescribeSubnets", Filters=none))["Subnets"] == []
