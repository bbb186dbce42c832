"""Names and numbers of what the host agent makes, each a function of what it stands for: a restart finds its own again.

`Names.prefix` is two letters; tests take other letters than an installation, so that both may live on one machine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from ropewalk.model.ids import InterfaceId, VpcId

_PAIRS_BASE = int(IPv4Address("169.254.192.0"))
PAIRS = 8192
"""How many routers a host can have: the /31 pairs of 169.254.192.0/18."""


def _suffix(identifier: str, digits: int) -> str:
    tail = identifier.rpartition("-")[2]
    if len(tail) >= digits and all(c in "0123456789abcdef" for c in tail):
        return tail[-digits:]
    return hashlib.blake2s(identifier.encode(), digest_size=8).hexdigest()[:digits]


@dataclass(frozen=True, slots=True)
class Names:
    """How one installation calls its links and namespaces."""

    prefix: str = "rw"

    def __post_init__(self) -> None:
        if len(self.prefix) != 2 or not self.prefix.isalpha() or not self.prefix.isascii():
            raise ValueError("a prefix is two letters: link names have room for 15 bytes")

    def interface(self, interface: InterfaceId) -> str:
        """The router's end of an interface's veth."""
        return f"{self.prefix}{_suffix(interface, 12)}"

    def router(self, vpc: VpcId) -> str:
        """File name of a router's namespace."""
        return f"{self.prefix}-{_suffix(vpc, 17)}"

    def uplink(self, vpc: VpcId) -> str:
        """The host's end of the veth into a router."""
        return f"{self.prefix}h{_suffix(vpc, 12)}"

    @property
    def guard_metric(self) -> int:
        """Of the host's `unreachable` routes: any real route goes before them, and it tells ours from others'."""
        return 0xFF00_0000 | int.from_bytes(self.prefix.encode("ascii"), "big")

    def is_interface(self, link: str) -> bool:
        return link.startswith(self.prefix) and len(link) == 14 and not self.is_uplink(link)

    def is_uplink(self, link: str) -> bool:
        return link.startswith(f"{self.prefix}h") and len(link) == 15


ROUTER_UPLINK = "host0"
"""The router's end of the veth to the host."""


def host_address(number: int) -> IPv4Interface:
    """The host's address towards router `number`: the source of its own traffic into that VPC.

    A link-local address that no VPC can hold, so that only CIDR rules wide enough for strangers admit it.
    """
    return IPv4Interface((_PAIRS_BASE + 2 * number, 31))


def router_address(number: int) -> IPv4Interface:
    """The router's end of the same pair."""
    return IPv4Interface((_PAIRS_BASE + 2 * number + 1, 31))


def pair_number(address: IPv4Address) -> int | None:
    """Inverse of both; None for any other address."""
    number = (int(address) - _PAIRS_BASE) // 2
    return number if 0 <= number < PAIRS else None
