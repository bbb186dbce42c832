"""What rest-json and rest-xml share: the operation by method and path, members in path, query, headers and body.

Source: https://smithy.io/2.0/spec/http-bindings.html
The router compiles a service's templates once: by method and number of segments, most literal first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from ropewalk.aws.operations import Params
from ropewalk.aws.protocols import values
from ropewalk.aws.protocols.protocol import Inbound
from ropewalk.aws.protocols.query import decode_text
from ropewalk.aws.protocols.values import Malformed
from ropewalk.aws.protocols.xml import TEXT_READERS, text_writer
from ropewalk.aws.specs import OperationSpec, ServiceSpec, Shape

_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")


# --- finding the operation


@dataclass(frozen=True, slots=True)
class _Route:
    operation: str
    pattern: re.Pattern[str]
    labels: tuple[str, ...]
    query: tuple[tuple[str, str | None], ...]
    """Names that the template demands in the query, with their values where it gives them."""
    literal: int
    """How much of the template is fixed: the more, the earlier it is tried."""


def _route(operation: str, uri: str) -> _Route:
    path, _, query = uri.partition("?")
    labels: list[str] = []
    pieces: list[str] = []
    position = 0
    for match in _LABEL.finditer(path):
        pieces.append(re.escape(path[position : match.start()]))
        pieces.append("(.+)" if match[2] else "([^/]+)")
        labels.append(match[1])
        position = match.end()
    pieces.append(re.escape(path[position:].rstrip("/")))
    demanded = tuple(
        (name, value if equals else None)
        for name, equals, value in (part.partition("=") for part in query.split("&") if part)
    )
    literal = len(_LABEL.sub("", path)) + 1000 * len(demanded)
    return _Route(operation, re.compile("".join(pieces) + "/?"), tuple(labels), demanded, literal)


class RestRouter:
    """Methods and paths of one service."""

    def __init__(self, service: ServiceSpec) -> None:
        routes: dict[str, list[_Route]] = {}
        for name in service.operation_names:
            operation = service.operation(name)
            assert operation is not None
            routes.setdefault(operation.method, []).append(_route(name, operation.uri))
        self._routes = {m: sorted(rs, key=lambda route: -route.literal) for m, rs in routes.items()}

    def find(self, method: str, path: str, query: str) -> tuple[str, dict[str, str]] | None:
        """The operation's name and its labels, decoded. Raises `Malformed` for a label that is not UTF-8."""
        given: dict[str, list[str]] | None = None
        for route in self._routes.get(method, ()):
            match = route.pattern.fullmatch(path)
            if match is None:
                continue
            if route.query:
                given = query_values(query) if given is None else given
                if not all(n in given and (v is None or v in given[n]) for n, v in route.query):
                    continue
            return route.operation, dict(zip(route.labels, map(_unquote, match.groups()), strict=True))
        return None


def rest_router(service: ServiceSpec) -> RestRouter:
    router: RestRouter | None = service.plans.get("rest.router")
    if router is None:
        router = service.plans["rest.router"] = RestRouter(service)
    return router


def _unquote(text: str) -> str:
    try:
        return unquote(text.encode("latin-1").decode(), errors="strict")
    except UnicodeError:
        raise Malformed("the path is not UTF-8") from None


def query_values(query: str) -> dict[str, list[str]]:
    given: dict[str, list[str]] = {}
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            given.setdefault(decode_text(name), []).append(decode_text(value))
    return given


# --- members outside the body


def _header_list(text: str) -> list[str]:
    """Elements between commas; quoted ones may hold commas, and quotes behind backslashes."""
    elements = re.findall(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,]*))\s*(?:,|$)', text)
    found = [re.sub(r"\\(.)", r"\1", quoted) if quoted else plain.strip() for quoted, plain in elements]
    return found[:-1] if found and not found[-1] and not text.endswith(",") else found


def _header_text(text: str) -> str:
    try:
        return text.encode("latin-1").decode()
    except UnicodeError:
        return text


