"""Replica sets: so many pods of one template.
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/
"""

from __future__ import annotations

from ropewalk.kube.kinds.apps.deployments import replica_counts
from ropewalk.kube.kinds.cells import AGE, NAME, number, template_columns
from ropewalk.kube.kinds.checks import immutable, non_negatives
from ropewalk.kube.kinds.core.pod_template_rules import default_pod_template
from ropewalk.kube.kinds.workloads import (
    SPEC,
    STATUS,
    name_warnings,
    validate_replicated_template,
    validate_selector,
    warnings_of_template,
)
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.strategy import ScalePaths, Strategy


class ReplicaSets(Strategy):
    has_status = True
    has_generation = True
    scale = ScalePaths()
    columns = (
        NAME,
        number("Desired", "spec", "replicas"),
        number("Current", "status", "replicas"),
        number("Ready", "status", "readyReplicas"),
        AGE,
        *template_columns("spec", "template", selector=("spec", "selector")),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        default_pod_template(spec.setdefault("template", {}))
        spec.setdefault("replicas", 1)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        non_negatives(spec, ("replicas", "minReadySeconds"), SPEC, errors)
        validate_selector(spec, "deployment", SPEC, errors)  # Kubernetes says "deployment" here as well
        validate_replicated_template(spec, SPEC, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self.validate_create(new, errors)
        immutable(at(new, "spec", "selector"), at(old, "spec", "selector"), SPEC / "selector", errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        status = new.get("status") or {}
        counts = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")
        non_negatives(status, ("replicas", *counts, "observedGeneration", "terminatingReplicas"), STATUS, errors)
        replica_counts(status, counts, errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        return (name_warnings(new) if old is None else []) + warnings_of_template(new, old)
