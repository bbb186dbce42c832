"""Forget the tracked flows of an address, spoken as ctnetlink directly.

When an interface goes, its address may soon be another's: a flow that its peer still holds open must then ask the new
owner's groups again, not pass as established. Layouts are those of linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import os
import socket
import struct
from ipaddress import IPv4Address
from pathlib import Path

from ropewalk.network import namespaces

_NETFILTER = 12
_DELETE = (1 << 8) | 2
"""NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE."""
_REQUEST, _ACK = 0x1, 0x4
_NESTED = 0x8000
_TUPLE_ORIGINAL, _FILTER, _TUPLE_IP, _FILTER_ORIGINAL = 1, 25, 1, 1
_SOURCE, _DESTINATION = 1, 2
"""Both the attribute's kind and (as it happens) the filter's flag."""


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _message(field: int, address: IPv4Address) -> bytes:
    ends = _attribute(_TUPLE_IP | _NESTED, _attribute(field, address.packed))
    flags = _attribute(_FILTER_ORIGINAL, struct.pack("=I", field))
    body = struct.pack("=BBH", socket.AF_INET, 0, 0)
    body += _attribute(_TUPLE_ORIGINAL | _NESTED, ends) + _attribute(_FILTER | _NESTED, flags)
    return struct.pack("=IHHII", 16 + len(body), _DELETE, _REQUEST | _ACK, field, 0) + body


def forget(router: Path, addresses: tuple[IPv4Address, ...]) -> None:
    """Drop every tracked flow to or from `addresses` in a router. Blocking, under a millisecond.

    Raises OSError where the kernel cannot (before 5.8): the caller decides whether that matters.
    """
    descriptor = namespaces.open_namespace(router)
    try:
        with namespaces.inside(descriptor):
            asking = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
    finally:
        os.close(descriptor)
    with asking:
        for address in addresses:
            for field in (_SOURCE, _DESTINATION):
                asking.send(_message(field, address))
                number = -struct.unpack_from("=i", asking.recv(8192), 16)[0]
                if number:
                    raise OSError(number, f"conntrack: {os.strerror(number)}")
