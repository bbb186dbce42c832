"""The oracle: what botocore's client writes, we read alike; what we write, botocore's client reads alike.

Every operation of every model below, in every protocol that the model names, with made-up documents.
"""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.shapes import Maker, as_document, plain
from ropewalk.aws.faults import wire_error
from ropewalk.aws.protocols.protocol import Inbound
from ropewalk.aws.routing import WIRES, address_of, locate
from ropewalk.aws.specs import service_spec
from ropewalk.aws.validation import violations
from ropewalk.base.errors import Fault
from ropewalk.base.http.messages import Peer, Request, Response

PAIRS = [
    ("ecs", "json"),
    ("ec2", "ec2"),
    ("iam", "query"),
    ("sts", "query"),
    ("logs", "json"),
    ("elbv2", "query"),
    ("autoscaling", "query"),
    ("application-autoscaling", "json"),
    ("eks", "rest-json"),
    ("s3control", "rest-xml"),
    ("cloudfront", "rest-xml"),
    ("route53", "rest-xml"),
    ("cloudwatch", "smithy-rpc-v2-cbor"),
    ("cloudwatch", "json"),
    ("cloudwatch", "query"),
    ("servicediscovery", "smithy-rpc-v2-cbor"),
    ("servicediscovery", "json"),
]
EXAMPLES = {"ec2": 4, "cloudfront": 4}


@cache
def model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def client_request(operation: OperationModel, protocol: str, params: dict[str, Any], signing_name: str) -> Request:
    """The request that botocore's client would send, unsigned but with its credential scope."""
    serialized = create_serializer(protocol, include_validation=False).serialize_to_request(params, operation)
    prepare_request_dict(serialized, "http://127.0.0.1:4566", context={})
    prepared = create_request_object(serialized).prepare()
    url = urlsplit(prepared.url)
    headers = {str(k).lower(): v if isinstance(v, str) else v.decode("latin-1") for k, v in prepared.headers.items()}
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential=AKID/20261123/us-east-1/{signing_name}/aws4_request, …"
    body = prepared.body or b""
    body = body.encode() if isinstance(body, str) else bytes(body)
    target = f"{url.path}?{url.query}" if url.query else url.path
    return Request(prepared.method, target, url.path, url.query, headers, body, Peer("127.0.0.1"))


def client_response(response: Response, operation: OperationModel, protocol: str) -> dict[str, Any]:
    """What botocore's client makes of our answer."""
    from botocore.compat import HTTPHeaders

    headers = HTTPHeaders()
    for name, value in response.headers.items():
        headers[name] = value
    raw = {"body": response.body, "headers": headers, "status_code": response.status, "context": {}}
    parsed: dict[str, Any] = create_parser(protocol).parse(raw, operation.output_shape)
    return parsed


def wire_of(service: str, protocol: str) -> Any:
    name = f"json-{service_spec(service).json_version}" if protocol == "json" else protocol
    return WIRES[name]


def has_event_stream(operation: OperationModel) -> bool:
    return operation.has_event_stream_input or operation.has_event_stream_output


@pytest.mark.parametrize(("service", "protocol"), PAIRS)
def test_requests_are_read_as_the_client_wrote_them(service: str, protocol: str) -> None:
    botocore_model, address = model(service), address_of(service)

    @settings(max_examples=EXAMPLES.get(service, 8), deadline=None, derandomize=True, database=None)
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        maker = Maker(seed)
        for name in botocore_model.operation_names:
            operation = botocore_model.operation_model(name)
            if has_event_stream(operation):
                continue
            params = maker.structure(operation.input_shape) if operation.input_shape else {}
            request = client_request(operation, protocol, params, address.signing_name)
            located = locate(request)
            assert located.address is address, name
            assert located.operation == name
            assert located.wire is wire_of(service, protocol), name
            spec = service_spec(service).operation(name)
            assert spec is not None
            found = located.wire.parse(spec, Inbound(request, located.form, located.labels))
            assert plain(found) == plain(params), name
            missing = [v for v in violations(spec, found) if v.missing and "." not in v.path]
            assert not missing, name

    check()


@pytest.mark.parametrize(("service", "protocol"), PAIRS)
def test_answers_reach_the_client_as_they_were_given(service: str, protocol: str) -> None:
    botocore_model = model(service)
    wire = wire_of(service, protocol)

    @settings(max_examples=EXAMPLES.get(service, 8), deadline=None, derandomize=True, database=None)
    @given(st.integers(0, 2**32))
    def check(seed: int) -> None:
        maker = Maker(seed, for_output=True)
        for name in botocore_model.operation_names:
            operation = botocore_model.operation_model(name)
            if has_event_stream(operation):
                continue
            result = maker.structure(operation.output_shape) if operation.output_shape else {}
            spec = service_spec(service).operation(name)
            assert spec is not None
            response = wire.answer(spec, as_document(result), "6f1c6a80-0000-4000-8000-000000000001")
            found = client_response(response, operation, protocol)
            metadata = found.pop("ResponseMetadata")
            assert metadata.get("RequestId") == "6f1c6a80-0000-4000-8000-000000000001" or not operation.output_shape
            payload = operation.output_shape.serialization.get("payload") if operation.output_shape else None
            if payload in result and isinstance(result[payload], bytes) and isinstance(found.get(payload), str):
                found[payload] = found[payload].encode()  # a stream to clients, text to the bare parser
            prefixed = [n for n, m in _members(operation) if m.serialization.get("location") == "headers"]
            for header_map in prefixed:
                found.pop(header_map, None)
                result.pop(header_map, None)
            assert plain(found) == plain(result), name

    check()


def _members(operation: OperationModel) -> Any:
    return operation.output_shape.members.items() if operation.output_shape else ()


@pytest.mark.parametrize(("service", "protocol"), PAIRS)
def test_every_modelled_error_reaches_the_client_with_its_code(service: str, protocol: str) -> None:
    botocore_model, wire, spec = model(service), wire_of(service, protocol), service_spec(service)
    operation = botocore_model.operation_model(botocore_model.operation_names[0])
    shapes = [s for s in botocore_model.shape_names if botocore_model.shape_for(s).metadata.get("exception")]
    for name in [*shapes, "SomethingUnmodelled"]:
        known = spec.errors.get(name)
        fault = Fault(known.code if known else name, "No <cluster> & 'x' – é.")
        response = wire.fault(spec, wire_error(wire, spec, fault), "rid-1")
        assert 400 <= response.status < 600
        found = client_response(response, operation, protocol)
        accepted = {name, known.code if known else name}
        assert found["Error"]["Code"] in accepted, name
        assert found["Error"]["Message"] == "No <cluster> & 'x' – é."
        assert found["ResponseMetadata"]["RequestId"] == "rid-1"
