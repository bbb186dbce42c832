"""The strings extension, regular expressions, sets and lists beyond the standard.
https://kubernetes.io/docs/reference/using-api/cel/#cel-community-libraries
"""

from __future__ import annotations

import itertools
import json
import math
from datetime import datetime, timedelta

from ropewalk.kube.machinery.cel.functions import every_element, function, matching, method, product, traversal
from ropewalk.kube.machinery.cel.standard import (
    add,
    compiled,
    double_text,
    duration_text,
    less,
    timestamp_text,
    to_string,
)
from ropewalk.kube.machinery.cel.values import (
    NONE,
    EvaluationError,
    Optional,
    TypeValue,
    UInt,
    Value,
    contains,
    equal,
    no_overload,
    type_name,
)

MAX_TEXT = 10 << 20
"""No single function makes a text longer than this many characters."""


@method("charAt", "string int -> string", standard=True)
def char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise EvaluationError(f"index out of range: {at}")
    return text[at : at + 1]


@method("indexOf", "string string -> int", "string string int -> int", standard=True, cost=product)
def index_of(text: str, part: str, start: int = 0) -> int:
    if not 0 <= start <= len(text):
        raise EvaluationError(f"index out of range: {start}")
    return text.find(part, start)


@method("lastIndexOf", "string string -> int", "string string int -> int", standard=True, cost=product)
def last_index_of(text: str, part: str, start: int | None = None) -> int:
    if start is None:
        return text.rfind(part)
    if not 0 <= start <= len(text):
        raise EvaluationError(f"index out of range: {start}")
    return text.rfind(part, 0, start + len(part))


_UPPER = {ord(a): ord(a) - 32 for a in "abcdefghijklmnopqrstuvwxyz"}
_LOWER = {upper: lower for lower, upper in _UPPER.items()}
_SPACE = " \t\n\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f"
_SPACE += "\u205f\u3000"


@method("lowerAscii", "string -> string", standard=True, cost=traversal())
def lower_ascii(text: str) -> str:
    return text.translate(_LOWER)


@method("upperAscii", "string -> string", standard=True, cost=traversal())
def upper_ascii(text: str) -> str:
    return text.translate(_UPPER)


@method("trim", "string -> string", standard=True, cost=traversal())
def trim(text: str) -> str:
    return text.strip(_SPACE)


