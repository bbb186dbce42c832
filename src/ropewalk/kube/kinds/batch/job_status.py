"""The rules of a job's status. Other controllers than the built-in one may write it (`managedBy`): those rules hold
every writer to transitions that clients can rely on. A rule is asked only where a field it reads has changed, so that
a status which broke it earlier can still be written.
https://kubernetes.io/docs/concepts/workloads/controllers/job/#terminal-job-conditions
"""

from __future__ import annotations

from ropewalk.kube.kinds.batch import indexes
from ropewalk.kube.kinds.checks import condition_is, invalid_whole, non_negatives, same
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.kinds.workloads import STATUS
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object, at

CONDITIONS = STATUS / "conditions"


def is_finished(status: Object) -> bool:
    return condition_is(status, "Complete") or condition_is(status, "Failed")


class _Comparison:
    """Two statuses of one job: what is set now, and what became different."""

    def __init__(self, new: Object, old: Object) -> None:
        self.spec = new.get("spec") or {}
        self.new = new.get("status") or {}
        self.old = old.get("status") or {}
        self.complete = condition_is(self.new, "Complete")
        self.failed = condition_is(self.new, "Failed")
        self.finished = self.complete or self.failed
        self.indexed = self.spec.get("completionMode") == "Indexed"

    def has(self, condition: str) -> bool:
        return condition_is(self.new, condition)

    def turned(self, *conditions: str) -> bool:
        return any(condition_is(self.new, kind) != condition_is(self.old, kind) for kind in conditions)

    @property
    def turned_finished(self) -> bool:
        return self.finished != is_finished(self.old)

    def changed(self, *fields: str) -> bool:
        return any(not same(self.new.get(name), self.old.get(name)) for name in fields)


def validate_status(new: Object, old: Object, errors: FieldErrors) -> None:
    it = _Comparison(new, old)
    non_negatives(it.new, ("active", "succeeded", "failed", "ready", "terminating"), STATUS, errors)
    _validate_uncounted(it.new.get("uncountedTerminatedPods") or {}, errors)
    _validate_terminal(it, errors)
    _validate_finished(it, errors)
    _validate_indexes(it, errors)
    if it.changed("ready", "active") and "ready" in it.new and it.new["ready"] > it.new.get("active", 0):
        errors.invalid(STATUS / "ready", it.new["ready"], "cannot set more ready pods than active")
    if it.has("SuccessCriteriaMet"):
        for other, spelled in (("Failed", "Failed=true"), ("FailureTarget", "FailureTarget=true")):
            if it.has(other):
                invalid_whole(CONDITIONS, f"cannot set SuccessCriteriaMet=True and {spelled} conditions", errors)
    elif it.complete and it.spec.get("successPolicy") is not None:
        invalid_whole(
            CONDITIONS, "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True", errors
        )


def _validate_uncounted(pods: Object, errors: FieldErrors) -> None:
    seen = set()
    for name in ("succeeded", "failed"):
        for index, uid in enumerate(pods.get(name) or ()):
            path = STATUS / "uncountedTerminatedPods" / name / index
            if not uid:
                errors.invalid(path, uid, "must not be empty")
            elif uid in seen:
                errors.duplicate(path, uid)
            seen.add(uid)


def _validate_terminal(it: _Comparison, errors: FieldErrors) -> None:
    """Conditions against one another and against the times."""
    start, end = it.new.get("startTime"), it.new.get("completionTime")
    path = STATUS / "completionTime"
    if it.turned("Complete", "Failed") and it.complete and it.failed:
        invalid_whole(CONDITIONS, "cannot set Complete=True and Failed=true conditions", errors)
    if it.turned("Complete", "FailureTarget") and it.complete and it.has("FailureTarget"):
        invalid_whole(CONDITIONS, "cannot set Complete=True and FailureTarget=true conditions", errors)
    if it.turned("Complete") or it.changed("completionTime"):
        if end is not None and not it.complete:
            errors.invalid(path, end, "cannot set completionTime when there is no Complete=True condition")
        if end is None and it.complete:
            errors.required(path, "completionTime is required for Complete jobs")
    if it.changed("startTime", "completionTime") and start and end and times.parse(end) < times.parse(start):
        errors.invalid(path, end, "must be equal to or after `startTime`")
    if (it.turned("Failed") or it.changed("failedIndexes")) and it.failed and not it.has("FailureTarget"):
        invalid_whole(CONDITIONS, "cannot set Failed=True condition without the FailureTarget=true condition", errors)
    if it.turned("Complete", "SuccessCriteriaMet") and it.complete and not it.has("SuccessCriteriaMet"):
        invalid_whole(
            CONDITIONS, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition", errors
        )


