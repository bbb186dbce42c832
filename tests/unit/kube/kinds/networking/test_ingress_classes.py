"""Ingress classes."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.networking import STRATEGIES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.agreement import agree
from unit.kube.kinds.verdicts import cells, changed, created, creation, update, updated

CLASSES = STRATEGIES["ingressclasses"]
KIND: Object = {"kind": "Settings", "name": "s"}


def _class(controller: str = "example.com/edge", **spec: Any) -> Object:
    return {"spec": {"controller": controller, **spec}}


def _with(**parameters: Any) -> Object:
    return _class(parameters={**KIND, **parameters})


@pytest.mark.parametrize(
    "ingress_class",
    [
        _class(),
        _class("example.com/a/b~c"),
        _class("k8s.io/" + "a" * 243),
        _with(),
        _with(apiGroup="example.com", scope="Namespace", namespace="a"),
    ],
)
def test_good(ingress_class: Object) -> None:
    made = created(CLASSES, ingress_class)
    assert creation(CLASSES, ingress_class) == []
    assert update(CLASSES, made, made) == []


@pytest.mark.parametrize(
    ("ingress_class", "complaints"),
    [
        ({}, ["spec.controller: Required value"]),
        *[
            (
                _class(controller),
                [
                    f'spec.controller: Invalid value: "{controller}": must be a domain-prefixed path'
                    ' (such as "acme.io/foo")'
                ],
            )
            for controller in ("nginx", "k8s.io/", "/x")
        ],
        (_class("K8s.io/x"), ['spec.controller: Invalid value: "K8s.io": a lowercase RFC 1123 subdomain…']),
        (
            _class("k8s.io/a b"),
            [
                'spec.controller: Invalid value: "a b": Invalid path (regex used for validation is'
                " '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"
            ],
        ),
        (_class("k8s.io/" + "a" * 244), ["spec.controller: Too long: may not be more than 250 bytes"]),
        (
            _class(parameters={}),
            ["spec.parameters.kind: Required value", "spec.parameters.name: Required value"],
        ),
        (
            _with(apiGroup="x y", kind="a/b", name="a%b"),
            [
                'spec.parameters.apiGroup: Invalid value: "x y": a lowercase RFC 1123 subdomain…',
                "spec.parameters.kind: Invalid value: \"a/b\": may not contain '/'",
                "spec.parameters.name: Invalid value: \"a%b\": may not contain '%'",
            ],
        ),
        (
            _with(scope="Odd"),
            ['spec.parameters.scope: Unsupported value: "Odd": supported values: "Cluster", "Namespace"'],
        ),
        (
            _with(namespace="a"),
            ["spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"],
        ),
        (
            _with(scope="Namespace"),
            ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"],
        ),
        (
            _with(scope="Namespace", namespace="A"),
            ['spec.parameters.namespace: Invalid value: "A": a lowercase RFC 1123 label…'],
        ),
    ],
)
def test_bad(ingress_class: Object, complaints: list[str]) -> None:
    agree(creation(CLASSES, ingress_class), complaints)


def test_default() -> None:
    assert created(CLASSES, _with())["spec"]["parameters"]["scope"] == "Cluster"
    assert created(CLASSES, _class())["spec"] == {"controller": "example.com/edge"}


def test_the_controller_stays() -> None:
    old = created(CLASSES, _class())
    assert update(CLASSES, changed(old, "spec", "parameters", KIND), old) == []
    assert update(CLASSES, changed(old, "spec", "controller", "example.com/b"), old) == [
        'spec.controller: Invalid value: "example.com/b": field is immutable'
    ]
    assert update(CLASSES, {**old, "spec": {}}, old) == [
        'spec.controller: Invalid value: "": field is immutable',
        "spec.controller: Required value",
    ]


def test_generation() -> None:
    old = created(CLASSES, _class())
    assert old["metadata"]["generation"] == 1
    assert updated(CLASSES, changed(old, "metadata", "labels", {"a": "b"}), old)["metadata"]["generation"] == 1
    assert updated(CLASSES, changed(old, "spec", "parameters", KIND), old)["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    ("ingress_class", "parameters"),
    [(_class(), "<none>"), (_with(), "Settings/s"), (_with(apiGroup="example.com"), "Settings.example.com/s")],
)
def test_table(ingress_class: Object, parameters: str) -> None:
    assert cells(CLASSES, created(CLASSES, ingress_class)) == {
        "Name": "one",
        "Controller": "example.com/edge",
        "Parameters": parameters,
        "Age": "0s",
    }
