"""IP addresses and ranges as the API takes them: which spellings are good, and what the canonical one is.

Older fields take what `net.ParseIP` took once (leading zeros, IPv4-mapped IPv6); newer ones want the canonical form.
The texts are apimachinery's. https://kubernetes.io/docs/concepts/services-networking/dual-stack/
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

NOT_AN_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
NOT_A_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


@lru_cache(4096)
def parse_ip(text: str) -> Address | None:
    """The address, an IPv4-mapped one as IPv4; None where it is none."""
    if "%" in text:
        return None
    try:
        if ":" not in text:
            octets = text.split(".")
            if len(octets) != 4 or not all(part.isascii() and part.isdigit() for part in octets):
                return None
            return ipaddress.IPv4Address(".".join(str(int(part)) for part in octets))
        found = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    return found.ipv4_mapped or found


@lru_cache(4096)
def parse_cidr(text: str) -> tuple[Address, Network] | None:
    """The address as written and the range it lies in."""
    host, slash, length = text.partition("/")
    address = parse_ip(host)
    if address is None or not slash or not length.isascii() or not length.isdigit():
        return None
    bits = int(length)
    if ":" in host and address.version == 4:  # ::ffff:10.0.0.0/104
        bits -= 96
    if not 0 <= bits <= address.max_prefixlen:
        return None
    return address, ipaddress.ip_network((address, bits), strict=False)


def strict_ip(text: str) -> list[str]:
    """For newer fields: canonical, unambiguous."""
    address = parse_ip(text)
    if address is None:
        return [NOT_AN_IP]
    if ":" in text and address.version == 4:
        return ["must not be an IPv4-mapped IPv6 address"]
    if ":" not in text and str(address) != text:
        return ["must not have leading 0s"]
    return [] if str(address) == text else [f'must be in canonical form ("{address}")']


def strict_cidr(text: str) -> list[str]:
    found = parse_cidr(text)
    if found is None:
        return [NOT_A_CIDR]
    address, network = found
    host, _, length = text.partition("/")
    if ":" in host and address.version == 4:
        return ["must not have an IPv4-mapped IPv6 address"]
    if (":" not in host and str(address) != host) or str(int(length)) != length:
        return ["must not have leading 0s in IP or prefix length"]
    if address != network.network_address:
        return ["must not have bits set beyond the prefix length"]
    return [] if str(network) == text else [f'must be in canonical form ("{network}")']


def ip_warnings(field: str, text: str) -> list[str]:
    """What an older field's good address is warned about."""
    address = parse_ip(text)
    if address is None or str(address) == text:
        return []
    if address.version == 4:
        return [
            f'{field}: non-standard IP address "{text}" will be considered invalid in a future Kubernetes release:'
            f' use "{address}"'
        ]
    return [f'{field}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{address}")']


def cidr_warnings(field: str, text: str) -> list[str]:
    found = parse_cidr(text)
    if found is None:
        return []
    address, network = found
    host, _, length = text.partition("/")
    warnings = []
    if address != network.network_address:
        alone = f"{address}/{address.max_prefixlen}"
        warnings.append(
            f'{field}: CIDR value "{text}" is ambiguous in this context (should be "{network}" or "{alone}"?)'
        )
    if (address.version == 4 and str(address) != host) or str(int(length)) != length:
        warnings.append(
            f'{field}: non-standard CIDR value "{text}" will be considered invalid in a future Kubernetes release:'
            f' use "{network}"'
        )
    if not warnings and str(network) != text:
        warnings.append(f'{field}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{network}")')
    return warnings


def is_ipv6(text: str) -> bool:
    address = parse_ip(text)
    return address is not None and address.version == 6
