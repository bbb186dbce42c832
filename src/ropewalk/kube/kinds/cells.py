"""Columns of `kubectl get` that many kinds share, and how a cell spells what it shows.
https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables
"""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.kube.machinery import selectors, times
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Json, Object, at, metadata
from ropewalk.kube.machinery.strategy import Column

NAME = Column("Name", lambda obj, now: metadata(obj).get("name", ""), format="name")
AGE = Column("Age", lambda obj, now: times.age(now, metadata(obj).get("creationTimestamp", "")))
CREATED_AT = Column("Created At", lambda obj, now: metadata(obj).get("creationTimestamp"), type="date")
"""Instead of an age where Kubernetes has no table of a kind's own."""


def text(name: str, cell: Callable[[Object], str], priority: int = 0) -> Column:
    return Column(name, lambda obj, now: cell(obj), priority=priority)


def field(name: str, *path: str, none: str = "", priority: int = 0) -> Column:
    """A string as it stands; `none` where it is absent or empty."""
    return Column(name, lambda obj, now: at(obj, *path) or none, priority=priority)


def pointer(name: str, *path: str, none: str) -> Column:
    """A string as it stands, also an empty one; `none` where it is absent."""

    def cell(obj: Object, now: float) -> Json:
        found = at(obj, *path)
        return none if found is None else found

    return Column(name, cell)


def number(name: str, *path: str) -> Column:
    """A whole number; 0 where it is absent."""
    return Column(name, lambda obj, now: at(obj, *path) or 0, type="integer")


def template_columns(*path: str, selector: tuple[str, ...] | None) -> tuple[Column, ...]:
    """The wide columns of what holds a pod template at `path`."""
    wide = [
        text("Containers", lambda obj: _of_containers(obj, path, "name"), 1),
        text("Images", lambda obj: _of_containers(obj, path, "image"), 1),
    ]
    if selector is not None:
        wide.append(text("Selector", lambda obj: selector_text(at(obj, *selector)), 1))
    return tuple(wide)


def _of_containers(obj: Object, path: tuple[str, ...], name: str) -> str:
    return ",".join(container.get(name, "") for container in at(obj, *path, "spec", "containers") or ())


def selector_text(selector: Json) -> str:
    """A LabelSelector: `<none>` where it selects nothing in particular."""
    found = FieldErrors()
    selectors.validate_label_selector(selector, ROOT, found)
    return "<error>" if found else str(selectors.label_selector_of(selector)) or "<none>"


def labels_text(labels: dict[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or "<none>"
