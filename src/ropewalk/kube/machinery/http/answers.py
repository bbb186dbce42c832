"""Answers as HTTP: statuses, objects, warnings. Pure.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from ropewalk.base.http.messages import Refusal, Request, Response
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.errors import Details, StatusFault
from ropewalk.kube.machinery.http.negotiation import JSON, YAML
from ropewalk.kube.machinery.objects import Object

MAX_WARNINGS = 4096
"""Bytes of warnings that an answer carries at most, as kube-apiserver's."""


def status_of(fault: StatusFault) -> Object:
    """The `Status` object that tells of a fault."""
    document: Object = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {"continue": fault.continue_token} if fault.continue_token else {},
        "status": "Failure",
        "message": fault.message,
        "reason": fault.reason,
    }
    if not fault.reason:
        del document["reason"]
    if fault.details is not None:
        document["details"] = _details(fault.details)
    document["code"] = fault.status
    return document


def _details(details: Details) -> Object:
    told: Object = {}
    for key, value in (
        ("name", details.name),
        ("group", details.group),
        ("kind", details.kind),
        ("uid", details.uid),
        ("retryAfterSeconds", details.retry_after_seconds),
    ):
        if value:
            told[key] = value
    if details.causes:
        told["causes"] = [
            {
                key: value
                for key, value in (("reason", cause.reason), ("message", cause.message), ("field", cause.field))
                if value
            }
            for cause in details.causes
        ]
    return told


def success(details: Object) -> Object:
    """The `Status` of a deletion that is done."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def bug() -> StatusFault:
    """What a client hears of an exception that nobody foresaw; the log has its traceback."""
    return errors.internal_error("an error on the server has prevented the request from succeeding")


def refused(fault: StatusFault, media_type: str = JSON) -> Response:
    headers = dict(fault.headers)
    if fault.details is not None and fault.details.retry_after_seconds:
        headers.setdefault("retry-after", str(fault.details.retry_after_seconds))
    response = document(status_of(fault), status=fault.status, media_type=media_type)
    response.headers.update(headers)
    return response


def document(obj: Object, *, status: int = 200, media_type: str = JSON) -> Response:
    return encoded(orjson.dumps(obj), status=status, media_type=media_type)


def encoded(body: bytes, *, status: int = 200, media_type: str = JSON) -> Response:
    """JSON as it is, or as YAML where that was asked for."""
    if media_type == YAML:
        import yaml  # people ask for it, programs do not

        text = yaml.dump(orjson.loads(body), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=True)
        return Response(status, {"content-type": YAML}, text.encode())
    return Response(status, {"content-type": JSON}, body)


def add_warnings(response: Response, warnings: Sequence[str]) -> None:
    """`Warning: 299 - "…"` headers, joined: each text once, up to the bound; in UTF-8, as Go writes them."""
    told: list[str] = []
    size = 0
    for text in dict.fromkeys(warnings):
        clean = "".join(character if character.isprintable() else " " for character in text)
        quoted = clean.replace("\\", "\\\\").replace('"', '\\"')
        size += len(quoted)
        if size > MAX_WARNINGS:
            break
        told.append(f'299 - "{quoted}"')
    if told:
        response.headers["warning"] = ", ".join(told).encode().decode("latin-1")


_REFUSALS = {
    Refusal.MALFORMED: errors.bad_request("the request is not HTTP/1.1"),
    Refusal.TIMED_OUT: StatusFault("Timeout", "the request did not arrive in time", status=408),
    Refusal.BODY_TOO_LARGE: errors.entity_too_large("limit is 3145728"),
    Refusal.HEADERS_TOO_LARGE: StatusFault(
        "RequestHeaderFieldsTooLarge", "the request's headers are too large", status=431
    ),
    Refusal.TOO_MANY_CONNECTIONS: errors.service_unavailable("too many connections are open; try again"),
}


def refusal(why: Refusal, request: Request | None) -> Response:
    """What the HTTP server turned away before any step of ours saw it."""
    return refused(_REFUSALS[why])
