"""What may change in a pod that exists."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.core.pods import SUBRESOURCES
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object, copied
from unit.kube.kinds.core.pod_kit import GONE, PODS, Complaints, changed, made, said

C = "spec.containers.0"
TERMS = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
TERMS_FIELD = TERMS
FIXED = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"
)
TOLERATION = {"key": "a", "operator": "Exists", "effect": "NoExecute"}
SAME = {"key": "zone", "operator": "In", "values": ["a"]}


def updated(before: dict[str, Any], changes: dict[str, Any]) -> Complaints:
    old = made({"metadata.generation": 1, **before})
    new = changed(copied(old), changes)
    PODS.default(new)
    PODS.prepare_update(new, old)
    errors = FieldErrors()
    PODS.validate_update(new, old, errors)
    return [
        (field, message.split("\n@@")[0] + "\n" if "\n@@" in message else message) for field, message in said(errors)
    ]


@pytest.mark.parametrize(
    ("before", "changes", "expected"),
    [
        ({}, {}, []),
        ({}, {"metadata.labels": {"app": "other"}}, []),
        ({}, {f"{C}.image": "web:v2"}, []),
        ({}, {"spec.initContainers.0.image": "setup:v2"}, []),
        ({}, {f"{C}.image": ""}, [("spec.containers[0].image", "Required value")] * 2),
        ({}, {f"{C}.command": ["sh"]}, [("spec", FIXED)]),
        ({}, {"spec.nodeName": "n"}, [("spec", FIXED)]),
        ({}, {"spec.terminationGracePeriodSeconds": 5}, [("spec", FIXED)]),
        (
            {},
            {"spec.containers.2": {"name": "c", "image": "c"}},
            [("spec.containers", "Forbidden: pod updates may not add or remove containers")],
        ),
        ({}, {"spec.activeDeadlineSeconds": 10}, []),
        ({"spec.activeDeadlineSeconds": 10}, {"spec.activeDeadlineSeconds": 5}, []),
        (
            {"spec.activeDeadlineSeconds": 10},
            {"spec.activeDeadlineSeconds": 11},
            [
                (
                    "spec.activeDeadlineSeconds",
                    "Invalid value: 11: must be less than or equal to previous value",
                )
            ],
        ),
        (
            {"spec.activeDeadlineSeconds": 10},
            {"spec.activeDeadlineSeconds": GONE},
            [
                (
                    "spec.activeDeadlineSeconds",
                    "Invalid value: null: must not update from a positive integer to nil value",
                )
            ],
        ),
        ({}, {"spec.tolerations": [TOLERATION]}, []),
        ({"spec.tolerations": [TOLERATION]}, {"spec.tolerations": [{**TOLERATION, "tolerationSeconds": 5}]}, []),
        (
            {"spec.tolerations": [TOLERATION]},
            {"spec.tolerations": []},
            [
                (
                    "spec.tolerations",
                    "Forbidden: existing toleration can not be modified except its tolerationSeconds",
                )
            ],
        ),
        ({"spec.schedulingGates": [{"name": "a"}, {"name": "b"}]}, {"spec.schedulingGates": [{"name": "b"}]}, []),
        ({"spec.schedulingGates": [{"name": "a"}]}, {"spec.schedulingGates": GONE}, []),
        (
            {"spec.schedulingGates": [{"name": "a"}]},
            {"spec.schedulingGates": [{"name": "b"}]},
            [
                (
                    "spec.schedulingGates[0].name",
                    "Forbidden: only deletion is allowed, but found new scheduling gate 'b'",
                )
            ],
        ),
        # gated pods may be narrowed
        ({"spec.schedulingGates": [{"name": "a"}]}, {"spec.nodeSelector": {"zone": "a"}}, []),
        ({}, {"spec.nodeSelector": {"zone": "a"}}, [("spec", FIXED)]),
        (
            {"spec.schedulingGates": [{"name": "a"}], "spec.nodeSelector": {"zone": "a"}},
            {"spec.nodeSelector": {"zone": "b"}},
            [
                (
                    "spec.nodeSelector",
                    'Invalid value: {"zone":"b"}: only additions to spec.nodeSelector are allowed (no mutations or'
                    " deletions)",
                )
            ],
        ),
        ({"spec.schedulingGates": [{"name": "a"}]}, {TERMS: [{"matchExpressions": [SAME]}]}, []),
        (
            {"spec.schedulingGates": [{"name": "a"}], TERMS: [{"matchExpressions": [SAME]}]},
            {TERMS: [{"matchExpressions": [SAME, {"key": "os", "operator": "Exists"}]}]},
            [],
        ),
        (
            {"spec.schedulingGates": [{"name": "a"}], TERMS: [{"matchExpressions": [SAME]}]},
            {TERMS: [{"matchExpressions": [{"key": "os", "operator": "Exists"}]}]},
            [
                (
                    f"{TERMS_FIELD}[0]",
                    'Invalid value: {"MatchExpressions":[{"Key":"os","Operator":"Exists","Values":null}],'
                    '"MatchFields":null}:'
                    " only additions are allowed (no mutations or deletions)",
                )
            ],
        ),
        (
            {"spec.schedulingGates": [{"name": "a"}], TERMS: [{"matchExpressions": [SAME]}]},
            {"spec.affinity": GONE},
            [
                (
                    TERMS_FIELD,
                    "Invalid value: null: no additions/deletions to non-empty NodeSelectorTerms list are allowed",
                )
            ],
        ),
        (
            {"metadata.annotations": {"kubernetes.io/config.mirror": "a"}, "spec.nodeName": "n"},
            {"metadata.annotations": {}},
            [
                (
                    "metadata.annotations[kubernetes.io/config.mirror]",
                    "Forbidden: may not remove or update mirror pod annotation",
                )
            ],
        ),
        (
            {},
            {"metadata.annotations": {"container.apparmor.security.beta.kubernetes.io/web": "unconfined"}},
            [
                (
                    "metadata.annotations[container.apparmor.security.beta.kubernetes.io/web]",
                    "Forbidden: may not add AppArmor annotations",
                )
            ],
        ),
    ],
)
def test_an_update(before: dict[str, Any], changes: dict[str, Any], expected: Complaints) -> None:
    assert updated(before, changes) == expected


def test_the_difference_is_told_as_a_unified_diff() -> None:
    old = made()
    new = changed(copied(old), {f"{C}.workingDir": "/srv"})
    errors = FieldErrors()
    PODS.validate_update(new, old, errors)
    (cause,) = errors.causes
    assert cause.message.startswith(FIXED + "@@ ")
    assert '\n+   "WorkingDir": "/srv"' in cause.message


def test_a_status_is_left_alone_and_generation_counts() -> None:
    old = made({"metadata.generation": 4})
    old["metadata"]["generation"] = 4
    new = changed(copied(old), {"status": {"phase": "Running"}, f"{C}.image": "web:v2"})
    PODS.prepare_update(new, old)
    assert new["status"] == old["status"]
    assert new["metadata"]["generation"] == 5


# --- subresources


def through(name: str, old: Object, new: Object) -> tuple[Object, Complaints]:
    strategy = SUBRESOURCES[name]
    PODS.default(new)
    strategy.prepare_update(new, old)
    errors = FieldErrors()
    strategy.validate_update(new, old, errors)
    return new, said(errors)


def debugger(**fields: Any) -> Object:
    return {"name": "debug", "image": "busybox:v1", **fields}


def test_an_ephemeral_container_is_added_and_nothing_else() -> None:
    old = made()
    new = changed(
        copied(old), {"spec.ephemeralContainers": [debugger()], f"{C}.image": "other:v1", "metadata.labels": {}}
    )
    new, found = through("ephemeralcontainers", old, new)
    assert found == []
    assert new["spec"]["ephemeralContainers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert new["spec"]["containers"] == old["spec"]["containers"]
    assert new["metadata"]["labels"] == {"app": "web"}
    assert new["metadata"]["generation"] == 2


def test_ephemeral_containers_stay_as_they_are() -> None:
    old = changed(made(), {"spec.ephemeralContainers": [debugger()]})
    PODS.default(old)
    _, found = through("ephemeralcontainers", old, changed(copied(old), {"spec.ephemeralContainers": []}))
    assert found == [
        ("spec.ephemeralContainers", 'Forbidden: existing ephemeral containers "debug" may not be removed\n')
    ]
    _, found = through("ephemeralcontainers", old, changed(copied(old), {"spec.ephemeralContainers.0.tty": True}))
    assert found[0][0] == "spec.ephemeralContainers"
    assert found[0][1].startswith('Forbidden: existing ephemeral containers "debug" may not be changed\n@@')


def test_mirror_pods_take_no_ephemeral_containers_and_no_resize() -> None:
    old = made({"metadata.annotations": {"kubernetes.io/config.mirror": "a"}, "spec.nodeName": "n"})
    for name, text in (
        ("ephemeralcontainers", "Forbidden: static pods do not support ephemeral containers"),
        ("resize", "Forbidden: static pods cannot be resized"),
    ):
        assert [message for _, message in through(name, old, copied(old))[1]] == [text]


R, L = f"{C}.resources.requests", f"{C}.resources.limits"
SIDECAR = "spec.initContainers.1.resources.requests"


@pytest.mark.parametrize(
    ("before", "changes", "expected"),
    [
        ({}, {f"{R}.cpu": "200m", f"{L}.memory": "512Mi"}, []),
        ({}, {f"{C}.image": "other:v1", f"{R}.cpu": "200m"}, []),
        (
            {},
            {f"{R}.memory": "512Mi"},
            [
                (
                    "spec.containers[0].resources.requests",
                    'Invalid value: "512Mi": must be less than or equal to memory limit of 256Mi',
                )
            ],
        ),
        (
            {},
            {f"{L}.cpu": GONE},
            [("spec.containers[0].resources.limits", "Forbidden: resource limits cannot be removed")],
        ),
        ({}, {f"{R}.ephemeral-storage": "1Gi"}, [("spec", "Forbidden: only cpu and memory resources are mutable")]),
        (
            {},
            {"spec.containers.1.name": "other"},
            [
                (
                    "spec.containers[1].name",
                    "Forbidden: containers may not be renamed or reordered on resize",
                )
            ],
        ),
        (
            {},
            {"spec.containers.1": GONE},
            [("spec.containers", "Forbidden: containers may not be added or removed on resize")],
        ),
        (
            {},
            {"spec.initContainers.0.resources.requests": {"cpu": "1"}},
            [("spec", "Forbidden: resources for non-sidecar init containers are immutable")],
        ),
        ({SIDECAR: {"cpu": "1"}}, {f"{SIDECAR}.cpu": "2"}, []),
        (
            {"spec.resources": {"limits": {"cpu": "4"}}},
            {f"{R}.cpu": "50m"},
            [
                (
                    "[]",
                    "Forbidden: resize of pods with pod-level resources is forbidden when"
                    " InPlacePodLevelResourcesVerticalScalingEnabled feature gate is disabled",
                )
            ],
        ),
    ],
)
def test_a_resize(before: dict[str, Any], changes: dict[str, Any], expected: Complaints) -> None:
    old = made(before)
    assert through("resize", old, changed(copied(old), changes))[1] == expected


def test_a_resize_keeps_the_class_of_service() -> None:
    old = made({"spec.containers": [{"name": "a", "image": "a:v1"}], "spec.initContainers": GONE})
    new = changed(copied(old), {f"{R}.cpu": "1"})
    assert through("resize", old, new)[1] == [
        ("spec", 'Invalid value: "BestEffort": Pod QOS Class may not change as a result of resizing')
    ]


def test_a_node_that_reports_no_resources_cannot_resize() -> None:
    old = made()
    old["status"]["containerStatuses"] = [{"name": "web", "state": {"running": {}}}]
    assert through("resize", old, changed(copied(old), {f"{R}.cpu": "200m"}))[1] == [
        ("spec", "Forbidden: Pod running on node without support for resize")
    ]


@pytest.mark.parametrize(
    ("changes", "asked", "expected"),
    [
        ({"spec.nodeName": "n"}, None, 30),
        ({"spec.nodeName": "n"}, 5, 5),
        ({"spec.nodeName": "n"}, 0, 0),
        ({"spec.nodeName": "n"}, -3, 1),
        ({}, 5, 0),
        ({}, None, 0),
    ],
)
def test_how_long_a_deletion_waits(changes: dict[str, Any], asked: int | None, expected: int) -> None:
    assert PODS.grace_seconds(made(changes), asked) == expected


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_goes_at_once(phase: str) -> None:
    pod = made({"spec.nodeName": "n"})
    pod["status"]["phase"] = phase
    assert PODS.grace_seconds(pod, None) == 0
