"""How an agent reaches its control plane: the six routes of `model/agent.py` as a Protocol, and two ways to speak it.

`DirectTransport` hands requests to a handler in the same process (simulated mode, tests): the same bytes, no socket.
`HttpTransport` dials a Unix socket or an address; aiohttp is imported when it first dials, since most processes that
import this never do.
"""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from ropewalk.base.http.messages import Duplex, Handler, Peer, Request
from ropewalk.model.agent import FABRIC_DECODER, FabricDown, LogBatch, LogReceipt, Receipt, Report
from ropewalk.model.ids import MachineId, WorkloadUid
from ropewalk.model.readers import TemporaryKeys
from ropewalk.model.streams import STREAM_VERSION
from ropewalk.node.dialling import SocketDuplex, upgraded
from ropewalk.node.pipes import pipe

if TYPE_CHECKING:
    import aiohttp

REQUEST_SECONDS = 30.0
MAX_LINE = 8 << 20


class TransportFailure(Exception):
    """The control plane cannot be reached, or did not answer as agreed: try again later."""


class NotGiven(Exception):
    """The control plane answered that it will not give this (no such workload or credential)."""


class Transport(Protocol):
    """Every call may raise `TransportFailure`."""

    def watch(self, machine: MachineId, session: str) -> AsyncIterator[bytes]:
        """`Down` messages, one JSON document each, as they come; ends when the stream ends."""
        ...

    async def report(self, report: Report) -> Receipt: ...

    async def logs(self, batch: LogBatch) -> LogReceipt: ...

    async def credentials(self, machine: MachineId, workload: WorkloadUid, name: str) -> TemporaryKeys:
        """Raises `NotGiven`."""
        ...

    def fabric(self, host: str) -> AsyncIterator[FabricDown]: ...

    async def dial(self, machine: MachineId, stream: str) -> Duplex:
        """The bare connection of a stream that the control plane awaits. Raises `NotGiven` where it does not."""
        ...


class _Lines:
    """Pieces of a stream in, whole lines out."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> list[bytes]:
        *whole, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > MAX_LINE:
            raise TransportFailure("the control plane sent an endless line")
        return [line for line in whole if line]


class _Routes(ABC):
    """The routes and their shapes, over whatever carries one request."""

    @abstractmethod
    async def _call(self, method: str, path: str, query: dict[str, str], body: object = None) -> bytes: ...

    @abstractmethod
    def _stream(self, path: str, query: dict[str, str]) -> AsyncIterator[bytes]: ...

    async def watch(self, machine: MachineId, session: str) -> AsyncIterator[bytes]:
        query = {"machine": machine, "session": session, "streams": str(STREAM_VERSION)}
        async for line in self._stream("/agent/v1/watch", query):
            yield line

    async def fabric(self, host: str) -> AsyncIterator[FabricDown]:
        async for line in self._stream("/agent/v1/fabric", {"host": host}):
            yield FABRIC_DECODER.decode(line)

    async def report(self, report: Report) -> Receipt:
        return msgspec.json.decode(await self._call("POST", "/agent/v1/report", {}, report), type=Receipt)

    async def logs(self, batch: LogBatch) -> LogReceipt:
        return msgspec.json.decode(await self._call("POST", "/agent/v1/logs", {}, batch), type=LogReceipt)

    async def credentials(self, machine: MachineId, workload: WorkloadUid, name: str) -> TemporaryKeys:
        query = {"machine": machine, "workload": workload, "name": name}
        return msgspec.json.decode(await self._call("GET", "/agent/v1/credentials", query), type=TemporaryKeys)


class DirectTransport(_Routes):
    """Calls a gateway's handler in this process."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._joined: set[asyncio.Task[None]] = set()

    async def _call(self, method: str, path: str, query: dict[str, str], body: object = None) -> bytes:
        response = await self._handler(_request(method, path, query, body))
        answer = response.body if isinstance(response.body, bytes) else b""
        return _checked(response.status, answer)

    async def _stream(self, path: str, query: dict[str, str]) -> AsyncIterator[bytes]:
        response = await self._handler(_request("GET", path, query, None))
        if isinstance(response.body, bytes):
            _checked(response.status, response.body)
            raise TransportFailure("the control plane answered without a stream")
        lines = _Lines()
        body = response.body
        try:
            async for piece in body:
                for line in lines.feed(piece):
                    yield line
        finally:
            close = getattr(body, "aclose", None)
            if close is not None:
                await close()

    async def dial(self, machine: MachineId, stream: str) -> Duplex:
        response = await self._handler(_request("POST", _stream_path(stream), {"machine": machine}, None))
        if response.upgrade is None:
            _checked(response.status, response.body if isinstance(response.body, bytes) else b"")
            raise TransportFailure("the control plane answered without an upgrade")
        ours, theirs = pipe()
        upgrade = response.upgrade

        async def joined() -> None:
            try:
                await upgrade(theirs)
            finally:
                theirs.close()

        task = asyncio.get_running_loop().create_task(joined())
        self._joined.add(task)
        task.add_done_callback(self._joined.discard)
        return ours


