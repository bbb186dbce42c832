"""Paths to fields that definitions name."""

from __future__ import annotations

import pytest
from tests.support.custom_resources import fields

from ropewalk.kube.kinds.apiextensions.field_paths import follow

SCHEMA = fields(
    spec=fields(
        a={"type": "string"},
        map={"type": "object", "additionalProperties": {"type": "integer"}},
        list={"type": "array", "items": {"type": "string"}},
        **{"odd.name": {"type": "boolean"}, "it's": {"type": "number"}},
    )
)


@pytest.mark.parametrize(
    ("text", "path", "kind"),
    [
        (".spec.a", "spec.a", "string"),
        (".spec['a']", "spec.a", "string"),
        (".spec.map['any key']", "spec.map[any key]", "integer"),
        (".spec.map.key", "spec.map[key]", "integer"),
        (".spec['odd.name']", "spec.odd.name", "boolean"),
        (r".spec['it\'s']", "spec.it's", "number"),
        ("", "", "object"),
    ],
)
def test_paths(text: str, path: str, kind: str) -> None:
    found, schema = follow(text, SCHEMA)
    assert (found, schema["type"]) == (path, kind)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (".spec.b", "does not refer to a valid field"),
        (".spec.a.b", "does not refer to a valid field"),
        (".spec.list[0]", "expected single quoted string but got 0"),
        ("spec.a", "expected [ or . but got: spec"),
        (".spec.", "unexpected end of JSON path"),
        (".spec['a'", "unexpected end of JSON path"),
        (".spec['a'.b", "expected ] but got ."),
        (r".spec['\z']", r"invalid string literal: invalid escape char \z"),
    ],
)
def test_what_is_no_path(text: str, why: str) -> None:
    with pytest.raises(ValueError) as told:
        follow(text, SCHEMA)
    assert str(told.value) == why


def test_where_keys_may_not_be_used() -> None:
    assert follow(".spec.a", SCHEMA, keys=False)[0] == "spec.a"
    with pytest.raises(ValueError, match="array notation is not allowed"):
        follow(".spec['a']", SCHEMA, keys=False)
