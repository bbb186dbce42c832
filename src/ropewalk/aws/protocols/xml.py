"""XML both ways: a small reader on expat (no DTD, bounded depth) and compiled writers of modelled shapes.

Own reader because the standard tree builders resolve entities and know no depth limit; a few lines on expat do what
the protocols need. Names lose their namespace prefix. Used by rest-xml (both ways), query and ec2 (answers only).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.parsers import expat

from ropewalk.aws.protocols import values
from ropewalk.aws.protocols.forward import Plans
from ropewalk.aws.protocols.values import Malformed
from ropewalk.aws.specs import Shape

MAX_DEPTH = 64

_SPECIAL = re.compile("[&<>\r\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff\ud800-\udfff]")
_SPECIAL_QUOTED = re.compile('[&<>"\t\n\r\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff\ud800-\udfff]')
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"}


def escape(text: str) -> str:
    """Characters that XML cannot hold at all become U+FFFD."""
    return _SPECIAL.sub(lambda match: _ESCAPES.get(match[0], "\ufffd"), text)


def escape_attribute(text: str) -> str:
    return _SPECIAL_QUOTED.sub(lambda match: _ESCAPES.get(match[0], "\ufffd"), text)


# --- reading


class Node:
    __slots__ = ("attributes", "children", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.children: list[Node] = []
        self.text = ""


class _Refused(Exception):
    pass


def load_xml(body: bytes) -> Node:
    """The root element. Raises `Malformed`; a document type declaration is refused unread."""
    root = Node("", {})
    stack = [root]

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(stack) > MAX_DEPTH:
            raise _Refused("it is nested too deep")
        node = Node(tag.rpartition(":")[2], attributes)
        stack[-1].children.append(node)
        stack.append(node)

    def end(tag: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        stack[-1].text += data

    def doctype(*_: object) -> None:
        raise _Refused("it declares a document type")

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, _Refused, ValueError, LookupError) as error:
        raise Malformed(f"the body is not well-formed XML: {error}") from None
    return root.children[0]


Read = Callable[[Node], Any]
"""`Any`: a document value."""


def _text_reader(convert: Callable[[str], Any], strip: bool = True) -> Read:
    return lambda node: convert(node.text.strip() if strip else node.text)


TEXT_READERS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "character": str,
    "boolean": values.boolean_from_text,
    "integer": lambda text: values.integer_from_text(text, "integer"),
    "long": lambda text: values.integer_from_text(text, "long"),
    "float": values.float_from_text,
    "double": values.float_from_text,
    "timestamp": values.timestamp_from_text,
    "blob": values.blob_from_text,
}
"""Scalars from the text that headers, paths, forms and elements hold."""


def member_tag(name: str, shape: Shape) -> str:
    """What a structure's member is called: flattened lists go by their elements' name where that is given."""
    if shape.kind == "list" and shape.flattened and (element := shape.member.wire_name):
        return element
    return shape.wire_name or name


def _structure_reader(shape: Shape, plan: Callable[[Shape], Read]) -> Read:
    whole: dict[str, tuple[str, Read]] = {}
    gathered: dict[str, tuple[str, Callable[[list[Node]], Any]]] = {}
    attributes: dict[str, str] = {}
    for name, member in shape.members.items():
        if member.location is not None:
            continue
        if member.traits.get("xmlAttribute"):
            attributes[member.wire_name or name] = name
        elif member.flattened and member.kind in ("list", "map"):
            gathered[member_tag(name, member)] = (name, _flat_reader(member, plan))
        else:
            whole[member.wire_name or name] = (name, plan(member))

    def read(node: Node) -> Any:
        document: dict[str, Any] = {}
        groups: dict[str, list[Node]] = {}
        for child in node.children:
            if (known := whole.get(child.tag)) is not None:
                try:
                    document[known[0]] = known[1](child)
                except Malformed as malformed:
                    raise malformed.within(known[0]) from None
            elif child.tag in gathered:
                groups.setdefault(child.tag, []).append(child)
        for tag, nodes in groups.items():
            name, reader = gathered[tag]
            document[name] = reader(nodes)
        for wire, name in attributes.items():
            if wire in node.attributes:
                document[name] = node.attributes[wire]
        return document

    return read


def _flat_reader(shape: Shape, plan: Callable[[Shape], Read]) -> Callable[[list[Node]], Any]:
    if shape.kind == "list":
        element = plan(shape.member)
        return lambda nodes: [element(node) for node in nodes]
    entry = _entry_reader(shape, plan)
    return lambda nodes: dict(entry(node) for node in nodes)


def _entry_reader(shape: Shape, plan: Callable[[Shape], Read]) -> Callable[[Node], tuple[Any, Any]]:
    key_tag, value_tag = shape.key.wire_name or "key", shape.value.wire_name or "value"
    value_reader = plan(shape.value)

    def read(node: Node) -> tuple[Any, Any]:
        found = {child.tag: child for child in node.children}
        if key_tag not in found or value_tag not in found:
            raise Malformed(f"a map's entry needs {key_tag} and {value_tag}")
        return found[key_tag].text, value_reader(found[value_tag])

    return read


def xml_readers() -> Plans[Read]:
    def build(shape: Shape) -> Read:
        if shape.kind == "structure":
            return _structure_reader(shape, plans.plan)
        if shape.kind == "list":
            element = plans.plan(shape.member)
            return lambda node: [element(child) for child in node.children]
        if shape.kind == "map":
            entry = _entry_reader(shape, plans.plan)
            return lambda node: dict(entry(child) for child in node.children)
        return _text_reader(TEXT_READERS[shape.kind], strip=shape.kind not in ("string", "character"))

    plans: Plans[Read] = Plans(build)
    return plans


# --- writing

Write = Callable[[list[str], Any], None]
"""Appends a value's inner XML, or its whole element, to the pieces of a document. `Any`: a document value."""


