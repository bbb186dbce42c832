"""What a VPC's router lets through: security groups, source checks and served ports as one `Ruleset`. Pure.

A packet's way (chains in capitals below are nftables chains of the same name in small letters):

    PREROUTING  drops what an interface sends under an address or MAC that is not its own
    FORWARD     tracked flows pass; else the sender's groups (from → class-N-out → group-…-out) must admit it, and then
    INGRESS     the receiver's groups (to → class-N-in → group-…-in) must; the rest is dropped
    INPUT       only the ports that we serve in the router (resolver, metadata, AWS endpoint)
    OUTPUT      only answers

The host's own traffic enters at INGRESS: it has no groups, and is filtered by the receiver's like any stranger's.
Interfaces find their chains by verdict maps, groups their rules by sets: a packet's cost depends on the number of
groups of its two interfaces, never on the number of rules or interfaces.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ropewalk.model.ids import InterfaceId, SecurityGroupId
from ropewalk.model.network import FabricInterface, Rule, SecurityGroupSpec
from ropewalk.network.groups import Elements, Peer, Span, elements
from ropewalk.network.names import ROUTER_UPLINK, Names
from ropewalk.network.ruleset import Chain, NamedSet, Ruleset

Groups = tuple[SecurityGroupId, ...]
"""One combination of groups, sorted."""


@dataclass(frozen=True, slots=True)
class Served:
    """A port that something of ours answers inside the router."""

    address: str
    protocol: str
    """"tcp" or "udp"."""
    port: int


class FilterPlanner:
    """Plans one router's ruleset again and again. What it remembers saves work and keeps class numbers stable: a new
    planner gives an equivalent ruleset.
    """

    __slots__ = ("_cache", "_names", "_numbers")

    def __init__(self, names: Names) -> None:
        self._names = names
        self._numbers: dict[Groups, int] = {}
        self._cache: dict[tuple[str, str], tuple[tuple[Rule, ...], tuple[tuple[str, ...], ...], Ruleset]] = {}

    def plan(
        self,
        attached: Iterable[FabricInterface],
        groups: Mapping[SecurityGroupId, SecurityGroupSpec],
        served: Iterable[Served],
        host_address: str,
    ) -> Ruleset:
        """The router's whole filter.

        `attached` are the interfaces present here; `host_address` is the one source the host may use. An interface
        without groups is let nothing in or out; a group that `groups` lacks admits nothing.
        """
        present = sorted(attached, key=lambda interface: interface.id)
        self._number(sorted({_combination(interface) for interface in present} - {()}))
        sets = self._interface_sets(present, served, host_address)
        chains = dict(_BASE_CHAINS)
        used: set[SecurityGroupId] = set()
        for combination, number in self._numbers.items():
            used.update(combination)
            for way in ("in", "out"):
                jumps = [f"jump group-{_safe(group)}-{way}" for group in combination]
                chains[f"class-{number}-{way}"] = Chain((*jumps, "drop"))
        members: dict[str, list[int]] = {}
        for combination, number in self._numbers.items():
            for group in combination:
                members.setdefault(group, []).append(number)
        for group in sorted(used):
            spec = groups.get(group)
            for way, rules in (("in", spec.ingress if spec else ()), ("out", spec.egress if spec else ())):
                part = self._group(group, way, rules, members)
                sets.update(part.sets)
                chains.update(part.chains)
        self._cache = {key: kept for key, kept in self._cache.items() if key[0] in used}
        return Ruleset(sets, chains)

    def _number(self, combinations: Sequence[Groups]) -> None:
        wanted = set(combinations)
        self._numbers = {c: n for c, n in self._numbers.items() if c in wanted}
        taken = set(self._numbers.values())
        free = (number for number in range(1, len(combinations) + len(taken) + 1) if number not in taken)
        for combination in combinations:
            if combination not in self._numbers:
                self._numbers[combination] = next(free)

    def _interface_sets(
        self, present: Sequence[FabricInterface], served: Iterable[Served], host_address: str
    ) -> dict[str, NamedSet]:
        own: set[str] = set()
        unchecked: set[str] = set()
        classes: set[str] = set()
        senders: set[str] = set()
        receivers: set[str] = set()
        for interface in present:
            link = f'"{self._names.interface(InterfaceId(interface.id))}"'
            number = self._numbers.get(_combination(interface))
            if interface.source_dest_check:
                own.update(f"{link} . {interface.mac} . {address}" for address in interface.addresses)
            else:
                unchecked.add(f"{link} . {interface.mac}")
            if number is not None:
                classes.update(f"{address} : {number}" for address in interface.addresses)
                senders.add(f"{link} : goto class-{number}-out")
                receivers.add(f"{link} : goto class-{number}-in")
        ports = frozenset(f"{s.address} . {s.protocol} . {s.port}" for s in served)
        return {
            "own": NamedSet("ifname . ether_addr . ipv4_addr", elements=frozenset(own)),
            "unchecked": NamedSet("ifname . ether_addr", elements=frozenset(unchecked)),
            "uplink": NamedSet("ipv4_addr", elements=frozenset({host_address} if host_address else ())),
            "class": NamedSet("ipv4_addr : mark", elements=frozenset(classes)),
            "from": NamedSet("ifname : verdict", elements=frozenset(senders)),
            "to": NamedSet("ifname : verdict", elements=frozenset(receivers)),
            "served": NamedSet("ipv4_addr . inet_proto . inet_service", elements=ports),
        }

    def _group(self, group: str, way: str, rules: tuple[Rule, ...], members: Mapping[str, Sequence[int]]) -> Ruleset:
        referenced = sorted({rule.group for rule in rules if rule.group})
        classes = tuple((name, *map(str, members.get(name, ()))) for name in referenced)
        kept = self._cache.get((group, way))
        if kept is not None and kept[0] is rules and kept[1] == classes:
            return kept[2]
        part = _group_part(_safe(group), way, elements(rules, {name: members.get(name, ()) for name in referenced}))
        self._cache[group, way] = (rules, classes, part)
        return part


_BASE_CHAINS: Mapping[str, Chain] = {
    "prerouting": Chain(
        (
            'iifname "lo" accept',
            "iifname . ether saddr . ip saddr @own accept",
            "iifname . ether saddr @unchecked accept",
            f'iifname "{ROUTER_UPLINK}" ip saddr @uplink accept',
        ),
        "type filter hook prerouting priority raw; policy drop;",
    ),
    "ingress": Chain(
        ("meta mark set 0x0", "meta mark set ip saddr map @class", "oifname vmap @to", "drop"),
    ),
    "forward": Chain(
        (
            "ct state established,related accept",
            "ct state invalid drop",
            f'iifname "{ROUTER_UPLINK}" goto ingress',
            "meta mark set 0x0",
            "meta mark set ip daddr map @class",
            "iifname vmap @from",
        ),
        "type filter hook forward priority filter; policy drop;",
    ),
    "input": Chain(
        (
            "ct state established,related accept",
            'iifname "lo" accept',
            "ip daddr . meta l4proto . th dport @served accept",
        ),
        "type filter hook input priority filter; policy drop;",
    ),
    "output": Chain(
        ("ct state established,related accept", 'oifname "lo" accept'),
        "type filter hook output priority filter; policy drop;",
    ),
}


def _combination(interface: FabricInterface) -> Groups:
    return tuple(sorted(set(interface.groups)))


def _safe(group: str) -> str:
    """A group's id as part of an nftables name; anything odd is hashed, so that no id can become syntax."""
    if re.fullmatch(r"[a-zA-Z][a-zA-Z0-9-]{0,59}", group):
        return group
    return f"odd-{hashlib.blake2s(group.encode(), digest_size=8).hexdigest()}"


