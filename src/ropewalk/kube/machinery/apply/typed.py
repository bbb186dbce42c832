"""Typed operations on objects that server-side apply is made of: check a configuration, merge it, take fields away.
Results share parts with what they are made from; nothing given is changed.
"""

from __future__ import annotations

from collections.abc import Iterator

from ropewalk.kube.machinery.apply.field_sets import LEAF, FieldSet, FieldSetError, holds, path_text
from ropewalk.kube.machinery.apply.walking import declared, is_atomic, others, step_of
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.patch.go_text import text, type_name
from ropewalk.kube.machinery.schema import Schema, Shape

_NUMBERS = (Shape.INTEGER, Shape.NUMBER)
_PLAIN_STRINGS = ("", "byte")
_CONTAINERS = (Shape.OBJECT, Shape.MAP, Shape.LIST)
_UNTYPED = (Shape.QUANTITY, Shape.INT_OR_STRING)
_MOST = 100
"""Problems that are told of one configuration."""


# --- check


def problems(schema: Schema, value: Json) -> list[str]:
    """What of a configuration does not fit the schema, as structured-merge-diff words it."""
    if _fits(schema, value):
        return []
    told = []
    for problem in _problems(schema, value, ""):
        told.append(problem)
        if len(told) == _MOST:
            break
    return told


def _fits(schema: Schema, value: Json) -> bool:
    """Whether there are none: nearly always, and found out without a word about where one is."""
    shape = schema.shape
    kind = type(value)
    if value is None or shape is Shape.ANY:
        return True
    if kind is dict:
        if shape is not Shape.OBJECT and shape is not Shape.MAP:
            return False
        fields = declared(schema)
        closed = shape is Shape.OBJECT and bool(fields) and not schema.preserve_unknown
        unknown = others(schema)
        for key, part in value.items():
            field = fields.get(key)
            if field is None:
                if closed:
                    return False
                field = unknown
            if not _fits(field, part):
                return False
        return True
    if kind is list:
        if shape is not Shape.LIST:
            return False
        items = schema.items
        if schema.list_type != "atomic":
            try:
                if len({step_of(schema, item) for item in value}) != len(value):
                    return False
            except FieldSetError:
                return False
        return all(_fits(items, item) for item in value)
    if shape is Shape.STRING and kind is str:
        return True
    return shape not in _CONTAINERS and not _scalar_problem(schema, value)


def _problems(schema: Schema, value: Json, path: str) -> Iterator[str]:
    shape = schema.shape
    if value is None or shape is Shape.ANY:
        return
    if shape is Shape.OBJECT or shape is Shape.MAP:
        if type(value) is not dict:
            yield _told(path, f"expected map, got {_got(value)}")
        else:
            yield from _map_problems(schema, value, path)
    elif shape is Shape.LIST:
        if type(value) is not list:
            yield _told(path, f"expected list, got {_got(value)}")
        else:
            yield from _list_problems(schema, value, path)
    else:
        wrong = _scalar_problem(schema, value)
        if wrong:
            yield _told(path, wrong)


def _map_problems(schema: Schema, value: Object, path: str) -> Iterator[str]:
    fields = declared(schema)
    closed = schema.shape is Shape.OBJECT and bool(fields) and not schema.preserve_unknown
    unknown = others(schema)
    for key, part in value.items():
        field = fields.get(key)
        if field is None and closed:
            yield f"{path}.{key}: field not declared in schema"
            return
        yield from _problems(field or unknown, part, f"{path}.{key}")


def _list_problems(schema: Schema, value: list[Json], path: str) -> Iterator[str]:
    seen: set[str] = set()
    for position, item in enumerate(value):
        if schema.list_type == "atomic":
            below = f"[{position}]"
        else:
            try:
                step = step_of(schema, item)
            except FieldSetError as error:
                yield _told(path, f"element {position}: {error}")
                return
            below = path_text((step,))
            if step in seen:
                yield _told(path, f"duplicate entries for key {below}")
            seen.add(step)
        yield from _problems(schema.items, item, path + below)


def _scalar_problem(schema: Schema, value: Json) -> str:
    shape = schema.shape
    kind = type(value)
    if shape in _NUMBERS:
        return "" if kind is int or kind is float else f"expected numeric (int or float), got {type_name(value)}"
    if shape is Shape.BOOLEAN:
        return "" if kind is bool else f"expected boolean, got {_got(value)}"
    if shape in _UNTYPED or schema.format not in _PLAIN_STRINGS:
        return f"expected any scalar, got {_got(value)}" if kind is dict or kind is list else ""
    return "" if kind is str else f"expected string, got &value.valueUnstructured{{Value:{_sharp(value)}}}"


