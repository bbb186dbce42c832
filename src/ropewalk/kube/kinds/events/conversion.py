"""One event, two shapes: `v1` as it is stored, `events.k8s.io/v1` as newer clients write it. Pure; each undoes the
other.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

from ropewalk.kube.machinery.objects import Object

_RENAMED = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_TEXTS = ("reportingComponent", "reportingInstance")
"""Written even where they are empty, but only by `v1`."""
_BACK = {new: old for old, new in _RENAMED.items()}


def from_core(event: Object) -> Object:
    """The stored event as `events.k8s.io/v1` shows it. Shares parts with what is given."""
    found = {_RENAMED.get(name, name): value for name, value in event.items() if value != "" or name not in _TEXTS}
    if "series" in found:
        found["series"] = {"count": 0, **found["series"]}
    return {**found, "apiVersion": "events.k8s.io/v1", "kind": "Event"}


def to_core(event: Object) -> Object:
    """An event of `events.k8s.io/v1` as it is stored."""
    found = {_BACK.get(name, name): value for name, value in event.items()}
    return {**dict.fromkeys(_TEXTS, ""), **found, "apiVersion": "v1", "kind": "Event"}
