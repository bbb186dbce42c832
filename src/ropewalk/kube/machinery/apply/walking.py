"""The field sets of objects: what a configuration sets, what differs between two objects.

The rules of ownership follow the schema: fields of objects and keys of maps are places of their own, so are the items
of lists with keys and of sets; atomic lists, maps and structs are one place whatever is in them.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy

Objects are read only. A schema's node for what it does not declare is ANY: maps field by field, lists whole.
"""

from __future__ import annotations

from typing import Any

from ropewalk.kube.machinery.apply.field_sets import LEAF, FieldSet, FieldSetError, key_step, ordered, value_step
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.schema import ANY, Schema, Shape

_OBJECT = Shape.OBJECT
_MAP = Shape.MAP
_RAW_EXTENSION = "io.k8s.apimachinery.pkg.runtime.RawExtension"


def is_atomic(schema: Schema, value: Json) -> bool:
    """Whether `value` (an object, map or list) is owned whole."""
    if type(value) is list:
        return schema.list_type == "atomic"
    return schema.atomic or schema.definition == _RAW_EXTENSION


def declared(schema: Schema) -> dict[str, Schema]:
    """The fields that the schema names; none for maps and free-form objects."""
    return schema.fields if schema.shape is _OBJECT else {}


def others(schema: Schema) -> Schema:
    """The schema of keys that are not declared."""
    return schema.items if schema.shape is _MAP else ANY


# --- items of lists


def step_of(schema: Schema, item: Json) -> str:
    """The step to an item of a list that is a map or a set."""
    if schema.list_type == "set":
        return _set_step(item)
    if type(item) is not dict:
        raise FieldSetError(
            f"associative list with keys may not have {'a null element' if item is None else 'non-map elements'}"
        )
    keys = schema.list_keys
    if len(keys) == 1:
        key = keys[0]
        value = item.get(key)
        if type(value) is str:
            return key_step({key: value})
    defaults = schema.key_defaults
    told: dict[str, Any] = {}
    for key in keys:
        if key in item:
            told[key] = item[key]
        elif key in defaults:
            told[key] = defaults[key]
    if not told and keys:
        raise FieldSetError(
            "associative list with keys has an element that omits all key fields ["
            + " ".join(f'"{key}"' for key in keys)
            + "] (and doesn't have default values for any key fields)"
        )
    return key_step(told)


def _set_step(item: Json) -> str:
    if type(item) is dict:
        raise FieldSetError("associative list without keys has an element that's a map type")
    if type(item) is list:
        raise FieldSetError("not supported: associative list with lists as elements")
    if item is None:
        raise FieldSetError("associative list without keys has an element that's an explicit null")
    return value_step(item)


def by_step(schema: Schema, items: list[Json]) -> dict[str, list[Json]]:
    """Items by the step to them; more than one where they are duplicates."""
    found: dict[str, list[Json]] = {}
    for item in items:
        found.setdefault(step_of(schema, item), []).append(item)
    return found


# --- one object


def applied_set(schema: Schema, value: Object) -> FieldSet:
    """The places that a configuration sets: leaves, keys of maps and items of lists, not the structs above them."""
    return _applied_fields(schema, value)


def _applied_fields(schema: Schema, value: Object) -> FieldSet:
    fields = declared(schema)
    unknown = others(schema)
    result: FieldSet = {}
    for key in sorted(value):
        part = value[key]
        field = fields.get(key)
        kind = type(part)
        if kind is not dict and kind is not list:
            result["f:" + key] = LEAF
            continue
        below = _applied(field or unknown, part)
        if field is None:
            result["f:" + key] = {".": LEAF, **below} if below else LEAF
        elif below is not None:
            result["f:" + key] = below
    return result


def _applied(schema: Schema, value: Json) -> FieldSet | None:
    """What stands under a place of an object or list; LEAF for the place alone, None for nothing at all."""
    if is_atomic(schema, value):
        return LEAF
    if type(value) is dict:
        return (_applied_fields(schema, value) or None) if value else LEAF
    result: FieldSet = {}
    for step, items in by_step(schema, value).items():
        item = items[0]
        if len(items) > 1 or type(item) is not dict:
            result[step] = LEAF
        else:
            below = _applied(schema.items, item)
            result[step] = {".": LEAF, **below} if below else LEAF
    return (ordered(result) if len(result) > 1 else result) or None


def whole(schema: Schema, value: Json) -> FieldSet:
    """Every place from this one down, as it stands under the step to it; what Go writes of it unasked is there as well.
    Every create walks through here.
    """
    if type(value) is dict:
        if schema.always and not schema.always.keys() <= value.keys():
            value = {**schema.always, **value}
        if not value or schema.atomic or schema.definition == _RAW_EXTENSION:
            return LEAF
        result: FieldSet = {".": LEAF}
        if schema.shape is _OBJECT:
            fields = schema.fields
            for key in sorted(value):
                part = value[key]
                kind = type(part)
                if kind is dict or kind is list:
                    result["f:" + key] = whole(fields.get(key) or ANY, part)
                else:
                    result["f:" + key] = LEAF
            return result
        items = others(schema)
        for key in sorted(value):
            result["f:" + key] = whole(items, value[key])
        return result
    if type(value) is not list or not value or schema.list_type == "atomic":
        return LEAF
    items = schema.items
    if len(value) == 1:
        return {".": LEAF, step_of(schema, value[0]): whole(items, value[0])}
    below = {
        step: whole(items, found[0]) if len(found) == 1 else LEAF for step, found in by_step(schema, value).items()
    }
    return {".": LEAF, **ordered(below)}


