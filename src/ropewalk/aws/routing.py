"""Which service and operation a request means, and in which protocol: all rules, in one table and one function.

The table repeats a few facts of the models (a test compares them), so that routing loads no model: a request for ECS
must not cost the reading of EC2's four megabytes.

The rules, first match wins:

| the request has                                             | protocol        | service by                          |
|-------------------------------------------------------------|-----------------|-------------------------------------|
| `Smithy-Protocol: rpc-v2-cbor`                              | rpc-v2-cbor     | /service/<target prefix>/operation/ |
| `X-Amz-Target: <prefix>.<operation>`                        | json 1.0 or 1.1 | target prefix                       |
| `Action` in a form body or in the query                     | query or ec2    | Version, then credential scope      |
| anything else                                               | rest-json, -xml | credential scope, then Host         |

The credential scope is only a hint here; the authenticator later insists that it names the service found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from ropewalk.aws.protocols.cbor import CborProtocol
from ropewalk.aws.protocols.json import JsonProtocol
from ropewalk.aws.protocols.protocol import WireProtocol
from ropewalk.aws.protocols.query import QueryProtocol, decode_form
from ropewalk.aws.protocols.rest import rest_router
from ropewalk.aws.protocols.restjson import RestJsonProtocol
from ropewalk.aws.protocols.restxml import RestXmlProtocol
from ropewalk.aws.specs import service_spec
from ropewalk.base.http.messages import Request

WIRES: dict[str, WireProtocol] = {
    wire.name: wire
    for wire in (
        JsonProtocol("1.0"),
        JsonProtocol("1.1"),
        QueryProtocol(),
        QueryProtocol(ec2=True),
        RestJsonProtocol(),
        RestXmlProtocol(),
        CborProtocol(),
    )
}


@dataclass(frozen=True, slots=True)
class Address:
    """How clients name one service."""

    service: str
    """botocore's name, which is ours too."""
    signing_name: str
    protocols: tuple[str, ...]
    """As the model lists them."""
    target_prefix: str = ""
    version: str = ""
    """Of the query protocols."""
    host: str = ""
    """First label of its endpoint, where that is not the signing name."""
    is_global: bool = False
    """Signed for us-east-1 wherever it is called from."""


ADDRESSES = (
    Address("application-autoscaling", "application-autoscaling", ("json",), "AnyScaleFrontendService"),
    Address("autoscaling", "autoscaling", ("query",), version="2011-01-01"),
    Address("cloudformation", "cloudformation", ("query",), version="2010-05-15"),
    Address("cloudfront", "cloudfront", ("rest-xml",), is_global=True),
    Address(
        "cloudwatch",
        "monitoring",
        ("smithy-rpc-v2-cbor", "json", "query"),
        "GraniteServiceVersion20100801",
        version="2010-08-01",
    ),
    Address("ec2", "ec2", ("ec2",), version="2016-11-15"),
    Address("ecr", "ecr", ("json",), "AmazonEC2ContainerRegistry_V20150921", host="api"),
    Address("ecs", "ecs", ("json",), "AmazonEC2ContainerServiceV20141113"),
    Address("eks", "eks", ("rest-json",)),
    Address("elbv2", "elasticloadbalancing", ("query",), version="2015-12-01"),
    Address("events", "events", ("json",), "AWSEvents"),
    Address("iam", "iam", ("query",), version="2010-05-08", is_global=True),
    Address("kms", "kms", ("json",), "TrentService"),
    Address("logs", "logs", ("json",), "Logs_20140328"),
    Address("route53", "route53", ("rest-xml",), is_global=True),
    Address("s3control", "s3", ("rest-xml",), host="s3-control"),
    Address("secretsmanager", "secretsmanager", ("json",), "secretsmanager"),
    Address("servicediscovery", "servicediscovery", ("smithy-rpc-v2-cbor", "json"), "Route53AutoNaming_v20170314"),
    Address("sqs", "sqs", ("json",), "AmazonSQS"),
    Address("ssm", "ssm", ("json",), "AmazonSSM"),
    Address("sts", "sts", ("query",), version="2011-06-15", is_global=True),
)

_BY_SERVICE = {address.service: address for address in ADDRESSES}
_BY_TARGET = {address.target_prefix: address for address in ADDRESSES if address.target_prefix}
_BY_SIGNING_NAME: dict[str, list[Address]] = {}
_BY_HOST = {address.host or address.signing_name: address for address in ADDRESSES}
_BY_VERSION: dict[str, list[Address]] = {}
for _address in ADDRESSES:
    _BY_SIGNING_NAME.setdefault(_address.signing_name, []).append(_address)
    if _address.version:
        _BY_VERSION.setdefault(_address.version, []).append(_address)

_RPC_PATH = re.compile(r"(?:/.*)?/service/([A-Za-z0-9_.#-]+)/operation/([A-Za-z0-9_]+)")
_HEADER_SCOPE = re.compile(r"Credential=\s*([^,\s]+)")
_QUERY_SCOPE = re.compile(r"(?:^|&)X-Amz-Credential=([^&]+)")
FORM = "application/x-www-form-urlencoded"


