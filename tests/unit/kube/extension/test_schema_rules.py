"""What a definition's schema must be: what is refused, where, and in which words."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.custom_resources import META, RULES, fields

from ropewalk.kube.extension import schema_rules
from ropewalk.kube.machinery.objects import Object

PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
IOS = "x-kubernetes-int-or-string"
LIST, KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
STRING: Object = {"type": "string"}
INTEGER: Object = {"type": "integer"}


def problems(schema: Object, *, status: bool = False) -> list[str]:
    return [f"{cause.field}: {cause.message}" for cause in schema_rules.validate(schema, "at", META, status=status)]


def problems_of(part: Object) -> list[str]:
    return problems(fields(a=part))


# --- structure


@pytest.mark.parametrize(
    "part",
    [
        STRING,
        {IOS: True},
        {**STRING, IOS: True},
        {"type": "object", "anyOf": [{"properties": {"b": {"minLength": 1}}}]},
        {IOS: True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
        {IOS: True, "allOf": [{"anyOf": [{"type": "integer"}, {"type": "string"}]}, {"pattern": "a"}]},
        {PRESERVE: True},
        {"type": "object", PRESERVE: True, EMBEDDED: True},
        {"type": "object", "properties": {"b": STRING}, EMBEDDED: True},
        {"type": "object", "additionalProperties": {"type": "array", "items": STRING}},
        {"type": "object", "properties": {"b": STRING}, "anyOf": [{"properties": {"b": {"minLength": 1}}}]},
        {"type": "array", "items": STRING, LIST: "set"},
        {"type": "array", "items": fields(k=STRING) | {"required": ["k"]}, LIST: "map", KEYS: ["k"]},
        {"type": "array", "items": fields(k={**STRING, "default": ""}), LIST: "map", KEYS: ["k"]},
        {"type": "object", "properties": {"b": STRING}, "x-kubernetes-map-type": "atomic"},
        {**STRING, "nullable": True, "default": "x", "pattern": "^x$"},
    ],
)
def test_what_may_be(part: Object) -> None:
    assert problems_of(part) == []


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({}, ["at.properties[a].type: Required value: must not be empty for specified object fields"]),
        ({"type": "array"}, ["at.properties[a].items: Required value: must be specified"]),
        (
            {"type": "array", "items": {}},
            ["at.properties[a].items.type: Required value: must not be empty for specified array items"],
        ),
        (
            {"type": "foo"},
            [
                'at.properties[a].type: Unsupported value: "foo": supported values: "array",'
                ' "boolean", "integer", "number", "object", "string"'
            ],
        ),
        (
            {PRESERVE: False},
            ["at.properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"],
        ),
        (
            {"type": "object", PRESERVE: False},
            ["at.properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: false: must be true or undefined"],
        ),
        (
            {"type": "object", EMBEDDED: True},
            [
                "at.properties[a].properties: Required value: must not be empty if"
                " x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
            ],
        ),
        (
            {"type": "object", "properties": {"b": STRING}, "additionalProperties": STRING},
            [
                "at.properties[a].additionalProperties: Forbidden: additionalProperties and"
                " properties are mutual exclusive"
            ],
        ),
        (
            {**STRING, "anyOf": [{"type": "string"}]},
            ["at.properties[a].anyOf[0].type: Forbidden: must be empty to be structural"],
        ),
        (
            {**STRING, "not": {"default": "x", "nullable": True, "description": "d"}},
            [
                "at.properties[a].not.default: Forbidden: must be undefined to be structural",
                "at.properties[a].not.description: Forbidden: must be empty to be structural",
                "at.properties[a].not.nullable: Forbidden: must be false to be structural",
            ],
        ),
        ({**fields(c=STRING), "anyOf": [{"properties": {"b": {"minLength": 1}}}]}, []),
        ({**STRING, "anyOf": [{"items": {"minLength": 1}}]}, []),
        (
            {IOS: True, PRESERVE: True},
            [
                "at.properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if"
                " x-kubernetes-int-or-string is true"
            ],
        ),
        (
            {**STRING, "pattern": "("},
            [
                'at.properties[a].pattern: Invalid value: "(": must be a valid regular expression, but isn\'t:'
                " error parsing regexp: missing closing ): `(`"
            ],
        ),
    ],
)
def test_what_is_not_structural(part: Object, told: list[str]) -> None:
    assert problems_of(part) == told


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({}, ["at.type: Required value: must not be empty at the root"]),
        ({"type": "string"}, ['at.type: Invalid value: "string": must be object at the root']),
        (fields(metadata={"type": "object", "properties": {"name": STRING}}), []),
        (
            fields(metadata={"type": "object", "properties": {"labels": {"type": "object"}}}),
            [
                "at.properties[metadata]: Forbidden: must not specify anything other than name and"
                " generateName, but metadata is implicitly specified"
            ],
        ),
    ],
)
def test_the_root(schema: Object, told: list[str]) -> None:
    assert problems(schema) == told


# --- lists


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (
            {**STRING, LIST: "set"},
            ['at.properties[a].type: Invalid value: "string": must be array if x-kubernetes-list-type is specified'],
        ),
        (
            {"type": "array", "items": STRING, LIST: "bag"},
            [
                'at.properties[a].x-kubernetes-list-type: Unsupported value: "bag": supported values:'
                ' "atomic", "set", "map"'
            ],
        ),
        (
            {"type": "array", "items": STRING, LIST: "map", KEYS: ["k"]},
            [
                'at.properties[a].items.type: Invalid value: "string": must be object if parent array\'s'
                " x-kubernetes-list-type is map"
            ],
        ),
        (
            {"type": "array", "items": fields(k=STRING), LIST: "map"},
            [
                "at.properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if"
                " x-kubernetes-list-type is map"
            ],
        ),
        (
            {"type": "array", "items": fields(k=STRING), LIST: "map", KEYS: ["k"]},
            [
                "at.properties[a].items.properties[k].default: Required value: this property is in"
                " x-kubernetes-list-map-keys, so it must have a default or be a required property"
            ],
        ),
        (
            {"type": "array", "items": fields(k=STRING) | {"required": ["k"]}, LIST: "map", KEYS: ["z"]},
            [
                'at.properties[a].x-kubernetes-list-map-keys: Invalid value: ["z"]: entries must all be names'
                " of item properties"
            ],
        ),
        (
            {"type": "array", "items": fields(k=STRING), LIST: "set"},
            [
                "at.properties[a].items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of"
                " a list with x-kubernetes-list-type=set"
            ],
        ),
        (
            {"type": "array", "items": STRING, KEYS: ["k"]},
            [
                "at.properties[a].x-kubernetes-list-type: Required value: must be map if"
                " x-kubernetes-list-map-keys is non-empty"
            ],
        ),
    ],
)
def test_lists(part: Object, told: list[str]) -> None:
    assert problems_of(part) == told


# --- defaults


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (
            {**INTEGER, "default": "x"},
            ['at.properties[a].default: Invalid value: "string":  in body must be of type integer: "string"'],
        ),
        (
            {**fields(b=STRING), "default": {"c": 1}},
            ['at.properties[a].default: Invalid value: {"c":1}: must not have unknown fields'],
        ),
        ({**fields(b=STRING), "required": ["b"], "default": {}}, ["at.properties[a].default.b: Required value"]),
        (
            {**fields(b={**STRING, "default": "x"}), "required": ["b"], "default": {}},
            ["at.properties[a].default.b: Required value"],
        ),
        (
            {"type": "array", "items": {**STRING, "default": "x"}, "default": [None]},
            ['at.properties[a].default.[0]: Invalid value: "null": [0] in body must be of type string: "null"'],
        ),
        (
            {**STRING, "anyOf": [{"default": "x"}]},
            ["at.properties[a].anyOf[0].default: Forbidden: must be undefined to be structural"],
        ),
    ],
)
def test_defaults(part: Object, told: list[str]) -> None:
    assert problems_of(part) == told


# --- rules


def rule(text: str, **more: Any) -> Object:
    return {"rule": text, **more}


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (
            {**STRING, RULES: [rule("")]},
            ["at.properties[a].x-kubernetes-validations[0].rule: Required value: rule is not specified"],
        ),
        (
            {**STRING, RULES: [rule("self.size() > 0", message="a\nb")]},
            [
                'at.properties[a].x-kubernetes-validations[0].message: Invalid value: "a\\nb": must not'
                " contain line breaks"
            ],
        ),
        ({**STRING, RULES: [rule("self.size() > 0\n", message="")]}, []),
        (
            {**STRING, RULES: [rule("self > 1")]},
            [
                'at.properties[a].x-kubernetes-validations[0].rule: Invalid value: {"Rule":"self \\u003e'
                ' 1","Message":"","MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":null}:'
                " compilation failed: ERROR: <input>:1:6: found no matching overload for '_>_' applied to"
                " '(string, int)'\n | self > 1\n | .....^"
            ],
        ),
        (
            {**STRING, RULES: [rule("self")]},
            [
                "at.properties[a].x-kubernetes-validations[0].rule: Invalid value:"
                ' {"Rule":"self","Message":"","MessageExpression":"","Reason":null,"FieldPath":"","Opt'
                'ionalOldSelf":null}: cel expression must evaluate to a bool'
            ],
        ),
        (
            {**fields(x=STRING), RULES: [rule("self.y == ''")]},
            [
                'at.properties[a].x-kubernetes-validations[0].rule: Invalid value: {"Rule":"self.y =='
                ' \'\'","Message":"","MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSel'
                "f\":null}: compilation failed: ERROR: <input>:1:5: undefined field 'y'\n | self.y == ''\n"
                " | ....^"
            ],
        ),
        (
            {**fields(x=STRING), RULES: [rule("self.x == ''", fieldPath=".y")]},
            ['at.properties[a].x-kubernetes-validations[0].fieldPath: Invalid value: ".y": must be a valid path'],
        ),
        ({**fields(x=STRING), RULES: [rule("self.x == ''", fieldPath=".x", reason="FieldValueRequired")]}, []),
        (
            {**fields(x=STRING), RULES: [rule("self.x == ''", reason="Because")]},
            [
                'at.properties[a].x-kubernetes-validations[0].reason: Unsupported value: "Because": supported'
                ' values: "FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid",'
                ' "FieldValueRequired"'
            ],
        ),
        ({**STRING, RULES: [rule("self == oldSelf")]}, []),
        (
            {**STRING, RULES: [rule("self != ''", optionalOldSelf=True)]},
            [
                "at.properties[a].x-kubernetes-validations[0].optionalOldSelf: Invalid value: true: may not be"
                " set if oldSelf is not used in rule"
            ],
        ),
        (
            {"type": "array", "items": {**STRING, RULES: [rule("self == oldSelf")]}},
            [
                "at.properties[a].items.x-kubernetes-validations[0].rule: Forbidden: estimated rule cost"
                " exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems,"
                " maxProperties, and maxLength where arrays, maps, and strings are declared)",
                'at.properties[a].items.x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf":'
                " oldSelf cannot be used on the uncorrelatable portion of the schema within at.properties[a]",
                "at.properties[a].items.x-kubernetes-validations[0].rule: Forbidden: contributed to estimated"
                " rule cost total exceeding cost limit for entire OpenAPIv3 schema",
                "at: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
                " exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems,"
                " maxProperties, and maxLength where arrays, maps, and strings are declared)",
            ],
        ),
        (
            {**STRING, RULES: [rule("self != ''", messageExpression="1")]},
            [
                'at.properties[a].x-kubernetes-validations[0].messageExpression: Invalid value: {"Rule":"self'
                " !="
                ' \'\'","Message":"","MessageExpression":"1","Reason":null,"FieldPath":"","OptionalOldSe'
                'lf":null}: messageExpression must evaluate to a string'
            ],
        ),
        ({**STRING, RULES: [rule("self != ''", messageExpression="'bad ' + self")]}, []),
        (
            {"type": "array", "items": STRING, RULES: [rule("self.all(x, self.all(y, x == y))")]},
            [
                "at.properties[a].x-kubernetes-validations[0].rule: Forbidden: estimated rule cost exceeds"
                " budget by factor of more than 100x (try simplifying the rule, or adding maxItems,"
                " maxProperties, and maxLength where arrays, maps, and strings are declared)",
                "at.properties[a].x-kubernetes-validations[0].rule: Forbidden: contributed to estimated rule"
                " cost total exceeding cost limit for entire OpenAPIv3 schema",
                "at: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
                " exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems,"
                " maxProperties, and maxLength where arrays, maps, and strings are declared)",
            ],
        ),
        (
            {**STRING, "anyOf": [{RULES: [rule("true")]}]},
            ["at.properties[a].anyOf[0].x-kubernetes-validations: Forbidden: must be empty to be structural"],
        ),
    ],
)
def test_rules(part: Object, told: list[str]) -> None:
    assert problems_of(part) == told
