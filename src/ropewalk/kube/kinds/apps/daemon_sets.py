"""Daemon sets: one pod a node.
https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/

The count of template changes, a field of older versions, lives on in an annotation: `kubectl rollout` reads it.
"""

from __future__ import annotations

import re

from ropewalk.kube.kinds import int_or_percent
from ropewalk.kube.kinds.cells import AGE, NAME, labels_text, number, template_columns, text
from ropewalk.kube.kinds.checks import immutable, non_negative, non_negatives, not_decremented, same
from ropewalk.kube.kinds.core.pod_template_rules import default_pod_template, validate_pod_template
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.kinds.workloads import (
    SPEC,
    STATUS,
    TEMPLATE,
    parsed_selector,
    validate_labels_match,
    validate_lasting_pods,
    warnings_of_template,
)
from ropewalk.kube.machinery import selectors
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, annotations_of, at
from ropewalk.kube.machinery.strategy import Strategy

GENERATION = "deprecated.daemonset.template.generation"


class DaemonSets(Strategy):
    has_status = True
    has_generation = True
    columns = (
        NAME,
        number("Desired", "status", "desiredNumberScheduled"),
        number("Current", "status", "currentNumberScheduled"),
        number("Ready", "status", "numberReady"),
        number("Up-to-date", "status", "updatedNumberScheduled"),
        number("Available", "status", "numberAvailable"),
        text("Node Selector", lambda obj: labels_text(at(obj, "spec", "template", "spec", "nodeSelector"))),
        AGE,
        *template_columns("spec", "template", selector=("spec", "selector")),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        default_pod_template(spec.setdefault("template", {}))
        strategy = spec.setdefault("updateStrategy", {})
        if not strategy.get("type"):
            strategy["type"] = "RollingUpdate"
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", 1)
            rolling.setdefault("maxSurge", 0)
        spec.setdefault("revisionHistoryLimit", 10)

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        _count_templates(obj, max(1, _templates(obj)))

    def prepare_update(self, new: Object, old: Object) -> None:
        changed = not same(at(new, "spec", "template"), at(old, "spec", "template"))
        _count_templates(new, _templates(old) + changed)
        super().prepare_update(new, old)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        template = spec.get("template") or {}
        if spec.get("selector") is not None:
            selectors.validate_label_selector(spec["selector"], SPEC / "selector", errors)
        selector = parsed_selector(spec, SPEC, FieldErrors(), "")
        if selector is not None:
            validate_labels_match(selector, template, TEMPLATE, errors)
        if spec.get("selector") is not None and not any(spec["selector"].values()):
            errors.invalid(SPEC / "selector", spec["selector"], "empty selector is invalid for daemonset")
        validate_pod_template(template, TEMPLATE, errors)
        validate_lasting_pods(template, "DaemonSet", TEMPLATE, errors)
        non_negative(spec.get("minReadySeconds"), SPEC / "minReadySeconds", errors)
        _validate_strategy(spec.get("updateStrategy") or {}, SPEC / "updateStrategy", errors)
        non_negative(spec.get("revisionHistoryLimit"), SPEC / "revisionHistoryLimit", errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        immutable(at(new, "spec", "selector"), at(old, "spec", "selector"), SPEC / "selector", errors)
        self.validate_create(new, errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        status = new.get("status") or {}
        counts = (
            "currentNumberScheduled",
            "numberMisscheduled",
            "desiredNumberScheduled",
            "numberReady",
            "observedGeneration",
            "updatedNumberScheduled",
            "numberAvailable",
            "numberUnavailable",
            "collisionCount",
        )
        non_negatives(status, counts, STATUS, errors)
        not_decremented(status, old.get("status") or {}, "collisionCount", STATUS, errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        if old is not None and same(at(new, "spec", "template"), at(old, "spec", "template")):
            return []
        return warnings_of_template(new, old)


def _templates(obj: Object) -> int:
    count = annotations_of(obj).get(GENERATION, "")
    return int(count) if re.fullmatch(r"[0-9]{1,18}", count) else 0


def _count_templates(obj: Object, count: int) -> None:
    obj["metadata"]["annotations"] = {**annotations_of(obj), GENERATION: str(count)}


def _validate_strategy(strategy: Object, path: Path, errors: FieldErrors) -> None:
    kind = strategy.get("type", "")
    if kind == "OnDelete":
        return
    if kind != "RollingUpdate":
        errors.not_supported(
            path, go_printed(strategy, "apps.v1.DaemonSetUpdateStrategy"), ("RollingUpdate", "OnDelete")
        )
        return
    rolling = strategy.get("rollingUpdate")
    path = path / "rollingUpdate"
    if rolling is None:
        errors.required(path)
        return
    for name in ("maxUnavailable", "maxSurge"):
        int_or_percent.check(rolling.get(name), path / name, errors)
    for name in ("maxUnavailable", "maxSurge"):
        int_or_percent.at_most_all(rolling.get(name), path / name, errors)
    unavailable = int_or_percent.figure(rolling.get("maxUnavailable"))
    surge = int_or_percent.figure(rolling.get("maxSurge"))
    if unavailable and surge:
        errors.invalid(path / "maxSurge", rolling["maxSurge"], "may not be set when maxUnavailable is non-zero")
    elif not unavailable and not surge:
        errors.required(path / "maxUnavailable", "cannot be 0 when maxSurge is 0")