def created_set(schema: Schema, value: Object) -> FieldSet:
    """Every place that creating this object sets. Kinds of Kubernetes itself begin with what Go always writes of
    them in place, and with their required fields; others begin with nothing.
    """
    if schema.definition:
        return _created_fields(schema, value)
    return {step: below for step, below in whole(schema, value).items() if step != "."}


def _created_fields(schema: Schema, value: Object) -> FieldSet:
    fields = declared(schema)
    required = schema.required
    always = schema.always
    result: FieldSet = {}
    for key in sorted(value):
        part = value[key]
        kind = type(part)
        if key in always and part == always[key]:
            continue
        if kind is not dict and kind is not list:
            result["f:" + key] = LEAF
            continue
        field = fields.get(key) or others(schema)
        if key in required or key in always:
            if kind is dict and field.shape is _OBJECT and not field.atomic:
                below = _created_fields(field, part)
                if below:
                    result["f:" + key] = below
                continue
            if kind is list:
                below = whole(field, part)
                result["f:" + key] = {step: under for step, under in below.items() if step != "."}
                continue
        result["f:" + key] = whole(field, part)
    return result


# --- two objects


def compare(schema: Schema, old: Object, new: Object) -> tuple[FieldSet, FieldSet]:
    """(what was added or changed, what was removed)."""
    changed: FieldSet = {}
    removed: FieldSet = {}
    _compare_fields(schema, old, new, changed, removed)
    return changed, removed


def _compare_fields(schema: Schema, old: Object, new: Object, changed: FieldSet, removed: FieldSet) -> None:
    fields = declared(schema)
    unknown = others(schema)
    for key in sorted(new):
        part = new[key]
        if key not in old:
            changed["f:" + key] = whole(fields.get(key) or unknown, part)
            continue
        was = old[key]
        if was is not part and was != part:
            _compare(fields.get(key) or unknown, was, part, "f:" + key, changed, removed)
    for key in sorted(old.keys() - new.keys()):
        removed["f:" + key] = whole(fields.get(key) or unknown, old[key])


def _compare_items(schema: Schema, old: list[Json], new: list[Json], changed: FieldSet, removed: FieldSet) -> None:
    before = by_step(schema, old)
    after = by_step(schema, new)
    items = schema.items
    found: FieldSet = {}
    gone: FieldSet = {}
    for step in before | after:
        was, now = before.get(step, []), after.get(step, [])
        if was == now:
            continue
        if len(was) > 1 and len(now) > 1:
            found[step] = LEAF
        elif len(was) > 1:
            gone[step] = LEAF
            if now:
                found[step] = whole(items, now[0])
        elif len(now) > 1:
            found[step] = LEAF
            if was:
                gone[step] = whole(items, was[0])
        elif not was:
            found[step] = whole(items, now[0])
        elif not now:
            gone[step] = whole(items, was[0])
        else:
            _compare(items, was[0], now[0], step, found, gone)
    changed.update(ordered(found) if len(found) > 1 else found)
    removed.update(ordered(gone) if len(gone) > 1 else gone)


def _compare(schema: Schema, was: Json, now: Json, step: str, changed: FieldSet, removed: FieldSet) -> None:
    """Two values at one place that are not equal."""
    old, new = _container(schema, was, now), _container(schema, now, was)
    if old is None and new is None:
        changed[step] = LEAF
        return
    if type(old) is type(new):
        below: FieldSet = {}
        gone: FieldSet = {}
        if type(new) is dict:
            _compare_fields(schema, old, new, below, gone)  # type: ignore[arg-type]
        else:
            _compare_items(schema, old, new, below, gone)  # type: ignore[arg-type]
        if below:
            changed[step] = below
        if gone:
            removed[step] = gone
        return
    changed[step] = whole(schema, now)
    if old is not None:
        removed[step] = {under: part for under, part in whole(schema, was).items() if under != "."}


def _container(schema: Schema, value: Json, other: Json) -> Object | list[Json] | None:
    """`value` as something with places below it, None where it is one place. A null counts as an empty container beside
    one that is not empty.
    """
    if value is None:
        if type(other) in (dict, list) and other and not is_atomic(schema, other):
            return {} if type(other) is dict else []
        return None
    if type(value) not in (dict, list) or is_atomic(schema, value):
        return None
    if not value and not (type(other) is type(value) and other):
        return None
    return value  # type: ignore[no-any-return]
