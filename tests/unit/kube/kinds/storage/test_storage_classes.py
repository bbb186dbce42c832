"""Storage classes."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.storage import STRATEGIES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.agreement import agree
from unit.kube.kinds.verdicts import cells, created, creation, update

CLASSES = STRATEGIES["storageclasses"]
DEFAULT = "storageclass.kubernetes.io/is-default-class"
TERMS = "allowedTopologies[0].matchLabelExpressions"


def _class(**fields: Any) -> Object:
    return {"provisioner": "ebs.csi.aws.com", **fields}


def _allowing(*terms: list[Object]) -> Object:
    return _class(allowedTopologies=[{"matchLabelExpressions": term} for term in terms])


def _in(key: str, *values: str) -> Object:
    return {"key": key, "values": list(values)}


@pytest.mark.parametrize(
    "storage_class",
    [
        _class(),
        _class(provisioner="kubernetes.io/aws-EBS"),
        _class(parameters={"type": "gp3"}, mountOptions=["discard"], allowVolumeExpansion=True),
        _class(parameters={f"k{number}": "" for number in range(512)}),
        _class(parameters={"k": "v" * (256 * 1024 - 1)}),
        _class(reclaimPolicy="Retain", volumeBindingMode="WaitForFirstConsumer"),
        _class(reclaimPolicy=""),
        _allowing([_in("topology.kubernetes.io/zone", "a", "b")], [_in("topology.kubernetes.io/zone", "c")]),
        _allowing([_in("zone", "no value of a label!")]),
    ],
)
def test_good(storage_class: Object) -> None:
    made = created(CLASSES, storage_class)
    assert creation(CLASSES, storage_class) == []
    assert update(CLASSES, made, made) == []


@pytest.mark.parametrize(
    ("storage_class", "complaints"),
    [
        ({}, ["provisioner: Required value"]),
        (_class(provisioner="A B"), ['provisioner: Invalid value: "a b": name part must consist of…']),
        (_class(provisioner="a/b/c"), ['provisioner: Invalid value: "a/b/c": a valid label key must consist of…']),
        (_class(parameters={"": "x"}), ['parameters: Invalid value: "": field can not be empty.']),
        (
            _class(parameters={f"k{number}": "" for number in range(513)}),
            ["parameters: Too long: may not be more than 512 bytes"],
        ),
        (
            _class(parameters={"k": "v" * 256 * 1024}),
            ["parameters: Too long: may not be more than 262144 bytes"],
        ),
        (
            _class(reclaimPolicy="Recycle"),
            ['reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"'],
        ),
        (
            _class(volumeBindingMode=""),
            ['volumeBindingMode: Unsupported value: "": supported values: "Immediate", "WaitForFirstConsumer"'],
        ),
        (_allowing([_in("a b", "v")]), [f'{TERMS}[0].key: Invalid value: "a b": name part must consist of…']),
        (_allowing([_in("a")]), [f"{TERMS}[0].values: Required value"]),
        (_allowing([_in("a", "v", "v")]), [f'{TERMS}[0].values[1]: Duplicate value: "v"']),
        (_allowing([_in("a", "v"), _in("a", "w")]), [f'{TERMS}[1].key: Duplicate value: "a"']),
        (
            _allowing([_in("a", "v", "w")], [_in("a", "w", "v")]),
            ['allowedTopologies[1].matchLabelExpressions: Duplicate value: ""'],
        ),
        (_allowing([]), [f'{TERMS}: Duplicate value: ""']),
    ],
)
def test_bad(storage_class: Object, complaints: list[str]) -> None:
    agree(creation(CLASSES, storage_class), complaints)


def test_defaults() -> None:
    made = created(CLASSES, _class())
    assert (made["reclaimPolicy"], made["volumeBindingMode"]) == ("Delete", "Immediate")


def test_what_may_change() -> None:
    old = created(CLASSES, _class(parameters={"type": "gp3"}))
    assert update(CLASSES, {**old, "allowVolumeExpansion": True, "mountOptions": ["x"]}, old) == []
    assert update(CLASSES, _class(provisioner="other", reclaimPolicy="Retain", volumeBindingMode="Odd"), old) == [
        'volumeBindingMode: Unsupported value: "Odd": supported values: "Immediate", "WaitForFirstConsumer"',
        "parameters: Forbidden: updates to parameters are forbidden.",
        "provisioner: Forbidden: updates to provisioner are forbidden.",
        "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.",
        'volumeBindingMode: Invalid value: "Odd": field is immutable',
    ]


def test_old_labels_of_nodes_are_warned_about() -> None:
    made = created(CLASSES, _allowing([_in("a", "b")], [_in("c", "d"), _in("beta.kubernetes.io/os", "linux")]))
    for old in (None, made):
        assert CLASSES.warnings(made, old) == [
            'allowedTopologies[1].matchLabelExpressions[1].key: deprecated since v1.14; use "kubernetes.io/os" instead'
        ]


@pytest.mark.parametrize(
    ("annotations", "name"),
    [
        ({}, "one"),
        ({DEFAULT: "true"}, "one (default)"),
        ({"storageclass.beta.kubernetes.io/is-default-class": "true"}, "one (default)"),
        ({DEFAULT: "True"}, "one"),
    ],
)
def test_table(annotations: dict[str, str], name: str) -> None:
    made = created(CLASSES, {**_class(allowVolumeExpansion=True), "metadata": {"annotations": annotations}})
    assert cells(CLASSES, made) == {
        "Name": name,
        "Provisioner": "ebs.csi.aws.com",
        "ReclaimPolicy": "Delete",
        "VolumeBindingMode": "Immediate",
        "AllowVolumeExpansion": True,
        "Age": "0s",
    }
    row = cells(CLASSES, {**made, "reclaimPolicy": "", "volumeBindingMode": ""})
    assert (row["ReclaimPolicy"], row["VolumeBindingMode"]) == ("", "")
