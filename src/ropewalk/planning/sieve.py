"""The sieve: which machines can take a unit, and why the others cannot.

Each rule is a mask over all machines. The rules stand in kube-scheduler's order, and a machine's reason is the first
that refuses it; that of room names everything that is short at once. A refusal is `hopeless` where stopping other units
on that machine would change nothing.
https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ropewalk.planning.demands import CPU, MEMORY, Evenly, Unit
from ropewalk.planning.fleet import Fleet, Mask
from ropewalk.planning.roll import Bond, Counts

_NEVER = 1 << 31
"""More than any number of units: what "the fewest" is where nothing is counted."""


class Lack(Enum):
    """Why a machine cannot take a unit."""

    NOT_READY = "not-ready"
    ONLY = "only"
    """It is none of the few that come into question."""
    CONSTRAINT = "constraint"
    DISTINCT = "distinct"
    MEMORY = "memory"
    CPU = "cpu"
    FURTHER = "further"
    """Too little of the resource named."""
    PORTS = "ports"
    FIELD = "field"
    """It lacks a field over which units are to be even."""
    UNEVEN = "uneven"
    NEAR = "near"
    APART = "apart"
    UNWANTED = "unwanted"
    """A unit that is there wants to be apart from it."""


@dataclass(frozen=True, slots=True)
class Refusal:
    machine: str
    lack: Lack
    constraint: str = ""
    """Name of the constraint, for CONSTRAINT; of the resource, for FURTHER."""


@dataclass(frozen=True, slots=True)
class Rule:
    lack: Lack
    name: str
    passes: Mask
    hopeless: Mask | bool = False
    """Where it refuses: for good."""


class Sieve:
    """Rules applied one after another. Ask it for reasons, or `settle` it, before the fleet changes."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._stages: list[tuple[Mask, Callable[[], Sequence[Rule]]]] = []
        self.able: Mask = fleet.alive.copy()

    def apply(self, lack: Lack, passes: Mask, name: str = "", *, hopeless: Mask | bool = False) -> None:
        rule = Rule(lack, name, passes, hopeless)
        self.apply_together(passes, lambda: (rule,))

    def apply_together(self, passes: Mask, rules: Callable[[], Sequence[Rule]]) -> None:
        """`passes` is where all of the rules let pass; a machine is told of each that does not."""
        self._stages.append((passes, rules))
        self.able &= passes

    def also(self, other: Sieve) -> None:
        """Machines must pass both."""
        self._stages += other._stages
        self.able &= other.able

    def settle(self) -> None:
        """Work out all reasons, for the fleet as it is now."""
        self._stages = [(passes, _known(rules())) for passes, rules in self._stages]

    def tally(self) -> Counter[tuple[Lack, str]]:
        """How many machines have each reason."""
        found: Counter[tuple[Lack, str]] = Counter()
        for refused, rules in self._refused():
            for rule in rules:
                if number := int(np.count_nonzero(refused & ~rule.passes)):
                    found[rule.lack, rule.name] += number
        return found

    def hopeful(self) -> Mask:
        """Machines that refuse it, and may not once others there are stopped."""
        found = np.zeros(len(self.able), np.bool_)
        for refused, rules in self._refused():
            hopeless = np.zeros(len(self.able), np.bool_)
            for rule in rules:
                hopeless |= ~rule.passes & rule.hopeless
            found |= refused & ~hopeless
        return found

    def refusals(self) -> tuple[Refusal, ...]:
        """The first reason of each machine, in order of their names."""
        found: dict[int, Refusal] = {}
        for refused, rules in self._refused():
            for slot in np.flatnonzero(refused).tolist():
                rule = next(rule for rule in rules if not rule.passes[slot])
                found[slot] = Refusal(self._fleet.name(slot), rule.lack, rule.name)
        return tuple(sorted(found.values(), key=lambda refusal: refusal.machine))

    def reasons(self, slot: int) -> list[tuple[Lack, str]]:
        """Of one machine."""
        for refused, rules in self._refused():
            if refused[slot]:
                return [(rule.lack, rule.name) for rule in rules if not rule.passes[slot]]
        return []

    def _refused(self) -> Iterator[tuple[Mask, Sequence[Rule]]]:
        left = self._fleet.alive.copy()
        for passes, rules in self._stages:
            refused = left & ~passes
            if refused.any():
                yield refused, rules()
            left &= passes


def _known(rules: Sequence[Rule]) -> Callable[[], Sequence[Rule]]:
    return lambda: rules


def sift(fleet: Fleet, unit: Unit, fits: Mask) -> Sieve:
    """`fits`: where there is room for it (see `Standing`)."""
    sieve = Sieve(fleet)
    sieve.apply(Lack.NOT_READY, fleet.ready, hopeless=True)
    _sift_machines(fleet, unit, sieve)
    if unit.ports:
        sieve.apply(Lack.PORTS, fleet.ports_free(unit.ports))
    sieve.apply_together(fits.copy(), lambda: _room_rules(fleet, unit))
    if unit.evenly:
        _sift_evenly(fleet, unit.evenly, sieve)
    if unit.near:
        sieve.apply(Lack.NEAR, _near(fleet, unit), hopeless=True)
    if unit.apart:
        sieve.apply(Lack.APART, _apart(fleet, unit))
    unwanted = _unwanted(fleet, unit)
    if unwanted is not None:
        sieve.apply(Lack.UNWANTED, ~unwanted)
    return sieve


