"""The query protocol and EC2's dialect of it: a form in (Action, Version, dotted names), XML out.

Sources: https://smithy.io/2.0/aws/protocols/aws-query-protocol.html and …/aws-ec2-query-protocol.html
The form becomes a tree by splitting names at their dots; compiled plans read the tree. A GET carries the same names in
its query, beside the signature's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from ropewalk.aws.operations import Params
from ropewalk.aws.protocols.forward import Plans
from ropewalk.aws.protocols.protocol import Inbound, WireError
from ropewalk.aws.protocols.values import Malformed
from ropewalk.aws.protocols.xml import TEXT_READERS, XmlWriters, escape, xml_response_body
from ropewalk.aws.specs import OperationSpec, ServiceSpec, Shape
from ropewalk.base.http.messages import Response

MAX_PARAMETERS = 20_000
MAX_DEPTH = 64


class Branch:
    """A name's own value and what follows its dot."""

    __slots__ = ("branches", "text")

    def __init__(self) -> None:
        self.text: str | None = None
        self.branches: dict[str, Branch] = {}


def decode_form(encoded: str) -> dict[str, str]:
    """Names and values of `application/x-www-form-urlencoded` text; of a repeated name the last counts.

    Raises `Malformed` where it is not UTF-8 beneath its percent signs or has too many names.
    """
    pairs = encoded.split("&")
    if len(pairs) > MAX_PARAMETERS:
        raise Malformed(f"more than {MAX_PARAMETERS} parameters")
    form: dict[str, str] = {}
    for pair in pairs:
        if pair:
            name, _, value = pair.partition("=")
            form[decode_text(name)] = decode_text(value)
    return form


def decode_text(text: str) -> str:
    if "%" not in text and "+" not in text and text.isascii():
        return text
    try:
        return unquote_plus(text.encode("latin-1").decode(), errors="strict")
    except UnicodeError:
        raise Malformed("a parameter is not UTF-8") from None


def tree_of(form: Mapping[str, str]) -> Branch:
    root = Branch()
    for name, value in form.items():
        parts = name.split(".", MAX_DEPTH)
        if len(parts) > MAX_DEPTH:
            raise Malformed("a parameter's name has too many parts")
        branch = root
        for part in parts:
            following = branch.branches.get(part)
            if following is None:
                following = branch.branches[part] = Branch()
            branch = following
        branch.text = value
    return root


Read = Callable[[Branch], Any]
"""`Any`: a document value."""


def _numbered(branch: Branch) -> list[Branch]:
    """Elements in the order of their numbers. Numbers may have gaps; anything else is not a list."""
    try:
        numbers = sorted((int(name), name) for name in branch.branches if name.isascii() and name.isdigit())
    except ValueError:  # thousands of digits
        raise Malformed("a list's index is too long") from None
    if len(numbers) != len(branch.branches):
        raise Malformed("expected numbered elements, as in Name.1")
    return [branch.branches[name] for _, name in numbers]


