import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.kinds.core.service_addresses import ServiceAddresses, Unavailable

OUTSIDE = "is not in the valid range. The range of valid IPs is 10.96.0.0/24"


def pool(*ranges: str, node_ports: tuple[int, int] = (30_000, 32_767)) -> ServiceAddresses:
    return ServiceAddresses(ranges or ("10.96.0.0/24",), SeededEntropy(1), node_ports=node_ports)


def test_the_first_address_is_that_of_the_service_kubernetes() -> None:
    assert pool().first_address() == "10.96.0.1"
    assert pool("10.96.0.0/16", "fd00::/112").first_address("IPv6") == "fd00::1"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("10.96.0.7", "provided IP is already allocated"),
        ("10.97.0.1", "the provided network does not match the current range"),
        ("fd00::1", "the provided network does not match the current range"),
        ("10.96.0.0", f"the provided IP (10.96.0.0) {OUTSIDE}"),
        ("10.96.0.255", f"the provided IP (10.96.0.255) {OUTSIDE}"),
    ],
)  # fmt: skip
def test_addresses_that_cannot_be_had(address: str, why: str) -> None:
    found = pool()
    found.take_address("10.96.0.7")
    with pytest.raises(Unavailable) as caught:
        found.take_address(address)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("port", "why"),
    [
        (30_080, "provided port is already allocated"),
        (80, "provided port is not in the valid range. The range of valid ports is 30000-32767"),
        (32_768, "provided port is not in the valid range. The range of valid ports is 30000-32767"),
    ],
)
def test_ports_that_cannot_be_had(port: int, why: str) -> None:
    found = pool()
    found.take_port(30_080)
    with pytest.raises(Unavailable) as caught:
        found.take_port(port)
    assert str(caught.value) == why


def test_the_lower_part_is_left_to_people_until_the_upper_one_is_full() -> None:
    found = pool("10.96.0.0/26")
    handed_out = [int(found.next_address("IPv4").rpartition(".")[2]) for _ in range(62)]
    assert set(handed_out[:46]) == set(range(17, 63))
    assert set(handed_out[46:]) == set(range(1, 17))
    with pytest.raises(Unavailable, match="range is full"):
        found.next_address("IPv4")


def test_small_ranges_have_no_part_for_people() -> None:
    found = pool("10.96.0.0/29", node_ports=(30_000, 30_003))
    assert {found.next_address("IPv4") for _ in range(6)} == {f"10.96.0.{last}" for last in range(1, 7)}
    assert {found.next_port() for _ in range(4)} == {30_000, 30_001, 30_002, 30_003}


def test_a_dry_run_takes_nothing() -> None:
    found = pool("10.96.0.0/30", node_ports=(30_000, 30_000))
    assert found.next_address("IPv4", dry_run=True) == "10.96.0.0"
    found.take_address("10.96.0.1", dry_run=True)
    found.take_port(30_000, dry_run=True)
    found.next_port(dry_run=True)
    assert {found.next_address("IPv4"), found.next_address("IPv4")} == {"10.96.0.1", "10.96.0.2"}
    assert found.next_port() == 30_000


def test_ranges_must_be_of_different_families() -> None:
    for ranges in ([], ["10.0.0.0/24", "10.1.0.0/24"]):
        with pytest.raises(ValueError):
            ServiceAddresses(ranges, SeededEntropy(1))


def test_what_exists_at_start_is_not_handed_out() -> None:
    found = pool("10.96.0.0/30", node_ports=(30_000, 30_001))
    service = {"spec": {"type": "NodePort", "clusterIPs": ["10.96.0.1"], "ports": [{"port": 80, "nodePort": 30_000}]}}
    found.occupy(service)
    assert (found.next_address("IPv4"), found.next_port()) == ("10.96.0.2", 30_001)
    found.release(service)
    assert (found.next_address("IPv4"), found.next_port()) == ("10.96.0.1", 30_000)


@given(st.lists(st.booleans(), max_size=120), st.integers(min_value=0, max_value=1000))
def test_nothing_is_handed_out_twice(takes: list[bool], seed: int) -> None:
    found = ServiceAddresses(["10.96.0.0/26"], SeededEntropy(seed), node_ports=(30_000, 30_040))
    held: list[str] = []
    for take in takes:
        if take or not held:
            try:
                address = found.next_address("IPv4")
            except Unavailable:
                assert len(held) == 62
                continue
            assert address not in held
            held.append(address)
        else:
            found.give_address(held.pop(0))
