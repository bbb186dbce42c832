"""A request's bytes → an object: parsed, recognised as a kind, and brought into the form in which Go would hold it.

`parse` knows media types and bounds; `reader` makes the function that reads parsed bodies of one built-in kind. Custom
resources are parsed here too, and read by `kube.extension`. Nothing here knows a kind: what types there are is asked of
`Types` (`kinds.definitions`). Protobuf is the matter of `protobuf`; CBOR is refused before, by media type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

import orjson

from ropewalk.kube.machinery import errors, json_text
from ropewalk.kube.machinery.checking import check
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.resources import GroupVersionKind
from ropewalk.kube.machinery.schema import Schema

MAX_DEPTH = 200
"""How deeply containers may nest: far above what any schema has, far below what recursion over them can bear."""

_NO_OBJECT = (
    "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go value of type struct { APIVersion"
    ' string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
)
_SCHEME = "pkg/api/legacyscheme/scheme.go:30"
"""Where kube-apiserver keeps its types: part of a message that clients meet."""


class Types(Protocol):
    """What built-in types there are."""

    def knows(self, gvk: GroupVersionKind) -> bool: ...

    def schema(self, gvk: GroupVersionKind) -> Schema: ...


# --- bytes


def parse(body: bytes, media_type: str, *, find_duplicates: bool = False, expected: str = "") -> tuple[Json, list[str]]:
    """(the value, complaints about keys that stand twice: looked for only when asked). Raises BadRequest.

    `media_type` is without parameters. `expected` names the kind, for the message where the body cannot be read at all.
    """
    try:
        if media_type.endswith(("/yaml", "+yaml")):
            if (value := _plain_json(body)) is not None:
                return value, []
            from ropewalk.kube.machinery import yaml_text  # takes 15 ms, and few need it

            return yaml_text.load(body, max_depth=MAX_DEPTH)
        return _json(body, find_duplicates)
    except ValueError as error:
        raise errors.bad_request(_unreadable(str(error), body, expected)) from None


def _plain_json(body: bytes) -> Object | None:
    """An object in YAML that is JSON, as clients send it who apply: read ten times as fast. None for all that might
    mean something else in YAML, or of which more is to be told.
    """
    if not body.startswith(b"{") or not body.isascii() or _NOT_THE_SAME.search(body) is not None:
        return None
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    too_deep = body.count(b"{") + body.count(b"[") > MAX_DEPTH and json_text.depth(value) > MAX_DEPTH
    if too_deep or type(value) is not dict or json_text.may_repeat(body, orjson.dumps(value)):
        return None
    return value


_NOT_THE_SAME = re.compile(rb"\x7f|\\u[dD]|[:\[,]\s*-?(?:\d+[.eE]|\d{16})")
"""A character that YAML refuses, half a character, a number that is neither short nor whole. (What looks like one in a
string does no harm but delay.)
"""


def _json(body: bytes, find_duplicates: bool) -> tuple[Json, list[str]]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ValueError(json_text.syntax_error(body)) from None
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and json_text.depth(value) > MAX_DEPTH:
        raise ValueError("exceeded max depth")
    if find_duplicates and json_text.may_repeat(body, orjson.dumps(value)):
        return value, json_text.duplicates(body)
    return value, []


def _unreadable(why: str, body: bytes, expected: str) -> str:
    if not expected:
        return why
    if not why.startswith(("yaml:", "couldn't")):
        why = f"couldn't get version/kind; json parse error: {why}"
    return f"the object provided is unrecognized (must be of type {expected}): {why} ({_summary(body)})"


def _summary(body: bytes) -> str:
    """The beginning of a body, for a message: as it is where it looks like JSON, else in hexadecimal digits."""
    if not body:
        return "<empty>"
    shown = body[:30].decode(errors="replace") if body[:1] == b"{" else body[:30].hex()
    return shown + (" ..." if len(body) > 30 else "")


# --- objects


def reader(expected: GroupVersionKind, types: Types) -> Callable[[Json], tuple[Object, list[str]]]:
    """The function that reads parsed bodies as objects of one built-in kind; see `read`."""
    schema = types.schema(expected)
    return lambda value: _read(value, expected, schema, types)


def read(value: Json, expected: GroupVersionKind, types: Types) -> tuple[Object, list[str]]:
    """(`value` as an object of that kind, complaints about unknown fields). Works in place. Raises BadRequest.

    Empty `kind` and `apiVersion` mean the expected ones, as for kube-apiserver.
    """
    return _read(value, expected, types.schema(expected), types)


def decode(
    body: bytes, media_type: str, expected: GroupVersionKind, types: Types, *, find_duplicates: bool = False
) -> tuple[Object, list[str]]:
    """`parse` and `read` in one: (the object, all complaints)."""
    value, doubled = parse(body, media_type, find_duplicates=find_duplicates, expected=expected.kind)
    obj, unknown = read(value, expected, types)
    return obj, [*doubled, *unknown]


def _read(value: Json, expected: GroupVersionKind, schema: Schema, types: Types) -> tuple[Object, list[str]]:
    obj: Object = {} if value is None else value
    if type(obj) is not dict:
        raise errors.bad_request(_unreadable(_NO_OBJECT.format(_json_type(obj)), orjson.dumps(obj), expected.kind))
    given_version, given_kind = obj.get("apiVersion"), obj.get("kind")
    if given_version != expected.api_version or given_kind != expected.kind:
        _recognise(obj, expected, schema, types)
        obj["apiVersion"], obj["kind"] = expected.api_version, expected.kind
    complaints = check(obj, schema)
    if complaints.wrong:
        raise errors.bad_request(_cannot_handle(expected, expected, complaints.wrong))
    return obj, complaints.unknown


def _recognise(obj: Object, expected: GroupVersionKind, schema: Schema, types: Types) -> None:
    """Raises BadRequest unless the body may stand for the expected kind."""
    for name in ("apiVersion", "kind"):
        given = obj.get(name)
        if given is not None and type(given) is not str:
            why = f"json: cannot unmarshal {_json_type(given)} into Go struct field .{name} of type string"
            raise errors.bad_request(_unreadable(why, orjson.dumps(obj), expected.kind))
    api_version, kind = obj.get("apiVersion") or "", obj.get("kind") or ""
    if api_version.count("/") > 1:
        why = f"couldn't get version/kind; unexpected GroupVersion string: {api_version}"
        raise errors.bad_request(_unreadable(why, orjson.dumps(obj), expected.kind))
    found = GroupVersionKind.of(api_version or expected.api_version, kind or expected.kind)
    if found == expected:
        return
    if not types.knows(found):
        version = found.api_version
        why = f'no kind "{found.kind}" is registered for version "{version}" in scheme "{_SCHEME}"'
        raise errors.bad_request(_cannot_handle(found, expected, why))
    if found.kind != expected.kind or found.group != expected.group:
        if types.schema(found) is schema:  # one type under several groups: DeleteOptions
            return
        given = f"({found.version}.{found.kind})"
        why = f"converting {given} to ({expected.group.split('.')[0] or 'core'}.{expected.kind}): unknown conversion"
        raise errors.bad_request(_cannot_handle(found, expected, why))
    raise errors.bad_request(
        f"the API version in the data ({found.api_version}) does not match the expected API version"
        f" ({expected.api_version})"
    )


def strict_error(expected: GroupVersionKind, complaints: Sequence[str]) -> errors.StatusFault:
    """The refusal of `fieldValidation=Strict`; complaints are those of `parse` and `read` together."""
    return errors.bad_request(_cannot_handle(expected, expected, strict_text(complaints)))


def strict_text(complaints: Sequence[str]) -> str:
    return f"strict decoding error: {', '.join(complaints[:100])}"


def single_complaints(complaint: str) -> list[str]:
    """What YAML's reader says all in one, each key for itself; other complaints as they are."""
    if not complaint.startswith(_YAML_ERRORS):
        return [complaint]
    return [line.strip() for line in complaint.removeprefix(_YAML_ERRORS).split("\n")]


_YAML_ERRORS = "yaml: unmarshal errors:\n"


def bare(message: str, expected: GroupVersionKind) -> str:
    """A refusal of `read` without what it says of the kind."""
    return message.removeprefix(_cannot_handle(expected, expected, ""))


def _cannot_handle(given: GroupVersionKind, expected: GroupVersionKind, why: str) -> str:
    return f'{given.kind} in version "{given.version}" cannot be handled as a {expected.kind}: {why}'


def _json_type(value: Json) -> str:
    names: dict[type, str] = {
        str: "string",
        bool: "bool",
        int: "number",
        float: "number",
        list: "array",
        dict: "object",
        type(None): "null",
    }
    return names[type(value)]
