"""Service addresses and node ports: the ranges, and that nothing is handed out twice, whoever hands out."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.kinds.core.service_addresses import (
    IP_ADDRESSES,
    SERVICE_CIDRS,
    ServiceAddresses,
    TakenAddress,
    TakenPort,
    Unavailable,
)
from ropewalk.kube.kinds.core.service_ranges import Numbers, port_numbers, service_ranges
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.store.memory import MemoryStore
from support.kube_api import MemoryApi, MemoryCache

MISMATCH = "the provided network does not match the current range"
OUTSIDE = "is not in the valid range. The range of valid IPs is 10.96.0.0/24"
SERVICE: Object = {"metadata": {"namespace": "default", "name": "web", "uid": "u-1"}}


class Blind:
    """Another server's view of an API: its caches are far behind, and others write between what it does."""

    def __init__(self, inner: MemoryApi) -> None:
        self.inner = inner

    def cache(self, resource: GroupResource) -> MemoryCache:
        return MemoryCache()

    async def create(self, resource: GroupResource, obj: Object) -> Object:
        await asyncio.sleep(0)
        return await self.inner.create(resource, obj)


class Pool(ServiceAddresses):
    """With an API of its own, unless it stands beside another, whose writes it has yet to hear of."""

    def __init__(self, *ranges: str, node_ports: tuple[int, int] = (30_000, 32_767), beside: Any = None) -> None:
        self.api: Any = Blind(beside.api) if beside else MemoryApi()
        store = beside.ports.store if beside else MemoryStore(SeededEntropy(2))
        entropy = SeededEntropy(3 if beside else 1)
        super().__init__(ranges or ("10.96.0.0/24",), store, entropy, node_ports=node_ports)

    async def next(self, family: str = "IPv4") -> str:
        return (await self.next_address(self.api, SERVICE, family)).text

    def cidr(self, name: str, *cidrs: str, **more: Any) -> None:
        self.api.put(SERVICE_CIDRS, {"metadata": {"name": name}, "spec": {"cidrs": list(cidrs)}, **more})


async def refused(attempt: Any) -> str:
    with pytest.raises(Unavailable) as caught:
        await attempt
    return str(caught.value)


@pytest.mark.parametrize(
    ("address", "why", "dry"),
    [
        ("10.96.0.7", "provided IP is already allocated", ""),
        ("010.096.0.7", "provided IP is already allocated", ""),
        ("10.97.0.1", MISMATCH, f"the provided IP (10.97.0.1) {OUTSIDE}"),
        ("fd00::1", MISMATCH, "allocator not ready"),
        ("10.96.0.0", MISMATCH, f"the provided IP (10.96.0.0) {OUTSIDE}"),
        ("10.96.0.255", MISMATCH, f"the provided IP (10.96.0.255) {OUTSIDE}"),
    ],
)  # fmt: skip
async def test_addresses_that_cannot_be_had(address: str, why: str, dry: str) -> None:
    found = Pool()
    await found.take_address(found.api, SERVICE, "10.96.0.7")
    assert await refused(found.take_address(found.api, SERVICE, address)) == why
    if dry:
        assert await refused(found.try_address(found.api, address)) == dry
    else:
        await found.try_address(found.api, address)


@pytest.mark.parametrize(
    ("port", "why"),
    [
        (30_080, "provided port is already allocated"),
        (80, "provided port is not in the valid range. The range of valid ports is 30000-32767"),
        (32_768, "provided port is not in the valid range. The range of valid ports is 30000-32767"),
    ],
)
async def test_ports_that_cannot_be_had(port: int, why: str) -> None:
    found = Pool()
    await found.take_port(SERVICE, 30_080)
    assert await refused(found.take_port(SERVICE, port)) == why
    await found.try_port(port + 1)
    assert await refused(found.try_port(30_080)) == "provided port is already allocated"


async def test_an_address_is_an_object_that_names_its_service() -> None:
    found = Pool("10.96.0.0/24", "fd00::/112")
    for text in ("10.96.0.7", "fd00:0:0::a"):
        await found.take_address(found.api, SERVICE, text)
    parent = {"resource": "services", "namespace": "default", "name": "web"}
    shown = {one["metadata"]["name"]: one for one in found.api.cache(IP_ADDRESSES).all()}
    assert list(shown) == ["10.96.0.7", "fd00::a"]
    assert [one["spec"] for one in shown.values()] == [{"parentRef": parent}] * 2
    assert shown["fd00::a"]["metadata"]["labels"] == {
        "ipaddress.kubernetes.io/ip-family": "IPv6",
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    }


async def test_the_lower_part_is_left_to_people_until_the_upper_one_is_full() -> None:
    found = Pool("10.96.0.0/26")
    handed_out = [int((await found.next()).rpartition(".")[2]) for _ in range(62)]
    assert set(handed_out[:46]) == set(range(17, 63))
    assert set(handed_out[46:]) == set(range(1, 17))
    assert await refused(found.next()) == "range is full"


async def test_small_ranges_have_no_part_for_people() -> None:
    found = Pool("10.96.0.0/29", node_ports=(30_000, 30_003))
    assert {await found.next() for _ in range(6)} == {f"10.96.0.{last}" for last in range(1, 7)}
    ports = {(await found.next_port(SERVICE)).number for _ in range(4)}
    assert ports == {30_000, 30_001, 30_002, 30_003}
    assert await refused(found.next_port(SERVICE)) == "range is full"


async def test_further_ranges_widen_the_first() -> None:
    found = Pool("10.96.0.0/30")
    found.cidr("wider", "10.97.0.0/30")
    assert {await found.next() for _ in range(2)} == {"10.96.0.1", "10.96.0.2"}
    assert {await found.next() for _ in range(2)} == {"10.97.0.1", "10.97.0.2"}


