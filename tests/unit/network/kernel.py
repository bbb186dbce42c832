"""nftables in small: carries out transactions, and says what becomes of a packet. An oracle for the planner.

It knows the statements that `filter` and `ruleset` use and refuses every other, and refuses as the kernel does:
elements that overlap, names that are not there, chains and sets that something still refers to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import TypeVar

T = TypeVar("T")


class Refused(Exception):
    """What the kernel would answer with an error."""


@dataclass(frozen=True)
class Packet:
    source: str
    destination: str
    protocol: int
    selector: int = 0
    """The destination port, or ICMP's `type × 256 + code`."""
    came_by: str = ""
    leaves_by: str = ""
    mac: str = ""


@dataclass
class Kernel:
    sets: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    """Name → (declaration, key → value)."""
    chains: dict[str, list[str]] = field(default_factory=dict)

    def run(self, text: str) -> None:
        before = {n: (d, dict(e)) for n, (d, e) in self.sets.items()}, {n: list(r) for n, r in self.chains.items()}
        try:
            for line in text.splitlines():
                self._statement(line)
        except Refused:
            self.sets, self.chains = before
            raise

    def _statement(self, line: str) -> None:
        verb, noun, rest = line.split(" ", 2)
        if noun == "table":
            if verb == "delete":
                self.sets, self.chains = {}, {}
            return
        rest = rest.removeprefix("ip ropewalk ")
        name, _, rest = rest.partition(" ")
        if noun in ("set", "map"):
            self._set(verb, name, rest)
        elif noun == "element":
            self._elements(verb, name, rest.strip("{} ").split(", "))
        elif noun == "chain":
            self._chain(verb, name)
        elif (verb, noun) == ("add", "rule"):
            for used in [*re.findall(r"@(\S+)", rest), *re.findall(r"(?:jump|goto) (\S+)", rest)]:
                if used not in self.sets and used not in self.chains:
                    raise Refused(f"{used} is not there: {line}")
            self._named(self.chains, name).append(rest)
        else:
            raise Refused(f"unknown statement {line}")

    def _set(self, verb: str, name: str, declaration: str) -> None:
        if verb == "add":
            self.sets[name] = (declaration, {})
            return
        if any(f"@{name} " in f"{rule} " for rules in self.chains.values() for rule in rules):
            raise Refused(f"{name} is in use")
        self._named(self.sets, name)
        del self.sets[name]

    def _chain(self, verb: str, name: str) -> None:
        if verb == "add":
            self.chains[name] = []
            return
        self._named(self.chains, name)
        if verb == "flush":
            self.chains[name] = []
            return
        users = [rule for rules in self.chains.values() for rule in rules]
        users += [value for _, elements in self.sets.values() for value in elements.values()]
        if self.chains[name] or any(re.search(rf"(?:jump|goto) {re.escape(name)}$", user) for user in users):
            raise Refused(f"{name} is in use")
        del self.chains[name]

    def _elements(self, verb: str, name: str, elements: list[str]) -> None:
        declaration, present = self._named(self.sets, name)
        for element in elements:
            key, _, value = element.partition(" : ")
            if verb == "delete":
                if key not in present:
                    raise Refused(f"{key} is not in {name}")
                del present[key]
                continue
            if key in present:
                raise Refused(f"{key} is already in {name}")
            if "flags interval" in declaration and any(_overlap(key, other) for other in present):
                raise Refused(f"{key} overlaps in {name}")
            if value.startswith("goto") and value.split()[1] not in self.chains:
                raise Refused(f"{value} leads nowhere")
            present[key] = value

    @staticmethod
    def _named(where: dict[str, T], name: str) -> T:
        if name not in where:
            raise Refused(f"{name} is not there")
        return where[name]

    # -- packets ------------------------------------------------------------------------------------------------------

    def passes(self, packet: Packet, hook: str) -> bool:
        """Whether the first packet of a flow gets through a base chain; its policy is drop."""
        return self._walk(hook, packet, {"mark": 0}) == "accept"

    def _walk(self, chain: str, packet: Packet, state: dict[str, int]) -> str | None:
        for rule in self.chains[chain]:
            verdict = self._rule(rule, packet, state)
            if verdict in ("accept", "drop"):
                return verdict
            if verdict and verdict.startswith("goto "):
                return self._walk(verdict[5:], packet, state) or "end"
            if verdict and verdict.startswith("jump "):
                result = self._walk(verdict[5:], packet, state)
                if result in ("accept", "drop", "end"):
                    return result
        return None

    def _rule(self, rule: str, packet: Packet, state: dict[str, int]) -> str | None:
        rest = rule
        while rest:
            if rest.startswith("ct state "):
                return None  # the packets here are first of their flow, and valid
            if found := re.match(r'(iifname|oifname) "(\w+)" ?', rest):
                if self._value(found[1], packet, state) != found[2]:
                    return None
            elif found := re.match(r"meta mark set 0x0 ?", rest):
                state["mark"] = 0
            elif found := re.match(r"meta mark set (ip [sd]addr) map @(\S+) ?", rest):
                value = self.sets[found[2]][1].get(str(self._value(found[1], packet, state)))
                if value is None:
                    return None
                state["mark"] = int(value)
            elif found := re.match(r"([io]ifname) vmap @(\S+)", rest):
                return self.sets[found[2]][1].get(f'"{self._value(found[1], packet, state)}"')
            elif found := re.match(r"meta l4proto \{ tcp, udp \} ", rest):
                if packet.protocol not in (6, 17):
                    return None
            elif found := re.match(r"([a-z0-9 .]+) @(\S+) ?", rest):
                values = [self._value(part, packet, state) for part in found[1].split(" . ")]
                if None in values or not self._member(found[2], values):
                    return None
            elif rest in ("accept", "drop") or re.match(r"(goto|jump) \S+$", rest):
                return rest
            else:
                raise Refused(f"unknown rule {rest}")
            rest = rest[found.end() :]
        return None

    @staticmethod
    def _value(expression: str, packet: Packet, state: dict[str, int]) -> object:
        icmp = packet.protocol == 1
        return {
            "iifname": packet.came_by,
            "oifname": packet.leaves_by,
            "ether saddr": packet.mac,
            "ip saddr": packet.source,
            "ip daddr": packet.destination,
            "meta mark": state["mark"],
            "meta l4proto": packet.protocol,
            "th dport": packet.selector,
            "icmp type": packet.selector >> 8 if icmp else None,
            "icmp code": packet.selector & 255 if icmp else None,
        }[expression]

    def _member(self, name: str, values: list[object]) -> bool:
        wanted = [_bounds(str(value)) for value in values]
        return any(
            all(
                _at_most(low, value[0]) and _at_most(value[0], high)
                for value, (low, high) in zip(wanted, _fields(key), strict=True)
            )
            for key in self.sets[name][1]
        )


def _fields(key: str) -> list[tuple[int | str, int | str]]:
    return [_bounds(part) for part in key.split(" . ")]


def _bounds(text: str) -> tuple[int | str, int | str]:
    """A field's first and last value; numbers compare as numbers, names as names."""
    if text in ("tcp", "udp"):
        return _bounds({"tcp": "6", "udp": "17"}[text])
    if re.fullmatch(r"[0-9.]+\.[0-9.]+/[0-9]+", text):
        network = IPv4Network(text)
        return int(network.network_address), int(network.broadcast_address)
    if re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+", text):
        return int(IPv4Address(text)), int(IPv4Address(text))
    if found := re.fullmatch(r"([0-9]+)-([0-9]+)", text):
        return int(found[1]), int(found[2])
    if text.isdigit():
        return int(text), int(text)
    return text.strip('"'), text.strip('"')


def _overlap(one: str, other: str) -> bool:
    pairs = zip(_fields(one), _fields(other), strict=True)
    return all(_at_most(a[0], b[1]) and _at_most(b[0], a[1]) for a, b in pairs)


def _at_most(one: int | str, other: int | str) -> bool:
    if isinstance(one, int) and isinstance(other, int):
        return one <= other
    return one == other
