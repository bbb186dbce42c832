"""An HTTP/1.1 server for both families: listeners, connections, deadlines, a graceful stop.

Knows nothing of AWS or Kubernetes: a handler answers requests, and a `Refuse` may word what never reaches the handler.
uvloop or asyncio is the process's choice; so is TLS (a context that verifies clients gives `Peer.certificate`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from pathlib import Path

from ropewalk.base.clock import Clock, happens
from ropewalk.base.http.connection import Connection
from ropewalk.base.http.limits import Limits
from ropewalk.base.http.messages import Handler, Refusal, Refuse, Request, Response, plain_refusal
from ropewalk.base.http.wire import http_date
from ropewalk.base.log import logger

__all__ = ["HttpServer", "Limits"]

log = logger(__name__)

SWEEP_SECONDS = 1.0
"""How often deadlines are looked at: they may be overrun by this much."""

FAREWELL_SECONDS = 0.5
"""For clients that idle to take notice of our end: of TLS some do so only when they next use the connection."""


class HttpServer:
    """Serves one handler on any number of sockets, all under one listener name."""

    def __init__(
        self,
        handler: Handler,
        *,
        name: str,
        clock: Clock,
        limits: Limits | None = None,
        refuse: Refuse = plain_refusal,
    ) -> None:
        self.name = name
        self.clock = clock
        self.limits = limits or Limits()
        self._handler = handler
        self._refuse = refuse
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []
        self._paths: list[Path] = []
        self._sweeper: asyncio.Task[None] | None = None
        self._empty = asyncio.Event()
        self._empty.set()
        self._date_second = -1
        self._date_line = ""

    # --- listening

    async def serve_tcp(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> int:
        """Listen on an address; answers the port, chosen by the kernel where `port` is 0. Raises `OSError`."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
        except OSError:
            sock.close()
            raise
        await self.serve_socket(sock, tls=tls)
        return int(sock.getsockname()[1])

    async def serve_unix(self, path: Path, mode: int = 0o600) -> None:
        """Listen on a socket file, replacing what a dead process left there. Raises `OSError`."""
        sock = _bound_unix(path, mode)
        self._paths.append(path)
        await self.serve_socket(sock)

    async def serve_socket(self, sock: socket.socket, *, tls: ssl.SSLContext | None = None) -> None:
        """Listen on a bound stream socket (TCP or Unix), which the server owns from now on."""
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        if sock.family == socket.AF_UNIX:
            server = await loop.create_unix_server(lambda: Connection(self), sock=sock, ssl=tls, backlog=1024)
        else:
            server = await loop.create_server(lambda: Connection(self), sock=sock, ssl=tls, backlog=1024)
        self._servers.append(server)
        if self._sweeper is None:
            self._sweeper = loop.create_task(self._sweep(), name=f"http-{self.name}-deadlines")

    async def close(self, grace: float = 5.0) -> None:
        """Stop listening, let answers under way finish for up to `grace` seconds, then cut the rest off."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for connection in tuple(self._connections):
            connection.stop()
        await self._emptied(min(grace, FAREWELL_SECONDS))
        if any(connection.busy for connection in self._connections):
            await self._emptied(grace)
        for connection in tuple(self._connections):
            connection.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
            self._sweeper = None
        self._remove_socket_files()

    async def _emptied(self, seconds: float) -> None:
        """Until no connection is left, or that time is over."""
        await happens(self._empty, self.clock, seconds)

    def _remove_socket_files(self) -> None:
        for path in self._paths:
            path.unlink(missing_ok=True)
        self._paths.clear()

    # --- for connections

    @property
    def connections(self) -> int:
        return len(self._connections)

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; False where it is one too many (it is answered and closed)."""
        self._connections.add(connection)
        self._empty.clear()
        return len(self._connections) <= self.limits.connections

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    @property
    def date_line(self) -> str:
        second = int(self.clock.wall())
        if second != self._date_second:
            self._date_second = second
            self._date_line = f"date: {http_date(second)}\r\n"
        return self._date_line

    async def respond(self, request: Request | None, refusal: Refusal | None) -> Response:
        """The handler's answer, or the refusal in words; 500 where either fails."""
        try:
            if refusal is not None:
                return self._refuse(refusal, request)
            assert request is not None
            return await self._handler(request)
        except Exception:
            log.bug("handler failed", listener=self.name, target=request.path if request else "")
            return Response(500, {"content-type": "text/plain"}, b"Internal Server Error\n")

    async def _sweep(self) -> None:
        while True:
            await self.clock.sleep(SWEEP_SECONDS)
            now = self.clock.monotonic()
            for connection in tuple(self._connections):
                if connection.deadline <= now:
                    connection.expire()


def _bound_unix(path: Path, mode: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        sock.bind(str(path))
        os.chmod(path, mode)  # before it listens: nobody gets in with the wrong mode
    except OSError:
        sock.close()
        raise
    return sock
