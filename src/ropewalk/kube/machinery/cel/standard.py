"""CEL's standard functions and operators, and those of optional values.
https://github.com/google/cel-spec/blob/master/doc/langdef.md#list-of-standard-definitions
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from ropewalk.kube.machinery.cel.functions import both, every_element, function, matching, method, traversal
from ropewalk.kube.machinery.cel.values import (
    INT_MAX,
    INT_MIN,
    NONE,
    UINT_MAX,
    EvaluationError,
    Optional,
    TypeValue,
    UInt,
    Value,
    contains,
    is_number,
    no_key,
    no_overload,
    ordered,
    type_name,
)
from ropewalk.kube.machinery.patterns import pattern


def _int(value: int) -> int:
    if not INT_MIN <= value <= INT_MAX:
        raise EvaluationError("integer overflow")
    return value


def _uint(value: int) -> UInt:
    if not 0 <= value <= UINT_MAX:
        raise EvaluationError("unsigned integer overflow")
    return UInt(value)


# --- arithmetic


def _arithmetic(left: Value, right: Value, operate: Callable[[Value, Value], Value]) -> Value:
    kind = type(left)
    if kind is not type(right):
        raise no_overload()
    if kind is int:
        return _int(operate(left, right))
    if kind is UInt:
        return _uint(operate(int(left), int(right)))
    if kind is float:
        return operate(left, right)
    raise no_overload()


@function("_+_", "dyn dyn -> dyn", standard=True, cost=both)
def add(left: Value, right: Value) -> Value:
    kind = type(left)
    if kind is type(right) and kind in (str, bytes, list, timedelta):
        return left + right
    if {kind, type(right)} == {datetime, timedelta}:
        return left + right
    return _arithmetic(left, right, lambda a, b: a + b)


@function("_-_", "dyn dyn -> dyn", standard=True)
def subtract(left: Value, right: Value) -> Value:
    if type(left) in (datetime, timedelta) and type(right) in (datetime, timedelta):
        return left - right
    return _arithmetic(left, right, lambda a, b: a - b)


@function("_*_", "dyn dyn -> dyn", standard=True)
def multiply(left: Value, right: Value) -> Value:
    return _arithmetic(left, right, lambda a, b: a * b)


@function("_/_", "dyn dyn -> dyn", standard=True)
def divide(left: Value, right: Value) -> Value:
    if type(left) is float and type(right) is float:
        if right == 0:
            return (
                math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1, right)
            )
        return left / right
    if type(right) in (int, UInt) and right == 0:
        raise EvaluationError("division by zero")
    return _arithmetic(left, right, _truncated)


@function("_%_", "dyn dyn -> dyn", standard=True)
def modulo(left: Value, right: Value) -> Value:
    if type(left) is float or type(right) is float:
        raise no_overload()
    if type(right) in (int, UInt) and right == 0:
        raise EvaluationError("modulus by zero")
    return _arithmetic(left, right, lambda a, b: a - b * _truncated(a, b))


def _truncated(left: int, right: int) -> int:
    """Division towards zero."""
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


@function("-_", "dyn -> dyn", standard=True)
def negate(value: Value) -> Value:
    if type(value) is int:
        return _int(-value)
    if type(value) in (float, timedelta):
        return -value
    raise no_overload()


@function("!_", "bool -> bool", standard=True)
def invert(value: bool) -> bool:
    return not value


@function("@not_strictly_false", "dyn -> bool", standard=True)
def not_strictly_false(value: Value) -> bool:
    return value is not False


# --- order and membership


@function("_<_", "dyn dyn -> bool", standard=True)
def less(left: Value, right: Value) -> bool:
    ordered(left, right)
    return bool(left < right)


@function("_<=_", "dyn dyn -> bool", standard=True)
def less_or_equal(left: Value, right: Value) -> bool:
    ordered(left, right)
    return bool(left <= right)


@function("_>_", "dyn dyn -> bool", standard=True)
def greater(left: Value, right: Value) -> bool:
    ordered(left, right)
    return bool(left > right)


@function("_>=_", "dyn dyn -> bool", standard=True)
def greater_or_equal(left: Value, right: Value) -> bool:
    ordered(left, right)
    return bool(left >= right)


@function("@in", "dyn list -> bool", standard=True, cost=lambda given: 1 + len(given[1]))
def in_list(value: Value, values: list[Value]) -> bool:
    return contains(values, value)


@function("@in", "dyn map -> bool", standard=True)
def in_map(key: Value, values: dict[Value, Value]) -> bool:
    return type(key) in (str, int, UInt, bool) and key in values


@function("_[_]", "dyn dyn -> dyn", standard=True)
def index(container: Value, key: Value) -> Value:
    if type(container) is list:
        if not is_number(key) or key != int(key):
            raise no_overload()
        if not 0 <= key < len(container):
            raise EvaluationError(f"index out of bounds: {int(key)}")
        return container[int(key)]
    if isinstance(container, dict):
        if type(key) is float and key == int(key):
            key = int(key)
        if type(key) not in (str, int, UInt, bool) or key not in container:
            raise no_key(key)
        resolve = getattr(container, "resolve", None)
        return resolve(key) if resolve else container[key]
    if type(container) is Optional:
        return Optional(True, index(container.value, key)) if container.present else NONE
    raise no_overload()


# --- sizes and texts


@function("size", "string -> int", "bytes -> int", "list -> int", "map -> int", standard=True)
@method("size", "string -> int", "bytes -> int", "list -> int", "map -> int", standard=True)
def size(value: Value) -> int:
    return len(value)


@method("contains", "string string -> bool", standard=True, cost=both)
def holds(text: str, part: str) -> bool:
    return part in text


@method("startsWith", "string string -> bool", standard=True, cost=traversal(argument=1))
def starts_with(text: str, part: str) -> bool:
    return text.startswith(part)


@method("endsWith", "string string -> bool", standard=True, cost=traversal(argument=1))
def ends_with(text: str, part: str) -> bool:
    return text.endswith(part)


@function("matches", "string string -> bool", standard=True, cost=matching)
@method("matches", "string string -> bool", standard=True, cost=matching)
def matches(text: str, expression: str) -> bool:
    return compiled(expression).search(text) is not None


def compiled(text: str) -> Value:
    """A regular expression (RE2: linear in what it reads)."""
    try:
        return pattern(text)
    except ValueError as error:
        raise EvaluationError(str(error)) from None


# --- conversions


def _unconverted(kind: str) -> EvaluationError:
    return EvaluationError(f"type conversion error from 'string' to '{kind}'")


@function("dyn", "dyn -> dyn", standard=True)
def dyn(value: Value) -> Value:
    return value


@function("type", "dyn -> type", standard=True)
def type_of(value: Value) -> TypeValue:
    return TypeValue(type_name(value))


@function("int", "dyn -> int", standard=True)
def to_int(value: Value) -> int:
    if type(value) in (int, UInt):
        return _int(int(value))
    if type(value) is float:
        if math.isnan(value) or math.isinf(value):
            raise EvaluationError("integer overflow")
        return _int(int(value))
    if type(value) is str:
        if not re.fullmatch(r"[+-]?\d{1,20}", value, re.ASCII):
            raise _unconverted("int")
        return _int(int(value))
    if type(value) is datetime:
        return int(value.timestamp())
    if type(value) is timedelta:
        return value // timedelta(microseconds=1) * 1000
    raise no_overload()


@function("uint", "dyn -> uint", standard=True)
def to_uint(value: Value) -> UInt:
    if type(value) is str and not re.fullmatch(r"\d{1,20}", value, re.ASCII):
        raise _unconverted("uint")
    if type(value) is float and (math.isnan(value) or math.isinf(value)):
        raise EvaluationError("unsigned integer overflow")
    if is_number(value) or type(value) is str:
        return _uint(int(value))
    raise no_overload()


@function("double", "dyn -> double", standard=True)
def to_double(value: Value) -> float:
    if is_number(value):
        return float(value)
    if type(value) is str:
        try:
            return float(value)
        except ValueError:
            raise _unconverted("double") from None
    raise no_overload()


@function("string", "dyn -> string", cost=traversal())
def to_string(value: Value) -> str:
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind in (int, UInt):
        return str(int(value))
    if kind is float:
        return double_text(value)
    if kind is bytes:
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            raise EvaluationError("invalid UTF-8 in bytes, cannot convert to string") from None
    if kind is datetime:
        return timestamp_text(value)
    if kind is timedelta:
        return duration_text(value)
    text = getattr(value, "text", None)
    if text is not None:
        return str(text())
    raise no_overload()


def double_text(value: float) -> str:
    """As Go's `%g` prints it."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


