"""Discovery and OpenAPI at their URLs, made anew when what is served changes, and tagged so that clients need not
reread.

https://kubernetes.io/docs/concepts/overview/kubernetes-api/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import orjson

from ropewalk.base.http.messages import Response
from ropewalk.kube.machinery import discovery, errors
from ropewalk.kube.machinery.discovery import Catalogue
from ropewalk.kube.machinery.documents import Document, document
from ropewalk.kube.machinery.http import answers, negotiation
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.http.negotiation import JSON, Wanted
from ropewalk.kube.machinery.http.pages import Page, Pages
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.openapi.specification import Specification

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"


class Remote(Protocol):
    """Aggregated servers' OpenAPI. See `kube.extension.aggregation_discovery`."""

    def openapi_places(self) -> dict[str, str]:
        """Place (`apis/GROUP/VERSION`) → URL, for the index."""
        ...

    async def openapi(self, group: str, version: str) -> bytes | None:
        """The document as the other server gives it; None where it is no remote group."""
        ...


class Described:
    """`catalogue` and `specification` are asked again whenever `generation` grows."""

    def __init__(
        self,
        generation: Callable[[], int],
        catalogue: Callable[[], Catalogue],
        specification: Callable[[], Specification],
        remote: Remote,
        address: str,
    ) -> None:
        """`address`: host and port that `/api` names as the server's."""
        self._generation = generation
        self._make_catalogue = catalogue
        self._make_specification = specification
        self._remote = remote
        self._address = address
        self._made_at = -1
        self._catalogue = Catalogue((), None)
        self._documents: dict[str, Document | None] = {}
        self._specification: Specification | None = None

    def add_to(self, pages: Pages) -> None:
        pages.add("/api", self._roots("/api", core=True))
        pages.add("/apis", self._roots("/apis", core=False))
        pages.add_under("/api/", self._plain)
        pages.add_under("/apis/", self._plain)
        pages.add("/openapi/v2", self._v2)
        pages.add("/openapi/v3", self._index)
        pages.add_under("/openapi/v3/", self._v3)

    def _current(self) -> Catalogue:
        generation = self._generation()
        if generation != self._made_at:
            self._made_at = generation
            self._catalogue = self._make_catalogue()
            self._documents.clear()
            self._specification = None
        return self._catalogue

    def _specified(self) -> Specification:
        self._current()
        if self._specification is None:
            self._specification = self._make_specification()
        return self._specification

    def _roots(self, path: str, *, core: bool) -> Page:
        async def page(exchange: Exchange) -> Response:
            found = self._current()
            wanted = negotiation.wanted(exchange.request.header("accept"), transforms=True)
            if wanted.transform == "APIGroupDiscoveryList":
                key = f"{path} {wanted.version}"
                made = self._document(key, lambda: discovery.aggregated(found, core=core, version=wanted.version))
                response = self._answer(exchange, made, wanted)
                if response.status == 200:
                    response.headers["content-type"] = AGGREGATED.format(wanted.version)
                return response
            plain = (
                self._document(path, lambda: discovery.core_versions(found, self._address))
                if core
                else self._document(path, lambda: discovery.group_list(found))
            )
            return self._answer(exchange, plain, wanted)

        return page

    async def _plain(self, exchange: Exchange) -> Response:
        """`/api/v1`, `/apis/GROUP`, `/apis/GROUP/VERSION`."""
        found = self._current()
        parts = exchange.route.path.strip("/").split("/")
        wanted = negotiation.wanted(exchange.request.header("accept"), transforms=False)
        if parts[0] == "api" and len(parts) == 2:
            version = parts[1]
            made = self._document(exchange.route.path, lambda: discovery.resource_list(found, "", version))
        elif len(parts) == 2:
            made = self._document(exchange.route.path, lambda: discovery.api_group(found, parts[1]))
        elif len(parts) == 3:
            made = self._document(exchange.route.path, lambda: discovery.resource_list(found, parts[1], parts[2]))
        else:
            made = None
        return self._answer(exchange, made, wanted)

    def _document(self, key: str, make: Callable[[], Object | None]) -> Document | None:
        if key not in self._documents:
            content = make()
            if content is None:
                return None  # not kept: clients choose these paths
            self._documents[key] = document(content)
        return self._documents[key]

    def _answer(self, exchange: Exchange, made: Document | None, wanted: Wanted) -> Response:
        if made is None:
            raise errors.path_not_found()
        if wanted.media_type != JSON:
            return answers.encoded(made.content, media_type=wanted.media_type)
        return _tagged(exchange, made)

    async def _v2(self, exchange: Exchange) -> Response:
        accept = exchange.request.header("accept")
        if "protobuf" in accept and "json" not in accept and "*/*" not in accept:
            raise errors.not_acceptable((JSON,))
        return _tagged(exchange, self._specified().v2())

    async def _index(self, exchange: Exchange) -> Response:
        index = self._specified().index()
        places = self._remote.openapi_places()
        if places:
            content = orjson.loads(index.content)
            content["paths"] |= {place: {"serverRelativeURL": url} for place, url in places.items()}
            index = document(content)
        return _tagged(exchange, index)

    async def _v3(self, exchange: Exchange) -> Response:
        place = exchange.route.path.removeprefix("/openapi/v3/")
        made = self._specified().v3(place)
        if made is None:
            return await self._remote_v3(place)
        response = _tagged(exchange, made)
        if exchange.query.get("hash") == [made.hash]:
            response.headers["cache-control"] = "public, immutable"
            response.headers["expires"] = "Fri, 31 Dec 2100 00:00:00 GMT"
        return response

    async def _remote_v3(self, place: str) -> Response:
        parts = place.split("/")
        content = await self._remote.openapi(parts[1], parts[2]) if len(parts) == 3 and parts[0] == "apis" else None
        if content is None:
            raise errors.path_not_found()
        return Response(200, {"content-type": JSON}, content)


def _tagged(exchange: Exchange, made: Document) -> Response:
    headers = {"content-type": JSON, "etag": made.etag, "vary": "Accept"}
    if made.etag in (tag.strip() for tag in exchange.request.header("if-none-match").split(",")):
        del headers["content-type"]  # a cache would take it for that of the body it has
        return Response(304, headers)
    return Response(200, headers, made.content)
