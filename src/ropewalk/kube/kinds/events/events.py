"""Events as `events.k8s.io/v1` takes them: stricter than the old API, which must go on taking what old clients write.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ropewalk.kube.kinds.checks import immutable
from ropewalk.kube.kinds.core.event_rules import COLUMNS, core_field, is_set, selectable, source_of, validate_event
from ropewalk.kube.kinds.events.conversion import to_core
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.strategy import Column, Selectable, Strategy

TYPES = ("Normal", "Warning")
_REFERENCE = "core.v1.ObjectReference"
_FIXED: dict[str, tuple[Json, str]] = {
    "involvedObject": ({}, _REFERENCE),
    "reason": ("", ""),
    "message": ("", ""),
    "source": ({}, "core.v1.EventSource"),
    "firstTimestamp": (None, ""),
    "lastTimestamp": (None, ""),
    "count": (0, ""),
    "type": ("", ""),
    "action": ("", ""),
}
"""What never changes: what an absent field is to Go, and of structs the kind."""


class Events(Strategy):
    allow_create_on_update = True
    columns: ClassVar[tuple[Column, ...]] = tuple(
        Column(
            column.name,
            lambda obj, now, cell=column.cell: cell(to_core(obj), now),  # type: ignore[misc]
            column.type,
            column.format,
            column.description,
            column.priority,
        )
        for column in COLUMNS
    )
    selectable_fields: ClassVar[Mapping[str, Selectable]] = selectable(
        "regarding", "reason", "type", "reportingController"
    )

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        event = to_core(obj)
        validate_event(event, errors, reporting="reportingController")
        _validate_series(event, errors)
        if not is_set(event, "eventTime"):
            errors.required(ROOT / "eventTime")
        kind = event.get("type", "")
        if kind not in TYPES:
            errors.invalid(ROOT / "type", "", f"has invalid value: {kind}")
        for name in ("firstTimestamp", "lastTimestamp", "count"):
            if is_set(event, name):
                errors.invalid(ROOT / name, "", "needs to be unset")
        if source_of(event) != ("", ""):
            errors.invalid(ROOT / "source", "", "needs to be unset")

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        event, before = to_core(new), to_core(old)
        validate_event(event, errors, reporting="reportingController")
        if event.get("series") != before.get("series"):
            _validate_series(event, errors)
        for name, (zero, kind) in _FIXED.items():
            immutable(event.get(name, zero), before.get(name, zero), ROOT / name, errors, kind)
        if _micro(event) != _micro(before):
            immutable(event.get("eventTime"), before.get("eventTime"), ROOT / "eventTime", errors)
        if event.get("related") != before.get("related"):  # none is not an empty one
            errors.immutable(ROOT / "related", go_printed(event.get("related"), _REFERENCE))
        for name in ("reportingController", "reportingInstance"):
            immutable(event.get(core_field(name), ""), before.get(core_field(name)), ROOT / name, errors)


def _validate_series(event: Object, errors: FieldErrors) -> None:
    series = event.get("series")
    if series is None:
        return
    if series.get("count", 0) < 2:
        errors.invalid(ROOT / "series" / "count", "", "should be at least 2")
    if not is_set(series, "lastObservedTime"):
        errors.required(ROOT / "series" / "lastObservedTime")


def _micro(event: Object) -> int:
    """The event's time in whole millionths of a second."""
    try:
        return int(times.parse(event.get("eventTime") or "") * 1_000_000)
    except ValueError:
        return 0
