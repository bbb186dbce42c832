"""AWS JSON 1.0 and 1.1: POST /, the operation in X-Amz-Target, one JSON object each way.

Source: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import orjson

from ropewalk.aws.operations import Params
from ropewalk.aws.protocols import values
from ropewalk.aws.protocols.forward import Plans
from ropewalk.aws.protocols.protocol import Inbound, WireError
from ropewalk.aws.protocols.values import Malformed
from ropewalk.aws.specs import ErrorSpec, OperationSpec, ServiceSpec, Shape
from ropewalk.base.http.messages import Response

Convert = Callable[[Any], Any]
"""Wire value to document value or back. `Any`: JSON."""


def same(value: Any) -> Any:
    """The plan of shapes that look alike on the wire and in the document: callers skip it."""
    return value


def kind_of(value: Any) -> str:
    names = {bool: "a boolean", str: "a string", dict: "an object", list: "a list", int: "a number", float: "a number"}
    return names.get(type(value), "null" if value is None else type(value).__name__)


# --- reading


def _string(value: Any) -> Any:
    if value.__class__ is not str:
        raise Malformed(f"expected a string, got {kind_of(value)}")
    return value


def _boolean(value: Any) -> Any:
    if value.__class__ is not bool:
        raise Malformed(f"expected a boolean, got {kind_of(value)}")
    return value


def _integer(kind: str) -> Convert:
    low, high = values.RANGES[kind]

    def read(value: Any) -> Any:
        if value.__class__ is float and value.is_integer():
            value = int(value)
        if value.__class__ is not int:
            raise Malformed(f"expected an integer, got {kind_of(value)}")
        return value if low <= value <= high else values.in_range(value, kind)

    return read


def _float(value: Any) -> Any:
    if value.__class__ is float or value.__class__ is int:
        return float(value)
    if value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    raise Malformed(f"expected a number, got {kind_of(value)}")


def _timestamp(value: Any) -> Any:
    if value.__class__ is float or value.__class__ is int:
        return values.timestamp_from_number(float(value))
    return values.timestamp_from_text(_string(value))


def _blob(value: Any) -> Any:
    return values.blob_from_text(_string(value))


READERS: dict[str, Convert] = {
    "string": _string,
    "character": _string,
    "boolean": _boolean,
    "integer": _integer("integer"),
    "long": _integer("long"),
    "float": _float,
    "double": _float,
    "timestamp": _timestamp,
    "blob": _blob,
}


def structure_reader(shape: Shape, plan: Callable[[Shape], Convert]) -> Convert:
    table = {member.wire_name or name: (name, plan(member)) for name, member in shape.members.items()}

    def read(value: Any) -> Any:
        if value.__class__ is not dict:
            raise Malformed(f"expected an object, got {kind_of(value)}")
        document = {}
        for wire, item in value.items():
            if item is None or (known := table.get(wire)) is None:
                continue
            try:
                document[known[0]] = known[1](item)
            except Malformed as malformed:
                raise malformed.within(known[0]) from None
        return document

    return read


def list_reader(shape: Shape, plan: Callable[[Shape], Convert]) -> Convert:
    element = plan(shape.member)

    def read(value: Any) -> Any:
        if value.__class__ is not list:
            raise Malformed(f"expected a list, got {kind_of(value)}")
        try:
            return [element(item) for item in value]
        except Malformed as malformed:
            raise malformed.within("[]") from None

    return read


def map_reader(shape: Shape, plan: Callable[[Shape], Convert]) -> Convert:
    element = plan(shape.value)

    def read(value: Any) -> Any:
        if value.__class__ is not dict:
            raise Malformed(f"expected an object, got {kind_of(value)}")
        if not all(key.__class__ is str for key in value):
            raise Malformed("expected strings as keys")
        try:
            return {key: element(item) for key, item in value.items() if item is not None}
        except Malformed as malformed:
            raise malformed.within("{}") from None

    return read


def reader_builder(scalars: dict[str, Convert]) -> Plans[Convert]:
    """Plans that read JSON-like values (JSON's own and CBOR's differ in their scalars)."""

    def build(shape: Shape) -> Convert:
        if shape.kind == "structure":
            return same if shape.is_document else structure_reader(shape, plans.plan)
        if shape.kind == "list":
            return list_reader(shape, plans.plan)
        if shape.kind == "map":
            return map_reader(shape, plans.plan)
        return scalars[shape.kind]

    plans: Plans[Convert] = Plans(build)
    return plans


# --- writing


def _write_float(value: Any) -> Any:
    return value if math.isfinite(value) else values.format_number(value)


def _json_timestamp(form: str) -> Convert:
    if form.lower() == "unixtimestamp":
        return same
    return lambda value: values.format_timestamp(value, form)


def structure_writer(shape: Shape, plan: Callable[[Shape], Convert]) -> Convert:
    table = {name: (member.wire_name or name, plan(member)) for name, member in shape.members.items()}
    if all(wire == name and inner is same for name, (wire, inner) in table.items()):
        return same

    def write(value: Any) -> Any:
        document = {}
        for name, item in value.items():
            known = table.get(name)
            if known is not None and item is not None:
                document[known[0]] = item if known[1] is same else known[1](item)
        return document

    return write


def writer_builder(scalar: Callable[[Shape], Convert]) -> Plans[Convert]:
    """Plans that write JSON-like values; a shape that needs no change costs nothing at all."""

    def build(shape: Shape) -> Convert:
        if shape.kind == "structure":
            return same if shape.is_document else structure_writer(shape, plans.plan)
        if shape.kind == "list":
            element = plans.plan(shape.member)
            return same if element is same else lambda value: [element(item) for item in value]
        if shape.kind == "map":
            inner = plans.plan(shape.value)
            return same if inner is same else lambda value: {key: inner(item) for key, item in value.items()}
        return scalar(shape)

    plans: Plans[Convert] = Plans(build)
    return plans


def json_scalar(shape: Shape) -> Convert:
    if shape.kind == "blob":
        return values.blob_to_text
    if shape.kind == "timestamp":
        return _json_timestamp(shape.traits.get("timestampFormat", "unixTimestamp"))
    return _write_float if shape.kind in ("float", "double") else same


# --- the protocol


def service_plans(service: ServiceSpec, key: str, build: Callable[[], Plans[Convert]]) -> Plans[Convert]:
    """The service's plans of one kind, made on first use."""
    plans: Plans[Convert] | None = service.plans.get(key)
    if plans is None:
        plans = service.plans[key] = build()
    return plans


