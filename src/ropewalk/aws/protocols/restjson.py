"""rest-json: HTTP bindings with JSON bodies. Source: https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html"""

from __future__ import annotations

from typing import Any

import orjson

from ropewalk.aws.operations import Params
from ropewalk.aws.protocols.json import error_document, json_reader, json_writer, load_json
from ropewalk.aws.protocols.protocol import WireError
from ropewalk.aws.protocols.rest import RestProtocol
from ropewalk.aws.specs import OperationSpec, ServiceSpec, Shape
from ropewalk.base.http.messages import Response


class RestJsonProtocol(RestProtocol):
    name = "rest-json"
    content_type = "application/json"

    def _read_body(self, service: ServiceSpec, shape: Shape, body: bytes) -> Params:
        params: Params = json_reader(service, shape)(load_json(body))
        return params

    def _write_body(self, service: ServiceSpec, shape: Shape, value: Any, root: str) -> bytes:
        return orjson.dumps(json_writer(service, shape)(value))

    def answer(self, operation: OperationSpec, result: Params, request_id: str) -> Response:
        status, headers, body = self._response_parts(operation, result, request_id)
        return Response(status, headers, body)

    def fault(self, service: ServiceSpec, error: WireError, request_id: str) -> Response:
        name = error.spec.name if error.spec else error.code
        headers = {"x-amzn-requestid": request_id, "content-type": self.content_type, "x-amzn-errortype": name}
        return Response(error.status, headers, orjson.dumps(error_document(service, error)))
