"""Jobs: pods that run to completion. The selector and the labels it asks for are the server's own work, unless
`manualSelector` says otherwise; the rules of a status stand in `job_status`.
https://kubernetes.io/docs/concepts/workloads/controllers/job/
"""

from __future__ import annotations

from typing import ClassVar

from ropewalk.kube.kinds.batch.job_spec import default_job, validate_spec, warnings_of
from ropewalk.kube.kinds.batch.job_status import validate_status, validate_status_change
from ropewalk.kube.kinds.cells import AGE, NAME, template_columns, text
from ropewalk.kube.kinds.checks import condition_is, immutable, same
from ropewalk.kube.kinds.workloads import SPEC, TEMPLATE, name_warnings, parsed_selector, validate_labels_match
from ropewalk.kube.machinery import names, selectors, times
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, at, copied, labels_of, metadata, name_of, uid_of
from ropewalk.kube.machinery.strategy import Column, Strategy

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
OLD_CONTROLLER_UID = "controller-uid"
OLD_JOB_NAME = "job-name"
_FIXED = {
    "completionMode": "",
    "podFailurePolicy": "batch.v1.PodFailurePolicy",
    "backoffLimitPerIndex": "",
    "managedBy": "",
    "successPolicy": "batch.v1.SuccessPolicy",
}
"""Fields of the spec that never change, with the kinds of those that are structs."""


def _status(job: Object) -> str:
    status = job.get("status") or {}
    for kind, word in (("Complete", "Complete"), ("Failed", "Failed")):
        if condition_is(status, kind):
            return word
    if metadata(job).get("deletionTimestamp"):
        return "Terminating"
    for kind, word in (("Suspended", "Suspended"), ("FailureTarget", ""), ("SuccessCriteriaMet", "")):
        if condition_is(status, kind):
            return word or kind
    return "Running"


def _completions(job: Object) -> str:
    spec, done = job.get("spec") or {}, at(job, "status", "succeeded") or 0
    if "completions" in spec:
        return f"{done}/{spec['completions']}"
    many = spec.get("parallelism", 0)
    return f"{done}/1 of {many}" if many > 1 else f"{done}/1"


def _duration(job: Object, now: float) -> str:
    status = job.get("status") or {}
    start, end = status.get("startTime"), status.get("completionTime")
    if not start:
        return ""
    return times.age(times.parse(end) if end else now, start)


