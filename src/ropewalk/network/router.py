"""One VPC's router on this host: its namespace, filter, resolver and served sockets, kept as the fabric says."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from ropewalk.base.clock import Clock
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.model.host import Attached, Attachment
from ropewalk.model.ids import InterfaceId, SecurityGroupId, VpcId
from ropewalk.model.network import FabricInterface, SecurityGroupSpec, VpcSpec
from ropewalk.network import apply_links, conntrack
from ropewalk.network.apply_filter import FilterApplier
from ropewalk.network.apply_links import Placement
from ropewalk.network.command import Command
from ropewalk.network.filter import FilterPlanner, Served
from ropewalk.network.names import Names, host_address
from ropewalk.network.plan import resolver_ports, router_plan
from ropewalk.network.requests import DNS_PORT, check_listener, resolver_addresses, subnet_of
from ropewalk.network.resolver import Forwarder, Resolver, Zone
from ropewalk.network.ruleset import Ruleset
from ropewalk.network.workers import Workers

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class World:
    """What every router of a host shares."""

    names: Names
    folder: Path
    """Where routers' namespaces are kept."""
    nft: Command
    workers: Workers
    clock: Clock
    forwarder: Forwarder
    region: str
    groups: Callable[[], Mapping[SecurityGroupId, SecurityGroupSpec]]
    addresses: Callable[[VpcId], Mapping[str, tuple[str, ...]]]
    """A VPC's own DNS names."""


