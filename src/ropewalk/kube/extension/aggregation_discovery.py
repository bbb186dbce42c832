"""What aggregated servers serve, for the documents of this one: asked of each, kept, asked again every minute.

A server that does not answer keeps what it said last, marked stale. Aggregated discovery is asked for first, the plain
document of the group version where a server does not know it.
https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

import orjson

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.extension.aggregation_client import Client, Destination, Outgoing, Unreachable
from ropewalk.kube.extension.aggregation_proxy import AGGREGATOR, DISCOVERY_SECONDS, remote_user
from ropewalk.kube.extension.aggregation_resolving import Resolver
from ropewalk.kube.extension.api_services import ApiService, ApiServices, GroupVersion, ServiceReference
from ropewalk.kube.machinery.discovery import Priority
from ropewalk.kube.machinery.objects import Json, Object, at
from ropewalk.kube.machinery.resources import GroupVersionKind, ResourceInfo, Subresource
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result

REFRESH_SECONDS = 60.0
RETRY_SECONDS = 5.0
MAX_DOCUMENT = 16 << 20
AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
)
Infos = tuple[ResourceInfo, ...]


class Unusable(Exception):
    """A server said nothing that could be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What one service said in its aggregated document."""

    etag: str
    groups: Mapping[GroupVersion, Infos]


class AggregatedDiscovery:
    """A `Runnable`, of every replica. `infos`, `priorities` and `stale` are for `discovery.catalogue`; `generation`
    grows whenever they change.
    """

    name = "aggregated discovery"

    def __init__(
        self, services: ApiServices, resolver: Resolver, client: Client, clock: Clock, entropy: Entropy
    ) -> None:
        self.generation = 0
        self._services = services
        self._resolver = resolver
        self._client = client
        self._infos: dict[GroupVersion, Infos] = {}
        self._stale: set[GroupVersion] = set()
        self._kept: dict[ServiceReference, Kept] = {}
        self._documents: dict[GroupVersion, str] = {}
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy, workers=2)

    async def run(self) -> None:
        self._services.on_change(self._changed)
        await self._controller.run()

    def infos(self) -> list[ResourceInfo]:
        return [info for found in self._infos.values() for info in found]

    def empty(self) -> list[GroupVersion]:
        """Group versions of which nothing is known yet, or which have no resource."""
        return [key for key, found in self._infos.items() if not found]

    def priorities(self) -> dict[GroupVersion, Priority]:
        return self._services.priorities()

    def stale(self) -> frozenset[GroupVersion]:
        return frozenset(self._stale)

    def openapi_places(self) -> dict[str, str]:
        """For the index at `/openapi/v3`: place (`apis/GROUP/VERSION`) → serverRelativeURL."""
        return {
            f"apis/{group}/{version}": f"/openapi/v3/apis/{group}/{version}?hash={digest}"
            for (group, version), digest in self._documents.items()
        }

    async def openapi(self, group: str, version: str) -> bytes | None:
        """The document at `/openapi/v3/apis/GROUP/VERSION`; None where no other server answers for that. Raises
        `Unusable`.
        """
        service = self._services.remote(group, version)
        if service is None:
            return None
        _, body = await self._fetch(service, f"/openapi/v3/apis/{group}/{version}", "application/json")
        return body

    # --- following

    def _changed(self, service: ApiService, present: bool) -> None:
        key = (service.group, service.version)
        if present and service.service is not None:
            if key not in self._infos:
                self._infos[key] = ()
                self._stale.add(key)
            self.generation += 1
            self._controller.enqueue(service.name)
        elif key in self._infos:
            del self._infos[key]
            self._stale.discard(key)
            self._documents.pop(key, None)
            self.generation += 1
        else:
            self.generation += 1  # its priority

    async def _reconcile(self, name: str) -> Result:
        version, _, group = name.partition(".")
        key = (group, version)
        service = self._services.remote(group, version)
        if service is None or service.service is None:
            self._forget_services()
            return DONE
        try:
            found = await self._ask(service, service.service)
        except Unusable:
            self._set(key, self._infos.get(key, ()), stale=True)
            return RequeueAfter(RETRY_SECONDS if service.available else REFRESH_SECONDS)
        if self._services.remote(group, version) is not None:  # it may have gone meanwhile
            self._set(key, found, stale=False)
            await self._index(service)
        return RequeueAfter(REFRESH_SECONDS)

    def _set(self, key: GroupVersion, infos: Infos, *, stale: bool) -> None:
        if self._infos.get(key) == infos and (key in self._stale) is stale:
            return
        self._infos[key] = infos
        (self._stale.add if stale else self._stale.discard)(key)
        self.generation += 1

    def _forget_services(self) -> None:
        used = {service.service for service in self._services.remotes()}
        self._kept = {reference: kept for reference, kept in self._kept.items() if reference in used}

    # --- asking

    async def _ask(self, service: ApiService, reference: ServiceReference) -> Infos:
        kept = self._kept.get(reference)
        try:
            headers, body = await self._fetch(service, "/apis", AGGREGATED, kept.etag if kept else "")
        except Unusable:
            if not service.available:
                raise
            headers, body = {}, b""
        if not body and kept is not None and headers.get("etag"):
            return _of(kept.groups, service)
        if "as=apigroupdiscoverylist" in headers.get("content-type", "").lower().replace(" ", ""):
            fresh = self._kept[reference] = Kept(headers.get("etag", ""), aggregated_infos(_parsed(body)))
            return _of(fresh.groups, service)
        _, plain = await self._fetch(service, service.path, "application/json")
        return plain_infos(_parsed(plain), service.group, service.version)

    async def _index(self, service: ApiService) -> None:
        """Whether it has an OpenAPI document, and which."""
        key = (service.group, service.version)
        place = f"apis/{service.group}/{service.version}"
        try:
            _, body = await self._fetch(service, "/openapi/v3", "application/json")
            url = at(_parsed(body), "paths", place, "serverRelativeURL")
        except Unusable:
            return
        if not isinstance(url, str):
            self._documents.pop(key, None)
            return
        digest = url.partition("hash=")[2].partition("&")[0]
        if not digest.isalnum():
            digest = hashlib.sha512(url.encode(errors="replace")).hexdigest().upper()
        if self._documents.get(key) != digest:
            self._documents[key] = digest
            self.generation += 1

    async def _fetch(self, service: ApiService, path: str, accept: str, etag: str = "") -> tuple[dict[str, str], bytes]:
        """Headers and body of a 200; of a 304, the headers with the tag and no body. Raises `Unusable`."""
        reference = service.service
        if reference is None or not service.available:
            raise Unusable("service unavailable")
        try:
            host, port = await self._resolver.resolve(reference.namespace, reference.name, reference.port)
            where = Destination(host, port, reference.server_name, service.ca_bundle, service.insecure)
            headers = [("host", where.authority), ("accept", accept), *remote_user(AGGREGATOR)]
            if etag:
                headers.append(("if-none-match", etag))
            answer = await self._client.send(where, Outgoing("GET", path, headers), DISCOVERY_SECONDS)
        except (LookupError, Unreachable) as failed:
            raise Unusable(str(failed)) from failed
        told = dict(answer.headers)
        try:
            if answer.status == 304 and etag:
                return {**told, "etag": etag}, b""
            if answer.status != 200:
                raise Unusable(f"{path} was answered with {answer.status}")
            body = b""
            async for piece in answer:
                body += piece
                if len(body) > MAX_DOCUMENT:
                    raise Unusable(f"the document at {path} is too large")
        except ConnectionResetError as failed:
            raise Unusable(str(failed)) from failed
        finally:
            await answer.aclose()
        return told, body


def _of(groups: Mapping[GroupVersion, Infos], service: ApiService) -> Infos:
    found = groups.get((service.group, service.version))
    if found is None:
        raise Unusable(f"the server does not say that it serves {service.group}/{service.version}")
    return found


# --- documents of others, which may hold anything


def _parsed(body: bytes) -> Object:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unusable(f"no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Unusable("no document")
    return found


def aggregated_infos(document: Object) -> dict[GroupVersion, Infos]:
    """Of an APIGroupDiscoveryList."""
    found: dict[GroupVersion, Infos] = {}
    for group in _maps(document.get("items")):
        name = _text(at(group, "metadata", "name"))
        for version in _maps(group.get("versions")):
            number = _text(version.get("version"))
            found[name, number] = tuple(
                _discovered(row, name, number) for row in _maps(version.get("resources")) if _text(row.get("resource"))
            )
    return found


def _discovered(row: Object, group: str, version: str) -> ResourceInfo:
    return ResourceInfo(
        group,
        version,
        _text(at(row, "responseKind", "kind")),
        _text(row.get("resource")),
        _text(row.get("singularResource")),
        row.get("scope") == "Namespaced",
        _texts(row.get("shortNames")),
        _texts(row.get("categories")),
        _texts(row.get("verbs")),
        tuple(
            Subresource(
                _text(sub.get("subresource")), _kind(sub.get("responseKind"), group, version), _texts(sub.get("verbs"))
            )
            for sub in _maps(row.get("subresources"))
            if _text(sub.get("subresource"))
        ),
    )


def plain_infos(document: Object, group: str, version: str) -> Infos:
    """Of an APIResourceList. A subresource of nothing that is listed gets a parent without verbs."""
    mains: dict[str, ResourceInfo] = {}
    subs: dict[str, list[Subresource]] = {}
    for row in _maps(document.get("resources")):
        name, _, sub = _text(row.get("name")).partition("/")
        if not name:
            continue
        kind, verbs = _kind(row, group, version), _texts(row.get("verbs"))
        if sub:
            subs.setdefault(name, []).append(Subresource(sub, kind, verbs))
            mains.setdefault(name, ResourceInfo(group, version, "", name, "", bool(row.get("namespaced")), verbs=()))
            continue
        mains[name] = ResourceInfo(
            group,
            version,
            kind.kind,
            name,
            _text(row.get("singularName")),
            bool(row.get("namespaced")),
            _texts(row.get("shortNames")),
            _texts(row.get("categories")),
            verbs,
        )
    return tuple(replace(info, subresources=tuple(subs.get(name, ()))) for name, info in mains.items())


def _kind(row: Json, group: str, version: str) -> GroupVersionKind:
    """Group and version are those of the resource where they are left out."""
    told = row if isinstance(row, dict) else {}
    named = _text(told.get("group")), _text(told.get("version"))
    return GroupVersionKind(named[0] or group, named[1] or version, _text(told.get("kind")))


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _maps(value: Json) -> list[Object]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
