"""A custom resource's values as its rules see them: times as times, names as identifiers, sets without order. Pure.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules
JSON is handed to expressions as it is, wherever that is what CEL would see; only what differs is converted.
"""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.kube.extension import formats
from ropewalk.kube.extension.correlation import by_keys, key_of, same
from ropewalk.kube.extension.list_types import LIST_KEYS, LIST_TYPE, has_any
from ropewalk.kube.extension.structural import INT_OR_STRING
from ropewalk.kube.machinery.cel.declarations import escape
from ropewalk.kube.machinery.cel.evaluator import unescaped
from ropewalk.kube.machinery.cel.functions import function
from ropewalk.kube.machinery.cel.values import Value, equal
from ropewalk.kube.machinery.objects import Json, Object

See = Callable[[Json], Value]

_PARSERS: dict[str, Callable[[str], Value]] = {
    "duration": formats.parse_duration,
    "date": formats.parse_date,
    "date-time": formats.parse_datetime,
    "byte": formats.parse_bytes,
}


def viewer(schema: Object) -> See | None:
    """What converts a value of the schema; None where JSON is seen as it is."""
    kind = schema.get("type")
    if schema.get(INT_OR_STRING):
        return None
    if kind == "string":
        parser = _PARSERS.get(schema.get("format") or "")
        return _parsing(parser) if parser is not None else None
    if kind == "number":
        return lambda value: float(value) if type(value) is int else value
    if kind == "array" and isinstance(schema.get("items"), dict):
        item = viewer(schema["items"])
        return None if item is None else lambda value: [item(part) for part in value] if type(value) is list else value
    return _object_viewer(schema) if kind == "object" else None


def _parsing(parser: Callable[[str], Value]) -> See:
    def see(value: Json) -> Value:
        if type(value) is not str:
            return value
        try:
            return parser(value)
        except (ValueError, OverflowError):
            return value

    return see


def _object_viewer(schema: Object) -> See | None:
    properties = schema.get("properties") or {}
    additional = schema.get("additionalProperties")
    parts = {name: found for name, part in properties.items() if (found := viewer(part)) is not None}
    others = viewer(additional) if isinstance(additional, dict) and not properties else None
    nullable = any(part.get("nullable") for part in properties.values())
    names = {name: escape(name) or name for name in properties if escape(name) != name}
    if not parts and others is None and not nullable and not names:
        return None

    def see(value: Json) -> Value:
        """A field that is null is as good as none."""
        if type(value) is not dict:
            return value
        if others is not None:
            return {name: others(part) for name, part in value.items()}
        seen: dict[str, Value] = {}
        for name, part in value.items():
            if part is None and name in properties:
                continue
            look = parts.get(name)
            seen[str(names.get(name, name))] = part if look is None else look(part)
        return seen

    return see


# --- lists that are sets or maps: what == and + mean


def is_unordered(schema: Object) -> bool:
    """Whether equality of its values is more than equality of JSON."""
    return has_any(schema)


@function("@equal_as", "dyn dyn dyn -> bool", standard=True, cost=lambda given: 1)
def equal_as(left: Value, right: Value, schema: Object) -> bool:
    """Equality by the schema of the left side. The name cannot be written in an expression."""
    if type(left) is list and type(right) is list:
        return _equal_lists(left, right, schema)
    if type(left) is dict and type(right) is dict:
        properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
        if left.keys() != right.keys():
            return False
        for name, part in left.items():
            below = properties.get(unescaped(name)) if properties else additional
            below = below if isinstance(below, dict) else {}
            if not equal_as(part, right[name], below):
                return False
        return True
    return equal(left, right)


def _equal_lists(left: list[Value], right: list[Value], schema: Object) -> bool:
    if len(left) != len(right):
        return False
    list_type, items = schema.get(LIST_TYPE), schema.get("items") or {}
    if list_type == "set":
        return all(any(equal(one, other) for one in left) for other in right)
    if list_type == "map":
        keys = _keys(schema)
        known = by_keys(left, keys)
        for other in right:
            key = key_of(other, keys)
            if key is None or key not in known or not equal_as(known[key], other, items):
                return False
        return True
    return all(equal_as(one, other, items) for one, other in zip(left, right, strict=True))


@function("@joined_as", "dyn dyn dyn -> dyn", standard=True, cost=lambda given: 1)
def joined_as(left: list[Value], right: list[Value], schema: Object) -> list[Value]:
    """`+` of a set is a union; of a map list the right side's items take the place of those with their keys."""
    joined = list(left)
    if schema.get(LIST_TYPE) == "set":
        joined += [other for place, other in enumerate(right) if not _is_in(other, [*left, *right[:place]])]
        return joined
    keys = _keys(schema)
    places = {key_of(item, keys): place for place, item in enumerate(left)}
    for other in right:
        place = places.get(key_of(other, keys))
        if place is None:
            joined.append(other)
        else:
            joined[place] = other
    return joined


def _keys(schema: Object) -> tuple[str, ...]:
    return tuple(escape(name) or name for name in schema.get(LIST_KEYS) or ())


def _is_in(wanted: Value, values: list[Value]) -> bool:
    return any(same(value, wanted) for value in values)
