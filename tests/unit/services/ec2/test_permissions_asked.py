"""What a caller must be allowed: every resource that a request uses, and tagging where it brings tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ropewalk.aws.operations import Principal
from ropewalk.base.errors import Fault
from ropewalk.services.ec2 import operations
from unit.services.ec2.kit import World, call

PREFIX = "arn:aws:ec2:us-east-1:123456789012:"


@pytest.mark.parametrize(
    ("operation", "params", "asked"),
    [
        ("CreateSubnet", {"VpcId": "vpc-1"}, ["subnet/*", "vpc/vpc-1"]),
        ("CreateSecurityGroup", {"VpcId": "vpc-1"}, ["security-group/*", "vpc/vpc-1"]),
        ("CreateSecurityGroup", {}, ["security-group/*"]),
        ("CreateRouteTable", {"VpcId": "vpc-1"}, ["route-table/*", "vpc/vpc-1"]),
        ("AssociateRouteTable", {"RouteTableId": "r", "SubnetId": "s"}, ["route-table/r", "subnet/s"]),
        ("AttachInternetGateway", {"InternetGatewayId": "g", "VpcId": "v"}, ["internet-gateway/g", "vpc/v"]),
        ("DetachInternetGateway", {"InternetGatewayId": "g", "VpcId": "v"}, ["internet-gateway/g", "vpc/v"]),
        (
            "CreateNetworkInterface",
            {"SubnetId": "s", "Groups": ["a", "b"]},
            ["network-interface/*", "subnet/s", "security-group/a", "security-group/b"],
        ),
    ],
)
async def test_every_resource_that_a_request_uses_is_asked_for(
    operation: str, params: dict[str, Any], asked: list[str]
) -> None:
    found = await operations.offered[operation].resources(World().ec2, call(operation), params)
    assert [touched.arn for touched in found] == [PREFIX + name for name in asked]


async def told(world: World, operation: str, **params: Any) -> dict[str, Mapping[str, Sequence[str]]]:
    """By ARN without its prefix: the conditions that policies are told."""
    found = await operations.offered[operation].resources(world.ec2, call(operation), params)
    return {touched.arn.removeprefix(PREFIX): touched.conditions for touched in found}


async def test_policies_are_told_where_a_resource_is_and_its_tags() -> None:
    world = await World().seeded()
    vpc, subnet = (await world.vpc())["VpcId"], await world.default_subnet()
    zone = (await world.run("DescribeSubnets", SubnetIds=[subnet]))["Subnets"][0]["AvailabilityZone"]
    tags = [{"ResourceType": "security-group", "Tags": [{"Key": "env", "Value": "prod"}]}]
    made = await world.run("CreateSecurityGroup", GroupName="db", Description="d", VpcId=vpc, TagSpecifications=tags)
    group = made["GroupId"]
    of_group = {
        "ec2:Region": ("us-east-1",),
        "ec2:SecurityGroupID": (group,),
        "ec2:Vpc": (f"{PREFIX}vpc/{vpc}",),
        "aws:ResourceTag/env": ("prod",),
        "ec2:ResourceTag/env": ("prod",),
    }
    assert await told(world, "DeleteSecurityGroup", GroupId=group) == {f"security-group/{group}": of_group}
    assert await told(world, "DeleteSecurityGroup", GroupName="db") == {f"security-group/{group}": of_group}
    assert await told(world, "CreateTags", Resources=[group]) == {f"security-group/{group}": of_group}
    asked = await told(world, "CreateNetworkInterface", SubnetId=subnet, Groups=[group])
    assert asked[f"security-group/{group}"] == of_group
    assert asked[f"subnet/{subnet}"]["ec2:SubnetID"] == (subnet,)
    assert asked["network-interface/*"]["ec2:Subnet"] == (f"{PREFIX}subnet/{subnet}",)
    assert asked["network-interface/*"]["ec2:Vpc"] == (f"{PREFIX}vpc/{vpc}",)
    interface = (await world.run("CreateNetworkInterface", SubnetId=subnet))["NetworkInterface"]["NetworkInterfaceId"]
    asked = await told(world, "DeleteNetworkInterface", NetworkInterfaceId=interface)
    assert asked[f"network-interface/{interface}"] == {
        "ec2:Region": ("us-east-1",),
        "ec2:NetworkInterfaceID": (interface,),
        "ec2:AvailabilityZone": (zone,),
        "ec2:Subnet": (f"{PREFIX}subnet/{subnet}",),
        "ec2:Vpc": (f"{PREFIX}vpc/{vpc}",),
    }


async def test_a_rule_is_known_by_its_own_tags() -> None:
    world = await World().seeded()
    group = (await world.run("CreateSecurityGroup", GroupName="g", Description="d"))["GroupId"]
    tags = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "env", "Value": "prod"}]}]
    permission = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 1, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}
    made = await world.run(
        "AuthorizeSecurityGroupIngress", GroupId=group, IpPermissions=[permission], TagSpecifications=tags
    )
    rule = made["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    asked = await told(world, "DeleteTags", Resources=[rule])
    assert asked[f"security-group-rule/{rule}"]["aws:ResourceTag/env"] == ("prod",)


async def test_an_association_means_its_route_table() -> None:
    world = await World().seeded()
    vpc, subnet = (await world.vpc())["VpcId"], await world.default_subnet()
    table = (await world.run("CreateRouteTable", VpcId=vpc))["RouteTable"]["RouteTableId"]
    association = (await world.run("AssociateRouteTable", RouteTableId=table, SubnetId=subnet))["AssociationId"]
    assert list(await told(world, "DisassociateRouteTable", AssociationId=association)) == [f"route-table/{table}"]


@pytest.mark.parametrize("name", ["zz", "", "sg-\0", "x" * 5000, "sgr-1", "vpc-1"])
async def test_what_is_not_there_is_asked_about_all_the_same(name: str) -> None:
    world = await World().seeded()
    for operation in ("DeleteSecurityGroup", "CreateTags"):
        asked = await told(world, operation, GroupId=name, Resources=[name])
        assert [dict(conditions) for conditions in asked.values()] == [{"ec2:Region": ("us-east-1",)}]


@dataclass
class NoTagging:
    """Allows all but `ec2:CreateTags`."""

    told: list[tuple[str, Mapping[str, Sequence[str]]]] = field(default_factory=list)

    async def require(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Sequence[str]]
    ) -> None:
        if action == "ec2:CreateTags":
            self.told.append((resource, context))
            raise Fault("AccessDenied", "no tags", status=403)


async def test_tags_at_creation_take_the_permission_to_tag() -> None:
    world = await World().seeded()
    authorizer = NoTagging()
    asking = replace(call("CreateVpc"), authorizer=authorizer)
    tags = [{"ResourceType": "vpc", "Tags": [{"Key": "env", "Value": "prod"}]}]
    before = world.store.revision
    run = operations.offered["CreateVpc"].run
    with pytest.raises(Fault, match="no tags"):
        await run(world.ec2, asking, {"CidrBlock": "10.0.0.0/16", "TagSpecifications": tags})
    assert world.store.revision == before
    context = {"ec2:CreateAction": ("CreateVpc",), "aws:RequestTag/env": ("prod",), "aws:TagKeys": ("env",)}
    assert authorizer.told == [(f"{PREFIX}vpc/*", context)]
    await run(world.ec2, asking, {"CidrBlock": "10.0.0.0/16"})
