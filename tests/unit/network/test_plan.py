"""What a router has besides its filter."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from ropewalk.base.errors import Fault
from ropewalk.model.ids import SubnetId
from ropewalk.network.filter import Served
from ropewalk.network.netlink import BLACKHOLE, UNREACHABLE
from ropewalk.network.plan import resolver_ports, router_plan
from ropewalk.network.requests import resolver_addresses, subnet_of
from unit.network.fabrics import SUBNET, interface, vpc


def test_a_router_answers_for_gateways_and_what_it_serves() -> None:
    plan = router_plan(vpc(), [Served("169.254.170.2", "tcp", 80)])
    assert plan.local == {IPv4Address("10.0.0.1"), IPv4Address("169.254.170.2")}


def test_absent_addresses_are_silence_and_outside_ones_are_refused() -> None:
    """And link-local ones too, so that no 169.254.169.254 of a cloud below is ever asked."""
    kinds = {
        route.destination: route.kind for route in router_plan(vpc("vpc-a", "10.0.0.0/16", "10.9.0.0/16"), ()).routes
    }
    assert kinds == {
        IPv4Network("10.0.0.0/16"): BLACKHOLE,
        IPv4Network("10.9.0.0/16"): BLACKHOLE,
        IPv4Network("169.254.0.0/16"): UNREACHABLE,
        IPv4Network("0.0.0.0/0"): UNREACHABLE,
    }


def test_the_resolver_has_the_second_address_of_the_first_range() -> None:
    assert resolver_addresses(vpc("vpc-a", "10.7.0.0/16", "10.9.0.0/16")) == ("169.254.169.253", "10.7.0.2")
    assert {(p.address, p.protocol) for p in resolver_ports(vpc("vpc-a", "10.7.0.0/16"))} == {
        (address, protocol) for address in ("169.254.169.253", "10.7.0.2") for protocol in ("udp", "tcp")
    }


def test_an_interface_of_a_subnet_that_is_not_there_is_refused() -> None:
    assert subnet_of(vpc(), interface(1)) == SUBNET
    record = interface(1)
    stray = type(record)(record.id, record.vpc, SubnetId("subnet-9"), record.addresses, record.mac)
    with pytest.raises(Fault) as refused:
        subnet_of(vpc(), stray)
    assert refused.value.code == "InvalidSubnetID.NotFound"
