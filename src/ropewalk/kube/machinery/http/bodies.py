"""A request's bytes as an object: by its media type, within bounds."""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.machinery import decoding, errors
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.http.negotiation import (
    APPLY_MEDIA_TYPE,
    BODIES,
    CUSTOM_BODIES,
    JSON,
    PROTOBUF,
    body_type,
)
from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.protobuf.decoder import Decoder
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.resources import GroupVersionKind

BODY_BYTES = 3 * 1024 * 1024


class Bodies:
    """Reads objects of every kind: protobuf by `decoder`, the rest by `decoding`."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def read(self, exchange: Exchange, served: Served) -> tuple[Object, list[str]]:
        """(the object, complaints about doubled keys). Raises BadRequest, UnsupportedMediaType."""
        known = served.info.subresource(exchange.route.subresource)
        expected = served.info.gvk if known is None else known.kind
        if expected == served.info.gvk:  # `registry.bodies` reads on
            return self._read(exchange, expected, CUSTOM_BODIES if served.custom else BODIES)
        found, doubled = self._read(exchange, expected, BODIES)
        found, unknown = self.typed(found, expected)
        return found, [*doubled, *unknown]

    def typed(self, obj: Object, kind: GroupVersionKind) -> tuple[Object, list[str]]:
        """(`obj` as an object of a built-in kind, complaints about unknown fields), in place. Raises BadRequest."""
        return decoding.read(obj, kind, self._decoder.types)

    def read_options(self, exchange: Exchange) -> Object | None:
        """DeleteOptions, which may be left out."""
        if not exchange.request.body:
            return None
        return self.typed(self._read(exchange, _DELETE_OPTIONS, BODIES)[0], _DELETE_OPTIONS)[0]

    def _read(
        self, exchange: Exchange, expected: GroupVersionKind, accepted: Sequence[str]
    ) -> tuple[Object, list[str]]:
        body = exchange.request.body
        media_type = body_type(exchange.request.header("content-type"), accepted)
        if not body:
            raise errors.bad_request("the request has no body: an object was expected")
        if media_type == PROTOBUF:
            exchange.body = self._decoder.decode(body, expected)
            return exchange.body, []
        found, doubled = decoding.parse(body, media_type, find_duplicates=exchange.call.field_validation != "Ignore")
        if not isinstance(found, dict):
            raise errors.bad_request("the body of the request is no object")
        exchange.body = found
        return found, doubled


def json_of(exchange: Exchange) -> bytes:
    """The body's text, where that is JSON."""
    return exchange.request.body if body_type(exchange.request.header("content-type"), BODIES) == JSON else b""


_DELETE_OPTIONS = GroupVersionKind("", "v1", "DeleteOptions")


def read_patch(exchange: Exchange, kind: str) -> tuple[Json, list[str]]:
    body = exchange.request.body
    if not body:
        raise errors.bad_request("the request has no body: a patch was expected")
    media_type = APPLY_MEDIA_TYPE if kind == "apply" else "application/json"
    found, doubled = decoding.parse(body, media_type, find_duplicates=exchange.call.field_validation != "Ignore")
    exchange.body = found if isinstance(found, dict) else None
    return found, doubled
