"""Who has which private IPv4 address: the only code that gives one out.

An address is taken by creating its key, `/ec2/addresses/<vpc>/<address>`: the store admits one creator, so an address
has one owner whatever else runs. The index in memory only says where to try first; it is read from the store the first
time a VPC is asked for, read again before a subnet is called full, and thrown away after any write whose outcome is not
known. Addresses are given in turn rather than lowest first, so that one just returned is not at once somebody else's.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Fault
from ropewalk.model.ids import InterfaceId, SubnetId, VpcId
from ropewalk.runtime.table import Table
from ropewalk.services.ec2.records import Address, Subnet
from ropewalk.store.protocol import KeyExists, Store, StoreError

RESERVED_FIRST = 4
"""Network, router, resolver, and one AWS keeps: docs.aws.amazon.com/vpc/latest/userguide/subnet-sizing.html."""
RESERVED_LAST = 1


@lru_cache(maxsize=1024)
def network_of(cidr: str) -> ipaddress.IPv4Network:
    """The range of that name; kept, since every task asks for its subnet's several times and parsing costs."""
    return ipaddress.IPv4Network(cidr)


@lru_cache(maxsize=1024)
def capacity(cidr: str) -> int:
    """Addresses of a subnet that can be given out."""
    return network_of(cidr).num_addresses - RESERVED_FIRST - RESERVED_LAST


def usable(cidr: str, address: str) -> bool:
    """Whether `address` lies in the subnet and is not reserved."""
    network = network_of(cidr)
    offset = int(ipaddress.IPv4Address(address)) - int(network.network_address)
    return RESERVED_FIRST <= offset < network.num_addresses - RESERVED_LAST


@lru_cache(maxsize=1024)
def gateway_of(cidr: str) -> str:
    """The subnet's router: its second address."""
    return str(network_of(cidr).network_address + 1)


def insufficient() -> Fault:
    return Fault(
        "InsufficientFreeAddressesInSubnet",
        "The specified subnet does not have enough free addresses to satisfy the request.",
    )


def in_use(address: str) -> Fault:
    return Fault("InvalidIPAddress.InUse", f"Address {address} is in use.")


@dataclass(slots=True)
class _VpcIndex:
    owners: dict[str, Address] = field(default_factory=dict)
    used: Counter[SubnetId] = field(default_factory=Counter)
    held: dict[InterfaceId, list[str]] = field(default_factory=dict)

    def add(self, address: str, owner: Address) -> None:
        if address in self.owners:
            self.remove(address)
        self.owners[address] = owner
        self.used[owner.subnet] += 1
        self.held.setdefault(owner.interface, []).append(address)

    def remove(self, address: str) -> None:
        owner = self.owners.pop(address, None)
        if owner is None:
            return
        self.used[owner.subnet] -= 1
        addresses = self.held[owner.interface]
        addresses.remove(address)
        if not addresses:
            del self.held[owner.interface]