def _group_part(group: str, way: str, admitted: Elements) -> Ruleset:
    """The sets and the chain of one direction of a group; sets that would be empty are left out."""
    stem = f"{group}-{way}"
    address = "ip saddr" if way == "in" else "ip daddr"
    verdict = "accept" if way == "in" else "goto ingress"
    sets: dict[str, NamedSet] = {}
    rules: list[str] = []
    for kind, key, field in (("ipv4_addr", address, "cidr"), ("mark", "meta mark", "class")):
        chosen = (
            ("proto", f"{kind} . inet_proto", f"{key} . meta l4proto", _protocols(admitted, field)),
            (
                "port",
                f"{kind} . inet_proto . inet_service",
                f"{key} . meta l4proto . th dport",
                _ports(admitted, field),
            ),
            ("icmp", f"{kind} . icmp_type . icmp_code", f"{key} . icmp type . icmp code", _icmp(admitted, field)),
        )
        for suffix, type_, expression, found in chosen:
            if found:
                name = f"{stem}-{field}-{suffix}"
                sets[name] = NamedSet(type_, interval=True, elements=found)
                rules.append(f"{expression} @{name} {verdict}")
    return Ruleset(sets, {f"group-{stem}": Chain(tuple(rules))})


def _protocols(admitted: Elements, field: str) -> frozenset[str]:
    return frozenset(f"{peer} . {_span(span)}" for peer, span in admitted.protocols if _field(peer) == field)


def _ports(admitted: Elements, field: str) -> frozenset[str]:
    return frozenset(
        f"{peer} . {protocol} . {_span(span)}" for peer, protocol, span in admitted.ports if _field(peer) == field
    )


def _icmp(admitted: Elements, field: str) -> frozenset[str]:
    return frozenset(
        f"{peer} . {_span(types)} . {_span(codes)}" for peer, types, codes in admitted.icmp if _field(peer) == field
    )


def _field(peer: Peer) -> str:
    return "class" if isinstance(peer, int) else "cidr"


def _span(span: Span) -> str:
    return str(span[0]) if span[0] == span[1] else f"{span[0]}-{span[1]}"
