"""One HTTP/1.1 connection: bytes in, requests to the handler one after another, answers out in their order.

An `asyncio.Protocol` on httptools rather than a stream reader: no task while idle, one while answering. The parser's
callbacks fill a bounded queue; `_answer_all` empties it. After an upgrade the same object hands bytes to a duplex.

A handler is never cancelled because its client left (it may be half-way through a write); a streaming body is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import httptools

from ropewalk.base.http.duplex import ConnectionDuplex
from ropewalk.base.http.messages import Peer, Refusal, Request, Response
from ropewalk.base.http.peers import peer_of
from ropewalk.base.http.wire import BODILESS, CONTINUE, response_head
from ropewalk.base.log import logger

if TYPE_CHECKING:
    from ropewalk.base.http.server import HttpServer

log = logger(__name__)

NEVER = float("inf")
JOINED_BYTES = 64 * 1024
"""Up to here a body is copied behind its head, to leave in one packet."""

_NAMES: dict[bytes, str] = {}
"""Header names seen, decoded; bounded, since clients choose them."""


def _header_name(raw: bytes) -> str:
    name = _NAMES.get(raw)
    if name is None:
        name = raw.decode("latin-1").lower()
        if len(_NAMES) < 1024:
            _NAMES[raw] = name
    return name


@dataclass(slots=True)
class _Pending:
    """A request to answer, or a refusal to word; None as request where its head was never read."""

    request: Request | None
    refusal: Refusal | None
    keep_alive: bool
    chunks_allowed: bool = True
    """HTTP/1.0 knows no chunks: its streams end with the connection."""
    offers_upgrade: bool = False


class Connection(asyncio.Protocol):
    __slots__ = (
        "_body",
        "_body_bytes",
        "_discarding",
        "_drain_waiter",
        "_duplex",
        "_ended",
        "_head_bytes",
        "_headers",
        "_in_head",
        "_is_tls",
        "_limits",
        "_parser",
        "_peer",
        "_pending",
        "_reading_paused",
        "_refused",
        "_server",
        "_streaming",
        "_tail",
        "_task",
        "_transport",
        "_url",
        "_write_paused",
        "closing",
        "deadline",
    )

    _transport: asyncio.Transport
    _peer: Peer

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._limits = server.limits
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._pending: deque[_Pending] = deque()
        self._task: asyncio.Task[None] | None = None
        self._duplex: ConnectionDuplex | None = None
        self._tail = b""
        self._refused = False
        self._discarding = False
        self._ended = False
        self._is_tls = False
        self._streaming = False
        self._reading_paused = False
        self._write_paused = False
        self._drain_waiter: asyncio.Future[None] | None = None
        self.closing = False
        self.deadline = NEVER
        self._begin()

    # --- the transport's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class, where it runs
        self._transport.set_write_buffer_limits(high=self._limits.write_buffer_bytes)
        self._is_tls = self._transport.get_extra_info("ssl_object") is not None
        self._peer = peer_of(self._transport, self._server.name)
        self.deadline = self._server.clock.monotonic() + self._limits.idle_seconds
        if not self._server.admit(self):
            self._refuse(Refusal.TOO_MANY_CONNECTIONS, None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.forget(self)
        self.closing = self._ended = True
        if self._duplex is not None:
            self._duplex.end()
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_result(None)
        if self._streaming and self._task is not None:
            self._task.cancel()

    def eof_received(self) -> bool:
        self._ended = True
        if self._duplex is not None:
            self._duplex.end()
        return self.busy and not self._is_tls  # TLS knows no connection that is open to one side

    def pause_writing(self) -> None:
        self._write_paused = True
        self.deadline = self._server.clock.monotonic() + self._limits.stalled_seconds

    def resume_writing(self) -> None:
        self._write_paused = False
        self.deadline = NEVER if self.busy else self._server.clock.monotonic() + self._limits.idle_seconds
        if self._drain_waiter is not None and not self._drain_waiter.done():
            self._drain_waiter.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._duplex is not None:
            self._duplex.feed(data)
            return
        if self._parser is None:
            if not self._refused:
                self._hold(data)
            return
        within_head = self._in_head and self._head_bytes > 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._parser = None
            self._hold(data[upgrade.args[0] :])
        except (httptools.HttpParserError, UnicodeDecodeError):
            self._refuse(Refusal.MALFORMED, None)
            return
        if within_head and self._in_head:  # a header too long to be reported yet still counts
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.header_bytes:
                self._refuse(Refusal.HEADERS_TOO_LARGE, None)

    def _hold(self, data: bytes) -> None:
        """Keep what follows a request that asks for an upgrade until its handler has decided."""
        self._tail += data
        if len(self._tail) > self._limits.header_bytes:
            self._pause_reading()

    # --- the parser's callbacks

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._head_bytes = 0
        self._in_head = True

    def on_message_begin(self) -> None:
        self._begin()
        self._head_bytes = 1
        if not self.busy:
            self.deadline = self._server.clock.monotonic() + self._limits.request_seconds

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._head_bytes += len(url)

    def on_header(self, name: bytes, value: bytes | None) -> None:
        if not self._in_head:
            return  # trailers say nothing that we act on
        text = value.decode("latin-1") if value else ""
        key = _header_name(name)
        self._head_bytes += len(name) + len(text) + 4
        if key in self._headers:
            text = f"{self._headers[key]},{text}"
        self._headers[key] = text

    def on_headers_complete(self) -> None:
        self._in_head = False
        limits = self._limits
        if self._head_bytes > limits.header_bytes or len(self._headers) > limits.header_count:
            self._refuse(Refusal.HEADERS_TOO_LARGE, None)
            return
        length = self._headers.get("content-length")
        if length is not None and length.isdigit() and int(length) > limits.body_bytes:
            self._discard()
        elif self._headers.get("expect", "").lower() == "100-continue" and not self.busy and not self._refused:
            self._transport.write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        if self._discarding or self._refused:
            return
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            self._discard()
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._refused:
            return
        if self._discarding:  # the answer is on its way; now that the body is read, the client will see it
            self._refused = True
            if self._task is None:
                self._transport.close()
            return
        assert self._parser is not None
        chunks_allowed = self._parser.get_http_version() == "1.1"
        upgrade = self._parser.should_upgrade()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        keep_alive = self._parser.should_keep_alive() or upgrade
        self._enqueue(_Pending(self._request(body), None, keep_alive, chunks_allowed, upgrade))

    def _request(self, body: bytes) -> Request:
        assert self._parser is not None
        target = self._url.decode("latin-1")
        path, _, query = target.partition("?")
        method = self._parser.get_method().decode("latin-1")
        return Request(method, target, path, query, self._headers, body, self._peer)

    # --- refusals

    def _refuse(self, refusal: Refusal, request: Request | None) -> None:
        """Answer after all earlier requests, then close; read nothing more meanwhile."""
        if self._discarding:
            self._transport.close()  # it has its answer already
        elif not self._refused:
            self._refused = True
            self._enqueue(_Pending(request, refusal, keep_alive=False))

    def _discard(self) -> None:
        """Too large a body: answer now, but read it to its end, or the client would never see the answer."""
        self._discarding = True
        self._body.clear()
        self._enqueue(_Pending(self._request(b""), Refusal.BODY_TOO_LARGE, keep_alive=False))

    def expire(self) -> None:
        """The deadline has passed: say so where a request was under way, else just close."""
        self.deadline = NEVER
        if self._write_paused or self._discarding or self._refused or self._duplex is not None:
            self._transport.abort()
        elif self._in_head and self._head_bytes == 0:
            self._transport.close()
        else:
            self._refuse(Refusal.TIMED_OUT, None)

    # --- answering

    @property
    def busy(self) -> bool:
        return self._task is not None or bool(self._pending)

    def _enqueue(self, pending: _Pending) -> None:
        self._pending.append(pending)
        self.deadline = NEVER
        if not self._discarding:
            self._in_head, self._head_bytes = True, 0
        if len(self._pending) >= self._limits.pipelined:
            self._pause_reading()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._answer_all())

    def _pause_reading(self) -> None:
        if not self._reading_paused and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    async def _answer_all(self) -> None:
        keep_alive = True
        try:
            while keep_alive and self._pending and not self._transport.is_closing():
                pending = self._pending.popleft()
                keep_alive = await self._answer(pending) and not self.closing
                if self._reading_paused and len(self._pending) < self._limits.pipelined // 2:
                    self._resume_reading()
                if self._write_paused:
                    await self._drained()
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        except ConnectionError:
            self._transport.abort()
        except Exception:
            log.bug("connection failed", listener=self._server.name)
            self._transport.abort()
        finally:
            self._task = None
        self._after_answers(keep_alive)

    def _after_answers(self, keep_alive: bool) -> None:
        if not keep_alive or self._ended:
            self._pending.clear()
            if self._discarding and not self._refused and not self._ended:
                # The body is still coming; on_message_complete closes, or the deadline.
                self.deadline = self._server.clock.monotonic() + self._limits.request_seconds
            else:
                self._transport.close()
        elif not self._write_paused:
            # Between requests the client may idle; one that has begun must arrive in time.
            wait = self._limits.request_seconds if self._head_bytes else self._limits.idle_seconds
            self.deadline = self._server.clock.monotonic() + wait

    async def _answer(self, pending: _Pending) -> bool:
        """Send one answer; whether the connection may live on."""
        response = await self._server.respond(pending.request, pending.refusal)
        if response.upgrade is not None and response.status == 101:
            await self._upgrade(response)
            return False
        if pending.offers_upgrade and self._parser is None:  # an upgrade offered, and not taken: HTTP goes on
            self._parser = httptools.HttpRequestParser(self)
            self._begin()
            tail, self._tail = self._tail, b""
            self._resume_reading()
            if tail:
                self.data_received(tail)
        return await self._send(response, pending)

    async def _send(self, response: Response, pending: _Pending) -> bool:
        body = response.body
        keep_alive = pending.keep_alive and not self.closing
        streamed = not isinstance(body, bytes)
        head_only = response.status in BODILESS or (pending.request is not None and pending.request.method == "HEAD")
        framing = self._server.date_line
        if streamed and not head_only and not pending.chunks_allowed:
            keep_alive = False
        elif streamed and not head_only:
            framing += "transfer-encoding: chunked\r\n"
        elif isinstance(body, bytes) and response.status not in BODILESS:
            framing += f"content-length: {len(body)}\r\n"
        framing += "" if keep_alive else "connection: close\r\n"
        head = self._head(response, framing)
        if head is None:
            return False
        if isinstance(body, bytes):
            self._write_whole(head, b"" if head_only else body)
        elif head_only:
            self._transport.write(head)
            await _close_stream(body)
        else:
            self._transport.write(head)
            await self._stream(body, pending.chunks_allowed)
        return keep_alive

    def _head(self, response: Response, framing: str) -> bytes | None:
        try:
            return response_head(response.status, response.headers, framing)
        except ValueError:
            log.bug("response header refused", listener=self._server.name)
            closing = f"{self._server.date_line}content-length: 0\r\nconnection: close\r\n"
            self._transport.write(response_head(500, {}, closing))
            return None

    def _write_whole(self, head: bytes, body: bytes) -> None:
        if len(body) < JOINED_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.writelines((head, body))

    async def _stream(self, body: AsyncIterator[bytes], chunked: bool) -> None:
        self._streaming = True
        try:
            if self._transport.is_closing():
                return
            async for piece in body:
                if not piece:
                    continue
                self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                if self._write_paused:
                    await self._drained()
                if self._transport.is_closing():
                    return
            if chunked:
                self._transport.write(b"0\r\n\r\n")
        finally:
            self._streaming = False
            await _close_stream(body)

    async def _upgrade(self, response: Response) -> None:
        assert response.upgrade is not None
        self._transport.write(response_head(101, response.headers, self._server.date_line))
        self._duplex = ConnectionDuplex(self._transport, self._drained)
        self.deadline = NEVER
        if self._tail:
            self._duplex.feed(self._tail)
        if self._ended:
            self._duplex.end()
        self._resume_reading()
        self._streaming = True
        try:
            await response.upgrade(self._duplex)
        finally:
            self._streaming = False

    async def _drained(self) -> None:
        while self._write_paused and not self._transport.is_closing():
            self._drain_waiter = asyncio.get_running_loop().create_future()
            await self._drain_waiter

    # --- stopping

    def stop(self) -> None:
        """Finish the answer under way, take no further request; streams and upgraded connections end now."""
        self.closing = True
        if self._task is None:
            self._transport.close()
        elif self._streaming:
            self._task.cancel()

    def abort(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()


async def _close_stream(body: AsyncIterator[bytes]) -> None:
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()
