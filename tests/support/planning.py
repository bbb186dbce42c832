"""Small fleets and units for the planner's tests, and its rules once more: one machine at a time, as they are read."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ropewalk.planning.demands import (
    CPU,
    MEMORY,
    Company,
    Constraint,
    Evenly,
    HostPort,
    Machine,
    Preference,
    Query,
    Taint,
    Unit,
    clash,
)
from ropewalk.planning.sieve import Lack

T = TypeVar("T")

GIB = 1 << 30
Placed = list[tuple[Unit, str]]


@dataclass(frozen=True)
class With:
    """A selector: all of these labels."""

    labels: tuple[tuple[str, str], ...] = ()

    def matches(self, labels: Mapping[str, str], /) -> bool:
        return all(labels.get(name) == value for name, value in self.labels)


@dataclass(frozen=True)
class Has:
    """Of a machine: the attribute with this value."""

    name: str
    value: str

    def __call__(self, machine: Machine) -> bool:
        return machine.attributes.get(self.name) == self.value


@dataclass(frozen=True)
class Clean:
    def __call__(self, machine: Machine) -> bool:
        return not machine.taints


@dataclass(frozen=True)
class Number:
    """Of a machine: an attribute that is a number."""

    name: str

    def __call__(self, machine: Machine) -> int:
        return int(machine.attributes.get(self.name, "0"))


SPACES = {"a": {"team": "x"}, "b": {}}


class Chance:
    """Anything at all, as a seed has it: quicker by far than strategies for records of records."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def some(self, *choices: T) -> T:
        return self.random.choice(choices)

    def few(self, make: Callable[[], T], chance: float = 0.3) -> tuple[T, ...]:
        if self.random.random() > chance:
            return ()
        return tuple(make() for _ in range(self.some(1, 1, 2)))

    def labels(self, *names: str) -> dict[str, str]:
        return {name: self.some("x", "y") for name in names if self.some(True, False)}

    def query(self) -> Query:
        labels = self.labels("app", "tier")
        return Query(
            With(tuple(sorted(labels.items()))),
            frozenset(self.labels("a", "b")),
            self.some(None, None, With(), With((("team", "x"),))),
            self.some(True, False),
        )

    def field(self) -> str:
        return self.some("host", "zone", "rack")

    def company(self) -> Company:
        return Company(self.query(), self.field())

    def wish(self) -> Company:
        return Company(self.query(), self.field(), self.random.randint(1, 100))

    def constraint(self) -> Constraint:
        return self.some(Constraint("rack x", Has("rack", "x")), Constraint("clean", Clean()))

    def evenly(self) -> Evenly:
        counts_itself, among = self.some(True, False), self.few(self.constraint)
        skew, places = self.some(1, 2, 3), self.some(1, 2, 3)
        return Evenly(self.query(), self.field(), skew, counts_itself, places, among)

    def ports(self) -> frozenset[HostPort]:
        def port() -> HostPort:
            return self.some(("TCP", self.some(80, 81)), ("TCP", 80, self.some("10.0.0.1", "10.0.0.2")))

        return frozenset(self.few(port))

    def machine(self, name: str) -> Machine:
        attributes = ({"host": name} if self.random.random() < 0.9 else {}) | self.labels("zone", "rack")
        if self.some(True, False):
            attributes["score"] = str(self.random.randint(0, 5))
        return Machine(
            name,
            self.random.randint(0, 4) * 1000,
            self.random.randint(0, 8) * GIB,
            attributes=attributes,
            ports=self.ports(),
            further={"pods": self.random.randint(0, 5)},
            taints=self.some((), (), (), (Taint("k", "v", "NoSchedule"),)),
            images={name: self.random.randint(0, 2000 << 20) for name in self.labels("web", "db")},
        )

    def unit(self, name: str) -> Unit:
        cpu, memory = self.some(0, 500, 1000), self.some(0, GIB, 3 * GIB)
        further = {"gpu": 1} if self.random.random() < 0.1 else {}
        return Unit(
            name,
            self.some("a", "b"),
            self.labels("app", "tier"),
            {"pods": 1, CPU: cpu, MEMORY: memory} | further,
            {CPU: cpu or 100, MEMORY: memory or GIB // 5},
            self.ports(),
            self.few(self.constraint, 0.2),
            preferences=self.few(lambda: Preference(Number("score"), self.some(1, 2), self.some(True, False))),
            near=self.few(self.company, 0.2),
            apart=self.few(self.company, 0.2),
            likes=self.few(self.wish),
            dislikes=self.few(self.wish),
            evenly=self.few(self.evenly, 0.2),
            rather_evenly=self.few(self.evenly),
            rather_everywhere=self.some(True, False),
            images=self.some((), ("web",), ("web", "db")),
            priority=self.some(0, 1, 2),
            since=float(self.some(1, 2, 3)),
            leaving=self.random.random() < 0.2,
        )

    def situation(self, most: int = 5, others: int = 6) -> tuple[list[Machine], Placed]:
        machines = [self.machine(f"m{number}") for number in range(self.random.randint(1, most))]
        names = [machine.id for machine in machines]
        count = self.random.randint(0, others)
        return machines, [(self.unit(f"u{number}"), self.some(*names)) for number in range(count)]


# --- the rules, read one by one


def matches(query: Query, unit: Unit) -> bool:
    if query.staying and unit.leaving:
        return False
    in_space = unit.space in query.spaces or (
        query.space_selector is not None and query.space_selector.matches(SPACES.get(unit.space, {}))
    )
    return in_space and query.selector.matches(unit.labels)


class Rules:
    """What holds for one unit among these machines and units."""

    def __init__(self, machines: Iterable[Machine], there: Placed, unit: Unit) -> None:
        self.machines = list(machines)
        self.by_name = {machine.id: machine for machine in self.machines}
        self.there = [(other, self.by_name[name]) for other, name in there if name in self.by_name]
        self.unit = unit

    def on(self, machine: Machine) -> list[Unit]:
        return [other for other, where in self.there if where.id == machine.id]

    def lack(self, machine: Machine) -> Lack | None:
        unit = self.unit
        if not all(constraint.holds(machine) for constraint in unit.constraints):
            return Lack.CONSTRAINT
        taken = {port for other in self.on(machine) for port in other.ports} | machine.ports
        if clash(unit.ports, taken):
            return Lack.PORTS
        for name, amount in unit.room.items():
            used = sum(other.room.get(name, 0) for other in self.on(machine))
            if amount > 0 and used + amount > machine.room(name):
                return {CPU: Lack.CPU, MEMORY: Lack.MEMORY}.get(name, Lack.FURTHER)
        for evenly in unit.evenly:
            if evenly.field not in machine.attributes:
                return Lack.FIELD
            if self._skew(evenly, machine) > evenly.skew:
                return Lack.UNEVEN
        if unit.near and not self._is_near(machine):
            return Lack.NEAR
        for company in unit.apart:
            if any(
                self._shares(company.field, machine, where) and matches(company.query, other)
                for other, where in self.there
            ):
                return Lack.APART
        for other, where in self.there:
            for company in other.apart:
                if self._shares(company.field, machine, where) and matches(company.query, unit):
                    return Lack.UNWANTED
        return None

    def _shares(self, field: str, one: Machine, other: Machine) -> bool:
        return field in one.attributes and one.attributes[field] == other.attributes.get(field)

    def _skew(self, evenly: Evenly, machine: Machine) -> int:
        counted = [
            each
            for each in self.machines
            if all(other.field in each.attributes for other in self.unit.evenly)
            and all(constraint.holds(each) for constraint in evenly.among)
        ]
        numbers = {each.attributes[evenly.field]: 0 for each in counted}
        for other, where in self.there:
            if where in counted and matches(evenly.query, other):
                numbers[where.attributes[evenly.field]] += 1
        fewest = 0 if len(numbers) < evenly.places else min(numbers.values(), default=1 << 31)
        return numbers.get(machine.attributes[evenly.field], 0) + evenly.counts_itself - fewest

    def _is_near(self, machine: Machine) -> bool:
        near = self.unit.near
        if not all(company.field in machine.attributes for company in near):
            return False
        group = [where for other, where in self.there if all(matches(company.query, other) for company in near)]
        if all(any(self._shares(company.field, machine, where) for where in group) for company in near):
            return True
        nowhere = not any(company.field in where.attributes for where in group for company in near)
        return nowhere and all(matches(company.query, self.unit) for company in near)

    def able(self) -> list[Machine]:
        return [machine for machine in self.machines if self.lack(machine) is None]

    # --- scores

    def scores(self) -> dict[str, int]:
        """Of the machines that are able."""
        able, unit = self.able(), self.unit
        total = {machine.id: self._least(machine) + self._balanced(machine) for machine in able}
        for preference in unit.preferences:
            counts = {machine.id: preference.counts(machine) for machine in able}
            most = max(counts.values(), default=0)
            for name, count in counts.items():
                score = 100 * count // most if most else 0
                total[name] += preference.weight * (100 - score if preference.fewest else score)
        for part, weight in ((self._evenness(able), 2), (self._company(able), 2), (self._images(able), 1)):
            for name, score in part.items():
                total[name] += weight * score
        return total

    def _least(self, machine: Machine) -> int:
        scores = []
        for name in (CPU, MEMORY):
            room = machine.room(name)
            if room:
                used = sum(other.weight.get(name, 0) for other in self.on(machine)) + self.unit.weight.get(name, 0)
                scores.append((room - used) * 100 // room if used <= room else 0)
        return sum(scores) // len(scores) if scores else 0

    def _balanced(self, machine: Machine) -> int:
        asked = [self.unit.room.get(name, 0) for name in (CPU, MEMORY)]
        if not any(asked):
            return 0
        shares = []
        for name, amount in zip((CPU, MEMORY), asked, strict=True):
            if room := machine.room(name):
                used = sum(other.room.get(name, 0) for other in self.on(machine)) + amount
                shares.append(min(used / room, 1.0))
        apart = abs((shares[0] - shares[1]) / 2) if len(shares) == 2 else 0.0
        return int((1 - apart) * 100)

    def _evenness(self, able: list[Machine]) -> dict[str, int]:
        wanted, everywhere = self.unit.rather_evenly, self.unit.rather_everywhere
        if not wanted:
            return {}

        def has_all(machine: Machine) -> bool:
            return everywhere or all(evenly.field in machine.attributes for evenly in wanted)

        left = [machine for machine in able if has_all(machine)]
        crowds = dict.fromkeys((machine.id for machine in left), 0.0)
        for evenly in wanted:
            weight = math.log(len({machine.attributes.get(evenly.field) for machine in left}) + 2)
            for machine in left:
                if evenly.field not in machine.attributes:
                    continue
                number = sum(
                    matches(evenly.query, other)
                    for other, where in self.there
                    if has_all(where)
                    and self._shares(evenly.field, machine, where)
                    and all(constraint.holds(where) for constraint in evenly.among)
                )
                crowds[machine.id] += number * weight + evenly.skew - 1
        rounded = {name: math.floor(crowd + 0.5) for name, crowd in crowds.items()}
        fewest, most = min(rounded.values(), default=0), max(rounded.values(), default=0)
        scores = {name: 100 * (most + fewest - crowd) // most if most else 100 for name, crowd in rounded.items()}
        return {machine.id: scores.get(machine.id, 0) for machine in able}

    def _company(self, able: list[Machine]) -> dict[str, int]:
        totals = {machine.id: 0 for machine in able}
        for machine in able:
            for other, where in self.there:
                for sign, companies in ((1, self.unit.likes), (-1, self.unit.dislikes)):
                    for company in companies:
                        if self._shares(company.field, machine, where) and matches(company.query, other):
                            totals[machine.id] += sign * company.weight
                for sign, companies in ((1, other.likes), (-1, other.dislikes), (1, other.near)):
                    for company in companies:
                        if self._shares(company.field, machine, where) and matches(company.query, self.unit):
                            totals[machine.id] += sign * (company.weight or 1)
        least, most = min(totals.values(), default=0), max(totals.values(), default=0)
        if most == least:
            return {}
        return {name: int(100 * ((total - least) / (most - least))) for name, total in totals.items()}

    def _images(self, able: list[Machine]) -> dict[str, int]:
        names = self.unit.images
        if not names:
            return {}
        found = {}
        for machine in able:
            saved = 0
            for name in names:
                holders = sum(name in other.images for other in self.machines)
                saved += int(machine.images.get(name, 0) * (holders / len(self.machines)))
            least, most = 23 << 20, (1000 << 20) * len(names)
            found[machine.id] = 100 * (min(max(saved, least), most) - least) // (most - least)
        return found
