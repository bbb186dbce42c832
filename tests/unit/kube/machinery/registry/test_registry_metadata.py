"""`metadata` of creates and updates: what the server fills, takes over and refuses, in Kubernetes' words."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import copied
from ropewalk.kube.machinery.registry import metadata
from ropewalk.kube.machinery.resources import ResourceInfo
from ropewalk.kube.machinery.strategy import Strategy

PODS = ResourceInfo("", "v1", "Pod", "pods", "pod", True)
NODES = ResourceInfo("", "v1", "Node", "nodes", "node", False)
LABEL = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character"
)


def owner(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "u"} | fields


def complaints(given: dict[str, Any], info: ResourceInfo = PODS) -> list[tuple[str, str]]:
    found = FieldErrors()
    metadata.validate({"metadata": given}, info, Strategy(), found)
    return [(cause.field, cause.message) for cause in found.causes]


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({"namespace": "n"}, "metadata.name", "Required value: name or generateName is required"),
        ({"name": "A_b", "namespace": "n"}, "metadata.name", f'Invalid value: "A_b": {LABEL}'),
        (
            {"name": "a", "generateName": "A_", "namespace": "n"},
            "metadata.generateName",
            f'Invalid value: "A_": {LABEL}',
        ),
        ({"name": "a"}, "metadata.namespace", "Required value"),
        ({"name": "a", "namespace": "n", "labels": {"a b": "c"}}, "metadata.labels", 'Invalid value: "a b": name part'),
        ({"name": "a", "namespace": "n", "labels": {"a": "b c"}}, "metadata.labels", 'Invalid value: "b c": a valid'),
        (
            {"name": "a", "namespace": "n", "annotations": {"a b": ""}},
            "metadata.annotations",
            'Invalid value: "a b": name part',
        ),
        ({"name": "a", "namespace": "n", "finalizers": ["a b"]}, "metadata.finalizers", 'Invalid value: "a b": '),
        (
            {"name": "a", "namespace": "n", "finalizers": ["orphan", "foregroundDeletion"]},
            "metadata.finalizers",
            '["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set',
        ),
        (
            {"name": "a", "namespace": "n", "ownerReferences": [owner(apiVersion="")]},
            "metadata.ownerReferences.apiVersion",
            'Invalid value: "": version must not be empty',
        ),
        (
            {"name": "a", "namespace": "n", "ownerReferences": [owner(uid="")]},
            "metadata.ownerReferences.uid",
            'Invalid value: "": must not be empty',
        ),
        (
            {"name": "a", "namespace": "n", "ownerReferences": [owner(kind="Event")]},
            "metadata.ownerReferences",
            "/v1, Kind=Event is disallowed from being an owner",
        ),
        (
            {
                "name": "a",
                "namespace": "n",
                "ownerReferences": [owner(controller=True), owner(name="b", uid="v", controller=True)],
            },
            "metadata.ownerReferences",
            'Only one reference can have Controller set to true. Found "true" in references for Pod/a and Pod/b',
        ),
        (
            {"name": "a", "namespace": "n", "generation": -1},
            "metadata.generation",
            "Invalid value: -1: must be greater than or equal to 0",
        ),
    ],
)
def test_what_a_create_is_refused_for(given: dict[str, Any], field: str, message: str) -> None:
    found = complaints(given)
    assert found and found[0][0] == field
    assert message in found[0][1]


def test_a_cluster_wide_object_lies_in_no_namespace() -> None:
    assert complaints({"name": "a", "namespace": "n"}, NODES) == [
        ("metadata.namespace", "Forbidden: not allowed on this type")
    ]


def test_good_metadata_is_taken() -> None:
    given = {
        "name": "a.b-c",
        "namespace": "n",
        "labels": {"a.b/c": ""},
        "annotations": {"x/y": "anything at all"},
        "finalizers": ["example.com/hold", "foregroundDeletion"],
        "ownerReferences": [owner(controller=True), owner(name="b", uid="v")],
    }
    assert complaints(given) == []


# --- updates

OLD = {
    "name": "a",
    "namespace": "n",
    "uid": "u",
    "creationTimestamp": "2023-11-14T22:13:20Z",
    "resourceVersion": "5",
    "finalizers": ["example.com/one"],
}
GOING = OLD | {"deletionTimestamp": "2023-11-14T22:14:00Z", "deletionGracePeriodSeconds": 30}


def updated(new: dict[str, Any], old: dict[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    given, found = {"metadata": copied(new)}, FieldErrors()
    metadata.fill_update(given, {"metadata": old})
    metadata.validate_update(given, {"metadata": old}, PODS, found)
    return given["metadata"], [(cause.field, cause.message) for cause in found.causes]


@pytest.mark.parametrize("old", [OLD, GOING], ids=["living", "going"])
def test_what_a_client_leaves_out_or_cannot_change_is_as_it_was(old: dict[str, Any]) -> None:
    for new in ({"name": "a", "namespace": "n"}, copied(old) | {"selfLink": "/x", "creationTimestamp": "1999"}):
        got, problems = updated(new, old)
        assert problems == []
        for key in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"):
            assert got.get(key) == old.get(key)
        assert "selfLink" not in got


@pytest.mark.parametrize(
    ("change", "old", "field", "message"),
    [
        ({"name": "b"}, OLD, "metadata.name", 'Invalid value: "b": field is immutable'),
        ({"uid": "v"}, OLD, "metadata.uid", 'Invalid value: "v": field is immutable'),
        (
            {"deletionTimestamp": "2023-11-14T22:14:00Z"},
            OLD,
            "metadata.deletionTimestamp",
            'Invalid value: "2023-11-14T22:14:00Z": field is immutable',
        ),
        (
            {"deletionGracePeriodSeconds": 5},
            GOING,
            "metadata.deletionGracePeriodSeconds",
            "Invalid value: 5: field is immutable",
        ),
        (
            {"finalizers": ["example.com/one", "example.com/two"]},
            GOING,
            "metadata.finalizers",
            "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers"
            ' []string{"example.com/two"}',
        ),
    ],
)
def test_what_no_update_may_change(change: dict[str, Any], old: dict[str, Any], field: str, message: str) -> None:
    assert updated(old | change, old)[1] == [(field, message)]


def test_finalizers_of_what_is_going_may_only_become_fewer() -> None:
    got, problems = updated(GOING | {"finalizers": []}, GOING)
    assert (got["finalizers"], problems) == ([], [])
    assert updated(OLD | {"finalizers": ["example.com/two"]}, OLD)[1] == []


# --- namespaces, names, owners


@pytest.mark.parametrize(
    ("given", "info", "requested", "becomes"),
    [("", PODS, "n", "n"), ("n", PODS, "n", "n"), ("", NODES, "", None), ("x", NODES, "", None)],
)
def test_the_namespace_is_the_requests(given: str, info: ResourceInfo, requested: str, becomes: str | None) -> None:
    obj: dict[str, Any] = {"metadata": {"namespace": given} if given else {}}
    metadata.match_namespace(obj, info, requested)
    assert obj["metadata"].get("namespace") == becomes


def test_another_namespace_than_the_requests_is_refused() -> None:
    with pytest.raises(
        errors.StatusFault, match="the namespace of the provided object does not match the namespace sent"
    ):
        metadata.match_namespace({"metadata": {"namespace": "x"}}, PODS, "n")


def test_generated_names_are_cut_and_spell_no_words() -> None:
    entropy = SeededEntropy(1)
    made = {metadata.generated_name("a" * 80, entropy) for _ in range(50)}
    assert len(made) == 50
    assert all(len(name) == 63 and name.startswith("a" * 58) for name in made)
    assert not set("".join(name[58:] for name in made)) & set("aeiou013")


def test_a_create_gets_what_only_the_server_says() -> None:
    obj = {"metadata": {"name": "a", "uid": "mine", "deletionTimestamp": "x", "deletionGracePeriodSeconds": 3}}
    metadata.fill_create(obj, "u", "now")
    assert obj == {"metadata": {"name": "a", "uid": "u", "creationTimestamp": "now"}}


def test_doubled_owners_are_dropped_with_a_warning() -> None:
    obj = {"metadata": {"ownerReferences": [owner(), owner(name="b", uid="v"), owner()]}}
    warning = metadata.without_double_owners(obj)
    assert warning.endswith("duplicate UID(s) observed: u")
    assert [reference["name"] for reference in obj["metadata"]["ownerReferences"]] == ["a", "b"]
    assert metadata.without_double_owners(obj) == ""
