"""Who owns what after creates, updates and patches."""

from __future__ import annotations

import pytest
from hypothesis import given

from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.machinery.apply import managers
from ropewalk.kube.machinery.apply.field_sets import LEAF, intersection, paths
from ropewalk.kube.machinery.apply.managers import manager_name, validate_managed_fields
from ropewalk.kube.machinery.apply.tracking import settle_times, track_update
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, copied
from ropewalk.kube.machinery.resources import GroupVersionKind
from ropewalk.kube.machinery.schema import Schema
from unit.kube.machinery.apply.small_world import SHIP, applied, fields_of, ship, ships, updated

EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def test_a_create_owns_every_place() -> None:
    made = updated(None, ship({"crew": 1, "labels": {"a": "b"}, "ropes": [{"name": "x", "rigging": {}}]}), "ann")
    assert made["metadata"]["managedFields"] == [
        {
            "manager": "ann",
            "operation": "Update",
            "apiVersion": "sea/v1",
            "time": EARLY,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:crew": {},
                "f:labels": {".": {}, "f:a": {}},
                "f:ropes": {".": {}, 'k:{"name":"x"}': {".": {}, "f:name": {}, "f:rigging": {}}},
            },
        }
    ]


def test_what_the_server_sets_is_nobodys() -> None:
    made = updated(None, ship({"crew": 1}, uid="u", resourceVersion="1", generation=1, labels={"a": "b"}), "ann")
    assert fields_of(made, "ann") == {"f:crew": {}, "f:metadata": {"f:labels": {".": {}, "f:a": {}}}}


def test_the_kinds_of_kubernetes_begin_with_their_structs_in_place() -> None:
    schema = definitions().schema(GroupVersionKind("apps", "v1", "Deployment"))
    new: Object = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [
                        {
                            "name": "web",
                            "image": "nginx",
                            "resources": {},
                            "ports": [{"containerPort": 443, "protocol": "TCP"}, {"containerPort": 80}],
                        }
                    ],
                    "securityContext": {},
                },
            },
        },
        "status": {},
    }
    track_update(None, new, schema=schema, manager="kubectl-create", api_version="apps/v1", subresource="", now=EARLY)
    assert new["metadata"]["managedFields"][0]["fieldsV1"] == {
        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}, "f:type": {}},
            "f:template": {
                "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"web"}': {
                            ".": {},
                            "f:image": {},
                            "f:name": {},
                            "f:ports": {
                                ".": {},
                                'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}},
                                'k:{"containerPort":443,"protocol":"TCP"}': {
                                    ".": {},
                                    "f:containerPort": {},
                                    "f:protocol": {},
                                },
                            },
                            "f:resources": {},
                        }
                    },
                    "f:securityContext": {},
                },
            },
        },
    }


def test_what_go_writes_unasked_is_owned_with_what_it_is_part_of() -> None:
    schema = definitions().schema(GroupVersionKind("", "v1", "Pod"))
    new: Object = {
        "metadata": {"name": "x"},
        "spec": {
            "containers": [{"name": "a"}, {"name": "b", "resources": {"limits": {"cpu": "1"}}}],
            "volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {}}}],
        },
    }
    track_update(None, new, schema=schema, manager="me", api_version="v1", subresource="", now=EARLY)
    assert new["metadata"]["managedFields"][0]["fieldsV1"] == {
        "f:spec": {
            "f:containers": {
                'k:{"name":"a"}': {".": {}, "f:name": {}, "f:resources": {}},
                'k:{"name":"b"}': {
                    ".": {},
                    "f:name": {},
                    "f:resources": {".": {}, "f:limits": {".": {}, "f:cpu": {}}},
                },
            },
            "f:volumes": {
                ".": {},
                'k:{"name":"v"}': {
                    ".": {},
                    "f:ephemeral": {
                        ".": {},
                        "f:volumeClaimTemplate": {
                            ".": {},
                            "f:metadata": {},
                            "f:spec": {".": {}, "f:resources": {}},
                        },
                    },
                    "f:name": {},
                },
            },
        }
    }


