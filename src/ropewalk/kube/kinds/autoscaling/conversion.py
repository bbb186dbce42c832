"""autoscaling/v1 as a view of autoscaling/v2, both ways. What version 1 has no field for travels in annotations:
`autoscaling.alpha.kubernetes.io/metrics`, `…/current-metrics`, `…/conditions` and `…/behavior`.
https://kubernetes.io/docs/reference/kubernetes-api/autoscaling-resources/horizontal-pod-autoscaler-v1/

Pure: neither function changes what it is given; parts of it may be shared.
"""

from __future__ import annotations

import json

from ropewalk.kube.kinds.autoscaling.horizontal_pod_autoscalers import DEFAULT_UTILIZATION, cpu_metric
from ropewalk.kube.machinery.objects import Json, Object, annotations_of, at, metadata

PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS = PREFIX + "metrics"
STATUSES = PREFIX + "current-metrics"
CONDITIONS = PREFIX + "conditions"
BEHAVIOR = PREFIX + "behavior"
TRAVELLING = (
    METRICS,
    STATUSES,
    CONDITIONS,
    BEHAVIOR,
    PREFIX + "scale-down-tolerance",
    PREFIX + "scale-up-tolerance",
)

Mapping = dict[str, tuple[str, ...]]
"""A field of version 1 → the path of the same in version 2."""

SPECS: dict[str, Mapping] = {
    "object": {
        "target": ("describedObject",),
        "metricName": ("metric", "name"),
        "targetValue": ("target", "value"),
        "selector": ("metric", "selector"),
        "averageValue": ("target", "averageValue"),
    },
    "pods": {
        "metricName": ("metric", "name"),
        "targetAverageValue": ("target", "averageValue"),
        "selector": ("metric", "selector"),
    },
    "resource": {
        "name": ("name",),
        "targetAverageUtilization": ("target", "averageUtilization"),
        "targetAverageValue": ("target", "averageValue"),
    },
    "containerResource": {
        "name": ("name",),
        "targetAverageUtilization": ("target", "averageUtilization"),
        "targetAverageValue": ("target", "averageValue"),
        "container": ("container",),
    },
    "external": {
        "metricName": ("metric", "name"),
        "metricSelector": ("metric", "selector"),
        "targetValue": ("target", "value"),
        "targetAverageValue": ("target", "averageValue"),
    },
}
PRESENT: dict[str, Mapping] = {
    "object": {
        "target": ("describedObject",),
        "metricName": ("metric", "name"),
        "currentValue": ("current", "value"),
        "selector": ("metric", "selector"),
        "averageValue": ("current", "averageValue"),
    },
    "pods": {
        "metricName": ("metric", "name"),
        "currentAverageValue": ("current", "averageValue"),
        "selector": ("metric", "selector"),
    },
    "resource": {
        "name": ("name",),
        "currentAverageUtilization": ("current", "averageUtilization"),
        "currentAverageValue": ("current", "averageValue"),
    },
    "containerResource": {
        "name": ("name",),
        "currentAverageUtilization": ("current", "averageUtilization"),
        "currentAverageValue": ("current", "averageValue"),
        "container": ("container",),
    },
    "external": {
        "metricName": ("metric", "name"),
        "metricSelector": ("metric", "selector"),
        "currentValue": ("current", "value"),
        "currentAverageValue": ("current", "averageValue"),
    },
}
ALWAYS = {
    ("object", "targetValue"),
    ("pods", "targetAverageValue"),
    ("object", "currentValue"),
    ("pods", "currentAverageValue"),
    ("resource", "currentAverageValue"),
    ("containerResource", "currentAverageValue"),
    ("external", "currentValue"),
}
"""Amounts that version 1 spells as "0" where there is none."""


def to_v1(hpa: Object) -> Object:
    """The view of an object of version 2."""
    spec, status = hpa.get("spec") or {}, hpa.get("status") or {}
    metrics = spec.get("metrics") or []
    utilization = next((_utilization(metric) for metric in metrics if _utilization(metric) is not None), None)
    shown = {key: spec[key] for key in ("scaleTargetRef", "minReplicas", "maxReplicas") if key in spec}
    if utilization is not None:
        shown["targetCPUUtilizationPercentage"] = utilization
    annotations = _own_annotations(hpa)
    others = [_to_old(metric, SPECS) for metric in metrics if _utilization(metric) is None]
    present = [_to_old(metric, PRESENT) for metric in status.get("currentMetrics") or ()]
    for name, value in ((METRICS, others), (STATUSES, present), (CONDITIONS, status.get("conditions"))):
        if value:
            annotations[name] = _dump(value)
    if spec.get("behavior") is not None:
        annotations[BEHAVIOR] = _dump(_behavior_to_old(spec["behavior"]))
    view = {**hpa, "apiVersion": "autoscaling/v1", "spec": shown, "metadata": _with(hpa, annotations)}
    if "status" in hpa:
        view["status"] = _status_to_old(status)
    return view