@function("bytes", "string -> bytes", "bytes -> bytes", standard=True, cost=traversal())
def to_bytes(value: Value) -> bytes:
    return value.encode() if type(value) is str else value


@function("bool", "bool -> bool", "string -> bool", standard=True)
def to_bool(value: Value) -> bool:
    if type(value) is bool:
        return value
    if value in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if value in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise _unconverted("bool")


# --- time

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"[+-]?(?:\d+(?:\.\d*)?(?:ns|us|µs|ms|s|m|h))+|[+-]?0")
_PART = re.compile(r"(\d+(?:\.\d*)?)(ns|us|µs|ms|s|m|h)")


@function("duration", "string -> duration", "duration -> duration", "int -> duration", standard=True, cost=traversal())
def duration(value: Value) -> timedelta:
    if type(value) is timedelta:
        return value
    if type(value) is int:
        return timedelta(microseconds=value / 1000)
    if not _DURATION.fullmatch(value):
        raise _unconverted("google.protobuf.Duration")
    seconds = sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(value))
    if seconds > 9_223_372_036:
        raise _unconverted("google.protobuf.Duration")
    return timedelta(seconds=-seconds if value.startswith("-") else seconds)


def duration_text(value: timedelta) -> str:
    seconds = value.total_seconds()
    return f"{int(seconds)}s" if seconds == int(seconds) else f"{seconds:.9f}".rstrip("0") + "s"


