"""What the model demands of a document: required members, bounds, patterns, enumerations, unions.

Parsing has settled the types already. All violations are collected and told in the words of AWS's common front
("1 validation error detected: Value 'x' at 'y' failed to satisfy constraint: …"); EC2 has its own. Plans are compiled
per operation and are empty for the many shapes that the model leaves free.

A pattern that Python's `re` cannot express (Java's \\p classes) is not checked: the slice does, where it matters.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ropewalk.aws.faults import validation_code
from ropewalk.aws.operations import Params
from ropewalk.aws.protocols.forward import Plans
from ropewalk.aws.protocols.protocol import WireProtocol
from ropewalk.aws.specs import OperationSpec, ServiceSpec, Shape
from ropewalk.base.errors import Fault

MAX_REPORTED = 10
MAX_PATTERN_TEXT = 16 * 1024
"""Longer texts are not held against a pattern: a bound on what a hostile one may cost."""


class Violation:
    __slots__ = ("constraint", "missing", "path", "value")

    def __init__(self, path: str, value: str | None, constraint: str, missing: bool = False) -> None:
        self.path = path
        self.value = value
        self.constraint = constraint
        self.missing = missing

    def __str__(self) -> str:
        value = "null " if self.missing else f"'{self.value}' " if self.value is not None else ""
        return f"Value {value}at '{self.path}' failed to satisfy constraint: {self.constraint}"


Check = Callable[[Any, str, list[Violation]], None]
"""Value, where it stands, violations found so far. `Any`: a document value."""


def _free(value: Any, path: str, found: list[Violation]) -> None:
    """The plan of a shape without constraints: callers skip it."""


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # "[[" means to Java what it means to us
            return re.compile(pattern)
    except re.error:
        return None


def _shown(shape: Shape, value: Any) -> str | None:
    """A value as its sender wrote it; None for what has no text of its own (lists, maps, blobs) and for secrets."""
    if shape.traits.get("sensitive") or not isinstance(value, str):
        return None
    return value if len(value) <= 256 else value[:256] + "…"


def _length(shape: Shape) -> list[Check]:
    checks: list[Check] = []
    low, high = shape.traits.get("min"), shape.traits.get("max")
    if low:

        def at_least(value: Any, path: str, found: list[Violation]) -> None:
            if len(value) < low:
                constraint = f"Member must have length greater than or equal to {low}"
                found.append(Violation(path, _shown(shape, value), constraint))

        checks.append(at_least)
    if high is not None:

        def at_most(value: Any, path: str, found: list[Violation]) -> None:
            if len(value) > high:
                constraint = f"Member must have length less than or equal to {high}"
                found.append(Violation(path, _shown(shape, value), constraint))

        checks.append(at_most)
    return checks


def _number(shape: Shape) -> list[Check]:
    low, high = shape.traits.get("min"), shape.traits.get("max")
    if low is None and high is None:
        return []

    def bounded(value: Any, path: str, found: list[Violation]) -> None:
        if low is not None and value < low:
            found.append(Violation(path, str(value), f"Member must have value greater than or equal to {low}"))
        if high is not None and value > high:
            found.append(Violation(path, str(value), f"Member must have value less than or equal to {high}"))

    return [bounded]


def _text(shape: Shape) -> list[Check]:
    checks = _length(shape)
    enum = shape.traits.get("enum")
    if enum:
        allowed = frozenset(enum)
        constraint = f"Member must satisfy enum value set: [{', '.join(sorted(allowed))}]"

        def listed(value: Any, path: str, found: list[Violation]) -> None:
            if value not in allowed:
                found.append(Violation(path, _shown(shape, value), constraint))

        checks.append(listed)
    source = shape.traits.get("pattern")
    pattern = _compiled(source) if source else None
    if pattern is not None:
        wording = f"Member must satisfy regular expression pattern: {source}"

        def matching(value: Any, path: str, found: list[Violation]) -> None:
            if len(value) <= MAX_PATTERN_TEXT and pattern.fullmatch(value) is None:
                found.append(Violation(path, _shown(shape, value), wording))

        checks.append(matching)
    return checks


def _all_of(checks: list[Check]) -> Check:
    if not checks:
        return _free
    if len(checks) == 1:
        return checks[0]

    def every(value: Any, path: str, found: list[Violation]) -> None:
        for check in checks:
            check(value, path, found)

    return every


def _structure(shape: Shape, plan: Callable[[Shape], Check]) -> Check:
    required = shape.required
    inner = {name: check for name, m in shape.members.items() if (check := plan(m)) is not _free}
    union = bool(shape.traits.get("union"))
    if shape.is_document or not (required or inner or union):
        return _free

    def check_structure(value: Any, path: str, found: list[Violation]) -> None:
        prefix = f"{path}." if path else ""
        for name in required:
            if name not in value:
                found.append(Violation(prefix + name, None, "Member must not be null", missing=True))
        if union and len(value) != 1:
            found.append(Violation(path, None, "Exactly one member of the union must be set"))
        for name, check in inner.items():
            if name in value:
                check(value[name], prefix + name, found)

    return check_structure


def _collection(shape: Shape, plan: Callable[[Shape], Check]) -> Check:
    checks = _length(shape)
    if shape.kind == "list":
        element = plan(shape.member)

        def each(value: Any, path: str, found: list[Violation]) -> None:
            for index, item in enumerate(value, 1):
                if len(found) > MAX_REPORTED:
                    return
                element(item, f"{path}.{index}.member", found)

        if element is not _free:
            checks.append(each)
        return _all_of(checks)
    key_check, value_check = plan(shape.key), plan(shape.value)

    def each_entry(value: Any, path: str, found: list[Violation]) -> None:
        for key, item in value.items():
            if len(found) > MAX_REPORTED:
                return
            key_check(key, f"{path}.key", found)
            value_check(item, f"{path}.{key}.member", found)

    if key_check is not _free or value_check is not _free:
        checks.append(each_entry)
    return _all_of(checks)


def _plans() -> Plans[Check]:
    def build(shape: Shape) -> Check:
        if shape.kind == "structure":
            return _structure(shape, plans.plan)
        if shape.kind in ("list", "map"):
            return _collection(shape, plans.plan)
        if shape.kind in ("string", "character"):
            return _all_of(_text(shape))
        if shape.kind == "blob":
            return _all_of(_length(shape))
        if shape.kind in ("integer", "long", "float", "double"):
            return _all_of(_number(shape))
        return _free

    plans: Plans[Check] = Plans(build)
    return plans


def violations(operation: OperationSpec, params: Params) -> list[Violation]:
    check: Check | None = operation.plans.get("validate")
    if check is None:
        check = operation.plans["validate"] = _compile(operation.service, operation.input)
    found: list[Violation] = []
    check(params, "", found)
    return found


def _compile(service: ServiceSpec, shape: Shape | None) -> Check:
    if shape is None:
        return _free
    plans: Plans[Check] | None = service.plans.get("validate")
    if plans is None:
        plans = service.plans["validate"] = _plans()
    return plans.plan(shape)


def validate(operation: OperationSpec, params: Params, wire: WireProtocol) -> None:
    """Raises the service's own `Fault` for a document that the model does not allow."""
    found = violations(operation, params)
    if found:
        service = operation.service.service
        raise _ec2_fault(found[0]) if service == "ec2" else _common_fault(found, validation_code(service, wire))


def _common_fault(found: list[Violation], code: str) -> Fault:
    shown = "; ".join(str(violation) for violation in found[:MAX_REPORTED])
    plural = "" if len(found) == 1 else "s"
    return Fault(code, f"{len(found)} validation error{plural} detected: {shown}")


def _ec2_fault(violation: Violation) -> Fault:
    name = violation.path.rpartition(".")[2]
    if violation.missing:
        return Fault("MissingParameter", f"The request must contain the parameter {name}")
    return Fault(
        "InvalidParameterValue",
        f"Value ({violation.value or ''}) for parameter {violation.path} is invalid. {violation.constraint}.",
    )
