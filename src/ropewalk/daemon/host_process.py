"""The host agent's process: the network under every machine of this host.

It dials the control plane for the fabric, and serves attachments and VPC sockets to the machine agents beside it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from ropewalk.base.clock import Clock, SystemClock
from ropewalk.base.errors import Retryable
from ropewalk.base.settings import Settings
from ropewalk.daemon.parts import Parts, default_folder
from ropewalk.model.agent import FabricDown
from ropewalk.network.host_agent import HostAgent, HostSettings
from ropewalk.node.transport import HttpTransport, Transport, TransportFailure

HOST = "host"
"""This host's name in the fabric; a second host brings a name of its own when it joins."""
_DNS_PORT = 53


async def _fabric(transport: Transport) -> AsyncIterator[FabricDown]:
    try:
        async for message in transport.fabric(HOST):
            yield message
    except TransportFailure as failure:
        raise Retryable(str(failure)) from failure


def host_agent(settings: Settings, clock: Clock, transport: HttpTransport) -> HostAgent:
    """The host agent of an installation; its `teardown` needs no other process of ours."""
    resolver = settings.upstream_resolver
    return HostAgent(
        HostSettings(
            folder=settings.home / "network",
            socket=settings.host_socket,
            region=settings.region,
            upstream=((resolver, _DNS_PORT),) if resolver else (),
        ),
        Parts(default_folder(settings)).command("nft"),
        lambda: _fabric(transport),
        clock,
    )


async def serve(settings: Settings) -> None:
    transport = HttpTransport(socket_path=str(settings.agent_socket))
    try:
        await host_agent(settings, SystemClock(), transport).run()
    finally:
        await transport.close()
