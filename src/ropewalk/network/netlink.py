"""rtnetlink, spoken directly: the few messages that routers and interfaces need.

Why not pyroute2: an attach costs 22 ms through it, 3 ms so (spikes). Blocking, quick calls on a socket that belongs to
one namespace; callers run them in worker threads. Layouts are those of linux/rtnetlink.h and linux/if_link.h.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from types import TracebackType

_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_REPLACE, _EXCL, _CREATE = 0x100, 0x200, 0x400
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NEWLINK, _DELLINK, _GETLINK, _SETLINK = 16, 17, 18, 19
_NEWADDR, _DELADDR, _GETADDR = 20, 21, 22
_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26
_NEWNEIGH = 28

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_LINK, _IFLA_LINKINFO, _IFLA_GROUP, _IFLA_NET_NS_FD = (
    1,
    3,
    4,
    5,
    18,
    27,
    28,
)
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_PREFSRC, _RTA_TABLE = 1, 4, 5, 6, 7, 15
_NDA_DST, _NDA_LLADDR = 1, 2
_IFF_UP = 1
_NUD_PERMANENT = 0x80
_TABLE_MAIN = 254
_SCOPE_UNIVERSE, _SCOPE_LINK, _SCOPE_NOWHERE, _SCOPE_HOST = 0, 253, 255, 254

UNICAST, BLACKHOLE, UNREACHABLE = 1, 6, 7
"""Route types."""
PROTOCOL = 82
"""`rtm_protocol` of every route of ours: what tells them from others' (see /etc/iproute2/rt_protos: unassigned)."""
GROUP = 82
"""`IFLA_GROUP` of the near end of every veth of ours."""

_INFO = struct.Struct("=BxHiII")
_ADDR = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEIGH = struct.Struct("=BxxxiHBB")
_HEADER = struct.Struct("=IHHII")


class NetlinkError(OSError):
    """The kernel's refusal of one message."""


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + b"\0" * (-length % 4)


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _u32(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("=I", value))


def _mac(value: str) -> bytes:
    return bytes.fromhex(value.replace(":", ""))


