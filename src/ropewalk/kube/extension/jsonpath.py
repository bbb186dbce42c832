"""The JSONPaths of printer columns: `.spec.replicas`, `.status.conditions[?(@.type=="Ready")].status`. Pure.

kubectl's JSONPath without what only makes text of it (`range`, literals): fields, indexes, slices, unions, `*`, `..`
and filters. https://kubernetes.io/docs/reference/kubectl/jsonpath/
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ropewalk.kube.machinery.objects import Json

Find = Callable[[list[Json]], list[Json]]

_FIELD = re.compile(r"(?:\\.|[^\\.\[\]\s{}|+*()])+")
_SLICE = re.compile(r"(-?\d+)?(?:(:)(-?\d+)?(?::(-?\d+)?)?)?")
_FILTER = re.compile(
    r"""\s*(?P<left>[^!<>=]+?)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<right>.+?))?\s*""",
    re.DOTALL,
)
_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_COMPARE: dict[str, Callable[[Json, Json], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class NotFollowed(Exception):
    """The path and the object do not fit together: nothing is shown."""


@dataclass(frozen=True, slots=True)
class JsonPath:
    text: str
    steps: tuple[Find, ...]
    fields: tuple[str, ...] | None
    """The fields it goes through, None where it is more than fields."""

    def find(self, value: Json) -> list[Json]:
        """Everything at the path; none where it leads nowhere. Raises `NotFollowed`."""
        found = [value]
        for step in self.steps:
            found = step(found)
        return found


def parse(text: str) -> JsonPath:
    """Raises `ValueError`."""
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1]
    inner = inner.removeprefix("$").removeprefix("@")
    steps: list[Find] = []
    fields: list[str] | None = []
    at = 0
    while at < len(inner):
        step, at, name = _step(inner, at)
        steps.append(step)
        if name is None:
            fields = None
        elif fields is not None:
            fields.append(name)
    return JsonPath(text, tuple(steps), tuple(fields) if fields is not None else None)


def _step(text: str, at: int) -> tuple[Find, int, str | None]:
    """(the step, where the next begins, the field that it follows)."""
    if text.startswith("..", at):
        found = _FIELD.match(text, at + 2)
        if found is None:
            return _descendants, at + 1 if text.startswith("*", at + 2) else at + 2, None
        name = _unescaped(found[0])
        return lambda values: _field(_descendants(values), name), found.end(), None
    if text[at] == ".":
        if text.startswith("*", at + 1):
            return _all, at + 2, None
        if text.startswith("[", at + 1):
            return _step(text, at + 1)
        found = _FIELD.match(text, at + 1)
        if found is None:
            if at + 1 == len(text):
                return lambda values: values, at + 1, None
            raise ValueError(f"unrecognized character in action: {text[at + 1 : at + 2]!r}")
        name = _unescaped(found[0])
        return lambda values: _field(values, name), found.end(), name
    if text[at] == "[":
        end = _closing(text, at)
        return _bracket(text[at + 1 : end].strip()), end + 1, None
    raise ValueError(f"unrecognized character in action: {text[at]!r}")


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _closing(text: str, at: int) -> int:
    depth, here = 0, at
    while here < len(text):
        quoted = _QUOTED.match(text, here)
        if quoted is not None:
            here = quoted.end()
            continue
        depth += (text[here] in "[(") - (text[here] in "])")
        if not depth and text[here] == "]":
            return here
        here += 1
    raise ValueError("unterminated array")


def _bracket(inner: str) -> Find:
    if inner.startswith("?(") and inner.endswith(")"):
        return _filter(inner[2:-1])
    if inner == "*":
        return _all
    parts = _split(inner)
    steps = [_union_part(part) for part in parts]
    if len(steps) == 1:
        return steps[0]
    return lambda values: [found for step in steps for found in step(values)]


def _split(inner: str) -> list[str]:
    parts, part, here = [], "", 0
    while here < len(inner):
        quoted = _QUOTED.match(inner, here)
        if quoted is not None:
            part += quoted[0]
            here = quoted.end()
            continue
        if inner[here] == ",":
            parts.append(part.strip())
            part = ""
        else:
            part += inner[here]
        here += 1
    return [*parts, part.strip()]


def _union_part(text: str) -> Find:
    if _QUOTED.fullmatch(text):
        name = _unescaped(text[1:-1])
        return lambda values: _field(values, name)
    found = _SLICE.fullmatch(text)
    if found is None or not text:
        raise ValueError(f"invalid array index {text}")
    start, colon, end, step = (found[place] for place in range(1, 5))
    if colon is None:
        place = int(start)
        return lambda values: _indexed(values, place)
    bounds = slice(int(start or 0), int(end) if end else None, int(step or 1))
    if bounds.step <= 0:
        raise ValueError("step must be > 0")
    return lambda values: [item for value in values for item in _list(value)[bounds]]


def _list(value: Json) -> list[Json]:
    if value is None:
        return []
    if type(value) is not list:
        raise NotFollowed(f"{value!r} is not array or slice")
    return value


def _indexed(values: list[Json], place: int) -> list[Json]:
    found: list[Json] = []
    for value in values:
        items = _list(value)
        if items and not -len(items) <= place < len(items):
            raise NotFollowed("array index out of bounds")
        found += items[place : place + 1 or None] if items else []
    return found


def _field(values: list[Json], name: str) -> list[Json]:
    return [value[name] for value in values if type(value) is dict and name in value]


def _all(values: list[Json]) -> list[Json]:
    return [part for value in values for part in _parts(value)]


def _parts(value: Json) -> Iterator[Json]:
    if type(value) is dict:
        yield from (value[key] for key in sorted(value))
    elif type(value) is list:
        yield from value


def _descendants(values: list[Json]) -> list[Json]:
    found: list[Json] = []
    for value in values:
        if type(value) in (dict, list):
            found.append(value)
            found += _descendants(list(_parts(value)))
    return found


# --- filters


def _filter(text: str) -> Find:
    found = _FILTER.fullmatch(text)
    if found is None:
        raise ValueError(f"unterminated filter {text}")
    left, right = _operand(found["left"]), _operand(found["right"]) if found["right"] else None
    compare = _COMPARE[found["operator"]] if found["operator"] else None

    def passes(item: Json) -> bool:
        given = left(item)
        if compare is None or right is None:
            return bool(given)
        wanted = right(item)
        if len(given) > 1 or len(wanted) > 1:
            raise NotFollowed("can only compare one element at a time")
        if not given or not wanted:
            return False
        return _compared(compare, given[0], wanted[0])

    def find(values: list[Json]) -> list[Json]:
        return [item for value in values if value is not None for item in _list(value) if passes(item)]

    return find


def _compared(compare: Callable[[Json, Json], bool], left: Json, right: Json) -> bool:
    numbers = type(left) in (int, float) and type(right) in (int, float)
    if not numbers and type(left) is not type(right):
        raise NotFollowed("incompatible types for comparison")
    try:
        return bool(compare(left, right))
    except TypeError:
        raise NotFollowed("invalid type for comparison") from None


def _operand(text: str) -> Callable[[Json], list[Json]]:
    if _QUOTED.fullmatch(text):
        word = _unescaped(text[1:-1])
        return lambda item: [word]
    if text in ("true", "false"):
        return lambda item: [text == "true"]
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        value = float(text) if "." in text else int(text)
        return lambda item: [value]
    if text.startswith(("@", "$", ".")):
        return parse(text).find
    raise ValueError(f"unrecognized identifier {text}")