_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")


@function(
    "timestamp", "string -> timestamp", "timestamp -> timestamp", "int -> timestamp", standard=True, cost=traversal()
)
def timestamp(value: Value) -> datetime:
    if type(value) is datetime:
        return value
    try:
        if type(value) is int:
            return datetime.fromtimestamp(value, UTC)
        if found := _TIMESTAMP.fullmatch(value):
            whole, fraction, zone = found.groups()
            fraction = (fraction or ".0")[:7]
            return datetime.fromisoformat(whole + fraction.ljust(7, "0") + zone.replace("Z", "+00:00")).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise _unconverted("google.protobuf.Timestamp")


def timestamp_text(value: datetime) -> str:
    text = value.astimezone(UTC).isoformat().replace("+00:00", "")
    return (text.rstrip("0") if "." in text else text) + "Z"


def _zoned(value: datetime, zone: str) -> datetime:
    if found := re.fullmatch(r"([+-]?)(\d\d):(\d\d)", zone):
        offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
        return value.astimezone(timezone(-offset if found[1] == "-" else offset))
    try:
        return value.astimezone(ZoneInfo(zone))
    except (KeyError, ValueError, OSError):
        raise EvaluationError(f"unknown time zone {zone}") from None


def _getter(name: str, read: Callable[[datetime], int], length: Callable[[timedelta], int] | None = None) -> None:
    def get(value: Value, zone: str = "UTC") -> int:
        if type(value) is timedelta and length is not None:
            return length(value)
        return read(_zoned(value, zone))

    signatures = ["timestamp -> int", *(["duration -> int"] if length else ())]
    method(name, *signatures, standard=True)(get)
    method(name, "timestamp string -> int", standard=True)(get)


_getter("getFullYear", lambda at: at.year)
_getter("getMonth", lambda at: at.month - 1)
_getter("getDate", lambda at: at.day)
_getter("getDayOfMonth", lambda at: at.day - 1)
_getter("getDayOfWeek", lambda at: at.isoweekday() % 7)
_getter("getDayOfYear", lambda at: at.timetuple().tm_yday - 1)
_getter("getHours", lambda at: at.hour, lambda span: int(span.total_seconds() // 3600))
_getter("getMinutes", lambda at: at.minute, lambda span: int(span.total_seconds() // 60))
_getter("getSeconds", lambda at: at.second, lambda span: int(span.total_seconds()))
_getter("getMilliseconds", lambda at: at.microsecond // 1000, lambda span: int(span.total_seconds() * 1000) % 1000)


# --- optional values


@function("optional.of", "dyn -> optional(dyn)", standard=True)
def optional_of(value: Value) -> Optional:
    return Optional(True, value)


@function("optional.none", " -> optional(dyn)", standard=True)
def optional_none() -> Optional:
    return NONE


@function("optional.ofNonZeroValue", "dyn -> optional(dyn)", standard=True)
def optional_of_non_zero(value: Value) -> Optional:
    return Optional(True, value) if value or type(value) is datetime else NONE


@method("hasValue", "optional -> bool", standard=True)
def has_value(value: Optional) -> bool:
    return value.present


@method("value", "optional -> dyn", standard=True)
def value_of(value: Optional) -> Value:
    if not value.present:
        raise EvaluationError("optional.none() dereference")
    return value.value


@method("or", "optional optional -> optional(dyn)", standard=True)
def or_optional(value: Optional, other: Optional) -> Optional:
    return value if value.present else other


@method("orValue", "optional dyn -> dyn", standard=True)
def or_value(value: Optional, other: Value) -> Value:
    return value.value if value.present else other


# --- what two-variable macros need


@function("cel.@mapInsert", "map dyn dyn -> map", standard=True)
def insert(values: dict[Value, Value], key: Value, value: Value) -> dict[Value, Value]:
    if key in values:
        raise EvaluationError(f"insert failed: key {key} already exists")
    return {**values, key: value}


@function("cel.@mapInsert", "map map -> map", standard=True, cost=every_element)
def insert_all(values: dict[Value, Value], other: dict[Value, Value]) -> dict[Value, Value]:
    for key in other:
        if key in values:
            raise EvaluationError(f"insert failed: key {key} already exists")
    return {**values, **other}
