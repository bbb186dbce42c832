"""IP addresses and networks in CEL; what is wrong with one is told as kube-apiserver tells it.
https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-ip-address-library
https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-cidr-library
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from ropewalk.kube.machinery.cel.functions import both, function, method, opaque, parses, traversal
from ropewalk.kube.machinery.cel.values import EvaluationError, Opaque, Value
from ropewalk.kube.machinery.json_text import quoted


@opaque("IP")
@dataclass(frozen=True, slots=True)
class Ip(Opaque):
    address: IPv4Address | IPv6Address
    type_name = "net.IP"

    def text(self) -> str:
        return str(self.address)


@opaque("CIDR")
@dataclass(frozen=True, slots=True)
class Cidr(Opaque):
    address: IPv4Address | IPv6Address
    bits: int
    type_name = "net.CIDR"

    def text(self) -> str:
        return f"{self.address}/{self.bits}"

    @property
    def network(self) -> IPv4Network | IPv6Network:
        return ip_network(self.text(), strict=False)


def _ip(text: str) -> Ip:
    host, _, zone = text.partition("%")
    try:
        address = ip_address(host if zone and ":" in host else text)
    except ValueError:
        why = f"IP Address {quoted(text)} parse error during conversion from string: {address_problem(text)}"
        raise EvaluationError(why) from None
    if zone:
        raise EvaluationError(f"IP address {quoted(text)} with zone value is not allowed")
    _refuse_mapped(address, text)
    return Ip(address)


def _cidr(text: str) -> Cidr:
    host, _, bits = text.rpartition("/")
    try:
        if not _BITS.fullmatch(bits) or "%" in host:
            raise ValueError
        address = ip_address(host)
        ip_network(text, strict=False)
        _refuse_mapped(address, text)
    except ValueError:
        why = f"{_NO_CIDR}: netip.ParsePrefix({quoted(text)}): {_prefix_problem(text)}"
        raise EvaluationError(f"{_NO_CIDR}: {why}") from None
    except EvaluationError as error:
        raise EvaluationError(f"{_NO_CIDR}: {error}") from None
    return Cidr(address, int(bits))


_NO_CIDR = "network address parse error during conversion from string"
_BITS = re.compile(r"[0-9]|[1-9][0-9]+")


def _refuse_mapped(address: IPv4Address | IPv6Address, text: str) -> None:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        raise EvaluationError(f"IPv4-mapped IPv6 address {quoted(text)} is not allowed")


function("ip", "string -> IP", cost=traversal())(_ip)
function("cidr", "string -> CIDR", cost=traversal())(_cidr)


@function("isIP", "string -> bool", cost=traversal())
def is_ip(text: str) -> bool:
    return parses(_ip, text)


@function("isCIDR", "string -> bool", cost=traversal())
def is_cidr(text: str) -> bool:
    return parses(_cidr, text)


@function("ip.isCanonical", "string -> bool", cost=traversal(0.2))
def ip_is_canonical(text: str) -> bool:
    return _ip(text).text() == text


@method("family", "IP -> int")
def ip_family(ip: Ip) -> int:
    return ip.address.version


@method("isUnspecified", "IP -> bool")
def ip_is_unspecified(ip: Ip) -> bool:
    return ip.address.is_unspecified


@method("isLoopback", "IP -> bool")
def ip_is_loopback(ip: Ip) -> bool:
    return ip.address.is_loopback


@method("isLinkLocalMulticast", "IP -> bool")
def ip_is_link_local_multicast(ip: Ip) -> bool:
    return ip.address in (ip_network("224.0.0.0/24") if ip.address.version == 4 else ip_network("ff02::/16"))


@method("isLinkLocalUnicast", "IP -> bool")
def ip_is_link_local_unicast(ip: Ip) -> bool:
    return ip.address.is_link_local


@method("isGlobalUnicast", "IP -> bool")
def ip_is_global_unicast(ip: Ip) -> bool:
    address = ip.address
    odd = address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    return not odd and str(address) != "255.255.255.255"


@method("containsIP", "CIDR string -> bool", "CIDR IP -> bool", cost=both)
def cidr_contains_ip(cidr: Cidr, ip: Value) -> bool:
    address = (ip if isinstance(ip, Ip) else _ip(ip)).address
    return address.version == cidr.address.version and address in cidr.network


@method("containsCIDR", "CIDR string -> bool", "CIDR CIDR -> bool", cost=both)
def cidr_contains_cidr(cidr: Cidr, other: Value) -> bool:
    inner = other if isinstance(other, Cidr) else _cidr(other)
    if inner.address.version != cidr.address.version or inner.bits < cidr.bits:
        return False
    return inner.address in cidr.network


@method("ip", "CIDR -> IP")
def cidr_ip(cidr: Cidr) -> Ip:
    return Ip(cidr.address)


@method("prefixLength", "CIDR -> int")
def cidr_prefix_length(cidr: Cidr) -> int:
    return cidr.bits


@method("masked", "CIDR -> CIDR")
def cidr_masked(cidr: Cidr) -> Cidr:
    return Cidr(cidr.network.network_address, cidr.bits)


# --- what is wrong with a text, as Go's netip says it


def _prefix_problem(text: str) -> str:
    host, slash, bits = text.rpartition("/")
    if not slash:
        return "no '/'"
    try:
        version = ip_address(host).version
    except ValueError:
        return address_problem(host)
    if "%" in host:
        return "IPv6 zones cannot be present in a prefix"
    if not _BITS.fullmatch(bits) or len(bits) > 18:
        return f"bad bits after slash: {quoted(bits)}"
    return "prefix length out of range" if int(bits) > (32 if version == 4 else 128) else "invalid prefix"


def address_problem(text: str) -> str:
    """What it is that makes a text no address."""
    first = next((character for character in text if character in ".:%"), "")
    if first == ".":
        problem, at = _ipv4_problem(text)
    elif first == ":":
        problem, at = _ipv6_problem(text)
    else:
        problem, at = ("missing IPv6 address" if first else "unable to parse IP"), ""
    where = f" (at {quoted(at)})" if at else ""
    return f"ParseAddr({quoted(text)}): {problem}{where}"


_Problem: TypeAlias = tuple[str, str]
"""What is wrong, and what is left of the text where it was found, if that is told."""


def _ipv4_problem(text: str) -> _Problem:
    start = 0
    for place, octet in enumerate(octets := text.split(".")):
        for here, character in enumerate(octet):
            if character not in "0123456789":
                return "unexpected character", text[start + here :]
            if here == 1 and octet[0] == "0":
                return "IPv4 field has octet with leading zero", ""
            if int(octet[: here + 1]) > 255:
                return "IPv4 field has value >255", ""
        dot = start + len(octet)
        if dot < len(text):
            if not octet or dot == len(text) - 1:
                return "IPv4 field must have at least one digit", text[dot:]
            if place == 3:
                return "IPv4 address too long", ""
        start = dot + 1
    return ("IPv4 address too short", "") if len(octets) < 4 else _UNKNOWN


_UNKNOWN: _Problem = ("unable to parse IP", "")
"""Of what Go takes and we do not."""


def _ipv6_problem(text: str) -> _Problem:
    rest, percent, zone = text.partition("%")
    if percent and not zone:
        return "zone must be a non-empty string", ""
    shortened = rest.startswith("::")
    rest = rest[2:] if shortened else rest
    groups = 0
    while groups < 8:
        digits = _HEXADECIMAL.match(rest)
        length = digits.end() if digits else 0
        if length > 4:
            return "each group must have 4 or less digits", rest
        if length == 0:
            return "each colon-separated field must have at least one digit", rest
        if rest[length : length + 1] == ".":
            return _embedded_problem(rest, groups, shortened=shortened)
        groups += 1
        rest = rest[length:]
        if not rest:
            break
        if rest[0] != ":":
            return "unexpected character, want colon", rest
        if len(rest) == 1:
            return "colon must be followed by more characters", rest
        rest = rest[1:]
        if rest[0] == ":":
            if shortened:
                return "multiple :: in address", rest
            shortened = True
            rest = rest[1:]
            if not rest:
                break
    if rest:
        return "trailing garbage after address", rest
    if groups < 8 and not shortened:
        return "address string too short", ""
    return ("the :: must expand to at least one field of zeros", "") if groups == 8 and shortened else _UNKNOWN


_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")


def _embedded_problem(rest: str, groups: int, *, shortened: bool) -> _Problem:
    """Of an IPv4 address at the end, after so many groups."""
    if not shortened and groups != 6:
        return "embedded IPv4 address must replace the final 2 fields of the address", rest
    if groups > 6:
        return "too many hex fields to fit an embedded IPv4 at the end of the address", rest
    problem = _ipv4_problem(rest)
    if problem is _UNKNOWN and groups == 6 and shortened:
        return "the :: must expand to at least one field of zeros", ""
    return problem