def test_the_template_of_a_replication_controller_may_be_missing() -> None:
    schema = definitions().schema(GroupVersionKind("", "v1", "ReplicationController"))
    new: Object = {"metadata": {"name": "x"}, "spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}}
    track_update(None, new, schema=schema, manager="me", api_version="v1", subresource="", now=EARLY)
    containers = {".": {}, 'k:{"name":"a"}': {".": {}, "f:name": {}, "f:resources": {}}}
    assert new["metadata"]["managedFields"][0]["fieldsV1"] == {
        "f:spec": {"f:template": {".": {}, "f:metadata": {}, "f:spec": {".": {}, "f:containers": containers}}}
    }


def test_nobody_sets_what_is_there_unasked() -> None:
    schema = definitions().schema(GroupVersionKind("networking.k8s.io", "v1", "NetworkPolicy"))
    new: Object = {"metadata": {"name": "x"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}
    track_update(None, new, schema=schema, manager="me", api_version="v1", subresource="", now=EARLY)
    assert new["metadata"]["managedFields"][0]["fieldsV1"] == {"f:spec": {"f:policyTypes": {}}}


def test_a_change_moves_to_who_made_it() -> None:
    first = updated(None, ship({"crew": 1, "port": "a"}), "ann", now=EARLY)
    second = updated(first, {**first, "crew": 2}, "bob", now=LATE)
    assert fields_of(second, "ann") == {"f:port": {}}
    assert fields_of(second, "bob") == {"f:crew": {}}
    assert [entry["time"] for entry in second["metadata"]["managedFields"]] == [EARLY, LATE]


def test_a_removal_leaves_no_owner() -> None:
    first = updated(None, ship({"crew": 1, "port": "a"}), "ann")
    gone = {key: value for key, value in first.items() if key != "crew"}
    second = updated(first, gone, "bob")
    assert fields_of(second, "ann") == {"f:port": {}}
    assert fields_of(second, "bob") == {}


def test_an_applier_and_an_updater_of_one_name_are_two() -> None:
    first = applied(None, {"crew": 1, "port": "a"}, "ann")
    second = updated(first, {**first, "crew": 2}, "ann")
    assert fields_of(second, "ann", "Apply") == {"f:port": {}}
    assert fields_of(second, "ann", "Update") == {"f:crew": {}}


@given(ships)
def test_an_update_that_changes_nothing_is_the_same_object(parts: Object) -> None:
    first = updated(None, ship(parts), "ann", now=EARLY)
    assert updated(first, first, "bob", now=LATE) == first
    without = copied(first)
    without["metadata"].pop("managedFields", None)
    assert updated(first, without, "bob", now=LATE) == first


@given(ships, ships, ships)
def test_updaters_never_share_a_field_and_own_only_what_is_there(one: Object, two: Object, three: Object) -> None:
    obj = updated(None, ship({**one, "crew": 7}), "ann")
    obj = updated(obj, {**ship(two, managedFields=obj["metadata"]["managedFields"]), "crew": 7}, "bob")
    obj = updated(obj, {**ship(three, managedFields=obj["metadata"]["managedFields"]), "crew": 7}, "cat")
    owned = [entry["fieldsV1"] for entry in obj["metadata"]["managedFields"]]
    for position, fields in enumerate(owned):
        assert all(not intersection(fields, other) for other in owned[position + 1 :])
    everything = {tuple(path) for path in paths(fields_of(updated(None, ship({**three, "crew": 7}), "x"), "x"))}
    assert {tuple(path) for fields in owned for path in paths(fields)} <= everything


def test_status_belongs_to_the_status_subresource() -> None:
    first = updated(None, ship({"crew": 1, "status": {"phase": "new"}}), "ann")
    assert fields_of(first, "ann") == {"f:crew": {}}
    second = updated(first, {**first, "status": {"phase": "old"}}, "controller", subresource="status")
    entry = second["metadata"]["managedFields"][-1]
    assert (entry["manager"], entry["subresource"]) == ("controller", "status")
    assert fields_of(second, "controller") == {"f:status": {"f:phase": {}}}


def test_what_is_reset_can_be_said() -> None:
    new = ship({"status": {"phase": "new"}})
    track_update(None, new, schema=SHIP, manager="ann", api_version="sea/v1", subresource="", now=EARLY, reset=LEAF)
    assert fields_of(new, "ann") == {"f:status": {".": {}, "f:phase": {}}}


@pytest.mark.parametrize("cleared", [[], [{}]])
def test_a_client_may_forget_all_ownership(cleared: list[Object]) -> None:
    first = updated(None, ship({"crew": 1}), "ann")
    second = updated(first, ship({"crew": 2}, managedFields=cleared), "bob")
    assert "managedFields" not in second["metadata"]
    third = updated(second, {**second, "crew": 3}, "bob")
    assert "managedFields" not in third["metadata"], "an object that is not tracked stays so"


def test_a_client_may_correct_ownership() -> None:
    first = updated(None, ship({"crew": 1}), "ann")
    sent = [{**first["metadata"]["managedFields"][0], "manager": "zoe"}]
    second = updated(first, ship({"crew": 1}, managedFields=sent), "bob")
    assert [entry["manager"] for entry in second["metadata"]["managedFields"]] == ["zoe"]
    assert updated(first, ship({"crew": 1}, managedFields=sent), "bob", subresource="status") == first


@pytest.mark.parametrize(
    "broken",
    [
        {"operation": "Sail"},
        {"apiVersion": ""},
        {"fieldsType": "FieldsV2"},
        {"fieldsType": ""},
        {"fieldsV1": {"nonsense": {}}},
        {"fieldsV1": {"f:a": 1}},
    ],
)
def test_ownership_that_makes_no_sense_is_not_taken_over(broken: Object) -> None:
    first = updated(None, ship({"crew": 1}), "ann")
    sent = [{**first["metadata"]["managedFields"][0], **broken}]
    assert managers.problem(sent)
    assert updated(first, ship({"crew": 1}, managedFields=sent), "bob") == first


def test_duplicates_that_cannot_be_told_apart_are_one_place() -> None:
    made = updated(None, ship({"ropes": [{"name": "a", "length": 1}, {"name": "a", "length": 2}]}), "ann")
    assert fields_of(made, "ann") == {"f:ropes": {".": {}, 'k:{"name":"a"}': {}}}


def test_an_object_that_the_schema_cannot_tell_is_not_tracked() -> None:
    assert "managedFields" not in updated(None, ship({"ropes": [{"length": 1}]}), "ann")["metadata"]


def test_only_ten_updaters_are_remembered() -> None:
    obj = updated(None, ship({"labels": {"k0": "v"}}), "m0", now="2026-01-01T00:00:00Z")
    for number in range(1, 13):
        changed = copied(obj)
        changed["labels"][f"k{number}"] = "v"
        obj = updated(obj, changed, f"m{number:02}", now=f"2026-01-01T00:00:{number:02}Z")
    entries = obj["metadata"]["managedFields"]
    assert [entry["manager"] for entry in entries] == [
        "ancient-changes",
        *(f"m{number:02}" for number in range(4, 13)),
    ]
    assert fields_of(obj, "ancient-changes") == {"f:labels": {".": {}, "f:k0": {}, "f:k1": {}, "f:k2": {}, "f:k3": {}}}
    assert entries[0]["time"] == "2026-01-01T00:00:03Z"


def test_entries_of_another_version_lose_the_same_paths() -> None:
    first = updated(None, ship({"crew": 1, "port": "a"}), "ann", api_version="sea/v1beta1")
    second = updated(first, {**first, "crew": 2}, "bob")
    assert fields_of(second, "ann") == {"f:port": {}}
    assert second["metadata"]["managedFields"][0]["apiVersion"] == "sea/v1beta1"


def test_entries_of_another_version_are_judged_as_the_object_is_there() -> None:
    first = updated(None, ship({"crew": 1, "port": "a"}), "ann", api_version="sea/v1beta1")
    first["metadata"]["managedFields"].extend(
        updated(None, ship({"flags": ["x"]}), "old", api_version="sea/v0")["metadata"]["managedFields"]
    )
    new = copied(first)
    new["crew"] = 2

    def convert(obj: Object, version: str) -> tuple[Object, Schema] | None:
        if version == "sea/v0":
            return None
        return {**obj, "crew": 0, "port": "crew " + str(obj["crew"])}, SHIP

    track_update(
        first, new, schema=SHIP, manager="bob", api_version="sea/v1", subresource="", now=EARLY, convert=convert
    )
    assert fields_of(new, "ann") == {"f:crew": {}}, "there the crew did not change, but the port did"
    assert fields_of(new, "old") == {}, "the version is gone"


def test_times_are_put_back_where_nothing_else_changed() -> None:
    live = updated(None, ship({"crew": 1}), "ann", now=EARLY)
    again = updated(None, ship({"crew": 1}), "ann", now=LATE)
    settle_times(live, again)
    assert again == live
    other = updated(None, ship({"crew": 2}), "ann", now=LATE)
    settle_times(live, other)
    assert other["metadata"]["managedFields"][0]["time"] == LATE


@pytest.mark.parametrize(
    ("field_manager", "user_agent", "expected"),
    [
        ("ann", "kubectl/v1.35.0 (linux/amd64)", "ann"),
        ("", "kubectl/v1.35.0 (linux/amd64)", "kubectl"),
        ("", "curl", "curl"),
        ("", "a\tb\u0007c/1", "abc"),
        ("", "é" * 100, "é" * 64),
        ("", "", ""),
    ],
)
def test_manager_names(field_manager: str, user_agent: str, expected: str) -> None:
    assert manager_name(field_manager, user_agent) == expected


def test_a_nameless_manager_is_unknown() -> None:
    assert updated(None, ship({"crew": 1}), "")["metadata"]["managedFields"][0]["manager"] == "unknown"


def test_rules_of_the_field() -> None:
    errors = FieldErrors()
    validate_managed_fields(
        [{"operation": "Sail", "fieldsType": "X", "manager": "m" * 129}, {"operation": "Apply", "manager": "a\u0007"}],
        Path("metadata") / "managedFields",
        errors,
    )
    assert [(cause.field, cause.message) for cause in errors.causes] == [
        ("metadata.managedFields[0].operation", 'Invalid value: "Sail": must be `Apply` or `Update`'),
        ("metadata.managedFields[0].fieldsType", 'Invalid value: "X": must be `FieldsV1`'),
        ("metadata.managedFields[0].manager", "Too long: may not be more than 128 bytes"),
        (
            "metadata.managedFields[1].manager",
            'Invalid value: "a\\u0007": invalid character U+0007 (at position 1)',
        ),
    ]