def _boolean_text(value: Any) -> str:
    return "true" if value else "false"


def text_writer(shape: Shape, timestamp_format: str = "iso8601") -> Callable[[Any], str]:
    """A scalar as text, not yet escaped."""
    if shape.kind == "boolean":
        return _boolean_text
    if shape.kind == "blob":
        return values.blob_to_text
    if shape.kind == "timestamp":
        form = shape.traits.get("timestampFormat", timestamp_format)
        return lambda value: values.format_timestamp(value, form)
    return values.format_number if shape.kind in ("float", "double") else str


def _namespace(shape: Shape) -> str:
    declared = shape.traits.get("xmlNamespace")
    if not declared:
        return ""
    if isinstance(declared, str):
        return f' xmlns="{escape_attribute(declared)}"'
    prefix = f":{declared['prefix']}" if declared.get("prefix") else ""
    return f' xmlns{prefix}="{escape_attribute(declared["uri"])}"'


class XmlWriters:
    """Compiled writers of one service's shapes. Only structures are shared: all recursion runs through them."""

    def __init__(self) -> None:
        self._structures: Plans[Write] = Plans(self._structure)

    def content(self, shape: Shape) -> Write:
        """What stands inside a structure's element."""
        return self._structures.plan(shape)

    def element(self, shape: Shape, tag: str) -> Write:
        """A value with its element (flattened ones: with as many as needed)."""
        if shape.kind == "list":
            return self._list(shape, tag)
        if shape.kind == "map":
            return self._map(shape, tag)
        opening, closing = f"<{tag}{_namespace(shape)}>", f"</{tag}>"
        if shape.kind == "structure":
            return self._structure_element(shape, tag, opening, closing)
        if shape.kind in ("string", "character"):
            return lambda out, value: out.append(f"{opening}{escape(value)}{closing}")
        text = text_writer(shape)
        return lambda out, value: out.append(f"{opening}{text(value)}{closing}")

    def _structure_element(self, shape: Shape, tag: str, opening: str, closing: str) -> Write:
        content = self.content(shape)
        attributes = {n: m.wire_name or n for n, m in shape.members.items() if m.traits.get("xmlAttribute")}

        def write(out: list[str], value: Any) -> None:
            out.append(opening)
            content(out, value)
            out.append(closing)

        def write_with_attributes(out: list[str], value: Any) -> None:
            named = "".join(
                f' {wire}="{escape_attribute(str(value[name]))}"' for name, wire in attributes.items() if name in value
            )
            out.append(f"{opening[:-1]}{named}>")
            content(out, value)
            out.append(closing)

        return write_with_attributes if attributes else write

    def _structure(self, shape: Shape) -> Write:
        table = {
            name: self.element(member, member_tag(name, member))
            for name, member in shape.members.items()
            if member.location is None and not member.traits.get("xmlAttribute")
        }

        def write(out: list[str], value: Any) -> None:
            for name, item in value.items():
                writer = table.get(name)
                if writer is not None and item is not None:
                    writer(out, item)

        return write

    def _list(self, shape: Shape, tag: str) -> Write:
        member = shape.member
        if shape.flattened:
            flat = self.element(member, member.wire_name or tag)

            def write_flat(out: list[str], value: Any) -> None:
                for item in value:
                    flat(out, item)

            return write_flat
        inner = self.element(member, member.wire_name or "member")
        opening, closing = f"<{tag}{_namespace(shape)}>", f"</{tag}>"

        def write(out: list[str], value: Any) -> None:
            out.append(opening)
            for item in value:
                inner(out, item)
            out.append(closing)

        return write

    def _map(self, shape: Shape, tag: str) -> Write:
        key = self.element(shape.key, shape.key.wire_name or "key")
        inner = self.element(shape.value, shape.value.wire_name or "value")
        entry = tag if shape.flattened else "entry"
        opening, closing = ("", "") if shape.flattened else (f"<{tag}{_namespace(shape)}>", f"</{tag}>")

        def write(out: list[str], value: Any) -> None:
            out.append(opening)
            for name, item in value.items():
                out.append(f"<{entry}>")
                key(out, name)
                inner(out, item)
                out.append(f"</{entry}>")
            out.append(closing)

        return write


def xml_response_body(pieces: list[str]) -> bytes:
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + "".join(pieces)).encode()
