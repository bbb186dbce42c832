"""Replication controllers: what kept pods running before deployments and replica sets.
https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ropewalk.kube.kinds.cells import AGE, NAME, labels_text, number, template_columns, text
from ropewalk.kube.kinds.checks import non_negative, non_negatives
from ropewalk.kube.kinds.core.pod_template_rules import (
    default_pod_template,
    template_warnings,
    validate_controlled,
    validate_pod_template,
)
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, at, copied, metadata, name_of
from ropewalk.kube.machinery.selectors import of_labels
from ropewalk.kube.machinery.strategy import ScalePaths, Selectable, Strategy

SPEC = ROOT / "spec"
STATUS = ROOT / "status"
TEMPLATE = SPEC / "template"
_COUNTS = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")


class ReplicationControllers(Strategy):
    has_status = True
    has_generation = True
    default_propagation = "Orphan"
    scale = ScalePaths()
    kept_under = "controllers"
    columns = (
        NAME,
        number("Desired", "spec", "replicas"),
        number("Current", "status", "replicas"),
        number("Ready", "status", "readyReplicas"),
        AGE,
        *template_columns("spec", "template", selector=None),
        text("Selector", lambda obj: labels_text(at(obj, "spec", "selector")), 1),
    )
    selectable_fields: ClassVar[Mapping[str, Selectable]] = {
        "status.replicas": lambda obj: str(at(obj, "status", "replicas") or 0),
    }

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("replicas", 1)
        template = spec.get("template")
        if template is None:
            return
        default_pod_template(template)
        labels = metadata(template).get("labels")
        if labels:
            if not spec.get("selector"):
                spec["selector"] = copied(labels)
            if not metadata(obj).get("labels"):
                obj.setdefault("metadata", {})["labels"] = copied(labels)

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        obj["status"] = {"replicas": 0}

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        self._validate(obj, None, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self._validate(new, old, errors)

    def _validate(self, obj: Object, old: Object | None, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        selector, template = spec.get("selector") or {}, spec.get("template")
        non_negative(spec.get("minReadySeconds"), SPEC / "minReadySeconds", errors)
        if not selector:
            errors.required(SPEC / "selector")
        if spec.get("replicas") is None:
            errors.required(SPEC / "replicas")
        non_negative(spec.get("replicas"), SPEC / "replicas", errors)
        if template is None:
            errors.required(TEMPLATE)
            return
        labels = metadata(template).get("labels")
        if selector and not of_labels(selector).matches(labels or {}):
            errors.invalid(TEMPLATE / "metadata" / "labels", labels, "`selector` does not match template `labels`")
        validate_pod_template(template, TEMPLATE, errors, old=at(old, "spec", "template"))
        validate_controlled(template, "ReplicationController", TEMPLATE, errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        status = new.get("status") or {}
        non_negatives(status, _COUNTS, STATUS, errors)
        for name in ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"):
            if status.get(name, 0) > status.get("replicas", 0):
                errors.invalid(STATUS / name, status.get(name, 0), "cannot be greater than status.replicas")
        if status.get("availableReplicas", 0) > status.get("readyReplicas", 0):
            available = status.get("availableReplicas", 0)
            errors.invalid(STATUS / "availableReplicas", available, "cannot be greater than readyReplicas")

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        template = at(new, "spec", "template") or {}
        if old is not None:
            if metadata(new).get("generation") == metadata(old).get("generation"):
                return []
            return list(template_warnings(template, TEMPLATE, at(old, "spec", "template")))
        found = []
        if problems := names.dns1123_label(name_of(new)):
            found.append(
                "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS"
                f" label is recommended: [{' '.join(problems)}]"
            )
        return found + list(template_warnings(template, TEMPLATE, None))
