"""exec, attach and port-forward over a WebSocket: one byte of channel before each message.

Protocols (k8s.io/apimachinery, `wsstream`): `v5.channel.k8s.io` adds to `v4.channel.k8s.io` that input can be ended
(channel 255 names the channel that closes); v4 tells the end as a Status; older ones (`channel.k8s.io` and none at all)
as text, and nothing on success. `base64.…` are the same in text messages. Channels of a command: 0 input, 1 output,
2 error output, 3 status, 4 terminal sizes; of forwarded port n: 2n data, 2n+1 errors, each begun by the port's number.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import struct
from collections.abc import AsyncIterator, Sequence

import orjson

from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.streams.clients import (
    ClientEvent,
    ClientGone,
    ForwardedConnection,
    InputEnded,
    SizeReader,
    Typed,
)
from ropewalk.kube.streams.websocket import WebSocket

V5 = "v5.channel.k8s.io"
COMMAND_PROTOCOLS = (
    V5,
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
    "",
)
PORT_PROTOCOLS = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io", "")
STDIN, STDOUT, STDERR, STATUS, RESIZE = range(5)
CLOSE = 255
HELD_PIECES = 64


class Channels:
    """Messages with their channels, in the coding of the protocol agreed on."""

    def __init__(self, socket: WebSocket, protocol: str) -> None:
        self._socket = socket
        self._base64 = "base64" in protocol
        self.closes = protocol == V5
        self.tells_status = protocol.startswith(("v4.", "v5."))

    async def receive(self) -> tuple[int, bytes] | None:
        """The next message that has a channel; None once the client is gone."""
        while (message := await self._socket.receive()) is not None:
            if self._base64:
                found = _decoded(message)
                if found is not None:
                    return found
            elif message:
                data = message.encode() if isinstance(message, str) else message
                return data[0], data[1:]
        return None

    async def send(self, channel: int, data: bytes) -> None:
        message: bytes | str = bytes((channel,)) + data
        if self._base64:
            message = chr(ord("0") + channel) + base64.b64encode(data).decode()
        try:
            await self._socket.send(message)
        except ConnectionError as gone:
            raise ClientGone(str(gone)) from gone


def _decoded(message: bytes | str) -> tuple[int, bytes] | None:
    text = message if isinstance(message, bytes) else message.encode()
    if not b"0" <= text[:1] <= b"9":
        return None
    try:
        return text[0] - ord("0"), base64.b64decode(text[1:], validate=True)
    except binascii.Error:
        return None


class ChannelCommand:
    """A `CommandClient`."""

    def __init__(self, socket: WebSocket, protocol: str) -> None:
        self._channels = Channels(socket, protocol)
        self._sizes = SizeReader()
        self._waiting: list[ClientEvent] = []

    async def greet(self, *, stdout: bool, stderr: bool) -> None:
        """An empty message on the lowest channel written to: clients take it as the sign that they are connected."""
        await self._channels.send(STDOUT if stdout else STDERR if stderr else STATUS, b"")

    async def receive(self) -> ClientEvent | None:
        while not self._waiting:
            found = await self._channels.receive()
            if found is None:
                return None
            channel, data = found
            if channel == CLOSE and self._channels.closes:
                if len(data) != 1:
                    return None  # broken: the kubelet ends the connection, too
                if data[0] == STDIN:
                    return InputEnded()
            elif channel == STDIN and data:
                return Typed(data)
            elif channel == RESIZE:
                self._waiting += self._sizes.feed(data)
        return self._waiting.pop(0)

    async def write(self, data: bytes, *, error: bool) -> None:
        await self._channels.send(STDERR if error else STDOUT, data)

    async def finish(self, status: Object) -> None:
        if self._channels.tells_status:
            await self._channels.send(STATUS, orjson.dumps(status))
        elif status.get("status") != "Success":
            await self._channels.send(STATUS, str(status.get("message", "")).encode())


class ChannelForward:
    """A `ForwardClient`: every port that was asked for is one connection, from the start."""

    def __init__(self, socket: WebSocket, protocol: str, ports: Sequence[int]) -> None:
        self._channels = Channels(socket, protocol)
        self._ports = [_ChannelConnection(self._channels, number, port) for number, port in enumerate(ports)]

    async def connections(self) -> AsyncIterator[ForwardedConnection]:
        for each in self._ports:
            await each.greet()
            yield each
        while (found := await self._channels.receive()) is not None:
            channel, data = found
            if channel % 2 == 0 and channel // 2 < len(self._ports) and data:
                await self._ports[channel // 2].deliver(data)
        for each in self._ports:
            each.hung_up()


class _ChannelConnection:
    def __init__(self, channels: Channels, number: int, port: int) -> None:
        self._channels = channels
        self._number = number
        self.port = port
        self._typed: asyncio.Queue[bytes] = asyncio.Queue(HELD_PIECES)
        self._over = asyncio.Event()

    async def greet(self) -> None:
        for channel in (2 * self._number, 2 * self._number + 1):
            await self._channels.send(channel, struct.pack("<H", self.port))

    async def deliver(self, data: bytes) -> None:
        if not self._over.is_set():
            await self._typed.put(data)

    def hung_up(self) -> None:
        self._over.set()

    async def read(self) -> bytes:
        if not self._typed.empty():
            return self._typed.get_nowait()
        if self._over.is_set():
            return b""
        taking = asyncio.ensure_future(self._typed.get())
        over = asyncio.ensure_future(self._over.wait())
        try:
            await asyncio.wait((taking, over), return_when=asyncio.FIRST_COMPLETED)
            return taking.result() if taking.done() else b""
        finally:
            taking.cancel()
            over.cancel()

    async def write(self, data: bytes) -> None:
        await self._channels.send(2 * self._number, data)

    async def fail(self, message: str) -> None:
        await self._channels.send(2 * self._number + 1, message.encode())

    async def close(self) -> None:
        """The protocol has no sign for the end of one port: the connection ends with the last of them."""
        self._over.set()
        while not self._typed.empty():
            self._typed.get_nowait()
