"""Every node port of a service has its claim, and a claim that no service holds for three rounds is given back.

A service and the claims of its ports are written one after the other, so a server that dies between leaves one without
the other. A round every three minutes, and one before a server is ready: then services that are older than the claims
get theirs. https://kubernetes.io/docs/concepts/services-networking/service/#avoid-nodeport-collisions
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.log import logger
from ropewalk.kube.controllers.following import found
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
BY_PORT, OUTSIDE = "node port", "outside"
ROUNDS = 3
"""A claim is taken for a leak in the round that finds it unused for this many times."""


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
        self._unused.clear()  # another server led meanwhile
        while True:
            await self.once()
            await self._clock.sleep(EVERY_SECONDS)

    async def once(self) -> None:
        """One round. What the cache thinks wrong is read anew before anything is done about it."""
        services = self._api.cache(SERVICES)
        await services.synced()
        services.index(BY_PORT, self._index_keys)
        claimed = {int(item.key): item for item in await self._pool.ports.list()}
        for service in services.by_index(BY_PORT, OUTSIDE):
            for port in filter(lambda port: not self._pool.is_port(port), held_ports(service)):
                told = f"Port {port} is not within the port range {self._pool.port_range}; please recreate service"
                await self._warnings.warn(service, "PortOutOfRange", ACTION, told)
        for port in self._pool.all_ports():
            holders = services.by_index(BY_PORT, str(port))
            if holders:
                await self._repair(port, holders, claimed.pop(port, None))
        await self._give_back(claimed)

    def _index_keys(self, service: Object) -> list[str]:
        return [str(port) if self._pool.is_port(port) else OUTSIDE for port in held_ports(service)]

    async def _repair(self, port: int, holders: Sequence[Object], claim: Versioned[PortClaim] | None) -> None:
        """The port is the one's whose claim it is, else the first one's."""
        owner = "" if claim is None else claim.record.uid
        holder = next((one for one in holders if uid_of(one) == owner), holders[0])
        for other in holders:
            if other is not holder:
                told = f"Port {port} was assigned to multiple services; please recreate service"
                await self._warnings.warn(other, "PortAlreadyAllocated", ACTION, told)
        if uid_of(holder) != owner:
            await self._restore(port, holder, claim)

    async def _holds(self, claim: PortClaim, port: int) -> bool:
        """Whether that very service is there, and has the port, now."""
        service = await found(self._api, SERVICES, claim.namespace, claim.name)
        return service is not None and uid_of(service) == claim.uid and port in held_ports(service)

    async def _restore(self, port: int, service: Object, claim: Versioned[PortClaim] | None) -> None:
        if not await self._holds(port_claim(service), port):
            return
        if claim is not None and await self._holds(claim.record, port):
            return  # which the cache has yet to hear of: the next round sees both
        try:
            if claim is None:
                await self._pool.ports.create(str(port), port_claim(service))
            else:
                await self._pool.ports.update(str(port), port_claim(service), claim.revision)
        except (KeyExists, KeyMissing, WrongRevision):
            return  # claimed or given back meanwhile: the next round sees more
        told = f"Port {port} is not allocated; repairing"
        await self._warnings.warn(service, "PortNotAllocated", ACTION, told)

    async def _give_back(self, unused: Mapping[int, Versioned[PortClaim]]) -> None:
        seen = {}
        for port, claim in unused.items():
            rounds = self._unused.get((port, claim.revision), 0) + 1
            if rounds < ROUNDS:
                seen[port, claim.revision] = rounds
                continue
            if await self._holds(claim.record, port):
                continue
            log.warning("a node port appears to have leaked: cleaning up", port=port)
            with suppress(WrongRevision):
                await self._pool.ports.delete(str(port), claim.revision)
        self._unused = seen