class QueryReaders:
    """Compiled readers of a service's shapes; `ec2` switches the dialect of names."""

    def __init__(self, ec2: bool) -> None:
        self._ec2 = ec2
        self._plans: Plans[Read] = Plans(self._build)

    def plan(self, shape: Shape) -> Read:
        return self._plans.plan(shape)

    def _name(self, name: str, shape: Shape) -> str:
        if self._ec2:
            query_name: str | None = shape.traits.get("queryName")
            if query_name is None and shape.wire_name is not None:
                query_name = shape.wire_name[:1].upper() + shape.wire_name[1:]
            return query_name or name
        if shape.kind == "list" and shape.flattened and shape.member.wire_name:
            return shape.member.wire_name
        return shape.wire_name or name

    def _build(self, shape: Shape) -> Read:
        if shape.kind == "structure":
            return self._structure(shape)
        if shape.kind == "list":
            return self._list(shape)
        if shape.kind == "map":
            return self._map(shape)
        convert = TEXT_READERS[shape.kind]

        def read(branch: Branch) -> Any:
            if branch.text is None:
                raise Malformed("expected a value, not further names")
            return convert(branch.text)

        return read

    def _structure(self, shape: Shape) -> Read:
        table = {self._name(name, member): (name, self._plans.plan(member)) for name, member in shape.members.items()}

        def read(branch: Branch) -> Any:
            document = {}
            for wire, inner in branch.branches.items():
                if (known := table.get(wire)) is not None:
                    try:
                        document[known[0]] = known[1](inner)
                    except Malformed as malformed:
                        raise malformed.within(known[0]) from None
            return document

        return read

    def _list(self, shape: Shape) -> Read:
        element = self._plans.plan(shape.member)
        inner_name = None if self._ec2 or shape.flattened else shape.member.wire_name or "member"

        def read(branch: Branch) -> Any:
            if branch.text == "" and not branch.branches:
                return []
            if inner_name is not None:
                inner = branch.branches.get(inner_name)
                if inner is None:
                    raise Malformed(f"expected a list's elements, as in {inner_name}.1")
                branch = inner
            elif not branch.branches:
                raise Malformed("expected numbered elements, as in Name.1")
            return [element(item) for item in _numbered(branch)]

        return read

    def _map(self, shape: Shape) -> Read:
        inner_name = None if self._ec2 or shape.flattened else "entry"
        key_name, value_name = shape.key.wire_name or "key", shape.value.wire_name or "value"
        value_plan = self._plans.plan(shape.value)

        def read(branch: Branch) -> Any:
            if branch.text == "" and not branch.branches:
                return {}
            inner = branch if inner_name is None else branch.branches.get(inner_name, branch)
            document = {}
            for entry in _numbered(inner):
                key, value = entry.branches.get(key_name), entry.branches.get(value_name)
                if key is None or key.text is None or value is None:
                    raise Malformed(f"a map's entry needs {key_name} and {value_name}")
                document[key.text] = value_plan(value)
            return document

        return read


def _writers(service: ServiceSpec) -> XmlWriters:
    writers: XmlWriters | None = service.plans.get("xml.write")
    if writers is None:
        writers = service.plans["xml.write"] = XmlWriters()
    return writers


def xml_headers(request_id: str) -> dict[str, str]:
    return {"x-amzn-requestid": request_id, "content-type": "text/xml;charset=utf-8"}


class QueryProtocol:
    """`ec2` true: that service's dialect."""

    def __init__(self, ec2: bool = False) -> None:
        self.name = "ec2" if ec2 else "query"
        self._ec2 = ec2
        self._readers_key = f"{self.name}.read"

    def parse(self, operation: OperationSpec, inbound: Inbound) -> Params:
        shape = operation.input
        if shape is None:
            return {}
        readers: QueryReaders | None = operation.service.plans.get(self._readers_key)
        if readers is None:
            readers = operation.service.plans[self._readers_key] = QueryReaders(self._ec2)
        params: Params = readers.plan(shape)(tree_of(inbound.form or {}))
        return params

    def answer(self, operation: OperationSpec, result: Params, request_id: str) -> Response:
        service = operation.service
        out = [f'<{operation.name}Response xmlns="{service.xml_namespace}">']
        shape = operation.output
        if self._ec2:
            out.append(f"<requestId>{request_id}</requestId>")
        elif shape is not None:
            out.append(f"<{operation.result_wrapper}>")
        if shape is not None:
            _writers(service).content(shape)(out, result)
        if not self._ec2:
            if shape is not None:
                out.append(f"</{operation.result_wrapper}>")
            out.append(f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>")
        out.append(f"</{operation.name}Response>")
        return Response(200, xml_headers(request_id), xml_response_body(out))

    def fault(self, service: ServiceSpec, error: WireError, request_id: str) -> Response:
        code, message = escape(error.code), escape(error.message)
        if self._ec2:
            inner = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
            out = [f"<Response><Errors>{inner}</Errors><RequestID>{request_id}</RequestID></Response>"]
        else:
            out = error_response(service, error, request_id)
        return Response(error.status, xml_headers(request_id), xml_response_body(out))


def error_response(service: ServiceSpec, error: WireError, request_id: str) -> list[str]:
    """`<ErrorResponse>`, which query and most rest-xml services share."""
    kind = "Sender" if error.sender else "Receiver"
    out = [
        f'<ErrorResponse xmlns="{service.xml_namespace}"><Error><Type>{kind}</Type>',
        f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>",
    ]
    if error.spec is not None and error.members:
        _writers(service).content(error.spec.shape)(out, dict(error.members))
    out.append(f"</Error><RequestId>{request_id}</RequestId></ErrorResponse>")
    return out
