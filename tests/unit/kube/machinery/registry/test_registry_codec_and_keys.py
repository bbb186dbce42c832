"""Stored bytes and what is served of them; where they lie."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.registry import codec, continuing, keys
from ropewalk.kube.machinery.registry.continuing import INCONSISTENT, Position
from ropewalk.kube.machinery.resources import GroupResource

TEXT = st.text(max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.builds(
    lambda name, namespace, labels, more: {
        "apiVersion": "v1",
        "kind": "Thing",
        **more,
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "resourceVersion": "7"},
    },
    TEXT,
    TEXT,
    st.dictionaries(TEXT, TEXT, max_size=3),
    st.dictionaries(TEXT.filter(lambda key: key not in ("kind", "apiVersion", "metadata")), VALUES, max_size=4),
)


@given(OBJECTS, st.integers(1, 2**40), st.booleans())
def test_what_is_stored_is_what_is_served_but_for_the_revision(
    obj: dict[str, object], revision: int, custom: bool
) -> None:
    value = codec.encode(obj, custom=custom)
    assert b"resourceVersion" not in value.split(b"}", 1)[0] or "resourceVersion" in str(obj["metadata"])
    expected = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(revision)}}  # type: ignore[dict-item]
    assert codec.decode(value, revision, "v1", "Thing") == expected
    head = codec.ITEM_HEAD if custom else codec.single_head("v1", "Thing")
    assert orjson.loads(codec.spliced(value, revision, head)) == expected


@given(OBJECTS)
def test_a_list_item_of_a_built_in_kind_names_no_kind(obj: dict[str, object]) -> None:
    item = orjson.loads(codec.spliced(codec.encode(obj, custom=False), 3, codec.ITEM_HEAD))
    assert "kind" not in item and "apiVersion" not in item


@given(OBJECTS)
def test_a_peek_sees_what_selectors_ask_for(obj: dict[str, object]) -> None:
    seen = codec.peek(codec.encode(obj, custom=False))
    metadata = obj["metadata"]
    assert (seen.name, seen.namespace, seen.labels) == tuple(metadata[key] for key in ("name", "namespace", "labels"))  # type: ignore[index]


def test_encoding_changes_nothing_of_the_object() -> None:
    obj = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "resourceVersion": "9"}}
    codec.encode(obj, custom=False)
    assert obj["metadata"] == {"name": "a", "resourceVersion": "9"}


@pytest.mark.parametrize(
    ("resource", "namespace", "name", "key"),
    [
        (GroupResource("", "pods"), "ns", "a", "/registry/core/pods/ns/a"),
        (GroupResource("", "nodes"), "", "a", "/registry/core/nodes/a"),
        (GroupResource("apps", "deployments"), "ns", "a", "/registry/apps/deployments/ns/a"),
    ],
)
def test_keys(resource: GroupResource, namespace: str, name: str, key: str) -> None:
    assert keys.key(resource, namespace, name) == key
    assert key.startswith(keys.prefix(resource, namespace or None))


def test_a_prefix_covers_one_resource_and_one_namespace_only() -> None:
    pods = GroupResource("", "pods")
    assert not keys.key(GroupResource("", "podtemplates"), "a", "x").startswith(keys.prefix(pods))
    assert not keys.key(pods, "ab", "x").startswith(keys.prefix(pods, "a"))


# --- continue tokens


@given(st.integers(1, 2**60) | st.just(INCONSISTENT), st.text("abc-./", min_size=1).filter(lambda key: key[0] != "/"))
def test_a_continue_token_comes_back_as_it_went(revision: int, after: str) -> None:
    position = Position(revision, after)
    if ".." in after.split("/"):
        with pytest.raises(errors.StatusFault, match="invalid continue token"):
            continuing.decode(continuing.encode(position))
    else:
        assert continuing.decode(continuing.encode(position)) == position


@pytest.mark.parametrize("token", ["x", "!!", "e30", "bnVsbA", "W10", "é", "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ"])
def test_what_no_list_answered_is_refused(token: str) -> None:
    with pytest.raises(errors.StatusFault) as refused:
        continuing.decode(token)
    assert (refused.value.status, refused.value.reason) == (400, "BadRequest")


@given(st.text(max_size=60))
def test_any_token_is_read_or_refused(token: str) -> None:
    try:
        continuing.decode(token)
    except errors.StatusFault as refused:
        assert refused.status == 400


def test_an_expired_token_gives_one_that_goes_on_inconsistently() -> None:
    fault = continuing.expired(Position(5, "ns/b"))
    assert (fault.status, fault.reason) == (410, "Expired")
    assert continuing.decode(fault.continue_token) == Position(INCONSISTENT, "ns/b")
