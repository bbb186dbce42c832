"""Server-side apply: merging, giving up fields, sharing, conflicts, refusals."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import assume, given

from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.machinery.apply.merge import LAST_APPLIED, apply_configuration
from ropewalk.kube.machinery.apply.typed import merged
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, copied
from ropewalk.kube.machinery.resources import GroupVersionKind
from unit.kube.machinery.apply.small_world import (
    SHIP,
    applied,
    fields_of,
    parts_of,
    ship,
    ships,
    updated,
)

EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


# --- laws


@given(ships, ships)
def test_apply_is_idempotent(one: Object, two: Object) -> None:
    two["crew"] = 1  # an empty list alone is owned by nobody, and what nobody owns was never tracked
    first = applied(updated(None, ship(one), "ann"), two, "bob", force=True, now=EARLY)
    assert applied(first, two, "bob", now=LATE) is first


@given(ships)
def test_the_same_applied_by_another_is_shared_without_conflict(parts: Object) -> None:
    assume(parts)
    first = applied(None, parts, "ann")
    second = applied(first, parts, "bob")
    assert parts_of(second) == parts_of(first)
    assert fields_of(second, "ann") == fields_of(second, "bob") == fields_of(first, "ann")


@given(ships, ships)
def test_what_one_gives_up_the_other_keeps(mine: Object, theirs: Object) -> None:
    first = applied(None, theirs, "ann")
    second = applied(first, mine, "bob", force=True)
    kept = fields_of(second, "ann")
    third = applied(second, {}, "bob")
    assert fields_of(third, "ann") == kept
    assert fields_of(third, "bob") == {}


@given(ships, ships)
def test_giving_up_all_that_one_alone_applied_leaves_nothing_of_it(one: Object, two: Object) -> None:
    # an empty container is a value of its own and stays; what was in it goes
    alone = applied(applied(None, one, "ann"), two, "ann")
    assert applied(alone, {}, "ann", now=LATE).keys() <= {"apiVersion", "kind", "metadata", *one, *two}
    assert "crew" not in applied(alone, {}, "ann")


@given(ships, ships)
def test_every_applied_leaf_is_in_the_result(live: Object, parts: Object) -> None:
    result = applied(updated(None, ship(live), "ann"), parts, "bob", force=True)
    assert merged(SHIP, parts_of(result), parts) == parts_of(result)


@given(ships, ships)
def test_nothing_given_is_changed(live: Object, parts: Object) -> None:
    before, configuration = updated(None, ship(live), "ann"), ship(parts)
    kept, sent = copied(before), copied(configuration)
    apply_configuration(
        before,
        configuration,
        schema=SHIP,
        manager="bob",
        api_version="sea/v1",
        subresource="",
        now=EARLY,
        force=True,
    )
    assert (before, configuration) == (kept, sent)


# --- merging


@pytest.mark.parametrize(
    ("live", "parts", "expected"),
    [
        ({"crew": 1}, {"port": "a"}, {"crew": 1, "port": "a"}),
        ({"labels": {"a": "1"}}, {"labels": {"b": "2"}}, {"labels": {"a": "1", "b": "2"}}),
        ({"selector": {"a": "1"}}, {"selector": {"b": "2"}}, {"selector": {"b": "2"}}),
        ({"log": [1, 2]}, {"log": [3]}, {"log": [3]}),
        ({"flags": ["a", "b"]}, {"flags": ["c"]}, {"flags": ["a", "b", "c"]}),
        ({"flags": ["a", "b", "c"]}, {"flags": ["c", "a"]}, {"flags": ["b", "c", "a"]}),
        (
            {"ropes": [{"name": "a", "length": 1}, {"name": "b"}]},
            {"ropes": [{"name": "b", "length": 2}, {"name": "c"}]},
            {"ropes": [{"name": "a", "length": 1}, {"name": "b", "length": 2}, {"name": "c"}]},
        ),
        ({"cargo": {"x": {"y": 1}}}, {"cargo": {"x": {"z": [2]}}}, {"cargo": {"x": {"y": 1, "z": [2]}}}),
        ({"cargo": "gold"}, {"cargo": {"x": 1}}, {"cargo": {"x": 1}}),
    ],
)
def test_merging(live: Object, parts: Object, expected: Object) -> None:
    assert parts_of(applied(updated(None, ship(live), "ann"), parts, "bob", force=True)) == expected


def test_a_key_left_out_is_its_default() -> None:
    live = updated(None, ship({"ropes": [{"name": "a", "ports": [{"port": 80, "protocol": "TCP", "note": "m"}]}]}), "x")
    result = applied(live, {"ropes": [{"name": "a", "ports": [{"port": 80, "note": "n"}]}]}, "bob", force=True)
    assert result["ropes"] == [{"name": "a", "ports": [{"port": 80, "protocol": "TCP", "note": "n"}]}]


# --- giving up


def test_fields_no_longer_applied_go_unless_somebody_else_owns_them() -> None:
    first = applied(None, {"crew": 1, "port": "a", "labels": {"a": "1", "b": "2"}}, "ann")
    second = applied(first, {"labels": {"a": "1"}}, "bob")
    third = applied(second, {"port": "a"}, "ann")
    assert parts_of(third) == {"port": "a", "labels": {"a": "1"}}
    assert fields_of(third, "bob") == {"f:labels": {"f:a": {}}}


def test_an_item_goes_with_what_others_did_to_it() -> None:
    first = applied(None, {"ropes": [{"name": "a"}, {"name": "b"}]}, "ann")
    second = updated(first, {**first, "ropes": [{"name": "a", "length": 2}, {"name": "b"}]}, "bob")
    third = applied(second, {"ropes": [{"name": "b"}]}, "ann")
    assert third["ropes"] == [{"name": "b"}]
    assert fields_of(third, "bob") == {}


def test_what_nobody_owns_stays() -> None:
    first = applied(None, {"rigging": {"masts": 1}}, "ann")
    defaulted = {**copied(first), "port": "default"}
    second = applied(defaulted, {}, "ann")
    assert parts_of(second) == {"port": "default"}


def test_giving_up_everything_removes_the_entry() -> None:
    assert "managedFields" not in applied(applied(None, {"crew": 1}, "ann"), {}, "ann")["metadata"]


# --- times and the first apply


def test_a_change_renews_the_time_of_its_manager_only() -> None:
    first = applied(applied(None, {"crew": 1}, "ann", now=EARLY), {"port": "a"}, "bob", now=EARLY)
    second = applied(first, {"port": "b"}, "bob", now=LATE)
    assert {entry["manager"]: entry["time"] for entry in second["metadata"]["managedFields"]} == {
        "ann": EARLY,
        "bob": LATE,
    }


def test_an_object_that_was_never_tracked_was_made_before_the_first_apply() -> None:
    with pytest.raises(StatusFault, match="before-first-apply"):
        applied(ship({"crew": 1, "port": "a"}), {"crew": 2}, "ann")
    result = applied(ship({"crew": 1, "port": "a"}), {"crew": 2}, "ann", force=True)
    assert fields_of(result, "before-first-apply", "Update") == {"f:port": {}}
    assert fields_of(result, "ann", "Apply") == {"f:crew": {}}


def test_status_is_not_owned_through_the_object_itself() -> None:
    assert fields_of(applied(None, {"crew": 1, "status": {"phase": "x"}}, "ann"), "ann") == {"f:crew": {}}
    first = applied(None, {"crew": 1}, "ann")
    second = applied(first, {"status": {"phase": "x"}}, "ann", subresource="status")
    assert [entry.get("subresource", "") for entry in second["metadata"]["managedFields"]] == ["", "status"]


# --- conflicts


def test_one_conflict() -> None:
    first = updated(None, ship({"crew": 1}), "kubectl-client-side-apply")
    with pytest.raises(StatusFault) as caught:
        applied(first, {"crew": 2}, "ann")
    fault = caught.value
    assert (fault.status, fault.reason) == (409, "Conflict")
    assert (
        fault.message == 'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using sea/v1: .crew'
    )
    assert fault.details is not None
    assert [(cause.reason, cause.message, cause.field) for cause in fault.details.causes] == [
        ("FieldManagerConflict", 'conflict with "kubectl-client-side-apply" using sea/v1', ".crew")
    ]


def test_several_conflicts_are_grouped_by_manager() -> None:
    obj = updated(None, ship({"crew": 1, "ropes": [{"name": "x", "length": 1}]}), "zoe")
    obj = updated(obj, {**obj, "status": {"phase": "a"}}, "ctl", subresource="status")
    obj = applied(obj, {"port": "a", "selector": {"a": "b"}}, "bob")
    with pytest.raises(StatusFault) as caught:
        applied(obj, {"crew": 2, "port": "b", "selector": {}, "ropes": [{"name": "x", "length": 2}]}, "ann")
    assert caught.value.message == (
        'Apply failed with 4 conflicts: conflicts with "bob":\n- .port\n- .selector\n'
        'conflicts with "zoe" using sea/v1:\n- .crew\n- .ropes[name="x"].length'
    )
    with pytest.raises(
        StatusFault, match=r'conflict with "ctl" with subresource "status" using sea/v1: \.status\.phase'
    ):
        applied(obj, {"status": {"phase": "b"}}, "ann", subresource="status")


def test_force_takes_the_field() -> None:
    first = applied(None, {"crew": 1, "port": "a"}, "ann")
    second = applied(first, {"crew": 2}, "bob", force=True)
    assert fields_of(second, "ann") == {"f:port": {}}
    assert fields_of(second, "bob") == {"f:crew": {}}


# --- client-side apply


def _csa(parts: Object, last: Object) -> Object:
    annotation = orjson.dumps(ship(last)).decode()
    return updated(None, ship(parts, annotations={LAST_APPLIED: annotation}), "kubectl-client-side-apply")


def test_kubectl_takes_over_what_it_applied_from_the_client() -> None:
    live = _csa({"crew": 1, "port": "a"}, {"crew": 1})
    result = applied(live, {"crew": 2}, "kubectl")
    assert result["crew"] == 2
    assert orjson.loads(result["metadata"]["annotations"][LAST_APPLIED])["crew"] == 2
    with pytest.raises(StatusFault, match=r"1 conflict: .*: \.crew"):
        applied(live, {"crew": 2}, "ann")


def test_what_kubectl_did_not_apply_still_conflicts() -> None:
    live = _csa({"crew": 1, "port": "a"}, {"crew": 1})
    with pytest.raises(StatusFault, match=r"1 conflict: .*: \.port"):
        applied(live, {"crew": 2, "port": "b"}, "kubectl")
    moved = _csa({"crew": 3}, {"crew": 1})
    with pytest.raises(StatusFault, match=r"\.crew"):
        applied(moved, {"crew": 2}, "kubectl")


# --- refusals


def _refused(configuration: Object, live: Object | None = None) -> StatusFault:
    with pytest.raises(StatusFault) as caught:
        apply_configuration(
            live,
            configuration,
            schema=SHIP,
            manager="ann",
            api_version="sea/v1",
            subresource="",
            now=EARLY,
            force=False,
        )
    return caught.value


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"sails": 3}, ".sails: field not declared in schema"),
        ({"rigging": {"hulls": 1}}, ".rigging.hulls: field not declared in schema"),
        ({"crew": "many"}, ".crew: expected numeric (int or float), got string"),
        ({"port": 8080}, ".port: expected string, got &value.valueUnstructured{Value:8080}"),
        ({"labels": "x"}, ".labels: expected map, got &{x}"),
        ({"log": {"a": 1}}, ".log: expected list, got &{map[a:1]}"),
        ({"log": [1, "x"]}, ".log[1]: expected numeric (int or float), got string"),
        ({"ropes": [{"name": "a"}, {"name": "a"}]}, '.ropes: duplicate entries for key [name="a"]'),
        ({"flags": ["a", "a"]}, '.flags: duplicate entries for key [="a"]'),
        (
            {"ropes": [{"length": 1}]},
            '.ropes: element 0: associative list with keys has an element that omits all key fields ["name"] (and'
            " doesn't have default values for any key fields)",
        ),
        (
            {"crew": "many", "log": "x"},
            "errors:\n  .crew: expected numeric (int or float), got string\n  .log: expected list, got &{x}",
        ),
    ],
)
def test_a_configuration_that_does_not_fit(parts: Object, told: str) -> None:
    fault = _refused(ship(parts, namespace="sea"))
    assert fault.message == f"failed to create typed patch object (sea/ada; sea/v1, Kind=Ship): {told}"
    assert (fault.status, fault.reason) == (400, "")


def test_managed_fields_cannot_be_applied() -> None:
    assert _refused(ship({}, managedFields=[])).message == "metadata.managedFields must be nil"


def test_metadata_must_be_a_map() -> None:
    assert _refused({**ship({}), "metadata": "ada"}).message == (
        "failed to create typed patch object (/; sea/v1, Kind=Ship): .metadata: expected map, got &{ada}"
    )


def test_another_version_or_kind_cannot_be_applied() -> None:
    assert _refused({**ship({}), "apiVersion": "v2"}).message == "invalid object type: /v2, Kind=Ship"
    assert _refused({**ship({}), "kind": "Boat"}, live=ship({})).message == "invalid object type: sea/v1, Kind=Boat"


# --- a kind of Kubernetes


def test_a_deployment_and_its_autoscaler() -> None:
    schema = definitions().schema(GroupVersionKind("apps", "v1", "Deployment"))

    def apply(live: Object | None, spec: Object, manager: str, *, force: bool = False) -> Object:
        return apply_configuration(
            live,
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec},
            schema=schema,
            manager=manager,
            api_version="apps/v1",
            subresource="",
            now=EARLY,
            force=force,
        )

    spec: Object = {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "nginx", "ports": [{"containerPort": 80}]}]},
        },
    }
    first = apply(None, spec, "gitops")
    with pytest.raises(StatusFault, match=r'1 conflict: conflict with "gitops": \.spec\.replicas'):
        apply(first, {"replicas": 5}, "autoscaler")
    second = apply(first, {"replicas": 3}, "autoscaler")
    third = apply(second, {key: part for key, part in spec.items() if key != "replicas"}, "gitops")
    fourth = apply(third, {"replicas": 5}, "autoscaler")
    assert fourth["spec"] == {**spec, "replicas": 5}
