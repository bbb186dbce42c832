"""Smithy RPC v2 CBOR: POST /service/<name>/operation/<operation>, one CBOR map each way.

Source: https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
cbor2 is imported on the first such request: most installations never see one.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ropewalk.aws.operations import Params
from ropewalk.aws.protocols import values
from ropewalk.aws.protocols.json import (
    READERS,
    Convert,
    kind_of,
    message_member,
    query_error_header,
    reader_builder,
    same,
    service_plans,
    writer_builder,
)
from ropewalk.aws.protocols.protocol import Inbound, WireError
from ropewalk.aws.protocols.values import Malformed
from ropewalk.aws.specs import OperationSpec, ServiceSpec, Shape
from ropewalk.base.http.messages import Response


def _timestamp(value: Any) -> Any:
    if isinstance(value, datetime):  # tag 1 (and 0), decoded
        if value.tzinfo is None:
            raise Malformed("timestamp without a zone")
        return (value - values.EPOCH) / timedelta(seconds=1)
    if value.__class__ is float or value.__class__ is int:
        return values.timestamp_from_number(float(value))
    raise Malformed(f"expected a timestamp, got {kind_of(value)}")


def _blob(value: Any) -> Any:
    if value.__class__ is not bytes:
        raise Malformed(f"expected bytes, got {kind_of(value)}")
    return value


CBOR_READERS: dict[str, Convert] = {**READERS, "timestamp": _timestamp, "blob": _blob}


def _tagged(value: Any) -> Any:
    from cbor2 import CBORTag

    return CBORTag(1, value)


def _cbor_scalar(shape: Shape) -> Convert:
    return _tagged if shape.kind == "timestamp" else same


def load_cbor(body: bytes) -> Any:
    """Any: whatever CBOR the client sent."""
    if not body:
        return {}
    import cbor2

    try:
        return cbor2.loads(body)
    except Exception as error:  # the decoder lets any of its value parsers' exceptions through
        raise Malformed(f"the body is not CBOR: {type(error).__name__}") from None


def dump_cbor(document: Any) -> bytes:
    import cbor2

    return cbor2.dumps(document)


class CborProtocol:
    name = "smithy-rpc-v2-cbor"

    def parse(self, operation: OperationSpec, inbound: Inbound) -> Params:
        document = load_cbor(inbound.request.body)
        shape = operation.input
        if shape is None:
            return {}
        plans = service_plans(operation.service, "cbor.read", lambda: reader_builder(CBOR_READERS))
        params: Params = plans.plan(shape)(document)
        return params

    def answer(self, operation: OperationSpec, result: Params, request_id: str) -> Response:
        shape = operation.output
        document: Any = {}
        if shape is not None:
            plans = service_plans(operation.service, "cbor.write", lambda: writer_builder(_cbor_scalar))
            document = plans.plan(shape)(result)
        return Response(200, self._headers(request_id), dump_cbor(document))

    def fault(self, service: ServiceSpec, error: WireError, request_id: str) -> Response:
        headers = self._headers(request_id)
        if service.query_compatible:
            query_error_header(error, headers)
        document: dict[str, Any] = {}
        if error.spec is not None and error.members:
            plans = service_plans(service, "cbor.write", lambda: writer_builder(_cbor_scalar))
            document.update(plans.plan(error.spec.shape)(dict(error.members)))
        document["__type"] = error.spec.name if error.spec else error.code
        document[message_member(error.spec)] = error.message
        return Response(error.status, headers, dump_cbor(document))

    def _headers(self, request_id: str) -> dict[str, str]:
        return {
            "smithy-protocol": "rpc-v2-cbor",
            "x-amzn-requestid": request_id,
            "content-type": "application/cbor",
        }
