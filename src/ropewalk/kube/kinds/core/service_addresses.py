"""Service addresses and node ports, handed out so that no two API servers give one twice: each is a key of the store.

An address is taken by creating the IPAddress object of its name, and given back by deleting it; caches only say which
ones need not be tried. A node port is taken by creating a record of its own beside the served resources. Ranges are
what the cluster's ServiceCIDRs say (`service_ranges`). What a crash leaves taken, the repairs in `kube.controllers`
find.
https://kubernetes.io/docs/reference/networking/virtual-ips/#ip-address-objects
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING

import msgspec

from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.kube.kinds.core.service_ranges import (
    NODE_PORTS,
    ServiceRange,
    address_numbers,
    check_configured,
    family_of,
    family_of_address,
    holds,
    port_numbers,
    service_ranges,
    spelled,
)
from ropewalk.kube.machinery import addresses
from ropewalk.kube.machinery.api import ObjectCache
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, labels_of, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.runtime.table import Table
from ropewalk.store.protocol import KeyExists, Revision, Store, WrongRevision

if TYPE_CHECKING:
    from ropewalk.kube.machinery.api import Api

log = logger(__name__)

IP_ADDRESSES = GroupResource("networking.k8s.io", "ipaddresses")
SERVICE_CIDRS = GroupResource("networking.k8s.io", "servicecidrs")
FAMILY_LABEL, MANAGED_BY_LABEL = "ipaddress.kubernetes.io/ip-family", "ipaddress.kubernetes.io/managed-by"
MANAGED_BY = "ipallocator.k8s.io"
NODE_PORT_CLAIMS = "/ranges/nodeports/"
"""A record a port, outside of what is served."""
FULL = "range is full"
MISMATCH = "the provided network does not match the current range"
NOT_READY = "allocator not ready"
ADDRESS_TAKEN, PORT_TAKEN = "provided IP is already allocated", "provided port is already allocated"


class Unavailable(Exception):
    """Why an address or port cannot be had, in Kubernetes' words."""


class PortClaim(msgspec.Struct, frozen=True):
    """Whose a node port is."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class TakenAddress:
    text: str
    uid: str
    """Of its IPAddress object."""


@dataclass(frozen=True, slots=True)
class TakenPort:
    number: int
    revision: Revision
    """Of its record."""


def address_name(text: str) -> str:
    """The name of an address's object: its canonical form. "" for what is no address."""
    address = addresses.parse_ip(text)
    return "" if address is None else str(address)


def address_object(name: str, service: Object) -> Object:
    """The IPAddress that says that the service has this address."""
    parent = {"resource": "services", "namespace": namespace_of(service), "name": name_of(service)}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {"name": name, "labels": {FAMILY_LABEL: family_of_address(name), MANAGED_BY_LABEL: MANAGED_BY}},
        "spec": {"parentRef": parent},
    }


def is_managed(address: Object) -> bool:
    """Made here, not by somebody who uses IPAddress objects for something else."""
    return labels_of(address).get(MANAGED_BY_LABEL) == MANAGED_BY


def refers_to_service(address: Object) -> bool:
    parent = at(address, "spec", "parentRef") or {}
    return not parent.get("group") and parent.get("resource") == "services"


def refers_to(address: Object, service: Object) -> bool:
    parent = at(address, "spec", "parentRef") or {}
    named = (parent.get("namespace", ""), parent.get("name", ""))
    return refers_to_service(address) and named == (namespace_of(service), name_of(service))


def port_claim(service: Object) -> PortClaim:
    return PortClaim(namespace_of(service), name_of(service), uid_of(service))


