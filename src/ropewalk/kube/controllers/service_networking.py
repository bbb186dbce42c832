"""What keeps service addresses and node ports true, put together: the ranges, and the repair of what a crash left."""

from __future__ import annotations

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.controllers.default_service_range import DefaultServiceRange
from ropewalk.kube.controllers.node_port_repair import NodePortRepair
from ropewalk.kube.controllers.service_address_repair import ServiceAddressRepair
from ropewalk.kube.controllers.service_cidrs import ServiceCIDRController
from ropewalk.kube.kinds.core.service_addresses import ServiceAddresses
from ropewalk.kube.machinery.recorder import Events
from ropewalk.kube.machinery.registry.inside import InsideApi
from ropewalk.runtime.controller import Runnable


class ServiceNetworking:
    """`runnables` run on every server, `led` on the one that leads."""

    def __init__(self, api: InsideApi, pool: ServiceAddresses, hostname: str, clock: Clock, entropy: Entropy) -> None:
        self._pool = pool
        events = Events(api, clock, "events of the default service range")
        recorder = events.recorder("kubernetes-service-cidr-controller")
        self._range = DefaultServiceRange(api, pool.configured, recorder, clock)
        self._addresses = ServiceAddressRepair(api, pool, hostname, clock, entropy)
        self._ports = NodePortRepair(api, pool, hostname, clock, entropy)
        cidrs = ServiceCIDRController(api.acting_as("kube-controller-manager"), clock, entropy)
        self.runnables: list[Runnable] = [self._range, events]
        self.led: list[Runnable] = [cidrs, self._addresses, self._ports]

    async def start(self) -> None:
        """Learn what services hold, then begin to hand out the rest. A service that is written meanwhile waits."""
        await self._range.sync()
        await self._addresses.once()
        await self._ports.once()
        self._pool.open()
