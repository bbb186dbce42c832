"""Pod Security admission: levels, versions, modes, every check's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.admission.pod_security.levels import Asked, policy_of, violations
from ropewalk.kube.admission.pod_security.plugin import Exemptions, PodSecurity
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object, copied

Make = Callable[..., Any]

GOOD_CONTAINER = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
GOOD: Object = {"metadata": {}, "spec": {"containers": [{"name": "a", "securityContext": GOOD_CONTAINER}]}}


def told(level: str, pod: Object, minor: int = -1) -> dict[str, str]:
    return dict(violations(Asked(level, minor), pod))


def changed(spec: Object | None = None, context: Object | None = None, container: Object | None = None) -> Object:
    """The good pod, with parts of its spec, of its container's security context or of its container replaced."""
    pod: Object = copied(GOOD)
    pod["spec"].update(spec or {})
    pod["spec"]["containers"][0].update(container or {})
    pod["spec"]["containers"][0]["securityContext"].update(context or {})
    return pod


BASELINE = [
    ({"spec": {"hostNetwork": True, "hostIPC": True}}, "host namespaces", "hostNetwork=true, hostIPC=true"),
    ({"spec": {"volumes": [{"name": "h", "hostPath": {}}]}}, "hostPath volumes", 'volume "h"'),
    (
        {"container": {"ports": [{"hostPort": 80}, {"hostPort": 443}]}},
        "hostPort",
        'container "a" uses hostPorts 443, 80',
    ),
    ({"context": {"privileged": True}}, "privileged", 'container "a" must not set securityContext.privileged=true'),
    (
        {"context": {"capabilities": {"add": ["NET_RAW", "CHOWN", "BPF"]}}},
        "non-default capabilities",
        'container "a" must not include "BPF", "NET_RAW" in securityContext.capabilities.add',
    ),
    (
        {"context": {"procMount": "Unmasked"}},
        "procMount",
        'container "a" must not set securityContext.procMount to "Unmasked"',
    ),
    (
        {"spec": {"securityContext": {"seLinuxOptions": {"type": "spc_t", "user": "u"}}}},
        "seLinuxOptions",
        'pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set',
    ),
    (
        {"context": {"seccompProfile": {"type": "Unconfined"}}},
        "seccompProfile",
        'container "a" must not set securityContext.seccompProfile.type to "Unconfined"',
    ),
    ({"spec": {"securityContext": {"sysctls": [{"name": "kernel.x"}]}}}, "forbidden sysctls", "kernel.x"),
    (
        {"context": {"windowsOptions": {"hostProcess": True}}},
        "hostProcess",
        'container "a" must not set securityContext.windowsOptions.hostProcess=true',
    ),
    (
        {"context": {"appArmorProfile": {"type": "Unconfined"}}},
        "forbidden AppArmor profile",
        'container "a" must not set AppArmor profile type to "Unconfined"',
    ),
    (
        {"container": {"livenessProbe": {"httpGet": {"host": "h"}}}},
        "probe or lifecycle host",
        'container "a" uses probe or lifecycle host "h"',
    ),
]
RESTRICTED = [
    (
        {"context": {"allowPrivilegeEscalation": True}},
        "allowPrivilegeEscalation != false",
        'container "a" must set securityContext.allowPrivilegeEscalation=false',
    ),
    (
        {"context": {"capabilities": {"add": ["CHOWN"]}}},
        "unrestricted capabilities",
        'container "a" must set securityContext.capabilities.drop=["ALL"]; container "a" must not include "CHOWN" in'
        " securityContext.capabilities.add",
    ),
    (
        {"spec": {"volumes": [{"name": "n", "nfs": {}}, {"name": "e", "emptyDir": {}}]}},
        "restricted volume types",
        'volume "n" uses restricted volume type "nfs"',
    ),
    (
        {"context": {"runAsNonRoot": False}},
        "runAsNonRoot != true",
        'container "a" must not set securityContext.runAsNonRoot=false',
    ),
    ({"context": {"runAsUser": 0}}, "runAsUser=0", 'container "a" must not set runAsUser=0'),
]


@pytest.mark.parametrize(("parts", "reason", "detail"), BASELINE)
def test_baseline(parts: Any, reason: str, detail: str) -> None:
    assert told("baseline", changed(**parts)) == {reason: detail}
    assert told("privileged", changed(**parts)) == {}


@pytest.mark.parametrize(("parts", "reason", "detail"), RESTRICTED)
def test_restricted(parts: Any, reason: str, detail: str) -> None:
    assert told("restricted", changed(**parts)) == {reason: detail}


def test_a_good_pod_violates_nothing() -> None:
    assert told("restricted", GOOD) == {}


def test_a_plain_pod_violates_what_everybody_knows() -> None:
    plain = {"spec": {"containers": [{"name": "x"}, {"name": "y"}]}}
    assert list(told("restricted", plain).items()) == [
        (
            "allowPrivilegeEscalation != false",
            'containers "x", "y" must set securityContext.allowPrivilegeEscalation=false',
        ),
        (
            "unrestricted capabilities",
            'containers "x", "y" must set securityContext.capabilities.drop=["ALL"]',
        ),
        ("runAsNonRoot != true", 'pod or containers "x", "y" must set securityContext.runAsNonRoot=true'),
        (
            "seccompProfile",
            'pod or containers "x", "y" must set securityContext.seccompProfile.type to "RuntimeDefault" or'
            ' "Localhost"',
        ),
    ]
    assert told("restricted", {"spec": {**plain["spec"], "os": {"name": "windows"}}}).keys() == {"runAsNonRoot != true"}


