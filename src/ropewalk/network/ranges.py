"""Which address ranges may be used on this host, and which VPC gets the host's route. Pure.

Compared with everything the host itself talks to: its addresses, its routes, its resolvers. Nothing here looks at the
machine; `HostFacts` is read by `hostfacts.read`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from ropewalk.base.errors import Fault
from ropewalk.model.ids import VpcId
from ropewalk.model.network import VpcSpec

_LINK_LOCAL = IPv4Network("169.254.0.0/16")
_LOOPBACK = IPv4Network("127.0.0.0/8")
_CANDIDATES = (IPv4Network("172.16.0.0/12"), IPv4Network("10.0.0.0/8"), IPv4Network("192.168.0.0/16"))


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What this host uses for itself: (what, range) pairs, ours left out, default routes left out."""

    addresses: tuple[tuple[str, IPv4Network], ...] = ()
    """(link name, the address's network)."""
    routes: tuple[tuple[str, IPv4Network], ...] = ()
    """(link name or route type, destination)."""
    resolvers: tuple[IPv4Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Conflict:
    """One range that this host already uses, and how."""

    range: IPv4Network
    used: IPv4Network
    by: str

    def __str__(self) -> str:
        return f"{self.range} overlaps {self.used}, used by {self.by}"


def conflicts(ranges: Iterable[IPv4Network], facts: HostFacts) -> list[Conflict]:
    """Every overlap of `ranges` with what the host uses; link-local and loopback always count as used."""
    used = [
        (_LINK_LOCAL, "link-local services"),
        (_LOOPBACK, "the loopback interface"),
        *((network, f"an address of {link}") for link, network in facts.addresses),
        *((network, f"a route by {link}") for link, network in facts.routes),
        *((IPv4Network(resolver), "a name server of this host") for resolver in facts.resolvers),
    ]
    return [Conflict(wanted, network, by) for wanted in ranges for network, by in used if wanted.overlaps(network)]


def check_ranges(ranges: Iterable[IPv4Network], facts: HostFacts) -> None:
    """Raise Fault `ConflictingRange` where this host already uses part of `ranges`; its message names each overlap."""
    found = conflicts(ranges, facts)
    if found:
        listed = "; ".join(str(conflict) for conflict in found)
        raise Fault(
            "ConflictingRange",
            f"{listed}. Choose another range, or free this one on the host.",
            members={"conflicts": [str(conflict) for conflict in found]},
        )


def free_range(wanted: IPv4Network, facts: HostFacts, taken: Sequence[IPv4Network] = ()) -> IPv4Network:
    """`wanted` if it is free, else the next free private range of the same size: first in the private block it lies
    in, upwards from it and around, then in the others.

    Raises Fault `ConflictingRange` where none is left.
    """
    home = [block for block in _CANDIDATES if wanted.subnet_of(block)]
    blocks = home + [block for block in _CANDIDATES if block not in home]
    busy = [c.used for block in blocks for c in conflicts([block], facts)]
    busy += [*taken, *(c.used for c in conflicts([wanted], facts))]
    if not any(wanted.overlaps(network) for network in busy):
        return wanted
    for block in blocks:
        if wanted.prefixlen < block.prefixlen:
            continue
        start = wanted.network_address if block in home else block.network_address
        found = _first_free(block, wanted.prefixlen, int(start), busy)
        if found is not None:
            return found
    raise Fault("ConflictingRange", f"No private range of the size of {wanted} is free on this host.")


def _first_free(block: IPv4Network, prefix: int, start: int, busy: Sequence[IPv4Network]) -> IPv4Network | None:
    """The first free network of `prefix` bits at or after `start`, then from the block's own start. Skips over whole
    busy ranges, so that its steps are bounded by their number."""
    size = 1 << (32 - prefix)
    end = int(block.broadcast_address)
    for begin, limit in ((start, end), (int(block.network_address), start - 1)):
        position = begin
        while position + size - 1 <= limit:
            candidate = IPv4Network((position, prefix))
            blocker = next((network for network in busy if candidate.overlaps(network)), None)
            if blocker is None:
                return candidate
            after = int(blocker.broadcast_address) + 1
            position = max(position + size, (after + size - 1) // size * size)
    return None


@dataclass(frozen=True, slots=True)
class HostRoute:
    """A VPC range that the host reaches through that VPC's router."""

    vpc: VpcId
    range: IPv4Network


@dataclass(frozen=True, slots=True)
class HostRoutes:
    """`guarded` ranges get an `unreachable` route; `routes` go on top. `refused` says why a range has neither."""

    guarded: tuple[IPv4Network, ...]
    routes: tuple[HostRoute, ...]
    refused: tuple[tuple[VpcId, str], ...]


def host_routes(vpcs: Sequence[VpcSpec], facts: HostFacts) -> HostRoutes:
    """The older VPC gets a range that two claim; a range that the host uses itself is left to the host."""
    guarded: list[IPv4Network] = []
    routes: list[HostRoute] = []
    refused: list[tuple[VpcId, str]] = []
    for vpc in sorted(vpcs, key=lambda v: (v.created_at, v.id)):
        for cidr in vpc.cidrs:
            network = IPv4Network(cidr)
            found = conflicts([network], facts)
            elder = next((r for r in routes if r.range.overlaps(network)), None)
            if found:
                refused.append((vpc.id, str(found[0])))
            elif elder is not None:
                refused.append((vpc.id, f"{network} overlaps {elder.range} of {elder.vpc}"))
            else:
                guarded.append(network)
                routes.append(HostRoute(vpc.id, network))
    return HostRoutes(tuple(guarded), tuple(routes), tuple(refused))
