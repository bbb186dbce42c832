"""Preemption: which less important units would have to go, and from which machine, so that a unit finds a place.

On each machine all that are less important are thought away; those that may stay after all are put back, the most
important first, and of these first the ones that a disruption budget protects. Of the machines the best is the one that
breaks the fewest budgets, then loses the least important units, the least of them, the fewest, the youngest.
https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ropewalk.planning.choosing import Planner
from ropewalk.planning.demands import Selector, Unit, clash
from ropewalk.planning.fleet import Fleet
from ropewalk.planning.sieve import Lack, Sieve, depends_on_others, short_of

FEWEST_CANDIDATES = 100
CANDIDATES_SHARE = 10
"""Machines looked at until so many, or so many per cent of those that could help, were found to."""
_LOWEST = 1 << 31
"""Added to a priority it makes it positive: more victims are then never better than fewer."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How many units may be stopped of those it protects."""

    space: str
    selector: Selector
    allowed: int
    charged: frozenset[str] = frozenset()
    """Ids of units that were counted already."""


@dataclass(frozen=True, slots=True)
class Victims:
    machine: str
    units: tuple[Unit, ...]
    """The most important first."""
    breaches: int = 0
    """Of how many of them no budget allows it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    victims: Victims | None
    no_victims: int = 0
    """Machines without a less important unit."""
    still: Counter[tuple[Lack, str]] = field(default_factory=Counter)
    """Why machines could not take it even so."""
    hopeless: int = 0
    """Machines on which it would not help."""


def preempt(planner: Planner, unit: Unit, sieve: Sieve, budgets: Sequence[Budget], seed: int) -> Outcome:
    """`sieve` is what the choice gave. The fleet is the same afterwards."""
    fleet = planner.fleet
    slots = np.flatnonzero(sieve.hopeful())
    slots = slots[np.argsort(fleet.ranks(seed, 0, slots), kind="stable")]
    enough = min(max(len(slots) * CANDIDATES_SHARE // 100, FEWEST_CANDIDATES), len(slots))
    found: list[Victims] = []
    no_victims, still = 0, Counter[tuple[Lack, str]]()
    others = planner.respected(unit)
    mere_nominees = {other.id for other, _ in others if fleet.unit(other.id) is None}
    with fleet.with_others(others):
        as_it_is = planner.sift_others(unit) if depends_on_others(fleet, unit) else None
        if as_it_is is not None:
            as_it_is.settle()
        for slot in slots.tolist():
            lower = [
                there
                for there in fleet.units_on(fleet.name(slot))
                if there.priority < unit.priority and there.id not in mere_nominees
            ]
            if not lower:
                no_victims += 1
                continue
            trial: _Trial = _Room(fleet, unit, slot) if as_it_is is None else _Whole(planner, unit, slot, as_it_is)
            victims = _victims_on(trial, fleet.name(slot), lower, budgets)
            if isinstance(victims, Victims):
                found.append(victims)
            else:
                still.update(victims)
            if len(found) >= enough and any(not candidate.breaches for candidate in found):
                break
    hopeless = len(fleet) - len(slots)
    return Outcome(_best(found) if found else None, no_victims, still, hopeless)


class _Trial(Protocol):
    """One machine, with some of its units thought away."""

    def without(self, unit: Unit) -> None: ...

    def with_again(self, unit: Unit) -> None: ...

    def lacks(self) -> list[tuple[Lack, str]]:
        """Why it cannot take the unit as it is now; nothing where it can."""
        ...

    def end(self) -> None:
        """Everything is as it was."""
        ...


class _Room:
    """Where only the machine itself decides: sums, without touching the fleet."""

    def __init__(self, fleet: Fleet, unit: Unit, slot: int) -> None:
        self._unit = unit
        self._free = {name: int(fleet.room(name)[slot] - fleet.used(name)[slot]) for name in unit.room}
        self._blockers: set[str] = set()
        self._foreign = False
        if unit.ports:
            machine = fleet.machines[slot]
            assert machine is not None
            self._foreign = clash(unit.ports, machine.ports)
            there = fleet.units_on(machine.id)
            self._blockers = {other.id for other in there if clash(unit.ports, other.ports)}
        self._gone: set[str] = set()

    def without(self, unit: Unit) -> None:
        self._gone.add(unit.id)
        for name in self._free:
            self._free[name] += unit.room.get(name, 0)

    def with_again(self, unit: Unit) -> None:
        self._gone.discard(unit.id)
        for name in self._free:
            self._free[name] -= unit.room.get(name, 0)

    def lacks(self) -> list[tuple[Lack, str]]:
        if self._foreign or self._blockers - self._gone:
            return [(Lack.PORTS, "")]
        return [short_of(name) for name, amount in self._unit.room.items() if 0 < amount > self._free[name]]

    def end(self) -> None:
        """Nothing was changed."""


class _Whole:
    """Where units elsewhere have a say as well. Those here that matter to that are taken off the fleet itself, which is
    put in order again at the end; of the others only the room is counted.
    """

    def __init__(self, planner: Planner, unit: Unit, slot: int, as_it_is: Sieve) -> None:
        self._planner = planner
        self._unit = unit
        self._slot = slot
        self._machine = planner.fleet.name(slot)
        self._room = _Room(planner.fleet, unit, slot)
        self._gone: dict[str, Unit] = {}
        self._objections: list[tuple[Lack, str]] | None = as_it_is.reasons(slot)
        """Of units elsewhere; None: to be asked anew."""

    def without(self, unit: Unit) -> None:
        self._room.without(unit)
        if self._matters(unit):
            self._planner.fleet.drop(unit.id)
            self._gone[unit.id] = unit
            self._objections = None

    def with_again(self, unit: Unit) -> None:
        self._room.with_again(unit)
        if self._gone.pop(unit.id, None) is not None:
            self._planner.fleet.add(unit, self._machine)
            self._objections = None

    def _matters(self, other: Unit) -> bool:
        matches, unit = self._planner.fleet.roll.matches, self._unit
        queries = [evenly.query for evenly in unit.evenly] + [each.query for each in (*unit.near, *unit.apart)]
        return any(matches(query, other) for query in queries) or any(matches(each.query, unit) for each in other.apart)

    def lacks(self) -> list[tuple[Lack, str]]:
        if lacks := self._room.lacks():
            return lacks
        if self._objections is None:
            self._objections = self._planner.sift_others(self._unit).reasons(self._slot)
        return self._objections

    def end(self) -> None:
        for unit in self._gone.values():
            self._planner.fleet.add(unit, self._machine)


def _victims_on(
    trial: _Trial, machine: str, lower: list[Unit], budgets: Sequence[Budget]
) -> Victims | list[tuple[Lack, str]]:
    """Who has to go; else why even that would not do."""
    try:
        for unit in lower:
            trial.without(unit)
        if lacks := trial.lacks():
            return lacks
        lower.sort(key=_importance)
        protected, others = _by_budget(lower, budgets)
        victims: list[Unit] = []
        breaches = 0
        for unit in (*protected, *others):
            trial.with_again(unit)
            if trial.lacks():
                trial.without(unit)
                victims.append(unit)
                breaches += unit in protected
        if not victims:
            return []
        return Victims(machine, tuple(sorted(victims, key=_importance)), breaches)
    finally:
        trial.end()


def _importance(unit: Unit) -> tuple[int, float]:
    return -unit.priority, unit.since


def _by_budget(units: Iterable[Unit], budgets: Sequence[Budget]) -> tuple[list[Unit], list[Unit]]:
    """Those that no budget allows to stop, and the others."""
    allowed = [budget.allowed for budget in budgets]
    protected: list[Unit] = []
    others: list[Unit] = []
    for unit in units:
        breached = False
        for index, budget in enumerate(budgets):
            if (
                unit.labels
                and budget.space == unit.space
                and unit.id not in budget.charged
                and budget.selector.matches(unit.labels)
            ):
                allowed[index] -= 1
                breached = breached or allowed[index] < 0
        (protected if breached else others).append(unit)
    return protected, others


def _best(candidates: list[Victims]) -> Victims:
    def badness(found: Victims) -> tuple[float, ...]:
        first = found.units[0]
        weight = sum(unit.priority + _LOWEST for unit in found.units)
        eldest = min(unit.since for unit in found.units if unit.priority == first.priority)
        return found.breaches, first.priority, weight, len(found.units), -eldest

    return min(candidates, key=badness)
