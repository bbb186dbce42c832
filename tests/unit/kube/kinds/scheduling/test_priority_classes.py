"""Priority classes."""

from __future__ import annotations

import pytest

from ropewalk.kube.kinds.scheduling import STRATEGIES
from ropewalk.kube.kinds.scheduling.bootstrap import PRIORITY_CLASSES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.verdicts import cells, created, creation, update, updated

CLASSES = STRATEGIES["priorityclasses"]
RESERVED = (
    "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: "
)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"value": 1_000_000_000, "globalDefault": True},
        {"value": -2_000_000_000, "preemptionPolicy": "Never"},
        {"value": 1, "description": "for tests"},
        *PRIORITY_CLASSES,
    ],
)
def test_good(fields: Object) -> None:
    assert creation(CLASSES, fields) == []


@pytest.mark.parametrize(
    ("name", "fields", "complaint"),
    [
        (
            "a",
            {"value": 1_000_000_001},
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
        ),
        (
            "a",
            {"preemptionPolicy": "X"},
            'preemptionPolicy: Unsupported value: "X": supported values: "PreemptLowerPriority", "Never"',
        ),
        ("a", {"preemptionPolicy": ""}, "preemptionPolicy: Required value"),
        ("system-a", {"value": 5}, f"{RESERVED}system-a is not a known system priority class"),
        (
            "system-node-critical",
            {"value": 5},
            f"{RESERVED}value of system-node-critical PriorityClass must be 2000001000",
        ),
        (
            "system-cluster-critical",
            {"value": 2_000_000_000, "globalDefault": True},
            f"{RESERVED}globalDefault of system-cluster-critical PriorityClass must be false",
        ),
    ],
)
def test_bad(name: str, fields: Object, complaint: str) -> None:
    assert creation(CLASSES, {"metadata": {"name": name}, **fields}) == [complaint]


def test_default() -> None:
    assert created(CLASSES, {"value": 1})["preemptionPolicy"] == "PreemptLowerPriority"


def test_only_words_change() -> None:
    old = created(CLASSES, {"value": 1})
    assert update(CLASSES, {**old, "description": "x", "globalDefault": True}, old) == []
    assert update(CLASSES, {**old, "value": 2, "preemptionPolicy": "Never"}, old) == [
        "value: Forbidden: may not be changed in an update.",
        'preemptionPolicy: Invalid value: "Never": field is immutable',
    ]


def test_the_generation_stays_what_it_is() -> None:
    old = created(CLASSES, {"value": 1})
    assert old["metadata"]["generation"] == 1
    assert updated(CLASSES, {**old, "description": "x"}, old)["metadata"]["generation"] == 1


def test_table() -> None:
    assert cells(CLASSES, created(CLASSES, {"value": 7, "globalDefault": True})) == {
        "Name": "one",
        "Value": 7,
        "Global-Default": True,
        "Age": "0s",
        "PreemptionPolicy": "PreemptLowerPriority",
    }
    assert cells(CLASSES, created(CLASSES, {}))["Value"] == 0
