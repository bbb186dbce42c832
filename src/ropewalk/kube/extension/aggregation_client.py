"""Calling aggregated servers: a Protocol, and the real thing over TLS with the front proxy's identity.

Plain requests go through one `aiohttp` session, which is imported where the first call is made: most clusters have no
aggregated server. Connections that are to be upgraded (exec through an aggregated API) are dialled by themselves.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ropewalk.base.http.messages import Duplex

if TYPE_CHECKING:
    import aiohttp

CONNECT_SECONDS = 10.0
MAX_HEAD_BYTES = 64 * 1024
MAX_REFUSAL_BYTES = 1 << 20
_MAX_CONTEXTS = 200

Headers = Sequence[tuple[str, str]]


class Unreachable(Exception):
    """No answer; the text says why."""


@dataclass(frozen=True, slots=True)
class Destination:
    host: str
    port: int
    server_name: str
    """The name that the certificate must have."""
    ca_bundle: str = ""
    """PEM in base64; "" for the system's authorities."""
    insecure: bool = False

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Outgoing:
    method: str
    target: str
    """Raw path and query."""
    headers: Headers
    """Names may repeat."""
    body: bytes = b""


class Answer(Protocol):
    """The head is there; the body comes. `aclose` ends it early."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises `ConnectionResetError` where the server breaks off."""
        ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade request got. `duplex` is the connection after a 101, otherwise None, and `body` the refusal's."""

    status: int
    headers: Headers
    body: bytes = b""
    duplex: Duplex | None = None


class Client(Protocol):
    async def send(self, where: Destination, message: Outgoing, head_seconds: float) -> Answer:
        """Raises `Unreachable`."""
        ...

    async def upgrade(self, where: Destination, message: Outgoing, head_seconds: float) -> Upgraded:
        """Raises `Unreachable`."""
        ...


class TlsContexts:
    """One context a bundle of authorities, all with the front proxy's certificate."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._identity = (certificate, key)
        self._contexts: dict[tuple[str, bool], ssl.SSLContext] = {}

    def context(self, where: Destination) -> ssl.SSLContext:
        """Raises `Unreachable` where the bundle is none."""
        wanted = (where.ca_bundle, where.insecure)
        found = self._contexts.get(wanted)
        if found is None:
            try:
                found = self._made(*wanted)
            except (ValueError, binascii.Error, OSError) as error:
                raise Unreachable(f"unable to load root certificates: {error}") from error
            if len(self._contexts) >= _MAX_CONTEXTS:
                self._contexts.clear()
            self._contexts[wanted] = found
        return found

    def _made(self, bundle: str, insecure: bool) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=base64.b64decode(bundle).decode() if bundle else None)
        if insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(*self._identity)
        context.set_alpn_protocols(["http/1.1"])
        return context


class HttpClient:
    """A `Client`. `certificate` and `key` are files: the front proxy's."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._tls = TlsContexts(certificate, key)
        self._session: aiohttp.ClientSession | None = None

    async def send(self, where: Destination, message: Outgoing, head_seconds: float) -> Answer:
        import aiohttp
        from multidict import CIMultiDict
        from yarl import URL

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # every watch holds one
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            )
        try:
            async with asyncio.timeout(head_seconds):
                response = await self._session.request(
                    message.method,
                    URL(f"https://{where.authority}{message.target}", encoded=True),
                    headers=CIMultiDict(message.headers),
                    data=message.body or None,
                    ssl=self._tls.context(where),
                    server_hostname=where.server_name,
                    allow_redirects=False,
                )
        except TimeoutError:
            raise Unreachable("context deadline exceeded") from None
        except (aiohttp.ClientError, ssl.SSLError, OSError, ValueError) as error:
            raise Unreachable(str(error)) from None
        return _Streamed(response)

    async def upgrade(self, where: Destination, message: Outgoing, head_seconds: float) -> Upgraded:
        try:
            async with asyncio.timeout(head_seconds):
                reader, writer = await asyncio.open_connection(
                    where.host,
                    where.port,
                    ssl=self._tls.context(where),
                    server_hostname=where.server_name,
                    limit=MAX_HEAD_BYTES,
                )
        except TimeoutError:
            raise Unreachable("context deadline exceeded") from None
        except (ssl.SSLError, OSError, ValueError) as error:
            raise Unreachable(str(error)) from None
        connection = _Connection(reader, writer)
        try:
            async with asyncio.timeout(head_seconds):
                upgraded = await _asked(connection, where, message)
        except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            connection.close()
            raise Unreachable(str(error) or "context deadline exceeded") from None
        except BaseException:
            connection.close()
            raise
        if upgraded.duplex is None:
            connection.close()
        return upgraded

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class _Streamed:
    """An `Answer`."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Headers = [(name.lower(), value) for name, value in response.headers.items()]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        import aiohttp

        try:
            async for piece in self._response.content.iter_any():
                yield piece
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionResetError("the aggregated server broke off its response") from error
        finally:
            self._response.close()

    async def aclose(self) -> None:
        self._response.close()


# --- upgrades


class _Connection:
    """A `Duplex` over asyncio's streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        try:
            return await self.reader.read(65536)
        except OSError:
            return b""

    async def write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise ConnectionResetError("the aggregated server is gone") from error

    def close(self) -> None:
        self._writer.close()


async def _asked(connection: _Connection, where: Destination, message: Outgoing) -> Upgraded:
    lines = [f"{message.method} {message.target} HTTP/1.1"]
    if not any(name.lower() == "host" for name, _ in message.headers):
        lines.append(f"Host: {where.authority}")
    lines += [f"{name}: {value}" for name, value in message.headers]
    await connection.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + message.body)
    head = (await connection.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = head.rstrip("\r\n").split("\r\n")
    protocol, _, said = first.partition(" ")
    code = said.partition(" ")[0]
    if not protocol.startswith("HTTP/1.") or not (code.isascii() and code.isdecimal() and len(code) == 3):
        raise ValueError("malformed HTTP response")
    headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(":") for line in rest)]
    if code == "101":
        return Upgraded(101, headers, duplex=connection)
    return Upgraded(int(code), headers, await _refusal(connection.reader, dict(headers)))


async def _refusal(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _chunks(reader)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdecimal()) or int(length) > MAX_REFUSAL_BYTES:
        raise ValueError("malformed HTTP response")
    return await reader.readexactly(int(length))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        if size < 0 or len(found) + size > MAX_REFUSAL_BYTES:
            raise ValueError("the refusal is too large")
        found += await reader.readexactly(size)
        await reader.readexactly(2)
    return found
