"""exec, attach and port-forward over SPDY: one stream for each kind of data, told apart by its headers.

A command's streams carry `streamtype` error, stdin, stdout, stderr or resize, all opened by the client, which waits for
each to be accepted; the command begins once all that the options promise are there. A forwarded connection is a pair,
data and error, joined by `requestid`. https://kubernetes.io/docs/reference/kubernetes-api/ (k8s.io/streaming)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson

from ropewalk.base.clock import Clock, Late, within
from ropewalk.base.http.messages import Request
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.streams.clients import (
    ClientEvent,
    ClientGone,
    ForwardedConnection,
    InputEnded,
    SizeReader,
    Typed,
)
from ropewalk.kube.streams.spdy_session import SpdySession, SpdyStream

UPGRADE = "SPDY/3.1"
VERSION_HEADER = "x-stream-protocol-version"
COMMAND_PROTOCOLS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
PORT_PROTOCOLS = ("portforward.k8s.io",)
CREATION_SECONDS = 30.0
"""The kubelet's --stream-creation-timeout."""


def is_spdy(request: Request) -> bool:
    return UPGRADE.lower() in request.header("upgrade").lower() and "upgrade" in request.header("connection").lower()


def negotiated(request: Request, supported: tuple[str, ...]) -> str:
    """The first version of the client's that is supported. Raises a 400 where it names none, a 403 where none fits."""
    if VERSION_HEADER not in request.headers:
        count = len(request.headers)
        raise errors.bad_request(
            f"unable to upgrade: header X-Stream-Protocol-Version does not exist in request with {count} headers"
        )
    wanted = [word.strip() for word in request.header(VERSION_HEADER).split(",") if word.strip()]
    for protocol in wanted:
        if protocol in supported:
            return protocol
    raise errors.StatusFault(
        "Forbidden",
        f"unable to upgrade: unable to negotiate protocol: client supports [{' '.join(wanted)}], server accepts"
        f" [{' '.join(supported)}]",
        status=403,
        headers={"x-accepted-stream-protocol-versions": ", ".join(supported)},
    )


# --- commands


class SpdyCommand:
    """A `CommandClient`. `begin` first: it waits for the streams."""

    def __init__(self, session: SpdySession, protocol: str) -> None:
        self._session = session
        self._json_status = protocol == "v4.channel.k8s.io"
        self._resizes = protocol in ("v4.channel.k8s.io", "v3.channel.k8s.io")
        self._streams: dict[str, SpdyStream] = {}
        self._events: asyncio.Queue[ClientEvent | None] = asyncio.Queue(1)
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self, clock: Clock, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> bool:
        """Whether all streams came in time."""
        wanted = {"error"} | {
            name
            for name, asked in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr), ("resize", tty))
            if asked and (name != "resize" or self._resizes)
        }
        try:
            if not await within(self._gather(wanted), clock, CREATION_SECONDS):
                return False
        except Late:
            return False
        loop = asyncio.get_running_loop()
        for name, stream in self._streams.items():
            if name == "stdin":
                self._tasks.append(loop.create_task(self._typed(stream)))
            elif name == "resize":
                self._tasks.append(loop.create_task(self._sizes(stream)))
            else:
                stream.ignore()
        self._tasks.append(loop.create_task(self._until_over()))
        return True

    async def _gather(self, wanted: set[str]) -> bool:
        while wanted - self._streams.keys():
            stream = await self._session.opened()
            if stream is None:
                return False
            name = stream.headers.get("streamtype", "")
            if name in self._streams or name not in ("error", "stdin", "stdout", "stderr", "resize"):
                self._session.forget(stream)
            else:
                self._streams[name] = stream
        return True

    async def _typed(self, stream: SpdyStream) -> None:
        while data := await stream.read():
            await self._events.put(Typed(data))
        await self._events.put(InputEnded())

    async def _sizes(self, stream: SpdyStream) -> None:
        reader = SizeReader()
        while data := await stream.read():
            for size in reader.feed(data):
                await self._events.put(size)

    async def _until_over(self) -> None:
        while (stream := await self._session.opened()) is not None:
            self._session.forget(stream)
        await self._events.put(None)

    async def receive(self) -> ClientEvent | None:
        return await self._events.get()

    async def write(self, data: bytes, *, error: bool) -> None:
        stream = self._streams.get("stderr" if error else "stdout")
        if stream is not None:
            await stream.write(data)

    async def finish(self, status: Object) -> None:
        error = self._streams["error"]
        if self._json_status:
            await error.write(orjson.dumps(status))
        elif status.get("status") != "Success":
            await error.write(str(status.get("message", "")).encode())
        for stream in self._streams.values():
            await stream.finish()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


