"""Protobuf's own encoding: tags, numbers of variable length, and how what is unknown is passed over.

https://protobuf.dev/programming-guides/encoding/. Positions are into the whole body; nothing is copied. What ends too
early raises ValueError, or IndexError where the body itself ends.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

VARINT, DOUBLE, BYTES, GROUP, GROUP_END, FLOAT = range(6)
"""Wire types: the lowest three bits of a tag; above them stands the field's number."""
EOF = "unexpected EOF"

_FIRST, _SECOND = 1 << 3 | BYTES, 2 << 3 | BYTES
"""The tags of fields 1 and 2 where they are BYTES."""
_UINT64 = 2**64 - 1
_HIGHEST = 2**29 - 1
"""Of the numbers that a field can have."""


def varint(body: bytes, at: int) -> tuple[int, int]:
    """(the number, where it ends)."""
    value = shift = 0
    while True:
        byte = body[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & _UINT64, at
        shift += 7
        if shift > 63:
            raise ValueError("proto: integer overflow")


def double(body: bytes, at: int) -> tuple[int, int]:
    """(the bits, where they end)."""
    return int.from_bytes(body[at : at + 8], "little"), at + 8


def only(body: bytes, at: int, end: int) -> tuple[int, int]:
    """(start, end) of field 1, of BYTES, in a message that has no other; (0, 0) where it is left out."""
    if at + 1 < end and body[at] == _FIRST and body[at + 1] == end - at - 2 < 128:
        return at + 2, end
    found = 0, 0
    for _, start, stop in fields(body, at, end, {1: BYTES}):
        found = start, stop
    return found


def entry(body: bytes, at: int, end: int) -> tuple[int, int, int, int]:
    """(start, end, start, end) of key and value of a map's entry, both of BYTES and either left out where (0, 0)."""
    if at + 1 < end and body[at] == _FIRST and (size := body[at + 1]) < 128:
        middle = at + 2 + size
        if middle + 1 < end and body[middle] == _SECOND and body[middle + 1] == end - middle - 2 < 128:
            return at + 2, middle, middle + 2, end
    key = value = 0, 0
    for number, start, stop in fields(body, at, end, {1: BYTES, 2: BYTES}):
        if number == 1:
            key = start, stop
        else:
            value = start, stop
    return *key, *value


def fields(body: bytes, at: int, end: int, known: Mapping[int, int]) -> Iterator[tuple[int, int, int]]:
    """The known fields (number → wire type) of a message, in order: (number, start, end) of BYTES, (number, value, 0)
    of a VARINT. For small messages: `messages` has a quicker loop.
    """
    while at < end:
        tag, at = varint(body, at)
        number, kind = tag >> 3, tag & 7
        if known.get(number) != kind:
            at = skip(body, at, end, tag, known)
            continue
        value, at = varint(body, at)
        if kind == VARINT:
            yield number, value, 0
            continue
        start, at = at, at + value
        if at > end:
            break
        yield number, start, at
    if at != end:
        raise ValueError(EOF)


def skip(body: bytes, at: int, end: int, tag: int, known: Container[int]) -> int:
    """Where an unknown field ends: newer clients may send some. A known one is here for its wrong wire type."""
    number = tag >> 3
    if not 0 < number <= _HIGHEST:
        raise ValueError(f"proto: illegal tag {number} (wire type {tag & 7})")
    if number in known:
        raise ValueError(f"proto: wrong wireType = {tag & 7} for field {number}")
    groups = 0
    while True:
        kind = tag & 7
        if kind == VARINT:
            at = varint(body, at)[1]
        elif kind == BYTES:
            size, at = varint(body, at)
            at += size
        elif kind == DOUBLE:
            at += 8
        elif kind == FLOAT:
            at += 4
        elif kind == GROUP:
            groups += 1
        elif kind == GROUP_END and groups:
            groups -= 1
        else:
            raise ValueError(f"proto: illegal wireType {kind}")
        if at > end:
            raise ValueError(EOF)
        if not groups:
            return at
        tag, at = varint(body, at)
