"""Proxied HTTP: what reaches the backend, what comes back, and what is refused, over real agent streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ropewalk.base.http.messages import Peer, Request, Response
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.streams.agent_streams import Place
from ropewalk.kube.streams.proxy import Named, carry, named, pod_port, service_endpoints
from ropewalk.model.ids import MachineId, WorkloadUid
from ropewalk.model.stream_carrier import StreamEnd
from ropewalk.model.streams import Exit, Frame, FrameKind, Opening, ending
from ropewalk.node.pipes import pipe
from support.kube_streams import StreamServerWorld, pod, upgraded
from support.streams import PATIENCE

PREFIX = "/api/v1/namespaces/default/pods/web-0:8080/proxy"
PLACE = Place(MachineId("m-1"), WorkloadUid("w-1"))
WEB = Named("", "web-0", "8080")


@pytest.fixture
async def world() -> AsyncIterator[StreamServerWorld]:
    made = StreamServerWorld()
    await made.up()
    yield made
    await made.down()


def ask(method: str = "GET", query: str = "", body: bytes = b"", **headers: str) -> Request:
    given = {"host": "127.0.0.1:6443"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, PREFIX, PREFIX, query, given, body, Peer("10.9.9.9"))


def running() -> dict[str, Any]:
    made = pod()
    made["status"]["podIP"] = "10.1.1.1"
    return made


async def text(response: Response) -> bytes:
    if isinstance(response.body, bytes):
        return response.body
    async with asyncio.timeout(PATIENCE):
        return b"".join([piece async for piece in response.body])


async def test_a_request_reaches_the_pod_and_its_answer_comes_back(world: StreamServerWorld) -> None:
    assert world.agent is not None
    response = await world.pods.proxy(ask(query="a=1&b=%20"), running(), WEB, "/x/%2F", PREFIX)
    assert (response.status, response.headers["content-type"]) == (200, "text/plain")
    assert await text(response) == b"GET /x/%2F?a=1&b=%20 127.0.0.1:6443 web-0\n"
    response = await world.pods.proxy(ask("POST", body=b"body"), running(), WEB, "/", PREFIX)
    assert await text(response) == b"body"
    response = await world.pods.proxy(ask("HEAD"), running(), WEB, "/", PREFIX)
    assert response.status == 200 and await text(response) == b""
    await world.clock.settle()
    assert not world.agent.streams._tasks


async def test_an_upgrade_is_joined(world: StreamServerWorld) -> None:
    asked = ask(connection="Upgrade", upgrade="echo")
    response = await world.pods.proxy(asked, running(), WEB, "/", PREFIX)
    assert response.headers["upgrade"] == "echo"
    async with upgraded(response) as duplex:
        for data in (b"one", b"\x00two"):
            await duplex.write(data)
            assert await asyncio.wait_for(duplex.read(), PATIENCE) == data


async def test_a_bare_proxy_is_led_to_its_root(world: StreamServerWorld) -> None:
    response = await world.pods.proxy(ask(query="q=1"), running(), WEB, "", PREFIX)
    assert (response.status, response.headers["location"]) == (301, PREFIX + "/?q=1")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Named("", "web-0", "81"), "error trying to reach service: failed to connect to localhost:81"),
        (Named("https", "web-0", "8080"), "backends that speak TLS are not offered"),
    ],
)
async def test_a_backend_that_cannot_be_reached(world: StreamServerWorld, wanted: Named, message: str) -> None:
    assert world.agent is not None
    with pytest.raises(StatusFault, match=message) as told:
        await world.pods.proxy(ask(), running(), wanted, "/", PREFIX)
    assert (told.value.status, told.value.reason) == (503, "ServiceUnavailable")
    await world.clock.settle()
    assert not world.agent.streams._tasks


# --- against a backend that says what the test says


class Backend:
    """An opener whose one port is played by the test: it takes the request, says `answer`, and ends."""

    def __init__(self, *answer: bytes) -> None:
        self.answer = answer
        self.request = b""
        self.closed = False

    @asynccontextmanager
    async def open(self, machine: MachineId, wanted: Opening) -> AsyncIterator[StreamEnd]:
        ours, theirs = pipe()
        async with StreamEnd(ours) as end:
            task = asyncio.ensure_future(self._play(StreamEnd(theirs)))
            try:
                yield end
            finally:
                self.closed = True
                await end.close()
                await asyncio.gather(task, return_exceptions=True)

    async def _play(self, end: StreamEnd) -> None:
        async with end:
            while b"\r\n\r\n" not in self.request:
                frame = await end.receive()
                assert frame is not None
                self.request += frame.payload
            for piece in self.answer:
                await end.send(Frame(FrameKind.PORT, piece))
            await end.send(ending(Exit()))
            await end.lost()

    def headers(self) -> dict[str, str]:
        lines = self.request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return dict(line.split(": ", 1) for line in lines)


async def through(backend: Backend, asked: Request | None = None) -> Response:
    world = StreamServerWorld()
    return await carry(asked or ask(), backend, world.clock, PLACE, 80, "/p", PREFIX)


async def test_credentials_and_hop_by_hop_headers_end_here() -> None:
    backend = Backend(b"HTTP/1.1 204 No Content\r\n\r\n")
    asked = ask(
        authorization="Bearer secret",
        impersonate_user="root",
        connection="keep-alive, x-own",
        x_own="1",
        te="trailers",
        x_forwarded_for="1.2.3.4",
        accept="text/html",
    )
    assert (await through(backend, asked)).status == 204
    found = backend.headers()
    assert not found.keys() & {"authorization", "impersonate-user", "x-own", "te"}
    assert found["accept"] == "text/html" and found["connection"] == "close"
    assert found["x-forwarded-for"] == "1.2.3.4, 10.9.9.9" and found["x-forwarded-uri"] == PREFIX + "/p"


@pytest.mark.parametrize(
    ("pieces", "body"),
    [
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab", b"cd"), b"abcd"),
        ((b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n", b"2\r\ncd\r\n0\r\n\r\n"), b"abcd"),
        ((b"HTTP/1.0 200 OK\r\n\r\nab", b"cd"), b"abcd"),
        ((b"HTTP/1.1 100 Continue\r\nx: 1\r\n\r\nHTTP/1.1 200", b" OK\r\ncontent-length: 1\r\n\r\nz"), b"z"),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",), b""),
    ],
    ids=["length", "chunked", "until closed", "continue", "empty"],
)
async def test_bodies_of_every_framing(pieces: tuple[bytes, ...], body: bytes) -> None:
    backend = Backend(*pieces)
    response = await through(backend)
    assert response.status == 200 and "content-length" not in response.headers
    assert await text(response) == body
    assert backend.closed


@pytest.mark.parametrize(
    "pieces",
    [(), (b"",), (b"nonsense\r\n\r\n",), (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 12000,)],
    ids=["nothing", "silence", "nonsense", "endless"],
)
async def test_what_is_no_answer_is_told_as_such(pieces: tuple[bytes, ...]) -> None:
    backend = Backend(*[piece[at : at + 60000] for piece in pieces for at in range(0, len(piece), 60000)])
    with pytest.raises(StatusFault, match="error trying to reach service"):
        await through(backend)
    assert backend.closed


async def test_a_body_nobody_reads_gives_its_stream_back() -> None:
    backend = Backend(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab")
    response = await through(backend)
    await response.body.aclose()  # type: ignore[union-attr]
    assert backend.closed


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/login?x=1", PREFIX + "/login?x=1"),
        ("http://127.0.0.1:6443/login", PREFIX + "/login"),
        ("https://example.com/", "https://example.com/"),
        ("next", "next"),
    ],
)
async def test_redirects_are_led_back_through_the_proxy(location: str, expected: str) -> None:
    head = f"HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode()
    assert (await through(Backend(head))).headers["location"] == expected


# --- which port is meant


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a", Named("", "a", "")),
        ("a:80", Named("", "a", "80")),
        ("https:a:web", Named("https", "a", "web")),
        ("http:a:", Named("http", "a", "")),
        ("ftp:a:80", None),
        (":80", None),
        ("a:b:c:d", None),
        ("", None),
    ],
)
def test_names_of_proxied_things(given: str, expected: Named | None) -> None:
    if expected is not None:
        assert named(given, "pod") == expected
        return
    with pytest.raises(StatusFault, match="invalid pod request"):
        named(given, "pod")


def test_a_pods_port() -> None:
    what = running()
    assert pod_port(Named("", "web-0", "81"), what) == 81
    assert pod_port(Named("", "web-0", ""), what) == 80
    what["spec"]["containers"][0]["ports"] = [{"containerPort": 9000}]
    assert pod_port(Named("", "web-0", ""), what) == 9000
    for address, wanted in (("127.0.0.1", ""), ("", ""), ("10.1.1.1", "http"), ("10.1.1.1", "0")):
        what["status"]["podIP"] = address
        with pytest.raises(StatusFault) as told:
            pod_port(Named("", "web-0", wanted), what)
        assert told.value.status == 400
        assert (told.value.message == "address not allowed") is (not wanted)


def endpoint(name: str, ready: bool) -> dict[str, Any]:
    return {"targetRef": {"kind": "Pod", "name": name}, "conditions": {"ready": ready}}


def test_a_services_endpoints() -> None:
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"name": "http", "port": 80}, {"name": "m", "port": 90}]}}
    slices = [
        {
            "ports": [{"name": "http", "port": 8080}, {"name": "m", "port": 9090}],
            "endpoints": [endpoint("p-1", True), endpoint("p-2", False), {"addresses": ["1.1.1.1"]}],
        },
        {"ports": None, "endpoints": [endpoint("p-3", True)]},
    ]
    assert service_endpoints(named("s:http", "service"), service, slices) == [("p-1", 8080)]
    assert service_endpoints(named("s:90", "service"), service, slices) == [("p-1", 9090)]
    for given, message in (
        ("s:81", 'no service port 81 found for service "s"'),
        ("s:other", 'no endpoints available for service "s:other"'),
        ("s", 'no endpoints available for service "s"'),
    ):
        with pytest.raises(StatusFault) as told:
            service_endpoints(named(given, "service"), service, slices)
        assert (told.value.status, told.value.message) == (503, message)
