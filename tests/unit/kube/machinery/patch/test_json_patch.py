"""JSON patch as kube-apiserver takes it."""

from __future__ import annotations

import jsonpatch
import pytest
from hypothesis import given

from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Json, Object, copied
from ropewalk.kube.machinery.patch.json_patch import (
    MAX_OPERATIONS,
    apply_json_patch,
    check_operations,
    unknown_members,
)
from unit.kube.machinery.apply.small_world import plain_ships

_DOCUMENT: Object = {"a": 1, "b": {"c": [1, 2, 3], "x/y": 1, "m~n": 2}, "l": [{"n": 1}, {"n": 2}]}


@pytest.mark.parametrize(
    ("operation", "path", "expected"),
    [
        ({"op": "add", "path": "/z", "value": 1}, ("z",), 1),
        ({"op": "add", "path": "/b/c/1", "value": 9}, ("b", "c"), [1, 9, 2, 3]),
        ({"op": "add", "path": "/b/c/-", "value": 9}, ("b", "c"), [1, 2, 3, 9]),
        ({"op": "add", "path": "/b/c/-1", "value": 9}, ("b", "c"), [1, 2, 3, 9]),
        ({"op": "add", "path": "/b/c/3", "value": 9}, ("b", "c"), [1, 2, 3, 9]),
        ({"op": "add", "path": "/z"}, ("z",), None),
        ({"op": "remove", "path": "/b/c/0"}, ("b", "c"), [2, 3]),
        ({"op": "remove", "path": "/b/c/-1"}, ("b", "c"), [1, 2]),
        ({"op": "remove", "path": "/b/x~1y"}, ("b",), {"c": [1, 2, 3], "m~n": 2}),
        ({"op": "replace", "path": "/b/m~0n", "value": 3}, ("b", "m~n"), 3),
        ({"op": "replace", "path": "/new", "value": 3}, ("new",), 3),
        ({"op": "replace", "path": "", "value": {"q": 1}}, (), {"q": 1}),
        ({"op": "move", "from": "/l/0", "path": "/b/c/0"}, ("b", "c"), [{"n": 1}, 1, 2, 3]),
        ({"op": "copy", "from": "/b/c", "path": "/l/0/c"}, ("l", 0), {"n": 1, "c": [1, 2, 3]}),
        ({"op": "test", "path": "/l/1", "value": {"n": 2}}, ("a",), 1),
        ({"op": "test", "path": "/missing", "value": None}, ("a",), 1),
        ({"op": "test", "path": "/a", "value": 1.0}, ("a",), 1),
    ],
)
def test_operations(operation: Object, path: tuple[str | int, ...], expected: Json) -> None:
    before = copied(_DOCUMENT)
    found = apply_json_patch(_DOCUMENT, [operation])
    assert before == _DOCUMENT, "the document itself is left alone"
    for step in path:
        found = found[step]
    assert found == expected


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "test", "path": "/a", "value": True},
        {"op": "test", "path": "/a"},
        {"op": "remove", "path": "/missing"},
        {"op": "remove", "path": "/b/c/3"},
        {"op": "remove", "path": ""},
        {"op": "add", "path": "/no/where", "value": 1},
        {"op": "add", "path": "/a/x", "value": 1},
        {"op": "add", "path": "/b/c/4", "value": 1},
        {"op": "add", "path": "/b/c/1_0", "value": 1},
        {"op": "add", "path": "a", "value": 1},
        {"op": "add", "value": 1},
        {"op": "replace", "path": "/b/c/9", "value": 1},
        {"op": "replace", "path": "", "value": 1},
        {"op": "move", "path": "/a"},
        {"op": "move", "from": "/missing", "path": "/a"},
        {"op": "copy", "from": "/b/c/9", "path": "/a"},
        {"op": "sail", "path": "/a"},
        {"path": "/a"},
    ],
)
def test_what_does_not_apply_is_rejected_in_one_sentence(operation: Object) -> None:
    with pytest.raises(StatusFault) as caught:
        apply_json_patch(_DOCUMENT, [operation])
    assert (caught.value.status, caught.value.reason) == (422, "Invalid")
    assert caught.value.message == "the server rejected our request due to an error in our request"


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        ({}, "cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        (["x"], "cannot unmarshal string into Go value of type handlers.jsonPatchOp"),
        ([{"op": "add", "path": 1}], "cannot unmarshal number into Go struct field jsonPatchOp.path of type string"),
        ([{"op": True, "path": ""}], "cannot unmarshal bool into Go struct field jsonPatchOp.op of type string"),
    ],
)
def test_what_is_no_patch_is_a_bad_request(patch: Json, told: str) -> None:
    with pytest.raises(StatusFault) as caught:
        apply_json_patch({}, patch)
    assert (caught.value.status, caught.value.message) == (400, f"error decoding patch: json: {told}")


def test_length_is_bounded() -> None:
    with pytest.raises(StatusFault, match="maximum operations in a JSON patch is 10000, got 10001") as caught:
        check_operations([{"op": "add", "path": "/a"}] * (MAX_OPERATIONS + 1))
    assert caught.value.status == 413


def test_copies_cannot_blow_up() -> None:
    doubling = [{"op": "copy", "from": "/l", "path": "/l/0"}] * 40
    with pytest.raises(StatusFault) as caught:
        apply_json_patch({"l": ["x" * 1000]}, doubling)
    assert caught.value.status == 422


def test_unknown_members_are_told() -> None:
    operations = check_operations([{"op": "add", "path": "/a", "value": 1}, {"op": "remove", "path": "/a", "why": 1}])
    assert unknown_members(operations) == ['json patch unknown field "[1].why"']


@given(plain_ships, plain_ships)
def test_what_a_diff_says_is_done(one: Object, two: Object) -> None:
    patch = jsonpatch.make_patch(one, two).patch
    assert apply_json_patch(one, patch) == two
