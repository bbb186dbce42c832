"""What this host uses for itself, read from its kernel and its resolver's configuration. Changes nothing."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address
from pathlib import Path

from ropewalk.network.names import Names
from ropewalk.network.netlink import PROTOCOL, Netlink
from ropewalk.network.ranges import HostFacts

_RESOLVERS = Path("/etc/resolv.conf")


def read(prefix: str = "rw", resolver_file: Path = _RESOLVERS) -> HostFacts:
    """Addresses, routes and name servers of the calling thread's network namespace; a millisecond.

    Left out: loopback, default routes, and what the installation with this prefix has made itself.
    """
    names = Names(prefix)
    with Netlink() as netlink:
        links = {link.index: link.name for link in netlink.links()}
        ours = {index for index, name in links.items() if names.is_uplink(name)}
        addresses = tuple(
            (links.get(address.index, "a link"), address.interface.network)
            for address in netlink.addresses()
            if address.index not in ours and not address.interface.is_loopback
        )
        routes = tuple(
            (links.get(route.index, "this host's table"), route.destination)
            for route in netlink.routes()
            if route.destination.prefixlen
            and route.index not in ours
            and not (route.protocol == PROTOCOL and route.metric == names.guard_metric)
        )
    return HostFacts(addresses, routes, tuple(_resolvers(resolver_file)))


def _resolvers(path: Path) -> list[IPv4Address]:
    found = []
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            words = line.split()
            if len(words) > 1 and words[0] == "nameserver":
                with contextlib.suppress(ValueError):
                    found.append(IPv4Address(words[1]))
    return [address for address in found if not address.is_loopback]
