"""Runtime classes."""

from __future__ import annotations

import pytest

from ropewalk.kube.kinds.node import STRATEGIES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.agreement import agree
from unit.kube.kinds.verdicts import cells, created, creation, update

CLASSES = STRATEGIES["runtimeclasses"]


def _with(**fields: Object) -> Object:
    return {"handler": "runc", **fields}


def _tolerating(*tolerations: Object) -> Object:
    return _with(scheduling={"tolerations": list(tolerations)})


@pytest.mark.parametrize(
    "runtime_class",
    [
        _with(),
        {"handler": "a" * 63},
        _with(overhead={}),
        _with(overhead={"podFixed": {"cpu": "250m", "memory": "120Mi", "example.com/card": "1"}}),
        _with(scheduling={}),
        _with(scheduling={"nodeSelector": {"example.com/kind": "metal"}}),
        _tolerating({"key": "a", "operator": "Exists"}, {"key": "a", "value": "b"}, {"operator": "Exists"}),
    ],
)
def test_good(runtime_class: Object) -> None:
    assert creation(CLASSES, runtime_class) == []


@pytest.mark.parametrize(
    ("runtime_class", "complaints"),
    [
        ({}, ['handler: Invalid value: "": a lowercase RFC 1123 label must consist of…']),
        ({"handler": "Run"}, ['handler: Invalid value: "Run": a lowercase RFC 1123 label must consist of…']),
        ({"handler": "run.c"}, ['handler: Invalid value: "run.c": must not contain dots']),
        ({"handler": "a" * 64}, [f'handler: Invalid value: "{"a" * 64}": must be no more than 63 characters']),
        (
            _with(overhead={"podFixed": {"cpu": "-1"}}),
            ['overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0'],
        ),
        (
            _with(overhead={"podFixed": {"bogus": "1"}}),
            [
                'overhead.limits[bogus]: Invalid value: "bogus": must be a standard resource type or fully qualified',
                'overhead.limits[bogus]: Invalid value: "bogus": must be a standard resource for containers',
            ],
        ),
        (
            _with(overhead={"podFixed": {"example.com/card": "1500m"}}),
            ['overhead.limits[example.com/card]: Invalid value: "1500m": must be an integer'],
        ),
        (
            _with(overhead={"podFixed": {"hugepages-2Mi": "2Mi"}}),
            ["overhead: Forbidden: HugePages require cpu or memory"],
        ),
        (
            _with(scheduling={"nodeSelector": {"a b": "c d"}}),
            [
                'scheduling.nodeSelector: Invalid value: "a b": name part must consist of…',
                'scheduling.nodeSelector: Invalid value: "c d": a valid label must be an empty string or…',
            ],
        ),
        (
            _tolerating({"key": "a", "operator": "Exists", "value": "x"}),
            [
                'scheduling.tolerations[0].operator: Invalid value: "x": value must be empty when'
                " `operator` is 'Exists'"
            ],
        ),
        (
            _tolerating({"operator": "Equal"}),
            [
                'scheduling.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is'
                ' empty, which means "match all values and all keys"'
            ],
        ),
        (
            _tolerating({"key": "a", "operator": "Gt", "value": "6"}),
            [
                'scheduling.tolerations[0].operator: Unsupported value: "Gt": supported values: "Equal", "Exists",'
                ' "Lt", "Gt"'
            ],
        ),
        (
            _tolerating(
                {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5},
                {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 6},
            ),
            ["scheduling.tolerations[1]: Duplicate value: {…"],
        ),
    ],
)
def test_bad(runtime_class: Object, complaints: list[str]) -> None:
    agree(creation(CLASSES, runtime_class), complaints)


def test_amounts_are_not_rounded() -> None:
    """Unlike those of pods."""
    amounts = {"podFixed": {"cpu": "100u", "memory": "1Gi"}}
    assert created(CLASSES, _with(overhead=amounts))["overhead"] == amounts


def test_a_toleration_is_told_as_go_prints_it() -> None:
    toleration = {"key": "a", "operator": "Exists", "effect": "NoSchedule"}
    assert creation(CLASSES, _with(scheduling={"tolerations": [toleration, toleration]})) == [
        'scheduling.tolerations[1]: Duplicate value: {"Key":"a","Operator":"Exists","Value":"","Effect":"NoSchedule",'
        '"TolerationSeconds":null}'
    ]


def test_the_handler_stays() -> None:
    old = created(CLASSES, _with())
    assert update(CLASSES, {**old, "scheduling": {}}, old) == []
    agree(update(CLASSES, {**old, "handler": "kata"}, old), ['handler: Invalid value: "kata": field is immutable'])
    agree(
        update(CLASSES, {**old, "handler": ""}, old),
        ['handler: Invalid value: "": a lowercase…', 'handler: Invalid value: "": field is immutable'],
    )


def test_old_labels_of_nodes_are_warned_about() -> None:
    labels = {"beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64", "node-role.kubernetes.io/master": ""}
    made = created(CLASSES, _with(scheduling={"nodeSelector": labels}))
    for old in (None, created(CLASSES, _with())):
        assert CLASSES.warnings(made, old) == [
            'scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/os" instead',
            'scheduling.nodeSelector: use "node-role.kubernetes.io/control-plane" instead',
        ]


def test_table() -> None:
    assert cells(CLASSES, created(CLASSES, _with())) == {"Name": "one", "Handler": "runc", "Age": "0s"}
