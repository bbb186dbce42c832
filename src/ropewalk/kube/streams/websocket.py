"""The server's end of a WebSocket, over a bare connection: handshake, whole messages, pings, bounds and close codes.

Framing is wsproto's. Knows nothing of channels (`channels.py`) or of what is tunnelled. Whatever a peer sends, the end
is a close frame with the code that fits (RFC 6455, section 7.4), never an error that the caller has to understand.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError, generate_accept_token

from ropewalk.base.clock import Clock
from ropewalk.base.http.messages import Duplex, Request, Response
from ropewalk.kube.machinery import errors
from ropewalk.kube.streams.connection import talk

MAX_MESSAGE = 4 << 20
"""Bytes of one message, in however many frames. Clients send input in pieces of some KiB."""


def is_websocket(request: Request) -> bool:
    return (
        request.header("upgrade").strip().lower() == "websocket" and "upgrade" in request.header("connection").lower()
    )


def offered(request: Request) -> list[str]:
    """The subprotocols that the client offers, in its order of preference."""
    words = (word.strip() for word in request.header("sec-websocket-protocol").split(","))
    return [word for word in words if word]


def negotiated(request: Request, supported: Sequence[str]) -> str:
    """The first subprotocol of the client's that is supported; "" where it offers none and that is supported. Raises
    a 403 where nothing fits, as kube-apiserver does: clients take it as a sign to fall back.
    """
    wanted = offered(request)
    for protocol in wanted or [""]:
        if protocol in supported:
            return protocol
    raise errors.StatusFault(
        "Forbidden",
        f"unable to upgrade: unable to negotiate protocol: client supports {_listed(wanted)}, server accepts"
        f" {_listed(supported)}",
        status=403,
    )


def _listed(words: Sequence[str]) -> str:
    return "[" + " ".join(words) + "]"


def accept(request: Request, protocol: str, clock: Clock, handler: Callable[[WebSocket], Awaitable[None]]) -> Response:
    """Upgrade, then let `handler` talk. Raises a 400 for a handshake that is none."""
    key = request.header("sec-websocket-key").strip()
    version = request.header("sec-websocket-version").strip()
    if request.method != "GET" or not _is_key(key):
        raise errors.bad_request("unable to upgrade: the WebSocket handshake is incomplete")
    if version != "13":
        return Response(400, {"sec-websocket-version": "13", "content-type": "text/plain"}, b"unsupported version\n")
    headers = {
        "upgrade": "websocket",
        "connection": "Upgrade",
        "sec-websocket-accept": generate_accept_token(key.encode()).decode(),
    }
    if protocol:
        headers["sec-websocket-protocol"] = protocol

    async def upgraded(duplex: Duplex) -> None:
        socket = WebSocket(duplex)
        try:
            await handler(socket)
        finally:
            await socket.close()

    return Response(101, headers, upgrade=lambda duplex: talk(duplex, clock, upgraded))


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


class WebSocket:
    """One reader and one closer at a time; any number of writers."""

    def __init__(self, duplex: Duplex) -> None:
        self._duplex = duplex
        self._protocol = Connection(ConnectionType.SERVER)
        self._ready: list[bytes | str] = []
        self._parts: list[bytes | str] = []
        self._size = 0
        self._over = False
        self._writing = asyncio.Lock()

    @property
    def closed(self) -> bool:
        return self._over

    async def receive(self) -> bytes | str | None:
        """The next message; None once the peer is gone or was sent away."""
        while not self._ready:
            if self._over:
                return None
            try:
                data = await self._duplex.read()
            except ConnectionError:
                data = b""
            if not data:
                self._over = True
                return None
            await self._take(data)
        return self._ready.pop(0)

    async def send(self, data: bytes | str) -> None:
        """One message, waiting while the peer reads slowly. Raises `ConnectionResetError` once it is gone."""
        await self._write(TextMessage(data=data) if isinstance(data, str) else BytesMessage(data=data))

    async def ping(self) -> None:
        await self._write(Ping())

    async def close(self, code: int = CloseReason.NORMAL_CLOSURE, reason: str = "") -> None:
        """Say goodbye; harmless when done twice or when the peer is gone. The connection closes with its handler."""
        if self._protocol.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            with contextlib.suppress(ConnectionError):
                await self._write(CloseConnection(code=code, reason=reason[:100] or None))
        self._over = True

    async def _write(self, event: TextMessage | BytesMessage | Ping | CloseConnection) -> None:
        try:
            async with self._writing:
                await self._duplex.write(self._protocol.send(event))
        except LocalProtocolError as gone:
            raise ConnectionResetError("the WebSocket is closed") from gone

    async def _take(self, data: bytes) -> None:
        try:
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                if isinstance(event, (TextMessage, BytesMessage)):
                    if not self._message(event):
                        await self.close(CloseReason.MESSAGE_TOO_BIG, "the message is too large")
                        return
                elif isinstance(event, Ping):
                    await self._pong(event)
                elif isinstance(event, CloseConnection):
                    await self._bye(event)
                    return
        except (RemoteProtocolError, LocalProtocolError, UnicodeDecodeError):
            await self.close(CloseReason.PROTOCOL_ERROR)

    async def _pong(self, event: Ping) -> None:
        try:
            async with self._writing:
                await self._duplex.write(self._protocol.send(event.response()))
        except (ConnectionError, LocalProtocolError):
            self._over = True

    async def _bye(self, event: CloseConnection) -> None:
        """Answer a close in kind. wsproto tells bytes that are no WebSocket the same way: there the code is ours."""
        if self._protocol.state is ConnectionState.OPEN:
            await self.close(int(event.code), event.reason or "")
        else:
            await self.close(CloseReason.NORMAL_CLOSURE)

    def _message(self, event: TextMessage | BytesMessage) -> bool:
        """Keep a part; False once the message is too large."""
        self._size += len(event.data)
        if self._size > MAX_MESSAGE:
            return False
        self._parts.append(event.data if isinstance(event.data, str) else bytes(event.data))
        if event.message_finished:
            parts, self._parts, self._size = self._parts, [], 0
            if isinstance(event, TextMessage):
                self._ready.append("".join(part for part in parts if isinstance(part, str)))
            else:
                self._ready.append(b"".join(part for part in parts if isinstance(part, bytes)))
        return True


class WebSocketBytes:
    """A `Duplex` tunnelled through binary messages: their limits mean nothing. A text message ends it."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def read(self) -> bytes:
        while (message := await self._socket.receive()) is not None:
            if isinstance(message, str):
                await self._socket.close(CloseReason.UNSUPPORTED_DATA, "only binary messages are understood")
                return b""
            if message:
                return message
        return b""

    async def write(self, data: bytes) -> None:
        await self._socket.send(data)

    def close(self) -> None:
        """The handler that accepted the socket closes it as soon as it returns."""


def text_stream(request: Request, clock: Clock, pieces: AsyncIterator[bytes]) -> Response:
    """Each piece as one text message (a watch over WebSocket); ends with the pieces or with the peer."""

    async def tell(socket: WebSocket) -> None:
        listening = asyncio.ensure_future(_until_gone(socket))
        try:
            while True:
                step = asyncio.ensure_future(anext(pieces, None))
                await asyncio.wait((step, listening), return_when=asyncio.FIRST_COMPLETED)
                if not step.done():
                    step.cancel()
                    await asyncio.gather(step, return_exceptions=True)
                    return
                piece = step.result()
                if piece is None:
                    return
                await socket.send(piece.decode(errors="replace").rstrip("\n"))
        except ConnectionError:
            return
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()

    return accept(request, negotiated(request, ("", *offered(request))), clock, tell)


async def _until_gone(socket: WebSocket) -> None:
    while await socket.receive() is not None:
        pass
