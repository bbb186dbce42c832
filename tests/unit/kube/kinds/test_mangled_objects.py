"""Whatever is missing or out of bounds gets a verdict: no rule, column or default falls over it.

Every object of the tables below is tried with each of its parts taken away, and with each of its numbers below zero.
What is left has the right types, as after decoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from ropewalk.kube.kinds.flowcontrol import bootstrap as flow_bootstrap
from ropewalk.kube.kinds.rbac import bootstrap as rbac_bootstrap
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Json, Object, copied
from ropewalk.kube.machinery.strategy import Strategy
from unit.kube.kinds.verdicts import cells, created

POD = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}
TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": POD}
CONDITIONS = [{"type": "Ready", "status": "True", "reason": "Fine", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
SELECTOR = {"matchLabels": {"app": "x"}, "matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}]}
COUNTS = dict.fromkeys(
    (
        "replicas",
        "readyReplicas",
        "availableReplicas",
        "updatedReplicas",
        "currentReplicas",
        "fullyLabeledReplicas",
        "collisionCount",
        "observedGeneration",
        "numberReady",
    ),
    1,
)
RULE = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/log"]}
MATCH = {"resourceRules": [{**RULE, "resourceNames": ["a"]}], "namespaceSelector": SELECTOR}
CONDITION = {"name": "a", "expression": "true"}
HOOK = {
    "name": "a.b.c",
    "rules": [RULE],
    "clientConfig": {"service": {"namespace": "a", "name": "b", "path": "/c/d", "port": 443}},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "matchConditions": [CONDITION],
}
METRICS = [
    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}},
    {
        "type": "Object",
        "object": {
            "describedObject": {"apiVersion": "v1", "kind": "Service", "name": "a"},
            "metric": {"name": "b"},
            "target": {"type": "Value", "value": "2k"},
        },
    },
    {"type": "Pods", "pods": {"metric": {"name": "p"}, "target": {"type": "AverageValue", "averageValue": "1"}}},
]
REQUESTS = [
    {"name": "a", "exactly": {"deviceClassName": "b", "selectors": [{"cel": {"expression": "true"}}]}},
    {"name": "c", "firstAvailable": [{"name": "d", "deviceClassName": "e", "count": 2}]},
]
CONFIG = [{"requests": ["a"], "opaque": {"driver": "a.b", "parameters": {"x": 1}}}]
CLAIM = {"devices": {"requests": REQUESTS, "constraints": [{"matchAttribute": "a.b/c"}], "config": CONFIG}}
DEVICE = {"request": "a", "driver": "a.b", "pool": "p", "device": "d"}
JOB = {
    "template": TEMPLATE,
    "completionMode": "Indexed",
    "completions": 5,
    "backoffLimitPerIndex": 1,
    "maxFailedIndexes": 2,
    "managedBy": "a.b/c",
    "podFailurePolicy": {
        "rules": [
            {"action": "Count", "onExitCodes": {"operator": "In", "values": [1, 2], "containerName": "main"}},
            {"action": "FailIndex", "onPodConditions": [{"type": "X", "status": "True"}]},
        ]
    },
    "successPolicy": {"rules": [{"succeededIndexes": "0-2", "succeededCount": 2}]},
}

OBJECTS: list[tuple[str, str, Object]] = [
    *(
        ("apps", kind, {"spec": {"replicas": 1, "selector": SELECTOR, "template": TEMPLATE}, "status": COUNTS})
        for kind in ("deployments", "replicasets", "daemonsets", "statefulsets")
    ),
    (
        "apps",
        "controllerrevisions",
        {"revision": 1, "data": {}, "metadata": {"ownerReferences": [{"controller": True}]}},
    ),
    (
        "batch",
        "jobs",
        {
            "spec": JOB,
            "status": {
                "active": 1,
                "ready": 1,
                "failed": 1,
                "succeeded": 1,
                "terminating": 1,
                "startTime": "2026-01-01T00:00:00Z",
                "completionTime": "2026-01-01T00:01:00Z",
                "completedIndexes": "0",
                "failedIndexes": "1",
                "uncountedTerminatedPods": {"succeeded": ["a"], "failed": ["b"]},
                "conditions": [*CONDITIONS, {"type": "Failed", "status": "True"}],
            },
        },
    ),
    (
        "batch",
        "cronjobs",
        {
            "spec": {"schedule": "* * * * *", "timeZone": "UTC", "jobTemplate": {"spec": JOB}},
            "status": {"active": [{}], "lastScheduleTime": "2026-01-01T00:00:00Z"},
        },
    ),
    (
        "autoscaling",
        "horizontalpodautoscalers",
        {
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"},
                "minReplicas": 1,
                "maxReplicas": 2,
                "metrics": METRICS,
                "behavior": {
                    "scaleUp": {
                        "stabilizationWindowSeconds": 1,
                        "tolerance": "0.1",
                        "policies": [{"type": "Pods", "value": 1, "periodSeconds": 1}],
                    }
                },
            },
            "status": {"currentReplicas": 1, "currentMetrics": [{"resource": {"current": {"averageUtilization": 1}}}]},
        },
    ),
    (
        "policy",
        "poddisruptionbudgets",
        {
            "spec": {"minAvailable": 1, "maxUnavailable": "1%", "selector": SELECTOR},
            "status": {"expectedPods": 1, "conditions": CONDITIONS},
        },
    ),
    ("certificates", "certificatesigningrequests", {"spec": {"request": "", "usages": ["any"], "signerName": "a.b/c"}}),
    ("admissionregistration", "validatingwebhookconfigurations", {"webhooks": [HOOK]}),
    ("admissionregistration", "mutatingwebhookconfigurations", {"webhooks": [HOOK]}),
    (
        "admissionregistration",
        "validatingadmissionpolicies",
        {
            "spec": {
                "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
                "matchConstraints": MATCH,
                "matchConditions": [CONDITION],
                "variables": [{"name": "x", "expression": "1"}],
                "validations": [{"expression": "true", "message": "a", "messageExpression": "b", "reason": "Invalid"}],
                "auditAnnotations": [{"key": "a", "valueExpression": "b"}],
            },
            "status": {"typeChecking": {"expressionWarnings": [{"fieldRef": "a", "warning": "b"}]}},
        },
    ),
    (
        "admissionregistration",
        "validatingadmissionpolicybindings",
        {
            "spec": {
                "policyName": "a",
                "paramRef": {"name": "a", "selector": SELECTOR, "parameterNotFoundAction": "Deny"},
                "matchResources": MATCH,
                "validationActions": ["Deny"],
            }
        },
    ),
    (
        "admissionregistration",
        "mutatingadmissionpolicies",
        {
            "spec": {
                "matchConstraints": MATCH,
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": "a"}}],
            }
        },
    ),
    (
        "apiregistration",
        "apiservices",
        {
            "spec": {
                "group": "a",
                "version": "v1",
                "versionPriority": 1,
                "groupPriorityMinimum": 1,
                "caBundle": "Zm9v",
                "service": {"namespace": "a", "name": "b", "port": 443},
            },
            "status": {"conditions": CONDITIONS},
        },
    ),
    *(("flowcontrol", "flowschemas", obj) for obj in flow_bootstrap.SUGGESTED_SCHEMAS[:4]),
    *(("flowcontrol", "prioritylevelconfigurations", obj) for obj in flow_bootstrap.SUGGESTED_LEVELS[:1]),
    ("rbac", "clusterroles", rbac_bootstrap.objects()[0]),
    ("rbac", "rolebindings", rbac_bootstrap.objects()[-1]),
    (
        "resource",
        "resourceclaims",
        {
            "spec": CLAIM,
            "status": {
                "allocation": {"devices": {"results": [DEVICE], "config": [{**CONFIG[0], "source": "FromClaim"}]}},
                "reservedFor": [{"resource": "pods", "name": "a", "uid": "b"}],
                "devices": [{**DEVICE, "data": {}, "conditions": CONDITIONS, "networkData": {"ips": ["10.0.0.1/8"]}}],
            },
        },
    ),
    ("resource", "resourceclaimtemplates", {"spec": {"metadata": {"labels": {"a": "b"}}, "spec": CLAIM}}),
    ("resource", "deviceclasses", {"spec": {"selectors": [{"cel": {"expression": "true"}}], "config": CONFIG}}),
    (
        "resource",
        "resourceslices",
        {
            "spec": {
                "driver": "a.b",
                "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
                "nodeName": "n",
                "devices": [{"name": "d", "attributes": {"x": {"int": 1}}, "capacity": {"y": {"value": "1"}}}],
            }
        },
    ),
    (
        "authorization",
        "localsubjectaccessreviews",
        {
            "spec": {
                "user": "me",
                "resourceAttributes": {
                    "labelSelector": {"requirements": [{"key": "a", "operator": "In", "values": [""]}]}
                },
            }
        },
    ),
]


def _paths(value: Json, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _paths(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _paths(part, (*path, index))


def _mangled(obj: Object) -> Iterator[Object]:
    yield obj
    for path in _paths(obj):
        for number in (None, -1):
            made = copied(obj)
            here = made
            for step in path[:-1]:
                here = here[step]
            if number is None:
                del here[path[-1]]
            elif type(here[path[-1]]) is int:
                here[path[-1]] = number
            else:
                continue
            yield made


def _judge(strategy: Strategy, obj: Object, good: Object) -> None:
    made = created(strategy, {**obj, "metadata": dict(obj.get("metadata") or {})})
    strategy.validate_create(made, FieldErrors())
    strategy.warnings(made, None)
    shown = {**made, "status": obj.get("status") or {}}
    cells(strategy, shown, wide=True)
    for field in strategy.selectable_fields.values():
        assert isinstance(field(shown), str)
    for new, old in ((shown, good), (good, shown)):
        update: Object = copied(new)
        strategy.prepare_update(update, old)
        strategy.validate_update(update, old, FieldErrors())
        strategy.warnings(update, old)
        status: Object = copied(new)
        strategy.prepare_status_update(status, old)
        strategy.validate_status_update(status, old, FieldErrors())


@pytest.mark.parametrize(("group", "plural", "obj"), OBJECTS, ids=lambda value: value if isinstance(value, str) else "")
def test_nothing_falls_over(group: str, plural: str, obj: Object) -> None:
    strategy: Strategy = import_module(f"ropewalk.kube.kinds.{group}").STRATEGIES[plural]
    good = {
        **created(strategy, {**obj, "metadata": dict(obj.get("metadata") or {})}),
        "status": copied(obj.get("status") or {}),
    }
    for mangled in _mangled(obj):
        _judge(strategy, mangled, good)