def depends_on_others(fleet: Fleet, unit: Unit) -> bool:
    """Whether units on other machines have a say in where it may go."""
    return bool(
        unit.evenly or unit.near or unit.apart or any(bond is Bond.APART for bond, _, _ in fleet.roll.bonds(unit))
    )


def _sift_machines(fleet: Fleet, unit: Unit, sieve: Sieve) -> None:
    if unit.only is None:
        for constraint in unit.constraints:
            sieve.apply(Lack.CONSTRAINT, fleet.holding(constraint), constraint.name, hopeless=True)
        return
    few = [slot for slot in map(fleet.slot_of.get, unit.only) if slot is not None]
    among = np.zeros(fleet.size, np.bool_)
    among[few] = True
    sieve.apply(Lack.ONLY, among, hopeless=True)
    for constraint in unit.constraints:
        holds = np.zeros(fleet.size, np.bool_)
        for slot in few:
            machine = fleet.machines[slot]
            holds[slot] = machine is not None and constraint.holds(machine)
        sieve.apply(Lack.CONSTRAINT, holds, constraint.name, hopeless=True)


def short_of(resource: str) -> tuple[Lack, str]:
    """The lack of it, and the name that goes with that."""
    if resource == CPU:
        return Lack.CPU, ""
    return (Lack.MEMORY, "") if resource == MEMORY else (Lack.FURTHER, resource)


def _room_rules(fleet: Fleet, unit: Unit) -> list[Rule]:
    rules = []
    for resource, amount in unit.room.items():
        if amount > 0:
            lack, name = short_of(resource)
            room = fleet.room(resource)
            rules.append(Rule(lack, name, amount <= fleet.free(resource), hopeless=amount > room))
    return rules


def among(fleet: Fleet, evenly: Evenly) -> Mask:
    """Machines that are counted."""
    counted = fleet.alive
    for constraint in evenly.among:
        counted = counted & fleet.holding(constraint)
    return counted


def _sift_evenly(fleet: Fleet, wanted: Sequence[Evenly], sieve: Sieve) -> None:
    columns = [fleet.column(evenly.field) for evenly in wanted]
    has_all = fleet.alive
    for codes, _ in columns:
        has_all = has_all & (codes >= 0)
    for evenly, (codes, values) in zip(wanted, columns, strict=True):
        sieve.apply(Lack.FIELD, codes >= 0, hopeless=True)
        counted = has_all & among(fleet, evenly)
        there = np.bincount(codes[counted], minlength=values) > 0
        counts = np.bincount(codes[counted], weights=fleet.roll.counts(evenly.query)[counted], minlength=values)
        fewest = counts[there].min() if there.any() else _NEVER
        if np.count_nonzero(there) < evenly.places:
            fewest = 0
        skew = counts + (1 if evenly.counts_itself else 0) - fewest
        even = np.append(skew <= evenly.skew, False)  # the last is who lacks the field
        sieve.apply(Lack.UNEVEN, even[codes])


def _where(fleet: Fleet, field: str, counts: Counts) -> Mask:
    """Machines whose value of the field is that of a machine that counts something."""
    codes, values = fleet.column(field)
    held = np.zeros(values + 1, np.bool_)
    held[codes[counts > 0]] = True
    held[-1] = False
    found: Mask = held[codes]
    return found


def _near(fleet: Fleet, unit: Unit) -> Mask:
    """The first of a group that wants to be near itself may go anywhere."""
    counts = fleet.roll.counts(*(company.query for company in unit.near))
    has_fields = fleet.alive
    found = fleet.alive
    anywhere = False
    for company in unit.near:
        codes, _ = fleet.column(company.field)
        has_fields = has_fields & (codes >= 0)
        there = _where(fleet, company.field, counts)
        anywhere = anywhere or bool(there.any())
        found = found & there
    if not anywhere and all(fleet.roll.matches(company.query, unit) for company in unit.near):
        return has_fields
    return found


def _apart(fleet: Fleet, unit: Unit) -> Mask:
    taken = np.zeros(fleet.size, np.bool_)
    for company in unit.apart:
        taken |= _where(fleet, company.field, fleet.roll.counts(company.query))
    return ~taken


def _unwanted(fleet: Fleet, unit: Unit) -> Mask | None:
    """Machines to which units that are there do not suffer it to come; None: no unit minds."""
    found: Mask | None = None
    for bond, company, counts in fleet.roll.bonds(unit):
        if bond is Bond.APART:
            where = _where(fleet, company.field, counts)
            found = where if found is None else found | where
    return found
