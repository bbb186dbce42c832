"""Horizontal pod autoscalers: rules, table, and the two versions as views of one another."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest

from ropewalk.kube.kinds.autoscaling import STRATEGIES
from ropewalk.kube.kinds.autoscaling.conversion import to_v1, to_v2
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update, update

HPAS = STRATEGIES["horizontalpodautoscalers"]
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
ONE: Object = {"metadata": {"name": "one"}, "spec": {"scaleTargetRef": TARGET, "maxReplicas": 5}}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}
OBJECT = {
    "type": "Object",
    "object": {
        "describedObject": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "main"},
        "metric": {"name": "requests"},
        "target": {"type": "Value", "value": "2k"},
    },
}
PODS = {"type": "Pods", "pods": {"metric": {"name": "p"}, "target": {"type": "AverageValue", "averageValue": "1"}}}
EXTERNAL = {
    "type": "External",
    "external": {
        "metric": {"name": "queue", "selector": {"matchLabels": {"q": "a"}}},
        "target": {"type": "AverageValue", "averageValue": "30"},
    },
}
CONTAINER = {
    "type": "ContainerResource",
    "containerResource": {
        "name": "memory",
        "container": "main",
        "target": {"type": "AverageValue", "averageValue": "100Mi"},
    },
}
ALL = [CPU, OBJECT, PODS, EXTERNAL, CONTAINER]


def _with(**spec: Any) -> Object:
    return {**ONE, "spec": {**ONE["spec"], **spec}}


def test_defaults() -> None:
    spec = created(HPAS, _with(behavior={"scaleUp": {"stabilizationWindowSeconds": 5}}))["spec"]
    assert spec["minReplicas"] == 1
    assert spec["metrics"] == [changed(CPU, "resource", "target", "averageUtilization", 80)]
    assert spec["behavior"] == {
        "scaleUp": {
            "stabilizationWindowSeconds": 5,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Pods", "value": 4, "periodSeconds": 15},
                {"type": "Percent", "value": 100, "periodSeconds": 15},
            ],
        },
        "scaleDown": {
            "selectPolicy": "Max",
            "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
        },
    }


def test_good() -> None:
    assert creation(HPAS, ONE) == []
    assert creation(HPAS, _with(metrics=ALL)) == []


BAD = [
    (_with(minReplicas=0), "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1"),
    (_with(minReplicas=0), "must specify at least one Object or External metric to support scaling to zero replicas"),
    (_with(maxReplicas=0), "spec.maxReplicas: Invalid value: 0: must be greater than 0"),
    (_with(minReplicas=9), "spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`"),
    (_with(scaleTargetRef={}), "spec.scaleTargetRef.kind: Required value"),
    (_with(scaleTargetRef={**TARGET, "name": "a/b"}), "may not contain '/'"),
    (_with(scaleTargetRef={**TARGET, "apiVersion": "v1"}), "apiVersion must specify API group"),
    (_with(scaleTargetRef={**TARGET, "apiVersion": "a/b/c"}), "unexpected GroupVersion string: a/b/c"),
    (_with(metrics=[{}]), "spec.metrics[0].type: Required value: must specify a metric source type"),
    (
        _with(metrics=[{"type": "X"}]),
        'supported values: "ContainerResource", "External", "Object", "Pods", "Resource"',
    ),
    (_with(metrics=[{"type": "Pods"}]), "must populate information for the given metric source"),
    (_with(metrics=[{**PODS, **CPU}]), "spec.metrics[0].pods: Forbidden: must populate the given metric source only"),
    (
        _with(metrics=[changed(CPU, "resource", "target", "averageUtilization", None)]),
        "must set either a target raw value or a target utilization",
    ),
    (
        _with(metrics=[changed(CPU, "resource", "target", "averageValue", "1")]),
        "may not set both a target raw value and a target utilization",
    ),
    (
        _with(metrics=[changed(CPU, "resource", "target", "averageUtilization", 0)]),
        "averageUtilization: Invalid value: 0: must be greater than 0",
    ),
    (_with(metrics=[changed(PODS, "pods", "target", "averageValue", "0")]), "must be positive"),
    (_with(metrics=[changed(OBJECT, "object", "metric", "name", "a%b")]), "may not contain '%'"),
    (_with(metrics=[changed(OBJECT, "object", "target", "type", "Sum")]), "must be either Utilization, Value, or"),
    (_with(metrics=[changed(CONTAINER, "containerResource", "container", "")]), "must specify a container"),
    (_with(behavior={"scaleUp": {"policies": []}}), "must specify at least one Policy"),
    (_with(behavior={"scaleUp": {"stabilizationWindowSeconds": 3601}}), "must be less than or equal to 3600"),
    (_with(behavior={"scaleUp": {"selectPolicy": "Any"}}), 'supported values: "Disabled", "Max", "Min"'),
    (
        _with(behavior={"scaleDown": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1801}]}}),
        "spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800",
    ),
    (_with(behavior={"scaleDown": {"tolerance": "-1"}}), "tolerance"),
]


@pytest.mark.parametrize(("hpa", "complaint"), BAD, ids=range(len(BAD)))
def test_bad(hpa: Object, complaint: str) -> None:
    found = creation(HPAS, hpa)
    assert any(complaint in line for line in found), found


def test_a_target_let_in_earlier_stays() -> None:
    old = created(HPAS, _with(scaleTargetRef={**TARGET, "apiVersion": "v1"}))
    assert update(HPAS, changed(old, "spec", "maxReplicas", 7), old) == []


def test_the_core_group_scales_replication_controllers() -> None:
    assert (
        creation(HPAS, _with(scaleTargetRef={"apiVersion": "v1", "kind": "ReplicationController", "name": "x"})) == []
    )


def test_status() -> None:
    assert status_update(HPAS, {"currentReplicas": -1}, created(HPAS, ONE)) == [
        "status.currentReplicas: Invalid value: -1: must be greater than or equal to 0"
    ]


@pytest.mark.parametrize(
    ("metrics", "present", "expected"),
    [
        ([], [], "<none>"),
        ([CPU], [], "cpu: <unknown>/60%"),
        (
            [CPU],
            [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 3}}}],
            "cpu: 3%/60%",
        ),
        ([OBJECT, EXTERNAL], [], "<unknown>/2k, <unknown>/30 (avg)"),
        ([OBJECT], [{"type": "Object", "object": {"current": {"value": "7"}}}], "7/2k"),
        ([PODS, CONTAINER, CPU], [], "<unknown>/1, memory: <unknown>/100Mi + 1 more..."),
    ],
)
def test_targets(metrics: list[Object], present: list[Object], expected: str) -> None:
    hpa = changed(changed(ONE, "spec", "metrics", metrics), "status", {"currentMetrics": present})
    row = cells(HPAS, hpa)
    assert row["Targets"] == expected
    assert row["Reference"] == "Deployment/web"
    assert row["MinPods"] == "<unset>"


class TestVersions:
    stored: ClassVar[Object] = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "one", "annotations": {"mine": "yes"}},
        "spec": {
            "scaleTargetRef": TARGET,
            "minReplicas": 2,
            "maxReplicas": 5,
            "metrics": [OBJECT, PODS, EXTERNAL, CONTAINER, CPU],
            "behavior": {"scaleDown": {"selectPolicy": "Disabled", "tolerance": "50m"}},
        },
        "status": {
            "currentReplicas": 3,
            "desiredReplicas": 4,
            "currentMetrics": [
                {
                    "type": "Resource",
                    "resource": {"name": "cpu", "current": {"averageUtilization": 3, "averageValue": "30m"}},
                }
            ],
            "conditions": [{"type": "AbleToScale", "status": "True"}],
        },
    }

    def test_what_version_1_shows(self) -> None:
        view = to_v1(self.stored)
        assert view["apiVersion"] == "autoscaling/v1"
        assert view["spec"] == {
            "scaleTargetRef": TARGET,
            "minReplicas": 2,
            "maxReplicas": 5,
            "targetCPUUtilizationPercentage": 60,
        }
        assert view["status"] == {"currentReplicas": 3, "desiredReplicas": 4, "currentCPUUtilizationPercentage": 3}
        annotations = view["metadata"]["annotations"]
        assert annotations["mine"] == "yes"
        assert json.loads(annotations["autoscaling.alpha.kubernetes.io/metrics"])[1] == {
            "type": "Pods",
            "pods": {"metricName": "p", "targetAverageValue": "1"},
        }
        assert json.loads(annotations["autoscaling.alpha.kubernetes.io/behavior"]) == {
            "ScaleUp": None,
            "ScaleDown": {
                "StabilizationWindowSeconds": None,
                "SelectPolicy": "Disabled",
                "Policies": None,
                "Tolerance": "50m",
            },
        }

    def test_there_and_back(self) -> None:
        assert to_v2(to_v1(self.stored)) == self.stored

    def test_neither_changes_what_it_is_given(self) -> None:
        before = json.dumps(self.stored)
        to_v2(to_v1(self.stored))
        assert json.dumps(self.stored) == before

    def test_version_1_means_80_percent(self) -> None:
        plain = {"apiVersion": "autoscaling/v1", "metadata": {"name": "x"}, "spec": {"maxReplicas": 2}}
        assert to_v2(plain)["spec"]["metrics"] == [changed(CPU, "resource", "target", "averageUtilization", 80)]

    @pytest.mark.parametrize("text", ["", "{", "[1]", "null", "7", '{"a": 1}'])
    def test_annotations_nobody_can_read_are_dropped(self, text: str) -> None:
        annotations = {
            f"autoscaling.alpha.kubernetes.io/{name}": text for name in ("metrics", "conditions", "behavior")
        }
        odd = {"metadata": {"name": "x", "annotations": annotations}, "spec": {"maxReplicas": 2}, "status": {}}
        found = to_v2(odd)
        assert "annotations" not in found["metadata"]
        assert len(found["spec"]["metrics"]) == 1
