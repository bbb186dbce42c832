"""Names that a restart finds again."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.model.ids import InterfaceId, VpcId
from ropewalk.network.names import PAIRS, Names, host_address, pair_number, router_address

NAMES = Names("rw")


def test_names_carry_the_ids_last_digits() -> None:
    assert NAMES.interface(InterfaceId("eni-0123456789abcdef0")) == "rw56789abcdef0"
    assert NAMES.router(VpcId("vpc-0123456789abcdef0")) == "rw-0123456789abcdef0"
    assert NAMES.uplink(VpcId("vpc-0123456789abcdef0")) == "rwh56789abcdef0"


@given(st.text(min_size=1))
def test_any_id_gives_a_name_that_a_link_can_have(identifier: str) -> None:
    for name in (NAMES.interface(InterfaceId(identifier)), NAMES.uplink(VpcId(identifier))):
        assert len(name.encode()) <= 15
        assert name.isascii() and name.isalnum()
    assert NAMES.is_interface(NAMES.interface(InterfaceId(identifier)))
    assert NAMES.is_uplink(NAMES.uplink(VpcId(identifier)))
    assert not NAMES.is_interface(NAMES.uplink(VpcId(identifier)))
    assert "/" not in NAMES.router(VpcId(identifier))


def test_odd_ids_that_differ_have_names_that_differ() -> None:
    assert NAMES.interface(InterfaceId("eni-1")) != NAMES.interface(InterfaceId("eni-2"))


@pytest.mark.parametrize("prefix", ["", "r", "rws", "r1", "рв"])
def test_a_prefix_is_two_letters(prefix: str) -> None:
    with pytest.raises(ValueError, match="two letters"):
        Names(prefix)


def test_guards_of_two_installations_differ() -> None:
    assert Names("rw").guard_metric != Names("rt").guard_metric


@given(st.integers(0, PAIRS - 1))
def test_pairs_are_link_local_and_never_a_service_address(number: int) -> None:
    host, router = host_address(number), router_address(number)
    assert host.network == router.network
    assert host.ip != router.ip
    assert pair_number(host.ip) == pair_number(router.ip) == number
    assert int(host.ip) >> 16 == int(IPv4Address("169.254.0.0")) >> 16
    assert int(host.ip) >> 8 & 255 not in (169, 170)


@pytest.mark.parametrize("address", ["169.254.169.254", "169.254.170.2", "10.0.0.1", "170.0.0.0"])
def test_other_addresses_are_no_pair(address: str) -> None:
    assert pair_number(IPv4Address(address)) is None
