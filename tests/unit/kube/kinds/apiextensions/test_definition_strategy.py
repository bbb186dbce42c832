"""CustomResourceDefinitions as the registry asks: what is filled, what may change, what a deletion begins with."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.custom_resources import definition, fields, version
from tests.unit.kube.kinds.verdicts import created, told

from ropewalk.kube.kinds.apiextensions.custom_resource_definitions import (
    APPROVED,
    CLEANUP,
    CustomResourceDefinitions,
    approval,
)
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object, copied

STRATEGY = CustomResourceDefinitions()


def stored(*versions: Object, established: bool = True, **spec: Any) -> Object:
    made = created(STRATEGY, definition(*versions, **spec))
    if established:
        made["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    return made


def update(old: Object, **spec: Any) -> tuple[Object, list[str]]:
    """(what it became, what was wrong with it)."""
    new: Object = copied(old)
    new["spec"] |= spec
    STRATEGY.default(new)
    STRATEGY.prepare_update(new, old)
    errors = FieldErrors()
    STRATEGY.validate_update(new, old, errors)
    return new, told(errors)


# --- what is filled


def test_what_a_definition_is_given() -> None:
    made = stored(established=False)
    assert made["spec"]["names"] == {
        "plural": "widgets",
        "singular": "widget",
        "kind": "Widget",
        "listKind": "WidgetList",
    }
    assert made["spec"]["conversion"] == {"strategy": "None"}
    assert made["status"] == {"conditions": [], "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": ["v1"]}


def test_a_webhook_is_reached_at_443() -> None:
    webhook = {"clientConfig": {"service": {"name": "a", "namespace": "b"}}, "conversionReviewVersions": ["v1"]}
    made = stored(conversion={"strategy": "Webhook", "webhook": webhook})
    assert made["spec"]["conversion"]["webhook"]["clientConfig"]["service"]["port"] == 443


# --- what may change


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ({"scope": "Cluster"}, "spec.scope"),
        ({"names": {"plural": "widgets", "kind": "Gadget"}}, "spec.names.kind"),
    ],
)
def test_what_may_not_change_once_it_is_established(spec: Object, where: str) -> None:
    _, problems = update(stored(), **spec)
    assert [problem.partition(":")[0] for problem in problems] == [where]
    assert problems[0].endswith("field is immutable")
    assert update(stored(established=False), **spec)[1] == []


@pytest.mark.parametrize("spec", [{"group": "example.org"}, {"names": {"plural": "gadgets", "kind": "Widget"}}])
def test_what_may_never_change(spec: Object) -> None:
    _, problems = update(stored(established=False), **spec)
    assert [problem.endswith("field is immutable") for problem in problems] == [True]


def test_storage_versions_are_kept_in_mind() -> None:
    one, two = version(), version(name="v2")
    changed, problems = update(stored(one, two), versions=[{**one, "storage": False}, {**two, "storage": True}])
    assert problems == []
    assert changed["status"]["storedVersions"] == ["v1", "v2"]
    _, problems = update(changed, versions=[{**two, "storage": True}])
    assert problems == [
        'status.storedVersions[0]: Invalid value: "v1": missing from spec.versions; v1 was previously a storage'
        " version,"
        " and must remain in spec.versions until a storage migration ensures no data remains persisted in v1 and"
        " removes"
        " v1 from status.storedVersions"
    ]


# --- who approved it


@pytest.mark.parametrize(
    ("group", "annotation", "reason"),
    [
        ("example.com", None, ""),
        ("notk8s.io", None, ""),
        ("x.k8s.io", None, "MissingAnnotation"),
        ("x.kubernetes.io", "", "MissingAnnotation"),
        ("x.k8s.io", "unapproved, a test", "UnapprovedAnnotation"),
        ("x.k8s.io", "https://github.com/x/y/pull/1", "ApprovedAnnotation"),
        ("x.k8s.io", "yes", "InvalidAnnotation"),
        ("x.k8s.io", "https:///x", "InvalidAnnotation"),
    ],
)
def test_approval(group: str, annotation: str | None, reason: str) -> None:
    described = definition(group=group)
    if annotation is not None:
        described["metadata"]["annotations"] = {APPROVED: annotation}
    assert approval(described)[0] == reason


def test_what_was_there_before_it_had_to_be_approved_may_stay() -> None:
    old = stored(group="x.k8s.io")
    assert update(old)[1] == []
    assert old["metadata"]["name"] == "widgets.x.k8s.io"
    changed = copied(old)
    changed["metadata"]["annotations"] = {APPROVED: "yes"}
    errors = FieldErrors()
    STRATEGY.validate_update(changed, old, errors)
    assert [problem.partition(": ")[0] for problem in told(errors)] == [f"metadata.annotations[{APPROVED}]"]


# --- warnings


def test_of_formats_that_nobody_checks_it_is_warned() -> None:
    part = {"type": "string", "format": "k8s-short-name"}
    deep = fields(
        a={"type": "array", "items": {"type": "string", "format": "odd"}}, b=part, c={**part, "format": "odder"}
    )
    described = definition(version(deep))
    assert STRATEGY.warnings(described, None) == ['unrecognized format "odd"', 'unrecognized format "odder"']
    old = definition(version(fields(a={"type": "string", "format": "odd"})))
    assert STRATEGY.warnings(described, old) == ['unrecognized format "odder"']


# --- deletion


def test_a_deletion_begins_with_what_it_waits_for() -> None:
    obj = stored()
    assert STRATEGY.is_held(obj)
    obj["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "generation": 3}
    STRATEGY.begin_deletion(obj)
    assert obj["metadata"]["finalizers"] == [CLEANUP]
    assert obj["metadata"]["generation"] == 2
    last = obj["status"]["conditions"][-1]
    assert (last["type"], last["status"], last["reason"]) == ("Terminating", "True", "InstanceDeletionPending")
    again = copied(obj)
    STRATEGY.begin_deletion(again)
    assert again == obj
    assert not STRATEGY.is_held(obj)
