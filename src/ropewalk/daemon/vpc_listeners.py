"""The AWS endpoint inside every VPC: sockets that the host agent opens in the routers and passes over.

These listeners are named "vpc", not "host": signatures are always verified there, whatever the host's own listener
accepts. A socket outlives the host agent that opened it; one VPC is tried again until its router stands.
"""

from __future__ import annotations

import asyncio

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import SystemEntropy
from ropewalk.base.errors import Retryable
from ropewalk.base.http.server import HttpServer
from ropewalk.base.settings import DEFAULT_PORT
from ropewalk.daemon.control_plane import ControlPlane
from ropewalk.model.host import AWS_ENDPOINT_ADDRESS
from ropewalk.model.ids import VpcId
from ropewalk.network.client import HostClient
from ropewalk.runtime.controller import DONE, Controller, Result
from ropewalk.runtime.informer import Change, Informer
from ropewalk.services.ec2.records import Vpc

_RETRY = 0.2


class VpcListeners:
    """A `Runnable`: one listener a VPC, as VPCs come and go."""

    name = "vpc-listeners"

    def __init__(self, plane: ControlPlane, clock: Clock) -> None:
        self._plane = plane
        self._clock = clock
        self._host = HostClient(plane.settings.host_socket)
        self._servers: dict[str, HttpServer] = {}
        self._vpcs = Informer(plane.ec2.vpcs, clock)
        self._controller = Controller("vpc-listener", self._reconcile, clock=clock, entropy=SystemEntropy())
        self._vpcs.on_change(self._changed)

    def _changed(self, change: Change[Vpc]) -> None:
        self._controller.enqueue(change.key)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._vpcs.run())
            tasks.create_task(self._controller.run())

    async def _reconcile(self, vpc: str) -> Result:
        server = self._servers.get(vpc)
        if self._vpcs.get(vpc) is None:
            if server is not None:
                del self._servers[vpc]
                await server.close()
            return DONE
        if server is None:
            try:
                listening = await self._host.listen(VpcId(vpc), AWS_ENDPOINT_ADDRESS, DEFAULT_PORT)
            except OSError as failure:
                raise Retryable(f"no socket in {vpc} yet: {failure}", after=_RETRY) from failure
            front = self._plane.front
            server = HttpServer(front.handle, name="vpc", clock=self._clock, refuse=front.refuse)
            await server.serve_socket(listening)
            self._servers[vpc] = server
        return DONE