def to_v2(hpa: Object) -> Object:
    """What an object of version 1 stands for. Annotations that do not parse are passed over."""
    spec, status, annotations = hpa.get("spec") or {}, hpa.get("status") or {}, annotations_of(hpa)
    meant = {key: spec[key] for key in ("scaleTargetRef", "minReplicas", "maxReplicas") if key in spec}
    metrics = [_to_new(metric, SPECS) for metric in _load(annotations.get(METRICS)) or ()]
    if "targetCPUUtilizationPercentage" in spec:
        metrics.append(cpu_metric(spec["targetCPUUtilizationPercentage"]))
    meant["metrics"] = metrics or [cpu_metric(DEFAULT_UTILIZATION)]
    behavior = _behavior_to_new(_load(annotations.get(BEHAVIOR), dict))
    if behavior:
        meant["behavior"] = behavior
    new = {**hpa, "apiVersion": "autoscaling/v2", "spec": meant, "metadata": _with(hpa, _own_annotations(hpa))}
    if "status" in hpa:
        kept = ("observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas")
        new["status"] = {key: status[key] for key in kept if key in status}
        present = _load(annotations.get(STATUSES))
        if present:
            new["status"]["currentMetrics"] = [_to_new(metric, PRESENT) for metric in present]
        conditions = _load(annotations.get(CONDITIONS))
        if conditions:
            new["status"]["conditions"] = conditions
    return new


def _utilization(metric: Object) -> Json:
    """The target of the one metric that version 1 has a field for; None of any other."""
    if metric.get("type") != "Resource" or at(metric, "resource", "name") != "cpu":
        return None
    return at(metric, "resource", "target", "averageUtilization")


def _status_to_old(status: Object) -> Object:
    kept = ("observedGeneration", "lastScaleTime", "currentReplicas", "desiredReplicas")
    shown = {"currentReplicas": 0, "desiredReplicas": 0} | {key: status[key] for key in kept if key in status}
    for metric in status.get("currentMetrics") or ():
        value = at(metric, "resource", "current", "averageUtilization")
        if metric.get("type") == "Resource" and at(metric, "resource", "name") == "cpu" and value is not None:
            shown["currentCPUUtilizationPercentage"] = value
    return shown


def _to_old(metric: Object, mappings: dict[str, Mapping]) -> Object:
    old: Object = {"type": metric.get("type", "")}
    for name, mapping in mappings.items():
        source = metric.get(name)
        if source is None:
            continue
        found = {field: at(source, *path) for field, path in mapping.items()}
        old[name] = {
            field: "0" if value is None else value
            for field, value in found.items()
            if value is not None or (name, field) in ALWAYS
        }
    return old


def _to_new(metric: Object, mappings: dict[str, Mapping]) -> Object:
    new: Object = {"type": metric.get("type", "")}
    for name, mapping in mappings.items():
        source = metric.get(name)
        if not isinstance(source, dict):
            continue
        found: Object = {}
        for field, path in mapping.items():
            if source.get(field) is not None:
                _put(found, path, source[field])
        if mappings is SPECS:
            _put(found, ("target", "type"), _target_type(name, source))
        new[name] = found
    return new


def _target_type(name: str, source: Object) -> str:
    if name in ("resource", "containerResource"):
        return "AverageValue" if source.get("targetAverageUtilization") is None else "Utilization"
    if name == "object":
        return "Value" if source.get("averageValue") is None else "AverageValue"
    if name == "external":
        return "AverageValue" if source.get("targetValue") is None else "Value"
    return "AverageValue"


def _put(obj: Object, path: tuple[str, ...], value: Json) -> None:
    for step in path[:-1]:
        obj = obj.setdefault(step, {})
    obj[path[-1]] = value


def _behavior_to_old(behavior: Object) -> Object:
    """Kubernetes writes its internal fields here: capitals, and nulls for what is absent."""
    return {_capital(name): _rules_to_old(behavior.get(name)) for name in ("scaleUp", "scaleDown")}


def _rules_to_old(rules: Object | None) -> Object | None:
    if rules is None:
        return None
    old = {_capital(name): rules.get(name) for name in ("stabilizationWindowSeconds", "selectPolicy", "policies")}
    if old["Policies"] is not None:
        old["Policies"] = [
            {_capital(name): policy.get(name) for name in ("type", "value", "periodSeconds")}
            for policy in old["Policies"]
        ]
    return {**old, "Tolerance": rules.get("tolerance")}


def _behavior_to_new(value: Json) -> Json:
    """Field names in any case; nulls dropped."""
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _behavior_to_new(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_behavior_to_new(part) for part in value]
    return value


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _own_annotations(hpa: Object) -> dict[str, str]:
    return {key: value for key, value in annotations_of(hpa).items() if key not in TRAVELLING}


def _with(hpa: Object, annotations: dict[str, str]) -> Object:
    kept = {key: value for key, value in metadata(hpa).items() if key != "annotations"}
    return {**kept, "annotations": annotations} if annotations else kept


def _dump(value: Json) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _load(text: str | None, shape: type = list) -> Json:
    """None where there is nothing of that shape."""
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return None
    if not isinstance(found, shape):
        return None
    if isinstance(found, list) and not all(isinstance(part, dict) for part in found):
        return None
    return found
