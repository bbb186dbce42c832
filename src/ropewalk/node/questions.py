"""Questions to a workload over its network: an HTTP GET, a TCP connection, a gRPC health check, in the kubelet's way.

May not know how a connection comes to stand: `dial` makes it, inside whatever network namespace the workload has. One
deadline covers a question as a whole, redirects included.
https://kubernetes.io/docs/concepts/workloads/pods/probes/
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import grpc
import grpc.aio
import httptools

from ropewalk.base.clock import Clock, Late, within
from ropewalk.model.workload import GrpcHealth, HttpGet, Question, TcpConnect
from ropewalk.node.runtime import Answer

AGENT = "kube-probe/1.35"
BODY = 10 * 1024
"""Bytes of an answer that are read."""
REDIRECTS = 10
_SERVING = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}

Dial = Callable[[str, int], Awaitable[socket.socket]]
"""A connected, non-blocking socket. Raises OSError."""


async def ask(question: Question, address: str, dial: Dial, clock: Clock, timeout: float) -> Answer:
    """`address` is the workload's own. Never raises for what the workload does."""
    if isinstance(question, HttpGet):
        return await _http(question, question.host or address, dial, clock, timeout)
    if isinstance(question, TcpConnect):
        return await _tcp(question, question.host or address, dial, clock, timeout)
    return await _grpc(question, address, dial, clock, timeout)


def _refused(error: OSError) -> str:
    """As Go tells why a connection could not be made."""
    texts = {
        ConnectionRefusedError: "connection refused",
        ConnectionResetError: "connection reset by peer",
        TimeoutError: "connection timed out",
    }
    return texts.get(type(error), (error.strerror or str(error)).lower())


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# --- TCP


async def _tcp(question: TcpConnect, host: str, dial: Dial, clock: Clock, timeout: float) -> Answer:
    where = _joined(host, question.port)

    async def connect() -> Answer:
        (await dial(host, question.port)).close()
        return Answer(True)

    try:
        return await within(connect(), clock, timeout)
    except Late:
        return Answer(False, f"dial tcp {where}: i/o timeout")
    except OSError as error:
        return Answer(False, f"dial tcp {where}: connect: {_refused(error)}")


# --- HTTP


@dataclass(slots=True)
class _Response:
    """What httptools tells of an answer."""

    status: int = 0
    location: str = ""
    body: bytes = b""
    complete: bool = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"location":
            self.location = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


async def _http(question: HttpGet, host: str, dial: Dial, clock: Clock, timeout: float) -> Answer:
    scheme = "https" if question.tls else "http"
    path = question.path if question.path.startswith("/") else "/" + question.path
    url = f"{scheme}://{_joined(host, question.port)}{path}"
    try:
        return await within(_followed(question, url, host, dial), clock, timeout)
    except Late:
        return Answer(
            False,
            f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)',
        )


async def _followed(question: HttpGet, url: str, host: str, dial: Dial) -> Answer:
    """Redirects within the same host are followed; one that leads elsewhere is good, with a warning."""
    for _ in range(REDIRECTS):
        try:
            response = await _get(question, url, dial)
        except ssl.SSLError as error:
            return Answer(False, f'Get "{url}": tls: {error.reason or error}')
        except OSError as error:
            at = urlsplit(url)
            where = _joined(at.hostname or host, at.port or 0)
            return Answer(False, f'Get "{url}": dial tcp {where}: connect: {_refused(error)}')
        except (httptools.HttpParserError, EOFError):
            return Answer(False, f'Get "{url}": EOF')
        if response.status in (301, 302, 303, 307, 308) and response.location:
            following = urljoin(url, response.location)
            if urlsplit(following).hostname == urlsplit(url).hostname:
                url = following
                continue
        text = response.body[:BODY].decode(errors="replace")
        if 300 <= response.status < 400:
            return Answer(True, f"Probe terminated redirects, Response body: {text}", warning=True, reached=True)
        if 200 <= response.status < 300:
            return Answer(True, text, reached=True)
        return Answer(False, f"HTTP probe failed with statuscode: {response.status}", reached=True)
    return Answer(False, f'Get "{url}": stopped after {REDIRECTS} redirects')


