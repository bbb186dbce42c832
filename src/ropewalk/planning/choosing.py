"""The planner: a unit in, the best machine for it out, or why there is none. What it decides it puts onto the fleet.

Pure: the same fleet, units and seed always give the same plan. All machines are looked at for every unit, where
kube-scheduler looks at a part of many: an array operation over five thousand costs microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import cast

import numpy as np

from ropewalk.planning.comparing import compare, has_wishes
from ropewalk.planning.demands import Unit
from ropewalk.planning.fleet import Fleet
from ropewalk.planning.roll import Counts
from ropewalk.planning.sieve import Lack, Sieve, depends_on_others, sift
from ropewalk.planning.standing import Standings

_NOWHERE: Counts = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Choice:
    unit: Unit
    machine: str | None
    sieve: Sieve
    """Why not, where there is none. Ask it before the fleet changes."""


class Planner:
    def __init__(self, fleet: Fleet, seed: int = 0) -> None:
        self.fleet = fleet
        self._seed = seed
        self._standings = Standings(fleet)
        self._nominees: dict[str, tuple[Unit, str]] = {}

    # --- those for whom room is being made

    def nominate(self, unit: Unit, machine: str) -> None:
        """Room is being made for it there: none that is less important takes it meanwhile."""
        self._nominees[unit.id] = (unit, machine)

    def withdraw(self, unit_id: str) -> None:
        self._nominees.pop(unit_id, None)

    def nomination(self, unit_id: str) -> str:
        """The machine on which room is being made for it; "" where on none."""
        found = self._nominees.get(unit_id)
        return "" if found is None else found[1]

    def nominees_on(self, machine: str) -> list[Unit]:
        return [unit for unit, where in self._nominees.values() if where == machine]

    def respected(self, unit: Unit) -> list[tuple[Unit, str]]:
        """Nominees whose room is not for this unit."""
        return [
            (other, machine)
            for other, machine in self._nominees.values()
            if other.priority >= unit.priority and other.id != unit.id
        ]

    # --- deciding

    def plan(self, units: Iterable[Unit]) -> list[Choice]:
        """One after another, each as the ones before it leave the fleet."""
        made = []
        for unit in units:
            choice = self.choose(unit)
            if choice.machine is not None:
                self.fleet.add(unit, choice.machine)
            made.append(choice)
        return made

    def choose(self, unit: Unit) -> Choice:
        """The fleet stays as it is."""
        sieve = self.sift(unit)
        fleet = self.fleet
        nominated = self.nomination(unit.id)
        if nominated in fleet.slot_of and sieve.able[fleet.slot_of[nominated]]:
            return Choice(unit, nominated, sieve)
        places = self._best(unit, sieve)
        if not places.size:
            return Choice(unit, None, sieve)
        if places.size > 1:
            places = places[[np.argmin(fleet.ranks(self._seed, _number(unit.id), places))]]
        return Choice(unit, fleet.name(int(places[0])), sieve)

    def _best(self, unit: Unit, sieve: Sieve) -> Counts:
        """Those of the machines that can take it which have the highest score."""
        scores = self._standings.of(unit).score
        if has_wishes(self.fleet, unit):
            places = np.flatnonzero(sieve.able)
            if places.size > 1 and (wishes := compare(self.fleet, unit, places)) is not None:
                total = scores[places] + wishes
                return cast(Counts, places[total == total.max()])
        scores = np.where(sieve.able, scores, -1)  # whole arrays: quicker than picking from them
        most = scores.max()
        return np.flatnonzero(scores == most) if most >= 0 else _NOWHERE

    def sift(self, unit: Unit) -> Sieve:
        """It must find a place with the nominees there, and without them: they may never come."""
        others = self.respected(unit)
        if not others:
            return self._sift(unit)
        with self.fleet.with_others(others):
            sieve = self._sift(unit)
            sieve.settle()
            depends = depends_on_others(self.fleet, unit)
        if depends:
            sieve.also(self._sift(unit))
        return sieve

    def _sift(self, unit: Unit) -> Sieve:
        return sift(self.fleet, unit, self._standings.of(unit).fits)

    def sift_others(self, unit: Unit) -> Sieve:
        """What other machines and units have to say, room and ports apart."""
        return sift(self.fleet, replace(unit, ports=frozenset()), np.ones(self.fleet.size, np.bool_))

    # --- checking

    def objections(self, unit: Unit, machine: str) -> list[tuple[Lack, str]]:
        """Why the unit cannot be on the machine as everything is now; nothing where it can. It may be there already."""
        slot = self.fleet.slot_of.get(machine)
        if slot is None:
            return [(Lack.NOT_READY, "")]
        where = self.fleet.machine_of(unit.id)
        there = self.fleet.drop(unit.id)
        try:
            return self._sift(unit).reasons(slot)
        finally:
            if there is not None and where is not None:
                self.fleet.add(there, where)


def _number(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")
