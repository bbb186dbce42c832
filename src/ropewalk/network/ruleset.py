"""A router's packet filter as data: sets and chains of one nftables table, and the text that turns one into another.

Pure and general: it knows nftables' grammar and nothing of what the sets mean. A change is one transaction: the kernel
applies all of it or nothing, and no packet ever sees half.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

TABLE = "ip ropewalk"


@dataclass(frozen=True, slots=True)
class NamedSet:
    """A set, or a map where `type` has a ` : `. Elements are in nft's own spelling: `key` or `key : value`."""

    type: str
    interval: bool = False
    elements: frozenset[str] = frozenset()

    @property
    def noun(self) -> str:
        return "map" if " : " in self.type else "set"

    def declaration(self) -> str:
        flags = " flags interval;" if self.interval else ""
        return f"{{ type {self.type};{flags} }}"


@dataclass(frozen=True, slots=True)
class Chain:
    """`hook` is empty for a chain that is only jumped to."""

    rules: tuple[str, ...]
    hook: str = ""


@dataclass(frozen=True, slots=True)
class Ruleset:
    """All that a router's table holds."""

    sets: Mapping[str, NamedSet] = field(default_factory=dict)
    chains: Mapping[str, Chain] = field(default_factory=dict)


def replacement(wanted: Ruleset) -> str:
    """The transaction that makes the table exactly `wanted`, whatever it was before."""
    lines = [f"add table {TABLE}", f"delete table {TABLE}", f"add table {TABLE}", *_difference(Ruleset(), wanted)]
    return "\n".join(lines) + "\n"


def transaction(present: Ruleset, wanted: Ruleset) -> str:
    """The transaction that turns `present` into `wanted`; empty where they are the same.

    Order matters to the kernel: what is referred to comes before what refers, and goes after it.
    """
    lines = _difference(present, wanted)
    return "\n".join(lines) + "\n" if lines else ""


def _difference(present: Ruleset, wanted: Ruleset) -> list[str]:
    replaced = {n for n, s in wanted.sets.items() if n in present.sets and _shape(present.sets[n]) != _shape(s)}
    if replaced:
        raise ValueError(f"sets {sorted(replaced)} change their type: replace the table")
    new_chains = [name for name in wanted.chains if name not in present.chains]
    old_chains = [name for name in present.chains if name not in wanted.chains]
    changed = [name for name, chain in wanted.chains.items() if present.chains.get(name, Chain(())) != chain]
    return [
        *(f"add {s.noun} {TABLE} {n} {s.declaration()}" for n, s in wanted.sets.items() if n not in present.sets),
        *(f"add chain {TABLE} {name}{_hook(wanted.chains[name])}" for name in new_chains),
        *_removed_elements(present, wanted),
        *(f"flush chain {TABLE} {name}" for name in [*changed, *old_chains] if name in present.chains),
        *(f"add rule {TABLE} {name} {rule}" for name in changed for rule in wanted.chains[name].rules),
        *_added_elements(present, wanted),
        *(f"delete chain {TABLE} {name}" for name in old_chains),
        *(f"delete {s.noun} {TABLE} {n}" for n, s in present.sets.items() if n not in wanted.sets),
    ]


def _shape(named: NamedSet) -> tuple[str, bool]:
    return named.type, named.interval


def _hook(chain: Chain) -> str:
    return f" {{ {chain.hook} }}" if chain.hook else ""


def _removed_elements(present: Ruleset, wanted: Ruleset) -> Iterable[str]:
    """Elements of sets that go as a whole are deleted too where they are verdicts: they hold chains fast."""
    for name, before in present.sets.items():
        after = wanted.sets.get(name)
        if after is None and not before.type.endswith(": verdict"):
            continue
        gone = before.elements - (after.elements if after else frozenset())
        if gone:
            keys = (element.partition(" : ")[0] for element in sorted(gone))
            yield f"delete element {TABLE} {name} {{ {', '.join(keys)} }}"


def _added_elements(present: Ruleset, wanted: Ruleset) -> Iterable[str]:
    for name, after in wanted.sets.items():
        before = present.sets.get(name)
        new = after.elements - (before.elements if before else frozenset())
        if new:
            yield f"add element {TABLE} {name} {{ {', '.join(sorted(new))} }}"
