"""CEL's values in Python, and what all of them share: types, equality, order.

JSON values are themselves, so that an object costs nothing to pass in: null is None, int is int, double is float, maps
are dictionaries. What Python lacks stands here. Times keep microseconds (CEL's own keep nanoseconds).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

Value: TypeAlias = Any
"""A value of CEL. `Any`: expressions over objects without schema are typed at run time."""


class EvaluationError(Exception):
    """An expression has no value: a key that is missing, an overload that does not exist, a division by zero."""


class CostExceeded(Exception):
    """The expression was stopped: it cost more than it may."""


class UInt(int):
    """CEL's unsigned integer."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class TypeValue:
    """What `type(x)` gives, and what `int`, `string` mean where they stand alone."""

    name: str


@dataclass(frozen=True, slots=True)
class Optional:
    """`optional.of(x)`, `a.?b`."""

    present: bool
    value: Value = None


NONE = Optional(False)


class Opaque:
    """A value with functions of its own (quantity, url, …). Subclasses say their type's name."""

    __slots__ = ()
    type_name = ""


class Message(dict[str, Any]):
    """A message written in an expression (`JSONPatch{…}`, `Object.spec{…}`): its fields, and what it is called."""

    __slots__ = ("type_name",)

    def __init__(self, type_name: str, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self.type_name = type_name


INT_MIN, INT_MAX, UINT_MAX = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1

_NAMES = {
    type(None): "null_type",
    bool: "bool",
    int: "int",
    UInt: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
    datetime: "google.protobuf.Timestamp",
    timedelta: "google.protobuf.Duration",
    TypeValue: "type",
    Optional: "optional_type",
}


def type_name(value: Value) -> str:
    found = _NAMES.get(type(value))
    if found is None:
        found = getattr(value, "type_name", "") or type(value).__name__
    return found


def no_overload() -> EvaluationError:
    return EvaluationError("no such overload")


def no_key(key: Value) -> EvaluationError:
    return EvaluationError(f"no such key: {key}")


def is_number(value: Value) -> bool:
    return type(value) in (int, UInt, float)


def equal(left: Value, right: Value) -> bool:
    """CEL's equality: numbers compare across types, everything else only with its own kind."""
    kind = type(left)
    if kind is str or kind is bool or kind is bytes:
        return type(right) is kind and bool(left == right)
    if is_number(left):
        return is_number(right) and bool(left == right)
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and len(left) == len(right)
            and all(key in right and equal(value, right[key]) for key, value in left.items())
        )
    if kind is list:
        return type(right) is list and len(left) == len(right) and all(map(equal, left, right))
    if kind is Optional:
        return type(right) is Optional and left.present == right.present and equal(left.value, right.value)
    return type(right) is kind and bool(left == right)


def contains(values: list[Value], wanted: Value) -> bool:
    if type(wanted) is str:
        return wanted in values
    return any(equal(value, wanted) for value in values)


_ORDERED = (bool, str, bytes, datetime, timedelta)


def ordered(left: Value, right: Value) -> None:
    """Refuses what has no order."""
    if not (is_number(left) and is_number(right)) and not (type(left) is type(right) and type(left) in _ORDERED):
        raise no_overload()


def size_of(value: Value) -> int:
    """What an operation that looks at all of a value must look at: characters, bytes, elements; 1 for the rest."""
    if isinstance(value, (str, bytes, list, dict)):
        return len(value)
    return 1