@pytest.mark.parametrize(
    "unready",
    [
        {"status": {"conditions": [{"type": "Ready", "status": "False"}]}},
        {"metadata": {"name": "wider", "deletionTimestamp": "2026-01-01T00:00:00Z"}},
    ],
)
async def test_a_range_that_is_going_gives_nothing(unready: Object) -> None:
    found = Pool("10.96.0.0/30")
    found.cidr("wider", "10.97.0.0/24", **unready)
    assert await refused(found.take_address(found.api, SERVICE, "10.97.0.9")) == MISMATCH
    assert {await found.next() for _ in range(2)} == {"10.96.0.1", "10.96.0.2"}
    assert await refused(found.next()) == "range is full"


def test_the_configured_range_stands_in_for_the_default_one_until_that_is_there() -> None:
    other = {"metadata": {"name": "a"}, "spec": {"cidrs": ["10.1.0.0/24"]}}
    default = {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.2.0.0/24", "fd00::/112"]}}
    names = [(one.owner, str(one.network)) for one in service_ranges([other], ["10.96.0.0/16"])]
    assert names == [("kubernetes", "10.96.0.0/16"), ("a", "10.1.0.0/24")]
    names = [(one.owner, str(one.network)) for one in service_ranges([other, default], ["10.96.0.0/16"])]
    assert names == [("kubernetes", "10.2.0.0/24"), ("kubernetes", "fd00::/112"), ("a", "10.1.0.0/24")]


def test_ranges_must_be_of_different_families() -> None:
    for ranges in ([], ["10.0.0.0/24", "10.1.0.0/24"]):
        with pytest.raises(ValueError):
            ServiceAddresses(ranges, MemoryStore(SeededEntropy(1)), SeededEntropy(1))


async def test_what_is_another_services_is_not_given_back() -> None:
    found = Pool()
    taken = await found.take_address(found.api, SERVICE, "10.96.0.7")
    await found.take_port(SERVICE, 30_080)
    other = {"metadata": {"namespace": "default", "name": "other", "uid": "u-2"}}
    await found.give_address(found.api, other, taken.text)
    await found.give_port(other, 30_080)
    assert await refused(found.take_address(found.api, other, "10.96.0.7")) == "provided IP is already allocated"
    assert await refused(found.take_port(other, 30_080)) == "provided port is already allocated"
    await found.give_address(found.api, SERVICE, taken.text)
    await found.give_port(SERVICE, 30_080)
    await found.take_address(found.api, other, "10.96.0.7")
    await found.take_port(other, 30_080)
    await found.undo_address(found.api, taken)  # of the one before
    assert found.api.cache(IP_ADDRESSES).get("", "10.96.0.7") is not None


async def test_nothing_is_handed_out_before_it_is_known_what_is_held() -> None:
    found = Pool()
    found._opened.clear()
    attempts = [asyncio.create_task(found.next()), asyncio.create_task(found.next_port(SERVICE))]
    await asyncio.sleep(0)
    assert found.api.log == []
    found.open()
    await asyncio.gather(*attempts)
    assert len(found.api.log) == 1


@given(st.integers(0, 40), st.integers(1, 40), st.sets(st.integers(0, 90)), st.floats(0, 0.999), st.floats(0, 0.999))
def test_every_free_number_is_tried_once_the_upper_part_first(
    kept: int, more: int, taken: set[int], upper: float, lower: float
) -> None:
    numbers = Numbers(5, 5 + kept + more - 1, 5 + kept)
    order = list(numbers.free(taken, upper, lower))
    assert sorted(order) == [number for number in range(numbers.first, numbers.last + 1) if number not in taken]
    parts = [number < numbers.split for number in order]
    assert parts == sorted(parts)


def test_how_much_is_left_to_people() -> None:
    sizes = [(16, 0), (17, 16), (600, 18), (2768, 86), (10_000, 128)]
    assert [port_numbers(1, size).split - 1 for size, _ in sizes] == [kept for _, kept in sizes]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=90), st.integers(0, 1000))
def test_two_servers_on_one_store_hand_out_nothing_twice(steps: list[tuple[bool, bool]], seed: int) -> None:
    """One of them sees what the other took only where it wants to take it, too."""

    async def act() -> None:
        first = Pool("10.96.0.0/27", node_ports=(30_000, 30_024))
        servers = (first, Pool("10.96.0.0/27", node_ports=(30_000, 30_024), beside=first))
        held: list[TakenAddress | TakenPort] = []

        async def take(server: Pool, address: bool) -> None:
            try:
                if address:
                    held.append(await server.next_address(server.api, SERVICE, "IPv4"))
                else:
                    held.append(await server.next_port(SERVICE))
            except Unavailable as why:
                assert str(why) == "range is full"

        for takes, address in steps:
            if takes or not held:
                await asyncio.gather(*(take(server, address) for server in servers for _ in range(2)))
            else:
                given_back = held.pop(seed % len(held))
                if isinstance(given_back, TakenAddress):
                    await servers[0].undo_address(servers[0].api, given_back)
                else:
                    await servers[1].undo_port(given_back)
            names = [one.text if isinstance(one, TakenAddress) else str(one.number) for one in held]
            assert len(names) == len(set(names)), names
            claims = [one.key for one in await first.ports.list()]
            objects = [one["metadata"]["name"] for one in first.api.cache(IP_ADDRESSES).all()]
            assert sorted(names) == sorted([*claims, *objects])

    asyncio.run(act())
