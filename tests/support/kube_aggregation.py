"""Aggregated API servers without a wire: a `Client` that answers from a table, and the objects that lead to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.kube_api import MemoryApi

from ropewalk.base.http.messages import Duplex, Peer, Request
from ropewalk.kube.extension.aggregation_client import Destination, Headers, Outgoing, Unreachable, Upgraded
from ropewalk.kube.extension.aggregation_resolving import SERVICES, SLICES, Unresolved
from ropewalk.kube.extension.api_services import API_SERVICES
from ropewalk.kube.machinery.http import options, routes
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.requests import Attributes, Call, User

BACKEND = ("10.0.0.7", 8443)


@dataclass
class FakeAnswer:
    status: int = 200
    headers: Headers = ()
    pieces: Sequence[bytes | Exception] = ()
    closed: int = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def aclose(self) -> None:
        self.closed += 1


def said(body: bytes = b"", status: int = 200, **headers: str) -> FakeAnswer:
    told = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return FakeAnswer(status, [("content-length", str(len(body))), *told], [body] if body else [])


@dataclass
class FakeRemote:
    """A `Client`. `answers` by path without its query; whatever has none is a 404."""

    answers: dict[str, FakeAnswer | Exception] = field(default_factory=dict)
    upgraded: Upgraded | Exception | None = None
    asked: list[tuple[Destination, Outgoing]] = field(default_factory=list)

    async def send(self, where: Destination, message: Outgoing, head_seconds: float) -> FakeAnswer:
        self.asked.append((where, message))
        found = self.answers.get(message.target.partition("?")[0], FakeAnswer(404))
        if isinstance(found, Exception):
            raise found
        return found

    async def upgrade(self, where: Destination, message: Outgoing, head_seconds: float) -> Upgraded:
        self.asked.append((where, message))
        if isinstance(self.upgraded, Exception):
            raise self.upgraded
        assert self.upgraded is not None
        return self.upgraded

    def last(self) -> Outgoing:
        return self.asked[-1][1]


@dataclass
class FakeResolver:
    found: tuple[str, int] | None = BACKEND

    async def resolve(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        if self.found is None:
            raise Unresolved(f'no endpoints available for service "{name}"')
        return self.found


class FakeDuplex:
    """One end of a connection: `incoming` is what is read from it, then its end."""

    def __init__(self, *incoming: bytes) -> None:
        self.incoming = list(incoming)
        self.written = b""
        self.closed = False

    async def read(self) -> bytes:
        return self.incoming.pop(0) if self.incoming else b""

    async def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True


def as_duplex(duplex: FakeDuplex) -> Duplex:
    return duplex


REFUSED = Unreachable("connection refused")


# --- objects


def an_api_service(
    group: str = "metrics.k8s.io", version: str = "v1beta1", *, available: bool = True, **spec: Any
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "metadata": {"name": f"{version}.{group}"},
        "spec": {
            "group": group,
            "version": version,
            "groupPriorityMinimum": 100,
            "versionPriority": 50,
            "service": {"namespace": "kube-system", "name": "metrics", "port": 443},
            **spec,
        },
    }
    if available:
        found["status"] = {"conditions": [{"type": "Available", "status": "True", "reason": "Passed"}]}
    return found


def a_service(**spec: Any) -> dict[str, Any]:
    ports = [{"name": "https", "port": 443, "targetPort": 8443}]
    return {
        "metadata": {"name": "metrics", "namespace": "kube-system"},
        "spec": {"type": "ClusterIP", "ports": ports, "ipFamilies": ["IPv4"], **spec},
    }


def a_slice(name: str = "metrics-1", *, ready: bool | None = True, port: str = "https", **more: Any) -> dict[str, Any]:
    conditions = {} if ready is None else {"ready": ready}
    return {
        "metadata": {
            "name": name,
            "namespace": "kube-system",
            "labels": {"kubernetes.io/service-name": "metrics"},
        },
        "addressType": "IPv4",
        "ports": [{"name": port, "port": 8443}],
        "endpoints": [{"addresses": ["10.0.0.7"], "conditions": conditions}],
        **more,
    }


def a_cluster(*, backend: bool = True, **spec: Any) -> MemoryApi:
    api = MemoryApi((API_SERVICES, an_api_service(**spec)))
    if backend:
        api.put(SERVICES, a_service())
        api.put(SLICES, a_slice())
    return api


# --- requests


def an_exchange(
    method: str, target: str, user: User, headers: dict[str, str] | None = None, body: bytes = b""
) -> Exchange:
    path, _, query = target.partition("?")
    request = Request(method, target, path, query, headers or {}, body, Peer("192.0.2.9", 50000))
    parsed = options.parsed(query)
    route = routes.route(method, path, parsed)
    attributes = Attributes(user, route.verb, route.path, route.group, route.version, route.resource)
    return Exchange(request, parsed, route, Call(user, attributes))
