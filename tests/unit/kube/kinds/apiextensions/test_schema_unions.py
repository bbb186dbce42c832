"""Places of a schema that hold one of two things."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.kinds.apiextensions.custom_resource_definitions import CustomResourceDefinitions
from ropewalk.kube.kinds.apiextensions.schema_unions import Unreadable, settle
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Json, Object, copied

DEEP = {"type": "object", "properties": {"a": {"type": "string", "nonsense": 1}}}
CLEAN = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("given_", "held"),
    [
        ({"additionalProperties": True}, {"additionalProperties": True}),
        ({"additionalProperties": DEEP}, {"additionalProperties": CLEAN}),
        ({"items": DEEP}, {"items": CLEAN}),
        ({"items": [None, DEEP]}, {"items": [{}, CLEAN]}),
        ({"items": []}, {}),
        ({"items": "x"}, {}),
        ({"items": None}, {}),
        ({"dependencies": {"a": DEEP, "b": ["x", None], "c": 5}}, {"dependencies": {"a": CLEAN, "b": ["x", ""]}}),
        ({"properties": {"a": {"items": {"items": DEEP}}}}, {"properties": {"a": {"items": {"items": CLEAN}}}}),
        ({"allOf": [{"items": DEEP}]}, {"allOf": [{"items": CLEAN}]}),
        ({"default": {"items": 5}, "enum": [{"items": "x"}]}, {"default": {"items": 5}, "enum": [{"items": "x"}]}),
    ],
)
def test_what_is_held(given_: Object, held: Object) -> None:
    schema = copied(given_)
    settle(schema)
    assert schema == held


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ({"additionalProperties": [1]}, "boolean or JSON schema expected"),
        ({"not": {"additionalItems": "x"}}, "boolean or JSON schema expected"),
        ({"items": [5]}, "json: cannot unmarshal number into Go value of type v1.JSONSchemaProps"),
        ({"items": {"type": 5}}, "json: cannot unmarshal number into Go struct field"),
        ({"items": {"properties": {"a": {"maxLength": "x"}}}}, "json: cannot unmarshal string into Go struct field"),
        ({"dependencies": {"a": [5]}}, "json: cannot unmarshal number into Go value of type string"),
    ],
)
def test_what_cannot_be_read(schema: Object, complaint: str) -> None:
    with pytest.raises(Unreadable, match=complaint):
        settle(copied(schema))


def test_a_definition_with_such_a_schema_is_refused() -> None:
    spec: dict[str, Any] = {"versions": [{"name": "v1"}, {"name": "v2", "schema": {"openAPIV3Schema": {"items": [5]}}}]}
    with pytest.raises(StatusFault) as refused:
        CustomResourceDefinitions().default({"spec": spec})
    assert refused.value.status == 400
    assert "cannot be handled as a CustomResourceDefinition: json: cannot unmarshal" in refused.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["items", "additionalProperties", "dependencies", "type", "properties", "not", "allOf"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_anything_is_read_or_refused_and_read_alike_again(value: Json) -> None:
    schema: Object = {"items": value, "additionalProperties": value}
    try:
        settle(schema)
    except Unreadable:
        return
    again = copied(schema)
    settle(again)
    assert again == schema
