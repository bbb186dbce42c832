"""Every node port of a service has its claim, and a claim that no service holds for three rounds is given back.

A service and the claims of its ports are written one after the other, so a server that dies between leaves one without
the other. A round every three minutes, and one before a server is ready: then services that are older than the claims
get theirs. https://kubernetes.io/docs/concepts/services-networking/service/#avoid-nodeport-collisions
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.log import logger
from ropewalk.kube.controllers.warnings import Warnings
from ropewalk.kube.kinds.core.service_addresses import PortClaim, ServiceAddresses, port_claim
from ropewalk.kube.kinds.core.service_ranges import held_ports
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.objects import Object, uid_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.runtime.table import Versioned
from ropewalk.store.protocol import KeyExists, KeyMissing, Revision, WrongRevision

log = logger(__name__)

SERVICES = GroupResource("", "services")
CONTROLLER = "portallocator-repair-controller"
ACTION = "PortAllocation"
EVERY_SECONDS = 180.0
ROUNDS = 3
"""A claim is taken for a leak in the round that finds it unused for this many times."""

Claimed = Mapping[int, Versioned[PortClaim]]


class NodePortRepair:
    """A `Runnable`, of the leader; `once` is for every server that starts."""

    name = "node port repair"

    def __init__(self, api: Api, pool: ServiceAddresses, hostname: str, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._pool = pool
        self._clock = clock
        self._warnings = Warnings(api, CONTROLLER, hostname, clock, entropy)
        self._unused: dict[tuple[int, Revision], int] = {}
        """Claims that no service held, and in how many rounds."""

    async def run(self) -> None:
        self._unused.clear()
        while True:
            await self.once()
            await self._clock.sleep(EVERY_SECONDS)

    async def once(self) -> None:
        """One round. The services are read after the claims: who claims first and writes then is seen."""
        claimed = {int(item.key): item for item in await self._pool.ports.list()}
        holders = await self._holders(await self._api.list(SERVICES), claimed)
        for port, service in holders.items():
            await self._restore(port, service, claimed.get(port))
        await self._give_back({port: claim for port, claim in claimed.items() if port not in holders})

    async def _holders(self, services: list[Object], claimed: Claimed) -> dict[int, Object]:
        """The one service of each port: whose claim it is, else the first."""
        found: dict[int, list[Object]] = {}
        for service in services:
            for port in held_ports(service):
                if self._pool.is_port(port):
                    found.setdefault(port, []).append(service)
                    continue
                told = f"Port {port} is not within the port range {self._pool.port_range}; please recreate service"
                await self._warnings.warn(service, "PortOutOfRange", ACTION, told)
        holders: dict[int, Object] = {}
        for port, candidates in found.items():
            owner = claimed[port].record.uid if port in claimed else ""
            holders[port] = next((one for one in candidates if uid_of(one) == owner), candidates[0])
            for other in candidates:
                if other is not holders[port]:
                    told = f"Port {port} was assigned to multiple services; please recreate service"
                    await self._warnings.warn(other, "PortAlreadyAllocated", ACTION, told)
        return holders

    async def _restore(self, port: int, service: Object, claim: Versioned[PortClaim] | None) -> None:
        if claim is not None and claim.record.uid == uid_of(service):
            return
        try:
            if claim is None:
                await self._pool.ports.create(str(port), port_claim(service))
            else:
                await self._pool.ports.update(str(port), port_claim(service), claim.revision)
        except (KeyExists, KeyMissing, WrongRevision):
            return  # claimed or given back meanwhile: the next round sees more
        told = f"Port {port} is not allocated; repairing"
        await self._warnings.warn(service, "PortNotAllocated", ACTION, told)

    async def _give_back(self, unused: Claimed) -> None:
        seen = {}
        for port, claim in unused.items():
            rounds = self._unused.get((port, claim.revision), 0) + 1
            if rounds < ROUNDS:
                seen[port, claim.revision] = rounds
                continue
            log.warning("a node port appears to have leaked: cleaning up", port=port)
            with suppress(WrongRevision):
                await self._pool.ports.delete(str(port), claim.revision)
        self._unused = seen
