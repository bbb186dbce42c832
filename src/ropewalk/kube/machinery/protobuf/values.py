"""Single values: the wire's bits and bytes → what the same value is in JSON. None is a value that is as good as none.

Times, quantities and their kin are messages in protobuf and plain values in JSON; each has its reader here.
"""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Callable
from datetime import datetime, timedelta

from ropewalk.kube.machinery import decoding, json_text
from ropewalk.kube.machinery.decoding import MAX_DEPTH
from ropewalk.kube.machinery.objects import Json
from ropewalk.kube.machinery.protobuf.wire import BYTES, VARINT, fields, only
from ropewalk.kube.machinery.schema import Schema, Shape

Read = Callable[[bytes, int, int, int], Json]
"""(body, start, end, depth) → the value of a field of the wire type BYTES."""

NUMBERS = (Shape.INTEGER, Shape.NUMBER, Shape.BOOLEAN)
"""Shapes that are no BYTES on the wire."""

_ESCAPED = re.compile("[\udc80-\udcff]")
_EPOCH = datetime(1970, 1, 1)
_ZERO_TIME = -62135596800
"""Go's, in seconds since 1970."""
TOO_DEEP = "exceeded max depth"


# --- numbers


def number(schema: Schema) -> Callable[[int], Json]:
    """What the wire's 64 bits mean."""
    if schema.shape is Shape.BOOLEAN:
        return bool
    if schema.shape is Shape.NUMBER:
        return _double
    return _int32 if schema.format == "int32" else _int64


def _int32(bits: int) -> int:
    return ((bits & 0xFFFF_FFFF) ^ 0x8000_0000) - 0x8000_0000


def _int64(bits: int) -> int:
    return (bits ^ 2**63) - 2**63


def _double(bits: int) -> Json:
    value: float = struct.unpack("<d", bits.to_bytes(8, "little"))[0]
    if not math.isfinite(value):
        raise ValueError(f"json: unsupported value: {value}")
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


# --- texts


def text(body: bytes, at: int, end: int, depth: int = 0) -> str:
    """Go does not ask whether it is UTF-8; in its JSON U+FFFD stands for each byte that is not."""
    try:
        return body[at:end].decode()
    except UnicodeDecodeError:
        return _ESCAPED.sub("\ufffd", body[at:end].decode(errors="surrogateescape"))


def encoded_bytes(body: bytes, at: int, end: int, depth: int) -> str:
    return base64.b64encode(body[at:end]).decode()


def quantity(body: bytes, at: int, end: int, depth: int) -> str:
    start, stop = only(body, at, end)
    return text(body, start, stop) if start else "0"


def int_or_string(body: bytes, at: int, end: int, depth: int) -> Json:
    kind = whole = 0
    told = ""
    for part, value, stop in fields(body, at, end, {1: VARINT, 2: VARINT, 3: BYTES}):
        if part == 1:
            kind = value
        elif part == 2:
            whole = _int32(value)
        else:
            told = text(body, value, stop)
    if kind > 1:
        raise ValueError("impossible IntOrString.Type")
    return told if kind else whole


# --- times


def time(body: bytes, at: int, end: int, depth: int) -> str | None:
    moment = _moment(body, at, end)
    return None if moment is None else f"{moment.isoformat(timespec='seconds')}Z"


def micro_time(body: bytes, at: int, end: int, depth: int) -> str | None:
    moment = _moment(body, at, end, fractions=True)
    return None if moment is None else f"{moment.isoformat(timespec='microseconds')}Z"


def _moment(body: bytes, at: int, end: int, *, fractions: bool = False) -> datetime | None:
    """None for Go's zero time, which is an empty message. Fractions count only where JSON has them too."""
    if at == end:
        return None
    seconds = nanoseconds = 0
    for part, value, _ in fields(body, at, end, {1: VARINT, 2: VARINT}):
        if part == 1:
            seconds = _int64(value)
        elif fractions:
            nanoseconds = _int32(value)
    if seconds == _ZERO_TIME and not nanoseconds:
        return None
    try:
        return _EPOCH + timedelta(seconds=seconds, microseconds=int(nanoseconds / 1000))
    except OverflowError:
        raise ValueError(f"no year from 1 to 9999 is {seconds} seconds after 1970") from None


# --- values within values


def json_value(body: bytes, at: int, end: int, depth: int) -> Json:
    """RawExtension, FieldsV1 and JSON: a message whose one field is JSON text."""
    start, stop = only(body, at, end)
    if start == stop:
        return None
    raw = body[start:stop]
    found = decoding.parse(raw, "application/json")[0]
    if raw.count(b"{") + raw.count(b"[") + depth > MAX_DEPTH and json_text.depth(found) + depth > MAX_DEPTH:
        raise ValueError(TOO_DEEP)
    return found


def wrapped_list(read: Read) -> Read:
    """A list as the value of a map: a message whose one field is the list."""

    def read_all(body: bytes, at: int, end: int, depth: int) -> Json:
        return [read(body, start, stop, depth + 1) for _, start, stop in fields(body, at, end, {1: BYTES})]

    return read_all


def schema_or_bool(read_schema: Read) -> Read:
    """`additionalProperties` of a schema in a CustomResourceDefinition, and its kin: a schema, or whether any fits."""

    def read(body: bytes, at: int, end: int, depth: int) -> Json:
        allows = False
        schema: Json = None
        for part, value, stop in fields(body, at, end, {1: VARINT, 2: BYTES}):
            if part == 1:
                allows = bool(value)
            else:
                schema = read_schema(body, value, stop, depth)
        return allows if schema is None else schema

    return read


def schema_or_list(read_schema: Read, read_item: Read) -> Read:
    """A schema, or a list of schemas (`items`) or of names (`dependencies`)."""

    def read(body: bytes, at: int, end: int, depth: int) -> Json:
        schema: Json = None
        several: list[Json] = []
        for part, start, stop in fields(body, at, end, {1: BYTES, 2: BYTES}):
            if part == 1:
                schema = read_schema(body, start, stop, depth)
            else:
                several.append(read_item(body, start, stop, depth + 1))
        return several or schema

    return read
