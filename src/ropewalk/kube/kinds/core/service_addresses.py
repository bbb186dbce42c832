"""Which addresses and node ports services hold: two ranges, what of them is taken, and what comes next.

Pure but for the entropy it is given. It forgets with the process: at start the owner tells it every service there is
(`occupy`). Both ranges are split as Kubernetes splits them: what is handed out comes from the upper part, so that
people may pick from the lower one. https://kubernetes.io/docs/concepts/services-networking/cluster-ip-allocation/
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from ropewalk.base.entropy import Entropy
from ropewalk.kube.machinery import addresses
from ropewalk.kube.machinery.addresses import Network
from ropewalk.kube.machinery.objects import Object

IPV4, IPV6 = "IPv4", "IPv6"
NODE_PORTS = (30_000, 32_767)
FULL = "range is full"
_DRY_RUN_PORT = 32_769


class Unavailable(Exception):
    """Why an address or port cannot be had, in Kubernetes' words."""


class _Numbers:
    """Whole numbers from `first` to `last`; those below `split` are handed out last."""

    def __init__(self, first: int, last: int, split: int, entropy: Entropy) -> None:
        self.first, self.last, self._split = first, last, split
        self._entropy = entropy
        self._taken: set[int] = set()

    def __contains__(self, number: int) -> bool:
        return self.first <= number <= self.last

    def is_taken(self, number: int) -> bool:
        return number in self._taken

    def take(self, number: int) -> None:
        self._taken.add(number)

    def give(self, number: int) -> None:
        self._taken.discard(number)

    def next(self) -> int:
        for low, high in ((self._split, self.last), (self.first, self._split - 1)):
            size = high - low + 1
            taken = sum(low <= number <= high for number in self._taken) if len(self._taken) >= size else 0
            if size <= 0 or taken >= size:
                continue
            number = low + int(self._entropy.random() * size)
            for _ in range(size):
                if number not in self._taken:
                    self._taken.add(number)
                    return number
                number = low if number == high else number + 1
        raise Unavailable(FULL)


def _split(size: int, least: int, most: int, step: int) -> int:
    """How many of a range are kept back for people to pick."""
    return 0 if size <= least else min(max(least, size // step), most)


class _Range:
    def __init__(self, text: str, entropy: Entropy) -> None:
        self.network: Network = ip_network(text)
        base, size = int(self.network.network_address), self.network.num_addresses
        last = base + size - (2 if self.network.version == 4 else 1)
        self.numbers = _Numbers(base + 1, last, base + 1 + _split(size, 16, 256, 16), entropy)

    def text(self, number: int) -> str:
        return str(type(self.network.network_address)(number))


class ServiceAddresses:
    """One range, or two of different families (the first is the family of services that name none)."""

    def __init__(self, ranges: Sequence[str], entropy: Entropy, *, node_ports: tuple[int, int] = NODE_PORTS) -> None:
        self._ranges = {IPV6 if ":" in text else IPV4: _Range(text, entropy) for text in ranges}
        if not self._ranges or len(self._ranges) != len(ranges):
            raise ValueError(f"service ranges must be one or two of different families, not {list(ranges)}")
        first, last = node_ports
        self._ports = _Numbers(first, last, first + _split(last - first + 1, 16, 128, 32), entropy)

    @property
    def families(self) -> tuple[str, ...]:
        """The cluster's own first."""
        return tuple(self._ranges)

    def first_address(self, family: str | None = None) -> str:
        """What the service `kubernetes` gets."""
        found = self._ranges[family or self.families[0]]
        return found.text(found.numbers.first)

    # --- addresses

    def take_address(self, text: str, *, dry_run: bool = False) -> None:
        """This very address. Raises `Unavailable`."""
        address = addresses.parse_ip(text)
        found = self._range_of(text)
        if address is None or found is None or address not in found.network:
            raise Unavailable("the provided network does not match the current range")
        number = int(address)
        if number not in found.numbers:
            raise Unavailable(
                f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {found.network}"
            )
        if dry_run:
            return
        if found.numbers.is_taken(number):
            raise Unavailable("provided IP is already allocated")
        found.numbers.take(number)

    def next_address(self, family: str, *, dry_run: bool = False) -> str:
        """Any. A dry run is shown the range's own address, which nobody gets. Raises `Unavailable`."""
        found = self._ranges[family]
        return str(found.network.network_address) if dry_run else found.text(found.numbers.next())

    def give_address(self, text: str) -> None:
        address, found = addresses.parse_ip(text), self._range_of(text)
        if address is not None and found is not None:
            found.numbers.give(int(address))

    def _range_of(self, text: str) -> _Range | None:
        return self._ranges.get(IPV6 if addresses.is_ipv6(text) else IPV4)

    # --- ports

    def take_port(self, port: int, *, dry_run: bool = False) -> None:
        """This very port. Raises `Unavailable`."""
        if self._ports.is_taken(port):
            raise Unavailable("provided port is already allocated")
        if dry_run:
            return
        if port not in self._ports:
            valid = f"{self._ports.first}-{self._ports.last}"
            raise Unavailable(f"provided port is not in the valid range. The range of valid ports is {valid}")
        self._ports.take(port)

    def next_port(self, *, dry_run: bool = False) -> int:
        """Any. A dry run is shown one that nobody gets. Raises `Unavailable`."""
        return _DRY_RUN_PORT if dry_run else self._ports.next()

    def give_port(self, port: int) -> None:
        self._ports.give(port)

    # --- whole services

    def occupy(self, service: Object) -> None:
        """Note what a service that exists holds, whoever else may hold it, too."""
        for text in held_addresses(service):
            address, found = addresses.parse_ip(text), self._range_of(text)
            if address is not None and found is not None and address in found.network:
                found.numbers.take(int(address))
        for port in held_ports(service):
            self._ports.take(port)

    def release(self, service: Object) -> None:
        for text in held_addresses(service):
            self.give_address(text)
        for port in held_ports(service):
            self.give_port(port)


def held_addresses(service: Object) -> list[str]:
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return []
    return [text for text in spec.get("clusterIPs") or () if text and text != "None"]


def held_ports(service: Object) -> list[int]:
    spec = service.get("spec") or {}
    ports = [port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")]
    if spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local":
        ports += [spec["healthCheckNodePort"]] if spec.get("healthCheckNodePort") else []
    return ports