def test_versions_know_only_the_checks_of_their_time() -> None:
    host = changed(container={"livenessProbe": {"httpGet": {"host": "h"}}})
    assert told("baseline", host, 33) == {} and told("baseline", host, 34) != {}
    sysctl = changed(spec={"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}})
    assert told("baseline", sysctl, 31) != {} and told("baseline", sysctl, 32) == {}
    own_users = changed(spec={"hostUsers": False}, context={"runAsNonRoot": False})
    assert told("restricted", own_users, 34) != {} and told("restricted", own_users, 35) == {}


PREFIX = "pod-security.kubernetes.io/"


@pytest.mark.parametrize(
    ("labels", "policy"),
    [
        ({}, ("privileged:latest", "privileged:latest", "privileged:latest")),
        ({"enforce": "baseline"}, ("baseline:latest", "privileged:latest", "baseline:latest")),
        (
            {"enforce": "baseline", "enforce-version": "v1.20", "warn": "restricted"},
            ("baseline:v1.20", "privileged:latest", "restricted:latest"),
        ),
        ({"enforce": "nonsense", "audit": "nonsense"}, ("restricted:latest", "privileged:latest", "privileged:latest")),
    ],
)
def test_labels(labels: Any, policy: tuple[str, str, str]) -> None:
    found = policy_of({PREFIX + key: value for key, value in labels.items()})
    assert (str(found.enforce), str(found.audit), str(found.warn)) == policy


@given(st.dictionaries(st.sampled_from(["enforce", "warn-version", "audit", "enforce-version"]), st.text(max_size=8)))
def test_labels_that_mean_nothing_are_told(labels: dict[str, str]) -> None:
    wrong = FieldErrors()
    policy_of({PREFIX + key: value for key, value in labels.items()}, wrong)
    known = {"privileged", "baseline", "restricted", "latest"}
    assert len(wrong.causes) >= sum(value not in known and not value.startswith("v1.") for value in labels.values())


async def test_enforcing(api: Any, request_for: Make, pod: Make) -> None:
    plugin = PodSecurity(api)
    api.add("Namespace", "ns", metadata={"labels": {PREFIX + "enforce": "baseline"}})
    with pytest.raises(StatusFault) as fault:
        await plugin.validate(request_for("Pod", pod(hostPID=True)))
    assert fault.value.message == (
        'pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostPID=true)'
    )
    admission = request_for("Pod", pod(hostPID=True), old=pod(hostPID=True))
    await plugin.validate(admission)
    with pytest.raises(StatusFault):
        newer = pod(hostPID=True)
        newer["spec"]["containers"][0]["image"] = "other"
        await plugin.validate(request_for("Pod", newer, old=pod(hostPID=True)))
    exempt = PodSecurity(api, exemptions=Exemptions(usernames=frozenset({"alice"})))
    admission = request_for("Pod", pod(hostPID=True))
    await exempt.validate(admission)
    assert admission.annotations == {PREFIX + "exempt": "user"}


async def test_workloads_are_only_warned_about(api: Any, request_for: Make, pod: Make) -> None:
    api.add("Namespace", "ns", metadata={"labels": {PREFIX + "enforce": "baseline", PREFIX + "audit": "baseline"}})
    deployment = {
        "metadata": {"name": "d", "namespace": "ns"},
        "spec": {"template": {"metadata": {}, "spec": pod(hostPID=True)["spec"]}},
    }
    admission = request_for("Deployment", deployment)
    await PodSecurity(api).validate(admission)
    message = 'would violate PodSecurity "baseline:latest": host namespaces (hostPID=true)'
    assert admission.call.warnings == [message]
    assert admission.annotations == {PREFIX + "audit-violations": message}


async def test_a_namespace_that_becomes_stricter_warns_of_its_pods(api: Any, request_for: Make, pod: Make) -> None:
    for name in ("b", "a", "c"):
        api.add("Pod", name, "ns", spec=pod(hostPID=True)["spec"])
    api.add("Pod", "fine", "ns", spec=pod()["spec"])
    new = {"metadata": {"name": "ns", "labels": {PREFIX + "enforce": "baseline"}}}
    admission = request_for("Namespace", new, old={"metadata": {"name": "ns"}})
    await PodSecurity(api).validate(admission)
    assert admission.call.warnings == [
        'existing pods in namespace "ns" violate the new PodSecurity enforce level "baseline:latest"',
        "a (and 2 other pods): host namespaces",
    ]
    wrong = {"metadata": {"name": "ns", "labels": {PREFIX + "enforce": "x", PREFIX + "warn-version": "1"}}}
    with pytest.raises(StatusFault) as fault:
        await PodSecurity(api).validate(request_for("Namespace", wrong))
    assert fault.value.message == (
        f'Namespace "ns" is invalid: [metadata.labels[{PREFIX}enforce]: Invalid value: "x": must be one of privileged,'
        f' baseline, restricted, metadata.labels[{PREFIX}warn-version]: Invalid value: "1": must be "latest" or "v1.x"]'
    )
