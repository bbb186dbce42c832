"""Filters, ids and pages of every Describe; each filter is tried with the value that it shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.model.agent import WORKLOADS
from ropewalk.services.ec2 import (
    internet_gateways,
    locations,
    network_defaults,
    network_interfaces,
    route_tables,
    security_group_rules,
    security_groups,
    subnets,
    tags,
    vpcs,
)
from ropewalk.services.ec2.describing import pattern, values_at
from unit.services.ec2.kit import World

DESCRIPTIONS = {
    "DescribeVpcs": vpcs.DESCRIPTION,
    "DescribeSubnets": subnets.DESCRIPTION,
    "DescribeRouteTables": route_tables.DESCRIPTION,
    "DescribeInternetGateways": internet_gateways.DESCRIPTION,
    "DescribeSecurityGroups": security_groups.DESCRIPTION,
    "DescribeSecurityGroupRules": security_group_rules.DESCRIPTION,
    "DescribeNetworkInterfaces": network_interfaces.DESCRIPTION,
    "DescribeNetworkAcls": network_defaults.ACLS,
    "DescribeDhcpOptions": network_defaults.DHCP,
    "DescribeTags": tags.DESCRIPTION,
    "DescribeAvailabilityZones": locations.ZONES,
    "DescribeRegions": locations.REGIONS,
}

NEVER_SET: dict[str, set[str]] = {
    "DescribeAvailabilityZones": {"message", "parent-zone-id", "parent-zone-name"},
    "DescribeNetworkAcls": {
        "entry.icmp.code",
        "entry.icmp.type",
        "entry.ipv6-cidr",
        "entry.port-range.from",
        "entry.port-range.to",
    },
    "DescribeNetworkInterfaces": {
        "addresses.association.owner-id",
        "addresses.association.public-ip",
        "association.allocation-id",
        "association.association-id",
        "association.ip-owner-id",
        "association.public-dns-name",
        "association.public-ip",
        "attachment.instance-id",
        "ipv6-addresses.ipv6-address",
    },
    "DescribeRouteTables": {
        "association.gateway-id",
        "route.destination-ipv6-cidr-block",
        "route.destination-prefix-list-id",
        "route.egress-only-internet-gateway-id",
        "route.instance-id",
        "route.nat-gateway-id",
        "route.transit-gateway-id",
        "route.vpc-peering-connection-id",
    },
    "DescribeSecurityGroups": {
        "egress.ip-permission.ipv6-cidr",
        "egress.ip-permission.prefix-list-id",
        "ip-permission.ipv6-cidr",
        "ip-permission.prefix-list-id",
    },
    "DescribeSubnets": {
        "ipv6-cidr-block-association.association-id",
        "ipv6-cidr-block-association.ipv6-cidr-block",
        "ipv6-cidr-block-association.state",
        "outpost-arn",
    },
    "DescribeVpcs": {
        "ipv6-cidr-block-association.association-id",
        "ipv6-cidr-block-association.ipv6-cidr-block",
        "ipv6-cidr-block-association.ipv6-pool",
        "ipv6-cidr-block-association.state",
    },
}
"""Filters that EC2 knows, on members that nothing here ever sets: they match nothing."""


async def furnished() -> World:
    """A world in which as many members as possible are set, and two of everything."""
    world = await World().seeded()
    tag = [{"Key": "team", "Value": "rope"}]
    vpc = (
        await world.run("CreateVpc", CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tag}])
    )["Vpc"]["VpcId"]
    subnet = (await world.run("CreateSubnet", VpcId=vpc, CidrBlock="10.0.0.0/24"))["Subnet"]["SubnetId"]
    table = (await world.run("CreateRouteTable", VpcId=vpc))["RouteTable"]["RouteTableId"]
    await world.run("AssociateRouteTable", RouteTableId=table, SubnetId=subnet)
    gateway = (await world.run("CreateInternetGateway"))["InternetGateway"]["InternetGatewayId"]
    await world.run("AttachInternetGateway", VpcId=vpc, InternetGatewayId=gateway)
    group = (await world.run("CreateSecurityGroup", GroupName="g", Description="d", VpcId=vpc))["GroupId"]
    permission = {
        "IpProtocol": "tcp",
        "FromPort": 80,
        "ToPort": 81,
        "IpRanges": [{"CidrIp": "10.0.0.0/8"}],
        "UserIdGroupPairs": [{"GroupId": group}],
    }
    await world.run("AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[permission])
    await world.run("AuthorizeSecurityGroupEgress", GroupId=group, IpPermissions=[permission])
    await world.run("CreateNetworkInterface", SubnetId=subnet, Groups=[group], Description="n")
    await world.run("CreateNetworkInterface", SubnetId=await world.default_subnet())
    await world.claim("ecs/t")
    async with world.running():
        await world.clock.settle()
        claim = await world.ec2.claims.get("ecs/t")
        assert claim is not None
        await world.store.create(WORKLOADS + "m/u", b'{"interface":{"id":"%s"}}' % claim.interface.encode())
        await world.clock.settle()
    return world


@pytest.mark.parametrize("operation", sorted(DESCRIPTIONS))
async def test_each_filter_finds_what_it_shows_and_nothing_else(operation: str) -> None:
    description = DESCRIPTIONS[operation]
    world = await furnished()
    everything = (await world.run(operation))[description.result]
    assert everything
    unset = set()
    for name, path in description.filters.items():
        shown = {value for document in everything for value in values_at(document, path)}
        if not shown:
            unset.add(name)
        for value in sorted(shown):
            filters = [{"Name": name, "Values": [value]}]
            found = (await world.run(operation, Filters=filters))[description.result]
            assert found == [d for d in everything if value in set(values_at(d, path))], (name, value)
            assert found
        nothing = [{"Name": name, "Values": ["no-such-value"]}]
        assert (await world.run(operation, Filters=nothing))[description.result] == []
    assert unset == NEVER_SET.get(operation, set())


async def test_groups_are_found_by_the_name_of_a_group_their_rules_name() -> None:
    world = await furnished()
    for side in ("", "egress."):
        filters = [{"Name": f"{side}ip-permission.group-name", "Values": ["g"]}]
        found = (await world.run("DescribeSecurityGroups", Filters=filters))["SecurityGroups"]
        assert [group["GroupName"] for group in found] == ["g"]


@pytest.mark.parametrize("operation", sorted(DESCRIPTIONS))
async def test_unknown_and_empty_filters_are_refused(operation: str) -> None:
    world = await World().seeded()
    unknown = await world.fault(operation, Filters=[{"Name": "nonsense", "Values": ["x"]}])
    assert (unknown.code, unknown.message) == ("InvalidParameterValue", "The filter 'nonsense' is invalid")
    name = next(iter(DESCRIPTIONS[operation].filters))
    assert (await world.fault(operation, Filters=[{"Name": name}])).code == "InvalidParameterValue"
    assert (await world.fault(operation, Filters=[{"Values": ["x"]}])).code == "MissingParameter"
    many = [{"Name": name, "Values": ["x"] * 201}]
    assert (await world.fault(operation, Filters=many)).code == "FilterLimitExceeded"


PAGED = sorted(set(DESCRIPTIONS) - {"DescribeAvailabilityZones", "DescribeRegions"})


@pytest.mark.parametrize("operation", PAGED)
async def test_pages_put_together_are_the_whole(operation: str) -> None:
    world = await furnished()
    result = DESCRIPTIONS[operation].result
    for number in range(7):
        await world.run(
            "CreateTags", Resources=[(await world.vpc())["VpcId"]], Tags=[{"Key": f"k{number}", "Value": ""}]
        )
    whole = (await world.run(operation))[result]
    collected: list = []
    token: dict = {}
    while True:
        page = await world.run(operation, MaxResults=5, **token)
        assert len(page[result]) <= 5
        collected.extend(page[result])
        if "NextToken" not in page:
            break
        token = {"NextToken": page["NextToken"]}
    assert collected == whole
    assert (await world.fault(operation, NextToken="%%%")).code == "InvalidPaginationToken"


async def test_ids_and_pages_do_not_go_together() -> None:
    world = await World().seeded()
    vpc = (await world.vpc())["VpcId"]
    assert (await world.fault("DescribeVpcs", VpcIds=[vpc], MaxResults=5)).code == "InvalidParameterCombination"


@pytest.mark.parametrize(
    ("operation", "params", "code"),
    [
        ("DescribeSubnets", {"SubnetIds": ["subnet-x"]}, "InvalidSubnetID.NotFound"),
        ("DescribeRouteTables", {"RouteTableIds": ["rtb-x"]}, "InvalidRouteTableID.NotFound"),
        ("DescribeInternetGateways", {"InternetGatewayIds": ["igw-x"]}, "InvalidInternetGatewayID.NotFound"),
        ("DescribeSecurityGroups", {"GroupIds": ["sg-x"]}, "InvalidGroup.NotFound"),
        ("DescribeSecurityGroups", {"GroupNames": ["x"]}, "InvalidGroup.NotFound"),
        ("DescribeVpcs", {"VpcIds": ["zz"]}, "InvalidVpcID.Malformed"),
        ("DescribeSubnets", {"SubnetIds": ["vpc-1"]}, "InvalidSubnetID.Malformed"),
        ("DescribeRouteTables", {"RouteTableIds": ["rtb"]}, "InvalidRouteTableId.Malformed"),
        ("DescribeInternetGateways", {"InternetGatewayIds": [""]}, "InvalidInternetGatewayId.Malformed"),
        ("DescribeSecurityGroups", {"GroupIds": ["sg-1,sg-2"]}, "InvalidGroupId.Malformed"),
        ("DescribeSecurityGroupRules", {"SecurityGroupRuleIds": ["sg-1"]}, "InvalidSecurityGroupRuleId.Malformed"),
        ("DescribeNetworkInterfaces", {"NetworkInterfaceIds": ["zz"]}, "InvalidNetworkInterfaceId.Malformed"),
        ("DescribeNetworkAcls", {"NetworkAclIds": ["zz"]}, "InvalidNetworkAclId.Malformed"),
        ("DescribeDhcpOptions", {"DhcpOptionsIds": ["zz"]}, "InvalidDhcpOptionsId.Malformed"),
        ("DescribeInstances", {"InstanceIds": ["zz"]}, "InvalidInstanceID.Malformed"),
        ("DescribeSecurityGroupRules", {"SecurityGroupRuleIds": ["sgr-x"]}, "InvalidSecurityGroupRuleId.NotFound"),
        ("DescribeNetworkInterfaces", {"NetworkInterfaceIds": ["eni-x"]}, "InvalidNetworkInterfaceID.NotFound"),
        ("DescribeNetworkAcls", {"NetworkAclIds": ["acl-x"]}, "InvalidNetworkAclID.NotFound"),
        ("DescribeDhcpOptions", {"DhcpOptionsIds": ["dopt-x"]}, "InvalidDhcpOptionsID.NotFound"),
        ("DescribeInstances", {"InstanceIds": ["i-x"]}, "InvalidInstanceID.NotFound"),
        ("DescribeInstances", {"MaxResults": -1}, "InvalidParameterValue"),
        ("DescribeTags", {"MaxResults": 4}, "InvalidParameterValue"),
        ("DescribeTags", {"MaxResults": 1001}, "InvalidParameterValue"),
        ("DescribeAvailabilityZones", {"ZoneNames": ["eu-west-1a"]}, "InvalidParameterValue"),
        ("DescribeAvailabilityZones", {"ZoneIds": ["euw1-az1"]}, "InvalidParameterValue"),
        ("DescribeRegions", {"RegionNames": ["eu-west-1"]}, "InvalidParameterValue"),
        ("DescribeAccountAttributes", {"AttributeNames": ["max-instances"]}, "InvalidParameterValue"),
    ],
)
async def test_what_is_not_there_is_said_in_ec2s_words(operation: str, params: dict, code: str) -> None:
    assert (await (await World().seeded()).fault(operation, **params)).code == code


async def test_there_are_no_instances() -> None:
    assert await (await World().seeded()).run("DescribeInstances") == {"Reservations": []}


async def test_where_one_is() -> None:
    world = await World().seeded()
    zones = (await world.run("DescribeAvailabilityZones", ZoneIds=["use1-az2"]))["AvailabilityZones"]
    assert [zone["ZoneName"] for zone in zones] == ["us-east-1b"]
    attributes = (await world.run("DescribeAccountAttributes"))["AccountAttributes"]
    values = {a["AttributeName"]: a["AttributeValues"][0]["AttributeValue"] for a in attributes}
    assert values["default-vpc"] == (await world.vpc())["VpcId"]


@pytest.mark.parametrize(
    ("text", "value", "matches"),
    [
        ("abc", "abc", True),
        ("abc", "ABC", False),
        ("a*", "abc", True),
        ("*c", "abc", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a\\*c", "a*c", True),
        ("a\\*c", "abc", False),
        ("a.c", "abc", False),
        ("a\\", "a\\", True),
    ],
)
def test_wildcards(text: str, value: str, matches: bool) -> None:
    assert bool(pattern(text).fullmatch(value)) is matches


@given(st.text())
def test_escaped_text_matches_itself(text: str) -> None:
    escaped = "".join("\\" + c if c in "*?\\" else c for c in text)
    assert pattern(escaped).fullmatch(text)


async def test_a_malformed_id_is_told_with_what_was_expected() -> None:
    world = await World().seeded()
    fault = await world.fault("DescribeSecurityGroups", GroupIds=["zz"])
    assert (fault.code, fault.message) == ("InvalidGroupId.Malformed", 'Invalid id: "zz" (expecting "sg-...")')
    fault = await world.fault("DeleteSecurityGroup", GroupId="sg-1, sg-2")
    assert (fault.code, fault.message) == ("InvalidGroupId.Malformed", 'Invalid id: "sg-1, sg-2"')
