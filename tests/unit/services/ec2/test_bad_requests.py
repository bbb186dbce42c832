"""Requests of the model's shapes with every kind of nonsense: a fault or an answer, never a bug."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from botocore.model import Shape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ropewalk.base.errors import Fault
from ropewalk.services.ec2 import operations
from unit.services.ec2.kit import World, call
from unit.services.ec2.shapes import output_errors, service

KINDS = ("vpc", "subnet", "sg", "sgr", "rtb", "igw", "eni", "acl", "dopt", "rtbassoc")
NONSENSE = ("", "/", "..", "\x00", "a/b", "x" * 2000, "ü", "10.0.0.0/33", "10.0.0.0/", "-", "*", "tag:", "\ud7ff")
PLAUSIBLE = ("10.0.0.0/24", "172.31.0.0/28", "0.0.0.0/0", "172.31.0.9", "tcp", "-1", "vpc", "default", "us-east-1a")


async def _known(world: World) -> list[str]:
    """Ids that exist, so that requests get past the first look-up."""
    await world.run("CreateNetworkInterface", SubnetId=await world.default_subnet())
    tables: tuple[Any, ...] = (
        world.ec2.vpcs, world.ec2.subnets, world.ec2.groups, world.ec2.route_tables, world.ec2.gateways,
        world.ec2.interfaces, world.ec2.acls, world.ec2.dhcp_options,
    )  # fmt: skip
    return [item.record.id for table in tables for item in await table.list()]


def values(shape: Shape, known: list[str], depth: int = 0) -> st.SearchStrategy[Any]:
    if shape.type_name == "structure":
        if depth > 4:
            return st.just({})
        required = {name: values(shape.members[name], known, depth + 1) for name in shape.required_members}
        optional = {n: values(m, known, depth + 1) for n, m in shape.members.items() if n not in required}
        return st.fixed_dictionaries(required, optional=optional)
    if shape.type_name == "list":
        return st.lists(values(shape.member, known, depth + 1), max_size=3)
    if shape.type_name == "boolean":
        return st.booleans()
    if shape.type_name in ("integer", "long"):
        low, high = shape.metadata.get("min", -(2**31)), shape.metadata.get("max", 2**31 - 1)
        return st.integers(low, high) | st.integers(max(low, 0), min(high, 100))
    if shape.type_name == "string":
        if getattr(shape, "enum", None):
            return st.sampled_from(shape.enum)
        made_up = [f"{kind}-{'0' * 17}" for kind in KINDS]
        return st.sampled_from([*known, *known, *made_up, *NONSENSE, *PLAUSIBLE])
    return st.just(0)


def acted_upon(operation: str) -> Shape:
    shape = service().operation_model(operation).input_shape
    assert shape is not None
    return shape


@pytest.mark.parametrize("operation", sorted(operations.offered))
@given(data=st.data())
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_nonsense_is_refused_and_changes_nothing(operation: str, data: st.DataObject) -> None:
    asyncio.run(_try(operation, data))


async def _kept(world: World) -> dict[str, bytes]:
    """All that the slice keeps, but for the client tokens of calls under way."""
    entries = (await world.store.list("/ec2/")).entries
    return {entry.key: entry.value for entry in entries if not entry.key.startswith("/ec2/client-tokens/")}


async def _try(operation: str, data: st.DataObject) -> None:
    world = await World().seeded()
    known = await _known(world)
    shape = acted_upon(operation)
    every: dict[str, Any] = {}
    for name, member in shape.members.items():
        if name in shape.required_members or data.draw(st.integers(0, 2)) == 0:
            every[name] = data.draw(values(member, known), label=name)
    every.pop("DryRun", None)
    before = await _kept(world)
    try:
        answer = await operations.offered[operation].run(world.ec2, call(operation), every)
    except Fault as fault:
        assert await _kept(world) == before, fault
        assert 400 <= fault.status < 500
    else:
        assert output_errors(operation, answer) == []
