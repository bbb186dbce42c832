"""Horizontal pod autoscalers, in the version that is stored: autoscaling/v2. Version 1 is a view of it: `conversion`.
https://kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale/
"""

from __future__ import annotations

from ropewalk.kube.kinds.autoscaling.metrics import (
    metrics_text,
    validate_metric,
    validate_reference,
    version_problem,
)
from ropewalk.kube.kinds.cells import AGE, NAME, text
from ropewalk.kube.kinds.checks import non_negatives
from ropewalk.kube.machinery import quantities
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.strategy import Column, Strategy

SPEC = ROOT / "spec"
DEFAULT_UTILIZATION = 80
LONGEST_WINDOW = 3600
LONGEST_PERIOD = 1800
SELECTIONS = ("Disabled", "Max", "Min")


class HorizontalPodAutoscalers(Strategy):
    has_status = True
    columns = (
        NAME,
        text(
            "Reference",
            lambda obj: "/".join(at(obj, "spec", "scaleTargetRef", part) or "" for part in ("kind", "name")),
        ),
        text(
            "Targets",
            lambda obj: metrics_text(at(obj, "spec", "metrics") or (), at(obj, "status", "currentMetrics") or ()),
        ),
        text("MinPods", lambda obj: str((obj.get("spec") or {}).get("minReplicas", "<unset>"))),
        Column("MaxPods", lambda obj, now: at(obj, "spec", "maxReplicas") or 0),
        Column("Replicas", lambda obj, now: at(obj, "status", "currentReplicas") or 0),
        AGE,
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("minReplicas", 1)
        if not spec.get("metrics"):
            spec["metrics"] = [cpu_metric(DEFAULT_UTILIZATION)]
        behavior = spec.get("behavior")
        if behavior is not None:
            behavior["scaleUp"] = {**_up(), **(behavior.get("scaleUp") or {})}
            behavior["scaleDown"] = {**_down(), **(behavior.get("scaleDown") or {})}

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        _validate_spec(obj.get("spec") or {}, None, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        _validate_spec(new.get("spec") or {}, old.get("spec") or {}, errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        non_negatives(new.get("status") or {}, ("currentReplicas", "desiredReplicas"), ROOT / "status", errors)


def cpu_metric(utilization: int) -> Object:
    target = {"type": "Utilization", "averageUtilization": utilization}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


def _up() -> Object:
    """At most four pods or as many again, every 15 s."""
    policies = [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ]
    return {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": policies}


def _down() -> Object:
    """All at once; the controller's own window stands in for one that is not given."""
    return {"selectPolicy": "Max", "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}


def _validate_spec(spec: Object, old: Object | None, errors: FieldErrors) -> None:
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    lowest = 0 if old is not None and old.get("minReplicas") == 0 else 1
    if least is not None and least < lowest:
        errors.invalid(SPEC / "minReplicas", least, f"must be greater than or equal to {lowest}")
    if most < 1:
        errors.invalid(SPEC / "maxReplicas", most, "must be greater than 0")
    if least is not None and most < least:
        errors.invalid(SPEC / "maxReplicas", most, "must be greater than or equal to `minReplicas`")
    target = spec.get("scaleTargetRef") or {}
    validate_reference(target, SPEC / "scaleTargetRef", errors, _target_problem(target, old))
    metrics = spec.get("metrics") or []
    any_version = any(
        metric.get("type") == "Object"
        and version_problem(at(metric, "object", "describedObject", "apiVersion") or "", core=True)
        for metric in (old or {}).get("metrics") or ()
    )
    for index, metric in enumerate(metrics):
        validate_metric(metric, SPEC / "metrics" / index, errors, any_version=any_version)
    if least == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics):
        errors.forbidden(
            SPEC / "metrics", "must specify at least one Object or External metric to support scaling to zero replicas"
        )
    behavior = spec.get("behavior") or {}
    for name in ("scaleUp", "scaleDown"):
        if behavior.get(name) is not None:
            _validate_rules(behavior[name], SPEC / "behavior" / name, errors)


def _target_problem(target: Object, old: Object | None) -> str:
    """A version that was let in earlier stays; the only kind of the core group is the ReplicationController."""
    before = (old or {}).get("scaleTargetRef") or {}
    if old is not None and all(before.get(key, "") == target.get(key, "") for key in ("apiVersion", "kind")):
        return ""
    return version_problem(target.get("apiVersion", ""), core=target.get("kind") == "ReplicationController")


def _validate_rules(rules: Object, path: Path, errors: FieldErrors) -> None:
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and window < 0:
        errors.invalid(path / "stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    if window is not None and window > LONGEST_WINDOW:
        errors.invalid(path / "stabilizationWindowSeconds", window, f"must be less than or equal to {LONGEST_WINDOW}")
    selection = rules.get("selectPolicy")
    if selection is not None and selection not in SELECTIONS:
        errors.not_supported(path / "selectPolicy", selection, SELECTIONS)
    policies = rules.get("policies") or []
    if not policies:
        errors.required(path / "policies", "must specify at least one Policy")
    for index, policy in enumerate(policies):
        _validate_policy(policy, path / "policies" / index, errors)
    if "tolerance" in rules and quantities.parse(rules["tolerance"]) < 0:
        errors.invalid(path / "tolerance", rules["tolerance"], "must be greater than or equal to 0")


def _validate_policy(policy: Object, path: Path, errors: FieldErrors) -> None:
    if policy.get("type") not in ("Percent", "Pods"):
        errors.not_supported(path / "type", policy.get("type", ""), ("Percent", "Pods"))
    for name in ("value", "periodSeconds"):
        if policy.get(name, 0) <= 0:
            errors.invalid(path / name, policy.get(name, 0), "must be greater than zero")
    if policy.get("periodSeconds", 0) > LONGEST_PERIOD:
        errors.invalid(
            path / "periodSeconds", policy["periodSeconds"], f"must be less than or equal to {LONGEST_PERIOD}"
        )
