"""JSON merge patch: the table of RFC 7386 in our words, and its law."""

from __future__ import annotations

import pytest
from hypothesis import given

from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Json, Object, copied
from ropewalk.kube.machinery.patch.merge import apply_merge_patch
from unit.kube.machinery.apply.small_world import ships


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"a": "x"}, {"a": {"b": {"c": None, "d": 1}}}, {"a": {"b": {"d": 1}}}),
        ({}, {"a": {"b": None}}, {"a": {}}),
    ],
)
def test_table(document: Object, patch: Object, expected: Object) -> None:
    before = copied([document, patch])
    assert apply_merge_patch(document, patch) == expected
    assert [document, patch] == before


def _diff(one: Object, two: Object) -> Object:
    patch: Object = dict.fromkeys(one.keys() - two.keys())
    for key, value in two.items():
        was = one.get(key)
        if type(value) is dict and type(was) is dict:
            below = _diff(was, value)
            if below:
                patch[key] = below
        elif was != value:
            patch[key] = value
    return patch


@given(ships, ships)
def test_law(one: Object, two: Object) -> None:
    assert apply_merge_patch(one, _diff(one, two)) == two
    assert apply_merge_patch(two, _diff(one, two)) == two, "and once more changes nothing"


@pytest.mark.parametrize(("patch", "name"), [([], "array"), ("x", "string"), (1, "number"), (None, "null")])
def test_only_objects_are_patches(patch: Json, name: str) -> None:
    with pytest.raises(StatusFault) as caught:
        apply_merge_patch({}, patch)
    assert caught.value.message == (
        f"error decoding patch: json: cannot unmarshal {name} into Go value of type map[string]interface {{}}"
    )
