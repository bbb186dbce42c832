"""CEL rules of custom resources at work: which are asked, what is told where, what an update may leave wrong."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.custom_resources import RULES, Judge, fields

from ropewalk.kube.machinery.objects import Object

LIST, KEYS, MAP = "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"
STRING: Object = {"type": "string"}
INTEGER: Object = {"type": "integer"}


def ruled(part: Object, *rules: str | Object) -> Object:
    return {**part, RULES: [{"rule": one} if isinstance(one, str) else one for one in rules]}


def created(part: Object, value: Any) -> list[str]:
    """What is told of `value` at `spec.a`."""
    return Judge(fields(spec=fields(a=part))).create(spec={"a": value})


def updated(part: Object, old: Any, new: Any) -> list[str]:
    before = {} if old is None else {"spec": {"a": old}}
    return Judge(fields(spec=fields(a=part))).update(before, {"spec": {"a": new}})


# --- what is told


@pytest.mark.parametrize(
    ("part", "value", "told"),
    [
        (ruled(STRING, "self != 'x'"), "y", []),
        (ruled(STRING, "self != 'x'"), "x", ["spec.a: Invalid value: \"x\": failed rule: self != 'x'"]),
        (ruled(INTEGER, " self > 3 "), 3, ["spec.a: Invalid value: 3: failed rule: self > 3"]),
        (ruled(INTEGER, {"rule": "self > 3", "message": " more "}), 3, ["spec.a: Invalid value: 3: more"]),
        (
            ruled(INTEGER, {"rule": "self > 3", "message": "m", "messageExpression": "string(self) + ' is too few'"}),
            3,
            ["spec.a: Invalid value: 3: 3 is too few"],
        ),
        (
            ruled(INTEGER, {"rule": "self > 3", "message": "m", "messageExpression": "string(1 / (self - 3))"}),
            3,
            ["spec.a: Invalid value: 3: m"],
        ),
        (
            ruled(INTEGER, {"rule": "self > 3", "messageExpression": "'two\\nlines'"}),
            3,
            ["spec.a: Invalid value: 3: failed rule: self > 3"],
        ),
        (
            ruled(INTEGER, {"rule": "self > 3", "messageExpression": "' '"}),
            3,
            ["spec.a: Invalid value: 3: failed rule: self > 3"],
        ),
        (ruled(fields(x=INTEGER), "self.x > 1"), {"x": 1}, ["spec.a: Invalid value: failed rule: self.x > 1"]),
        (
            ruled(
                fields(x=INTEGER),
                {"rule": "self.x > 1", "fieldPath": ".x", "reason": "FieldValueForbidden", "message": "m"},
            ),
            {"x": 1},
            ["spec.a.x: Forbidden: m"],
        ),
        (
            ruled(
                fields(x=INTEGER),
                {"rule": "self.x > 1", "fieldPath": "['x']", "reason": "FieldValueRequired", "message": "m"},
            ),
            {"x": 1},
            ["spec.a.x: Required value: m"],
        ),
        (ruled(INTEGER, {"rule": "self > 1", "reason": "FieldValueDuplicate"}), 1, ["spec.a: Duplicate value: 1"]),
        (
            ruled({"type": "object", "additionalProperties": ruled(INTEGER, "self > 1")}, "'k' in self"),
            {"j": 1},
            ["spec.a: Invalid value: failed rule: 'k' in self", "spec.a[j]: Invalid value: 1: failed rule: self > 1"],
        ),
        (
            {"type": "array", "items": ruled(INTEGER, "self > 1")},
            [2, 1],
            ["spec.a[1]: Invalid value: 1: failed rule: self > 1"],
        ),
        (
            ruled(INTEGER, "1 / self > 0"),
            0,
            ['spec.a: Invalid value: "integer": division by zero evaluating rule: 1 / self > 0'],
        ),
        (
            ruled(fields(x=INTEGER), "self.x > 1"),
            {},
            ['spec.a: Invalid value: "object": no such key: x evaluating rule: self.x > 1'],
        ),
        (ruled(fields(x=INTEGER), "!has(self.x) || self.x > 1"), {}, []),
        (
            ruled(INTEGER, {"rule": "self > 1", "message": "first"}, {"rule": "self > 2", "message": "second"}),
            1,
            ["spec.a: Invalid value: 1: first", "spec.a: Invalid value: 1: second"],
        ),
    ],
)
def test_what_is_told(part: Object, value: Any, told: list[str]) -> None:
    assert created(part, value) == told


def test_rules_are_not_asked_of_what_does_not_fit_its_schema() -> None:
    unchecked = (
        "some validation rules were not checked because the object was invalid; correct the existing errors to"
        " complete validation"
    )
    assert created(ruled(INTEGER, "self > 1"), "x") == [
        'spec.a: Invalid value: "string": spec.a in body must be of type integer: "string"',
        f"<nil>: Invalid value: null: {unchecked}",
    ]


# --- how values are seen


@pytest.mark.parametrize(
    ("part", "value", "rule"),
    [
        (
            {**STRING, "format": "date-time"},
            "2026-01-02T03:04:05Z",
            "self.getFullYear() == 2026 && self > timestamp('2026-01-01T00:00:00Z')",
        ),
        ({**STRING, "format": "date"}, "2026-01-02", "self.getDayOfMonth() == 1"),
        ({**STRING, "format": "duration"}, "90s", "self == duration('1m30s')"),
        ({**STRING, "format": "byte"}, "aGk=", "self == b'hi'"),
        ({**STRING, "format": "uuid"}, "e5b1b1b0-0b1e-4b6e-8b1e-0b1e4b6e8b1e", "self.startsWith('e5')"),
        ({"type": "number"}, 3, "self == 3.0 && type(self) == double"),
        ({"x-kubernetes-int-or-string": True}, "80%", "type(self) == string && self == '80%'"),
        ({"x-kubernetes-int-or-string": True}, 80, "type(self) == int ? self == 80 : false"),
        ({**STRING, "nullable": True}, None, "true"),
        (
            fields(**{"in": INTEGER, "a-b": INTEGER, "x__y": INTEGER}),
            {"in": 1, "a-b": 2, "x__y": 3},
            "self.__in__ == 1 && self.a__dash__b == 2 && self.x__underscores__y == 3",
        ),
        ({"type": "object", "additionalProperties": INTEGER}, {"in": 1, "a-b": 2}, "self['in'] + self['a-b'] == 3"),
        ({"type": "array", "items": INTEGER, LIST: "set"}, [1, 2], "self == [2, 1] && self + [2, 3] == [1, 2, 3]"),
        ({"type": "array", "items": INTEGER}, [1, 2], "self != [2, 1] && self + [2, 3] == [1, 2, 2, 3]"),
        (
            {"type": "array", "items": fields(k=STRING, v=INTEGER) | {"required": ["k"]}, LIST: "map", KEYS: ["k"]},
            [{"k": "a", "v": 1}, {"k": "b", "v": 2}],
            "self.exists_one(e, e.k == 'b' && e.v == 2)",
        ),
        (
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"x": INTEGER}},
            {"x": 1, "y": 2},
            "self.x == 1",
        ),
        ({**STRING, "maxLength": 20}, "1Gi", "quantity(self).isGreaterThan(quantity('1000Mi'))"),
        ({**STRING}, "10.1.2.3", "cidr('10.0.0.0/8').containsIP(self)"),
    ],
)
def test_how_values_are_seen(part: Object, value: Any, rule: str) -> None:
    assert created(ruled(part, rule), value) == []


def test_what_a_schema_does_not_name_is_not_seen() -> None:
    part = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"x": INTEGER}}
    told = created(ruled(part, "self.y == 1"), {"x": 1, "y": 1})
    assert len(told) == 1
    assert "rule compile error: compilation failed: ERROR: <input>:1:5: undefined field 'y'" in told[0]


@pytest.mark.parametrize(
    "rule", ["self.metadata.name == 'one'", "self.apiVersion == 'example.com/v1' && self.kind == 'Widget'"]
)
def test_the_root_knows_what_every_object_has(rule: str) -> None:
    assert Judge(ruled(fields(spec=fields()), rule)).create() == []


def test_of_metadata_only_names_are_seen() -> None:
    told = Judge(ruled(fields(spec=fields()), "self.metadata.labels == {}")).create()
    assert "undefined field 'labels'" in told[0]


# --- updates


IMMUTABLE = ruled(STRING, {"rule": "self == oldSelf", "message": "immutable"})


def test_a_rule_of_the_old_value_is_asked_where_there_is_one() -> None:
    assert created(IMMUTABLE, "x") == []
    assert updated(IMMUTABLE, None, "x") == []
    assert updated(IMMUTABLE, "x", "x") == []
    assert updated(IMMUTABLE, "x", "y") == ['spec.a: Invalid value: "y": immutable']


def test_a_rule_may_ask_whether_there_is_an_old_value() -> None:
    text = "oldSelf.hasValue() ? oldSelf.value() == self : self == 'first'"
    part = ruled(STRING, {"rule": text, "optionalOldSelf": True, "message": "no"})
    assert created(part, "first") == []
    assert created(part, "x") == ['spec.a: Invalid value: "x": no']
    assert updated(part, "x", "x") == []
    assert updated(part, "first", "x") == ['spec.a: Invalid value: "x": no']


def test_old_items_of_a_map_list_are_found_by_their_keys() -> None:
    item = fields(k=STRING, v=IMMUTABLE) | {"required": ["k"]}
    part = {"type": "array", "items": item, LIST: "map", KEYS: ["k"]}
    old = [{"k": "a", "v": "1"}, {"k": "b", "v": "2"}]
    assert updated(part, old, [{"k": "c", "v": "9"}, {"k": "b", "v": "2"}, {"k": "a", "v": "1"}]) == []
    assert updated(part, old, [{"k": "b", "v": "1"}]) == ['spec.a[0].v: Invalid value: "1": immutable']


def test_what_an_update_leaves_as_it_was_is_only_warned_of() -> None:
    part = fields(x=ruled(INTEGER, {"rule": "self > 1", "message": "more"}), y=INTEGER)
    judge = Judge(fields(spec=part))
    old, new = {"spec": {"x": 1, "y": 1}}, {"spec": {"x": 1, "y": 2}}
    assert judge.warned_update(old, new) == ["spec.x: Invalid value: 1: more"]
    assert judge.update(old, {"spec": {"x": 0}}) == ["spec.x: Invalid value: 0: more"]


def test_a_rule_over_what_changed_is_told_although_a_part_did_not() -> None:
    judge = Judge(fields(spec=ruled(fields(x=INTEGER, y=INTEGER), {"rule": "self.x > self.y", "message": "m"})))
    assert judge.update({"spec": {"x": 1, "y": 1}}, {"spec": {"x": 1, "y": 2}}) == ["spec: Invalid value: m"]
    assert judge.warned_update({"spec": {"x": 1, "y": 1}}, {"spec": {"x": 1, "y": 1}}) == ["spec: Invalid value: m"]


def test_rules_of_status() -> None:
    judge = Judge(fields(status=fields(a=ruled(INTEGER, "self > 1"))), status={})
    assert judge.status({}, {"status": {"a": 1}}) == ["status.a: Invalid value: 1: failed rule: self > 1"]


# --- what rules may cost


def test_a_rule_that_costs_too_much() -> None:
    numbers = {"type": "array", "items": INTEGER}
    rule = "self.all(x, self.all(y, self.all(z, x == z || x != z)))"
    told = created(ruled(numbers, rule, "false"), list(range(120)))
    assert told == [
        "spec.a: Invalid value: \"array\": 'operation cancelled: actual cost limit exceeded': no further validation"
        f" rules will be run due to call cost exceeds limit for rule: {rule}"
    ]


def test_rules_that_together_cost_too_much() -> None:
    numbers = {"type": "array", "items": INTEGER}
    rule = "self.all(x, self.all(y, x != y || x == y))"
    told = created({"type": "array", "items": ruled(numbers, rule)}, [list(range(250))] * 60)
    assert len(told) == 1
    assert told[0].endswith(
        '"array": validation failed due to running out of cost budget, no further validation rules will be run'
    )
