"""Whether an object is already as Go would hold it: the walk that nearly every object passes, and nothing else does.

For each definition one table, made at first use: the name of a field → (the Python type of its value, a check of what
is inside, or None). A value of exactly that type, not empty unless emptiness means something, and clean inside is
clean. "No" means only that `checking` has to look.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ropewalk.kube.machinery import go_values
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.schema import Schema, Shape
from ropewalk.kube.machinery.structs import Struct

INTEGERS = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "": (-(2**63), 2**63 - 1),
}

_Check = Callable[[Json], bool]
_Entry = tuple[type, _Check | None]


class _Several:
    """In place of a type: values of more than one type are possible."""


class _NoField:
    """In place of a type: there is no such field. No value has this type."""


_UNKNOWN: _Entry = (_NoField, None)
_SECOND = r"[1-9]\d{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"
"""Times that need no calendar to be known as good."""
_TIME = re.compile(_SECOND + "Z", re.ASCII)
_MICRO_TIME = re.compile(_SECOND + r"\.\d{6}Z", re.ASCII)
_tables: dict[int, tuple[Struct, _Check]] = {}
"""By identity: built-in schemas live as long as the process."""


def is_clean(obj: Object, schema: Struct) -> bool:
    return _struct(schema)(obj)


def _struct(schema: Struct) -> _Check:
    known = _tables.get(id(schema))
    if known is not None:
        return known[1]
    table: dict[str, _Entry] = {}

    def check(value: Object) -> bool:
        for name, part in value.items():
            kind, inner = get(name, _UNKNOWN)
            if type(part) is kind:
                if part:
                    if inner is not None and not inner(part):
                        return False
                elif name in not_empty:
                    return False
            elif kind is not _Several or inner is None or not inner(part):
                return False
        return True

    _tables[id(schema)] = (schema, check)  # before its fields: definitions may be recursive
    get = table.get
    not_empty = frozenset(
        name
        for name, part in schema.fields.items()
        if schema.forgets(name, "") or part.shape is Shape.QUANTITY or part.format == "date-time"
    )
    for name, part in schema.fields.items():
        table[name] = _entry(part)
    return check


def _entry(schema: Schema) -> _Entry:
    shape = schema.shape
    if shape is Shape.OBJECT:
        return (dict, _later(schema)) if isinstance(schema, Struct) else _UNKNOWN
    if shape is Shape.MAP:
        return dict, _map(schema.items)
    if shape is Shape.LIST:
        return list, _list(schema.items)
    if shape is Shape.STRING:
        return str, _string(schema)
    if shape is Shape.BOOLEAN:
        return bool, None
    if shape is Shape.INTEGER:
        low, high = INTEGERS[schema.format]
        return int, lambda value: low <= value <= high
    if shape is Shape.INT_OR_STRING:
        return _Several, _int_or_string
    if shape is Shape.QUANTITY:
        return str, _quantity
    return _Several, _number if shape is Shape.NUMBER else _present


def _later(schema: Struct) -> _Check:
    """The check of a struct, made when a value is met: most definitions never are."""
    found: list[_Check] = []

    def check(value: Json) -> bool:
        if not found:
            found.append(_struct(schema))
        return found[0](value)

    return check


def _string(schema: Schema) -> _Check | None:
    if schema.format == "date-time":
        return _micro_time if schema.definition.endswith(".MicroTime") else _time
    return _bytes if schema.format == "byte" else None


def _list(items: Schema) -> _Check:
    kind, inner = _entry(items)
    if kind is _Several:
        return lambda value: inner is not None and all(inner(part) for part in value)

    def check(value: Json) -> bool:
        for part in value:  # noqa: SIM110 - a generator costs as much again
            if type(part) is not kind or (inner is not None and not inner(part)):
                return False
        return True

    return check


def _map(items: Schema) -> _Check:
    check = _list(items)
    return lambda value: check(value.values())


def _int_or_string(value: Json) -> bool:
    return type(value) is str or (type(value) is int and -(2**31) <= value < 2**31)


def _number(value: Json) -> bool:
    return type(value) is int or type(value) is float


def _present(value: Json) -> bool:
    return value is not None


def _time(value: Json) -> bool:
    return _TIME.fullmatch(value) is not None


def _micro_time(value: Json) -> bool:
    return _MICRO_TIME.fullmatch(value) is not None


def _bytes(value: Json) -> bool:
    try:
        return bool(go_values.encoded_bytes(value) == value)
    except ValueError:
        return False


def _quantity(value: Json) -> bool:
    try:
        return bool(go_values.quantity(value) == value)
    except ValueError:
        return False
