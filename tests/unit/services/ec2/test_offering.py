"""What holds for every operation of the slice: DryRun, and no parameter dropped in silence."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.base.errors import Fault
from ropewalk.services.ec2 import operations
from unit.services.ec2.kit import World, call
from unit.services.ec2.shapes import service

OFFERED = sorted(operations.offered)

ACTED_UPON = {
    "AssociateRouteTable": {"SubnetId", "RouteTableId"},
    "CreateNetworkInterface": {
        "SubnetId", "Description", "PrivateIpAddress", "Groups", "PrivateIpAddresses",
        "SecondaryPrivateIpAddressCount", "TagSpecifications", "ClientToken",
    },
    "CreateRoute": {"RouteTableId", "DestinationCidrBlock", "GatewayId"},
    "CreateSubnet": {"VpcId", "CidrBlock", "AvailabilityZone", "AvailabilityZoneId", "TagSpecifications"},
    "CreateVpc": {"CidrBlock", "TagSpecifications"},
    "ModifySubnetAttribute": {"SubnetId", "MapPublicIpOnLaunch"},
}  # fmt: skip


@pytest.mark.parametrize("operation", OFFERED)
def test_every_operation_is_ec2s_and_every_parameter_named_exists(operation: str) -> None:
    model = service().operation_model(operation)
    assert model.input_shape is not None
    assert operations.offered[operation].action == f"ec2:{operation}"


@pytest.mark.parametrize("operation", OFFERED)
async def test_a_dry_run_changes_nothing(operation: str) -> None:
    world = await World().seeded()
    before = world.store.revision
    with pytest.raises(Fault) as caught:
        await operations.offered[operation].run(world.ec2, call(operation), {"DryRun": True})
    assert (caught.value.code, caught.value.status) == ("DryRunOperation", 412)
    assert world.store.revision == before


def _members(operation: str) -> dict[str, Any]:
    shape = service().operation_model(operation).input_shape
    return dict(shape.members) if shape is not None else {}


def _something(shape: Any) -> Any:
    """A value of the shape that asks for something."""
    if shape.type_name == "structure":
        return {name: _something(member) for name, member in list(shape.members.items())[:1]} or {"x": 1}
    if shape.type_name == "list":
        return ["x"]
    return {"string": "x", "boolean": True, "integer": 7, "long": 7}.get(shape.type_name, 1)


@pytest.mark.parametrize("operation", sorted(ACTED_UPON))
async def test_a_parameter_that_would_do_nothing_is_refused_by_name(operation: str) -> None:
    world = await World().seeded()
    before = world.store.revision
    for name, shape in _members(operation).items():
        if name in ACTED_UPON[operation] or name == "DryRun":
            continue
        with pytest.raises(Fault) as caught:
            await operations.offered[operation].run(world.ec2, call(operation), {name: _something(shape)})
        assert caught.value.code == "UnsupportedOperation", name
        assert name in caught.value.message
    assert world.store.revision == before


@pytest.mark.parametrize(
    ("operation", "params", "expected"),
    [
        ("DeleteVpc", {"VpcId": "vpc-1"}, "arn:aws:ec2:us-east-1:123456789012:vpc/vpc-1"),
        ("CreateVpc", {}, "arn:aws:ec2:us-east-1:123456789012:vpc/*"),
        ("CreateTags", {"Resources": ["rtb-1"]}, "arn:aws:ec2:us-east-1:123456789012:route-table/rtb-1"),
        ("DescribeVpcs", {}, "*"),
    ],
)
async def test_permissions_are_asked_for_the_resource(operation: str, params: dict, expected: str) -> None:
    found = await operations.offered[operation].resources(World().ec2, call(operation), params)
    assert [touched.arn for touched in found] == [expected]
