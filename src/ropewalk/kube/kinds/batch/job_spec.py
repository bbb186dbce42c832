"""The rules of a job's spec: of jobs themselves and of cron jobs' templates.
https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

from ropewalk.kube.kinds.batch import indexes
from ropewalk.kube.kinds.checks import domain_prefixed_path, invalid_whole, non_negative, non_negatives
from ropewalk.kube.kinds.core.pod_template_rules import (
    default_pod_template,
    template_warnings,
    validate_pod_template,
)
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, metadata

MANY = 100_000
"""Completions of an indexed job above which failures are tracked within bounds; also the most pods at a time."""
FEW = 10_000
"""The bounds then: pods at a time, and failed indexes."""
MOST_RULES = 20
MOST_EXIT_CODES = 255
MOST_INDEXES_TEXT = 64 * 1024
MOST_MANAGED_BY = 63
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
STATUSES = ("False", "True", "Unknown")
OPERATORS = ("In", "NotIn")


def default_job(job: Object) -> None:
    """Of a job; what a cron job's template holds is left alone but for its pods."""
    spec = job.setdefault("spec", {})
    default_nested(spec)
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 2**31 - 1 if "backoffLimitPerIndex" in spec else 6)
    labels = metadata(spec["template"]).get("labels")
    if labels and not metadata(job).get("labels"):
        job.setdefault("metadata", {})["labels"] = dict(labels)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
    spec.setdefault("manualSelector", False)


def default_nested(spec: Object) -> None:
    default_pod_template(spec.setdefault("template", {}))
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            pattern["status"] = pattern.get("status") or "True"


