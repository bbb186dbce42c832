"""What is written out in a rule must mean something: times, patterns, lists of one type, format strings. Pure.

cel-go asks this of an expression whose types are right.
https://kubernetes.io/docs/reference/using-api/cel/#type-checking
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.cel.syntax import (
    Comprehension,
    Constant,
    Invocation,
    ListLiteral,
    MapLiteral,
    Node,
    Select,
)
from ropewalk.kube.machinery.cel.types import Type
from ropewalk.kube.machinery.patterns import pattern

TypeOf = Callable[[Node], Type]
Problem = tuple[int, str]
"""(id of a node, what is wrong with it)."""

_DURATION = re.compile(r"[-+]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)", re.ASCII)
_CLAUSE = re.compile(r"(?:\.(\d+))?(.?)", re.DOTALL)


def problems(root: Node, type_of: TypeOf) -> list[Problem]:
    return list(_problems(root, type_of, in_format=False))


def _problems(node: Node, type_of: TypeOf, *, in_format: bool) -> Iterator[Problem]:
    if isinstance(node, Invocation):
        yield from _unreadable(node)
        if node.function == "format":
            yield from _format_problems(node, type_of)
            in_format = True
    elif isinstance(node, ListLiteral) and not in_format:
        yield from _mixed_list(node, type_of)
    elif isinstance(node, MapLiteral) and not in_format:
        yield from _mixed_map(node, type_of)
    for part in parts(node):
        yield from _problems(part, type_of, in_format=in_format)


def parts(node: Node) -> list[Node]:
    """All nodes directly under one."""
    if isinstance(node, Comprehension):
        return [node.range, node.initial, node.condition, node.step, node.result]
    if isinstance(node, Select):
        return [node.operand]
    if isinstance(node, Invocation):
        return [*([node.target] if node.target is not None else []), *node.arguments]
    if isinstance(node, ListLiteral):
        return list(node.elements)
    if isinstance(node, MapLiteral):
        keys = [entry.key for entry in node.entries if not isinstance(entry.key, str)]
        return [*keys, *(entry.value for entry in node.entries)]
    return []


# --- times and patterns


def _unreadable(node: Invocation) -> Iterator[Problem]:
    reads = _READERS.get(node.function)
    literal = node.arguments[0] if node.arguments else None
    if reads is not None and isinstance(literal, Constant) and type(literal.value) is str and not reads(literal.value):
        yield literal.id, f"invalid {node.function} argument"


def _is_duration(text: str) -> bool:
    return _DURATION.fullmatch(text) is not None


def _is_timestamp(text: str) -> bool:
    try:
        times.parse(text)
    except ValueError:
        return False
    return True


def _is_pattern(text: str) -> bool:
    try:
        pattern(text)
    except ValueError:
        return False
    return True


_READERS = {"duration": _is_duration, "timestamp": _is_timestamp, "matches": _is_pattern}


# --- lists and maps


def _mismatch(node: Node, wanted: Type, found: Type) -> Problem:
    return node.id, f"expected type '{wanted}' but found '{found}'"


def _mixed_list(node: ListLiteral, type_of: TypeOf) -> Iterator[Problem]:
    wanted: Type | None = None
    for place, element in enumerate(node.elements):
        found = type_of(element)
        if place in node.optional and found.parameters:
            found = found.parameters[0]
        if wanted is None:
            wanted = found
        elif found != wanted:
            yield _mismatch(element, wanted, found)
            return


def _mixed_map(node: MapLiteral, type_of: TypeOf) -> Iterator[Problem]:
    wanted: tuple[Type, Type] | None = None
    for entry in node.entries:
        assert not isinstance(entry.key, str)
        key, value = type_of(entry.key), type_of(entry.value)
        if entry.optional and value.parameters:
            value = value.parameters[0]
        if wanted is None:
            wanted = key, value
            continue
        if key != wanted[0]:
            yield _mismatch(entry.key, wanted[0], key)
        if value != wanted[1]:
            yield _mismatch(entry.value, wanted[1], value)


# --- format strings

_PRINTABLE = frozenset(
    ("list", "map", "int", "uint", "double", "bool", "string", "timestamp", "bytes", "duration", "type", "null", "dyn")
)
_CLAUSES: dict[str, tuple[frozenset[str], str]] = {
    "s": (
        _PRINTABLE,
        "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and"
        " timestamps",
    ),
    "d": (frozenset(("int", "uint", "dyn")), "decimal clause can only be used on integers"),
    "f": (frozenset(("double", "string", "dyn")), "fixed-point clause can only be used on doubles"),
    "e": (frozenset(("double", "string", "dyn")), "scientific clause can only be used on doubles"),
    "b": (frozenset(("int", "uint", "bool", "dyn")), "only integers and bools can be formatted as binary"),
    "x": (
        frozenset(("int", "uint", "string", "bytes", "dyn")),
        "only integers, byte buffers, and strings can be formatted as hex",
    ),
    "o": (frozenset(("int", "uint", "dyn")), "octal clause can only be used on integers"),
}


def _format_problems(node: Invocation, type_of: TypeOf) -> Iterator[Problem]:
    target, arguments = node.target, node.arguments
    if not isinstance(target, Constant) or type(target.value) is not str or len(arguments) != 1:
        return
    given = arguments[0]
    if not isinstance(given, ListLiteral):
        return
    used = 0
    for clause in _clauses(target.value):
        if not clause:
            yield node.id, "unexpected end of string"
            return
        if used >= len(given.elements):
            yield node.id, f"index {used} out of range"
            return
        problem = _clause_problem(clause, given.elements[used], node.id, type_of)
        if problem is not None:
            yield problem
            return
        used += 1
    if len(given.elements) > used:
        told = f"too many arguments supplied to string.format (expected {used}, got {len(given.elements)})"
        yield node.id, told


def _clauses(text: str) -> Iterator[str]:
    """What follows each `%` that asks for an argument."""
    at = text.find("%")
    while at >= 0:
        if text.startswith("%%", at):
            at = text.find("%", at + 2)
            continue
        found = _CLAUSE.match(text, at + 1)
        assert found is not None
        yield found[0]
        at = text.find("%", found.end())


def _clause_problem(clause: str, element: Node, call: int, type_of: TypeOf) -> Problem | None:
    letter = clause[-1]
    kind = letter.lower() if letter == "X" else letter
    if kind not in _CLAUSES:
        told = f'could not parse formatting clause: unrecognized formatting clause "{letter}"'
        return call, told
    allowed, told = _CLAUSES[kind]
    wrong = _unprintable(element, type_of) if kind == "s" else element if type_of(element).kind not in allowed else None
    if wrong is None:
        return None
    found = type_of(wrong)
    return wrong.id, f"error during formatting: {told}, was given {found.name or found.kind}"


def _unprintable(node: Node, type_of: TypeOf) -> Node | None:
    if type_of(node).kind not in _PRINTABLE:
        return node
    inner = parts(node) if isinstance(node, (ListLiteral, MapLiteral)) else []
    return next((wrong for part in inner if (wrong := _unprintable(part, type_of)) is not None), None)
