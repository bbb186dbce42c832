"""The aggregation layer over real TLS: this server's own HTTP server plays the other one."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from tests.support.kube_aggregation import FakeDuplex, FakeResolver, an_api_service, an_exchange
from tests.support.kube_api import MemoryApi

from ropewalk.base.clock import SystemClock
from ropewalk.base.http.messages import Duplex, Request, Response
from ropewalk.base.http.server import HttpServer
from ropewalk.kube.extension.aggregation_client import Destination, HttpClient, Outgoing, Unreachable
from ropewalk.kube.extension.aggregation_proxy import Aggregator
from ropewalk.kube.extension.api_services import API_SERVICES, ApiServices
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.requests import User
from ropewalk.kube.security.pki import ClusterKeys, cluster_keys

BASE = "/apis/metrics.k8s.io/v1beta1"
JANE = User("jane", ("dev", "ops"), extra={"scopes": ("a",)})


class Other:
    """An aggregated server."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.more = asyncio.Event()
        self.watch_ended = asyncio.Event()

    async def handle(self, request: Request) -> Response:
        self.requests.append(request)
        match request.path.removeprefix(BASE):
            case "/big":
                return Response(200, {"content-type": "application/json"}, b"x" * 1_000_000)
            case "/watch":
                return Response(200, {"content-type": "application/json"}, self._events())
            case "/echo":
                return Response(101, {"connection": "Upgrade", "upgrade": "test"}, upgrade=_echo)
            case "/refused":
                return Response(403, {"content-type": "application/json"}, b'{"kind":"Status"}')
            case "/compressed":
                return Response(200, {"content-encoding": "gzip"}, b"\x1f\x8bnot really")
        told = {"method": request.method, "target": request.target, "headers": dict(request.headers)}
        told["body"] = request.body.decode()
        return Response(200, {"content-type": "application/json", "x-one": "1"}, orjson.dumps(told))

    async def _events(self) -> AsyncIterator[bytes]:
        try:
            yield b'{"type":"ADDED"}\n'
            await self.more.wait()
            yield b'{"type":"DELETED"}\n'
        finally:
            self.watch_ended.set()


async def _echo(duplex: Duplex) -> None:
    while data := await duplex.read():
        await duplex.write(data.upper())
        if data.endswith(b"!"):
            return


