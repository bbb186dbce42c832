"""Cron jobs: jobs at times.
https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/
"""

from __future__ import annotations

import re

from ropewalk.kube.kinds.batch import schedules
from ropewalk.kube.kinds.batch.job_spec import default_nested, validate_spec, warnings_of
from ropewalk.kube.kinds.cells import AGE, NAME, field, template_columns, text
from ropewalk.kube.kinds.checks import non_negative, one_of
from ropewalk.kube.kinds.workloads import SPEC, name_warnings
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at, metadata, name_of
from ropewalk.kube.machinery.strategy import Column, Strategy

LONGEST_NAME = 52
"""A job's name is 11 characters longer, and at most 63."""
POLICIES = ("Allow", "Forbid", "Replace")
ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}")
JOB_SPEC = SPEC / "jobTemplate" / "spec"


def _suspended(obj: Object) -> str:
    suspend = at(obj, "spec", "suspend")
    return "<unset>" if suspend is None else str(suspend)


def _last_schedule(obj: Object, now: float) -> str:
    last = at(obj, "status", "lastScheduleTime")
    return times.age(now, last) if last else "<none>"


class CronJobs(Strategy):
    has_status = True
    has_generation = True
    columns = (
        NAME,
        field("Schedule", "spec", "schedule"),
        field("Timezone", "spec", "timeZone", none="<none>"),
        text("Suspend", _suspended),
        Column("Active", lambda obj, now: len(at(obj, "status", "active") or ()), type="integer"),
        Column("Last Schedule", _last_schedule),
        AGE,
        *template_columns(
            "spec", "jobTemplate", "spec", "template", selector=("spec", "jobTemplate", "spec", "selector")
        ),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        default_nested(spec.setdefault("jobTemplate", {}).setdefault("spec", {}))
        spec["concurrencyPolicy"] = spec.get("concurrencyPolicy") or "Allow"
        spec.setdefault("suspend", False)
        spec.setdefault("successfulJobsHistoryLimit", 3)
        spec.setdefault("failedJobsHistoryLimit", 1)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        _validate_spec(obj.get("spec") or {}, None, errors)
        if len(name_of(obj)) > LONGEST_NAME:
            errors.invalid(ROOT / "metadata" / "name", name_of(obj), "must be no more than 52 characters")

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        _validate_spec(new.get("spec") or {}, old.get("spec") or {}, errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        job = at(new, "spec", "jobTemplate", "spec") or {}
        if old is None:
            return name_warnings(new) + warnings_of(job, None, JOB_SPEC)
        found: list[str] = []
        if metadata(new).get("generation") != metadata(old).get("generation"):
            found += warnings_of(job, at(old, "spec", "jobTemplate", "spec") or {}, JOB_SPEC)
        if "TZ" in (at(new, "spec", "schedule") or ""):
            found.append(
                "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see"
                " https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
            )
        return found


def _validate_spec(spec: Object, old: Object | None, errors: FieldErrors) -> None:
    zone = spec.get("timeZone")
    if not spec.get("schedule"):
        errors.required(SPEC / "schedule")
    else:
        _validate_schedule(spec["schedule"], zone, old is not None and "TZ" in old.get("schedule", ""), errors)
    non_negative(spec.get("startingDeadlineSeconds"), SPEC / "startingDeadlineSeconds", errors)
    if zone is not None and (old is None or old.get("timeZone") != zone):
        _validate_time_zone(zone, SPEC / "timeZone", errors)
    one_of(spec.get("concurrencyPolicy"), POLICIES, SPEC / "concurrencyPolicy", errors)
    job = at(spec, "jobTemplate", "spec") or {}
    validate_spec(job, JOB_SPEC, errors)
    if job.get("selector") is not None:
        errors.invalid(JOB_SPEC / "selector", job["selector"], "`selector` will be auto-generated")
    if job.get("manualSelector"):
        errors.not_supported(JOB_SPEC / "manualSelector", True, ("nil", "false"))
    for name in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        non_negative(spec.get(name), SPEC / name, errors)


def _validate_schedule(schedule: str, zone: str | None, had_zone: bool, errors: FieldErrors) -> None:
    path = SPEC / "schedule"
    complaint = schedules.problem(schedule)
    if complaint:
        errors.invalid(path, schedule, complaint)
    if "TZ" not in schedule:
        return
    if not had_zone:
        errors.invalid(path, schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
    elif zone is not None:
        errors.invalid(path, schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule")


def _validate_time_zone(zone: str, path: Path, errors: FieldErrors) -> None:
    if not zone:
        errors.invalid(path, zone, "timeZone must be nil or non-empty string")
        return
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or not ZONE_PART.fullmatch(part):
            errors.invalid(path, zone, f"unknown time zone {zone}")
            return
    if zone.lower() == "local":
        errors.invalid(
            path, zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        )
        return
    complaint = schedules.time_zone_problem(zone)
    if complaint:
        errors.invalid(path, zone, complaint)
