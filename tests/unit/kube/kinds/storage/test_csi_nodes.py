"""CSI nodes: drivers on a node."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.storage import STRATEGIES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.agreement import agree
from unit.kube.kinds.verdicts import cells, created, creation, update

NODES = STRATEGIES["csinodes"]
ONE: Object = {"name": "ebs.csi.aws.com", "nodeID": "i-1"}


def _node(*drivers: Object) -> Object:
    return {"spec": {"drivers": list(drivers)}}


def _with(**fields: Any) -> Object:
    return _node({**ONE, **fields})


@pytest.mark.parametrize(
    "node",
    [
        _node(),
        _node(ONE),
        _node(ONE, {**ONE, "name": "EFS.csi.aws.com"}),
        _with(nodeID="x" * 256, allocatable={}, topologyKeys=["topology.kubernetes.io/zone"]),
        _with(allocatable={"count": 0}),
    ],
)
def test_good(node: Object) -> None:
    made = created(NODES, node)
    assert creation(NODES, node) == []
    assert update(NODES, made, made) == []


@pytest.mark.parametrize(
    ("node", "complaints"),
    [
        (_node({}), ["spec.drivers[0].name: Required value", "spec.drivers[0].nodeID: Required value"]),
        (_with(name="-a"), ['spec.drivers[0].name: Invalid value: "-a": a lowercase RFC 1123 subdomain…']),
        (_with(name="a" * 64), ["spec.drivers[0].name: Too long: may not be more than 63 bytes"]),
        (
            _with(nodeID="x" * 257),
            [f'spec.drivers[0].nodeID: Invalid value: "{"x" * 257}": must be 256 characters or less'],
        ),
        (
            _with(allocatable={"count": -1}),
            ["spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0"],
        ),
        (_node(ONE, ONE), ['spec.drivers[1].name: Duplicate value: "ebs.csi.aws.com"']),
        (
            _with(topologyKeys=["a", "a", "", "b c"]),
            [
                'spec.drivers[0]: Duplicate value: "a"',
                "spec.drivers[0]: Required value",
                'spec.drivers[0]: Invalid value: "": name part must be non-empty',
                'spec.drivers[0]: Invalid value: "": name part must consist of…',
                'spec.drivers[0]: Invalid value: "b c": name part must consist of…',
            ],
        ),
    ],
)
def test_bad(node: Object, complaints: list[str]) -> None:
    agree(creation(NODES, node), complaints)


@pytest.mark.parametrize(
    "node",
    [_node(), _with(name="other"), _node(ONE, {**ONE, "name": "other"}), _with(allocatable={"count": 5})],
)
def test_drivers_come_and_go(node: Object) -> None:
    old = created(NODES, _with(allocatable={"count": 3}))
    assert update(NODES, {**old, **node}, old) == []


@pytest.mark.parametrize("fields", [{"nodeID": "i-2"}, {"topologyKeys": ["a"]}])
def test_a_driver_that_stays_stays_as_it_is(fields: Object) -> None:
    old = created(NODES, _node(ONE))
    agree(update(NODES, {**old, **_with(**fields)}, old), ["spec.drivers: Invalid value: {…"])


def test_table() -> None:
    assert cells(NODES, created(NODES, _node(ONE))) == {"Name": "one", "Drivers": 1, "Age": "0s"}
    assert cells(NODES, created(NODES, {}))["Drivers"] == 0