async def _get(question: HttpGet, url: str, dial: Dial) -> _Response:
    at = urlsplit(url)
    port = at.port or (443 if at.scheme == "https" else 80)
    sock = await dial(at.hostname or "", port)
    context = None
    if at.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(
        sock=sock, ssl=context, server_hostname=(at.hostname or "") if context else None
    )
    try:
        writer.write(request(question, at.netloc, at.path + (f"?{at.query}" if at.query else "")))
        response = _Response()
        parser = httptools.HttpResponseParser(response)
        while not response.complete and len(response.body) < BODY:
            data = await reader.read(BODY)
            if not data:
                break
            parser.feed_data(data)
            response.status = parser.get_status_code()
        if not response.status:
            raise EOFError
        return response
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def request(question: HttpGet, netloc: str, path: str) -> bytes:
    """The request's bytes: the headers asked for, and the kubelet's own where they say nothing else."""
    names = {name.lower() for name, _ in question.headers}
    lines = [f"GET {path or '/'} HTTP/1.1"]
    if "host" not in names:
        lines.append(f"Host: {netloc}")
    lines += [f"{name}: {value}" for name, value in question.headers if name.lower() != "accept" or value]
    if "user-agent" not in names:
        lines.append(f"User-Agent: {AGENT}")
    if "accept" not in names:
        lines.append("Accept: */*")
    lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", errors="replace")


# --- gRPC


async def _grpc(question: GrpcHealth, host: str, dial: Dial, clock: Clock, timeout: float) -> Answer:
    where = _joined(host, question.port)
    quoted = json.dumps(where)

    async def check() -> Answer:
        try:
            sock = await dial(host, question.port)
        except OSError as error:
            said = f"dial tcp {where}: connect: {_refused(error)}"
            return Answer(False, f"error: failed to connect service at {quoted}: {said}")
        return await _check(question.service, sock)

    try:
        return await within(check(), clock, timeout)
    except Late:
        return Answer(False, f"timeout: health rpc did not complete within {timeout:g}s")


async def _check(service: str, sock: socket.socket) -> Answer:
    """gRPC takes no connection that stands already: a private socket carries it the last inch."""
    inch = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    inch.bind("")  # the kernel finds an abstract name
    inch.setblocking(False)
    joints: set[asyncio.Task[None]] = set()

    far_reader, far_writer = await asyncio.open_connection(sock=sock)

    def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        joints.add(asyncio.ensure_future(_pump(reader, far_writer)))
        joints.add(asyncio.ensure_future(_pump(far_reader, writer)))

    server = await asyncio.start_unix_server(join, sock=inch)
    channel = grpc.aio.insecure_channel(
        "unix-abstract:" + bytes(inch.getsockname())[1:].decode(), options=[("grpc.primary_user_agent", AGENT)]
    )
    try:
        call = channel.unary_unary("/grpc.health.v1.Health/Check", _as_it_is, _as_it_is)
        answer: bytes = await call(_request_for(service))
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            why = f"this server does not implement the grpc health protocol (grpc.health.v1.Health): {error.details()}"
            return Answer(False, f"error: {why}")
        code = "".join(word.capitalize() for word in error.code().name.split("_"))
        return Answer(False, f"error: health rpc probe failed: rpc error: code = {code} desc = {error.details()}")
    finally:
        await channel.close(None)
        server.close()
        for joint in joints:
            joint.cancel()
        await asyncio.gather(*joints, return_exceptions=True)
        far_writer.close()
        with contextlib.suppress(OSError):
            await far_writer.wait_closed()
    status = _status_of(answer)
    if status != 1:
        return Answer(False, f'service unhealthy (responded with "{_SERVING.get(status, status)}")')
    return Answer(True, "service healthy")


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
    finally:
        target.close()


def _as_it_is(message: bytes) -> bytes:
    return message


def _request_for(service: str) -> bytes:
    """HealthCheckRequest: field 1, a string."""
    name = service.encode()
    if not name:
        return b""
    length, size = bytearray(), len(name)
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return b"\x0a" + bytes(length) + name


def _status_of(answer: bytes) -> int:
    """HealthCheckResponse: field 1, an enumeration; left out where it is 0."""
    return answer[1] if len(answer) >= 2 and answer[0] == 0x08 else 0
