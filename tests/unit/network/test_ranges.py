"""Which ranges may be used, and which VPC gets the host's route."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.base.errors import Fault
from ropewalk.network.ranges import HostFacts, check_ranges, conflicts, free_range, host_routes
from unit.network.fabrics import vpc

NET = IPv4Network
FACTS = HostFacts(
    addresses=(("eth0", NET("192.168.1.0/24")),),
    routes=(("tun0", NET("10.8.0.0/16")), ("docker0", NET("172.17.0.0/16"))),
    resolvers=(IPv4Address("172.31.0.2"),),
)


@pytest.mark.parametrize(
    ("wanted", "by"),
    [
        ("192.168.0.0/16", "an address of eth0"),
        ("10.8.4.0/24", "a route by tun0"),
        ("172.31.0.0/16", "a name server of this host"),
        ("127.1.0.0/16", "the loopback interface"),
        ("169.254.0.0/20", "link-local services"),
    ],
)
def test_a_conflict_names_what_uses_the_range(wanted: str, by: str) -> None:
    assert [c.by for c in conflicts([NET(wanted)], FACTS)] == [by]
    with pytest.raises(Fault) as refused:
        check_ranges([NET("10.99.0.0/16"), NET(wanted)], FACTS)
    assert refused.value.code == "ConflictingRange"
    assert by in refused.value.message
    assert wanted in refused.value.message


def test_free_ranges_are_no_conflict() -> None:
    check_ranges([NET("172.30.0.0/16"), NET("10.9.0.0/16")], FACTS)


def test_the_next_free_range_is_beside_the_wanted_one() -> None:
    assert free_range(NET("172.30.0.0/16"), FACTS) == NET("172.30.0.0/16")
    assert free_range(NET("172.31.0.0/16"), FACTS) == NET("172.16.0.0/16"), "upwards from it, then around"
    assert free_range(NET("172.16.0.0/16"), FACTS, taken=[NET("172.16.0.0/16")]) == NET("172.18.0.0/16")


def test_a_wholly_used_block_leads_to_another() -> None:
    facts = HostFacts(routes=(("vpn", NET("172.16.0.0/12")),))
    assert free_range(NET("172.31.0.0/16"), facts) == NET("10.0.0.0/16")
    with pytest.raises(Fault) as refused:
        every = tuple(("vpn", NET(n)) for n in ("172.16.0.0/12", "10.0.0.0/8", "192.168.0.0/16"))
        free_range(NET("172.31.0.0/16"), HostFacts(routes=every))
    assert refused.value.code == "ConflictingRange"


networks = st.builds(
    lambda address, prefix: IPv4Network((address, prefix), strict=False),
    st.integers(int(IPv4Address("10.0.0.0")), int(IPv4Address("10.255.255.255"))),
    st.integers(14, 24),
)


@given(networks, st.lists(networks, max_size=8), st.lists(networks, max_size=4))
def test_what_is_found_is_free_and_of_the_same_size(
    wanted: IPv4Network, used: list[IPv4Network], taken: list[IPv4Network]
) -> None:
    facts = HostFacts(routes=tuple(("x", network) for network in used))
    found = free_range(wanted, facts, taken)
    assert found.prefixlen == wanted.prefixlen
    assert not conflicts([found], facts)
    assert not any(found.overlaps(network) for network in taken)


def test_the_older_of_two_vpcs_gets_the_route() -> None:
    old, young = vpc("vpc-b", "10.1.0.0/16", created_at=1), vpc("vpc-a", "10.1.128.0/17", created_at=2)
    plan = host_routes([young, old], FACTS)
    assert [(r.vpc, r.range) for r in plan.routes] == [("vpc-b", NET("10.1.0.0/16"))]
    assert plan.guarded == (NET("10.1.0.0/16"),)
    assert [vpc_id for vpc_id, _ in plan.refused] == ["vpc-a"]


def test_a_range_of_the_hosts_own_gets_neither_route_nor_guard() -> None:
    plan = host_routes([vpc("vpc-a", "192.168.0.0/16", "10.5.0.0/16")], FACTS)
    assert plan.guarded == (NET("10.5.0.0/16"),)
    assert [r.range for r in plan.routes] == [NET("10.5.0.0/16")]
    assert plan.refused[0][0] == "vpc-a"
    assert "eth0" in plan.refused[0][1]
