"""Make routers, interfaces and the host's few routes by netlink. Blocking: callers run these in worker threads.

Each function reads what is there and changes only what differs, so that each may be repeated, after a restart too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from ropewalk.base.errors import Fault, Retryable
from ropewalk.model.ids import VpcId
from ropewalk.network import namespaces
from ropewalk.network.names import ROUTER_UPLINK, Names, host_address, pair_number, router_address
from ropewalk.network.netlink import (
    PROTOCOL,
    UNICAST,
    UNREACHABLE,
    Link,
    Netlink,
    Route,
    delete_address,
    delete_link,
    delete_links_of_ours,
    delete_route,
    link_up,
    new_address,
    new_neighbour,
    new_route,
    new_veth,
)
from ropewalk.network.plan import MTU, RouterPlan
from ropewalk.network.ranges import HostRoutes

_LOOPBACK = 1
_EVERYTHING = IPv4Network("0.0.0.0/0")
_ROUTER_SWITCHES = {
    "net/ipv4/ip_forward": "1",
    "net/ipv6/conf/all/disable_ipv6": "1",
    "net/ipv6/conf/default/disable_ipv6": "1",
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
}
"""Per namespace: the host's own stay as they are. Sources are checked by the filter, which knows the exceptions."""


@dataclass(frozen=True, slots=True)
class Placement:
    """One interface on its way into a namespace."""

    link: str
    """The router's end."""
    namespace: str
    name: str
    mac: str
    addresses: tuple[IPv4Address, ...]
    gateway: IPv4Address


def _write_switches(switches: dict[str, str]) -> None:
    """Needs no more than to be in the namespace: /proc/sys/net shows the calling thread's own."""
    for name, value in switches.items():
        path = Path("/proc/sys") / name
        with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6 has no such switch
            if path.read_text().strip() != value:
                path.write_text(value)


def ensure_router(path: Path, uplink: str, number: int) -> None:
    """The namespace, its switches, and the veth to the host; the host's end stays down and unaddressed."""
    namespaces.create(path)
    router = namespaces.open_namespace(path)
    try:
        with namespaces.inside(router):
            _write_switches(_ROUTER_SWITCHES)
            with Netlink() as inner:
                inner.change([link_up(_LOOPBACK)])
                present = inner.link(ROUTER_UPLINK)
        with Netlink() as outer:
            link = outer.link(uplink)
            if link is not None and (present is None or present.peer != link.index):
                outer.change([delete_link(link.index)])
                link = None
            if link is None:
                outer.change([new_veth(uplink, ROUTER_UPLINK, "", router, MTU)])
                _write_switches({f"net/ipv6/conf/{uplink}/disable_ipv6": "1"})
        with namespaces.inside(router), Netlink() as inner:
            present = _expect(inner, ROUTER_UPLINK)
            wanted = router_address(number)
            old = [a for a in inner.addresses() if a.index == present.index and a.interface != wanted]
            inner.change([*(delete_address(a.index, a.interface) for a in old), new_address(present.index, wanted)])
            if not present.up:
                inner.change([link_up(present.index)])
    finally:
        os.close(router)


def _expect(netlink: Netlink, name: str) -> Link:
    link = netlink.link(name)
    if link is None:
        raise Retryable(f"link {name} has vanished while it was being set up", after=0.2)
    return link


def apply_router(path: Path, plan: RouterPlan) -> None:
    """The router's own addresses and its routes without a device; others of ours go."""
    router = namespaces.open_namespace(path)
    try:
        with namespaces.inside(router), Netlink() as netlink:
            have = {
                a.interface for a in netlink.addresses() if a.index == _LOOPBACK and a.interface.ip.is_loopback is False
            }
            want = {IPv4Interface(address) for address in plan.local}
            routes = {
                route for route in netlink.routes() if route.protocol == PROTOCOL and route.index in (0, _LOOPBACK)
            }
            present = {Route(r.destination, r.kind, 0, r.gateway, r.source, r.metric) for r in routes}
            netlink.change(
                [
                    *(new_address(_LOOPBACK, address) for address in sorted(want - have)),
                    *(new_route(route) for route in plan.routes - present),
                    *(delete_route(route) for route in present - plan.routes),
                    *(delete_address(_LOOPBACK, address) for address in have - want),
                ]
            )
    finally:
        os.close(router)


