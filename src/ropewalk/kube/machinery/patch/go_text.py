"""How Go prints values and their types: error texts that clients meet quote both."""

from __future__ import annotations

from ropewalk.kube.machinery.objects import Json

_TYPES = {
    dict: "map[string]interface {}",
    list: "[]interface {}",
    str: "string",
    bool: "bool",
    int: "int64",
    float: "float64",
}
_LONGEST = 2_000
"""Characters of a value that a message quotes; the real one quotes all, whatever its size."""


def type_name(value: Json) -> str:
    """As `%T` has it."""
    return _TYPES.get(type(value), "<nil>")


def text(value: Json) -> str:
    """As `%v` has it: `map[a:1 b:[x y]]`."""
    told = _text(value)
    return told if len(told) <= _LONGEST else told[:_LONGEST] + "…"


def _text(value: Json) -> str:
    if type(value) is dict:
        return "map[" + " ".join(f"{key}:{_text(value[key])}" for key in sorted(value)) + "]"
    if type(value) is list:
        return "[" + " ".join(map(_text, value)) + "]"
    if value is None:
        return "<nil>"
    if type(value) is bool:
        return "true" if value else "false"
    return str(value)
