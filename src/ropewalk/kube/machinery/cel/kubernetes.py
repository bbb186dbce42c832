"""Kubernetes' own functions: quantities, URLs, addresses, semantic versions, named formats, JSON patch helpers.
https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-cel-libraries
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import total_ordering
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, parse_qs, quote, urlsplit

from ropewalk.kube.machinery import names, quantities
from ropewalk.kube.machinery.cel.functions import both, function, method, opaque, traversal
from ropewalk.kube.machinery.cel.standard import timestamp
from ropewalk.kube.machinery.cel.values import INT_MAX, INT_MIN, NONE, EvaluationError, Opaque, Optional, Value

# --- quantity


@opaque("Quantity")
@dataclass(frozen=True, slots=True)
class Quantity(Opaque):
    amount: Decimal
    type_name = "kubernetes.Quantity"


def _quantity(text: str) -> Quantity:
    try:
        return Quantity(quantities.parse(text))
    except ValueError as error:
        raise EvaluationError(str(error)) from None


function("quantity", "string -> Quantity", cost=traversal())(_quantity)


@function("isQuantity", "string -> bool", cost=traversal())
def is_quantity(text: str) -> bool:
    return _parses(_quantity, text)


def _parses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except EvaluationError:
        return False
    return True


@method("sign", "Quantity -> int")
def sign(value: Quantity) -> int:
    return (value.amount > 0) - (value.amount < 0)


@method("isGreaterThan", "Quantity Quantity -> bool")
def quantity_greater(left: Quantity, right: Quantity) -> bool:
    return left.amount > right.amount


@method("isLessThan", "Quantity Quantity -> bool")
def quantity_less(left: Quantity, right: Quantity) -> bool:
    return left.amount < right.amount


@method("compareTo", "Quantity Quantity -> int")
def quantity_compare(left: Quantity, right: Quantity) -> int:
    return (left.amount > right.amount) - (left.amount < right.amount)


@method("asApproximateFloat", "Quantity -> double")
def quantity_float(value: Quantity) -> float:
    return float(value.amount)


@method("isInteger", "Quantity -> bool")
def quantity_is_integer(value: Quantity) -> bool:
    return value.amount == value.amount.to_integral_value() and INT_MIN <= value.amount <= INT_MAX


@method("asInteger", "Quantity -> int")
def quantity_integer(value: Quantity) -> int:
    if not quantity_is_integer(value):
        raise EvaluationError("cannot convert value to integer")
    return int(value.amount)


def _amount(value: Value) -> Decimal:
    return value.amount if isinstance(value, Quantity) else Decimal(value)


@method("add", "Quantity Quantity -> Quantity", "Quantity int -> Quantity")
def quantity_add(left: Quantity, right: Value) -> Quantity:
    return Quantity(left.amount + _amount(right))


@method("sub", "Quantity Quantity -> Quantity", "Quantity int -> Quantity")
def quantity_subtract(left: Quantity, right: Value) -> Quantity:
    return Quantity(left.amount - _amount(right))


# --- URL


@opaque("URL")
@dataclass(frozen=True, slots=True)
class Url(Opaque):
    parts: SplitResult
    type_name = "kubernetes.URL"


_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _url(text: str) -> Url:
    failure = EvaluationError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    if not text or any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise failure
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise failure from None
    absolute = bool(parts.scheme) and (bool(parts.netloc) or parts.path.startswith("/"))
    if not (absolute or text.startswith("/")) or " " in parts.netloc or _BAD_ESCAPE.search(parts.path):
        raise failure
    return Url(parts)


function("url", "string -> URL", cost=traversal())(_url)


@function("isURL", "string -> bool", cost=traversal())
def is_url(text: str) -> bool:
    return _parses(_url, text)


@method("getScheme", "URL -> string")
def url_scheme(url: Url) -> str:
    return url.parts.scheme


@method("getHost", "URL -> string")
def url_host(url: Url) -> str:
    return url.parts.netloc.rpartition("@")[2]


@method("getHostname", "URL -> string")
def url_hostname(url: Url) -> str:
    host = url_host(url)
    return host[1 : host.index("]")] if host.startswith("[") and "]" in host else host.partition(":")[0]


@method("getPort", "URL -> string")
def url_port(url: Url) -> str:
    return "" if url.parts.port is None else url_host(url).rpartition(":")[2]


@method("getEscapedPath", "URL -> string")
def url_path(url: Url) -> str:
    return quote(url.parts.path, safe="/%:@!$&'()*+,;=~-._")


@method("getQuery", "URL -> map(string,list(string))")
def url_query(url: Url) -> dict[str, list[str]]:
    return parse_qs(url.parts.query, keep_blank_values=True)


# --- IP and CIDR


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
    try:
        address = ip_address(text)
    except ValueError:
        raise EvaluationError(
            f'IP Address "{text}" parse error during conversion from string: ParseAddr("{text}"): unable to parse IP'
        ) from None
    if "%" in text:
        raise EvaluationError(f'IP address "{text}" with zone value is not allowed')
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        raise EvaluationError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return Ip(address)


def _cidr(text: str) -> Cidr:
    host, _, bits = text.partition("/")
    try:
        if not re.fullmatch(r"0|[1-9]\d{0,2}", bits, re.ASCII) or "%" in host:
            raise ValueError
        address = ip_address(host)
        ip_network(text, strict=False)
    except ValueError:
        raise EvaluationError(
            f'network address parse error during conversion from string: netip.ParsePrefix("{text}"): invalid prefix'
        ) from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        raise EvaluationError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return Cidr(address, int(bits))


function("ip", "string -> IP", cost=traversal())(_ip)
function("cidr", "string -> CIDR", cost=traversal())(_cidr)


@function("isIP", "string -> bool", cost=traversal())
def is_ip(text: str) -> bool:
    return _parses(_ip, text)


@function("isCIDR", "string -> bool", cost=traversal())
def is_cidr(text: str) -> bool:
    return _parses(_cidr, text)


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


# --- semantic versions

_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?",
    re.ASCII,
)


@total_ordering
@opaque("Semver")
@dataclass(frozen=True, slots=True, eq=False)
class Semver(Opaque):
    numbers: tuple[int, int, int]
    prerelease: tuple[str, ...]
    type_name = "kubernetes.Semver"

    def _key(self) -> tuple[object, ...]:
        parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.prerelease)
        return (self.numbers, not self.prerelease, parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Semver) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __lt__(self, other: Semver) -> bool:
        return self._key() < other._key()


def _semver(text: str, normalize: bool = False) -> Semver:
    if normalize:
        text = text.strip().removeprefix("v")
        core = re.match(r"[0-9.]*", text)
        head = core.group(0) if core else ""
        numbers = [part.lstrip("0") or "0" for part in head.split(".") if part]
        numbers += ["0"] * (3 - len(numbers))
        text = ".".join(numbers) + text[len(head) :]
    found = _SEMVER.fullmatch(text)
    if found is None or len(text) > 256:
        raise EvaluationError(f'Invalid semantic version "{text}"')
    return Semver((int(found[1]), int(found[2]), int(found[3])), tuple((found[4] or "").split(".")) if found[4] else ())


function("semver", "string -> Semver", "string bool -> Semver", cost=traversal())(_semver)


@function("isSemver", "string -> bool", "string bool -> bool", cost=traversal())
def is_semver(text: str, normalize: bool = False) -> bool:
    return _parses(lambda given: _semver(given, normalize), text)


@method("major", "Semver -> int")
def semver_major(version: Semver) -> int:
    return version.numbers[0]


@method("minor", "Semver -> int")
def semver_minor(version: Semver) -> int:
    return version.numbers[1]


@method("patch", "Semver -> int")
def semver_patch(version: Semver) -> int:
    return version.numbers[2]


@method("isGreaterThan", "Semver Semver -> bool")
def semver_greater(left: Semver, right: Semver) -> bool:
    return left > right


@method("isLessThan", "Semver Semver -> bool")
def semver_less(left: Semver, right: Semver) -> bool:
    return left < right


@method("compareTo", "Semver Semver -> int")
def semver_compare(left: Semver, right: Semver) -> int:
    return (left > right) - (left < right)


# --- named formats


@opaque("NamedFormat")
@dataclass(frozen=True, slots=True)
class NamedFormat(Opaque):
    name: str
    type_name = "kubernetes.NamedFormat"


_UUID = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")


def _uri(text: str) -> list[str]:
    return [] if _parses(_url, text) else [f'parse "{text}": invalid URI for request']


def _uuid(text: str) -> list[str]:
    return [] if _UUID.fullmatch(text) else ["does not match the UUID format"]


def _byte(text: str) -> list[str]:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ["invalid base64"]
    return []


def _date(text: str) -> list[str]:
    try:
        date.fromisoformat(text)
    except ValueError:
        return ["invalid date"]
    return [] if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else ["invalid date"]


def _datetime(text: str) -> list[str]:
    return [] if _parses(timestamp, text) else ["invalid datetime"]


FORMATS: dict[str, Callable[[str], list[str]]] = {
    "dns1123Label": names.dns1123_label,
    "dns1123Subdomain": names.dns1123_subdomain,
    "dns1035Label": names.dns1035_label,
    "qualifiedName": names.qualified_name,
    "dns1123LabelPrefix": lambda text: names.dns1123_label(text, prefix=True),
    "dns1123SubdomainPrefix": lambda text: names.dns1123_subdomain(text, prefix=True),
    "dns1035LabelPrefix": lambda text: names.dns1035_label(text, prefix=True),
    "labelValue": names.label_value,
    "uri": _uri,
    "uuid": _uuid,
    "byte": _byte,
    "date": _date,
    "datetime": _datetime,
}


def _declare_format(name: str) -> None:
    value = NamedFormat(name)
    function(f"format.{name}", " -> NamedFormat")(lambda: value)


for _name in FORMATS:
    _declare_format(_name)


@function("format.named", "string -> optional(NamedFormat)")
def format_named(name: str) -> Optional:
    return Optional(True, NamedFormat(name)) if name in FORMATS else NONE


@method("validate", "NamedFormat string -> optional(list(string))", cost=traversal(10, 1))
def format_validate(named: NamedFormat, text: str) -> Optional:
    problems = FORMATS[named.name](text)
    return Optional(True, problems) if problems else NONE


# --- JSON patch


@function("jsonpatch.escapeKey", "string -> string", cost=traversal())
def escape_key(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")
