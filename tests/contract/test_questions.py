"""Questions over the network against real servers on the loopback: what is good, what is not, and in which words."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest

from ropewalk.base.clock import SystemClock
from ropewalk.model.workload import GrpcHealth, HttpGet, Question, TcpConnect
from ropewalk.node.cri.namespaces import dial
from ropewalk.node.questions import ask, request
from ropewalk.node.runtime import Answer

HERE = "127.0.0.1"


async def put(question: Question, timeout: float = 5.0) -> Answer:
    return await ask(question, HERE, lambda host, port: dial("", host, port), SystemClock(), timeout)


@asynccontextmanager
async def serving(
    answer: Callable[[bytes], Awaitable[bytes]], context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that answers each request as `answer` says; its port, and what it was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(await answer(asked[-1]))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, HERE, 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


def saying(status: str, *lines: str, body: str = "hello") -> Callable[[bytes], Awaitable[bytes]]:
    async def answer(_: bytes) -> bytes:
        head = "\r\n".join((f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}"))
        return f"{head}\r\n\r\n{body}".encode()

    return answer


@pytest.mark.parametrize(
    ("status", "lines", "expected"),
    [
        ("200 OK", (), Answer(True, "hello", reached=True)),
        ("204 No Content", (), Answer(True, "", reached=True)),
        ("404 Not Found", (), Answer(False, "HTTP probe failed with statuscode: 404", reached=True)),
        ("503 Busy", (), Answer(False, "HTTP probe failed with statuscode: 503", reached=True)),
        (
            "302 Found",
            ("Location: http://elsewhere.example/",),
            Answer(True, "Probe terminated redirects, Response body: hello", warning=True, reached=True),
        ),
    ],
)
async def test_a_status_from_200_to_399_is_good(status: str, lines: tuple[str, ...], expected: Answer) -> None:
    body = "" if status.startswith("204") else "hello"
    async with serving(saying(status, *lines, body=body)) as (port, _):
        assert await put(HttpGet(port)) == expected


async def test_a_redirect_within_the_host_is_followed() -> None:
    async def answer(asked: bytes) -> bytes:
        if asked.startswith(b"GET /ready "):
            return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        return b"HTTP/1.1 301 Moved\r\nLocation: /ready\r\nContent-Length: 0\r\n\r\n"

    async with serving(answer) as (port, asked):
        assert await put(HttpGet(port, "/old")) == Answer(True, "ok", reached=True)
        assert len(asked) == 2


async def test_a_circle_of_redirects_ends() -> None:
    async with serving(saying("302 Found", "Location: /")) as (port, asked):
        found = await put(HttpGet(port))
        assert not found.good and "stopped after 10 redirects" in found.text and len(asked) == 10


async def test_refusal_silence_and_nonsense_are_bad_answers() -> None:
    async def silent(_: bytes) -> bytes:
        await asyncio.sleep(30)
        return b""

    async def nonsense(_: bytes) -> bytes:
        return b"no such protocol\r\n\r\n"

    async with serving(silent) as (port, _):
        late = await put(HttpGet(port), 0.2)
        assert not late.good
        assert late.text == (
            f'Get "http://{HERE}:{port}/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
        )
    assert (
        await put(HttpGet(port))
    ).text == f'Get "http://{HERE}:{port}/": dial tcp {HERE}:{port}: connect: connection refused'
    assert (await put(TcpConnect(port))) == Answer(False, f"dial tcp {HERE}:{port}: connect: connection refused")
    async with serving(nonsense) as (port, _):
        assert not (await put(HttpGet(port))).good
        assert await put(TcpConnect(port)) == Answer(True)


async def test_any_certificate_will_do(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj"]
    subprocess.run([*command, "/CN=x", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with serving(saying("200 OK"), context) as (port, _):
        assert (await put(HttpGet(port, tls=True))).good
        assert not (await put(HttpGet(port))).good


def test_the_headers_asked_for_win() -> None:
    plain = request(HttpGet(80), "10.1.1.1:80", "/x").decode()
    assert plain.startswith("GET /x HTTP/1.1\r\nHost: 10.1.1.1:80\r\n")
    assert "User-Agent: kube-probe/1.35\r\n" in plain and "Accept: */*\r\n" in plain
    own = request(HttpGet(80, headers=(("Host", "a.b"), ("User-Agent", "me"), ("Accept", ""))), "h", "").decode()
    assert own == "GET / HTTP/1.1\r\nHost: a.b\r\nUser-Agent: me\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (b"\x08\x01", Answer(True, "service healthy")),
        (b"\x08\x02", Answer(False, 'service unhealthy (responded with "NOT_SERVING")')),
        (b"", Answer(False, 'service unhealthy (responded with "UNKNOWN")')),
    ],
)
async def test_grpc_health(status: bytes, expected: Answer) -> None:
    services: list[bytes] = []

    async def check(asked: bytes, context: object) -> bytes:
        services.append(asked)
        return status

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(check)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler}),)
    )
    port = server.add_insecure_port(f"{HERE}:0")
    await server.start()
    try:
        assert await put(GrpcHealth(port)) == expected
        assert (await put(GrpcHealth(port, "a" * 200))).good is expected.good
    finally:
        await server.stop(None)
    assert services == [b"", b"\x0a\xc8\x01" + b"a" * 200]
    gone = await put(GrpcHealth(port))
    assert not gone.good and gone.text.startswith(f'error: failed to connect service at "{HERE}:{port}"')


async def test_a_server_without_the_health_service_says_so() -> None:
    server = grpc.aio.server()
    port = server.add_insecure_port(f"{HERE}:0")
    await server.start()
    try:
        found = await put(GrpcHealth(port))
    finally:
        await server.stop(None)
    assert found.text.startswith("error: this server does not implement the grpc health protocol")
