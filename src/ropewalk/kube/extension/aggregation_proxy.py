"""Requests for other servers' groups, passed on: the front's `Delegate`.

Who asks is told in X-Remote-* headers, which the other server believes because of the front proxy's certificate; the
caller's own credentials stay here. Answers are streamed, so that watches flow. Redirects are not passed on: a client
must not be led elsewhere with what it sends here.
https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/#authentication-flow
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from urllib.parse import quote

from ropewalk.base.http.messages import Duplex, Request, Response
from ropewalk.kube.extension.aggregation_client import Answer, Client, Destination, Headers, Outgoing, Unreachable
from ropewalk.kube.extension.aggregation_resolving import Resolver
from ropewalk.kube.extension.api_services import ApiService, ApiServices
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.requests import User

AGGREGATOR = User("system:kube-aggregator", ("system:masters",))
"""Who this server is to the others when it asks for itself."""
HEAD_SECONDS = 60.0
"""Until the head of an answer is there; a watch may last as long as it likes after that."""
DISCOVERY_SECONDS = 5.0
WHOLE_BYTES = 64 * 1024
"""An answer up to this is read at once and keeps its length."""

_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_OURS = ("authorization", "impersonate-", "x-remote-")
"""Headers that speak to this server: they end here."""
_TOKEN_PROTOCOL = "base64url.bearer.authorization.k8s.io."
"""A WebSocket subprotocol that is a browser's token."""
_LEGAL = "!#$&'*+-.^_`|~"


class Aggregator:
    """`delegate` is the front's."""

    def __init__(self, services: ApiServices, resolver: Resolver, client: Client) -> None:
        self._services = services
        self._resolver = resolver
        self._client = client

    async def delegate(self, exchange: Exchange) -> Response | None:
        group, version = group_version(exchange)
        service = self._services.remote(group, version)
        if service is None:
            return None
        return await self.carry(service, exchange.request, exchange.call.user)

    async def carry(self, service: ApiService, request: Request, user: User) -> Response:
        """Raises ServiceUnavailable."""
        where = await self._destination(service)
        upgrade = "upgrade" in request.header("connection").lower() and bool(request.header("upgrade"))
        message = Outgoing(
            request.method,
            request.path + (f"?{request.query}" if request.query else ""),
            _outgoing(request, user, where, upgrade=upgrade),
            request.body,
        )
        seconds = DISCOVERY_SECONDS if request.path.strip("/").count("/") <= 2 else HEAD_SECONDS
        try:
            if upgrade:
                return await self._upgraded(where, message, seconds)
            answer = await self._client.send(where, message, seconds)
        except Unreachable as failed:
            raise errors.service_unavailable(f"error trying to reach service: {failed}") from failed
        return await _passed_on(answer, bodiless=request.method == "HEAD")

    async def _destination(self, service: ApiService) -> Destination:
        reference = service.service
        if reference is None or not service.available:
            raise unavailable()
        try:
            host, port = await self._resolver.resolve(reference.namespace, reference.name, reference.port)
        except LookupError as failed:
            raise unavailable() from failed
        return Destination(host, port, reference.server_name, service.ca_bundle, service.insecure)

    async def _upgraded(self, where: Destination, message: Outgoing, seconds: float) -> Response:
        found = await self._client.upgrade(where, message, seconds)
        headers = _incoming(found.headers)
        server = found.duplex
        if server is None:
            return Response(found.status, headers, found.body)
        headers |= {"connection": "Upgrade", "upgrade": dict(found.headers).get("upgrade", "")}
        return Response(101, headers, upgrade=lambda client: _joined(client, server))


def unavailable() -> StatusFault:
    return errors.service_unavailable("service unavailable")


def group_version(exchange: Exchange) -> tuple[str, str]:
    """Of a resource, or of a URL `/apis/GROUP/VERSION`."""
    route = exchange.route
    if route.version:
        return route.group, route.version
    parts = route.path.strip("/").split("/")
    match parts:
        case ["apis", group, version]:
            return group, version
        case ["api", version]:
            return "", version
    return "", ""


# --- headers


