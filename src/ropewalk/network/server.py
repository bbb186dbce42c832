"""Serves a `HostNetwork` on a Unix socket: plain sockets instead of streams, for a stream cannot pass a descriptor."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path

import msgspec

from ropewalk.base.errors import Fault, Retryable
from ropewalk.base.log import logger
from ropewalk.model.host import HostNetwork
from ropewalk.network import wire
from ropewalk.network.wire import wake

log = logger(__name__)
_MAX_CONNECTIONS = 256


class HostServer:
    """One socket file, mode 0600: whoever may connect may place interfaces."""

    def __init__(self, network: HostNetwork, path: Path) -> None:
        self._network = network
        self._path = path
        self._connections: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_MAX_CONNECTIONS)

    async def run(self) -> None:
        """Serve until cancelled; the file goes with it."""
        listening = self._bind()
        loop = asyncio.get_running_loop()
        try:
            while True:
                await self._slots.acquire()
                connection, _ = await loop.sock_accept(listening)
                task = loop.create_task(self._converse(connection))
                self._connections.add(task)
                task.add_done_callback(self._closed)
        finally:
            listening.close()
            self._path.unlink(missing_ok=True)
            for task in list(self._connections):
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        self._slots.release()

    def _bind(self) -> socket.socket:
        """Bound under another name and moved into place: whoever finds the file can connect to it."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.setblocking(False)
        listening.bind(str(fresh))
        fresh.chmod(0o600)
        listening.listen(128)
        os.replace(fresh, self._path)
        return listening

    async def _converse(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        pending = b""
        with connection, contextlib.suppress(OSError):
            connection.setblocking(False)
            while True:
                line, newline, rest = pending.partition(b"\n")
                if newline:
                    pending = rest
                    await self._reply(connection, line)
                    continue
                if len(pending) > wire.MAX_LINE:
                    return
                data = await loop.sock_recv(connection, wire.MAX_LINE)
                if not data:
                    return
                pending += data

    async def _reply(self, connection: socket.socket, line: bytes) -> None:
        passed: socket.socket | None = None
        try:
            reply, passed = await self._do(wire.REQUESTS.decode(line))
        except msgspec.MsgspecError as error:
            reply = wire.FaultReply("MalformedRequest", f"The request is none that this host agent knows: {error}")
        except (Fault, Retryable) as error:
            reply = wire.failure(error)
        except Exception as error:
            log.bug("host request failed")
            reply = wire.RetryReply(f"the host agent failed: {type(error).__name__}: {error}", 1.0)
        if passed is None:
            await asyncio.get_running_loop().sock_sendall(connection, wire.encode(reply))
            return
        with passed:
            await _send_with(connection, wire.encode(reply), passed)

    async def _do(self, request: wire.Request) -> tuple[wire.Reply, socket.socket | None]:
        if isinstance(request, wire.Attach):
            return wire.AttachedReply(await self._network.attach(request.attachment)), None
        if isinstance(request, wire.Detach):
            await self._network.detach(request.interface)
            return wire.DoneReply(), None
        if isinstance(request, wire.Listen):
            return wire.DoneReply(), await self._network.listen(request.vpc, request.address, request.port)
        return wire.VpcsReply(await self._network.vpcs()), None


async def _send_with(connection: socket.socket, data: bytes, passed: socket.socket) -> None:
    """The descriptor rides on the reply. A short reply fits into the socket's buffer unless the peer reads nothing."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            sent = socket.send_fds(connection, [data], [passed.fileno()])
        except BlockingIOError:
            ready: asyncio.Future[None] = loop.create_future()
            loop.add_writer(connection.fileno(), wake, ready)
            try:
                await ready
            finally:
                loop.remove_writer(connection.fileno())
        else:
            await loop.sock_sendall(connection, data[sent:])
            return