class Addresses:
    """The address book of every VPC. Keys of the table are `<vpc>/<address>`."""

    def __init__(self, store: Store, entropy: Entropy) -> None:
        self.table: Table[Address] = Table(store, "/ec2/addresses/", Address)
        self._entropy = entropy
        self._indexes: dict[VpcId, _VpcIndex] = {}
        self._loading: dict[VpcId, asyncio.Lock] = {}
        self._cursors: dict[SubnetId, int] = {}
        self._in_flight: Counter[InterfaceId] = Counter()
        self._forgotten: Counter[VpcId] = Counter()
        """How often each index was thrown away: one that was while being read is read again."""

    @contextmanager
    def making(self, interface: InterfaceId) -> Iterator[None]:
        """While an interface is being made or given addresses, the sweep leaves them alone."""
        self._in_flight[interface] += 1
        try:
            yield
        finally:
            self._in_flight[interface] -= 1
            if not self._in_flight[interface]:
                del self._in_flight[interface]

    def is_making(self, interface: InterfaceId) -> bool:
        return interface in self._in_flight

    async def used(self, vpc: VpcId) -> Counter[SubnetId]:
        """How many addresses of each subnet are taken."""
        return (await self._index(vpc)).used

    async def held(self, vpc: VpcId, interface: InterfaceId) -> list[str]:
        """Addresses that an interface has, in the order in which it got them."""
        return list((await self._index(vpc)).held.get(interface, ()))

    async def owner(self, vpc: VpcId, address: str) -> Address | None:
        return await self.table.get(f"{vpc}/{address}")

    async def take(self, subnet: Subnet, interface: InterfaceId, claim: str = "") -> str:
        """Any free address of the subnet. Raises InsufficientFreeAddressesInSubnet."""
        owner = Address(subnet=subnet.id, interface=interface, claim=claim)
        for attempt in range(2):
            if attempt:
                self.forget(subnet.vpc)
            index = await self._index(subnet.vpc)
            while (candidate := self._next_free(index, subnet)) is not None:
                index.add(candidate, owner)
                if await self._create(index, subnet.vpc, candidate, owner):
                    return candidate
        raise insufficient()

    async def take_exactly(self, subnet: Subnet, address: str, interface: InterfaceId, claim: str = "") -> None:
        """This very address. Raises InvalidIPAddress.InUse, or InvalidParameterValue where it cannot be given."""
        if not usable(subnet.cidr, address):
            raise Fault(
                "InvalidParameterValue",
                f"Address {address} is not one that the subnet's range {subnet.cidr} has to give: its first "
                f"{RESERVED_FIRST} addresses and its last are reserved.",
            )
        owner = Address(subnet=subnet.id, interface=interface, claim=claim)
        index = await self._index(subnet.vpc)
        if address in index.owners:
            raise in_use(address)
        index.add(address, owner)
        if not await self._create(index, subnet.vpc, address, owner):
            raise in_use(address)

    async def give_back(self, vpc: VpcId, addresses: Iterable[str], interface: InterfaceId) -> None:
        """Free those of `addresses` that `interface` still has; others are left alone."""
        for address in addresses:
            key = f"{vpc}/{address}"
            found = await self.table.find(key)
            if found is not None and found.record.interface == interface:
                try:
                    await self.table.delete(key, found.revision)
                except StoreError:
                    self.forget(vpc)
                    raise
            elif found is not None:
                continue
            if (index := self._indexes.get(vpc)) is not None:
                index.remove(address)
            else:
                self.forget(vpc)

    def forget(self, vpc: VpcId) -> None:
        """Read the store again before the next answer about this VPC."""
        self._indexes.pop(vpc, None)
        self._forgotten[vpc] += 1

    async def _create(self, index: _VpcIndex, vpc: VpcId, address: str, owner: Address) -> bool:
        try:
            await self.table.create(f"{vpc}/{address}", owner)
        except KeyExists:
            # Whose it is, the index did not know; our own, where an earlier write's outcome was not known.
            other = await self.table.get(f"{vpc}/{address}")
            index.remove(address)
            if other is not None:
                index.add(address, other)
            return other is not None and other.interface == owner.interface
        except BaseException:
            self.forget(vpc)
            raise
        if self._indexes.get(vpc) is not index:
            self.forget(vpc)
        return True

    def _next_free(self, index: _VpcIndex, subnet: Subnet) -> str | None:
        size = capacity(subnet.cidr)
        if index.used[subnet.id] >= size:
            return None
        first = int(network_of(subnet.cidr).network_address) + RESERVED_FIRST
        start = self._cursors.get(subnet.id)
        if start is None:
            start = int(self._entropy.random() * size)
        for step in range(size):
            offset = (start + step) % size
            address = str(ipaddress.IPv4Address(first + offset))
            if address not in index.owners:
                self._cursors[subnet.id] = offset + 1
                return address
        return None

    async def _index(self, vpc: VpcId) -> _VpcIndex:
        if (index := self._indexes.get(vpc)) is not None:
            return index
        lock = self._loading.setdefault(vpc, asyncio.Lock())
        async with lock:
            if (index := self._indexes.get(vpc)) is not None:
                return index
            cut = len(vpc) + 1
            while True:
                before = self._forgotten[vpc]
                index = _VpcIndex()
                for item in await self.table.list(f"{vpc}/"):
                    index.add(item.key[cut:], item.record)
                if self._forgotten[vpc] == before:
                    self._indexes[vpc] = index
                    return index
