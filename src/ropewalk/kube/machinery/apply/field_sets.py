"""Sets of fields, kept in the very form that the API shows: FieldsV1 dictionaries.

A key is a step: `f:name` a field or map key, `k:{"name":"web"}` an item of a list told by its keys, `v:"x"` a value of
a set, `i:0` an index. Under a step stands what is in the set below it, and `.` if the place itself is in the set too;
a place alone is `{}`. Keeping this form means that an unchanged set costs nothing to read or write. Two rules make it
unique: keys stand in canonical order, and below the root nothing stands that is neither in the set nor above something
that is. The root itself is never in a set: there `{}` is the empty set.

Sets are never changed in place: results share parts with their operands.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

import orjson

from ropewalk.kube.machinery.objects import Json, Object

FieldSet: TypeAlias = dict[str, Any]
"""`Any`: the form is recursive."""

LEAF: FieldSet = {}
"""A place in the set, with nothing below it. Shared by all sets."""

MAX_DEPTH = 200
"""Levels of a set that a client gives."""

_LONG_STEP = 256
"""Steps of more characters are not remembered."""
_MISSING_COLON = "missing colon: "


class FieldSetError(ValueError):
    """A set, or an object that one is made from, is malformed."""


# --- algebra


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in either."""
    if one is other or not other:
        return one
    if not one:
        return other
    result = dict(one)
    grown = False
    for step, theirs in other.items():
        ours = result.get(step)
        if ours is None:
            result[step] = theirs
            grown = True
        elif ours is not theirs:
            result[step] = _union_below(ours, theirs)
    return ordered(result) if grown else result


def _union_below(one: FieldSet, other: FieldSet) -> FieldSet:
    if not one:
        return other if not other or "." in other else {".": LEAF, **other}
    if not other:
        return one if "." in one else {".": LEAF, **one}
    return union(one, other)


def difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in the one and not in the other. Places below a place of the other stay."""
    if not one or not other:
        return one
    result: FieldSet = {}
    for step, ours in one.items():
        theirs = other.get(step)
        if theirs is None:
            result[step] = ours
            continue
        if not ours:
            rest = None if not theirs or "." in theirs else ours
        elif not theirs:
            rest = _alone({below: part for below, part in ours.items() if below != "."})
        else:
            rest = _alone(difference(ours, theirs))
        if rest is not None:
            result[step] = rest
    return result


def recursive_difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in the one, and neither in the other nor below a place of the other."""
    if not one or not other:
        return one
    result: FieldSet = {}
    for step, ours in one.items():
        theirs = other.get(step)
        if theirs is None:
            result[step] = ours
        elif theirs and "." not in theirs:
            rest = _alone(recursive_difference(ours, theirs)) if ours else ours
            if rest is not None:
                result[step] = rest
    return result


def intersection(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in both."""
    result: FieldSet = {}
    for step, ours in one.items():
        theirs = other.get(step)
        if theirs is None:
            continue
        common: FieldSet | None
        if not ours or not theirs:
            common = LEAF if holds(ours) and holds(theirs) else None
        else:
            common = _alone(intersection(ours, theirs))
        if common is not None:
            result[step] = common
    return result


def holds(below: FieldSet) -> bool:
    """Whether the place that has `below` under it is in the set itself."""
    return not below or "." in below


def _alone(below: FieldSet) -> FieldSet | None:
    """Normal form of what is left under a step that had something under it."""
    if not below:
        return None
    return LEAF if len(below) == 1 and "." in below else below


def paths(fields: FieldSet, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every place in the set, as its steps: those at a level before those below it."""
    for step, below in fields.items():
        if step != "." and holds(below):
            yield (*above, step)
    for step, below in fields.items():
        if below:
            yield from paths(below, (*above, step))


def of_paths(*all_paths: tuple[str, ...]) -> FieldSet:
    """The set of exactly these places."""
    result: FieldSet = {}
    for path in all_paths:
        single = LEAF
        for step in reversed(path):
            single = {step: single}
        result = union(result, single)
    return result


# --- steps


def ordered(fields: FieldSet) -> FieldSet:
    """In canonical order at this level."""
    return {step: fields[step] for step in sorted(fields, key=_order)}


def _order(step: str) -> tuple[int, Any]:
    return (1, step) if step.startswith("f:") else (0, "") if step == "." else _read(step).order


class _Step:
    """A step that is no field, read: its canonical spelling, its place in the order, and as messages show it."""

    __slots__ = ("order", "spelling", "text")

    def __init__(self, spelling: str, order: tuple[int, Any], text: str) -> None:
        self.spelling = spelling
        self.order = order
        self.text = text


def _read(step: str) -> _Step:
    return _read_short(step) if len(step) <= _LONG_STEP else _parse(step)


def _parse(step: str) -> _Step:
    kind, content = step[:2], step[2:]
    try:
        if kind == "k:":
            keys = orjson.loads(content)
            if type(keys) is not dict:
                raise FieldSetError(f"expected an object: {step}")
            return _Step(
                key_step(keys),
                (2, [(name, _rank(keys[name])) for name in sorted(keys)]),
                "[" + ",".join(f"{name}={_shown(keys[name])}" for name in sorted(keys)) + "]",
            )
        if kind == "v:":
            value = orjson.loads(content)
            return _Step(value_step(value), (3, _rank(value)), f"[={_shown(value)}]")
    except orjson.JSONDecodeError as error:
        raise FieldSetError(str(error)) from None
    if not content.lstrip("+-").isdecimal() or len(content) > 18:
        raise FieldSetError(f'strconv.Atoi: parsing "{content}": invalid syntax')
    return _Step(f"i:{int(content)}", (4, int(content)), f"[{int(content)}]")


_read_short = lru_cache(maxsize=8192)(_parse)


def _rank(value: Json) -> tuple[int, Any]:
    """Numbers, then strings, booleans, the rest."""
    if type(value) is bool:
        return 2, value
    if type(value) is int or type(value) is float:
        return 0, value
    if type(value) is str:
        return 1, value
    return 3, orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _shown(value: Json) -> str:
    return orjson.dumps(value).decode()


def key_step(keys: Object) -> str:
    """The step to a list's item that has these keys."""
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def value_step(value: Json) -> str:
    """The step to this value in a set."""
    return "v:" + orjson.dumps(value).decode()


def path_text(path: tuple[str, ...]) -> str:
    """`.spec.containers[name="web"].image`."""
    return "".join("." + step[2:] if step.startswith("f:") else _read(step).text for step in path)


# --- what clients send


def decoded(fields: Json) -> FieldSet:
    """A set that somebody gives, in normal form. Raises `FieldSetError`."""
    return _decoded(fields, 0) or {}


def _decoded(fields: Json, depth: int) -> FieldSet:
    if type(fields) is not dict:
        raise FieldSetError("error decoding set: expected an object")
    if depth > MAX_DEPTH:
        raise FieldSetError("error decoding set: exceeded max depth")
    result: FieldSet = {}
    for step, given in fields.items():
        if step == ".":
            if depth:
                result["."] = LEAF
            continue
        if len(step) < 2:
            raise FieldSetError("key must be 2 characters long:")
        if step[1] != ":":
            raise FieldSetError(_MISSING_COLON + step)
        if step[0] not in "fkvi":
            continue  # what a later version may know
        spelling = step if step[0] == "f" else _read(step).spelling
        below = _decoded(given, depth + 1)
        before = result.get(spelling)
        result[spelling] = below if before is None else _union_below(before, below)
    if len(result) == 1 and "." in result:
        return LEAF
    return ordered(result) if len(result) > 1 else result
