"""A security group's rules as disjoint set elements. Pure.

The kernel's sets of several fields with ranges refuse overlapping elements, and AWS's rules overlap freely. So the
rules of one direction are cut, per protocol, into disjoint rectangles (addresses × selector); the selector is a port
for TCP and UDP, `type × 256 + code` for ICMP, and the protocol's number where all of a protocol is meant. A packet then
costs at most six lookups a group, however many rules the group has.

Peers that are groups are matched by class: a class is one combination of groups that some interface has, and
each address of the VPC maps to its class. Membership changes therefore touch one map element, not the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

from ropewalk.base.errors import Fault
from ropewalk.model.network import Rule

ICMP, TCP, UDP = 1, 6, 17
_NUMBERS = {"icmp": ICMP, "tcp": TCP, "udp": UDP}
_LAST_PORT = 65535

Peer = IPv4Network | int
"""A range of addresses, or the number of a class."""
Span = tuple[int, int]
"""First and last value, both included."""


@dataclass(frozen=True, slots=True)
class Elements:
    """What one direction of a group admits. In each set no two elements overlap."""

    protocols: frozenset[tuple[Peer, Span]] = frozenset()
    """(peer, protocol numbers): everything of these protocols."""
    ports: frozenset[tuple[Peer, int, Span]] = frozenset()
    """(peer, protocol, ports)."""
    icmp: frozenset[tuple[Peer, Span, Span]] = frozenset()
    """(peer, types, codes)."""


@dataclass(frozen=True, slots=True)
class _Permission:
    peer: Peer
    protocol: Span
    selector: Span | None
    """None: all of the protocol."""


def protocol_number(name: str) -> int | None:
    """The IANA number of a rule's protocol; None for "-1" (all).

    Raises Fault `InvalidParameterValue` for anything else.
    """
    if name == "-1":
        return None
    number = _NUMBERS.get(name)
    if number is None and name.isascii() and name.isdigit() and int(name) <= 255:
        number = int(name)
    if number is None:
        raise Fault("InvalidParameterValue", f"Invalid protocol {name}: use tcp, udp, icmp, -1 or a number up to 255.")
    return number


def elements(rules: Iterable[Rule], classes: Mapping[str, Sequence[int]]) -> Elements:
    """What `rules` admit. `classes` names, for each referenced group, the classes whose members are in it; a group that
    it does not name has no members.
    """
    permissions = [permission for rule in rules for permission in _permissions(rule, classes)]
    whole = [(p.peer, p.protocol) for p in permissions if p.selector is None]
    protocols = frozenset(_disjoint(whole))
    ports: set[tuple[Peer, int, Span]] = set()
    icmp: set[tuple[Peer, Span, Span]] = set()
    for protocol in {p.protocol[0] for p in permissions if p.selector is not None}:
        wanted = [(p.peer, p.selector) for p in permissions if p.selector is not None and p.protocol[0] == protocol]
        if protocol == ICMP:
            icmp.update(
                (peer, types, codes) for peer, span in _disjoint(wanted) for types, codes in _types_and_codes(span)
            )
        else:
            ports.update((peer, protocol, span) for peer, span in _disjoint(wanted))
    return Elements(protocols, frozenset(ports), frozenset(icmp))


def _permissions(rule: Rule, classes: Mapping[str, Sequence[int]]) -> list[_Permission]:
    peers: list[Peer] = list(classes.get(rule.group, ())) if rule.group else _addresses(rule.cidr)
    number = protocol_number(rule.protocol)
    selector: Span | None = None
    if number == ICMP and rule.from_port >= 0:
        selector = (rule.from_port * 256, rule.from_port * 256 + 255)
        if rule.to_port >= 0:
            selector = (rule.from_port * 256 + rule.to_port,) * 2
    elif number in (TCP, UDP) and (rule.from_port > 0 or 0 <= rule.to_port < _LAST_PORT):
        selector = (max(rule.from_port, 0), rule.to_port if rule.to_port >= 0 else _LAST_PORT)
    protocol = (0, 255) if number is None else (number, number)
    return [_Permission(peer, protocol, selector) for peer in peers]


def _addresses(cidr: str) -> list[Peer]:
    """IPv6 ranges admit nothing here: the fabric carries IPv4."""
    return [] if ":" in cidr else [IPv4Network(cidr)]


def _disjoint(wanted: Sequence[tuple[Peer, Span]]) -> list[tuple[Peer, Span]]:
    """The same area as disjoint rectangles."""
    found: list[tuple[Peer, Span]] = []
    by_class: dict[int, list[Span]] = {}
    ranged: list[tuple[IPv4Network, Span]] = []
    for peer, span in wanted:
        if isinstance(peer, int):
            by_class.setdefault(peer, []).append(span)
        else:
            ranged.append((peer, span))
    for peer, spans in by_class.items():
        found += [(peer, span) for span in _merged(spans)]
    return found + _cut_by_address(ranged)


def _merged(spans: Iterable[Span]) -> list[Span]:
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def _cut_by_address(wanted: Sequence[tuple[IPv4Network, Span]]) -> list[tuple[IPv4Network, Span]]:
    """Networks nest or are apart: each keeps of its selectors what its enclosing networks do not admit already. Work
    and result stay near the number of rules, whatever they are."""
    order = sorted(wanted, key=lambda item: (item[0].prefixlen, int(item[0].network_address)))
    spans: dict[IPv4Network, list[Span]] = {}
    for network, span in order:
        spans.setdefault(network, []).append(span)
    enclosing = _enclosing_finder(spans)
    found: list[tuple[IPv4Network, Span]] = []
    for network, own in spans.items():
        taken = _merged(span for outer in enclosing(network) for span in spans[outer])
        found += [(network, piece) for span in _merged(own) for piece in _without(span, taken)]
    return found


def _enclosing_finder(networks: Mapping[IPv4Network, object]) -> Callable[[IPv4Network], list[IPv4Network]]:
    lengths = sorted({network.prefixlen for network in networks})

    def enclosing(network: IPv4Network) -> list[IPv4Network]:
        wider = (network.supernet(new_prefix=length) for length in lengths if length < network.prefixlen)
        return [outer for outer in wider if outer in networks]

    return enclosing


def _without(span: Span, taken: Sequence[Span]) -> list[Span]:
    left: list[Span] = []
    position, last = span
    for begin, end in taken:
        if end < position or begin > last:
            continue
        if begin > position:
            left.append((position, begin - 1))
        position = max(position, end + 1)
    if position <= last:
        left.append((position, last))
    return left


def _types_and_codes(span: Span) -> list[tuple[Span, Span]]:
    """A span of `type × 256 + code` as rectangles of types × codes."""
    first_type, first_code = divmod(span[0], 256)
    last_type, last_code = divmod(span[1], 256)
    if first_type == last_type:
        return [((first_type, first_type), (first_code, last_code))]
    found: list[tuple[Span, Span]] = []
    if first_code:
        found.append(((first_type, first_type), (first_code, 255)))
        first_type += 1
    if last_code != 255:
        found.append(((last_type, last_type), (0, last_code)))
        last_type -= 1
    if first_type <= last_type:
        found.append(((first_type, last_type), (0, 255)))
    return found
