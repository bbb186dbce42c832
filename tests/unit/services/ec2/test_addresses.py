"""The address book: one owner an address, no reserved one, none lost, whatever happens at once."""

from __future__ import annotations

import asyncio
import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.errors import Fault
from ropewalk.model.ids import InterfaceId, SubnetId, VpcId
from ropewalk.services.ec2.addresses import Addresses, capacity, gateway_of, usable
from ropewalk.services.ec2.records import Subnet
from ropewalk.store.memory import MemoryStore

VPC = VpcId("vpc-1")


def subnet(cidr: str, name: str = "subnet-1") -> Subnet:
    return Subnet(id=SubnetId(name), vpc=VPC, cidr=cidr, zone="a", acl_association="x")


class SlowStore:
    """Lets others run before every write, as a disk does."""

    def __init__(self, inner: MemoryStore) -> None:
        self._inner = inner

    def __getattr__(self, name: str):
        real = getattr(self._inner, name)
        if name not in ("create", "delete", "list", "get"):
            return real

        async def slow(*arguments, **options):
            await asyncio.sleep(0)
            return await real(*arguments, **options)

        return slow


@given(st.integers(16, 28), st.integers(0, 2**32 - 1))
def test_five_addresses_of_every_subnet_are_reserved(prefix: int, base: int) -> None:
    network = ipaddress.IPv4Network((base, prefix), strict=False)
    assert capacity(str(network)) == network.num_addresses - 5
    edges = [network[n] for n in (0, 1, 2, 3, -1)]
    assert not any(usable(str(network), str(address)) for address in edges)
    assert usable(str(network), str(network[4]))
    assert usable(str(network), str(network[-2]))
    assert gateway_of(str(network)) == str(network[1])


steps = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 5)),
        st.tuples(st.just("give back"), st.integers(0, 5)),
        st.tuples(st.just("exactly"), st.integers(0, 20)),
        st.tuples(st.just("forget"), st.just(0)),
    ),
    max_size=40,
)


@given(st.lists(steps, min_size=1, max_size=3), st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_whatever_happens_at_once_an_address_has_one_owner(scripts: list, seed: int) -> None:
    asyncio.run(_play(scripts, seed))


async def _play(scripts: list, seed: int) -> None:
    store = SlowStore(MemoryStore(SeededEntropy(seed)))
    here = subnet("10.0.0.0/28")
    books = [Addresses(store, SeededEntropy(seed + n)) for n in range(2)]
    owned: dict[str, InterfaceId] = {}

    async def run(player: int, script: list) -> None:
        book = books[player % 2]
        for number, (what, argument) in enumerate(script):
            interface = InterfaceId(f"eni-{player}-{number}")
            if what == "take":
                try:
                    address = await book.take(here, interface)
                except Fault as fault:
                    assert fault.code == "InsufficientFreeAddressesInSubnet"
                    continue
                assert address not in owned
                owned[address] = interface
            elif what == "exactly":
                address = f"10.0.0.{argument}"
                try:
                    await book.take_exactly(here, address, interface)
                except Fault as fault:
                    assert fault.code in ("InvalidIPAddress.InUse", "InvalidParameterValue")
                    continue
                assert address not in owned
                owned[address] = interface
            elif what == "give back":
                mine = [a for a, i in owned.items() if i.startswith(f"eni-{player}-")][argument : argument + 1]
                for address in mine:
                    await book.give_back(VPC, [address], owned.pop(address))
            else:
                book.forget(VPC)

    await asyncio.gather(*(run(player, script) for player, script in enumerate(scripts)))
    table = {item.key.split("/")[1]: item.record.interface for item in await books[0].table.list()}
    assert table == owned
    assert all(usable(here.cidr, address) for address in owned)


async def test_a_subnet_gives_all_it_has_and_says_when_it_is_empty() -> None:
    book = Addresses(MemoryStore(SeededEntropy(1)), SeededEntropy(1))
    here, there = subnet("10.0.0.0/28"), subnet("10.0.0.16/28", "subnet-2")
    taken = [await book.take(here, InterfaceId(f"eni-{n}")) for n in range(11)]
    assert sorted(taken, key=ipaddress.IPv4Address) == [f"10.0.0.{n}" for n in range(4, 15)]
    with pytest.raises(Fault, match="InsufficientFreeAddressesInSubnet"):
        await book.take(here, InterfaceId("eni-more"))
    assert (await book.used(VPC)) == {"subnet-1": 11}
    assert await book.take(there, InterfaceId("eni-there"))


async def test_an_address_given_back_is_not_at_once_somebody_elses() -> None:
    book = Addresses(MemoryStore(SeededEntropy(1)), SeededEntropy(1))
    here = subnet("10.0.0.0/24")
    first = await book.take(here, InterfaceId("eni-1"))
    await book.give_back(VPC, [first], InterfaceId("eni-1"))
    assert await book.take(here, InterfaceId("eni-2")) != first


async def test_only_its_owner_gives_an_address_back() -> None:
    book = Addresses(MemoryStore(SeededEntropy(1)), SeededEntropy(1))
    address = await book.take(subnet("10.0.0.0/24"), InterfaceId("eni-1"))
    await book.give_back(VPC, [address], InterfaceId("eni-2"))
    assert (await book.table.get(f"{VPC}/{address}")) is not None
