"""The tree of a parsed expression, read from the serialised form that the CEL library's parser gives.

The library (cel-cpp) parses and type-checks; it cannot carry Kubernetes' own types through an evaluation, nor count
what one costs, so evaluation is ours (`evaluator`). The form is the `cel.expr.ParsedExpr` message; only the fields
that evaluation needs are read. https://github.com/google/cel-spec/blob/master/proto/cel/expr/syntax.proto
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias, Union

from ropewalk.kube.machinery.cel.values import UInt


@dataclass(frozen=True, slots=True)
class Constant:
    value: object
    id: int = 0


@dataclass(frozen=True, slots=True)
class Identifier:
    name: str
    id: int = 0


@dataclass(frozen=True, slots=True)
class Select:
    operand: Node
    field: str
    test_only: bool
    """`has(operand.field)`."""
    id: int = 0


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call; operators are functions called `_+_`, `!_`, `_?_:_`, …"""

    target: Node | None
    function: str
    arguments: tuple[Node, ...]
    id: int = 0


@dataclass(frozen=True, slots=True)
class ListLiteral:
    elements: tuple[Node, ...]
    optional: frozenset[int]
    """Indices of elements written `?e`: left out where they are empty optionals."""
    id: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    key: Node | str
    """The name of a field in a message."""
    value: Node
    optional: bool


@dataclass(frozen=True, slots=True)
class MapLiteral:
    """A map, or (with `message`) a message."""

    message: str
    entries: tuple[Entry, ...]
    id: int = 0


@dataclass(frozen=True, slots=True)
class Comprehension:
    """What the macros become: a fold over a list or the keys of a map."""

    variable: str
    range: Node
    accumulator: str
    initial: Node
    condition: Node
    step: Node
    result: Node
    second: str = ""
    """The second variable of a two-variable comprehension."""
    id: int = 0


Node: TypeAlias = Union[Constant, Identifier, Select, Invocation, ListLiteral, MapLiteral, Comprehension]


@dataclass(frozen=True, slots=True)
class Parsed:
    root: Node
    positions: dict[int, int]
    """Offset in the source of every node id."""


_Wire: TypeAlias = Union[int, bytes]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _wire(data: bytes) -> Iterator[tuple[int, _Wire]]:
    """(field number, value) in order: integers for varints, bytes for the rest."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == 2:
            length, at = _varint(data, at)
        else:
            length = 8 if kind == 1 else 4
        yield tag >> 3, data[at : at + length]
        at += length


def _fields(data: bytes) -> dict[int, _Wire]:
    return dict(_wire(data))


def _bytes(fields: dict[int, _Wire], number: int) -> bytes:
    found = fields.get(number, b"")
    assert isinstance(found, bytes)
    return found


def _text(fields: dict[int, _Wire], number: int) -> str:
    return _bytes(fields, number).decode()


def _integer(fields: dict[int, _Wire], number: int) -> int:
    found = fields.get(number, 0)
    assert isinstance(found, int)
    return found


def decode(serialized: bytes) -> Parsed:
    """The tree in what `Expression.serialize` gave for an unchecked expression (an `Any` around a `ParsedExpr`)."""
    parsed = _fields(_bytes(_fields(serialized), 2))
    positions: dict[int, int] = {}
    for number, value in _wire(_bytes(parsed, 3)):
        if number == 4 and isinstance(value, bytes):
            entry = _fields(value)
            positions[_integer(entry, 1)] = _integer(entry, 2)
    return Parsed(_node(_bytes(parsed, 2)), positions)


def _node(data: bytes) -> Node:
    fields = _fields(data)
    identity = _integer(fields, 2)
    for number, read in _READERS.items():
        if number in fields:
            return read(_bytes(fields, number), identity)
    raise ValueError("an expression of an unknown kind")


def _constant(data: bytes, identity: int) -> Node:
    for number, value in _wire(data):
        if isinstance(value, int):
            if number == 1:
                return Constant(None, identity)
            if number == 2:
                return Constant(bool(value), identity)
            if number == 3:
                return Constant(value - (1 << 64) if value >= 1 << 63 else value, identity)
            if number == 4:
                return Constant(UInt(value), identity)
        elif number == 5:
            return Constant(struct.unpack("<d", value)[0], identity)
        elif number == 6:
            return Constant(value.decode(), identity)
        elif number == 7:
            return Constant(bytes(value), identity)
    return Constant(None, identity)


def _identifier(data: bytes, identity: int) -> Node:
    return Identifier(_text(_fields(data), 1), identity)


def _select(data: bytes, identity: int) -> Node:
    fields = _fields(data)
    return Select(_node(_bytes(fields, 1)), _text(fields, 2), bool(_integer(fields, 3)), identity)


def _call(data: bytes, identity: int) -> Node:
    fields = _fields(data)
    arguments = tuple(_node(value) for number, value in _wire(data) if number == 3 and isinstance(value, bytes))
    return Invocation(_node(_bytes(fields, 1)) if 1 in fields else None, _text(fields, 2), arguments, identity)


def _list(data: bytes, identity: int) -> Node:
    elements: list[Node] = []
    optional: set[int] = set()
    for number, value in _wire(data):
        if number == 1 and isinstance(value, bytes):
            elements.append(_node(value))
        elif number == 2 and isinstance(value, bytes):
            at = 0
            while at < len(value):
                index, at = _varint(value, at)
                optional.add(index)
        elif number == 2 and isinstance(value, int):
            optional.add(value)
    return ListLiteral(tuple(elements), frozenset(optional), identity)


def _struct(data: bytes, identity: int) -> Node:
    message = ""
    entries: list[Entry] = []
    for number, value in _wire(data):
        if not isinstance(value, bytes):
            continue
        if number == 1:
            message = value.decode()
        elif number == 2:
            entry = _fields(value)
            key = _text(entry, 2) if 2 in entry else _node(_bytes(entry, 3))
            entries.append(Entry(key, _node(_bytes(entry, 4)), bool(_integer(entry, 5))))
    return MapLiteral(message, tuple(entries), identity)


def _comprehension(data: bytes, identity: int) -> Node:
    fields = _fields(data)
    return Comprehension(
        variable=_text(fields, 1),
        second=_text(fields, 8),
        range=_node(_bytes(fields, 2)),
        accumulator=_text(fields, 3),
        initial=_node(_bytes(fields, 4)),
        condition=_node(_bytes(fields, 5)),
        step=_node(_bytes(fields, 6)),
        result=_node(_bytes(fields, 7)),
        id=identity,
    )


_READERS = {3: _constant, 4: _identifier, 5: _select, 6: _call, 7: _list, 8: _struct, 9: _comprehension}


def children(node: Node) -> Iterator[Node]:
    """The nodes directly under one, except those that see variables of a comprehension."""
    if isinstance(node, Select):
        yield node.operand
    elif isinstance(node, Invocation):
        if node.target is not None:
            yield node.target
        yield from node.arguments
    elif isinstance(node, ListLiteral):
        yield from node.elements
    elif isinstance(node, MapLiteral):
        for entry in node.entries:
            if not isinstance(entry.key, str):
                yield entry.key
            yield entry.value


def dotted(node: Node | None) -> str:
    """`a.b` for a chain of plain selections on an identifier, "" for anything else."""
    if isinstance(node, Identifier):
        return node.name
    if isinstance(node, Select) and not node.test_only:
        head = dotted(node.operand)
        return f"{head}.{node.field}" if head else ""
    return ""
