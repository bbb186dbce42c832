"""Writes of a pod's status, and how a pod is bound to its node."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.core.bindings import bind, check_binding
from ropewalk.kube.kinds.core.pod_status import set_condition
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import copied
from unit.kube.kinds.core.pod_kit import PODS, Complaints, changed, made, said

ENDED = {"name": "web", "state": {"terminated": {"exitCode": 1}}}
RUNS = {"name": "web", "state": {"running": {}}}
STAYS = "Forbidden: may not be transitioned to non-terminated state"
IDS = "must be between 0 and 2147483647, inclusive"


@pytest.mark.parametrize(
    ("before", "changes", "expected"),
    [
        ({}, {"status.phase": "Running"}, []),
        (
            {},
            {"status.qosClass": "Guaranteed"},
            [("status.qosClass", 'Invalid value: "Guaranteed": field is immutable')],
        ),
        ({}, {"status.conditions": [{"type": "Ready", "status": "True"}]}, []),
        (
            {},
            {"status.conditions": [{"type": "example.com/Up", "status": "True", "observedGeneration": -1}]},
            [("status.conditions[0].observedGeneration", "Invalid value: -1: must be a non-negative integer")],
        ),
        ({}, {"status.nominatedNodeName": "n"}, []),
        (
            {"spec.nodeName": "n"},
            {"status.nominatedNodeName": "m"},
            [
                (
                    "status.nominatedNodeName",
                    "Forbidden: may not be set on pods that are already bound to a node",
                )
            ],
        ),
        ({"status.containerStatuses": [ENDED]}, {"status.containerStatuses": [RUNS]}, []),
        (
            {"status.containerStatuses": [ENDED], "spec.restartPolicy": "Never"},
            {"status.containerStatuses": [RUNS]},
            [("status.containerStatuses[0].state", STAYS)],
        ),
        (
            {"status.containerStatuses": [ENDED], "spec.restartPolicy": "OnFailure"},
            {"status.containerStatuses": [RUNS]},
            [],
        ),
        (
            {
                "status.containerStatuses": [ENDED],
                "spec.restartPolicy": "Never",
                "spec.containers.0.restartPolicy": "Never",
                "spec.containers.0.restartPolicyRules": [
                    {"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}
                ],
            },
            {"status.containerStatuses": [RUNS]},
            [],
        ),
        (
            {"status.ephemeralContainerStatuses": [ENDED]},
            {"status.ephemeralContainerStatuses": [RUNS]},
            [("status.ephemeralContainerStatuses[0].state", STAYS)],
        ),
        ({}, {"status.podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}, []),
        (
            {},
            {"status.podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]},
            [
                (
                    "status.podIPs",
                    'Invalid value: [{"IP":"10.0.0.1"},{"IP":"10.0.0.2"}]: may specify no more than one IP for each IP'
                    " family",
                )
            ],
        ),
        (
            {},
            {"status.podIPs": [{"ip": "x"}]},
            [
                (
                    "status.podIPs[0]",
                    'Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
                )
            ],
        ),
        ({"status.podIPs": [{"ip": "x"}]}, {"status.phase": "Failed"}, []),
        (
            {},
            {"status.hostIPs": [{"ip": "10.0.0.1"}], "status.hostIP": "10.0.0.2"},
            [("status.hostIPs[0].ip", 'Invalid value: "10.0.0.1": must be equal to `hostIP`')],
        ),
        (
            {},
            {"status.resourceClaimStatuses": [{"name": "a"}]},
            [
                (
                    "status.resourceClaimStatuses[0].name",
                    'Invalid value: "a": must match the name of an entry in `spec.resourceClaims`',
                )
            ],
        ),
        (
            {},
            {"status.containerStatuses": [{"name": "web", "user": {"linux": {"uid": -1, "gid": 0}}}]},
            [("status.containerStatuses[0].user.linux.uid", f"Invalid value: -1: {IDS}")],
        ),
        (
            {},
            {"status.podIPs": [{"ip": "10.0.0.1"}, {"ip": "x"}]},
            [
                (
                    "status.podIPs[1]",
                    'Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
                ),
                ("status.podIPs", "Internal error: failed to check for dual stack with error:invalid IP[1]: x"),
                (
                    "status.podIPs",
                    'Invalid value: [{"IP":"10.0.0.1"},{"IP":"x"}]: may specify no more than one IP for each IP family',
                ),
            ],
        ),
    ],
)
def test_a_status(before: dict[str, Any], changes: dict[str, Any], expected: Complaints) -> None:
    old = made({path: value for path, value in before.items() if path.startswith("spec")})
    changed(old, {path: value for path, value in before.items() if path.startswith("status")})
    new = changed(copied(old), changes)
    PODS.prepare_status_update(new, old)
    errors = FieldErrors()
    PODS.validate_status_update(new, old, errors)
    assert said(errors) == expected


def test_a_status_brings_labels_and_nothing_of_the_spec() -> None:
    old = changed(made({"metadata.ownerReferences": [{"uid": "a"}]}), {"status.observedGeneration": 3})
    old["status"]["conditions"] = [{"type": "Ready", "status": "False", "observedGeneration": 2}]
    new = changed(
        copied(old),
        {
            "spec.nodeName": "n",
            "metadata.labels": {"a": "b"},
            "metadata.ownerReferences": [],
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "resources": {}},
        },
    )
    PODS.prepare_status_update(new, old)
    assert new["spec"] == old["spec"]
    assert new["metadata"] == {**old["metadata"], "labels": {"a": "b"}}
    assert new["status"] == {
        "phase": "Running",
        "qosClass": "Burstable",
        "observedGeneration": 3,
        "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 2}],
    }


def test_odd_addresses_are_warned_of() -> None:
    pod = changed(made(), {"status.podIPs": [{"ip": "010.0.0.1"}, {"ip": "fd00:0::1"}]})
    assert PODS.status_warnings(pod, pod) == [
        'status.podIPs[0].ip: non-standard IP address "010.0.0.1" will be considered invalid in a future Kubernetes'
        ' release: use "10.0.0.1"',
        'status.podIPs[1].ip: IPv6 address "fd00:0::1" should be in RFC 5952 canonical format ("fd00::1")',
    ]


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    status: dict[str, Any] = {}
    set_condition(status, {"type": "Ready", "status": "False"}, "1")
    set_condition(status, {"type": "Ready", "status": "False", "reason": "Why"}, "2")
    assert status["conditions"] == [{"type": "Ready", "status": "False", "reason": "Why", "lastTransitionTime": "1"}]
    set_condition(status, {"type": "Ready", "status": "True"}, "3")
    assert status["conditions"] == [{"type": "Ready", "status": "True", "lastTransitionTime": "3"}]


# --- binding

BINDING: dict[str, Any] = {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "node-1"}}


def test_a_bound_pod() -> None:
    pod = changed(made(), {"status.nominatedNodeName": "node-2", "metadata.annotations": {"a": "1"}})
    before = copied(pod)
    bound = bind(pod, {**BINDING, "metadata": {"name": "web", "annotations": {"b": "2"}, "labels": {"zone": "z"}}}, "T")
    assert pod == before
    assert bound["spec"]["nodeName"] == "node-1"
    assert bound["metadata"]["annotations"] == {"a": "1", "b": "2"}
    assert bound["metadata"]["labels"] == {"app": "web", "zone": "z"}
    assert bound["status"]["conditions"] == [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "T"}]
    assert "nominatedNodeName" not in bound["status"]


@pytest.mark.parametrize(
    ("changes", "binding", "text"),
    [
        (
            {"spec.nodeName": "n"},
            BINDING,
            'Operation cannot be fulfilled on pods/binding "web": pod web is already assigned to node "n"',
        ),
        (
            {"metadata.deletionTimestamp": "T"},
            BINDING,
            'Operation cannot be fulfilled on pods/binding "web": pod web is being deleted, cannot be assigned to a'
            " host",
        ),
        (
            {"spec.schedulingGates": [{"name": "a"}]},
            BINDING,
            'Operation cannot be fulfilled on pods/binding "web": pod web has non-empty .spec.schedulingGates',
        ),
        (
            {"metadata.uid": "a"},
            {**BINDING, "metadata": {"name": "web", "uid": "b"}},
            'Operation cannot be fulfilled on pods "web": StorageError: invalid object, Code: 4, Key:'
            " /registry/pods/default/web, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in"
            " precondition: b, UID in object meta: a",
        ),
    ],
)
def test_a_refused_binding(changes: dict[str, Any], binding: dict[str, Any], text: str) -> None:
    with pytest.raises(StatusFault) as caught:
        bind(made(changes), binding, "T")
    assert caught.value.message == text
    assert caught.value.reason == "Conflict"


@pytest.mark.parametrize(
    ("binding", "text"),
    [
        ({"metadata": {"name": "other"}}, "name in URL does not match name in Binding object"),
        ({"metadata": {"name": "web"}, "target": {}}, "target.name: Required value"),
        (
            {"metadata": {"name": "web"}, "target": {"kind": "Pod", "name": "a"}},
            'target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"',
        ),
    ],
)
def test_a_binding_that_says_nothing_useful(binding: dict[str, Any], text: str) -> None:
    with pytest.raises(StatusFault) as caught:
        check_binding("web", binding)
    assert (caught.value.message, caught.value.status) == (text, 400)


def test_the_first_address_is_also_told_alone() -> None:
    for given, expected in (
        ({"podIP": "10.0.0.1"}, {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]}),
        ({"podIPs": [{"ip": "10.0.0.1"}]}, {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]}),
        ({"podIP": "10.0.0.2", "podIPs": [{"ip": "a"}]}, {"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}]}),
        ({}, {}),
    ):
        pod = {**made(), "status": copied(given)}
        PODS.default(pod)
        assert pod["status"] == expected


def test_what_is_off_in_this_release_is_dropped_from_a_status() -> None:
    old = made()
    devices = [{"name": "web", "allocatedResourcesStatus": [{"name": "gpu"}]}]
    new = changed(copied(old), {"status.containerStatuses": devices, "status.allocatedResources": {"cpu": "1"}})
    PODS.prepare_status_update(new, old)
    assert new["status"] == {**old["status"], "containerStatuses": [{"name": "web"}]}
