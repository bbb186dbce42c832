"""Field errors as apiextensions-apiserver writes them: values printed as Go prints them, paths given as text. Pure.

`fields.FieldErrors` serves people who write rules by hand; schemas and their rules are judged by machinery that knows
its paths as strings, and quotes values of every kind.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal

import orjson

from ropewalk.kube.machinery.errors import Cause
from ropewalk.kube.machinery.objects import Json

OMITTED = object()
"""As a value: nothing is said of it."""

_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def quoted(text: str) -> str:
    """As `%q` has it."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(map(_quoted_character, text)) + '"'


def _quoted_character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def number(value: float) -> str:
    """As `%v` has it: 3, 0.5, 1e+06."""
    if type(value) is int:
        return str(value)
    if math.isinf(value) or math.isnan(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    digits = repr(abs(value)).partition("e")[0].replace(".", "").strip("0")
    mantissa, _, exponent = f"{value:.{max(len(digits) - 1, 0)}e}".partition("e")
    power = int(exponent)
    if value and not -4 <= power < 6:
        return f"{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
    return f"{value:.0f}" if value.is_integer() else f"{value:.{max(len(digits) - 1 - power, 0)}f}"


def shown(value: Json) -> str:
    """A value as a field error quotes it."""
    kind = type(value)
    if kind is str:
        return quoted(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return str(value)
    if kind is float:
        return number(value)
    return marshalled(value)


def marshalled(value: Json) -> str:
    """As Go's `json.Marshal` has it: keys in order, floats short, `<`, `>` and `&` escaped."""
    if type(value) is dict:
        return "{" + ",".join(f"{marshalled(key)}:{marshalled(value[key])}" for key in sorted(value)) + "}"
    if type(value) is list:
        return "[" + ",".join(map(marshalled, value)) + "]"
    if type(value) is float:
        return _marshalled_float(value)
    text = orjson.dumps(value).decode()
    for character, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(character, escape)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _marshalled_float(value: float) -> str:
    if value and not 1e-6 <= abs(value) < 1e21:
        mantissa, _, exponent = repr(value).partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}" if exponent else repr(value)
    return f"{value:.0f}" if value.is_integer() else f"{Decimal(repr(value)):f}"


def _valued(reason: str, words: str, path: str, value: Json, detail: str) -> Cause:
    told = words if value is OMITTED else f"{words}: {shown(value)}"
    return Cause(reason, f"{told}: {detail}" if detail else told, path or "<nil>")


def invalid(path: str, value: Json, detail: str) -> Cause:
    return _valued("FieldValueInvalid", "Invalid value", path, value, detail)


def type_invalid(path: str, value: Json, detail: str) -> Cause:
    return _valued("FieldValueTypeInvalid", "Invalid value", path, value, detail)


def duplicate(path: str, value: Json) -> Cause:
    return _valued("FieldValueDuplicate", "Duplicate value", path, value, "")


def not_supported(path: str, value: Json, supported: Iterable[str]) -> Cause:
    words = ", ".join(map(quoted, supported))
    return _valued(
        "FieldValueNotSupported", "Unsupported value", path, value, f"supported values: {words}" if words else ""
    )


def required(path: str, detail: str = "") -> Cause:
    return Cause("FieldValueRequired", "Required value" + (f": {detail}" if detail else ""), path or "<nil>")


def forbidden(path: str, detail: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {detail}", path or "<nil>")


def too_long(path: str, limit: int) -> Cause:
    unit = "byte" if limit == 1 else "bytes"
    told = f"may not be more than {limit} {unit}" if limit >= 0 else "value is too long"
    return Cause("FieldValueTooLong", f"Too long: {told}", path or "<nil>")


def too_many(path: str, count: int, limit: int) -> Cause:
    unit = "item" if limit == 1 else "items"
    told = f"must have at most {limit} {unit}" if limit >= 0 else "has too many items"
    return Cause("FieldValueTooMany", f"Too many: {count}: {told}", path or "<nil>")


BLOCKING = frozenset(
    ("FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid")
)
"""Errors after which a schema's rules are not asked."""
