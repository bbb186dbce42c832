"""Clients of Kubernetes' streams in memory: WebSocket by wsproto, SPDY by hand; and the server they talk to."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage

from ropewalk.base.http.messages import Duplex, Peer, Request, Response
from ropewalk.kube.streams.spdy_frames import DICTIONARY
from ropewalk.kube.streams.terminate import PodStreams
from ropewalk.node.pipes import pipe
from support.streams import PATIENCE, UID, StreamWorld
from support.workloads import MACHINE

KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def pod(*containers: str, **changes: Any) -> dict[str, Any]:
    names = containers or ("web",)
    running = [{"name": name, "state": {"running": {}}} for name in names]
    made: dict[str, Any] = {
        "metadata": {"name": "web-0", "namespace": "default", "uid": UID},
        "spec": {"nodeName": MACHINE, "containers": [{"name": name} for name in names]},
        "status": {"containerStatuses": running},
    }
    for key, value in changes.items():
        made[key] = made[key] | value
    return made


def request(headers: dict[str, str], query: Any = (), method: str = "GET") -> Request:
    text = urlencode(query)
    return Request(method, f"/?{text}", "/", text, headers, b"", Peer("127.0.0.1"))


def websocket_request(protocol: str, query: Any = ()) -> Request:
    headers = {
        "upgrade": "websocket",
        "connection": "keep-alive, Upgrade",
        "sec-websocket-key": KEY,
        "sec-websocket-version": "13",
    }
    return request(headers | ({"sec-websocket-protocol": protocol} if protocol else {}), query)


def spdy_request(protocols: str, query: Any = ()) -> Request:
    headers = {"upgrade": "SPDY/3.1", "connection": "Upgrade", "x-stream-protocol-version": protocols}
    return request(headers, query, "POST")


@asynccontextmanager
async def upgraded(response: Response) -> AsyncIterator[Duplex]:
    """The client's end of a response that upgrades; the server's task must end well once the client has left."""
    assert response.status == 101 and response.upgrade is not None, response
    ours, theirs = pipe()
    task = asyncio.ensure_future(response.upgrade(theirs))
    try:
        yield ours
    finally:
        ours.close()
        await asyncio.wait_for(task, PATIENCE)


class WebSocketClient:
    def __init__(self, duplex: Duplex) -> None:
        self.duplex = duplex
        self._protocol = Connection(ConnectionType.CLIENT)
        self._events: list[Event] = []
        self._partial: dict[type, Any] = {}

    async def send(self, *messages: bytes | str | Event) -> None:
        for message in messages:
            if isinstance(message, str):
                message = TextMessage(data=message)
            elif isinstance(message, bytes):
                message = BytesMessage(data=message)
            await self.duplex.write(self._protocol.send(message))

    async def event(self) -> Event | None:
        """The next whole message, pong or close; None at the end of the connection."""
        async with asyncio.timeout(PATIENCE):
            while not self._events:
                data = await self.duplex.read()
                if not data:
                    return None
                self._protocol.receive_data(data)
                self._events += [e for e in self._protocol.events() if not isinstance(e, Ping)]
        return self._events.pop(0)

    async def message(self) -> bytes:
        event = await self.event()
        assert isinstance(event, BytesMessage), event
        return bytes(event.data)

    async def rest(self) -> tuple[dict[int, bytes], int | None]:
        """Everything by channel until the close, and its code."""
        found: dict[int, bytes] = {}
        while (event := await self.event()) is not None:
            if isinstance(event, CloseConnection):
                return found, int(event.code)
            if isinstance(event, BytesMessage):
                found[event.data[0]] = found.get(event.data[0], b"") + bytes(event.data[1:])
            else:
                assert isinstance(event, Pong), event
        return found, None


class SpdyClient:
    """Speaks as moby/spdystream does: no windows, one compression context a direction."""

    def __init__(self, duplex: Duplex) -> None:
        self.duplex = duplex
        self._packer = zlib.compressobj(zdict=DICTIONARY)
        self._unpacker = zlib.decompressobj(zdict=DICTIONARY)
        self._held = b""
        self._next = 1
        self.data: dict[int, bytes] = {}
        self.finished: set[int] = set()
        self.replied: set[int] = set()
        self.resets: dict[int, int] = {}
        self.grants: dict[int, int] = {}
        self.pongs: list[int] = []
        self.gone_away = False
        self.ended = False

    async def open(self, fin: bool = False, **headers: str) -> int:
        identity, self._next = self._next, self._next + 2
        plain = struct.pack("!I", len(headers))
        for name, value in headers.items():
            for text in (name.encode(), value.encode()):
                plain += struct.pack("!I", len(text)) + text
        block = self._packer.compress(plain) + self._packer.flush(zlib.Z_SYNC_FLUSH)
        await self.control(1, struct.pack("!IIH", identity, 0, 0) + block, flags=1 if fin else 0)
        return identity

    async def control(self, kind: int, payload: bytes, flags: int = 0) -> None:
        await self.duplex.write(struct.pack("!HHI", 0x8003, kind, flags << 24 | len(payload)) + payload)

    async def send(self, identity: int, data: bytes, fin: bool = False) -> None:
        await self.duplex.write(struct.pack("!II", identity, (0x01000000 if fin else 0) | len(data)) + data)

    async def ping(self, identity: int) -> None:
        await self.control(6, struct.pack("!I", identity))

    async def step(self) -> bool:
        """Read once; False at the end."""
        async with asyncio.timeout(PATIENCE):
            incoming = await self.duplex.read()
        self.ended = not incoming
        self._held += incoming
        while len(self._held) >= 8:
            first, second = struct.unpack_from("!II", self._held)
            length = second & 0xFFFFFF
            if len(self._held) < 8 + length:
                break
            payload, self._held = self._held[8 : 8 + length], self._held[8 + length :]
            self._take(first, second >> 24, payload)
        return not self.ended

    def _take(self, first: int, flags: int, payload: bytes) -> None:
        if not first & 0x80000000:
            self.data[first] = self.data.get(first, b"") + payload
            if flags & 1:
                self.finished.add(first)
            return
        kind = first & 0xFFFF
        number = struct.unpack_from("!I", payload)[0]
        if kind == 2:
            assert self._unpacker.decompress(payload[4:]) == b"\0\0\0\0"
            self.replied.add(number)
        elif kind == 3:
            self.resets[number] = struct.unpack_from("!I", payload, 4)[0]
        elif kind == 6:
            self.pongs.append(number)
        elif kind == 7:
            self.gone_away = True
        elif kind == 9:
            self.grants[number] = self.grants.get(number, 0) + struct.unpack_from("!I", payload, 4)[0]

    async def until(self, condition: Any) -> None:
        while not condition():
            assert await self.step(), "the server hung up"

    async def drain(self) -> None:
        """Until the server has said goodbye; it then waits for us to close."""
        while not self.gone_away and await self.step():
            pass


class StreamServerWorld(StreamWorld):
    @property
    def pods(self) -> PodStreams:
        return PodStreams(self.gateway.streams, self.clock)
