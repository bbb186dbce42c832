"""The ranges that services' addresses and node ports come from: what lies in them, and in which order they are tried.

Pure. Both kinds of range are split as Kubernetes splits them: what is handed out comes from the upper part, from a
place chosen by chance, so that people may pick from the lower one.
https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from ropewalk.kube.machinery import addresses
from ropewalk.kube.machinery.addresses import Address, Network
from ropewalk.kube.machinery.objects import Object, at, metadata, name_of

IPV4, IPV6 = "IPv4", "IPv6"
NODE_PORTS = (30_000, 32_767)
DEFAULT_CIDR = "kubernetes"
"""The name of the ServiceCIDR that every cluster has."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Whole numbers from `first` to `last`; those below `split` are handed out last."""

    first: int
    last: int
    split: int

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def free(self, taken: Container[int], upper: float, lower: float) -> Iterator[int]:
        """Those that are not taken, in the order in which to try them. `upper` and `lower`, in [0, 1), say where in
        each part to begin. `taken` is asked as late as possible: it may grow meanwhile.
        """
        for low, high, start in ((self.split, self.last, upper), (self.first, self.split - 1, lower)):
            size = high - low + 1
            begin = int(start * size)
            for step in range(size):
                number = low + (begin + step) % size
                if number not in taken:
                    yield number


def _kept_back(size: int, least: int, most: int, step: int) -> int:
    """How many of a range are left to people to pick."""
    return 0 if size <= least else min(max(least, size // step), most)


def port_numbers(first: int, last: int) -> Numbers:
    return Numbers(first, last, first + _kept_back(last - first + 1, 16, 128, 32))


def address_numbers(network: Network) -> Numbers:
    """Without the network's own address, and the broadcast address that IPv4 has."""
    base, size = int(network.network_address), network.num_addresses
    last = base + size - (2 if network.version == 4 else 1)
    return Numbers(base + 1, last, base + 1 + _kept_back(size, 16, 256, 16))


def spelled(network: Network, number: int) -> str:
    return str(type(network.network_address)(number))


def holds(network: Network, address: Address) -> bool:
    """Whether the range can give this address to a service."""
    return address.version == network.version and int(address) in address_numbers(network)


def family_of(network: Network) -> str:
    return IPV4 if network.version == 4 else IPV6


def family_of_address(text: str) -> str:
    return IPV6 if addresses.is_ipv6(text) else IPV4


# --- ServiceCIDRs, and the range that a cluster is configured with


@dataclass(frozen=True, slots=True)
class ServiceRange:
    """One CIDR of one ServiceCIDR."""

    owner: str
    """The ServiceCIDR's name."""
    network: Network
    is_ready: bool
    """Services may get addresses from it now."""


def networks_of(service_cidr: Object) -> list[Network]:
    parsed = (addresses.parse_cidr(text) for text in at(service_cidr, "spec", "cidrs") or ())
    return [found[1] for found in parsed if found is not None]


def is_ready(service_cidr: Object) -> bool:
    """Kubernetes takes one without the condition for ready: the controllers may not run yet."""
    if metadata(service_cidr).get("deletionTimestamp"):
        return False
    for condition in at(service_cidr, "status", "conditions") or ():
        if condition.get("type") == "Ready":
            return bool(condition.get("status") == "True")
    return True


def service_ranges(service_cidrs: Iterable[Object], configured: Sequence[str]) -> list[ServiceRange]:
    """All there are, the default ServiceCIDR's first. Where that is not there (yet, or again), the cluster's
    configuration stands in for it: it is made anew from it.
    """
    found = {name_of(one): one for one in service_cidrs}
    if DEFAULT_CIDR not in found:
        found[DEFAULT_CIDR] = {"metadata": {"name": DEFAULT_CIDR}, "spec": {"cidrs": list(configured)}}
    names = sorted(found, key=lambda name: (name != DEFAULT_CIDR, name))
    return [
        ServiceRange(name, network, is_ready(found[name])) for name in names for network in networks_of(found[name])
    ]


def check_configured(ranges: Sequence[str]) -> tuple[str, ...]:
    """The families of a cluster's configured ranges, its own first. ValueError for what is no such configuration."""
    families = tuple(family_of(ip_network(text)) for text in ranges)
    if not families or len(set(families)) != len(families):
        raise ValueError(f"service ranges must be one or two of different families, not {list(ranges)}")
    return families


# --- what a service holds


def held_addresses(service: Object) -> list[str]:
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return []
    return [text for text in spec.get("clusterIPs") or () if text and text != "None"]


def held_ports(service: Object) -> list[int]:
    """Each once; the port of health checks among them."""
    spec = service.get("spec") or {}
    ports = [port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")]
    if spec.get("healthCheckNodePort"):
        ports.append(spec["healthCheckNodePort"])
    return list(dict.fromkeys(ports))