def router_links(path: Path, names: Names) -> dict[str, Link]:
    """The interfaces present in a router, by link name. Empty where there is no router."""
    try:
        router = namespaces.open_namespace(path)
    except OSError:
        return {}
    try:
        with namespaces.inside(router), Netlink() as netlink:
            return {link.name: link for link in netlink.links() if names.is_interface(link.name)}
    finally:
        os.close(router)


def attach(path: Path, placement: Placement) -> None:
    """Put an interface into its namespace. One that is already there, whole, is left alone.

    Raises Fault `InvalidNamespace` where the namespace is none (any more), `InvalidParameterValue` where its name is
    taken there by another link.
    """
    try:
        target = namespaces.open_namespace(placement.namespace)
    except OSError as error:
        raise Fault(
            "InvalidNamespace", f"{placement.namespace}: {error.strerror}; give a running sandbox's."
        ) from error
    router = namespaces.open_namespace(path)
    try:
        with namespaces.inside(target):
            there = Netlink()
        with there, namespaces.inside(router), Netlink() as here:
            link, peer = here.link(placement.link), there.link(placement.name)
            joined = link is not None and peer is not None and (link.peer, peer.peer) == (peer.index, link.index)
            if link is not None and not joined:
                here.change([delete_link(link.index)])
                link = None
            if link is None:
                _create(here, placement, target)
            _address_router_end(here, placement, fresh=link is None)
            _address_inside(there, placement)
    finally:
        os.close(router)
        os.close(target)


def _create(here: Netlink, placement: Placement, target: int) -> None:
    try:
        here.change([new_veth(placement.link, placement.name, placement.mac, target, MTU)])
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise
        raise Fault(
            "InvalidParameterValue", f"{placement.namespace} already has a link {placement.name} of something else."
        ) from error


def _address_router_end(here: Netlink, placement: Placement, fresh: bool) -> None:
    """A fresh link has no routes yet; to look for some costs a millisecond for every few hundred interfaces."""
    link = _expect(here, placement.link)
    wanted = {Route(IPv4Network(address), index=link.index) for address in placement.addresses}
    routes = [] if fresh else here.routes()
    present = {route for route in routes if route.index == link.index and route.protocol == PROTOCOL}
    here.change([] if link.up else [link_up(link.index)])
    here.change([delete_route(route) for route in present - wanted])
    here.change([new_route(route) for route in wanted - present])
    here.change([new_neighbour(link.index, address, placement.mac) for address in placement.addresses])


def _address_inside(there: Netlink, placement: Placement) -> None:
    peer = _expect(there, placement.name)
    wanted = {IPv4Interface(address) for address in placement.addresses}
    present = {address.interface for address in there.addresses() if address.index == peer.index}
    there.change([link_up(_LOOPBACK)])
    there.change([] if peer.up else [link_up(peer.index)])
    there.change([delete_address(peer.index, address) for address in present - wanted])
    # In their own order: the primary becomes the source of what the workload sends.
    there.change([new_address(peer.index, IPv4Interface(address)) for address in placement.addresses])
    gateway, primary = IPv4Network(placement.gateway), placement.addresses[0]
    there.change(
        [
            new_route(Route(gateway, index=peer.index, source=primary)),
            new_route(Route(_EVERYTHING, index=peer.index, gateway=placement.gateway, source=primary)),
        ]
    )


def detach(path: Path, link: str) -> None:
    """Delete an interface's veth, both ends. Nothing there is no error. Holds its thread for some 15 ms."""
    try:
        router = namespaces.open_namespace(path)
    except OSError:
        return
    try:
        with namespaces.inside(router), Netlink() as netlink:
            found = netlink.link(link)
            if found is not None:
                netlink.change([delete_link(found.index)])
    finally:
        os.close(router)


def remove_router(path: Path, uplink: str) -> None:
    """Take the router away with every interface in it. The namespace itself dies as the last socket in it closes."""
    with Netlink() as outer:
        link = outer.link(uplink) if uplink else None
        if link is not None:
            outer.change([delete_link(link.index)])
    with contextlib.suppress(OSError):  # a file that a reboot left is no namespace
        router = namespaces.open_namespace(path)
        try:
            with namespaces.inside(router), Netlink() as inner:
                inner.change([delete_links_of_ours()])
        finally:
            os.close(router)
    namespaces.remove(path)