def _attributes(payload: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(payload):
        length, kind = struct.unpack_from("=HH", payload, position)
        if length < 4:
            return
        yield kind & 0x3FFF, payload[position + 4 : position + length]
        position += (length + 3) & ~3


@dataclass(frozen=True, slots=True)
class Message:
    """One request, without its header."""

    kind: int
    flags: int
    payload: bytes
    tolerated: tuple[int, ...] = ()
    """Errors that mean: it is so already."""


@dataclass(frozen=True, slots=True)
class Link:
    index: int
    name: str
    mac: str
    up: bool
    kind: str
    peer: int
    """Interface index of a veth's other end, in that end's namespace; 0 where unknown."""


@dataclass(frozen=True, slots=True)
class Address:
    index: int
    interface: IPv4Interface


@dataclass(frozen=True, slots=True)
class Route:
    """An IPv4 route of the main table. `index` 0: no device (blackhole, unreachable)."""

    destination: IPv4Network
    kind: int = UNICAST
    index: int = 0
    gateway: IPv4Address | None = None
    source: IPv4Address | None = None
    metric: int = 0
    protocol: int = PROTOCOL


def new_veth(name: str, peer: str, peer_mac: str, peer_namespace: int, mtu: int) -> Message:
    """A veth whose other end is born in another namespace (an open descriptor) under its final name and address."""
    other = _INFO.pack(0, 0, 0, 0, 0) + _text(_IFLA_IFNAME, peer) + _u32(_IFLA_MTU, mtu)
    other += _u32(_IFLA_NET_NS_FD, peer_namespace)
    if peer_mac:
        other += _attribute(_IFLA_ADDRESS, _mac(peer_mac))
    info = _attribute(_INFO_KIND, b"veth") + _attribute(_INFO_DATA, _attribute(_VETH_PEER, other))
    body = _INFO.pack(0, 0, 0, 0, 0) + _text(_IFLA_IFNAME, name) + _u32(_IFLA_MTU, mtu) + _u32(_IFLA_GROUP, GROUP)
    return Message(_NEWLINK, _CREATE | _EXCL, body + _attribute(_IFLA_LINKINFO, info))


def link_up(index: int) -> Message:
    return Message(_SETLINK, 0, _INFO.pack(0, 0, index, _IFF_UP, _IFF_UP))


def delete_link(index: int) -> Message:
    return Message(_DELLINK, 0, _INFO.pack(0, 0, index, 0, 0), (errno.ENODEV,))


def delete_links_of_ours() -> Message:
    """Every link of this namespace that `new_veth` made here, in one go: a thousand cost little more than one."""
    return Message(_DELLINK, 0, _INFO.pack(0, 0, 0, 0, 0) + _u32(_IFLA_GROUP, GROUP), (errno.ENODEV,))


def new_address(index: int, interface: IPv4Interface) -> Message:
    local = interface.ip.packed
    body = _ADDR.pack(socket.AF_INET, interface.network.prefixlen, 0, _SCOPE_UNIVERSE, index)
    body += _attribute(_IFA_LOCAL, local) + _attribute(_IFA_ADDRESS, local)
    return Message(_NEWADDR, _CREATE | _EXCL, body, (errno.EEXIST,))


def delete_address(index: int, interface: IPv4Interface) -> Message:
    body = _ADDR.pack(socket.AF_INET, interface.network.prefixlen, 0, _SCOPE_UNIVERSE, index)
    return Message(_DELADDR, 0, body + _attribute(_IFA_LOCAL, interface.ip.packed), (errno.EADDRNOTAVAIL,))


def _route(route: Route) -> bytes:
    scope = _SCOPE_UNIVERSE
    if route.kind == UNICAST and route.gateway is None:
        scope = _SCOPE_LINK
    length = route.destination.prefixlen
    body = _ROUTE.pack(socket.AF_INET, length, 0, 0, _TABLE_MAIN, route.protocol, scope, route.kind, 0)
    if length:
        body += _attribute(_RTA_DST, route.destination.network_address.packed)
    if route.index:
        body += _u32(_RTA_OIF, route.index)
    if route.gateway is not None:
        body += _attribute(_RTA_GATEWAY, route.gateway.packed)
    if route.source is not None:
        body += _attribute(_RTA_PREFSRC, route.source.packed)
    if route.metric:
        body += _u32(_RTA_PRIORITY, route.metric)
    return body


def new_route(route: Route) -> Message:
    return Message(_NEWROUTE, _CREATE | _EXCL, _route(route), (errno.EEXIST,))


def delete_route(route: Route) -> Message:
    return Message(_DELROUTE, 0, _route(route), (errno.ESRCH,))


def new_neighbour(index: int, address: IPv4Address, mac: str) -> Message:
    """A permanent one: the router never asks, and nobody can claim another's address."""
    body = _NEIGH.pack(socket.AF_INET, index, _NUD_PERMANENT, 0, 0)
    body += _attribute(_NDA_DST, address.packed) + _attribute(_NDA_LLADDR, _mac(mac))
    return Message(_NEWNEIGH, _CREATE | _REPLACE, body)


class Netlink:
    """A route socket of the namespace that the calling thread was in when it was made."""

    __slots__ = ("_sequence", "_socket")

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def change(self, messages: Sequence[Message]) -> None:
        """Do all of them in order. Raises NetlinkError on the first refusal that is not tolerated; those before stay.

        Sent one by one: a veth's creation allocates, and a refused message must stop what follows.
        """
        for message in messages:
            self._sequence += 1
            length = _HEADER.size + len(message.payload)
            flags = _REQUEST | _ACK | message.flags
            self._socket.send(_HEADER.pack(length, message.kind, flags, self._sequence, 0) + message.payload)
            self._acknowledged(message)

    def _acknowledged(self, message: Message) -> None:
        for kind, sequence, payload in self._receive():
            if kind == _NLMSG_ERROR and sequence == self._sequence:
                number = -struct.unpack_from("=i", payload)[0]
                if number and number not in message.tolerated:
                    raise NetlinkError(number, f"netlink message {message.kind}: {os.strerror(number)}")
                return

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        while True:
            data = self._socket.recv(1 << 18)
            position = 0
            while position + _HEADER.size <= len(data):
                length, kind, _, sequence, _ = _HEADER.unpack_from(data, position)
                yield kind, sequence, data[position + _HEADER.size : position + length]
                position += (length + 3) & ~3

    def _dump(self, kind: int, body: bytes) -> list[bytes]:
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | _DUMP, self._sequence, 0)
        self._socket.send(header + body)
        found = []
        for answer, sequence, payload in self._receive():
            if sequence != self._sequence:
                continue
            if answer == _NLMSG_DONE:
                break
            if answer == _NLMSG_ERROR:
                number = -struct.unpack_from("=i", payload)[0]
                raise NetlinkError(number, os.strerror(number))
            found.append(payload)
        return found

    def links(self) -> list[Link]:
        return [_parse_link(payload) for payload in self._dump(_GETLINK, _INFO.pack(0, 0, 0, 0, 0))]

    def link(self, name: str) -> Link | None:
        with contextlib.suppress(OSError):
            body = _INFO.pack(0, 0, 0, 0, 0) + _text(_IFLA_IFNAME, name)
            self._sequence += 1
            header = _HEADER.pack(_HEADER.size + len(body), _GETLINK, _REQUEST, self._sequence, 0)
            self._socket.send(header + body)
            for kind, sequence, payload in self._receive():
                if sequence == self._sequence:
                    return None if kind == _NLMSG_ERROR else _parse_link(payload)
        return None

    def addresses(self) -> list[Address]:
        found = []
        for payload in self._dump(_GETADDR, _ADDR.pack(socket.AF_INET, 0, 0, 0, 0)):
            family, length, _, _, index = _ADDR.unpack_from(payload)
            values = dict(_attributes(payload[_ADDR.size :]))
            local = values.get(_IFA_LOCAL) or values.get(_IFA_ADDRESS)
            if family == socket.AF_INET and local:
                found.append(Address(index, IPv4Interface((local, length))))
        return found

    def routes(self) -> list[Route]:
        """Every IPv4 route of every table but `local`'s own."""
        found = []
        for payload in self._dump(_GETROUTE, _ROUTE.pack(socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)):
            family, length, _, _, table, protocol, _, kind, _ = _ROUTE.unpack_from(payload)
            values = dict(_attributes(payload[_ROUTE.size :]))
            if _RTA_TABLE in values:
                table = struct.unpack("=I", values[_RTA_TABLE])[0]
            if family != socket.AF_INET or table == 255 or kind in (3, 5):
                continue
            gateway, source = values.get(_RTA_GATEWAY), values.get(_RTA_PREFSRC)
            found.append(
                Route(
                    destination=IPv4Network((values.get(_RTA_DST, b"\0\0\0\0"), length)),
                    kind=kind,
                    index=struct.unpack("=I", values[_RTA_OIF])[0] if _RTA_OIF in values else 0,
                    gateway=IPv4Address(gateway) if gateway else None,
                    source=IPv4Address(source) if source else None,
                    metric=struct.unpack("=I", values[_RTA_PRIORITY])[0] if _RTA_PRIORITY in values else 0,
                    protocol=protocol,
                )
            )
        return found


def _parse_link(payload: bytes) -> Link:
    _, _, index, flags, _ = _INFO.unpack_from(payload)
    name, mac, kind, peer = "", "", "", 0
    for attribute, value in _attributes(payload[_INFO.size :]):
        if attribute == _IFLA_IFNAME:
            name = value.rstrip(b"\0").decode()
        elif attribute == _IFLA_ADDRESS:
            mac = value.hex(":")
        elif attribute == _IFLA_LINK:
            peer = struct.unpack("=I", value)[0]
        elif attribute == _IFLA_LINKINFO:
            inner = dict(_attributes(value))
            kind = inner.get(_INFO_KIND, b"").rstrip(b"\0").decode()
    return Link(index, name, mac, bool(flags & _IFF_UP), kind, peer)