# --- ports


def refuse_forward(headers: dict[str, str]) -> str:
    """Why a stream cannot be part of a forwarded connection."""
    port = headers.get("port", "")
    if not port:
        return '"port" header is required'
    if not port.isascii() or not port.isdecimal() or len(port) > 5 or int(port) > 65535:
        return f'unable to parse "{port}" as a port'
    if int(port) < 1:
        return f'port "{port}" must be > 0'
    kind = headers.get("streamtype", "")
    if not kind:
        return '"streamType" header is required'
    if kind not in ("data", "error"):
        return f'invalid stream type "{kind}"'
    return ""


class SpdyForward:
    """A `ForwardClient`."""

    def __init__(self, session: SpdySession, clock: Clock) -> None:
        self._session = session
        self._clock = clock
        self._pairs: dict[str, dict[str, SpdyStream]] = {}
        self._timers: dict[str, asyncio.Task[None]] = {}

    async def connections(self) -> AsyncIterator[ForwardedConnection]:
        try:
            while (stream := await self._session.opened()) is not None:
                pair = await self._paired(stream)
                if pair is not None:
                    yield pair
        finally:
            for timer in self._timers.values():
                timer.cancel()
            await asyncio.gather(*self._timers.values(), return_exceptions=True)

    async def _paired(self, stream: SpdyStream) -> ForwardedConnection | None:
        kind = stream.headers["streamtype"]
        request = stream.headers.get("requestid", "")
        if not request:  # clients of old: the error stream comes first, the data stream is the next
            request = f"#{stream.identity if kind == 'error' else stream.identity - 2}"
        pair = self._pairs.setdefault(request, {})
        if kind in pair:
            self._session.forget(stream)
            await _told(
                pair.get("error"), f"error processing stream for request {request}: {kind} stream already assigned"
            )
            return None
        pair[kind] = stream
        if len(pair) == 2:
            del self._pairs[request]
            if (timer := self._timers.pop(request, None)) is not None:
                timer.cancel()
            return _SpdyConnection(self._session, pair["data"], pair["error"])
        self._timers[request] = asyncio.get_running_loop().create_task(self._expire(request))
        return None

    async def _expire(self, request: str) -> None:
        await self._clock.sleep(CREATION_SECONDS)
        pair = self._pairs.pop(request, {})
        del self._timers[request]
        await _told(pair.get("error"), f"(request={request}) timed out waiting for streams")
        for stream in pair.values():
            await _quietly(stream)
            self._session.forget(stream)


class _SpdyConnection:
    def __init__(self, session: SpdySession, data: SpdyStream, error: SpdyStream) -> None:
        self._session = session
        self._data = data
        self._error = error
        error.ignore()
        self.port = int(data.headers["port"])

    async def read(self) -> bytes:
        return await self._data.read()

    async def write(self, data: bytes) -> None:
        await self._data.write(data)

    async def fail(self, message: str) -> None:
        await self._error.write(message.encode())

    async def close(self) -> None:
        try:
            await self._data.finish()
            await self._error.finish()
        finally:
            self._session.forget(self._data)
            self._session.forget(self._error)


async def _told(error: SpdyStream | None, message: str) -> None:
    if error is not None:
        try:
            await error.write(message.encode())
        except ClientGone:
            return


async def _quietly(stream: SpdyStream) -> None:
    try:
        await stream.finish()
    except ClientGone:
        return
