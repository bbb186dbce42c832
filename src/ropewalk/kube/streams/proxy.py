"""The `proxy` subresources of pods, services and nodes: an HTTP request carried to a port of a workload, and back.

As kube-apiserver's proxy does: credentials of this cluster stay here, X-Forwarded-* tell the way, redirects of the
backend are led back through the proxy, upgrades are joined byte by byte. Links inside HTML pages are not rewritten, and
backends that speak TLS are refused by name. Which port of which pod is meant is worked out here from decoded objects;
reading those is the caller's. https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

from ropewalk.agents.streams import StreamRefused
from ropewalk.base.clock import Clock
from ropewalk.base.http.messages import Duplex, Request, Response
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.objects import Object, at, name_of
from ropewalk.kube.streams.agent_streams import AgentPort, Opener, Place, PortFailed
from ropewalk.kube.streams.connection import talk
from ropewalk.kube.streams.http_over_port import Answer, BadAnswer, Head, request_head
from ropewalk.model.streams import Opening, StreamKind

_HOP_BY_HOP = {
    "connection",
    "content-length",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
"""What each leg words for itself."""
_OURS = ("authorization", "impersonate-")
"""Headers that speak to this server: they end here."""


@dataclass(frozen=True, slots=True)
class Named:
    """`name`, `name:port` or `scheme:name:port` of a proxy URL."""

    scheme: str
    name: str
    port: str


def named(text: str, kind: str) -> Named:
    """Raises a 400 for what is none. `kind`: pod, service or node, as the message says it."""
    parts = text.split(":")
    scheme = parts.pop(0) if len(parts) == 3 else ""
    name, port = parts[0], parts[1] if len(parts) == 2 else ""
    if len(parts) > 2 or not name or scheme not in ("", "http", "https"):
        raise errors.bad_request(f'invalid {kind} request "{text}"')
    return Named(scheme, name, port)


def pod_port(wanted: Named, pod: Object) -> int:
    """The port asked for, or the first that the pod declares. Raises a 400."""
    if not _is_address(at(pod, "status", "podIP")):
        raise errors.bad_request("address not allowed")
    port = wanted.port
    if not port:
        declared = (p for c in at(pod, "spec", "containers") or () for p in c.get("ports") or ())
        first = next(declared, None)
        return int(first["containerPort"]) if first else 443 if wanted.scheme == "https" else 80
    number = _number(port)
    if number is None:
        raise errors.bad_request(f'invalid pod request "{wanted.name}:{port}"')
    return number


def service_endpoints(wanted: Named, service: Object, slices: Iterable[Object]) -> list[tuple[str, int]]:
    """(pod's name, port) of everything that serves; in the order of the slices. Raises a 503 where there is nothing."""
    name = name_of(service)
    port_name = wanted.port
    number = _number(wanted.port) if wanted.port else None
    if number is not None:
        declared = [p for p in at(service, "spec", "ports") or () if p.get("port") == number]
        if not declared:
            raise errors.service_unavailable(f'no service port {number} found for service "{name}"')
        port_name = declared[0].get("name", "")
    found = [
        (str(at(endpoint, "targetRef", "name")), int(port["port"]))
        for each in slices
        for port in each.get("ports") or ()
        if (port.get("name") or "") == port_name and port.get("port")
        for endpoint in each.get("endpoints") or ()
        if at(endpoint, "targetRef", "kind") == "Pod" and at(endpoint, "conditions", "ready") is not False
    ]
    if not found:
        shown = ":".join(part for part in (wanted.scheme, wanted.name, wanted.port) if part)
        raise errors.service_unavailable(f'no endpoints available for service "{shown}"')
    return found


def _is_address(text: object) -> bool:
    try:
        address = ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local)


def _number(text: str) -> int | None:
    good = text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) < 65536
    return int(text) if good else None


# --- carrying


