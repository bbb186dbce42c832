"""Custom resources on their way in: what is pruned, which nulls go, what defaults fill."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.support.custom_resources import Judge, fields, widget

from ropewalk.kube.extension import shaping
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, copied

PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
STRING: Object = {"type": "string"}
OPEN: Object = {"type": "object", PRESERVE: True}


def shaped(schema: Object, value: Any) -> tuple[Any, list[str]]:
    """(what is left, what was pruned)."""
    left = copied(value)
    return left, shaping.pruned(left, schema, root=False)


# --- pruning


@pytest.mark.parametrize(
    ("schema", "value", "left", "gone"),
    [
        (fields(a=STRING), {"a": "x", "b": 1}, {"a": "x"}, ["b"]),
        (fields(a=fields(b=STRING)), {"a": {"b": "x", "c": {"d": 1}}}, {"a": {"b": "x"}}, ["a.c"]),
        ({"type": "array", "items": fields(a=STRING)}, [{"a": "x"}, {"b": 1}], [{"a": "x"}, {}], ["[1].b"]),
        ({"type": "object", "additionalProperties": fields(a=STRING)}, {"k": {"b": 1}}, {"k": {}}, ["k.b"]),
        ({"type": "object", "additionalProperties": True}, {"k": {"b": 1}}, {"k": {}}, ["k.b"]),
        (OPEN, {"a": {"b": [1]}}, {"a": {"b": [1]}}, []),
        (
            {**fields(a=fields(b=STRING)), PRESERVE: True},
            {"a": {"c": 1}, "x": {"y": 1}},
            {"a": {}, "x": {"y": 1}},
            ["a.c"],
        ),
        ({"type": "array", PRESERVE: True, "items": fields()}, [{"a": {"b": 1}}], [{"a": {"b": 1}}], []),
        (fields(), {"apiVersion": "v1", "kind": "Pod"}, {}, ["apiVersion", "kind"]),
        (
            {**fields(), EMBEDDED: True},
            {"kind": "Pod", "metadata": {"x": 1}, "spec": {}},
            {"kind": "Pod", "metadata": {"x": 1}},
            ["spec"],
        ),
        (fields(a=STRING), {"a": {"b": 1}}, {"a": {}}, ["a.b"]),
        (fields(a=STRING), "text", "text", []),
    ],
)
def test_what_a_schema_does_not_name_goes(schema: Object, value: Any, left: Any, gone: list[str]) -> None:
    assert shaped(schema, value) == (left, gone)


def test_at_the_root_an_object_is_always_one() -> None:
    found, unknown = Judge(fields(spec=fields(a=STRING))).read(widget(spec={"a": "x", "b": 1}, other={"c": 1}))
    assert found == widget(spec={"a": "x"})
    assert unknown == ['unknown field "other"', 'unknown field "spec.b"']


def test_a_root_that_keeps_everything() -> None:
    obj = widget(spec={"b": None}, other=[{"c": 1}])
    assert Judge(OPEN).read(obj) == (obj, [])


_SCHEMAS = some.recursive(
    some.sampled_from([STRING, {"type": "integer"}, OPEN, {"type": "object", "additionalProperties": True}]),
    lambda inner: some.one_of(
        some.builds(
            lambda parts, more: {"type": "object", "properties": parts, **more},
            some.dictionaries(some.sampled_from("abc"), inner, max_size=3),
            some.sampled_from([{}, {PRESERVE: True}, {EMBEDDED: True}]),
        ),
        some.builds(lambda part: {"type": "object", "additionalProperties": part}, inner),
        some.builds(
            lambda part, more: {"type": "array", "items": part, **more},
            inner,
            some.sampled_from([{}, {PRESERVE: True}]),
        ),
    ),
    max_leaves=6,
)
_VALUES = some.recursive(
    some.sampled_from([None, 1, "a"]),
    lambda inner: some.one_of(
        some.lists(inner, max_size=3),
        some.dictionaries(some.sampled_from(["a", "b", "d", "kind", "metadata"]), inner, max_size=3),
    ),
    max_leaves=8,
)


@given(_SCHEMAS, some.dictionaries(some.sampled_from("abd"), _VALUES, max_size=3), some.booleans())
def test_what_is_called_clean_loses_nothing(schema: Object, value: Object, root: bool) -> None:
    if not shaping.cleaner(schema, root=root)(value):
        return
    left: Object = copied(value)
    assert shaping.pruned(left, schema, root=root) == []
    shaping.drop_nulls(left, schema)
    assert left == value


@given(_SCHEMAS, some.dictionaries(some.sampled_from("abd"), _VALUES, max_size=3))
def test_pruning_twice_is_pruning_once(schema: Object, value: Object) -> None:
    shaping.pruned(value, schema)
    assert shaping.pruned(value, schema) == []


# --- nulls


@pytest.mark.parametrize(
    ("part", "value", "left"),
    [
        (STRING, {"a": None}, {}),
        ({**STRING, "nullable": True}, {"a": None}, {"a": None}),
        ({**STRING, "default": "x"}, {"a": None}, {"a": "x"}),
        ({**STRING, "default": "x", "nullable": True}, {"a": None}, {"a": None}),
        ({"type": "object", "additionalProperties": STRING}, {"a": {"k": None}}, {"a": {}}),
        ({"type": "array", "items": STRING}, {"a": [None]}, {"a": [None]}),
        ({"type": "array", "items": {**STRING, "default": "x"}}, {"a": [None, "y"]}, {"a": ["x", "y"]}),
        ({"type": "object", "additionalProperties": {**STRING, "default": "x"}}, {"a": {"k": None}}, {"a": {"k": "x"}}),
        (OPEN, {"a": {"b": None}}, {"a": {"b": None}}),
    ],
)
def test_nulls(part: Object, value: Object, left: Object) -> None:
    assert Judge(fields(spec=fields(a=part))).read(widget(spec=value)) == (widget(spec=left), [])


# --- defaults


def test_defaults_fill_what_is_absent_and_stand_within_defaults() -> None:
    inner = fields(b={"type": "integer", "default": 1}, c=STRING)
    judge = Judge(fields(spec={**fields(a={**inner, "default": {"c": "x"}}, d=inner), "default": {}}))
    assert judge.read(widget())[0] == widget(spec={"a": {"b": 1, "c": "x"}})
    assert judge.read(widget(spec={"a": {"b": 2}, "d": {}}))[0] == widget(spec={"a": {"b": 2}, "d": {"b": 1}})


def test_a_default_is_given_to_each_object_anew() -> None:
    judge = Judge(fields(spec=fields(a={"type": "array", "items": STRING, "default": ["x"]})))
    first = judge.read(widget(spec={}))[0]
    first["spec"]["a"].append("y")
    assert judge.read(widget(spec={}))[0]["spec"]["a"] == ["x"]


def test_defaults_in_lists_and_maps() -> None:
    item = fields(b={"type": "integer", "default": 1})
    spec = fields(list={"type": "array", "items": item}, map={"type": "object", "additionalProperties": item})
    found, _ = Judge(fields(spec=spec)).read(widget(spec={"list": [{}, {"b": 2}], "map": {"k": {}}}))
    assert found["spec"] == {"list": [{"b": 1}, {"b": 2}], "map": {"k": {"b": 1}}}


def test_no_filler_where_nothing_has_a_default() -> None:
    assert shaping.filler(fields(a={"type": "array", "items": fields(b=STRING)})) is None


# --- objects within objects

POD: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
TEMPLATE = Judge(fields(spec=fields(template={"type": "object", EMBEDDED: True, PRESERVE: True})))


def test_an_embedded_object_keeps_what_it_is_and_loses_unknown_metadata() -> None:
    given_pod = {**POD, "metadata": {"name": "a", "odd": 1}, "more": 1}
    found, unknown = TEMPLATE.read(widget(spec={"template": given_pod}))
    assert found["spec"]["template"] == {**POD, "more": 1}
    assert unknown == ['unknown field "spec.template.metadata.odd"']


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (POD, []),
        ({}, ["spec.template.apiVersion: Required value", "spec.template.kind: Required value"]),
        (
            {**POD, "apiVersion": "a/b/c"},
            ['spec.template.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c'],
        ),
        (
            {**POD, "metadata": {"name": "a/b"}},
            ["spec.template.metadata.name: Invalid value: \"a/b\": may not contain '/'"],
        ),
        (
            {**POD, "kind": "No_kind"},
            [
                'spec.template.kind: Invalid value: "No_kind": may have mixed case, but should otherwise match: a'
                " DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic"
                " character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for"
                " validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
            ],
        ),
    ],
)
def test_an_embedded_object_must_be_one(template: Object, told: list[str]) -> None:
    assert TEMPLATE.create(spec={"template": template}) == told


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ({**POD, "kind": 1}, "spec.template.kind: Invalid value: 1: must be a string"),
        ({**POD, "metadata": {"labels": 1}}, "json: cannot unmarshal number into Go struct field"),
    ],
)
def test_an_embedded_object_that_cannot_be_read(template: Object, why: str) -> None:
    with pytest.raises(StatusFault) as told:
        TEMPLATE.read(widget(spec={"template": template}))
    assert told.value.status == 400
    assert why in told.value.message