def json_reader(service: ServiceSpec, shape: Shape) -> Convert:
    return service_plans(service, "json.read", lambda: reader_builder(READERS)).plan(shape)


def json_writer(service: ServiceSpec, shape: Shape) -> Convert:
    return service_plans(service, "json.write", lambda: writer_builder(json_scalar)).plan(shape)


def load_json(body: bytes) -> Any:
    """Any: whatever JSON the client sent. An empty body is an empty object."""
    if not body:
        return {}
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error}") from None


def message_member(spec: ErrorSpec | None) -> str:
    """ "message" or "Message", as the error's shape spells it."""
    if spec is not None and "Message" in spec.shape.members and "message" not in spec.shape.members:
        return "Message"
    return "message"


def error_document(service: ServiceSpec, error: WireError) -> dict[str, Any]:
    """An error's members on the wire, its message among them. `Any`: the model's types."""
    document: dict[str, Any] = {}
    if error.spec is not None and error.members:
        document.update(json_writer(service, error.spec.shape)(dict(error.members)))
    document[message_member(error.spec)] = error.message
    return document


def query_error_header(error: WireError, headers: dict[str, str]) -> None:
    """Services that left the query protocol still tell its code, which older programs look for."""
    headers["x-amzn-query-error"] = f"{error.spec.code if error.spec else error.code};" + (
        "Sender" if error.sender else "Receiver"
    )


class JsonProtocol:
    """Both versions: they differ only in the content type's number."""

    def __init__(self, version: str) -> None:
        self.name = f"json-{version}"
        self._content_type = f"application/x-amz-json-{version}"

    def parse(self, operation: OperationSpec, inbound: Inbound) -> Params:
        document = load_json(inbound.request.body)
        shape = operation.input
        if shape is None:
            return {}
        reader = operation.plans.get("json.read")
        if reader is None:
            reader = operation.plans["json.read"] = json_reader(operation.service, shape)
        params: Params = reader(document)
        return params

    def answer(self, operation: OperationSpec, result: Params, request_id: str) -> Response:
        writer = operation.plans.get("json.write")
        if writer is None:
            shape = operation.output
            writer = json_writer(operation.service, shape) if shape is not None else lambda value: {}
            operation.plans["json.write"] = writer
        return Response(200, self._headers(request_id), orjson.dumps(writer(result)))

    def fault(self, service: ServiceSpec, error: WireError, request_id: str) -> Response:
        headers = self._headers(request_id)
        if service.query_compatible:
            query_error_header(error, headers)
        name = error.spec.name if error.spec else error.code
        document = {"__type": name, **error_document(service, error)}
        return Response(error.status, headers, orjson.dumps(document))

    def _headers(self, request_id: str) -> dict[str, str]:
        return {"x-amzn-requestid": request_id, "content-type": self._content_type}
