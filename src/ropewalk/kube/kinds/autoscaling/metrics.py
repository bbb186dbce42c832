"""What an autoscaler goes by: the rules of its metrics, and how a table spells them."""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.kinds.checks import path_segments
from ropewalk.kube.kinds.core.resources import check_container_resource
from ropewalk.kube.machinery import names, quantities
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Json, Object, at

SOURCES = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
"""The types, and the fields that describe them."""


def version_problem(api_version: str, *, core: bool) -> str:
    """ "" where nothing is wrong; `core` allows the group that has no name."""
    if api_version.count("/") > 1:
        return f"unexpected GroupVersion string: {api_version}"
    if not core and "/" not in api_version.strip("/"):
        return "apiVersion must specify API group"
    return ""


def validate_reference(reference: Object, path: Path, errors: FieldErrors, complaint: str) -> None:
    """A kind and a name; `complaint` says what is wrong with the version."""
    path_segments(reference, ("kind", "name"), path, errors)
    if complaint:
        errors.invalid(path / "apiVersion", reference.get("apiVersion", ""), complaint)


def validate_metric(metric: Object, path: Path, errors: FieldErrors, *, any_version: bool) -> None:
    kind = metric.get("type", "")
    if not kind:
        errors.required(path / "type", "must specify a metric source type")
    if kind not in SOURCES:
        errors.not_supported(path / "type", kind, sorted(SOURCES))
    present = [name for name in SOURCES.values() if metric.get(name) is not None]
    if present:
        _validate_source(present[0], metric[present[0]], path / present[0], errors, any_version=any_version)
    expected = SOURCES.get(kind)
    if expected is None:
        errors.not_supported(path / "type", kind, sorted(SOURCES))
    elif expected not in present:
        errors.required(path / expected, "must populate information for the given metric source")
    if len(present) != 1:
        for name in present:
            if name != expected:
                errors.forbidden(path / name, "must populate the given metric source only")


def _validate_source(name: str, source: Object, path: Path, errors: FieldErrors, *, any_version: bool) -> None:
    target = source.get("target") or {}
    if name == "object":
        described = source.get("describedObject") or {}
        complaint = "" if any_version else version_problem(described.get("apiVersion", ""), core=True)
        validate_reference(described, path / "describedObject", errors, complaint)
    if name in ("resource", "containerResource"):
        if not source.get("name"):
            errors.required(path / "name", "must specify a resource name")
        elif name == "containerResource":
            check_container_resource(errors, path / "name", source["name"])
        if name == "containerResource":
            _validate_container(source.get("container"), path / "container", errors)
    else:
        _validate_identifier(source.get("metric") or {}, path / "metric", errors)
    path = path / "target"
    _validate_target(target, path, errors)
    value, average, utilization = (target.get(key) for key in ("value", "averageValue", "averageUtilization"))
    if name == "object" and value is None and average is None:
        errors.required(path / "averageValue", "must set either a target value or averageValue")
    elif name == "external" and value is None and average is None:
        errors.required(path / "averageValue", "must set either a target value for metric or a per-pod target")
    elif name == "external" and value is not None and average is not None:
        errors.forbidden(path / "value", "may not set both a target value for metric and a per-pod target")
    elif name == "pods" and average is None:
        errors.required(path / "averageValue", "must specify a positive target averageValue")
    elif name in ("resource", "containerResource"):
        if utilization is None and average is None:
            errors.required(path / "averageUtilization", "must set either a target raw value or a target utilization")
        if utilization is not None and average is not None:
            errors.forbidden(path / "averageValue", "may not set both a target raw value and a target utilization")


def _validate_container(name: str | None, path: Path, errors: FieldErrors) -> None:
    if not name:
        errors.required(path, "must specify a container")
    else:
        errors.messages(path, name, names.dns1123_label(name))


def _validate_identifier(metric: Object, path: Path, errors: FieldErrors) -> None:
    if not metric.get("name"):
        errors.required(path / "name", "must specify a metric name")
    else:
        errors.messages(path / "name", metric["name"], names.path_segment(metric["name"]))


def _validate_target(target: Object, path: Path, errors: FieldErrors) -> None:
    kind = target.get("type", "")
    if not kind:
        errors.required(path / "type", "must specify a metric target type")
    if kind not in ("Utilization", "Value", "AverageValue"):
        errors.invalid(path / "type", kind, "must be either Utilization, Value, or AverageValue")
    for name in ("value", "averageValue"):
        if name in target and quantities.parse(target[name]) <= 0:
            errors.invalid(path / name, target[name], "must be positive")
    if target.get("averageUtilization", 1) < 1:
        errors.invalid(path / "averageUtilization", target["averageUtilization"], "must be greater than 0")


def metrics_text(metrics: Sequence[Object], present: Sequence[Object]) -> str:
    """`cpu: 3%/80%, 1/2 (avg) + 1 more...`"""
    if not metrics:
        return "<none>"
    spelled = [_metric_text(metric, at(list(present), index)) for index, metric in enumerate(metrics)]
    shown = ", ".join(spelled[:2])
    return shown if len(spelled) <= 2 else f"{shown} + {len(spelled) - 2} more..."


def _metric_text(metric: Object, status: Object | None) -> str:
    name = SOURCES.get(metric.get("type", ""))
    if name is None:
        return "<unknown type>"
    source = metric.get(name) or {}
    target = source.get("target") or {}
    known = at(status, name) is not None
    current = at(status, name, "current") or {}
    of_resource = name in ("resource", "containerResource")
    if name == "pods" or "averageValue" in target:
        average = current.get("averageValue")
        if average is None and (not known or name in ("object", "external")):
            average = "<unknown>"
        told = f"{average or 0}/{target.get('averageValue', 0)}"
        if of_resource:
            return f"{source.get('name', '')}: {told}"
        return told if name == "pods" else f"{told} (avg)"
    if of_resource:
        return (
            f"{source.get('name', '')}: {_percent(current.get('averageUtilization'), '<unknown>')}"
            f"/{_percent(target.get('averageUtilization'), '<auto>')}"
        )
    return f"{current.get('value', 0) if known else '<unknown>'}/{target.get('value', 0)}"


def _percent(value: Json, absent: str) -> str:
    return absent if value is None else f"{value}%"
