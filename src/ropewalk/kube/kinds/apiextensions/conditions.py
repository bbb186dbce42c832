"""The conditions in a definition's status. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.machinery.conditions import find, settled
from ropewalk.kube.machinery.objects import Object, at

Told = tuple[str, str, str, str]
"""(type, status, reason, message)."""


def with_condition(conditions: Sequence[Object], told: Told, now: str) -> list[Object]:
    """The conditions with this one; its time moves only when its status does."""
    kind, status, reason, message = told
    wanted = {"type": kind, "status": status, "lastTransitionTime": now, "reason": reason, "message": message}
    return settled(conditions, wanted, now)


def is_true(definition: Object, kind: str) -> bool:
    """Whether a definition's condition holds."""
    found = find(at(definition, "status", "conditions"), kind)
    return found is not None and found.get("status") == "True"
