"""Whether a value fits an OpenAPI v3 schema: compiled once to closures, asked on every write. Pure.

Only yes or no: nearly every object fits. What is wrong with one that does not is told by `complaints`, which walks
schema and value side by side, and agrees with this (a property of the tests).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce

from ropewalk.kube.extension import formats
from ropewalk.kube.extension.structural import INT_OR_STRING
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.patterns import pattern

Fits = Callable[[Json], bool]

NAMES: dict[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
}
_CLASSES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def types_of(schema: Object) -> tuple[str, ...]:
    """The JSON types it allows; none where any is."""
    if schema.get(INT_OR_STRING):
        return ("integer", "string")
    kind = schema.get("type")
    return (kind,) if kind else ()


def format_of(schema: Object) -> str:
    """Its format where it is one that is checked."""
    form = schema.get("format") or ""
    return form if formats.check_of(form) is not None else ""


def is_whole(value: float) -> bool:
    """A float that passes for an integer."""
    if math.isnan(value) or math.isinf(value) or abs(value) > 1 << 53:
        return False
    if value.is_integer():
        return True
    whole = float(int(value))
    return abs(value - whole) / (abs(value) + abs(whole)) < 1e-9


def compiled(schema: Object) -> Fits:
    """Of a structural schema, or of what stands in its logic."""
    checks = [*_value_checks(schema), *_logic_checks(schema)]
    enum = schema.get("enum")
    if enum:
        checks.append(_enumerated(enum))
    null_fits = not enum and (bool(schema.get("nullable")) or not types_of(schema))
    fits = reduce(_both, checks) if checks else _anything
    if schema.get("nullable") or not types_of(schema) or format_of(schema):
        return lambda value: null_fits if value is None else fits(value)
    return fits


def _both(first: Fits, second: Fits) -> Fits:
    return lambda value: first(value) and second(value)


def _anything(value: Json) -> bool:
    return True


def _value_checks(schema: Object) -> list[Fits]:
    """Type and limits, in as few steps as may be: this runs for every field of every object."""
    types = types_of(schema)
    if types == ("object",):
        return [_object_check(schema)]
    if types == ("array",):
        return [_list_check(schema)]
    if types == ("string",) and not format_of(schema):
        return [_string_check(schema, typed=True)]
    return [
        *_type_checks(schema),
        *([_string_check(schema, typed=False)] if _OF_STRINGS & schema.keys() else []),
        *_number_checks(schema),
        *([_list_check(schema)] if not types and _OF_LISTS & schema.keys() else []),
        *([_object_check(schema)] if not types and _OF_OBJECTS & schema.keys() else []),
    ]


_OF_STRINGS = {"maxLength", "minLength", "pattern", "format"}
_OF_LISTS = {"maxItems", "minItems", "items"}
_OF_OBJECTS = {"maxProperties", "minProperties", "required", "properties", "additionalProperties"}


def _type_checks(schema: Object) -> list[Fits]:
    types, form = types_of(schema), format_of(schema)
    classes = tuple(kind for name in types for kind in _CLASSES.get(name, ()))
    if form and not {"integer", "number"} & set(types):
        # Of strings and lists with a format the type is not asked.
        return [lambda value: type(value) in (str, list) or type(value) in classes]
    if not types:
        return []
    if "integer" in types:
        return [lambda value: type(value) in classes or (type(value) is float and is_whole(value))]
    return [lambda value: type(value) in classes]


def matches_enum(value: Json, allowed: Sequence[Json]) -> bool:
    """As Go compares after conversion: 1 and 1.0 are one, true and 1 are not."""
    for word in allowed:
        if word is None:
            continue
        kind, other = type(value), type(word)
        if kind is other:
            if value == word and _same(value, word):
                return True
        elif {kind, other} == {int, float} and other(value) == word:
            return True
    return False


def _same(left: Json, right: Json) -> bool:
    """Equal values of equal types, at every depth (`==` takes true for 1)."""
    if type(left) is not type(right):
        return False
    if type(left) is dict:
        return left.keys() == right.keys() and all(_same(part, right[key]) for key, part in left.items())
    if type(left) is list:
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _enumerated(allowed: Sequence[Json]) -> Fits:
    if all(type(word) is str for word in allowed):
        words = frozenset(allowed)
        return lambda value: type(value) is str and value in words
    return lambda value: matches_enum(value, allowed)


# --- by type


def _string_check(schema: Object, *, typed: bool) -> Fits:
    """`typed`: nothing else than a string fits."""
    longest, shortest, expression = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    search = pattern(expression).search if expression else None
    known = formats.check_of(schema.get("format") or "")
    if longest is None and shortest is None and search is None and known is None:
        return (lambda value: type(value) is str) if typed else _anything

    def fits(value: Json) -> bool:
        if type(value) is not str:
            return not typed
        if longest is not None and len(value) > longest:
            return False
        if shortest is not None and len(value) < shortest:
            return False
        if search is not None and search(value) is None:
            return False
        return known is None or known(value)

    return fits


def _number_checks(schema: Object) -> list[Fits]:
    least, most, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    if least is None and most is None and step is None:
        return []
    above, below = bool(schema.get("exclusiveMinimum")), bool(schema.get("exclusiveMaximum"))

    def fits(value: Json) -> bool:
        if type(value) is not int and type(value) is not float:
            return True
        if least is not None and not reaches(value, least, exclusive=above):
            return False
        if most is not None and not reaches(-value, -most, exclusive=below):
            return False
        return step is None or is_multiple(value, step)

    return [fits]


def reaches(value: float, least: float, *, exclusive: bool) -> bool:
    """`value` ≥ `least` (>, where exclusive); an integer is compared with what Go makes an integer of."""
    bound = int(least) if type(value) is int else least
    return value > bound if exclusive else value >= bound


def is_multiple(value: float, step: float) -> bool:
    if type(value) is int:
        return int(step) > 0 and value % int(step) == 0
    if step <= 0:
        return False
    return is_whole(1 / step * value if step < 1 else value / step)


def _list_check(schema: Object) -> Fits:
    most, least = schema.get("maxItems"), schema.get("minItems")
    items = compiled(schema["items"]) if isinstance(schema.get("items"), dict) else None
    typed = bool(schema.get("type"))

    def fits(value: Json) -> bool:
        if type(value) is not list:
            return not typed
        if most is not None and len(value) > most:
            return False
        if least is not None and len(value) < least:
            return False
        return items is None or all(map(items, value))

    return fits


def _object_check(schema: Object) -> Fits:
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    required = tuple(schema.get("required") or ())
    properties = schema.get("properties") or {}
    plain = {name: kind for name, part in properties.items() if (kind := _plain(part)) is not None}
    checks = {name: compiled(part) for name, part in properties.items()}
    additional = schema.get("additionalProperties")
    others = compiled(additional) if isinstance(additional, dict) else None
    closed, typed = additional is False, bool(schema.get("type"))

    def fits(value: Json) -> bool:
        if type(value) is not dict:
            return not typed
        for name in required:
            if name not in value:
                return False
        if most is not None and len(value) > most:
            return False
        if least is not None and len(value) < least:
            return False
        for name, part in value.items():
            if type(part) is plain.get(name):
                continue
            check = checks.get(name, others)
            if check is None:
                if closed:
                    return False
            elif not check(part):
                return False
        return True

    return fits


def _plain(schema: Object) -> type | None:
    """The one Python type that fits without a further look."""
    kinds: dict[str, type] = {"string": str, "integer": int, "boolean": bool}
    limited = schema.keys() - {"type", "description", "title", "default", "nullable", "example", "externalDocs"}
    return kinds.get(schema.get("type", "")) if not limited else None


# --- logic


def _logic_checks(schema: Object) -> list[Fits]:
    checks: list[Fits] = []
    every = [compiled(part) for part in schema.get("allOf") or ()]
    some = [compiled(part) for part in schema.get("anyOf") or ()]
    one = [compiled(part) for part in schema.get("oneOf") or ()]
    if every:
        checks.append(lambda value: all(fits(value) for fits in every))
    if some:
        checks.append(lambda value: any(fits(value) for fits in some))
    if one:
        checks.append(lambda value: sum(fits(value) for fits in one) == 1)
    if isinstance(schema.get("not"), dict):
        forbidden = compiled(schema["not"])
        checks.append(lambda value: not forbidden(value))
    return checks
