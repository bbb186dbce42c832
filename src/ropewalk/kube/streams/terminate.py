"""pods/exec, attach, portforward, log and proxy: from the request to the pod's agent. The entrance of this package.

The caller has authenticated, authorized and read the pod; here its options are judged, the client's protocol agreed on
and the conversation carried. Clients speak WebSocket (v5, v4, older, and SPDY tunnelled for ports) or SPDY/3.1, agents
only the neutral framing of `model/streams.py`. https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ropewalk.base.clock import Clock
from ropewalk.base.http.messages import Duplex, Request, Response
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.objects import Object, at, uid_of
from ropewalk.kube.streams import channels, logs, options, port_forward, proxy, remote_command, spdy_clients, websocket
from ropewalk.kube.streams.agent_streams import Opener, Place
from ropewalk.kube.streams.clients import ClientGone
from ropewalk.kube.streams.connection import talk
from ropewalk.kube.streams.spdy_session import Refuse, SpdySession
from ropewalk.model.ids import MachineId, WorkloadUid

TUNNEL = "SPDY/3.1+"
"""Prefix of a WebSocket subprotocol: the rest is the version spoken over the tunnelled SPDY."""

Locate = Callable[[Object], Place]


def place_of(pod: Object) -> Place:
    """Nodes are machines by name, pods are workloads by uid."""
    return Place(MachineId(str(at(pod, "spec", "nodeName") or "")), WorkloadUid(uid_of(pod)))


class PodStreams:
    """Every method raises `StatusFault` for what can be refused before the upgrade."""

    def __init__(
        self, opener: Opener, clock: Clock, *, locate: Locate = place_of, split_log_streams: bool = False
    ) -> None:
        self._opener = opener
        self._clock = clock
        self._locate = locate
        self._split_log_streams = split_log_streams

    async def exec(self, request: Request, pod: Object) -> Response:
        return self._command(request, pod, attach=False)

    async def attach(self, request: Request, pod: Object) -> Response:
        return self._command(request, pod, attach=True)

    def _command(self, request: Request, pod: Object, *, attach: bool) -> Response:
        wanted = options.command_options(options.query_of(request.query), pod, attach=attach)
        place = self._locate(pod)
        if websocket.is_websocket(request):
            protocol = websocket.negotiated(request, channels.COMMAND_PROTOCOLS)

            async def over_channels(socket: websocket.WebSocket) -> None:
                client = channels.ChannelCommand(socket, protocol)
                try:
                    await client.greet(stdout=wanted.stdout, stderr=wanted.stderr)
                except ClientGone:
                    return
                await remote_command.run(client, self._opener, place, wanted, attach=attach)

            return websocket.accept(request, protocol, self._clock, over_channels)
        if spdy_clients.is_spdy(request):
            version = spdy_clients.negotiated(request, spdy_clients.COMMAND_PROTOCOLS)

            async def over_spdy(session: SpdySession) -> None:
                client = spdy_clients.SpdyCommand(session, version)
                try:
                    began = await client.begin(
                        self._clock, stdin=wanted.stdin, stdout=wanted.stdout, stderr=wanted.stderr, tty=wanted.tty
                    )
                    if began:
                        await remote_command.run(client, self._opener, place, wanted, attach=attach)
                finally:
                    await client.close()

            return self._spdy(version, _welcome, over_spdy)
        raise errors.bad_request("Upgrade request required")

    async def port_forward(self, request: Request, pod: Object) -> Response:
        options.assigned(pod)
        place = self._locate(pod)

        async def over_spdy(session: SpdySession) -> None:
            client = spdy_clients.SpdyForward(session, self._clock)
            await port_forward.forward(client, self._opener, place)

        if websocket.is_websocket(request):
            tunnelled = tuple(TUNNEL + version for version in spdy_clients.PORT_PROTOCOLS)
            protocol = websocket.negotiated(request, (*tunnelled, *channels.PORT_PROTOCOLS))
            if protocol in tunnelled:

                async def through_tunnel(socket: websocket.WebSocket) -> None:
                    await _session(websocket.WebSocketBytes(socket), spdy_clients.refuse_forward, over_spdy)

                return websocket.accept(request, protocol, self._clock, through_tunnel)
            ports = options.forward_ports(options.query_of(request.query), required=True)

            async def over_channels(socket: websocket.WebSocket) -> None:
                client = channels.ChannelForward(socket, protocol, ports)
                await port_forward.forward(client, self._opener, place, expected=len(ports))

            return websocket.accept(request, protocol, self._clock, over_channels)
        if spdy_clients.is_spdy(request):
            version = spdy_clients.negotiated(request, spdy_clients.PORT_PROTOCOLS)
            return self._spdy(version, spdy_clients.refuse_forward, over_spdy)
        raise errors.bad_request("Upgrade request required")

    async def log(self, request: Request, pod: Object) -> Response:
        query = options.query_of(request.query)
        wanted = options.log_options(query, pod, self._clock.wall(), split_streams=self._split_log_streams)
        return await logs.response(self._opener, self._locate(pod), pod, wanted)

    async def proxy(self, request: Request, pod: Object, wanted: proxy.Named, path: str, prefix: str) -> Response:
        """`path` and `prefix`: raw, what follows `proxy` in the URL and what it is up to there."""
        options.assigned(pod)
        port = proxy.pod_port(wanted, pod)
        place = self._locate(pod)
        return await proxy.carry(request, self._opener, self._clock, place, port, path, prefix, scheme=wanted.scheme)

    def _spdy(self, version: str, refuse: Refuse, handler: Callable[[SpdySession], Awaitable[None]]) -> Response:
        headers = {
            "connection": "Upgrade",
            "upgrade": spdy_clients.UPGRADE,
            "x-stream-protocol-version": version,
        }

        async def upgraded(duplex: Duplex) -> None:
            await _session(duplex, refuse, handler)

        return Response(101, headers, upgrade=lambda duplex: talk(duplex, self._clock, upgraded))


def _welcome(headers: dict[str, str]) -> str:
    return ""


async def _session(duplex: Duplex, refuse: Refuse, handler: Callable[[SpdySession], Awaitable[None]]) -> None:
    """Read the session while the handler talks; say goodbye when it is done."""
    session = SpdySession(duplex, refuse)
    reading = asyncio.ensure_future(session.run())
    try:
        await handler(session)
        await session.close()
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
