"""What a router has besides its filter: addresses, routes, services. Pure.

A workload has a /32 address and a default route by its subnet's gateway, which the router answers for on every veth:
all that an interface sends passes the router, even to its neighbour in the same subnet. What the VPC does not hold is
dropped in silence as in AWS; what lies outside is refused at once, so that nobody waits for an internet that is not
there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from ropewalk.model.network import VpcSpec
from ropewalk.network.filter import Served
from ropewalk.network.netlink import BLACKHOLE, UNREACHABLE, Route
from ropewalk.network.requests import DNS_PORT, LINK_LOCAL, resolver_addresses

MTU = 1500
_EVERYTHING = IPv4Network("0.0.0.0/0")


@dataclass(frozen=True, slots=True)
class RouterPlan:
    """`local` addresses are the router's own, on its loopback interface; `routes` have no device."""

    local: frozenset[IPv4Address]
    routes: frozenset[Route]


def router_plan(vpc: VpcSpec, served: Iterable[Served]) -> RouterPlan:
    """Gateways, served addresses, and where the rest goes."""
    local = {IPv4Address(subnet.gateway) for subnet in vpc.subnets} | {IPv4Address(s.address) for s in served}
    routes = {Route(IPv4Network(cidr), BLACKHOLE) for cidr in vpc.cidrs}
    routes |= {Route(LINK_LOCAL, UNREACHABLE), Route(_EVERYTHING, UNREACHABLE)}
    return RouterPlan(frozenset(local), frozenset(routes))


def resolver_ports(vpc: VpcSpec) -> frozenset[Served]:
    return frozenset(
        Served(address, protocol, DNS_PORT) for address in resolver_addresses(vpc) for protocol in ("udp", "tcp")
    )
