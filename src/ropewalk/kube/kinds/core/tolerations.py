"""Tolerations: their rules, and what they tolerate. https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ropewalk.kube.kinds.core.checks import label_value_problems, qualified_problems
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


@dataclass(frozen=True, slots=True)
class Toleration:
    key: str
    """"" tolerates every key."""
    exists: bool
    """Whatever the taint's value."""
    value: str
    effect: str
    """"" tolerates every effect."""

    def tolerates(self, key: str, value: str, effect: str) -> bool:
        return (
            (not self.effect or self.effect == effect)
            and (not self.key or self.key == key)
            and (self.exists or self.value == value)
        )


def toleration_of(given: Object) -> Toleration:
    return Toleration(
        given.get("key", ""), given.get("operator") == "Exists", given.get("value", ""), given.get("effect", "")
    )


def validate_tolerations(tolerations: Sequence[Object], path: Path, errors: FieldErrors) -> None:
    for index, toleration in enumerate(tolerations):
        _validate_toleration(toleration, path, index, errors)


def _validate_toleration(toleration: Object, path: Path, index: int, errors: FieldErrors) -> None:
    get = toleration.get
    key, operator, value, effect = get("key", ""), get("operator", ""), get("value", ""), get("effect", "")
    if key and (problems := qualified_problems(key)):
        errors.messages(path / index / "key", key, problems)
    if not key and operator != "Exists":
        text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        errors.invalid(path / index / "operator", operator, text)
    if get("tolerationSeconds") is not None and effect != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.invalid(path / index / "effect", effect, text)
    if operator in ("Equal", ""):
        if value and (problems := label_value_problems(value)):
            errors.invalid(path / index / "operator", value, ";".join(problems))
    elif operator == "Exists":
        if value:
            text = "value must be empty when `operator` is 'Exists'"
            errors.invalid(path / index / "operator", value, text)
    else:
        # Lt and Gt wait for TaintTolerationComparisonOperators, off in 1.35; the answer names them all the same.
        known = ("Equal", "Exists", "Lt", "Gt") if operator in ("Lt", "Gt") else ("Equal", "Exists")
        errors.not_supported(path / index / "operator", operator, known)
    if effect and effect not in TAINT_EFFECTS:
        errors.not_supported(path / index / "effect", effect, TAINT_EFFECTS)


def check_only_added(new: Sequence[Object], old: Sequence[Object], path: Path, errors: FieldErrors) -> None:
    """Of a pod's update: a toleration that is there stays; only how long it tolerates may change."""
    kept = [_without_seconds(toleration) for toleration in new]
    if any(_without_seconds(toleration) not in kept for toleration in old):
        errors.forbidden(path, "existing toleration can not be modified except its tolerationSeconds")
    else:
        validate_tolerations(new, path, errors)


def _without_seconds(toleration: Object) -> Object:
    return {name: value for name, value in toleration.items() if value != "" and name != "tolerationSeconds"}
