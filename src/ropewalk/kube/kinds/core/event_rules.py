"""What every event must be, whichever API it comes through, and how a table shows it.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

from ropewalk.kube.machinery import names, times
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Json, Object, at, metadata, namespace_of
from ropewalk.kube.machinery.strategy import Column, Selectable

LONGEST_REASON, LONGEST_ACTION, LONGEST_INSTANCE, LONGEST_NOTE = 128, 128, 128, 1024


def core_field(name: str) -> str:
    """Kubernetes' internal name of a field → its name in `v1`."""
    return "reportingComponent" if name == "reportingController" else name


def selectable(about: str, *own: str) -> dict[str, Selectable]:
    """What events can be selected by: the fields of the reference `about`, and those of the event itself."""

    def of_reference(name: str) -> Selectable:
        return lambda event: str((event.get(about) or {}).get(name) or "")

    def of_event(name: str) -> Selectable:
        return lambda event: str(event.get(name) or "")

    fields = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
    return {f"{about}.{name}": of_reference(name) for name in fields} | {name: of_event(name) for name in own}


def is_set(event: Object, name: str) -> bool:
    """Neither absent nor the zero of its kind."""
    value = event.get(name)
    return bool(value) and value != "0001-01-01T00:00:00Z"


def source_of(event: Object) -> tuple[str, str]:
    """(component, host) of the old field."""
    source = event.get("source") or {}
    return source.get("component", ""), source.get("host", "")


def validate_event(event: Object, errors: FieldErrors, *, reporting: str) -> None:
    """`event` in the shape of `v1`; `reporting`: what the caller's API calls `reportingComponent`."""
    about = at(event, "involvedObject", "namespace") or ""
    namespace = namespace_of(event)
    mismatch = ROOT / "involvedObject" / "namespace"
    if is_set(event, "eventTime"):
        if not about and namespace not in ("default", "kube-system"):
            errors.invalid(mismatch, about, "does not match event.namespace")
        _validate_new(event, reporting, errors)
    elif (namespace not in ("", "default")) if not about else namespace != about:
        errors.invalid(mismatch, about, "does not match event.namespace")
    errors.messages(ROOT / "namespace", namespace, names.dns1123_subdomain(namespace))


def _validate_new(event: Object, reporting: str, errors: FieldErrors) -> None:
    """An event with a time of its own names its reporter, too."""
    controller = event.get("reportingComponent", "")
    if not controller:
        errors.required(ROOT / reporting)
    errors.messages(ROOT / reporting, controller, names.qualified_name(controller))
    for name, longest in (
        ("reportingInstance", LONGEST_INSTANCE),
        ("action", LONGEST_ACTION),
        ("reason", LONGEST_REASON),
    ):
        value = event.get(name, "")
        if not value:
            errors.required(ROOT / name)
        if len(value.encode()) > longest:
            errors.invalid(ROOT / name, "", f"can have at most {longest} characters")
    if len(event.get("message", "").encode()) > LONGEST_NOTE:
        errors.invalid(ROOT / "message", "", f"can have at most {LONGEST_NOTE} characters")


# --- as a table shows it


def _first_seen(event: Object, now: float) -> str:
    name = "firstTimestamp" if is_set(event, "firstTimestamp") else "eventTime"
    return times.age(now, event.get(name) or "" if is_set(event, name) else "")


def _last_seen(event: Object, now: float) -> str:
    if (series := event.get("series")) is not None:
        return times.age(now, series.get("lastObservedTime") or "")
    if is_set(event, "lastTimestamp"):
        return times.age(now, event["lastTimestamp"])
    return _first_seen(event, now)


def _count(event: Object, now: float) -> int:
    if (series := event.get("series")) is not None:
        return int(series.get("count", 0))
    return int(event.get("count") or 1)


def _target(event: Object, now: float) -> str:
    about = event.get("involvedObject") or {}
    kind, name = about.get("kind", "").lower(), about.get("name", "")
    return f"{kind}/{name}" if name else kind


def _source(event: Object, now: float) -> str:
    component, host = source_of(event)
    component, host = component or event.get("reportingComponent", ""), host or event.get("reportingInstance", "")
    return f"{component}, {host}" if host else component


def _own(name: str) -> Column:
    def cell(event: Object, now: float) -> Json:
        return event.get(name, "")

    return Column(name.capitalize(), cell)


COLUMNS = (
    Column("Last Seen", _last_seen),
    _own("type"),
    _own("reason"),
    Column("Object", _target),
    Column("Subobject", lambda event, now: at(event, "involvedObject", "fieldPath") or "", priority=1),
    Column("Source", _source, priority=1),
    Column("Message", lambda event, now: event.get("message", "").strip()),
    Column("First Seen", _first_seen, priority=1),
    Column("Count", _count, priority=1),
    Column("Name", lambda event, now: metadata(event).get("name", ""), format="name", priority=1),
)