def _cost_of_replace(given: tuple[Value, ...]) -> int:
    return 1 + int((len(given[0]) + (len(given[0]) // max(1, len(given[1])) + 1) * len(given[2])) * 0.2)


@method(
    "replace",
    "string string string -> string",
    "string string string int -> string",
    standard=True,
    cost=_cost_of_replace,
)
def replace(text: str, old: str, new: str, limit: int = -1) -> str:
    if (len(text) // max(1, len(old)) + 1) * len(new) > MAX_TEXT:
        raise EvaluationError("the result is too long")
    return text.replace(old, new, limit)


@method(
    "split", "string string -> list(string)", "string string int -> list(string)", standard=True, cost=traversal(0.2)
)
def split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if not separator:
        whole = list(text)
        return whole if limit < 0 or limit >= len(whole) else [*whole[: limit - 1], "".join(whole[limit - 1 :])]
    return text.split(separator, limit - 1 if limit > 0 else -1)


@method("substring", "string int -> string", "string int int -> string", standard=True, cost=traversal())
def substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if not 0 <= start <= len(text):
        raise EvaluationError(f"index out of range: {start}")
    if not 0 <= stop <= len(text):
        raise EvaluationError(f"index out of range: {stop}")
    if start > stop:
        raise EvaluationError(f"invalid substring range. start: {start}, end: {stop}")
    return text[start:stop]


def _cost_of_join(given: tuple[Value, ...]) -> int:
    separator = len(given[1]) if len(given) > 1 and type(given[1]) is str else 0
    return 1 + int(sum(len(part) + separator for part in given[0] if type(part) is str) * 0.2)


@method("join", "list -> string", "list string -> string", standard=True, cost=_cost_of_join)
def join(parts: list[Value], separator: str = "") -> str:
    if not all(type(part) is str for part in parts):
        raise no_overload()
    return separator.join(parts)


@function("strings.quote", "string -> string", standard=True, cost=traversal())
def quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


# --- format


@method("format", "string list -> string", standard=True, cost=lambda given: 1 + len(given[0]) + 10 * len(given[1]))
def format_text(template: str, values: list[Value]) -> str:
    parts: list[str] = []
    at = used = 0
    while (mark := template.find("%", at)) >= 0:
        parts.append(template[at:mark])
        at = mark + 1
        precision = ""
        if template[at : at + 1] == ".":
            stop = at + 1
            while template[stop : stop + 1].isdigit():
                stop += 1
            precision, at = template[at + 1 : stop], stop
        verb = template[at : at + 1]
        at += 1
        if verb == "%":
            parts.append("%")
            continue
        if used >= len(values):
            raise EvaluationError(f"index {used} out of range")
        if len(precision) > 3:
            raise EvaluationError("the precision is too large")
        parts.append(_formatted(verb, precision, values[used]))
        used += 1
    parts.append(template[at:])
    return "".join(parts)


def _formatted(verb: str, precision: str, value: Value) -> str:
    number = type(value) in (int, UInt)
    if verb == "s":
        return plain_text(value)
    if verb == "d" and number:
        return str(int(value))
    if verb in "fe" and (number or type(value) is float):
        return f"{float(value):.{precision or 6}{verb}}"
    if verb == "b" and (number or type(value) is bool):
        return f"{int(value):b}"
    if verb == "o" and number:
        return f"{int(value):o}"
    if verb in "xX" and number:
        return f"{int(value):{verb}}"
    if verb in "xX" and type(value) in (str, bytes):
        digits = (value.encode() if type(value) is str else value).hex()
        return digits.upper() if verb == "X" else digits
    if verb not in "sdfebxXo" or not verb:
        raise EvaluationError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')
    raise EvaluationError(f"error during formatting: {verb} clause cannot be used on {type_name(value)}")


def plain_text(value: Value) -> str:
    """`%s` of any value."""
    kind = type(value)
    if kind is list:
        return "[" + ", ".join(map(plain_text, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(sorted(f"{plain_text(key)}: {plain_text(value[key])}" for key in value)) + "}"
    if kind is type(None):
        return "null"
    if kind is TypeValue:
        return str(value.name)
    if kind is float:
        return double_text(value) if not math.isinf(value) else ("Infinity" if value > 0 else "-Infinity")
    if kind is datetime:
        return timestamp_text(value)
    if kind is timedelta:
        return duration_text(value)
    return to_string(value)


# --- regular expressions


@method("find", "string string -> string", cost=matching)
def find(text: str, pattern: str) -> str:
    found = compiled(pattern).search(text)
    return str(found.group(0)) if found is not None else ""


@method("findAll", "string string -> list(string)", "string string int -> list(string)", cost=matching)
def find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found: list[str] = []
    for match in compiled(pattern).finditer(text):
        if 0 <= limit <= len(found):
            break
        found.append(match.group(0))
    return found


# --- lists


@method("isSorted", "list -> bool", cost=every_element)
def is_sorted(values: list[Value]) -> bool:
    return all(not less(after, before) for before, after in itertools.pairwise(values))


@method("sum", "list -> dyn", cost=every_element)
def total(values: list[Value]) -> Value:
    if not values:
        return 0
    result = values[0]
    for value in values[1:]:
        result = add(result, value)
    return result


def _extreme(values: list[Value], name: str, smallest: bool) -> Value:
    if not values:
        raise EvaluationError(f"{name} called on empty list")
    best = values[0]
    for value in values[1:]:
        if less(value, best) if smallest else less(best, value):
            best = value
    return best


@method("min", "list -> dyn", cost=every_element)
def smallest(values: list[Value]) -> Value:
    return _extreme(values, "min", True)


@method("max", "list -> dyn", cost=every_element)
def largest(values: list[Value]) -> Value:
    return _extreme(values, "max", False)


@method("indexOf", "list dyn -> int", cost=every_element)
def list_index_of(values: list[Value], wanted: Value) -> int:
    return next((at for at, value in enumerate(values) if equal(value, wanted)), -1)


@method("lastIndexOf", "list dyn -> int", cost=every_element)
def list_last_index_of(values: list[Value], wanted: Value) -> int:
    return next((at for at in range(len(values) - 1, -1, -1) if equal(values[at], wanted)), -1)


@method("slice", "list int int -> list", standard=True, cost=every_element)
def slice_of(values: list[Value], start: int, end: int) -> list[Value]:
    if start < 0 or end < 0:
        raise EvaluationError(f"cannot slice with negative indexes: slice({start}, {end})")
    if start > end:
        raise EvaluationError(f"cannot slice with start index {start} after end index {end}")
    if end > len(values):
        raise EvaluationError(f"cannot slice {start}:{end}, list is length {len(values)}")
    return values[start:end]


@method("flatten", "list -> list", "list int -> list", standard=True, cost=lambda given: 1 + _leaves(given[0]))
def flatten(values: list[Value], depth: int = 1) -> list[Value]:
    if depth < 0:
        raise EvaluationError("level must be non-negative")
    found: list[Value] = []
    for value in values:
        if type(value) is list and depth > 0:
            found.extend(flatten(value, depth - 1))
        else:
            found.append(value)
    return found


def _leaves(value: Value) -> int:
    return 1 + sum(map(_leaves, value)) if type(value) is list else 1


@method("distinct", "list -> list", standard=True, cost=lambda given: 1 + len(given[0]) ** 2)
def distinct(values: list[Value]) -> list[Value]:
    found: list[Value] = []
    for value in values:
        if not contains(found, value):
            found.append(value)
    return found


@method("reverse", "list -> list", standard=True, cost=every_element)
def list_reverse(values: list[Value]) -> list[Value]:
    return values[::-1]


def _cost_of_sort(given: tuple[Value, ...]) -> int:
    return 1 + len(given[0]) * max(1, len(given[0]).bit_length())


@method("sort", "list -> list", standard=True, cost=_cost_of_sort)
def sort(values: list[Value]) -> list[Value]:
    for before, after in itertools.pairwise(values):
        less(before, after)
    return sorted(values)


@method("@sortByAssociatedKeys", "list list -> list", standard=True, cost=_cost_of_sort)
def sort_by(values: list[Value], keys: list[Value]) -> list[Value]:
    for before, after in itertools.pairwise(keys):
        less(before, after)
    return [values[at] for at in sorted(range(len(values)), key=lambda at: keys[at])]


@method("first", "list -> optional(dyn)", standard=True)
def first(values: list[Value]) -> Optional:
    return Optional(True, values[0]) if values else NONE


@method("last", "list -> optional(dyn)", standard=True)
def last(values: list[Value]) -> Optional:
    return Optional(True, values[-1]) if values else NONE


@function("lists.range", "int -> list(int)", standard=True, cost=lambda given: 1 + max(0, given[0]))
def list_range(count: int) -> list[int]:
    return list(range(count))


# --- sets


@function("sets.contains", "list list -> bool", standard=True, cost=product)
def sets_contains(values: list[Value], wanted: list[Value]) -> bool:
    return all(contains(values, value) for value in wanted)


@function("sets.equivalent", "list list -> bool", standard=True, cost=product)
def sets_equivalent(left: list[Value], right: list[Value]) -> bool:
    return sets_contains(left, right) and sets_contains(right, left)


@function("sets.intersects", "list list -> bool", standard=True, cost=product)
def sets_intersects(left: list[Value], right: list[Value]) -> bool:
    return any(contains(right, value) for value in left)