def listen(path: Path, address: str, port: int, backlog: int = 512) -> socket.socket:
    """A listening TCP socket inside the router.

    SO_REUSEPORT: whoever asked before a restart of this process keeps its own socket beside the new one.
    """
    router = namespaces.open_namespace(path)
    try:
        with namespaces.inside(router):
            opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.setblocking(False)
        opened.bind((address, port))
        opened.listen(backlog)
    except BaseException:
        os.close(router)
        raise
    os.close(router)
    return opened


def bind_datagram(path: Path, address: str, port: int) -> socket.socket:
    """A UDP socket inside the router."""
    router = namespaces.open_namespace(path)
    try:
        with namespaces.inside(router):
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    finally:
        os.close(router)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    opened.setblocking(False)
    opened.bind((address, port))
    return opened


def route_host(plan: HostRoutes, numbers: Mapping[VpcId, int], names: Names) -> None:
    """Bring the host's side to `plan`: guards before anything comes up, then addresses and routes; what is no longer
    wanted goes in the opposite order, so that no packet for a VPC ever finds the host's default route.
    """
    guards = {Route(network, UNREACHABLE, metric=names.guard_metric) for network in plan.guarded}
    with Netlink() as netlink:
        present = _guards(netlink, names)
        netlink.change([new_route(route) for route in sorted(guards - present, key=str)])
        links = {link.name: link for link in netlink.links() if names.is_uplink(link.name)}
        _address_uplinks(netlink, links, {names.uplink(vpc): number for vpc, number in numbers.items()})
        _route_uplinks(netlink, plan, links, numbers, names)
        netlink.change([delete_route(route) for route in present - guards])


def _guards(netlink: Netlink, names: Names) -> set[Route]:
    """The kernel may report a device for a route that was given none: compared without."""
    return {
        Route(route.destination, route.kind, metric=route.metric)
        for route in netlink.routes()
        if (route.kind, route.protocol, route.metric) == (UNREACHABLE, PROTOCOL, names.guard_metric)
    }


def _address_uplinks(netlink: Netlink, links: Mapping[str, Link], numbers: Mapping[str, int]) -> None:
    addresses = netlink.addresses()
    for name, number in numbers.items():
        link = links.get(name)
        if link is None:
            continue
        wanted = host_address(number)
        have = {a.interface for a in addresses if a.index == link.index}
        netlink.change([delete_address(link.index, address) for address in have - {wanted}])
        netlink.change([new_address(link.index, wanted)] if wanted not in have else [])
        if not link.up:
            netlink.change([link_up(link.index)])


def _route_uplinks(
    netlink: Netlink, plan: HostRoutes, links: Mapping[str, Link], numbers: Mapping[VpcId, int], names: Names
) -> None:
    wanted: set[Route] = set()
    for item in plan.routes:
        link, number = links.get(names.uplink(item.vpc)), numbers.get(item.vpc)
        if link is not None and number is not None:
            via, source = router_address(number).ip, host_address(number).ip
            wanted.add(Route(item.range, UNICAST, link.index, via, source))
    indices = {link.index for link in links.values()}
    present = {route for route in netlink.routes() if route.protocol == PROTOCOL and route.index in indices}
    # A range that passes to another router keeps its destination: the old route must go before the new one comes.
    netlink.change([delete_route(route) for route in present - wanted])
    netlink.change([new_route(route) for route in wanted - present])


def used_numbers() -> set[int]:
    """Numbers of router pairs that some address of this host already takes."""
    with Netlink() as netlink:
        found = {pair_number(address.interface.ip) for address in netlink.addresses()}
    return {number for number in found if number is not None}


def present_number(uplink: str) -> int | None:
    """The number that a router left by an earlier process has."""
    with Netlink() as netlink:
        link = netlink.link(uplink)
        if link is None:
            return None
        found = (pair_number(a.interface.ip) for a in netlink.addresses() if a.index == link.index)
        return next((number for number in found if number is not None), None)


def remove_host_side(names: Names) -> None:
    """Our routes, then our links, then the guards: in this order no packet ever leaves by the default route."""
    with Netlink() as netlink:
        links = [link for link in netlink.links() if names.is_uplink(link.name)]
        guards = _guards(netlink, names)
        netlink.change([delete_link(link.index) for link in links])
        netlink.change([delete_route(route) for route in guards])
