"""Whether a value fits an OpenAPI v3 schema: compiled once to closures, asked on every write. Pure.

Only yes or no: nearly every object fits. What is wrong with one that does not is told by `complaints`, which walks
schema and value side by side, and agrees with this (a property of the tests).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

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
    checks = [
        *_type_checks(schema),
        *_logic_checks(schema),
        *_string_checks(schema),
        *_number_checks(schema),
        *_list_checks(schema),
        *_object_checks(schema),
    ]
    enum = schema.get("enum")
    if enum:
        checks.append(_enumerated(enum))
    null_fits = not enum and (bool(schema.get("nullable")) or not types_of(schema))
    if not checks:
        return lambda value: value is not None or null_fits
    if len(checks) == 1:
        (only,) = checks
        return lambda value: null_fits if value is None else only(value)
    several = tuple(checks)

    def fits(value: Json) -> bool:
        if value is None:
            return null_fits
        return all(check(value) for check in several)

    return fits


def _type_checks(schema: Object) -> list[Fits]:
    types, form = types_of(schema), format_of(schema)
    if form and not {"integer", "number"} & set(types):
        # Of strings and lists with a format the type is not asked.
        allowed = tuple(kind for name in types for kind in _CLASSES.get(name, ()))
        return [lambda value: type(value) in (str, list) or type(value) in allowed]
    if not types:
        return []
    classes = tuple(kind for name in types for kind in _CLASSES.get(name, ()))
    if "integer" in types:
        return [lambda value: type(value) in classes or (type(value) is float and is_whole(value))]
    if len(classes) == 1:
        (only,) = classes
        return [lambda value: type(value) is only]
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


def _string_checks(schema: Object) -> list[Fits]:
    longest, shortest, expression = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    checks: list[Fits] = []
    if longest is not None:
        checks.append(lambda value: type(value) is not str or len(value) <= longest)
    if shortest is not None:
        checks.append(lambda value: type(value) is not str or len(value) >= shortest)
    if expression:
        search = pattern(expression).search
        checks.append(lambda value: type(value) is not str or search(value) is not None)
    known = formats.check_of(schema.get("format") or "")
    if known is not None:
        checks.append(lambda value: type(value) is not str or known(value))
    return checks


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


def _list_checks(schema: Object) -> list[Fits]:
    most, least = schema.get("maxItems"), schema.get("minItems")
    checks: list[Fits] = []
    if most is not None:
        checks.append(lambda value: type(value) is not list or len(value) <= most)
    if least is not None:
        checks.append(lambda value: type(value) is not list or len(value) >= least)
    if isinstance(schema.get("items"), dict):
        fits = compiled(schema["items"])
        checks.append(lambda value: type(value) is not list or all(map(fits, value)))
    return checks


def _object_checks(schema: Object) -> list[Fits]:
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    required = tuple(schema.get("required") or ())
    properties = {name: compiled(part) for name, part in (schema.get("properties") or {}).items()}
    additional = schema.get("additionalProperties")
    others = compiled(additional) if isinstance(additional, dict) else None
    closed = additional is False
    checks: list[Fits] = []
    if most is not None:
        checks.append(lambda value: type(value) is not dict or len(value) <= most)
    if least is not None:
        checks.append(lambda value: type(value) is not dict or len(value) >= least)
    if required:
        checks.append(lambda value: type(value) is not dict or all(name in value for name in required))
    if properties or others is not None or closed:

        def fits(value: Json) -> bool:
            if type(value) is not dict:
                return True
            for name, part in value.items():
                check = properties.get(name)
                if check is not None:
                    if not check(part):
                        return False
                elif closed or (others is not None and not others(part)):
                    return False
            return True

        checks.append(fits)
    return checks


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
