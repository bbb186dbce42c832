"""What a pod and a pod template are filled with."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.kinds.core.images import default_pull_policy
from ropewalk.kube.kinds.core.pod_resources import quality_of_service
from ropewalk.kube.kinds.core.pod_spec import default_pod, default_pod_template
from ropewalk.kube.machinery.objects import Object, at, copied
from unit.kube.kinds.core.pod_kit import changed, good_pod, made


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.25", "IfNotPresent"),
        ("registry.example.com:5000/a/b", "Always"),
        ("registry.example.com:5000/a/b:v1", "IfNotPresent"),
        ("localhost/a:latest", "Always"),
        ("nginx@sha256:" + "a" * 64, "IfNotPresent"),
        ("nginx:latest@sha256:" + "a" * 64, "Always"),
        ("NGINX", "IfNotPresent"),
        ("a" * 64, "IfNotPresent"),
        ("", "IfNotPresent"),
        ("a b", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert default_pull_policy(image) == policy


def minimal() -> Object:
    return {"spec": {"containers": [{"name": "a", "image": "a:v1"}]}}


def test_a_minimal_pod() -> None:
    pod = minimal()
    default_pod(pod)
    assert pod == {
        "spec": {
            "containers": [
                {
                    "name": "a",
                    "image": "a:v1",
                    "imagePullPolicy": "IfNotPresent",
                    "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                    "resources": {},
                }
            ],
            "restartPolicy": "Always",
            "dnsPolicy": "ClusterFirst",
            "securityContext": {},
            "terminationGracePeriodSeconds": 30,
            "schedulerName": "default-scheduler",
            "enableServiceLinks": True,
        }
    }


def test_a_template_gets_less_than_a_pod() -> None:
    limits = {"limits": {"cpu": "1"}}
    template = changed(minimal(), {"spec.containers.0.resources": limits, "spec.hostNetwork": True})
    changed(template, {"spec.containers.0.ports": [{"containerPort": 80}], "spec.terminationGracePeriodSeconds": -5})
    pod = copied(template)
    default_pod_template(template)
    default_pod(pod)
    assert "enableServiceLinks" not in template["spec"]
    assert template["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}}
    assert template["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert template["spec"]["terminationGracePeriodSeconds"] == -5
    assert pod["spec"]["containers"][0]["resources"] == {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}
    assert pod["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP", "hostPort": 80}]
    assert pod["spec"]["terminationGracePeriodSeconds"] == 1


C = "spec.containers.0"
P = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


@pytest.mark.parametrize(
    ("given_", "path", "expected"),
    [
        (
            {f"{C}.env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]},
            f"{C}.env.0.valueFrom",
            {"fieldRef": {"fieldPath": "x", "apiVersion": "v1"}},
        ),
        (
            {f"{C}.env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]},
            f"{C}.env.0.valueFrom",
            {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}},
        ),
        (
            {f"{C}.env": [{"name": "A", "valueFrom": {"fileKeyRef": {"key": "k"}}}]},
            f"{C}.env.0.valueFrom",
            {"fileKeyRef": {"key": "k", "optional": False}},
        ),
        (
            {f"{C}.livenessProbe": {"httpGet": {"port": 1}}},
            f"{C}.livenessProbe",
            {"httpGet": {"port": 1, "path": "/", "scheme": "HTTP"}, **P},
        ),
        ({f"{C}.startupProbe": {"grpc": {"port": 1}}}, f"{C}.startupProbe", {"grpc": {"port": 1, "service": ""}, **P}),
        (
            {f"{C}.lifecycle": {"preStop": {"httpGet": {"port": 1}}}},
            f"{C}.lifecycle.preStop.httpGet",
            {"port": 1, "path": "/", "scheme": "HTTP"},
        ),
        ({f"{C}.lifecycle": {"stopSignal": "SIGINT"}}, f"{C}.lifecycle", None),
        (
            {f"{C}.resources": {"requests": {"cpu": "0.5", "memory": "1024Mi"}}},
            f"{C}.resources.requests",
            {"cpu": "500m", "memory": "1Gi"},
        ),
        ({f"{C}.resources": {"requests": {"cpu": "0.0001"}}}, f"{C}.resources.requests", {"cpu": "1m"}),
        ({f"{C}.resources": {"requests": {"cpu": 2}}}, f"{C}.resources.requests", {"cpu": "2"}),
        ({"spec.serviceAccount": "a"}, "spec.serviceAccountName", "a"),
        ({"spec.serviceAccount": "a", "spec.serviceAccountName": "b"}, "spec.serviceAccount", "b"),
        ({"spec.volumes": [{"name": "v"}]}, "spec.volumes.0.emptyDir", {}),
        ({"spec.volumes": [{"name": "v", "secret": {}}]}, "spec.volumes.0.secret", {"defaultMode": 420}),
        (
            {"spec.volumes": [{"name": "v", "hostPath": {"path": "/a"}}]},
            "spec.volumes.0.hostPath",
            {"path": "/a", "type": ""},
        ),
        (
            {"spec.volumes": [{"name": "v", "iscsi": {}}]},
            "spec.volumes.0.iscsi",
            {"iscsiInterface": "default", "lun": 0},
        ),
        (
            {"spec.volumes": [{"name": "v", "rbd": {"pool": "p"}}]},
            "spec.volumes.0.rbd",
            {"pool": "p", "user": "admin", "keyring": "/etc/ceph/keyring"},
        ),
        (
            {"spec.volumes": [{"name": "v", "azureDisk": {}}]},
            "spec.volumes.0.azureDisk",
            {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
        ),
        (
            {"spec.volumes": [{"name": "v", "scaleIO": {}}]},
            "spec.volumes.0.scaleIO",
            {"storageMode": "ThinProvisioned", "fsType": "xfs"},
        ),
        (
            {"spec.volumes": [{"name": "v", "image": {"reference": "a"}}]},
            "spec.volumes.0.image",
            {"reference": "a", "pullPolicy": "Always"},
        ),
        (
            {"spec.volumes": [{"name": "v", "downwardAPI": {"items": [{"path": "a", "fieldRef": {}}]}}]},
            "spec.volumes.0.downwardAPI",
            {"defaultMode": 420, "items": [{"path": "a", "fieldRef": {"apiVersion": "v1"}}]},
        ),
        (
            {"spec.volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
            "spec.volumes.0.projected",
            {"defaultMode": 420, "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}]},
        ),
        (
            {"spec.volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]},
            "spec.volumes.0.ephemeral.volumeClaimTemplate.spec",
            {"volumeMode": "Filesystem", "resources": {}},
        ),
        (
            {"spec.ephemeralContainers": [{"name": "d", "image": "d"}]},
            "spec.ephemeralContainers.0.imagePullPolicy",
            "Always",
        ),
        ({"spec.workloadRef": {"name": "w"}}, "spec.workloadRef", None),
        ({"metadata.annotations": {"pod.beta.kubernetes.io/init-containers": "x"}}, "metadata.annotations", {}),
    ],
)
def test_a_default(given_: dict[str, Any], path: str, expected: Any) -> None:
    pod = changed(minimal(), given_)
    default_pod(pod)
    steps = [int(step) if step.isdigit() else step for step in path.split(".")]
    assert at(pod, *steps) == expected


def test_requests_of_a_pod_follow_its_containers_and_then_its_limits() -> None:
    pod = changed(
        minimal(),
        {
            "spec.resources": {"limits": {"cpu": "2", "memory": "1Gi"}},
            "spec.containers.0.resources": {"requests": {"memory": "100Mi"}, "limits": {"hugepages-2Mi": "4Mi"}},
            "spec.initContainers": [
                {"name": "s", "image": "s", "restartPolicy": "Always", "resources": {"requests": {"memory": "28Mi"}}},
                {"name": "i", "image": "i", "resources": {"requests": {"memory": "50Mi"}}},
            ],
        },
    )
    default_pod(pod)
    assert pod["spec"]["resources"] == {
        "limits": {"cpu": "2", "memory": "1Gi", "hugepages-2Mi": "4Mi"},
        "requests": {"memory": "128Mi", "cpu": "2", "hugepages-2Mi": "4Mi"},
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "BestEffort"),
        ({f"{C}.resources": {"requests": {"cpu": "1"}}}, "Burstable"),
        ({f"{C}.resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}, "Guaranteed"),
        ({f"{C}.resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}}, "Burstable"),
        ({f"{C}.resources": {"limits": {"cpu": "1"}}}, "Burstable"),
        ({f"{C}.resources": {"limits": {"cpu": "0", "memory": "0"}}}, "BestEffort"),
        ({f"{C}.resources": {"limits": {"example.com/gpu": "1"}}}, "BestEffort"),
        (
            {
                f"{C}.resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                "spec.initContainers": [{"name": "i", "image": "i"}],
            },
            "Burstable",
        ),
        ({"spec.resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}, "Guaranteed"),
        ({"spec.resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}, "Burstable"),
    ],
)
def test_the_class_of_service(changes: dict[str, Any], expected: str) -> None:
    pod = changed(minimal(), changes)
    default_pod(pod)
    assert quality_of_service(pod) == expected


@given(
    st.lists(
        st.fixed_dictionaries(
            {"name": st.text(max_size=3), "image": st.text(max_size=6)},
            optional={
                "ports": st.lists(st.fixed_dictionaries({"containerPort": st.integers(0, 3)}), max_size=2),
                "resources": st.fixed_dictionaries(
                    {
                        "limits": st.dictionaries(
                            st.sampled_from(["cpu", "memory"]), st.sampled_from(["1", "0.0005", "2Mi"])
                        )
                    }
                ),
                "livenessProbe": st.fixed_dictionaries({}, optional={"httpGet": st.just({"port": 1})}),
            },
        ),
        max_size=3,
    ),
    st.booleans(),
)
def test_defaulting_twice_changes_nothing_more(containers: list[Object], host_network: bool) -> None:
    pod = {"spec": {"containers": copied(containers), "hostNetwork": host_network, "volumes": [{"name": "a"}]}}
    default_pod(pod)
    once = copied(pod)
    default_pod(pod)
    assert pod == once


def test_what_creation_makes_of_a_pod() -> None:
    spread = {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {}}
    away = {"topologyKey": "z", "labelSelector": {}, "mismatchLabelKeys": ["app", "none"]}
    pod = made(
        {
            "metadata.creationTimestamp": "2025-01-01T00:00:00Z",
            "metadata.annotations": {"container.apparmor.security.beta.kubernetes.io/web": "localhost/p"},
            "status": {"phase": "Running"},
            "spec.schedulingGates": [{"name": "a"}],
            "spec.topologySpreadConstraints": [{**spread, "matchLabelKeys": ["app"]}],
            "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution": [away],
        }
    )
    assert pod["metadata"]["generation"] == 1
    assert pod["status"] == {
        "phase": "Pending",
        "qosClass": "Burstable",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                "lastTransitionTime": "2025-01-01T00:00:00Z",
            }
        ],
    }
    spec = pod["spec"]
    assert spec["topologySpreadConstraints"][0]["labelSelector"] == {
        "matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]
    }
    term = spec["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]
    assert term["labelSelector"] == {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}
    assert spec["containers"][0]["securityContext"] == {
        "appArmorProfile": {"type": "Localhost", "localhostProfile": "p"}
    }
    assert "status" not in good_pod()
