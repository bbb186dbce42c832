"""Messages → objects: for each definition one table of what to do with a tag, made where the first one is met.

A field that stands twice is as protobuf wants it: of plain values the last counts, messages are merged, lists grow.
Zero values, which Go writes unless a field is a pointer, are left out where Go's JSON would not have them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ropewalk.kube.machinery.decoding import MAX_DEPTH
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.protobuf import values, wire
from ropewalk.kube.machinery.protobuf.values import NUMBERS, Read
from ropewalk.kube.machinery.protobuf.wire import BYTES, EOF
from ropewalk.kube.machinery.schema import Schema, Shape
from ropewalk.kube.machinery.structs import Struct

Numbers = Callable[[str], Sequence[tuple[int, str]]]
"""Name of a definition → (number, field) pairs. `+name` in place of a field is another definition: a message of its own
whose fields lie flat in JSON.
"""

_Put = Callable[[bytes, int, int, Object, int], None]
"""(body, start, end, object to put the field into, depth): BYTES."""
_Row = tuple[str, bool, Callable[[int], Json] | None, _Put | None]
"""(field, whether its zero value is kept, what the bits of a number mean or None for BYTES, what puts BYTES into the
object). Plain text has neither function; a number with the second one is an item of a list.
"""


class Message:
    """How to read the messages of one definition, or of the part of it that is a message of its own."""

    __slots__ = ("_known", "_messages", "_numbers", "_schema", "_table")

    def __init__(self, schema: Struct, numbers: Sequence[tuple[int, str]], messages: Messages) -> None:
        self._schema = schema
        self._numbers = numbers
        self._messages = messages
        self._table: dict[int, _Row] = {}
        """By tag: the number with the wire type."""
        self._known: frozenset[int] = frozenset()

    def read(self, body: bytes, at: int, end: int, depth: int) -> Object:
        found: Object = {}
        self.fill(body, at, end, found, depth)
        return found

    def fill(self, body: bytes, at: int, end: int, out: Object, depth: int) -> None:
        """Put what stands between `at` and `end` into `out`, over what is there. Raises ValueError, IndexError.

        All the time that decoding takes is spent in this loop: short numbers are read on the spot.
        """
        if depth > MAX_DEPTH:
            raise ValueError(values.TOO_DEEP)
        table = self._table or self._made()
        while at < end:
            tag = body[at]
            at += 1
            if tag > 127:
                tag, at = wire.varint(body, at - 1)
            try:
                name, kept, convert, put = table[tag]
            except KeyError:
                at = wire.skip(body, at, end, tag, self._known)
                continue
            value = body[at]  # the number itself, or a length
            at += 1
            if convert is not None:
                if tag & 7:
                    value, at = wire.double(body, at - 1)
                elif value > 127:
                    value, at = wire.varint(body, at - 1)
                found = convert(value)
                if put is not None:
                    out.setdefault(name, []).append(found)
                elif found or kept:
                    out[name] = found
                elif name in out:
                    del out[name]
                continue
            if value > 127:
                value, at = wire.varint(body, at - 1)
            stop = at + value
            if stop > end:
                raise ValueError(EOF)
            if put is not None:
                put(body, at, stop, out, depth)
            elif value or kept:
                try:
                    out[name] = body[at:stop].decode()
                except UnicodeDecodeError:
                    out[name] = values.text(body, at, stop)
            elif name in out:
                del out[name]
            at = stop
        if at != end:
            raise ValueError(EOF)

    def _made(self) -> dict[int, _Row]:
        schema, table = self._schema, self._table
        for number, name in self._numbers:
            if name.startswith("+"):
                table[number << 3 | BYTES] = name, False, None, self._messages.part(schema, name[1:]).fill
                continue
            field = schema.fields[name]
            kept = not schema.forgets(name, "")
            one = field.items if field.shape is Shape.LIST else field
            if one.shape not in NUMBERS:
                table[number << 3 | BYTES] = name, kept, None, self._messages.put(name, field, schema, kept)
                continue
            convert = values.number(one)
            packed = None if one is field else _packed(name, convert)
            kind = wire.DOUBLE if one.shape is Shape.NUMBER else wire.VARINT
            table[number << 3 | kind] = name, kept, convert, packed
            if packed is not None:
                table[number << 3 | BYTES] = name, kept, None, packed
        self._known = frozenset(tag >> 3 for tag in table)
        return table


class Messages:
    """All of them so far, and what puts a field of each shape."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._found: dict[tuple[str, str], Message] = {}

    def of(self, schema: Schema) -> Message:
        assert isinstance(schema, Struct)
        return self.part(schema, schema.definition)

    def part(self, schema: Struct, definition: str) -> Message:
        """Of messages of a definition whose fields are among those of `schema`."""
        key = schema.definition, definition
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = Message(schema, self._numbers(definition), self)
        return found

    def put(self, name: str, schema: Schema, owner: Struct, kept: bool) -> _Put | None:
        """None for plain text, which `Message.fill` sees to. `owner` is the definition that has the field."""
        if schema.shape is Shape.OBJECT:
            return _message(name, self.of(schema))
        if schema.shape is Shape.LIST:
            return _next(name, self._reader(schema.items, owner))
        if schema.shape is Shape.MAP:
            return _entry(name, self._reader(schema.items, owner))
        read = self._reader(schema, owner)
        return None if read is values.text else _value(name, read, kept)

    def _reader(self, schema: Schema, owner: Struct) -> Read:
        match schema.shape:
            case Shape.OBJECT:
                return self.of(schema).read
            case Shape.LIST:
                return values.wrapped_list(self._reader(schema.items, owner))
            case Shape.QUANTITY:
                return values.quantity
            case Shape.INT_OR_STRING:
                return values.int_or_string
            case Shape.ANY:
                return self._any(schema.definition.rpartition(".")[2], owner)
        if schema.format == "byte":
            return values.encoded_bytes
        if schema.format == "date-time":
            return values.micro_time if schema.definition.endswith(".MicroTime") else values.time
        return values.text

    def _any(self, kind: str, owner: Struct) -> Read:
        """What OpenAPI calls anything is JSON text, or part of a schema (`owner`) that is about schemas."""
        read_schema = self.of(owner).read
        match kind:
            case "JSONSchemaPropsOrBool":
                return values.schema_or_bool(read_schema)
            case "JSONSchemaPropsOrArray":
                return values.schema_or_list(read_schema, read_schema)
            case "JSONSchemaPropsOrStringArray":
                return values.schema_or_list(read_schema, values.text)
        return values.json_value


