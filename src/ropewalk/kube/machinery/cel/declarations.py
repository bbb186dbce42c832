"""What values are to CEL: their types, the fields they have, how many elements and how small they can be. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ropewalk.kube.machinery.cel.types import Type


@dataclass(frozen=True, slots=True)
class Declared:
    type: Type
    max_elements: int = 0
    min_size: int = 0
    """Of the JSON, in bytes."""
    fields: dict[str, Declared] | None = None
    """Of an object, by escaped names."""
    key: Declared | None = None
    element: Declared | None = None


def structs(root: Declared) -> dict[str, Declared]:
    """All struct types in it, by name."""
    return dict(_structs(root))


def _structs(part: Declared) -> Iterator[tuple[str, Declared]]:
    if part.fields is not None:
        yield part.type.name, part
        for below in part.fields.values():
            yield from _structs(below)
    if part.element is not None:
        yield from _structs(part.element)


# --- names

RESERVED = frozenset(
    [
        *("as", "break", "const", "continue", "else", "false", "for"),
        *("function", "if", "import", "in", "let", "loop", "namespace"),
        *("null", "package", "return", "true", "var", "void", "while"),
    ]
)
"""Words that no field or variable may be called in an expression."""
_ESCAPED = re.compile(r"__|[-./]|[^a-zA-Z0-9_]")
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}


def escape(name: str) -> str | None:
    """The identifier that a field's name is written as in CEL; None where there is none.
    https://kubernetes.io/docs/reference/using-api/cel/#escaping
    """
    if not name or name[0].isdigit():
        return None
    if name in RESERVED:
        return f"__{name}__"
    if any(part not in _ESCAPES for part in _ESCAPED.findall(name)):
        return None
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], name)
