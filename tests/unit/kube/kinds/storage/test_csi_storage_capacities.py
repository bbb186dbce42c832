"""CSI storage capacities."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.storage import STRATEGIES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.agreement import agree
from unit.kube.kinds.verdicts import cells, created, creation, update

CAPACITIES = STRATEGIES["csistoragecapacities"]
ZONE_A: Object = {"matchLabels": {"topology.kubernetes.io/zone": "a"}}


def _capacity(**fields: Any) -> Object:
    return {"storageClassName": "gp3", **fields}


@pytest.mark.parametrize(
    "capacity",
    [
        _capacity(),
        _capacity(capacity="1Gi", maximumVolumeSize="1Gi", nodeTopology=ZONE_A),
        _capacity(capacity="0", nodeTopology={}),
        _capacity(maximumVolumeSize="-1"),
    ],
)
def test_good(capacity: Object) -> None:
    made = created(CAPACITIES, capacity)
    assert creation(CAPACITIES, capacity) == []
    assert update(CAPACITIES, made, made) == []


@pytest.mark.parametrize(
    ("capacity", "complaints"),
    [
        ({}, ['storageClassName: Invalid value: "": a lowercase RFC 1123 subdomain…']),
        (_capacity(storageClassName="A"), ['storageClassName: Invalid value: "A": a lowercase RFC 1123 subdomain…']),
        (_capacity(capacity="-1024Ki"), ['capacity: Invalid value: "-1Mi": must be greater than or equal to 0']),
        (
            _capacity(
                nodeTopology={"matchLabels": {"a b": "c"}, "matchExpressions": [{"key": "x", "operator": "Odd"}]}
            ),
            [
                'nodeTopology.matchLabels: Invalid value: "a b": name part must consist of…',
                'nodeTopology.matchExpressions[0].operator: Invalid value: "Odd": not a valid selector operator',
            ],
        ),
    ],
)
def test_bad(capacity: Object, complaints: list[str]) -> None:
    agree(creation(CAPACITIES, capacity), complaints)


def test_only_amounts_change() -> None:
    old = created(CAPACITIES, _capacity(nodeTopology=ZONE_A))
    assert update(CAPACITIES, {**old, "capacity": "3", "maximumVolumeSize": "2"}, old) == []
    assert update(CAPACITIES, _capacity(), old) == ["nodeTopology: Invalid value: null: field is immutable"]
    assert update(CAPACITIES, _capacity(nodeTopology={"matchLabels": {"a": "b"}}, storageClassName="io2"), old) == [
        'nodeTopology: Invalid value: {"matchLabels":{"a":"b"}}: field is immutable',
        'storageClassName: Invalid value: "io2": field is immutable',
    ]
    nameless = update(CAPACITIES, {"nodeTopology": ZONE_A}, old)
    assert nameless[-1] == 'storageClassName: Invalid value: "": field is immutable'


def test_old_labels_of_nodes_are_warned_about() -> None:
    topology = {
        "matchLabels": {"beta.kubernetes.io/os": "linux", "a": "b"},
        "matchExpressions": [{"key": "beta.kubernetes.io/arch", "operator": "Exists"}],
    }
    made = created(CAPACITIES, _capacity(nodeTopology=topology))
    for old in (None, made):
        assert CAPACITIES.warnings(made, old) == [
            "nodeTopology.matchExpressions[0].key: beta.kubernetes.io/arch is deprecated since v1.14; use"
            ' "kubernetes.io/arch" instead',
            'nodeTopology.matchLabels.beta.kubernetes.io/os: deprecated since v1.14; use "kubernetes.io/os" instead',
        ]


@pytest.mark.parametrize(("fields", "text"), [({}, "<unset>"), ({"capacity": "5Gi"}, "5Gi"), ({"capacity": "0"}, "0")])
def test_table(fields: Object, text: str) -> None:
    assert cells(CAPACITIES, created(CAPACITIES, _capacity(**fields))) == {
        "Name": "one",
        "StorageClassName": "gp3",
        "Capacity": text,
    }