class Router:
    """Created by the host agent, one a VPC. All methods may be repeated."""

    def __init__(self, vpc: VpcSpec, number: int, world: World) -> None:
        self.vpc = vpc
        self.number = number
        self.ready = False
        self.attached: dict[InterfaceId, FabricInterface] = {}
        self.placed: set[InterfaceId] = set()
        """Those that this process has put or found in their namespaces."""
        self._world = world
        self._served: set[Served] = set()
        self._sockets: dict[tuple[str, int], socket.socket] = {}
        self._resolver: Resolver | None = None
        self._planner = FilterPlanner(world.names)
        self._applied: tuple[VpcSpec, frozenset[Served]] | None = None
        self.filter = FilterApplier(world.nft, self.path, self._ruleset, world.workers)

    @property
    def path(self) -> Path:
        return self._world.folder / self._world.names.router(self.vpc.id)

    @property
    def uplink(self) -> str:
        return self._world.names.uplink(self.vpc.id)

    def remember(self, served: Iterable[Served]) -> None:
        """Ports whose sockets an earlier process of ours handed out: they stay open in the filter."""
        self._served.update(served)

    async def realise(self, vpc: VpcSpec) -> None:
        """Make or mend the router itself. The filter is in force before anything can pass."""
        self.vpc = vpc
        if not self.ready:
            ensure = functools.partial(apply_links.ensure_router, self.path, self.uplink, self.number)
            await self._world.workers.quick(ensure)
        await self.filter.converge()
        await self._apply_links()
        await self._serve_names()
        self.ready = True

    async def _apply_links(self) -> None:
        wanted = (self.vpc, frozenset(self._served) | resolver_ports(self.vpc))
        if self._applied != wanted:
            apply = functools.partial(apply_links.apply_router, self.path, router_plan(*wanted))
            await self._world.workers.quick(apply)
            self._applied = wanted

    def _ruleset(self) -> Ruleset:
        served = self._served | resolver_ports(self.vpc)
        source = str(host_address(self.number).ip)
        return self._planner.plan(self.attached.values(), self._world.groups(), served, source)

    async def attach(self, attachment: Attachment, record: FabricInterface) -> Attached:
        """Kernel and filter at once: whichever comes first, nothing passes before both are there."""
        subnet = subnet_of(self.vpc, record)
        placement = Placement(
            link=self._world.names.interface(record.id),
            namespace=attachment.namespace,
            name=attachment.name,
            mac=record.mac.lower(),
            addresses=tuple(IPv4Address(address) for address in record.addresses),
            gateway=IPv4Address(subnet.gateway),
        )
        self.attached[record.id] = record
        place = functools.partial(apply_links.attach, self.path, placement)
        placed, filtered = await asyncio.gather(
            self._world.workers.quick(place), self.filter.converge(), return_exceptions=True
        )
        for failure in (placed, filtered):
            if isinstance(failure, BaseException):
                raise failure
        self.placed.add(record.id)
        return Attached(record.id, record.addresses, subnet.gateway, record.mac.lower())

    async def detach(self, interface: InterfaceId) -> None:
        """Out of the filter first, so that nothing passes while the kernel takes its time with the veth."""
        record = self.attached.pop(interface, None)
        self.placed.discard(interface)
        await self.filter.converge()
        link = self._world.names.interface(interface)
        await self._world.workers.slow(functools.partial(apply_links.detach, self.path, link))
        if record is not None:
            await self._forget_flows(record)

    async def _forget_flows(self, record: FabricInterface) -> None:
        """So that the next owner of its addresses does not inherit what was open. A kernel without conntrack (nothing
        was ever filtered in it) or without such filters keeps them until they are idle.
        """
        addresses = tuple(IPv4Address(address) for address in record.addresses)
        try:
            await self._world.workers.quick(functools.partial(conntrack.forget, self.path, addresses))
        except OSError as error:
            log.warning("tracked flows of a detached interface stay until idle", interface=record.id, reason=error)

    async def sweep(self) -> None:
        """Delete veths of ours that nothing attached any more."""
        links = await self._world.workers.quick(
            functools.partial(apply_links.router_links, self.path, self._world.names)
        )
        known = {self._world.names.interface(interface) for interface in self.attached}
        for stray in set(links) - known:
            await self._world.workers.slow(functools.partial(apply_links.detach, self.path, stray))

    async def listen(self, address: str, port: int) -> socket.socket:
        """A copy of the listening socket at this address and port; the first call makes it."""
        check_listener(self.vpc, address, port)
        if not self.ready:
            raise Retryable(f"the router of {self.vpc.id} is being made", after=0.2)
        self._served.add(Served(address, "tcp", port))
        await self._apply_links()
        await self.filter.converge()
        kept = self._sockets.get((address, port))
        if kept is None:
            kept = await self._world.workers.quick(functools.partial(apply_links.listen, self.path, address, port))
            if other := self._sockets.get((address, port)):  # made by a second caller meanwhile
                kept.close()
                kept = other
            self._sockets[address, port] = kept
        return kept.dup()

    async def _serve_names(self) -> None:
        addresses = resolver_addresses(self.vpc)
        if self._resolver is not None and self._resolver.addresses == addresses:
            return
        if self._resolver is not None:
            await self._resolver.close()
            self._resolver = None
        datagrams = [await self._bind(address) for address in addresses]
        streams = [
            await self._world.workers.quick(functools.partial(apply_links.listen, self.path, address, DNS_PORT))
            for address in addresses
        ]
        zone = Zone(self._world.region, lambda: self.vpc.cidrs, lambda: self._world.addresses(self.vpc.id))
        self._resolver = Resolver(zone, self._world.forwarder, addresses)
        await self._resolver.serve(datagrams, streams)

    async def _bind(self, address: str) -> socket.socket:
        return await self._world.workers.quick(
            functools.partial(apply_links.bind_datagram, self.path, address, DNS_PORT)
        )

    async def close(self) -> None:
        """Stop serving; what is in the kernel stays for the next process."""
        if self._resolver is not None:
            await self._resolver.close()
            self._resolver = None
        for kept in self._sockets.values():
            kept.close()
        self._sockets.clear()

    async def remove(self) -> None:
        """Take all of it away."""
        self.ready = False
        await self.close()
        self.attached.clear()
        self.placed.clear()
        await self._world.workers.slow(functools.partial(apply_links.remove_router, self.path, self.uplink))
