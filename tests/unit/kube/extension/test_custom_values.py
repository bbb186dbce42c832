"""Values against OpenAPI schemas: what does not fit, in kube-openapi's words; quick and slow answers agree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from tests.support.custom_resources import Judge, fields

from ropewalk.kube.extension import values
from ropewalk.kube.extension.complaints import complaints
from ropewalk.kube.machinery.objects import Object

IOS = {"x-kubernetes-int-or-string": True}


def wrong(schema: Object, value: Any) -> list[str]:
    found = [f"{cause.field}: {cause.message}" for cause in complaints(fields(a=schema), {"a": value})]
    assert values.compiled(fields(a=schema))({"a": value}) is not bool(found), found
    return found


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string"}, ["", "x"], [1, 1.5, True, [], {}, None]),
        ({"type": "integer"}, [0, -3, 1.0], [1.5, "1", True, None]),
        ({"type": "number"}, [0, 1.5], ["1", False, None]),
        ({"type": "boolean"}, [True, False], [0, "true", None]),
        ({"type": "array", "items": {"type": "string"}}, [[], ["a"]], [{}, "a", [1], [None]]),
        ({"type": "object"}, [{}, {"x": 1}], [[], "a"]),
        (IOS, [1, "1", 2.0], [1.5, True, None, []]),
        ({"type": "string", "nullable": True}, ["a", None], [1]),
        ({"type": "string", "nullable": True, "enum": ["a"]}, ["a"], [None, "b"]),
        ({"x-kubernetes-preserve-unknown-fields": True}, [1, None, {"a": [1]}], []),
        ({"type": "integer", "enum": [1, 2]}, [1, 1.0, 2], [3, True]),
        ({"type": "string", "maxLength": 2, "minLength": 1}, ["é", "éé"], ["", "abc"]),
        ({"type": "string", "pattern": "^a+$"}, ["a", "aa"], ["ab", ""]),
        ({"type": "integer", "minimum": 1, "maximum": 3}, [1, 3], [0, 4]),
        ({"type": "number", "minimum": 1, "exclusiveMinimum": True}, [1.1], [1, 1.0]),
        ({"type": "integer", "maximum": 2.5}, [2], [3]),
        ({"type": "integer", "multipleOf": 3}, [0, 3, -3], [4]),
        ({"type": "number", "multipleOf": 0.1}, [0.3, 1.5], [0.25]),
        ({"type": "integer", "multipleOf": 0.5}, [], [1]),
        ({"type": "array", "maxItems": 1, "minItems": 1}, [[1]], [[], [1, 2]]),
        ({"type": "object", "maxProperties": 1, "minProperties": 1}, [{"a": 1}], [{}, {"a": 1, "b": 2}]),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, [{"a": 1}, {}], [{"a": "b"}]),
        ({"type": "object", "additionalProperties": False}, [{}], [{"a": 1}]),
        ({"type": "object", "required": ["x"]}, [{"x": None}], [{}]),
        ({"type": "string", "format": "date"}, ["2026-01-31", ["a list passes here too"]], ["2026-02-31", 3, {}]),
        ({"type": "string", "format": "nobody-knows"}, ["anything"], [1]),
        ({"type": "integer", "format": "int32"}, [1 << 40], []),
        ({"type": "integer", "oneOf": [{"minimum": 5}, {"maximum": 1}]}, [5, 1], [3]),
        ({"type": "integer", "oneOf": [{"minimum": 0}, {"maximum": 9}]}, [-1, 10], [3]),
        ({"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": 1}]}, [5, 1], [3]),
        ({"type": "integer", "allOf": [{"minimum": 0}, {"maximum": 9}]}, [3], [-1, 10]),
        ({"type": "integer", "not": {"enum": [3]}}, [4], [3]),
    ],
)
def test_what_fits(schema: Object, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert wrong(schema, value) == []
    for value in bad:
        assert wrong(schema, value), value


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        (
            {"type": "integer", "minimum": 1},
            0,
            ["a: Invalid value: 0: a in body should be greater than or equal to 1"],
        ),
        (
            {"type": "number", "maximum": 1e6},
            1.5e7,
            ["a: Invalid value: 1.5e+07: a in body should be less than or equal to 1e+06"],
        ),
        ({"type": "string", "maxLength": 1}, "<b>", ["a: Too long: may not be more than 1 byte"]),
        ({"type": "string", "minLength": 3}, "é", ['a: Invalid value: "é": a in body should be at least 3 chars long']),
        ({"type": "array", "maxItems": 1}, [1, 2], ["a: Too many: 2: must have at most 1 item"]),
        ({"type": "array", "minItems": 2}, [1], ["a: Invalid value: 1: a in body should have at least 2 items"]),
        (
            {"type": "object", "minProperties": 1},
            {},
            ["a: Invalid value: 0: a in body should have at least 1 properties"],
        ),
        (
            {"type": "object", "additionalProperties": False},
            {"k": 1},
            ['a: Invalid value: "k": a.k in body is a forbidden property'],
        ),
        ({"type": "string", "enum": ["b", "a"]}, "<", ['a: Unsupported value: "<": supported values: "b", "a"']),
        (
            {"type": "number", "enum": [1.0, 1e21]},
            {"x": "<"},
            [
                'a: Invalid value: "object": a in body must be of type number: "object"',
                'a: Unsupported value: {"x":"\\u003c"}: supported values: "1", "1e+21"',
            ],
        ),
        (IOS, None, ['a: Invalid value: "null": a in body must be of type integer,string: "null"']),
        ({"type": "object", "required": ["x", "y"]}, {"y": 1}, ["a.x: Required value"]),
        (
            {"type": "string", "format": "date-time"},
            "soon",
            ['a: Invalid value: "soon": a in body must be of type date-time: "soon"'],
        ),
        (
            {"type": "integer", "format": "date"},
            "2026-01-01",
            ['a: Invalid value: "string": a in body must be of type integer: "string"'],
        ),
        (
            {"type": "integer", "multipleOf": 0.5},
            1,
            ["a: Invalid value: 0: factor MultipleOf declared for a must be positive: 0"],
        ),
        (
            {"type": "integer", "oneOf": [{"minimum": 5}, {"maximum": 1}]},
            3,
            [
                '<nil>: Invalid value: "": "a" must validate one and only one schema (oneOf). Found none valid',
                "a: Invalid value: 3: a in body should be greater than or equal to 5",
            ],
        ),
        (
            {"type": "integer", "oneOf": [{"minimum": 0}, {"maximum": 9}]},
            3,
            ['<nil>: Invalid value: "": "a" must validate one and only one schema (oneOf). Found 2 valid alternatives'],
        ),
        (
            {"type": "integer", "allOf": [{"minimum": 5}, {"maximum": 1}]},
            3,
            [
                "a: Invalid value: 3: a in body should be greater than or equal to 5",
                "a: Invalid value: 3: a in body should be less than or equal to 1",
                '<nil>: Invalid value: "": "a" must validate all the schemas (allOf). None validated',
            ],
        ),
        (
            {"type": "integer", "not": {"minimum": 1}},
            3,
            ['<nil>: Invalid value: "": "a" must not validate the schema (not)'],
        ),
    ],
)
def test_what_is_told(schema: Object, value: Any, told: list[str]) -> None:
    assert wrong(schema, value) == told


def test_of_alternatives_the_one_that_came_closest_is_told() -> None:
    schema = {
        "type": "object",
        "properties": {"x": {"type": "string"}, "y": {"type": "string"}},
        "anyOf": [
            {"required": ["z"]},
            {"required": ["w"], "properties": {"x": {"minLength": 1}, "y": {"minLength": 1}}},
        ],
    }
    assert wrong(schema, {"x": "1", "y": "2"}) == [
        '<nil>: Invalid value: "": "a" must validate at least one schema (anyOf)',
        "a.w: Required value",
    ]


def test_paths_lead_through_lists_and_maps() -> None:
    schema = {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "integer"}}}
    assert wrong(schema, [{}, {"k": "v"}]) == [
        'a[1].k: Invalid value: "string": a[1].k in body must be of type integer: "string"'
    ]


# --- what did not change is not judged again

PORTS = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["port"],
    "items": {
        "type": "object",
        "required": ["port"],
        "properties": {"port": {"type": "integer"}, "name": {"type": "string", "maxLength": 2}},
    },
}


def test_an_unchanged_field_may_stay_wrong() -> None:
    judge = Judge(fields(spec=fields(a={"type": "string", "maxLength": 1}, b={"type": "integer", "maximum": 1})))
    old = {"spec": {"a": "too long", "b": 0}}
    assert judge.update(old, {"spec": {"a": "too long", "b": 1}}) == []
    assert judge.update(old, {"spec": {"a": "longer still", "b": 2}}) == [
        "spec.a: Too long: may not be more than 1 byte",
        "spec.b: Invalid value: 2: spec.b in body should be less than or equal to 1",
    ]


def test_items_of_a_map_list_are_found_again_by_their_keys() -> None:
    judge = Judge(fields(spec=fields(ports=PORTS)))
    old = {"spec": {"ports": [{"port": 1, "name": "long"}, {"port": 2}]}}
    moved = [{"port": 2, "name": "x"}, {"port": 1, "name": "long"}, {"port": 3, "name": "long"}]
    assert judge.update(old, {"spec": {"ports": moved}}) == [
        "spec.ports[2].name: Too long: may not be more than 2 bytes"
    ]


def test_items_of_other_lists_are_not_found_again() -> None:
    judge = Judge(fields(spec=fields(names={"type": "array", "items": {"type": "string", "maxLength": 2}})))
    old = {"spec": {"names": ["long"]}}
    assert judge.update(old, old) == []
    assert judge.update(old, {"spec": {"names": ["long", "x"]}}) == [
        "spec.names[0]: Too long: may not be more than 2 bytes"
    ]


def test_what_stands_in_logic_is_judged_anew_unless_all_around_it_is_as_it_was() -> None:
    schema = {**fields(x={"type": "string"}, y={"type": "string"}), "allOf": [{"properties": {"x": {"maxLength": 1}}}]}
    judge = Judge(fields(spec=schema))
    old = {"spec": {"x": "long", "y": "1"}}
    assert judge.update(old, old) == []
    assert "spec.x: Too long: may not be more than 1 byte" in judge.update(old, {"spec": {"x": "long", "y": "2"}})


# --- a property

_LEAVES: some.SearchStrategy[Object] = some.one_of(
    some.builds(
        lambda limits: {"type": "string", **limits},
        some.fixed_dictionaries({}, optional={"maxLength": some.integers(0, 3), "minLength": some.integers(0, 3)}),
    ),
    some.builds(
        lambda kind, limits: {"type": kind, **limits},
        some.sampled_from(["integer", "number"]),
        some.fixed_dictionaries(
            {}, optional={"minimum": some.integers(-2, 2), "multipleOf": some.sampled_from([1, 2, 0.5])}
        ),
    ),
    some.just(IOS),
    some.just({"type": "boolean", "nullable": True}),
    some.just({"enum": ["a", 1, None], "x-kubernetes-preserve-unknown-fields": True}),
)
_SCHEMAS = some.recursive(
    _LEAVES,
    lambda inner: some.one_of(
        some.builds(
            lambda props, required: {"type": "object", "properties": props, "required": required},
            some.dictionaries(some.sampled_from("abc"), inner, max_size=3),
            some.lists(some.sampled_from("abc"), max_size=1),
        ),
        some.builds(lambda part: {"type": "object", "additionalProperties": part}, inner),
        some.builds(lambda part: {"type": "array", "items": part, "maxItems": 2}, inner),
        some.builds(
            lambda word, parts: {word: parts},
            some.sampled_from(["anyOf", "oneOf", "allOf"]),
            some.lists(inner, min_size=1, max_size=3),
        ),
        some.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=8,
)
_VALUES = some.recursive(
    some.one_of(
        some.none(),
        some.booleans(),
        some.integers(-3, 3),
        some.sampled_from([0.5, 1.0, -2.0]),
        some.sampled_from(["", "a", "abcd"]),
    ),
    lambda inner: some.one_of(
        some.lists(inner, max_size=3), some.dictionaries(some.sampled_from("abcd"), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(_SCHEMAS, _VALUES)
def test_the_quick_answer_is_that_of_the_slow_walk(schema: Object, value: Any) -> None:
    assert values.compiled(schema)(value) is not bool(complaints(schema, value))