# --- what puts a field


def _value(name: str, read: Read, kept: bool) -> _Put:
    def put(body: bytes, at: int, stop: int, out: Object, depth: int) -> None:
        value = read(body, at, stop, depth + 1)
        if value is None or (value == "" and not kept):
            out.pop(name, None)
        else:
            out[name] = value

    return put


def _message(name: str, message: Message) -> _Put:
    fill = message.fill

    def put(body: bytes, at: int, stop: int, out: Object, depth: int) -> None:
        inner = out.get(name)
        if inner is None:
            inner = out[name] = {}
        if at < stop:
            fill(body, at, stop, inner, depth + 1)

    return put


def _next(name: str, read: Read) -> _Put:
    def put(body: bytes, at: int, stop: int, out: Object, depth: int) -> None:
        item = read(body, at, stop, depth + 2)
        items = out.get(name)
        if items is None:
            out[name] = [item]
        else:
            items.append(item)

    return put


def _entry(name: str, read: Read) -> _Put:
    def put(body: bytes, at: int, end: int, out: Object, depth: int) -> None:
        start, stop, first, last = wire.entry(body, at, end)
        entries = out.get(name)
        if entries is None:
            entries = out[name] = {}
        entries[values.text(body, start, stop)] = read(body, first, last, depth + 2)

    return put


def _packed(name: str, convert: Callable[[int], Json]) -> _Put:
    """The numbers of a list in one field, as newer encoders write them."""

    def put(body: bytes, at: int, end: int, out: Object, depth: int) -> None:
        items = out.setdefault(name, [])
        while at < end:
            bits, at = wire.varint(body, at)
            items.append(convert(bits))
        if at != end:
            raise ValueError(EOF)

    return put