async def carry(
    request: Request, opener: Opener, clock: Clock, place: Place, port: int, path: str, prefix: str, *, scheme: str = ""
) -> Response:
    """The backend's answer. `path`: raw, what follows the proxy in the URL ("" where nothing does); `prefix`: raw, the
    URL up to there. Raises a 503 where the backend cannot be reached.
    """
    if not path:
        query = f"?{request.query}" if request.query else ""
        return Response(301, {"location": f"{prefix}/{query}"})
    if scheme == "https":
        raise errors.service_unavailable("error trying to reach service: backends that speak TLS are not offered yet")
    stack = AsyncExitStack()
    upgrade = "upgrade" in request.header("connection").lower() and bool(request.header("upgrade"))
    try:
        wanted = Opening(StreamKind.PORT, place.workload, port=port)
        connection = AgentPort(await stack.enter_async_context(opener.open(place.machine, wanted)))
        target = path + (f"?{request.query}" if request.query else "")
        head = request_head(request.method, target, _outgoing(request, prefix + path, upgrade=upgrade))
        await connection.write(head + request.body)
        answer = Answer(connection, stack, bodiless=request.method == "HEAD")
        found = await answer.head()
    except (StreamRefused, PortFailed, BadAnswer, ConnectionError) as failed:
        await stack.aclose()
        raise errors.service_unavailable(f"error trying to reach service: {failed}") from failed
    except BaseException:
        await stack.aclose()
        raise
    headers = _incoming(found, request, prefix)
    if found.status == 101:
        headers |= {"connection": "Upgrade", "upgrade": dict(found.headers).get("upgrade", "")}
        joined = answer.splice(_spliced)
        return Response(101, headers, upgrade=lambda duplex: talk(duplex, clock, joined))
    return Response(found.status, headers, answer)


def _outgoing(request: Request, uri: str, *, upgrade: bool) -> dict[str, str]:
    dropped = {word.strip().lower() for word in request.header("connection").split(",")} | _HOP_BY_HOP
    kept = {
        name: value for name, value in request.headers.items() if name not in dropped and not name.startswith(_OURS)
    }
    forwarded = request.header("x-forwarded-for")
    kept["x-forwarded-for"] = f"{forwarded}, {request.peer.address}" if forwarded else request.peer.address
    kept["x-forwarded-uri"] = uri
    if host := request.header("host"):
        kept.setdefault("x-forwarded-host", host)
    kept["connection"] = "Upgrade" if upgrade else "close"
    if upgrade:
        kept["upgrade"] = request.header("upgrade")
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        kept["content-length"] = str(len(request.body))
    return kept


def _incoming(head: Head, request: Request, prefix: str) -> dict[str, str]:
    """Repeated headers are joined by a comma; of several cookies the last is kept, since those must not be joined."""
    named_hops = (value for name, value in head.headers if name == "connection")
    dropped = {word.strip().lower() for value in named_hops for word in value.split(",")} | _HOP_BY_HOP
    found: dict[str, str] = {}
    for name, value in head.headers:
        if name in dropped or "\n" in value or "\r" in value or "\0" in value:
            continue
        joined = name in found and name != "set-cookie"
        found[name] = f"{found[name]},{value}" if joined else value
    if "location" in found:
        found["location"] = _led_back(found["location"], request, prefix)
    return found


def _led_back(location: str, request: Request, prefix: str) -> str:
    """A redirect to the backend itself goes through the proxy again; one to elsewhere stays."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return location
    if (parts.netloc and parts.netloc != request.header("host")) or not parts.path.startswith("/"):
        return location
    return prefix + parts._replace(scheme="", netloc="").geturl()


async def _spliced(client: Duplex, backend: AgentPort) -> None:
    async def inward() -> None:
        while data := await client.read():
            await backend.write(data)
        await backend.finish()

    async def outward() -> None:
        while data := await backend.read():
            await client.write(data)

    tasks = [asyncio.ensure_future(inward()), asyncio.ensure_future(outward())]
    try:
        await asyncio.wait((tasks[1],))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