class Scene:
    def __init__(self, keys: ClusterKeys, other: Other, port: int) -> None:
        self.keys, self.other, self.port = keys, other, port
        self.api = MemoryApi()
        self.trust(caBundle=base64.b64encode(keys.ca.certificate).decode())
        services = ApiServices(self.api)
        services.follow()
        self.client = HttpClient(keys.folder / "front-proxy.crt", keys.folder / "front-proxy.key")
        self.resolver = FakeResolver(("127.0.0.1", port))
        self.aggregator = Aggregator(services, self.resolver, self.client)

    def trust(self, **spec: Any) -> None:
        self.api.put(API_SERVICES, an_api_service(**spec))

    async def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Response:
        found = await self.aggregator.delegate(an_exchange(method, f"{BASE}{path}", JANE, dict(headers), body))
        assert found is not None
        return found

    async def told(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(await whole(await self.ask(path, method, body, **headers)))
        return found


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock = SystemClock()
    keys = cluster_keys(tmp_path / "pki", clock, ["metrics.kube-system.svc"])
    other = Other()
    server = HttpServer(other.handle, name="other", clock=clock)
    port = await server.serve_tcp("127.0.0.1", 0, tls=keys.server_context())
    made = Scene(keys, other, port)
    yield made
    await made.client.close()
    other.more.set()
    await server.close(0.5)


async def whole(response: Response) -> bytes:
    if isinstance(response.body, bytes):
        return response.body
    return b"".join([piece async for piece in response.body])


async def test_the_request_arrives_with_the_front_proxy_s_certificate(scene: Scene) -> None:
    told = await scene.told("/pods?a=%2Fb&c=d+e", "POST", b"hello", authorization="Bearer x", accept="application/json")
    assert (told["method"], told["target"], told["body"]) == ("POST", f"{BASE}/pods?a=%2Fb&c=d+e", "hello")
    headers = told["headers"]
    assert headers["x-remote-user"] == "jane"
    assert headers["x-remote-group"].replace(" ", "") == "dev,ops"
    assert headers["x-remote-extra-scopes"] == "a"
    assert headers["accept"] == "application/json"
    assert not {"authorization", "user-agent", "accept-encoding"} & headers.keys()
    shown = scene.other.requests[-1].peer.certificate
    assert shown is not None
    subject = x509.load_der_x509_certificate(shown).subject
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "front-proxy-client"


async def test_connections_are_used_again(scene: Scene) -> None:
    for _ in range(5):
        await scene.told("/pods")
    assert len({request.peer.port for request in scene.other.requests}) == 1


async def test_big_answers_and_encoded_ones_come_as_they_are(scene: Scene) -> None:
    assert len(await whole(await scene.ask("/big"))) == 1_000_000
    found = await scene.ask("/compressed", **{"accept-encoding": "gzip"})
    assert (found.headers["content-encoding"], await whole(found)) == ("gzip", b"\x1f\x8bnot really")


async def test_watches_come_event_by_event(scene: Scene) -> None:
    body = (await scene.ask("/watch?watch=1")).body
    assert isinstance(body, AsyncIterator)
    assert await asyncio.wait_for(anext(body), 5) == b'{"type":"ADDED"}\n'
    scene.other.more.set()
    assert await asyncio.wait_for(anext(body), 5) == b'{"type":"DELETED"}\n'
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(anext(body), 5)


async def test_a_watch_that_nobody_reads_any_more_ends_over_there(scene: Scene) -> None:
    body = (await scene.ask("/watch?watch=1")).body
    assert isinstance(body, AsyncIterator)
    await asyncio.wait_for(anext(body), 5)
    await body.aclose()  # type: ignore[attr-defined]  # as the HTTP server does
    await asyncio.wait_for(scene.other.watch_ended.wait(), 5)


UPGRADE = {"connection": "Upgrade", "upgrade": "test"}


async def test_upgrades_reach_the_other_server(scene: Scene) -> None:
    found = await scene.ask("/echo", **UPGRADE)
    assert (found.status, found.headers["upgrade"]) == (101, "test")
    client = FakeDuplex(b"hello, ", b"world!")
    assert found.upgrade is not None
    client_read = client.read

    async def read() -> bytes:
        """The connection stays open when the client has said all."""
        data = await client_read()
        if not data:
            await asyncio.Event().wait()
        return data

    client.read = read  # type: ignore[method-assign]
    await asyncio.wait_for(found.upgrade(client), 5)
    assert client.written == b"HELLO, WORLD!"
    assert scene.other.requests[-1].header("x-remote-user") == "jane"


async def test_a_refused_upgrade(scene: Scene) -> None:
    found = await scene.ask("/refused", **UPGRADE)
    assert (found.status, found.upgrade, await whole(found)) == (403, None, b'{"kind":"Status"}')


async def refused(scene: Scene, **headers: str) -> str:
    with pytest.raises(StatusFault) as caught:
        await scene.ask("/pods", **headers)
    assert caught.value.status == 503
    return caught.value.message


@pytest.mark.parametrize("headers", [{}, UPGRADE])
async def test_servers_that_cannot_be_believed(scene: Scene, headers: dict[str, str]) -> None:
    scene.trust(caBundle=base64.b64encode(scene.keys.front_proxy_ca.certificate).decode())
    assert "certificate verify failed" in await refused(scene, **headers)
    scene.trust()
    assert "certificate verify failed" in await refused(scene, **headers)
    scene.trust(
        caBundle=base64.b64encode(scene.keys.ca.certificate).decode(),
        service={"namespace": "other", "name": "metrics", "port": 443},
    )
    assert "metrics.other.svc" in await refused(scene, **headers)
    scene.trust(caBundle="bm90IGEgY2VydA==")
    assert "unable to load root certificates" in await refused(scene, **headers)
    assert scene.other.requests == []
    scene.trust(insecureSkipTLSVerify=True)
    assert (await scene.told("/pods"))["method"] == "GET"


@pytest.mark.parametrize("headers", [{}, UPGRADE])
async def test_servers_that_are_not_there(scene: Scene, headers: dict[str, str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        scene.resolver.found = ("127.0.0.1", free.getsockname()[1])
        assert (await refused(scene, **headers)).startswith("error trying to reach service: ")


async def test_servers_that_never_answer_are_not_waited_for(scene: Scene) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0, ssl=scene.keys.server_context())
    where = Destination("127.0.0.1", server.sockets[0].getsockname()[1], "metrics.kube-system.svc", insecure=True)
    for ask in (scene.client.send, scene.client.upgrade):
        with pytest.raises(Unreachable, match="context deadline exceeded"):
            await ask(where, Outgoing("GET", "/", [("host", "x")]), 0.2)
    server.close()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 abc\r\n\r\n", b"SSH-2.0-x\r\n\r\n", b"\r\n\r\n", b"x" * 100_000, b""])
async def test_servers_that_speak_something_else(scene: Scene, answer: bytes) -> None:
    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(odd, "127.0.0.1", 0, ssl=scene.keys.server_context())
    where = Destination("127.0.0.1", server.sockets[0].getsockname()[1], "x", insecure=True)
    for ask in (scene.client.send, scene.client.upgrade):
        with pytest.raises(Unreachable):
            await ask(where, Outgoing("GET", "/", [("host", "x")]), 5)
    server.close()