def _validate_finished(it: _Comparison, errors: FieldErrors) -> None:
    """What a finished job cannot have any more."""
    if not it.finished:
        return
    if (it.turned_finished or it.changed("active")) and it.new.get("active", 0) > 0:
        errors.invalid(STATUS / "active", it.new["active"], "active>0 is invalid for finished job")
    nothing_to_do = it.spec.get("suspend") is True and it.spec.get("completions") == 0
    if (it.turned_finished or it.changed("startTime")) and not nothing_to_do and "startTime" not in it.new:
        errors.required(STATUS / "startTime", "startTime is required for finished job")
    uncounted = it.new.get("uncountedTerminatedPods") or {}
    if (it.turned_finished or it.changed("uncountedTerminatedPods")) and any(uncounted.values()):
        uncounted = go_printed(uncounted, "batch.v1.UncountedTerminatedPods")
        errors.invalid(STATUS / "uncountedTerminatedPods", uncounted, "must be empty for finished job")
    if (it.turned_finished or it.changed("terminating")) and it.new.get("terminating", 0) > 0:
        errors.invalid(STATUS / "terminating", it.new["terminating"], "terminating>0 is invalid for finished job")


def _validate_indexes(it: _Comparison, errors: FieldErrors) -> None:
    completed, failed = it.new.get("completedIndexes", ""), it.new.get("failedIndexes")
    completions = it.spec.get("completions")
    per_index = "backoffLimitPerIndex" in it.spec
    if it.changed("completedIndexes"):
        if completions is not None:
            _validate_count(completed, completions, "completedIndexes", errors)
        if completed and not it.indexed:
            errors.invalid(
                STATUS / "completedIndexes",
                completed,
                "cannot set non-empty completedIndexes when non-indexed completion mode",
            )
    if it.changed("failedIndexes") and failed is not None:
        if completions is not None and per_index:
            _validate_count(failed, completions, "failedIndexes", errors)
        if not per_index:
            errors.invalid(
                STATUS / "failedIndexes", failed, "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
            )
    if it.changed("failedIndexes", "completedIndexes") and completions is not None and failed is not None:
        both = indexes.overlap(completed, failed, completions)
        if both is not None:
            errors.invalid(
                STATUS / "failedIndexes", failed, f"failedIndexes and completedIndexes overlap at index: {both}"
            )


def _validate_count(listed: str, completions: int, name: str, errors: FieldErrors) -> None:
    try:
        indexes.count(listed, completions)
    except ValueError as complaint:
        errors.invalid(STATUS / name, listed, f"error parsing {name}: {complaint}")


def validate_status_change(new: Object, old: Object, errors: FieldErrors) -> None:
    """What may not be taken back."""
    it = _Comparison(new, old)
    for kind in ("Failed", "Complete", "FailureTarget"):
        if condition_is(it.old, kind) and not it.has(kind):
            invalid_whole(CONDITIONS, f"cannot disable the terminal {kind}=True condition", errors)
    if it.new.get("failed", 0) < it.old.get("failed", 0):
        errors.invalid(STATUS / "failed", it.new.get("failed", 0), "cannot decrease the failed counter")
    scalable = it.indexed and it.spec.get("completions") == it.spec.get("parallelism")
    if not scalable and it.new.get("succeeded", 0) < it.old.get("succeeded", 0):
        errors.invalid(STATUS / "succeeded", it.new.get("succeeded", 0), "cannot decrease the succeeded counter")
    end, before = it.new.get("completionTime"), it.old.get("completionTime")
    if end is not None and before is not None and end != before:
        errors.immutable(STATUS / "completionTime", end)
    resuming = condition_is(it.old, "Suspended") and condition_is(it.new, "Suspended", "False")
    if it.changed("startTime") and not resuming and "startTime" in it.old and not at(new, "spec", "suspend"):
        errors.required(STATUS / "startTime", "startTime cannot be removed for unsuspended job")
    met = it.has("SuccessCriteriaMet")
    if condition_is(it.old, "SuccessCriteriaMet") and not met:
        invalid_whole(CONDITIONS, "cannot disable the SuccessCriteriaMet=True condition", errors)
    if condition_is(it.old, "Complete") and not condition_is(it.old, "SuccessCriteriaMet") and met:
        invalid_whole(
            CONDITIONS,
            "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions",
            errors,
        )