def address_of(service: str) -> Address:
    """Raises `KeyError` where the table does not have the service yet."""
    return _BY_SERVICE[service]


@dataclass(frozen=True, slots=True)
class Scope:
    """The credential scope that a request was signed for; empty where it was not signed."""

    region: str = ""
    service: str = ""


UNSIGNED = Scope()


def scope_of(request: Request) -> Scope:
    """Read, not verified: only good for routing."""
    if (authorization := request.headers.get("authorization")) is not None:
        match = _HEADER_SCOPE.search(authorization)
        text = match[1] if match else ""
    else:
        match = _QUERY_SCOPE.search(request.query)
        text = unquote(match[1]) if match else ""
    parts = text.rsplit("/", 4)
    return Scope(parts[2], parts[3]) if len(parts) == 5 else UNSIGNED


@dataclass(slots=True)
class Located:
    """What a request means. `address` None: no service that we know; `operation` "": none that its service knows."""

    wire: WireProtocol
    address: Address | None
    operation: str
    scope: Scope
    form: Mapping[str, str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


def locate(request: Request) -> Located:
    """Raises `Malformed` for a form or a path that cannot be decoded."""
    headers = request.headers
    scope = scope_of(request)
    if headers.get("smithy-protocol") == "rpc-v2-cbor":
        return _rpc(request, scope)
    if (target := headers.get("x-amz-target")) is not None:
        prefix, _, operation = target.rpartition(".")
        return Located(_json_wire(request), _BY_TARGET.get(prefix), operation, scope)
    form = _form(request)
    if form is not None and "Action" in form:
        return _query(form, scope)
    return _rest(request, scope)


def _json_wire(request: Request) -> WireProtocol:
    return WIRES["json-1.0" if request.headers.get("content-type", "").endswith("-1.0") else "json-1.1"]


def _rpc(request: Request, scope: Scope) -> Located:
    match = _RPC_PATH.fullmatch(request.path)
    if match is None:
        return Located(WIRES["smithy-rpc-v2-cbor"], None, "", scope)
    return Located(WIRES["smithy-rpc-v2-cbor"], _BY_TARGET.get(match[1]), match[2], scope)


def _form(request: Request) -> dict[str, str] | None:
    encoded = request.query if "Action=" in request.query else ""
    if request.method == "POST" and request.headers.get("content-type", "").lower().startswith(FORM):
        body = request.body.decode("latin-1").strip()
        encoded = f"{encoded}&{body}" if encoded else body
    return decode_form(encoded) if encoded else None


def _query(form: Mapping[str, str], scope: Scope) -> Located:
    version = form.get("Version", "")
    signed_for = [a for a in _BY_SIGNING_NAME.get(scope.service, ()) if a.version]
    candidates = [a for a in signed_for if a.version == version] or signed_for or _BY_VERSION.get(version, [])
    address = candidates[0] if candidates else None
    wire = WIRES["ec2" if address is not None and "ec2" in address.protocols else "query"]
    # EC2 serves its old versions' clients too; with any other service a wrong version is an unknown action.
    known = address is not None and (version in ("", address.version) or address.service == "ec2")
    return Located(wire, address, form["Action"] if known else "", scope, form)


def _rest(request: Request, scope: Scope) -> Located:
    candidates = [a for a in _BY_SIGNING_NAME.get(scope.service, ()) if a.protocols[0].startswith("rest-")]
    if not candidates:
        label = request.headers.get("host", "").split(".", 1)[0]
        by_host = _BY_HOST.get(label)
        candidates = [by_host] if by_host is not None and by_host.protocols[0].startswith("rest-") else []
    for address in candidates:
        found = rest_router(service_spec(address.service)).find(request.method, request.path, request.query)
        if found is not None:
            return Located(WIRES[address.protocols[0]], address, found[0], scope, None, found[1])
    if candidates:
        return Located(WIRES[candidates[0].protocols[0]], candidates[0], "", scope)
    fallback = _BY_SIGNING_NAME.get(scope.service, [])
    return Located(guess_wire(request, fallback), fallback[0] if fallback else None, "", scope)


def guess_wire(request: Request, addresses: list[Address] | None = None) -> WireProtocol:
    """The protocol to word an error in where nothing better is known."""
    content_type = request.headers.get("content-type", "").lower()
    if request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        return WIRES["smithy-rpc-v2-cbor"]
    if "x-amz-target" in request.headers or content_type.startswith("application/x-amz-json"):
        return _json_wire(request)
    if addresses is None:
        addresses = _BY_SIGNING_NAME.get(scope_of(request).service, [])
    names = {name for address in addresses for name in address.protocols}
    for name in ("ec2", "query", "rest-xml", "rest-json"):
        if name in names:
            return WIRES[name]
    if content_type.startswith(FORM) or "Action=" in request.query:
        return WIRES["query"]
    return WIRES["json-1.1" if "json" in names else "rest-json"]