def _told(path: str, message: str) -> str:
    return f"{path}: {message}" if path else message


def _got(value: Json) -> str:
    return f"&{{{text(value)}}}"


def _sharp(value: Json) -> str:
    return f"{type_name(value)}{{...}}" if type(value) in (dict, list) else text(value)


# --- merge


def merged(schema: Schema, live: Json, applied: Json) -> Json:
    """`applied` laid over `live`: nothing of `live` is lost but values that both have. Items of merged lists stand as
    `applied` orders them, where it says so.
    """
    if type(live) is not type(applied) or type(applied) not in (dict, list):
        return live if applied is None and type(live) in (dict, list) and live else applied
    if is_atomic(schema, applied) or not (live or applied):
        return applied
    if type(applied) is list:
        return _merged_items(schema, live, applied)
    fields = declared(schema)
    unknown = others(schema)
    result = dict(live)
    for key, part in applied.items():
        was = live.get(key)
        if was is None:
            result[key] = part
        elif was is not part:
            result[key] = merged(fields.get(key) or unknown, was, part)
    return result


def _merged_items(schema: Schema, live: list[Json], applied: list[Json]) -> list[Json]:
    """Live items that are not applied keep their place before what follows them; a live item that is duplicated is
    replaced by the applied one, not merged with it.
    """
    items = schema.items
    live_steps = [step_of(schema, item) for item in live]
    by_live: dict[str, Json] = {}
    for step, item in zip(live_steps, live, strict=True):
        by_live[step] = None if step in by_live else item
    by_applied = {step_of(schema, item): item for item in applied}
    applied_steps = list(by_applied)
    shared = [step for step in applied_steps if step in by_live]
    shared.reverse()
    result: list[Json] = []
    placed: set[str] = set()

    def place(step: str) -> None:
        placed.add(step)
        was = by_live.get(step)
        now = by_applied[step]
        result.append(now if was is None else merged(items, was, now))

    here = there = 0
    while here < len(live_steps) or there < len(applied_steps):
        if here < len(live_steps):
            step = live_steps[here]
            if there < len(applied_steps):
                if step == applied_steps[there]:
                    place(step)
                    here += 1
                    there += 1
                    if shared:
                        shared.pop()
                    continue
                if step in by_applied and shared and shared[-1] != step:
                    here += 1  # shared, and not its turn
                    continue
            if step not in by_applied:
                result.append(live[here])
                here += 1
                continue
            if step in placed:
                here += 1
        if there < len(applied_steps):
            step = applied_steps[there]
            place(step)
            there += 1
            if shared and shared[-1] == step:
                shared.pop()
    return result


# --- take away


def without(schema: Schema, value: Object, fields: FieldSet, *, nulls: bool) -> Object:
    """The object less these places and all below them. A container that this empties is left out; or, for working out
    who owns what, becomes null: nothing is in it, and yet it may be somebody's.
    """
    return _without_fields(schema, value, fields, nulls) or {} if fields else value


def _without_fields(schema: Schema, value: Object, gone: FieldSet, nulls: bool) -> Object | None:
    fields = declared(schema)
    unknown = others(schema)
    result: Object = {}
    emptied = False
    for key, part in value.items():
        below = gone.get("f:" + key)
        if below is None:
            result[key] = part
        elif not holds(below):
            rest = _without(fields.get(key) or unknown, part, below, nulls)
            if rest is not None or nulls or part is None:
                result[key] = rest
            else:
                emptied = True
    return result if result or emptied else None


def _without(schema: Schema, value: Json, gone: FieldSet, nulls: bool) -> Json:
    if type(value) not in (dict, list) or not value or is_atomic(schema, value):
        return value
    if type(value) is dict:
        return _without_fields(schema, value, gone, nulls)
    result = []
    for item in value:
        below = gone.get(step_of(schema, item))
        if below is None:
            result.append(item)
        elif not holds(below):
            rest = _without(schema.items, item, below, nulls)
            if rest is not None:
                result.append(rest)
    return result or None


def with_structs(schema: Schema, fields: FieldSet) -> FieldSet:
    """The set, and every declared field that something of the set is below: these are places too when things are taken
    away, though nobody is said to own them.
    """
    known = declared(schema)
    unknown = others(schema)
    result: FieldSet = {}
    for step, below in fields.items():
        if not below:
            result[step] = below
            continue
        if step.startswith("f:"):
            field = known.get(step[2:])
            under = with_structs(field or unknown, below)
            result[step] = {".": LEAF, **under} if field is not None and "." not in under else under
        else:
            result[step] = with_structs(schema.items, below)
    return result
