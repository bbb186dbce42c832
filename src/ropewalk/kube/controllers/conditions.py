"""Conditions in a status: found, set and removed as kube-controller-manager's controllers do it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.machinery.objects import Object


def find(conditions: Sequence[Object] | None, kind: str) -> Object | None:
    return next((each for each in conditions or () if each.get("type") == kind), None)


def without(conditions: Sequence[Object] | None, kind: str) -> list[Object]:
    return [each for each in conditions or () if each.get("type") != kind]


def replaced(conditions: Sequence[Object] | None, new: Object) -> list[Object]:
    """With `new` in the place of its kind, unless one of the same status and reason stands there."""
    present = find(conditions, new["type"])
    if present is not None and (present.get("status"), present.get("reason")) == (new["status"], new["reason"]):
        return list(conditions or ())
    return [*without(conditions, new["type"]), new]
