"""The front's own errors in each protocol's words, and any `Fault` on its way to the wire.

Conditions that the front finds have neutral names; the table says how each family of protocols calls them. Families:
"json" (json, rest-json, rpc-v2-cbor), "query" (query, rest-xml) and "ec2".

Sources: https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html,
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html,
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

from ropewalk.aws.protocols.protocol import WireError, WireProtocol
from ropewalk.aws.specs import ServiceSpec
from ropewalk.base.errors import Fault

_FAMILIES = {"ec2": "ec2", "query": "query", "rest-xml": "query"}

# neutral code: family -> (code, status)
_WORDS: dict[str, dict[str, tuple[str, int]]] = {
    "MissingAuthenticationToken": {
        "json": ("MissingAuthenticationTokenException", 400),
        "query": ("MissingAuthenticationToken", 403),
        "ec2": ("AuthFailure", 401),
    },
    "IncompleteSignature": {
        "json": ("IncompleteSignatureException", 400),
        "query": ("IncompleteSignature", 400),
        "ec2": ("AuthFailure", 401),
    },
    "InvalidClientTokenId": {
        "json": ("UnrecognizedClientException", 400),
        "query": ("InvalidClientTokenId", 403),
        "ec2": ("AuthFailure", 401),
    },
    "SignatureDoesNotMatch": {
        "json": ("InvalidSignatureException", 400),
        "query": ("SignatureDoesNotMatch", 403),
        "ec2": ("AuthFailure", 401),
    },
    "RequestExpired": {
        "json": ("InvalidSignatureException", 400),
        "query": ("RequestExpired", 400),
        "ec2": ("RequestExpired", 400),
    },
    "ExpiredToken": {
        "json": ("ExpiredTokenException", 400),
        "query": ("ExpiredToken", 403),
        "ec2": ("RequestExpired", 400),
    },
    "AccessDenied": {
        "json": ("AccessDeniedException", 400),
        "query": ("AccessDenied", 403),
        "ec2": ("UnauthorizedOperation", 403),
    },
    "Forbidden": {
        "json": ("AccessDeniedException", 403),
        "query": ("AccessDenied", 403),
        "ec2": ("UnauthorizedOperation", 403),
    },
    "UnknownOperation": {
        "json": ("UnknownOperationException", 400),
        "query": ("InvalidAction", 400),
        "ec2": ("InvalidAction", 400),
    },
    "NotImplemented": {
        "json": ("UnsupportedOperationException", 400),
        "query": ("UnsupportedOperation", 400),
        "ec2": ("UnsupportedOperation", 400),
    },
    "MalformedBody": {
        "json": ("SerializationException", 400),
        "query": ("MalformedInput", 400),
        "ec2": ("InvalidParameterValue", 400),
    },
    "MalformedRequest": {
        "json": ("BadRequestException", 400),
        "query": ("MalformedInput", 400),
        "ec2": ("InvalidRequest", 400),
    },
    "TooLarge": {
        "json": ("RequestEntityTooLargeException", 413),
        "query": ("RequestEntityTooLarge", 413),
        "ec2": ("RequestEntityTooLarge", 413),
    },
    "HeadersTooLarge": {
        "json": ("RequestHeaderSectionTooLargeException", 431),
        "query": ("RequestHeaderSectionTooLarge", 431),
        "ec2": ("RequestHeaderSectionTooLarge", 431),
    },
    "TimedOut": {
        "json": ("RequestTimeoutException", 408),
        "query": ("RequestTimeout", 408),
        "ec2": ("RequestTimeout", 408),
    },
    "Busy": {
        "json": ("ServiceUnavailableException", 503),
        "query": ("ServiceUnavailable", 503),
        "ec2": ("Unavailable", 503),
    },
    "Bug": {
        "json": ("InternalFailure", 500),
        "query": ("InternalFailure", 500),
        "ec2": ("InternalError", 500),
    },
}

_REST_STATUS = {"UnknownOperation": 404, "AccessDenied": 403}
"""Where rest-json and rpc-v2-cbor answer another status than the RPC protocols."""

# What a value outside the model's bounds is called.
_VALIDATION = {
    "ec2": "InvalidParameterValue",
    "ecr": "InvalidParameterException",
    "ecs": "InvalidParameterException",
    "eks": "InvalidParameterException",
    "logs": "InvalidParameterException",
    "cloudwatch": "InvalidParameterValue",
    "servicediscovery": "InvalidInput",
    "secretsmanager": "InvalidParameterException",
    "route53": "InvalidInput",
    "cloudfront": "InvalidArgument",
}


def spoken(neutral: str, family: str = "json") -> str:
    """A neutral code in a family's words: AccessDenied is AccessDeniedException. Any other code is left as it is."""
    words = _WORDS.get(neutral)
    return neutral if words is None else words[family][0]


def family_of(wire: WireProtocol) -> str:
    return _FAMILIES.get(wire.name, "json")


def validation_code(service: str, wire: WireProtocol) -> str:
    default = "ValidationException" if family_of(wire) == "json" else "ValidationError"
    return _VALIDATION.get(service, default)


def wire_error(wire: WireProtocol, service: ServiceSpec | None, fault: Fault) -> WireError:
    """The fault in the protocol's words, with its modelled shape and status where the service has one."""
    code, status = fault.code, fault.status
    words = _WORDS.get(code)
    if words is not None:
        code, default_status = words[family_of(wire)]
        if wire.name in ("rest-json", "smithy-rpc-v2-cbor"):
            default_status = _REST_STATUS.get(fault.code, default_status)
        status = default_status if status in (400, 403) else status
    spec = service.errors.get(code) if service is not None else None
    if spec is not None:
        code = spec.code
        if words is None and status == 400 and spec.status is not None:
            status = spec.status
    sender = status < 500 if spec is None else spec.query_sender
    return WireError(code, fault.message, status, sender, fault.members, spec)
