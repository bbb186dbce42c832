"""What is accepted and yet warned of."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.core.pod_template_rules import template_warnings, validate_pod_template
from ropewalk.kube.kinds.core.pod_templates import PodTemplates
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, copied
from unit.kube.kinds.core.pod_kit import PODS, Complaints, changed, good_pod, made, said

C, F = "spec.containers.0", "spec.containers[0]"
ANTI = "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"
LIKED = "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution"


def items(*paths: str) -> list[dict[str, str]]:
    return [{"key": path, "path": path} for path in paths]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        (
            {"metadata.name": "a.b"},
            [
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS"
                " label is recommended: [must not contain dots]"
            ],
        ),
        (
            {"spec.nodeSelector": {"beta.kubernetes.io/os": "linux"}},
            ['spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'],
        ),
        (
            {
                LIKED: [
                    {
                        "weight": 1,
                        "preference": {
                            "matchExpressions": [
                                {"key": "beta.kubernetes.io/arch", "operator": "In", "values": ["amd64"]}
                            ]
                        },
                    }
                ]
            },
            [
                f"{LIKED}[0].preference.matchExpressions[0].key: beta.kubernetes.io/arch is deprecated since v1.14; use"
                ' "kubernetes.io/arch" instead'
            ],
        ),
        (
            {
                "spec.topologySpreadConstraints": [
                    {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
                ]
            },
            ["spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod"],
        ),
        ({ANTI: [{"topologyKey": "z"}]}, [f"{ANTI}[0].labelSelector: a null labelSelector results in matching no pod"]),
        (
            {"spec.volumes.3": {"name": "g", "gitRepo": {"repository": "r"}}},
            ["spec.volumes[3].gitRepo: deprecated in v1.11, and disabled by default in v1.33+"],
        ),
        (
            {f"{C}.env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}, {"name": "A", "value": "$(A)3"}]},
            [f'{F}.env[1]: hides previous definition of "A", which may be dropped when using apply'],
        ),
        (
            {f"{C}.resources.limits.memory": "256.5"},
            [f'{F}.resources.limits[memory]: fractional byte value "256500m" is invalid, must be an integer'],
        ),
        (
            {"spec.imagePullSecrets": [{"name": "a"}, {"name": "a"}, {}]},
            [
                'spec.imagePullSecrets[1].name: duplicate name "a"',
                'spec.imagePullSecrets[2].name: invalid empty name ""',
            ],
        ),
        (
            {f"{C}.ports": [{"containerPort": 80}, {"containerPort": 80}]},
            [f"{F}.ports[1]: duplicate port definition with {F}.ports[0]"],
        ),
        (
            {f"{C}.ports": [{"containerPort": 80, "hostPort": 1}, {"containerPort": 80}]},
            [f"{F}.ports[1]: overlapping port definition with {F}.ports[0]"],
        ),
        (
            {
                f"{C}.ports": [
                    {"containerPort": 80, "hostPort": 1},
                    {"containerPort": 80, "hostPort": 1, "hostIP": "1.1.1.1"},
                ]
            },
            [f"{F}.ports[1]: dangerously ambiguous port definition with {F}.ports[0]"],
        ),
        (
            {"spec.containers.1.ports": [{"name": "http", "containerPort": 1}]},
            [
                f'spec.containers[1].ports[0]: duplicate port name "http" with {F}.ports[0], services and probes that'
                f" select ports by name will use {F}.ports[0]"
            ],
        ),
        (
            {f"{C}.ports": [{"containerPort": 80, "hostIP": "1.1.1.1"}]},
            [
                f"{F}.ports[0]: hostIP set without hostPort: {{Name: HostPort:0 ContainerPort:80 Protocol:TCP"
                " HostIP:1.1.1.1}"
            ],
        ),
        (
            {"metadata.annotations": {"container.apparmor.security.beta.kubernetes.io/web": "unconfined"}},
            [
                "metadata.annotations[container.apparmor.security.beta.kubernetes.io/web]: deprecated since v1.30; use"
                ' the "appArmorProfile" field instead'
            ],
        ),
        (
            {"metadata.annotations": {"seccomp.security.alpha.kubernetes.io/pod": "runtime/default"}},
            [
                "metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the"
                ' "seccompProfile" field instead'
            ],
        ),
        (
            {"spec.volumes.0.configMap.items": items("a", "a/b", "c")},
            ['volume "config" (ConfigMap "web-config"): overlapping paths: "a/b" with "a"'],
        ),
        (
            {
                "spec.volumes.3": {
                    "name": "p",
                    "projected": {
                        "sources": [
                            {},
                            {"secret": {"name": "s", "items": items("a")}},
                            {"configMap": {"name": "c", "items": items("a/")}},
                        ]
                    },
                }
            },
            [
                'volume "p" (Projected) has no sources provided',
                'volume "p" (Projected): overlapping paths: "a" (ConfigMap "c") with "a" (Secret "s")',
            ],
        ),
        (
            {"spec.dnsConfig.nameservers": ["01.1.1.1"]},
            [
                'spec.dnsConfig.nameservers[0]: non-standard IP address "01.1.1.1" will be considered invalid in a'
                ' future Kubernetes release: use "1.1.1.1"'
            ],
        ),
    ],
)
def test_a_warning_of_a_pod(changes: dict[str, Any], expected: list[str]) -> None:
    assert PODS.warnings(made(changes), None) == expected


def test_nobody_is_warned_of_updates() -> None:
    pod = made({"spec.nodeSelector": {"beta.kubernetes.io/os": "linux"}})
    assert PODS.warnings(pod, pod) == []


# --- templates

TEMPLATES = PodTemplates()


def template(changes: dict[str, Any]) -> Object:
    pod = changed(good_pod(), changes)
    obj: Object = {"metadata": {"name": "t"}, "template": {"metadata": pod["metadata"], "spec": pod["spec"]}}
    TEMPLATES.default(obj)
    return obj


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({f"{C}.image": " a"}, []),
        ({"spec.volumes.3": {"name": "i", "image": {}}}, []),
        ({f"{C}.name": ""}, [("template.spec.containers[0].name", "Required value")]),
        (
            {"spec.ephemeralContainers": [{"name": "d", "image": "d"}]},
            [("template.spec.ephemeralContainers", "Forbidden: ephemeral containers not allowed in pod template")],
        ),
        (
            {"metadata.annotations": {"controller.kubernetes.io/pod-deletion-cost": "x"}},
            [
                (
                    "template.annotations[controller.kubernetes.io/pod-deletion-cost]",
                    'Invalid value: "x": must be a 32bit integer',
                )
            ],
        ),
    ],
)
def test_a_template(changes: dict[str, Any], expected: Complaints) -> None:
    errors = FieldErrors()
    TEMPLATES.validate_create(template(changes), errors)
    assert said(errors) == expected


def test_an_unchanged_template_is_not_judged_again() -> None:
    old = template({f"{C}.name": ""})
    errors = FieldErrors()
    TEMPLATES.validate_update(copied(old), old, errors)
    assert said(errors) == []
    TEMPLATES.validate_update(changed(copied(old), {"template.spec.containers.1.tty": True}), old, errors)
    assert said(errors) == [("template.spec.containers[0].name", "Required value")]


def test_controllers_ask_for_pods_that_go_on() -> None:
    asked = template({"spec.restartPolicy": "Never", "spec.activeDeadlineSeconds": 5})["template"]
    errors = FieldErrors()
    validate_pod_template(asked, ROOT / "spec" / "template", errors, controller="ReplicaSet")
    assert said(errors) == [
        ("spec.template.spec.restartPolicy", 'Unsupported value: "Never": supported values: "Always"'),
        (
            "spec.template.spec.activeDeadlineSeconds",
            "Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
        ),
    ]


def test_a_template_is_warned_of_where_it_stands() -> None:
    changes: dict[str, Any] = {
        "spec.terminationGracePeriodSeconds": -1,
        "metadata.annotations": {"scheduler.alpha.kubernetes.io/critical-pod": ""},
    }
    obj = template(changes)
    expected = [
        "template.metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the"
        ' "priorityClassName" field instead',
        "template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as"
        " 1",
    ]
    assert template_warnings(obj["template"], ROOT / "template") == expected
    assert TEMPLATES.warnings(obj, None) == expected
    assert TEMPLATES.warnings(obj, obj) == []
