"""rest-xml: HTTP bindings with XML bodies. Source: https://smithy.io/2.0/aws/protocols/aws-restxml-protocol.html

S3 words its errors without the outer `<ErrorResponse>`, and names its request id in headers of its own.
"""

from __future__ import annotations

from typing import Any

from ropewalk.aws.operations import Params
from ropewalk.aws.protocols.forward import Plans
from ropewalk.aws.protocols.protocol import WireError
from ropewalk.aws.protocols.query import error_response
from ropewalk.aws.protocols.rest import RestProtocol
from ropewalk.aws.protocols.xml import Read, XmlWriters, escape, load_xml, xml_readers, xml_response_body
from ropewalk.aws.specs import OperationSpec, ServiceSpec, Shape
from ropewalk.base.http.messages import Response

BARE_ERRORS = frozenset({"s3"})


class RestXmlProtocol(RestProtocol):
    name = "rest-xml"
    content_type = "application/xml"

    def _read_body(self, service: ServiceSpec, shape: Shape, body: bytes) -> Params:
        plans: Plans[Read] | None = service.plans.get("xml.read")
        if plans is None:
            plans = service.plans["xml.read"] = xml_readers()
        params: Params = plans.plan(shape)(load_xml(body))
        return params

    def _write_body(self, service: ServiceSpec, shape: Shape, value: Any, root: str) -> bytes:
        writers: XmlWriters | None = service.plans.get("xml.write")
        if writers is None:
            writers = service.plans["xml.write"] = XmlWriters()
        out: list[str] = []
        writers.element(shape, root)(out, value)
        return xml_response_body(out)

    def answer(self, operation: OperationSpec, result: Params, request_id: str) -> Response:
        status, headers, body = self._response_parts(operation, result, request_id)
        return Response(status, headers, body)

    def fault(self, service: ServiceSpec, error: WireError, request_id: str) -> Response:
        headers = {"x-amzn-requestid": request_id, "content-type": self.content_type}
        if service.service in BARE_ERRORS:
            headers["x-amz-request-id"] = request_id
            code, message = escape(error.code), escape(error.message)
            out = [f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId></Error>"]
        else:
            out = error_response(service, error, request_id)
        return Response(error.status, headers, xml_response_body(out))
