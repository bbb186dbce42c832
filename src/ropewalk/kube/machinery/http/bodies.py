"""A request's bytes as an object: by its media type, within bounds."""

from __future__ import annotations

from ropewalk.kube.machinery import decoding, errors
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.http.negotiation import APPLY_MEDIA_TYPE, body_type
from ropewalk.kube.machinery.objects import Json, Object

BODY_BYTES = 3 * 1024 * 1024


def read_object(exchange: Exchange) -> tuple[Object, list[str]]:
    """(the object, complaints about doubled keys). Raises BadRequest, UnsupportedMediaType."""
    body = exchange.request.body
    media_type = body_type(exchange.request.header("content-type"))
    if not body:
        raise errors.bad_request("the request has no body: an object was expected")
    found, doubled = decoding.parse(body, media_type, find_duplicates=exchange.call.field_validation != "Ignore")
    if not isinstance(found, dict):
        raise errors.bad_request("the body of the request is no object")
    exchange.body = found
    return found, doubled


def read_optional(exchange: Exchange) -> Object | None:
    """DeleteOptions, which may be left out."""
    if not exchange.request.body:
        return None
    return read_object(exchange)[0]


def read_patch(exchange: Exchange, kind: str) -> tuple[Json, list[str]]:
    body = exchange.request.body
    if not body:
        raise errors.bad_request("the request has no body: a patch was expected")
    media_type = APPLY_MEDIA_TYPE if kind == "apply" else "application/json"
    found, doubled = decoding.parse(body, media_type, find_duplicates=exchange.call.field_validation != "Ignore")
    exchange.body = found if isinstance(found, dict) else None
    return found, doubled
