"""Conditions in a status: found, set and removed. Pure.

The rules of `metav1.Condition` are `kinds.conditions`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.machinery.objects import Object


def find(conditions: Sequence[Object] | None, kind: str) -> Object | None:
    return next((each for each in conditions or () if each.get("type") == kind), None)


def without(conditions: Sequence[Object] | None, kind: str) -> list[Object]:
    return [each for each in conditions or () if each.get("type") != kind]


def settled(conditions: Sequence[Object] | None, wanted: Object, now: str) -> list[Object]:
    """With this one in the place of its kind, else at the end; its time moves only when its status does."""
    present = find(conditions, wanted["type"])
    same = present is not None and present.get("status") == wanted["status"]
    kept = present.get("lastTransitionTime") if present is not None and same else None
    fresh = {**wanted, "lastTransitionTime": kept or now}
    if present is None:
        return [*(conditions or ()), fresh]
    return [fresh if each is present else each for each in conditions or ()]


def replaced(conditions: Sequence[Object] | None, new: Object) -> list[Object]:
    """As kube-controller-manager's controllers do it: with `new` at the end, unless one of its kind, status and reason
    is there.
    """
    present = find(conditions, new["type"])
    if present is not None and (present.get("status"), present.get("reason")) == (new["status"], new["reason"]):
        return list(conditions or ())
    return [*without(conditions, new["type"]), new]
