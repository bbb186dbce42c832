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
def test_every_resource_that_a_request_uses_is_asked_for(
    operation: str, params: dict[str, Any], asked: list[str]
) -> None:
    found = operations.offered[operation].resources(call(operation), params)
    assert list(found) == [PREFIX + name for name in asked]


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