class Bindings:
    """Where one input or output shape's members travel."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.located = [(name, m, m.wire_name or name) for name, m in shape.members.items() if m.location]
        self.body = [name for name, m in shape.members.items() if not m.location]
        self.payload: str | None = shape.traits.get("payload")
        self.names_content_type = any(wire.lower() == "content-type" for _, _, wire in self.located)

    # reading

    def read(self, inbound: Inbound) -> Params:
        document: Params = {}
        query: dict[str, list[str]] | None = None
        for name, member, wire in self.located:
            try:
                if member.location == "uri":
                    if wire in inbound.labels:
                        document[name] = TEXT_READERS[member.kind](inbound.labels[wire])
                elif member.location == "querystring":
                    query = query_values(inbound.request.query) if query is None else query
                    self._read_query(document, name, member, wire, query)
                elif member.location == "header":
                    text = inbound.request.headers.get(wire.lower())
                    if text is not None:
                        document[name] = _read_header(member, _header_text(text))
                elif member.location == "headers":
                    found = _prefixed(inbound.request.headers, wire.lower())
                    if found:
                        document[name] = found
            except Malformed as malformed:
                raise malformed.within(name) from None
        return document

    def _read_query(
        self, document: Params, name: str, member: Shape, wire: str, query: Mapping[str, list[str]]
    ) -> None:
        if member.kind == "map":
            bound = {w for _, m, w in self.located if m.location == "querystring" and m.kind != "map"}
            rest = {key: found for key, found in query.items() if key not in bound and not key.startswith("X-Amz-")}
            if rest:
                lists = member.value.kind == "list"
                document[name] = {key: list(found) if lists else found[-1] for key, found in rest.items()}
        elif wire in query:
            if member.kind == "list":
                convert = TEXT_READERS[member.member.kind]
                document[name] = [convert(text) for text in query[wire]]
            else:
                document[name] = TEXT_READERS[member.kind](query[wire][-1])

    # writing

    def write(self, result: Params, status: int) -> tuple[int, dict[str, str]]:
        """Status and headers of a response."""
        headers: dict[str, str] = {}
        for name, member, wire in self.located:
            value = result.get(name)
            if value is None:
                continue
            if member.location == "statusCode":
                status = int(value)
            elif member.location == "header":
                headers[wire.lower()] = _write_header(member, value)
            elif member.location == "headers":
                headers.update({f"{wire}{key}".lower(): _wire_text(item) for key, item in value.items()})
        return status, headers


def _prefixed(headers: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name[len(prefix) :]: _header_text(text) for name, text in headers.items() if name.startswith(prefix)}


def _read_header(member: Shape, text: str) -> Any:
    if member.kind == "list":
        if member.member.kind == "timestamp":  # RFC 7231 dates hold a comma of their own
            dates = re.findall(r"[^,]+,[^,]+(?:,|$)", text) or text.split(",")
            return [values.timestamp_from_text(date.rstrip(", ")) for date in dates]
        convert = TEXT_READERS[member.member.kind]
        return [convert(element) for element in _header_list(text)]
    return TEXT_READERS[member.kind](text)


def _write_header(member: Shape, value: Any) -> str:
    if member.kind == "list":
        element = text_writer(member.member, "rfc822")
        return ",".join(_wire_text(element(item)) for item in value)
    return _wire_text(text_writer(member, "rfc822")(value))


def _wire_text(text: str) -> str:
    """Headers are bytes: UTF-8, seen as Latin-1."""
    return text.encode().decode("latin-1")


def bindings(operation: OperationSpec, shape: Shape, key: str) -> Bindings:
    known: Bindings | None = operation.plans.get(key)
    if known is None:
        known = operation.plans[key] = Bindings(shape)
    return known


class RestProtocol:
    """The frame: a subclass knows how bodies look."""

    name = "rest"
    content_type = ""

    def parse(self, operation: OperationSpec, inbound: Inbound) -> Params:
        shape = operation.input
        if shape is None:
            return {}
        bound = bindings(operation, shape, "rest.input")
        document = bound.read(inbound)
        body = inbound.request.body
        if bound.payload is not None:
            self._read_payload(operation.service, shape.members[bound.payload], bound.payload, body, document)
        elif bound.body and body:
            found = self._read_body(operation.service, shape, body)
            document.update({name: found[name] for name in bound.body if name in found})
        return document

    def _read_payload(self, service: ServiceSpec, member: Shape, name: str, body: bytes, document: Params) -> None:
        if member.kind == "blob":
            if body:
                document[name] = body
        elif member.kind in ("string", "character"):
            if body:
                try:
                    document[name] = body.decode()
                except UnicodeDecodeError:
                    raise Malformed("the body is not UTF-8", name) from None
        elif body:
            document[name] = self._read_body(service, member, body)

    def _payload_body(self, service: ServiceSpec, member: Shape, value: Any) -> tuple[str, bytes]:
        """Content type ("" for the protocol's own) and body of a payload member."""
        if member.kind == "blob":
            return "application/octet-stream", value or b""
        if member.kind in ("string", "character"):
            return "text/plain", str(value or "").encode()
        return "", b"" if value is None else self._write_body(service, member, value, member.wire_name or member.name)

    def _response_parts(
        self, operation: OperationSpec, result: Params, request_id: str
    ) -> tuple[int, dict[str, str], bytes]:
        shape = operation.output
        status, headers = operation.status, {"x-amzn-requestid": request_id}
        if shape is None:
            return status, headers, b""
        bound = bindings(operation, shape, "rest.output")
        status, located = bound.write(result, status)
        headers.update(located)
        if bound.payload is not None:
            member = shape.members[bound.payload]
            content_type, body = self._payload_body(operation.service, member, result.get(bound.payload))
            if body and not bound.names_content_type:
                headers["content-type"] = content_type or self.content_type
            return status, headers, body
        inner = {name: result[name] for name in bound.body if result.get(name) is not None}
        headers.setdefault("content-type", self.content_type)
        return status, headers, self._write_body(operation.service, shape, inner, self._root(operation))

    def _root(self, operation: OperationSpec) -> str:
        return f"{operation.name}Response"

    def _read_body(self, service: ServiceSpec, shape: Shape, body: bytes) -> Params:
        """The document in a body. A subclass's own."""
        raise AssertionError("a subclass reads bodies")

    def _write_body(self, service: ServiceSpec, shape: Shape, value: Any, root: str) -> bytes:
        """The body of a document. A subclass's own."""
        raise AssertionError("a subclass writes bodies")