class Jobs(Strategy):
    has_status = True
    has_generation = True
    default_propagation = "Orphan"
    """batch/v1 orphans its pods unless asked otherwise; kubectl asks otherwise."""
    selectable_fields: ClassVar = {"status.successful": lambda obj: str(at(obj, "status", "succeeded") or 0)}
    columns = (
        NAME,
        text("Status", _status),
        text("Completions", _completions),
        Column("Duration", _duration),
        AGE,
        *template_columns("spec", "template", selector=("spec", "selector")),
    )

    def unselectable(self, field: str) -> str:
        return f'field label "{field}" not supported for Job'

    def default(self, obj: Object) -> None:
        default_job(obj)

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        if not at(obj, "spec", "manualSelector"):
            _generate_selector(obj)
        obj["metadata"]["labels"] = metadata(obj).get("labels") or dict(labels_of(obj["spec"]["template"]))

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        self._validate(obj, errors, prefixed=True)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        labels = at(old, "spec", "template", "metadata", "labels") or {}
        self._validate(new, errors, prefixed=JOB_NAME in labels and CONTROLLER_UID in labels)
        spec, before = new.get("spec") or {}, old.get("spec") or {}
        _validate_completions(spec, before, errors)
        immutable(spec.get("selector"), before.get("selector"), SPEC / "selector", errors)
        unstarted = before.get("suspend") and at(old, "status", "startTime") is None
        template = _with_directives(before, spec) if unstarted else before.get("template")
        immutable(spec.get("template") or {}, template, TEMPLATE, errors, "core.v1.PodTemplateSpec")
        for name, kind in _FIXED.items():
            immutable(spec.get(name), before.get(name), SPEC / name, errors, kind)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        validate_status(new, old, errors)
        validate_status_change(new, old, errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        if old is None:
            return name_warnings(new) + warnings_of(new.get("spec") or {}, None, SPEC)
        if metadata(new).get("generation") == metadata(old).get("generation"):
            return []
        return warnings_of(new.get("spec") or {}, old.get("spec") or {}, SPEC)

    def _validate(self, job: Object, errors: FieldErrors, *, prefixed: bool) -> None:
        spec = job.get("spec") or {}
        _validate_generated(job, errors, prefixed=prefixed)
        validate_spec(spec, SPEC, errors)
        if spec.get("selector") is None:
            errors.required(SPEC / "selector")
        else:
            selectors.validate_label_selector(spec["selector"], SPEC / "selector", errors)
        selector = parsed_selector(spec, SPEC, FieldErrors(), "")
        if selector is not None:
            validate_labels_match(selector, spec.get("template") or {}, TEMPLATE, errors)
        completions = spec.get("completions", 0)
        if spec.get("completionMode") == "Indexed" and completions > 0:
            longest = f"{name_of(job)}-{completions - 1}"
            if names.dns1123_label(longest):
                errors.invalid(
                    ROOT / "metadata" / "name",
                    name_of(job),
                    f"will not able to create pod with invalid DNS label: {longest}",
                )


def _generate_selector(job: Object) -> None:
    """A selector of its own for every job, and the labels for it on the template. What the user set in their place
    stays, and fails validation.
    """
    labels = job["spec"].setdefault("template", {}).setdefault("metadata", {}).setdefault("labels", {})
    for key in (OLD_JOB_NAME, JOB_NAME):
        labels.setdefault(key, name_of(job))
    for key in (OLD_CONTROLLER_UID, CONTROLLER_UID):
        labels.setdefault(key, uid_of(job))
    selector = job["spec"].setdefault("selector", {})
    selector.setdefault("matchLabels", {}).setdefault(CONTROLLER_UID, uid_of(job))


def _validate_generated(job: Object, errors: FieldErrors, *, prefixed: bool) -> None:
    """That nothing was set in place of what `_generate_selector` sets."""
    spec = job.get("spec") or {}
    if spec.get("manualSelector") or spec.get("selector") is None:
        return
    if not uid_of(job):
        errors.required(ROOT / "metadata" / "uid")
    expected = {OLD_CONTROLLER_UID: uid_of(job), OLD_JOB_NAME: name_of(job)}
    if prefixed:
        expected |= {CONTROLLER_UID: uid_of(job), JOB_NAME: name_of(job)}
    labels = metadata(spec.get("template") or {}).get("labels") or {}
    for key, value in expected.items():
        path = (TEMPLATE / "metadata" / "labels").key(key)
        if key not in labels:
            errors.required(path, f"must be '{value}'")
        elif labels[key] != value:
            errors.invalid(path, labels, f"must be '{value}'")
    selector = parsed_selector(spec, SPEC, FieldErrors(), "")
    if selector is not None and not selector.matches(expected):
        errors.invalid(SPEC / "selector", spec["selector"], "`selector` not auto-generated")


def _validate_completions(spec: Object, before: Object, errors: FieldErrors) -> None:
    """An indexed job can be scaled, with its parallelism."""
    completions = spec.get("completions")
    path = SPEC / "completions"
    if spec.get("completionMode") != "Indexed":
        immutable(completions, before.get("completions"), path, errors)
    elif completions not in (None, before.get("completions"), spec.get("parallelism")):
        errors.invalid(path, completions, "can only be modified in tandem with spec.parallelism")


def _with_directives(before: Object, spec: Object) -> Object:
    """The old template with the new one's scheduling directives: those may change until the job first starts."""
    template: Object = copied(before.get("template") or {})
    changed = spec.get("template") or {}
    pod, wanted = template.setdefault("spec", {}), changed.get("spec") or {}
    for name in ("nodeSelector", "tolerations", "schedulingGates"):
        pod[name] = wanted.get(name)
    template["metadata"] = {
        **metadata(template),
        "labels": metadata(changed).get("labels"),
        "annotations": metadata(changed).get("annotations"),
    }
    affinity, wish = pod.get("affinity"), wanted.get("affinity")
    if affinity is not None or wish is not None:
        pod["affinity"] = {**(affinity or {}), "nodeAffinity": (wish or {}).get("nodeAffinity")}
        if wish is None and same(pod["affinity"], {}):
            pod["affinity"] = None
    return template
