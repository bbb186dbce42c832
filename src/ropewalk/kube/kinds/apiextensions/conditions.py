"""The conditions in a definition's status. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.machinery.objects import Object, at

Told = tuple[str, str, str, str]
"""(type, status, reason, message)."""


def with_condition(conditions: Sequence[Object], told: Told, now: str) -> list[Object]:
    """The conditions with this one; its time moves only when its status does."""
    kind, status, reason, message = told
    old = condition_of(conditions, kind)
    moved = old is None or old.get("status") != status
    fresh = {
        "type": kind,
        "status": status,
        "lastTransitionTime": now if moved or old is None else old.get("lastTransitionTime", now),
        "reason": reason,
        "message": message,
    }
    if old is None:
        return [*conditions, fresh]
    return [fresh if condition.get("type") == kind else condition for condition in conditions]


def without_condition(conditions: Sequence[Object], kind: str) -> list[Object]:
    return [condition for condition in conditions if condition.get("type") != kind]


def condition_of(conditions: Sequence[Object], kind: str) -> Object | None:
    return next((condition for condition in conditions if condition.get("type") == kind), None)


def is_true(definition: Object, kind: str) -> bool:
    """Whether a definition's condition holds."""
    found = condition_of(at(definition, "status", "conditions") or (), kind)
    return found is not None and found.get("status") == "True"
