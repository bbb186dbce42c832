"""Volume attributes classes."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.storage import STRATEGIES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.agreement import agree
from unit.kube.kinds.verdicts import cells, created, creation, update

CLASSES = STRATEGIES["volumeattributesclasses"]
NOTHING_GIVEN = "parameters: Required value: must contain at least one key/value pair"


def _class(**fields: Any) -> Object:
    return {"driverName": "ebs.csi.aws.com", "parameters": {"iops": "3000"}, **fields}


@pytest.mark.parametrize("attributes_class", [_class(), _class(driverName="EBS.csi"), _class(parameters={"a": ""})])
def test_good(attributes_class: Object) -> None:
    made = created(CLASSES, attributes_class)
    assert creation(CLASSES, attributes_class) == []
    assert update(CLASSES, made, made) == []


@pytest.mark.parametrize(
    ("attributes_class", "complaints"),
    [
        ({}, ["driverName: Required value", NOTHING_GIVEN]),
        (_class(driverName="A B"), ['driverName: Invalid value: "a b": name part must consist of…']),
        (_class(parameters={}), [NOTHING_GIVEN]),
        (_class(parameters={"": "x"}), ['parameters: Invalid value: "": field can not be empty.']),
        (
            _class(parameters={f"k{number}": "" for number in range(513)}),
            ["parameters: Too long: may not be more than 512 bytes"],
        ),
        (
            _class(parameters={"k": "v" * 256 * 1024}),
            ["parameters: Too long: may not be more than 262144 bytes"],
        ),
    ],
)
def test_bad(attributes_class: Object, complaints: list[str]) -> None:
    agree(creation(CLASSES, attributes_class), complaints)


def test_nothing_of_it_changes() -> None:
    old = created(CLASSES, _class())
    assert update(CLASSES, {**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}}, old) == []
    assert update(CLASSES, {**old, "driverName": "other"}, old) == [
        "driverName: Forbidden: updates to driverName are forbidden."
    ]
    assert update(CLASSES, {**old, "parameters": {}}, old) == [
        "parameters: Forbidden: updates to parameters are forbidden.",
        NOTHING_GIVEN,
    ]


def test_table() -> None:
    assert cells(CLASSES, created(CLASSES, _class())) == {"Name": "one", "DriverName": "ebs.csi.aws.com", "Age": "0s"}
