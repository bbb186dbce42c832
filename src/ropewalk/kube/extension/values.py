"""Whether a value fits an OpenAPI v3 schema: compiled once to closures, asked on every write. Pure.

Messages are those that apiextensions-apiserver gives. Patterns are run by RE2, which no pattern can make slow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import orjson

from ropewalk.kube.extension import formats
from ropewalk.kube.extension.structural import INT_OR_STRING
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Json, Object

Check = Callable[[Json, Path, FieldErrors], None]

_TYPES: dict[str, Callable[[Json], bool]] = {
    "object": lambda value: type(value) is dict,
    "array": lambda value: type(value) is list,
    "string": lambda value: type(value) is str,
    "integer": lambda value: type(value) is int or (type(value) is float and value.is_integer()),
    "number": lambda value: type(value) in (int, float),
    "boolean": lambda value: type(value) is bool,
}
_NAMES = {dict: "object", list: "array", str: "string", int: "integer", float: "number", bool: "boolean"}


@lru_cache(maxsize=1024)
def pattern(text: str) -> Any:
    """A compiled RE2 pattern. Raises `ValueError`."""
    import re2  # type: ignore[import-untyped]

    try:
        return re2.compile(text)
    except re2.error as error:
        raise ValueError(str(error)) from None


def compiled(schema: Object) -> Check:
    """The check of a structural schema, and of what stands in its logic."""
    checks: list[Check] = []
    kind = schema.get("type", "")
    if schema.get(INT_OR_STRING):
        checks.append(_int_or_string)
    elif kind:
        checks.append(_typed(kind))
    if "enum" in schema:
        checks.append(_enumerated(schema["enum"]))
    _add_strings(schema, checks)
    _add_numbers(schema, checks)
    _add_lists(schema, checks)
    _add_objects(schema, checks)
    _add_logic(schema, checks)
    nullable = bool(schema.get("nullable"))

    def check(value: Json, path: Path, errors: FieldErrors) -> None:
        if value is None:
            if not nullable and (kind or schema.get(INT_OR_STRING)):
                _mistyped(value, path, errors, kind or "integer,string")
            return
        for one in checks:
            one(value, path, errors)

    return check


def _mistyped(value: Json, path: Path, errors: FieldErrors, kind: str) -> None:
    given = "null" if value is None else _NAMES.get(type(value), "object")
    errors.type_invalid(path, given, f'{_where(path)} must be of type {kind}: "{given}"')


def _where(path: Path) -> str:
    text = str(path)
    return f"{text} in body" if text else "body"


def _typed(kind: str) -> Check:
    fits = _TYPES.get(kind, lambda value: True)

    def check(value: Json, path: Path, errors: FieldErrors) -> None:
        if not fits(value):
            _mistyped(value, path, errors, kind)

    return check


def _int_or_string(value: Json, path: Path, errors: FieldErrors) -> None:
    if type(value) not in (int, str) and not (type(value) is float and value.is_integer()):
        _mistyped(value, path, errors, "integer,string")


def _enumerated(allowed: Sequence[Json]) -> Check:
    told = [word if isinstance(word, str) else orjson.dumps(word).decode() for word in allowed]

    def check(value: Json, path: Path, errors: FieldErrors) -> None:
        if not any(value == word and type(value) is type(word) for word in allowed):
            errors.not_supported(path, value, told)

    return check


# --- by type


def _add_strings(schema: Object, checks: list[Check]) -> None:
    longest, shortest = schema.get("maxLength"), schema.get("minLength")
    expression, form = schema.get("pattern"), schema.get("format", "")
    known = formats.check_of(form) if schema.get("type") == "string" else None
    if longest is None and shortest is None and not expression and known is None:
        return
    compiled_pattern = pattern(expression) if expression else None

    def check(value: Json, path: Path, errors: FieldErrors) -> None:
        if type(value) is not str:
            return
        if longest is not None and len(value) > longest:
            errors.too_long(path, longest)
        if shortest is not None and len(value) < shortest:
            errors.invalid(path, value, f"{_where(path)} should be at least {shortest} chars long")
        if compiled_pattern is not None and compiled_pattern.search(value) is None:
            errors.invalid(path, value, f"{_where(path)} should match '{expression}'")
        if known is not None and not known(value):
            errors.invalid(path, value, f'{_where(path)} must be of type {form}: "{value}"')

    checks.append(check)


def _add_numbers(schema: Object, checks: list[Check]) -> None:
    least, most, step = schema.get("minimum"), schema.get("maximum"), schema.get("multipleOf")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    bounds = {"int32": 2**31, "int64": 2**63}.get(schema.get("format", ""))
    if least is None and most is None and step is None and bounds is None:
        return

    def check(value: Json, path: Path, errors: FieldErrors) -> None:
        if type(value) not in (int, float):
            return
        if bounds is not None and not -bounds <= value < bounds:
            errors.invalid(path, value, f"{_where(path)} must be of type {schema['format']}: {value}")
        if least is not None and (value < least or (above and value == least)):
            how = "greater than" if above else "greater than or equal to"
            errors.invalid(path, value, f"{_where(path)} should be {how} {_number(least)}")
        if most is not None and (value > most or (below and value == most)):
            how = "less than" if below else "less than or equal to"
            errors.invalid(path, value, f"{_where(path)} should be {how} {_number(most)}")
        if step and not _is_multiple(value, step):
            errors.invalid(path, value, f"{_where(path)} should be a multiple of {_number(step)}")

    checks.append(check)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else str(value)


def _is_multiple(value: float, step: float) -> bool:
    quotient = value / step
    return math.isclose(quotient, round(quotient), rel_tol=1e-9, abs_tol=1e-9)


def _add_lists(schema: Object, checks: list[Check]) -> None:
    most, least = schema.get("maxItems"), schema.get("minItems")
    items = compiled(schema["items"]) if isinstance(schema.get("items"), dict) else None
    list_type, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or ()
    if most is None and least is None and items is None and list_type is None:
        return

    def check(value: Json, path: Path, errors: FieldErrors) -> None:
        if type(value) is not list:
            return
        if most is not None and len(value) > most:
            errors.too_many(path, len(value), most)
        if least is not None and len(value) < least:
            errors.invalid(path, value, f"{_where(path)} should have at least {least} items")
        if items is not None:
            for place, item in enumerate(value):
                items(item, path / place, errors)
        if list_type in ("set", "map"):
            _check_doubles(value, keys if list_type == "map" else None, path, errors)

    checks.append(check)


def _check_doubles(value: list[Json], keys: Sequence[str] | None, path: Path, errors: FieldErrors) -> None:
    seen: set[bytes] = set()
    for place, item in enumerate(value):
        told = item if keys is None else {key: item[key] for key in keys if type(item) is dict and key in item}
        mark = orjson.dumps(told, option=orjson.OPT_SORT_KEYS)
        if mark in seen:
            errors.duplicate(path / place, told)
        seen.add(mark)


def _add_objects(schema: Object, checks: list[Check]) -> None:
    most, least = schema.get("maxProperties"), schema.get("minProperties")
    required = tuple(schema.get("required") or ())
    properties = {name: compiled(part) for name, part in (schema.get("properties") or {}).items()}
    additional = schema.get("additionalProperties")
    others = compiled(additional) if isinstance(additional, dict) else None
    if most is None and least is None and not required and not properties and others is None:
        return

    def check(value: Json, path: Path, errors: FieldErrors) -> None:
        if type(value) is not dict:
            return
        for name in required:
            if name not in value:
                errors.required(path / name)
        if most is not None and len(value) > most:
            errors.too_many(path, len(value), most)
        if least is not None and len(value) < least:
            errors.invalid(path, value, f"{_where(path)} should have at least {least} properties")
        for name, part in value.items():
            one = properties.get(name)
            if one is not None:
                one(part, path / name, errors)
            elif others is not None:
                others(part, path / name, errors)

    checks.append(check)


# --- logic


def _add_logic(schema: Object, checks: list[Check]) -> None:
    for word, enough, told in (
        ("allOf", lambda fitting, count: fitting == count, "must validate all the schemas (allOf)"),
        ("anyOf", lambda fitting, count: fitting > 0, "must validate at least one schema (anyOf)"),
        ("oneOf", lambda fitting, count: fitting == 1, "must validate one and only one schema (oneOf)"),
    ):
        parts = [compiled(part) for part in schema.get(word) or ()]
        if parts:
            checks.append(_combined(parts, enough, told, single=word == "oneOf"))
    if isinstance(schema.get("not"), dict):
        checks.append(_negated(compiled(schema["not"])))


def _combined(parts: Sequence[Check], enough: Callable[[int, int], bool], told: str, *, single: bool) -> Check:
    def check(value: Json, path: Path, errors: FieldErrors) -> None:
        fitting = 0
        found: list[FieldErrors] = []
        for part in parts:
            problems = FieldErrors()
            part(value, path, problems)
            fitting += not problems
            if problems:
                found.append(problems)
        if enough(fitting, len(parts)):
            return
        name = str(path) or "<nil>"
        more = f". Found {fitting or 'none'} valid" + (" alternatives" if fitting > 1 else "") if single else ""
        errors.invalid(path, value if type(value) is not dict else "", f'"{name}" {told}{more}')
        if not fitting and found:
            errors.causes.extend(found[0].causes)

    return check


def _negated(part: Check) -> Check:
    def check(value: Json, path: Path, errors: FieldErrors) -> None:
        problems = FieldErrors()
        part(value, path, problems)
        if not problems:
            errors.invalid(
                path, value if type(value) is not dict else "", f'"{path}" must not validate the schema (not)'
            )

    return check