class ServiceAddresses:
    """`ranges` are the cluster's configured ones: one, or two of different families (the first is the family of
    services that name none). Nothing is handed out before `open`, where it is made shut.
    """

    def __init__(
        self,
        ranges: Sequence[str],
        store: Store,
        entropy: Entropy,
        *,
        node_ports: tuple[int, int] = NODE_PORTS,
        shut: bool = False,
    ) -> None:
        self.families = check_configured(ranges)
        self.configured = tuple(str(ip_network(text)) for text in ranges)
        self.port_range = f"{node_ports[0]}-{node_ports[1]}"
        self.ports = Table(store, NODE_PORT_CLAIMS, PortClaim)
        self._numbers = port_numbers(*node_ports)
        self._entropy = entropy
        self._opened = asyncio.Event()
        if not shut:
            self.open()

    def open(self) -> None:
        """What older services hold is known now."""
        self._opened.set()

    # --- addresses

    async def ranges(self, api: Api) -> list[ServiceRange]:
        cache = api.cache(SERVICE_CIDRS)
        await cache.synced()
        return service_ranges(cache.all(), self.configured)

    async def take_address(self, api: Api, service: Object, text: str) -> TakenAddress:
        """This very address. Raises `Unavailable`."""
        await self._opened.wait()
        address = addresses.parse_ip(text)
        ready = [one.network for one in await self.ranges(api) if one.is_ready]
        if address is None or not any(holds(network, address) for network in ready):
            raise Unavailable(MISMATCH)
        return await self._create(api, service, str(address))

    async def try_address(self, api: Api, text: str) -> None:
        """What a dry run is told: whether it is such an address, not whether somebody has it. Raises `Unavailable`."""
        address, family = addresses.parse_ip(text), family_of_address(text)
        networks = [one.network for one in await self.ranges(api) if family_of(one.network) == family and one.is_ready]
        if not networks:
            raise Unavailable(NOT_READY)
        if address is None or not any(holds(network, address) for network in networks):
            valid = f"The range of valid IPs is {networks[0]}"
            raise Unavailable(f"the provided IP ({address}) is not in the valid range. {valid}")

    async def next_address(self, api: Api, service: Object, family: str) -> TakenAddress:
        """Any of the family. Raises `Unavailable`."""
        await self._opened.wait()
        cache = api.cache(IP_ADDRESSES)
        await cache.synced()
        for one in await self.ranges(api):
            network = one.network
            if not one.is_ready or family_of(network) != family:
                continue
            taken = _Taken(cache, one)
            for number in address_numbers(network).free(taken, self._entropy.random(), self._entropy.random()):
                try:
                    return await self._create(api, service, spelled(network, number))
                except Unavailable as why:
                    if str(why) != ADDRESS_TAKEN:
                        raise
                    # Another server was quicker, and the cache has yet to hear of it: the next one, then.
        raise Unavailable(FULL)

    async def dry_address(self, api: Api, family: str) -> str:
        """What a dry run is shown: the range's own address, which nobody gets. Raises `Unavailable`."""
        for one in await self.ranges(api):
            if one.is_ready and family_of(one.network) == family:
                return str(one.network.network_address)
        raise Unavailable(NOT_READY)

    async def _create(self, api: Api, service: Object, name: str) -> TakenAddress:
        try:
            made = await api.create(IP_ADDRESSES, address_object(name, service))
        except StatusFault as fault:
            raise Unavailable(ADDRESS_TAKEN if fault.reason == "AlreadyExists" else fault.message) from None
        return TakenAddress(name, uid_of(made))

    async def undo_address(self, api: Api, taken: TakenAddress) -> None:
        """Give back what was just taken."""
        try:
            await api.delete(IP_ADDRESSES, "", taken.text, uid=taken.uid)
        except (StatusFault, Retryable) as why:
            log.debug("an address waits for its repair", address=taken.text, why=why)

    async def give_address(self, api: Api, service: Object, text: str) -> None:
        """What the service held until now. An address that is (also) another's stays."""
        name = address_name(text)
        try:
            present = await api.get(IP_ADDRESSES, "", name)
            if refers_to(present, service):
                await api.delete(IP_ADDRESSES, "", name, uid=uid_of(present))
        except (StatusFault, Retryable) as why:
            log.debug("an address waits for its repair", address=name, why=why)

    # --- ports

    async def take_port(self, service: Object, port: int) -> TakenPort:
        """This very port. Raises `Unavailable`."""
        await self._opened.wait()
        if not self.is_port(port):
            told = f"The range of valid ports is {self.port_range}"
            raise Unavailable(f"provided port is not in the valid range. {told}")
        try:
            return TakenPort(port, await self.ports.create(str(port), port_claim(service)))
        except KeyExists:
            raise Unavailable(PORT_TAKEN) from None

    async def try_port(self, port: int) -> None:
        """What a dry run is told: only whether somebody has it. Raises `Unavailable`."""
        if await self.ports.find(str(port)) is not None:
            raise Unavailable(PORT_TAKEN)

    async def next_port(self, service: Object) -> TakenPort:
        """Any. Raises `Unavailable`."""
        await self._opened.wait()
        taken: set[int] = set()
        while True:
            number = next(self._numbers.free(taken, self._entropy.random(), self._entropy.random()), None)
            if number is None:
                raise Unavailable(FULL)
            try:
                return TakenPort(number, await self.ports.create(str(number), port_claim(service)))
            except KeyExists:
                taken = {number, *(int(item.key) for item in await self.ports.list())}

    async def undo_port(self, taken: TakenPort) -> None:
        """Give back what was just taken."""
        await self._delete_port(taken.number, taken.revision)

    async def give_port(self, service: Object, port: int) -> None:
        """What the service held until now. A port that is another's stays."""
        try:
            found = await self.ports.find(str(port))
        except Retryable as why:
            log.debug("a node port waits for its repair", port=port, why=why)
            return
        if found is not None and found.record.uid == uid_of(service):
            await self._delete_port(port, found.revision)

    async def _delete_port(self, port: int, revision: Revision) -> None:
        try:
            await self.ports.delete(str(port), revision)
        except (WrongRevision, Retryable) as why:
            log.debug("a node port waits for its repair", port=port, why=why)

    def is_port(self, port: int) -> bool:
        return port in self._numbers

    def all_ports(self) -> range:
        return range(self._numbers.first, self._numbers.last + 1)


class _Taken:
    """The numbers of a range that are known to be taken."""

    def __init__(self, cache: ObjectCache, found: ServiceRange) -> None:
        self._cache = cache
        self._network = found.network

    def __contains__(self, number: object) -> bool:
        assert isinstance(number, int)
        return self._cache.get("", spelled(self._network, number)) is not None