def _stream_path(stream: str) -> str:
    return f"/agent/v1/streams/{quote(stream, safe='')}"


def _request(method: str, path: str, query: dict[str, str], body: object) -> Request:
    encoded = urlencode(query, quote_via=quote)
    return Request(
        method=method,
        target=f"{path}?{encoded}" if encoded else path,
        path=path,
        query=encoded,
        headers={"host": "agents"},
        body=b"" if body is None else msgspec.json.encode(body),
        peer=Peer(address="", listener="agents"),
    )


def _checked(status: int, body: bytes) -> bytes:
    if status == 200:
        return body
    text = body[:500].decode(errors="replace")
    if status == 404:
        raise NotGiven(text)
    raise TransportFailure(f"the control plane answered {status}: {text}")


class HttpTransport(_Routes):
    """Over HTTP: to a Unix socket (`socket_path`), or to `base_url` with a TLS context that knows both sides."""

    def __init__(self, *, socket_path: str = "", base_url: str = "http://agents", tls: ssl.SSLContext | None = None):
        self._socket_path = socket_path
        self._base_url = base_url
        self._tls = tls
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _session(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._client is None or self._client.closed:
            connector: aiohttp.BaseConnector
            if self._socket_path:
                connector = aiohttp.UnixConnector(path=self._socket_path)
            else:
                connector = aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True)
            self._client = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        return self._client

    async def _call(self, method: str, path: str, query: dict[str, str], body: object = None) -> bytes:
        import aiohttp

        data = None if body is None else msgspec.json.encode(body)
        limit = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        try:
            async with self._session().request(
                method, self._base_url + path, params=query, data=data, timeout=limit
            ) as response:
                return _checked(response.status, await response.read())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TransportFailure(f"{path}: {error or type(error).__name__}") from error

    async def _stream(self, path: str, query: dict[str, str]) -> AsyncIterator[bytes]:
        import aiohttp

        limit = aiohttp.ClientTimeout(total=None, sock_connect=REQUEST_SECONDS)
        lines = _Lines()
        try:
            async with self._session().get(self._base_url + path, params=query, timeout=limit) as response:
                if response.status != 200:
                    _checked(response.status, await response.read())
                async for piece in response.content.iter_any():
                    for line in lines.feed(piece):
                        yield line
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TransportFailure(f"{path}: {error or type(error).__name__}") from error

    async def dial(self, machine: MachineId, stream: str) -> Duplex:
        target = f"{_stream_path(stream)}?{urlencode({'machine': machine}, quote_via=quote)}"
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                reader, writer = await self._connected()
                status, answer = await upgraded(reader, writer, target)
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            raise TransportFailure(f"{target}: {error or type(error).__name__}") from error
        if status != 101:
            writer.close()
            _checked(status, answer)
            raise TransportFailure("the control plane answered without an upgrade")
        return SocketDuplex(reader, writer)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._socket_path:
            return await asyncio.open_unix_connection(self._socket_path)
        url = urlsplit(self._base_url)
        secure = url.scheme == "https"
        port = url.port or (443 if secure else 80)
        return await asyncio.open_connection(url.hostname, port, ssl=(self._tls or True) if secure else None)
