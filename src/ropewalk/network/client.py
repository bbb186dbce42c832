"""The host agent from another process: `HostNetwork` over its Unix socket."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

from ropewalk.base.errors import Retryable
from ropewalk.model.host import Attached, Attachment
from ropewalk.model.ids import InterfaceId, VpcId
from ropewalk.network import wire
from ropewalk.network.wire import wake


class HostClient:
    """One connection a call: 0.1 ms, and nothing to mend when the host agent has been restarted.

    Raises what the host agent raises, and `Retryable` while it is away.
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    async def attach(self, attachment: Attachment) -> Attached:
        reply, _ = await self._call(wire.Attach(attachment))
        if not isinstance(reply, wire.AttachedReply):
            raise Retryable("the host agent answered attach with something else")
        return reply.attached

    async def detach(self, interface: InterfaceId) -> None:
        await self._call(wire.Detach(interface))

    async def listen(self, vpc: VpcId, address: str, port: int) -> socket.socket:
        _, descriptor = await self._call(wire.Listen(vpc, address, port))
        if descriptor is None:
            raise Retryable("the host agent's answer to listen brought no socket")
        opened = socket.socket(fileno=descriptor)
        opened.setblocking(False)
        return opened

    async def vpcs(self) -> tuple[VpcId, ...]:
        reply, _ = await self._call(wire.Vpcs())
        if not isinstance(reply, wire.VpcsReply):
            raise Retryable("the host agent answered vpcs with something else")
        return reply.vpcs

    async def _call(
        self, request: wire.Request
    ) -> tuple[wire.AttachedReply | wire.DoneReply | wire.VpcsReply, int | None]:
        loop = asyncio.get_running_loop()
        descriptor: int | None = None
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.setblocking(False)
                await loop.sock_connect(connection, str(self._path))
                await loop.sock_sendall(connection, wire.encode(request))
                line = b""
                while not line.endswith(b"\n"):
                    data, descriptors = await _receive(loop, connection)
                    for passed in descriptors:
                        if descriptor is not None:
                            os.close(descriptor)
                        descriptor = passed
                    if not data:
                        raise Retryable("the host agent closed the connection before it answered")
                    line += data
            return wire.checked(wire.REPLIES.decode(line)), descriptor
        except OSError as error:
            if descriptor is not None:
                os.close(descriptor)
            raise Retryable(f"the host agent cannot be reached at {self._path}: {error.strerror or error}") from error
        except BaseException:
            if descriptor is not None:
                os.close(descriptor)
            raise


async def _receive(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> tuple[bytes, list[int]]:
    while True:
        try:
            data, descriptors, _, _ = socket.recv_fds(connection, wire.MAX_LINE, 1, socket.MSG_CMSG_CLOEXEC)
            return data, descriptors
        except BlockingIOError:
            ready: asyncio.Future[None] = loop.create_future()
            loop.add_reader(connection.fileno(), wake, ready)
            try:
                await ready
            finally:
                loop.remove_reader(connection.fileno())