def _outgoing(request: Request, user: User, where: Destination, *, upgrade: bool) -> Headers:
    dropped = {word.strip().lower() for word in request.header("connection").split(",")} | _HOP_BY_HOP
    dropped |= {"host", "content-length"}
    kept = [
        (name, value) for name, value in request.headers.items() if name not in dropped and not name.startswith(_OURS)
    ]
    if upgrade:
        kept = [one for name, value in kept for one in _without_token(name, value)]
        kept += [("connection", "Upgrade"), ("upgrade", request.header("upgrade"))]
    forwarded = request.header("x-forwarded-for")
    kept = [(name, value) for name, value in kept if name != "x-forwarded-for"]
    kept.append(
        ("x-forwarded-for", f"{forwarded}, {request.peer.address}" if forwarded else request.peer.address),
    )
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        kept.append(("content-length", str(len(request.body))))
    return [("host", where.authority), *kept, *remote_user(user)]


def _without_token(name: str, value: str) -> Iterable[tuple[str, str]]:
    if name != "sec-websocket-protocol":
        return ((name, value),)
    left = [word.strip() for word in value.split(",") if not word.strip().startswith(_TOKEN_PROTOCOL)]
    return ((name, ", ".join(left)),) if left else ()


def remote_user(user: User) -> Headers:
    """https://kubernetes.io/docs/reference/access-authn-authz/authentication/#authenticating-proxy"""
    told = [("X-Remote-User", _one_line(user.name))]
    if user.uid:
        told.append(("X-Remote-Uid", _one_line(user.uid)))
    told += [("X-Remote-Group", _one_line(group)) for group in user.groups]
    for key, values in user.extra.items():
        name = "X-Remote-Extra-" + quote(key, safe=_LEGAL)
        told += [(name, _one_line(value)) for value in values]
    return told


def _one_line(value: str) -> str:
    """Nothing that would begin another header; characters beyond latin-1 as the bytes that Go would send."""
    clean = "".join(character for character in value if character not in "\r\n\0")
    return clean.encode("utf-8", errors="replace").decode("latin-1")


def _incoming(headers: Headers) -> dict[str, str]:
    """Repeated headers are joined by a comma; of several cookies the last is kept, since those must not be joined."""
    named = (value for name, value in headers if name == "connection")
    dropped = {word.strip().lower() for value in named for word in value.split(",")} | _HOP_BY_HOP | {"content-length"}
    found: dict[str, str] = {}
    for name, value in headers:
        if name in dropped or any(character in value for character in "\r\n\0"):
            continue
        found[name] = f"{found[name]}, {value}" if name in found and name != "set-cookie" else value
    return found


# --- bodies


async def _passed_on(answer: Answer, *, bodiless: bool) -> Response:
    headers = _incoming(answer.headers)
    if answer.status in (301, 302, 303, 307, 308) and headers.pop("location", ""):
        await answer.aclose()
        told = b"the backend attempted to redirect this request, which is not permitted"
        return Response(answer.status, {"content-type": "text/plain"}, told)
    length = dict(answer.headers).get("content-length", "")
    if bodiless or answer.status in (204, 304):
        await answer.aclose()
        return Response(answer.status, headers)
    body = _Body(answer)
    if length.isascii() and length.isdecimal() and int(length) <= WHOLE_BYTES:
        try:
            return Response(answer.status, headers, b"".join([piece async for piece in body]))
        except ConnectionResetError as failed:
            raise errors.service_unavailable(f"error trying to reach service: {failed}") from failed
        finally:
            await body.aclose()
    return Response(answer.status, headers, body)


class _Body:
    """The body as it comes; whoever stops reading closes the connection behind it."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._pieces = aiter(answer)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._pieces)

    async def aclose(self) -> None:
        await self._answer.aclose()


async def _joined(client: Duplex, server: Duplex) -> None:
    """Byte by byte until the server has no more to say, or the client is gone."""

    async def carried(source: Duplex, sink: Duplex) -> None:
        try:
            while data := await source.read():
                await sink.write(data)
        except ConnectionError:
            return

    both = [asyncio.ensure_future(carried(client, server)), asyncio.ensure_future(carried(server, client))]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in both:
            task.cancel()
        await asyncio.gather(*both, return_exceptions=True)
        server.close()
