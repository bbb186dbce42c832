"""One version of a custom resource as the registry asks it: generations, status, scale, lists, finalizers, fields."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.custom_resources import INFO, META, Judge, fields, version, widget
from tests.support.kube_api import MemoryApi

from ropewalk.kube.extension import custom
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, copied

LIST, KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
STRING: Object = {"type": "string"}
INTEGER: Object = {"type": "integer"}
STATUS = fields(spec=fields(a=INTEGER), status=fields(b=INTEGER))


# --- generations and status


def updated(judge: Judge, new: Object, old: Object) -> Object:
    made: Object = copied(new)
    judge.strategy.prepare_update(made, old)
    return made


def an_object(generation: int = 3, **parts: Any) -> Object:
    return {**widget(**parts), "metadata": {"name": "one", "generation": generation}}


def test_generations_count_changes_outside_of_metadata_and_status() -> None:
    judge = Judge(STATUS, status={})
    old = an_object(spec={"a": 1}, status={"b": 1})
    assert updated(judge, an_object(spec={"a": 2}), old) == an_object(4, spec={"a": 2}, status={"b": 1})
    same = updated(
        judge, {**an_object(spec={"a": 1}, status={"b": 2}), "metadata": {**old["metadata"], "labels": {"x": "y"}}}, old
    )
    assert same["metadata"]["generation"] == 3
    assert same["status"] == {"b": 1}


def test_without_its_subresource_status_is_like_any_field() -> None:
    judge = Judge(STATUS)
    old = an_object(spec={"a": 1}, status={"b": 1})
    assert updated(judge, an_object(spec={"a": 1}, status={"b": 2}), old) == an_object(
        4, spec={"a": 1}, status={"b": 2}
    )


def test_at_a_creation_status_is_dropped_where_it_is_a_subresource() -> None:
    for subresources, left in (({"status": {}}, None), ({}, {"b": 1})):
        made = widget(spec={}, status={"b": 1})
        Judge(STATUS, **subresources).strategy.prepare_create(made)
        assert made.get("status") == left
        assert made["metadata"]["generation"] == 1


# --- lists

TAGS = fields(spec=fields(tags={"type": "array", "items": STRING, LIST: "set"}))
PORTS = fields(
    spec=fields(
        ports={
            "type": "array",
            "items": fields(n=INTEGER, p={**STRING, "default": "TCP"}) | {"required": ["n"]},
            LIST: "map",
            KEYS: ["n", "p"],
        }
    )
)


@pytest.mark.parametrize(
    ("schema", "spec", "told"),
    [
        (TAGS, {"tags": ["a", "b"]}, []),
        (TAGS, {"tags": ["a", "b", "a", "a"]}, ['spec.tags[2]: Duplicate value: "a"']),
        (PORTS, {"ports": [{"n": 1}, {"n": 1, "p": "UDP"}]}, []),
        (PORTS, {"ports": [{"n": 1}, {"n": 1, "p": "TCP"}]}, ['spec.ports[1]: Duplicate value: {"n":1,"p":"TCP"}']),
    ],
)
def test_what_may_stand_once(schema: Object, spec: Object, told: list[str]) -> None:
    assert Judge(schema).create(spec=spec) == told


def test_what_stood_twice_before_may_go_on_to() -> None:
    judge = Judge(TAGS)
    twice = {"spec": {"tags": ["a", "a"]}}
    assert judge.update(twice, {"spec": {"tags": ["a", "a", "b", "b"]}}) == []
    assert judge.update({"spec": {"tags": ["a"]}}, twice) == ['spec.tags[1]: Duplicate value: "a"']


# --- scale

SCALE = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
OPEN: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"spec": {"replicas": 3}}, []),
        ({"spec": {}}, []),
        ({"spec": {"replicas": -1}}, [".spec.replicas: Invalid value: -1: should be a non-negative integer"]),
        (
            {"spec": {"replicas": 1 << 31}},
            [".spec.replicas: Invalid value: 2147483648: should be less than or equal to 2147483647"],
        ),
        (
            {"spec": {"replicas": "x"}},
            [
                ".spec.replicas: Invalid value: 0: .spec.replicas accessor error: x is of the type string,"
                " expected int64"
            ],
        ),
        (
            {"spec": "x"},
            [
                ".spec.replicas: Invalid value: 0: .spec.replicas accessor error: x is of the type string,"
                " expected map[string]interface{}"
            ],
        ),
        (
            {"status": {"selector": 1}},
            [
                '.status.selector: Invalid value: "": .status.selector accessor error: 1 is of the type int64,'
                " expected string"
            ],
        ),
    ],
)
def test_what_scale_reads_must_be_there(parts: Object, told: list[str]) -> None:
    judge = Judge(OPEN, scale={**SCALE, "labelSelectorPath": ".status.selector"})
    assert judge.create(**parts) == told


def test_where_scale_stands() -> None:
    paths = Judge(OPEN, scale={**SCALE, "labelSelectorPath": ".status.selector"}).strategy.scale
    assert paths is not None
    assert (paths.spec_replicas, paths.status_replicas) == (("spec", "replicas"), ("status", "replicas"))
    assert Judge(OPEN).strategy.scale is None


# --- finalizers


@pytest.mark.parametrize(
    ("name", "warned"),
    [
        ("example.com/wait", []),
        ("foregroundDeletion", []),
        (
            "wait.example.com",
            [
                'metadata.finalizers: "wait.example.com": prefer a domain-qualified finalizer name including a'
                " path (/) to"
                " avoid accidental conflicts with other finalizer writers"
            ],
        ),
        (
            "wait",
            [
                'metadata.finalizers: "wait": prefer a domain-qualified finalizer name to avoid accidental'
                " conflicts with"
                " other finalizer writers"
            ],
        ),
    ],
)
def test_of_finalizers_that_others_may_use_as_well_it_is_warned(name: str, warned: list[str]) -> None:
    strategy = Judge(OPEN).strategy
    obj: Object = {"metadata": {"name": "one", "finalizers": [name]}}
    assert strategy.warnings(obj, None) == warned
    assert strategy.warnings(obj, obj) == []


# --- fields


def test_selectable_fields() -> None:
    paths = [".spec.color", ".spec.size", ".spec.on", ".spec.none"]
    described = version(OPEN, selectableFields=[{"jsonPath": path} for path in paths])
    read = custom.custom_strategy(described, INFO).selectable_fields
    obj = widget(spec={"color": "red", "size": 3, "on": True})
    assert {name: get(obj) for name, get in read.items() if name.startswith("spec")} == {
        "spec.color": "red",
        "spec.size": "3",
        "spec.on": "true",
        "spec.none": "",
    }


# --- a definition that goes


async def test_of_a_definition_that_goes_nothing_is_made() -> None:
    strategy = custom.custom_strategy(version(OPEN), INFO, terminating=True)
    with pytest.raises(StatusFault) as told:
        await strategy.before_create(widget(), MemoryApi(), dry_run=False)
    assert told.value.status == 403
    assert told.value.message == (
        'widgets.example.com "one" is forbidden: create not allowed while custom resource definition is terminating'
    )


# --- bodies


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            {"metadata": {"name": "one"}},
            "the object provided is unrecognized (must be of type Widget): Object 'Kind' is missing",
        ),
        (
            {"kind": "Widget", "apiVersion": "example.com/v2"},
            "the API version in the data (example.com/v2) does not match the expected API version (example.com/v1)",
        ),
        (
            {"kind": "Gadget", "apiVersion": "example.com/v1"},
            "the kind in the data (Gadget) does not match the expected kind (Widget)",
        ),
        (
            widget() | {"metadata": 1},
            'Widget in version "v1" cannot be handled as a Widget: json: cannot unmarshal number into Go value'
            " of type v1.ObjectMeta",
        ),
    ],
)
def test_bodies_that_are_none_of_its_kind(body: Object, told: str) -> None:
    with pytest.raises(StatusFault) as fault:
        custom.body_reader(INFO, version(OPEN), META)(body)
    assert fault.value.status == 400
    assert fault.value.message.startswith(told)


def test_unknown_fields_of_metadata_are_told() -> None:
    obj = widget() | {"metadata": {"name": "one", "odd": 1}}
    found, unknown = Judge(OPEN).read(obj)
    assert found == widget()
    assert unknown == ['unknown field "metadata.odd"']
