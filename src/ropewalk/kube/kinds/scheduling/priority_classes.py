"""Priority classes: numbers by which pods are scheduled and make room for one another.
https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/#priorityclass
"""

from __future__ import annotations

from ropewalk.kube.kinds.cells import AGE, NAME, field, number
from ropewalk.kube.kinds.checks import immutable
from ropewalk.kube.kinds.scheduling.bootstrap import PRIORITY_CLASSES
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, name_of
from ropewalk.kube.machinery.strategy import Column, Strategy

SYSTEM_PREFIX = "system-"
HIGHEST_OF_USERS = 1_000_000_000
POLICIES = ("PreemptLowerPriority", "Never")
_OF_SYSTEM: dict[str, int] = {name_of(found): found["value"] for found in PRIORITY_CLASSES}


class PriorityClasses(Strategy):
    columns = (
        NAME,
        number("Value", "value"),
        Column("Global-Default", lambda obj, now: bool(obj.get("globalDefault")), type="boolean"),
        AGE,
        field("PreemptionPolicy", "preemptionPolicy"),
    )

    def default(self, obj: Object) -> None:
        obj.setdefault("preemptionPolicy", "PreemptLowerPriority")

    def prepare_create(self, obj: Object) -> None:
        """The generation is said once: nothing that it would count can change."""
        super().prepare_create(obj)
        obj["metadata"]["generation"] = 1

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        name, value = name_of(obj), obj.get("value", 0)
        if name.startswith(SYSTEM_PREFIX):
            if problem := _not_of_system(name, value, bool(obj.get("globalDefault"))):
                errors.forbidden(
                    ROOT / "metadata" / "name",
                    f"priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only."
                    f" error: {problem}",
                )
        elif value > HIGHEST_OF_USERS:
            errors.forbidden(ROOT / "value", f"maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}")
        policy = obj.get("preemptionPolicy")
        if policy == "":
            errors.required(ROOT / "preemptionPolicy")
        elif policy is not None and policy not in POLICIES:
            errors.not_supported(ROOT / "preemptionPolicy", policy, POLICIES)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        if new.get("value", 0) != old.get("value", 0):
            errors.forbidden(ROOT / "value", "may not be changed in an update.")
        immutable(new.get("preemptionPolicy"), old.get("preemptionPolicy"), ROOT / "preemptionPolicy", errors)


def _not_of_system(name: str, value: int, is_default: bool) -> str:
    if name not in _OF_SYSTEM:
        return f"{name} is not a known system priority class"
    if value != _OF_SYSTEM[name]:
        return f"value of {name} PriorityClass must be {_OF_SYSTEM[name]}"
    return f"globalDefault of {name} PriorityClass must be false" if is_default else ""