def warnings_of(spec: Object, old: Object | None, path: Path) -> list[str]:
    found = []
    if (
        spec.get("completionMode") == "Indexed"
        and spec.get("completions", 0) > MANY
        and spec.get("parallelism", 0) > FEW
    ):
        found.append(
            f"{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4,"
            " Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        )
    before = None if old is None else old.get("template") or {}
    return found + list(template_warnings(spec.get("template") or {}, path / "template", before))


def validate_spec(spec: Object, path: Path, errors: FieldErrors) -> None:
    counts = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished")
    non_negatives(spec, (*counts, "backoffLimitPerIndex", "maxFailedIndexes"), path, errors)
    if "maxFailedIndexes" in spec and "backoffLimitPerIndex" not in spec:
        errors.required(path / "backoffLimitPerIndex", "when maxFailedIndexes is specified")
    if "managedBy" in spec:
        domain_prefixed_path(spec["managedBy"], path / "managedBy", errors)
        if len(spec["managedBy"]) > MOST_MANAGED_BY:
            errors.too_long(path / "managedBy", MOST_MANAGED_BY)
    _validate_mode(spec, path, errors)
    if spec.get("podFailurePolicy") is not None:
        _validate_failure_policy(spec, path / "podFailurePolicy", errors)
    policy = spec.get("successPolicy")
    if policy is not None:
        if spec.get("completionMode") != "Indexed":
            errors.invalid(
                path / "successPolicy", go_printed(policy, "batch.v1.SuccessPolicy"), "requires indexed completion mode"
            )
        else:
            _validate_success_policy(policy, spec.get("completions", 0), path / "successPolicy", errors)
    replacement = spec.get("podReplacementPolicy")
    allowed = ("Failed",) if spec.get("podFailurePolicy") is not None else ("Failed", "TerminatingOrFailed")
    if replacement is not None and replacement not in allowed:
        errors.not_supported(path / "podReplacementPolicy", replacement, allowed)
    template = spec.get("template") or {}
    validate_pod_template(template, path / "template", errors)
    _validate_restarts(spec, template.get("spec") or {}, path / "template" / "spec" / "restartPolicy", errors)


def _validate_restarts(spec: Object, pod: Object, path: Path, errors: FieldErrors) -> None:
    restart = pod.get("restartPolicy", "")
    if restart in ("", "Always"):
        errors.required(path, 'valid values: "OnFailure", "Never"')
    elif restart not in ("OnFailure", "Never"):
        errors.not_supported(path, restart, ("OnFailure", "Never"))
    elif spec.get("podFailurePolicy") is not None and restart != "Never":
        errors.invalid(path, restart, 'only "Never" is supported when podFailurePolicy is specified')


def _validate_mode(spec: Object, path: Path, errors: FieldErrors) -> None:
    mode = spec.get("completionMode")
    per_index, most_failed = spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes")
    if mode not in (None, "NonIndexed", "Indexed"):
        errors.not_supported(path / "completionMode", mode, ("NonIndexed", "Indexed"))
    if mode in (None, "NonIndexed"):
        if per_index is not None:
            errors.invalid(path / "backoffLimitPerIndex", per_index, "requires indexed completion mode")
        if most_failed is not None:
            errors.invalid(path / "maxFailedIndexes", most_failed, "requires indexed completion mode")
    if mode != "Indexed":
        return
    completions, parallelism = spec.get("completions"), spec.get("parallelism")
    if completions is None:
        errors.required(path / "completions", "when completion mode is Indexed")
    if parallelism is not None and parallelism > MANY:
        errors.invalid(
            path / "parallelism", parallelism, f"must be less than or equal to {MANY} when completion mode is Indexed"
        )
    if completions is not None and most_failed is not None and most_failed > completions:
        errors.invalid(path / "maxFailedIndexes", most_failed, "must be less than or equal to completions")
    if most_failed is not None and most_failed > MANY:
        errors.invalid(path / "maxFailedIndexes", most_failed, f"must be less than or equal to {MANY}")
    if completions is None or completions <= MANY or per_index is None:
        return
    if most_failed is None:
        errors.required(path / "maxFailedIndexes", f"must be specified when completions is above {MANY}")
    bound = (
        f"must be less than or equal to {FEW} when completions are above {MANY} and used with backoff limit per index"
    )
    for name, value in (("parallelism", parallelism), ("maxFailedIndexes", most_failed)):
        if value is not None and value > FEW:
            errors.invalid(path / name, value, bound)


def _validate_failure_policy(spec: Object, path: Path, errors: FieldErrors) -> None:
    rules = spec["podFailurePolicy"].get("rules") or []
    if len(rules) > MOST_RULES:
        errors.too_many(path / "rules", len(rules), MOST_RULES)
    pod = (spec.get("template") or {}).get("spec") or {}
    containers = {one.get("name") for one in (pod.get("containers") or []) + (pod.get("initContainers") or [])}
    for index, rule in enumerate(rules):
        here = path / "rules" / index
        action = rule.get("action")
        if not action:
            errors.required(here / "action", f"valid values: {_quoted(ACTIONS)}")
        elif action == "FailIndex":
            if "backoffLimitPerIndex" not in spec:
                errors.invalid(here / "action", action, "requires the backoffLimitPerIndex to be set")
        elif action not in ACTIONS:
            errors.not_supported(here / "action", action, ACTIONS)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or []
        if codes is not None:
            _validate_exit_codes(codes, containers, here / "onExitCodes", errors)
        _validate_pod_conditions(conditions, here / "onPodConditions", errors)
        if codes is not None and conditions:
            invalid_whole(here, "specifying both OnExitCodes and OnPodConditions is not supported", errors)
        if codes is None and not conditions:
            invalid_whole(here, "specifying one of OnExitCodes and OnPodConditions is required", errors)


def _validate_exit_codes(rule: Object, containers: set[str], path: Path, errors: FieldErrors) -> None:
    operator = rule.get("operator")
    if not operator:
        errors.required(path / "operator", f"valid values: {_quoted(OPERATORS)}")
    elif operator not in OPERATORS:
        errors.not_supported(path / "operator", operator, OPERATORS)
    if "containerName" in rule and rule["containerName"] not in containers:
        errors.invalid(
            path / "containerName",
            rule["containerName"],
            "must be one of the container or initContainer names in the pod template",
        )
    values = rule.get("values") or []
    if not values:
        errors.invalid(path / "values", rule.get("values"), "at least one value is required")
    elif len(values) > MOST_EXIT_CODES:
        errors.too_many(path / "values", len(values), MOST_EXIT_CODES)
    seen = set()
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            errors.invalid(path / "values" / index, value, "must not be 0 for the In operator")
        if value in seen:
            errors.duplicate(path / "values" / index, value)
        seen.add(value)
    if values != sorted(values):
        errors.invalid(path / "values", values, "must be ordered")


def _validate_pod_conditions(patterns: list[Object], path: Path, errors: FieldErrors) -> None:
    if len(patterns) > MOST_RULES:
        errors.too_many(path, len(patterns), MOST_RULES)
    for index, pattern in enumerate(patterns):
        kind, status = pattern.get("type", ""), pattern.get("status", "")
        errors.messages(path / index / "type", kind, names.qualified_name(kind))
        if not status:
            errors.required(path / index / "status", f"valid values: {_quoted(STATUSES)}")
        elif status not in STATUSES:
            errors.not_supported(path / index / "status", status, STATUSES)


def _validate_success_policy(policy: Object, completions: int, path: Path, errors: FieldErrors) -> None:
    rules = policy.get("rules") or []
    path = path / "rules"
    if not rules:
        errors.required(path, "at least one rules must be specified when the successPolicy is specified")
    if len(rules) > MOST_RULES:
        errors.too_many(path, len(rules), MOST_RULES)
    for index, rule in enumerate(rules):
        needed, listed = rule.get("succeededCount"), rule.get("succeededIndexes")
        if needed is None and listed is None:
            errors.required(path / index, "at least one of succeededCount or succeededIndexes must be specified")
        total = 0
        if listed is not None:
            here = path / index / "succeededIndexes"
            if len(listed) > MOST_INDEXES_TEXT:
                errors.too_long(here, MOST_INDEXES_TEXT)
            try:
                total = indexes.count(listed, completions)
            except ValueError as complaint:
                errors.invalid(here, listed, f"error parsing succeededIndexes: {complaint}")
        if needed is None:
            continue
        here = path / index / "succeededCount"
        non_negative(needed, here, errors)
        bound = "must be less than or equal to"
        if needed > completions:
            errors.invalid(here, needed, f"{bound} {completions} (the number of specified completions)")
        if listed is not None and needed > total:
            where = "(the number of indexes in the specified succeededIndexes field)"
            errors.invalid(here, needed, f"{bound} {total} {where}")


def _quoted(words: tuple[str, ...]) -> str:
    return "[" + " ".join(f'"{word}"' for word in words) + "]"
