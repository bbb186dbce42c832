"""Deployments: replica sets exchanged for one another, a few pods at a time.
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ropewalk.kube.kinds import int_or_percent
from ropewalk.kube.kinds.cells import AGE, NAME, number, template_columns, text
from ropewalk.kube.kinds.checks import immutable, non_negative, non_negatives, not_decremented, same
from ropewalk.kube.kinds.core.pod_template_rules import default_pod_template
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.kinds.workloads import (
    SPEC,
    STATUS,
    name_warnings,
    validate_replicated_template,
    validate_selector,
    warnings_of_template,
)
from ropewalk.kube.machinery.apply.field_sets import LEAF, FieldSet
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, annotations_of, at, metadata
from ropewalk.kube.machinery.strategy import ScalePaths, Strategy


class Deployments(Strategy):
    has_status = True
    status_keeps = ("labels",)
    reset_fields: ClassVar[Mapping[str, FieldSet]] = {"status": {"f:metadata": {"f:labels": LEAF}, "f:spec": LEAF}}
    has_generation = True
    scale = ScalePaths()
    columns = (
        NAME,
        text("Ready", lambda obj: f"{at(obj, 'status', 'readyReplicas') or 0}/{at(obj, 'spec', 'replicas') or 0}"),
        number("Up-to-date", "status", "updatedReplicas"),
        number("Available", "status", "availableReplicas"),
        AGE,
        *template_columns("spec", "template", selector=("spec", "selector")),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        default_pod_template(spec.setdefault("template", {}))
        spec.setdefault("replicas", 1)
        strategy = spec.setdefault("strategy", {})
        if not strategy.get("type"):
            strategy["type"] = "RollingUpdate"
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", "25%")
            rolling.setdefault("maxSurge", "25%")
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("progressDeadlineSeconds", 600)

    def count_generation(self, new: Object, old: Object) -> None:
        """Annotations count too: they are copied to the replica sets."""
        super().count_generation(new, old)
        if not same(annotations_of(new), annotations_of(old)):
            new["metadata"]["generation"] = metadata(old).get("generation", 1) + 1

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        non_negative(spec.get("replicas"), SPEC / "replicas", errors)
        validate_selector(spec, "deployment", SPEC, errors)
        validate_replicated_template(spec, SPEC, errors)
        validate_strategy(spec.get("strategy") or {}, SPEC / "strategy", errors)
        non_negative(spec.get("minReadySeconds"), SPEC / "minReadySeconds", errors)
        non_negative(spec.get("revisionHistoryLimit"), SPEC / "revisionHistoryLimit", errors)
        deadline = spec.get("progressDeadlineSeconds")
        if deadline is not None:
            non_negative(deadline, SPEC / "progressDeadlineSeconds", errors)
            if deadline <= spec.get("minReadySeconds", 0):
                errors.invalid(SPEC / "progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self.validate_create(new, errors)
        immutable(at(new, "spec", "selector"), at(old, "spec", "selector"), SPEC / "selector", errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        status = new.get("status") or {}
        counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")
        non_negatives(status, ("observedGeneration", *counts, "terminatingReplicas", "collisionCount"), STATUS, errors)
        replica_counts(status, ("updatedReplicas", "readyReplicas", "availableReplicas"), errors)
        not_decremented(status, old.get("status") or {}, "collisionCount", STATUS, errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        return (name_warnings(new) if old is None else []) + warnings_of_template(new, old)


def replica_counts(status: Object, names: tuple[str, ...], errors: FieldErrors, ready: str = "readyReplicas") -> None:
    """None of these more than there are replicas; no more available than `ready` (as the message calls it)."""
    figures = {name: status.get(name, 0) for name in (*names, "replicas", "readyReplicas", "availableReplicas")}
    for name in names:
        if figures[name] > figures["replicas"]:
            errors.invalid(STATUS / name, figures[name], "cannot be greater than status.replicas")
    available = figures["availableReplicas"]
    if available > figures["readyReplicas"]:
        errors.invalid(STATUS / "availableReplicas", available, f"cannot be greater than {ready}")


def validate_strategy(strategy: Object, path: Path, errors: FieldErrors) -> None:
    kind = strategy.get("type", "")
    rolling = strategy.get("rollingUpdate")
    if kind == "Recreate":
        if rolling is not None:
            errors.forbidden(path / "rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    elif kind != "RollingUpdate":
        errors.not_supported(path, go_printed(strategy, "apps.v1.DeploymentStrategy"), ("Recreate", "RollingUpdate"))
    elif rolling is None:
        errors.required(path / "rollingUpdate", "this should be defaulted and never be nil")
    else:
        unavailable, surge = rolling.get("maxUnavailable", 0), rolling.get("maxSurge", 0)
        path = path / "rollingUpdate"
        int_or_percent.check(unavailable, path / "maxUnavailable", errors)
        int_or_percent.check(surge, path / "maxSurge", errors)
        if not int_or_percent.figure(unavailable) and not int_or_percent.figure(surge):
            errors.invalid(path / "maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0")
        int_or_percent.at_most_all(unavailable, path / "maxUnavailable", errors)
