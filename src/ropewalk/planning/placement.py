"""Placement of equal units, as a service asks for it: so many of them, constraints, strategies in order.

Pure, and on the same fleet and rules as the planner of single units (`choosing`). Each unit of a request is placed on
the machines as the units before it left them; all machines that can take it are narrowed by each strategy in turn, and
what is still equal is decided by the seed, so that the same snapshot, request and seed always choose the same machines.
Source for the order of steps: docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement.html.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Union

import numpy as np

from ropewalk.planning.demands import CPU, MACHINE, MEMORY, ZONE, Constraint, HostPort, Machine
from ropewalk.planning.fleet import Fleet
from ropewalk.planning.roll import Counts
from ropewalk.planning.sieve import Lack, Refusal, Sieve

__all__ = [
    "MACHINE",
    "ZONE",
    "Binpack",
    "Constraint",
    "Fleet",
    "Lack",
    "Machine",
    "Placement",
    "Random",
    "Refusal",
    "Request",
    "Resource",
    "Spread",
    "place",
]


class Resource(Enum):
    CPU = CPU
    MEMORY = MEMORY


@dataclass(frozen=True, slots=True)
class Spread:
    """Evenly over the values of a field, counting the units of the request's group: `MACHINE`, `ZONE` or an attribute.

    Machines without the attribute are one place together.
    """

    field: str


@dataclass(frozen=True, slots=True)
class Binpack:
    """Where least of the resource is free, so that the fewest machines are used."""

    resource: Resource


@dataclass(frozen=True, slots=True)
class Random:
    """Any machine that can take it: later strategies have nothing left to decide."""


Strategy = Union[Spread, Binpack, Random]


@dataclass(frozen=True, slots=True)
class Request:
    """`count` equal units to place."""

    count: int
    cpu_millis: int = 0
    memory_bytes: int = 0
    ports: frozenset[HostPort] = frozenset()
    """Host ports each unit takes for itself."""
    constraints: tuple[Constraint, ...] = ()
    distinct: bool = False
    """No two units of the group on one machine."""
    strategies: tuple[Strategy, ...] = ()
    group: Mapping[str, int] = field(default_factory=dict)
    """How many units of the same group each machine has already, by machine id."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Placement:
    machines: tuple[str, ...]
    """One machine id a placed unit, in order; shorter than the request's count where not all could be placed."""
    refusals: tuple[Refusal, ...] = ()
    """Why each machine could not take the first unit that was not placed; empty where all were, or nothing is there."""


class _State:
    """The machines while one request is being placed."""

    def __init__(self, fleet: Fleet, request: Request) -> None:
        self.fleet = fleet
        self.request = request
        self.cpu = fleet.free(CPU)
        self.memory = fleet.free(MEMORY)
        self.group: Counts = np.zeros(fleet.size, np.int64)
        for name, count in request.group.items():
            if name in fleet.slot_of:
                self.group[fleet.slot_of[name]] = count
        self.port_free = fleet.ports_free(request.ports)

    def sieve(self) -> Sieve:
        """Which machines can take one more unit, and why the others cannot."""
        request = self.request
        sieve = Sieve(self.fleet)
        sieve.apply(Lack.NOT_READY, self.fleet.ready)
        for constraint in request.constraints:
            sieve.apply(Lack.CONSTRAINT, self.fleet.holding(constraint), constraint.name)
        if request.distinct:
            sieve.apply(Lack.DISTINCT, self.group == 0)
        sieve.apply(Lack.MEMORY, self.memory >= request.memory_bytes)
        sieve.apply(Lack.CPU, self.cpu >= request.cpu_millis)
        sieve.apply(Lack.PORTS, self.port_free)
        return sieve

    def narrowed(self, places: Counts, strategy: Strategy) -> Counts:
        """Those of `places` that the strategy likes best."""
        if isinstance(strategy, Spread):
            codes, values = self.fleet.column(strategy.field)
            scores = np.bincount(codes + 1, weights=self.group, minlength=values + 1)[codes[places] + 1]
        elif isinstance(strategy, Binpack):
            scores = (self.cpu if strategy.resource is Resource.CPU else self.memory)[places]
        else:
            return places
        best: Counts = places[scores == scores.min()]
        return best

    def choose(self, places: Counts, unit: int) -> int:
        for strategy in self.request.strategies:
            if isinstance(strategy, Random):
                break
            places = self.narrowed(places, strategy)
        return int(places[np.argmin(self.fleet.ranks(self.request.seed, unit, places))])

    def take(self, place: int) -> None:
        self.cpu[place] -= self.request.cpu_millis
        self.memory[place] -= self.request.memory_bytes
        self.group[place] += 1
        if self.request.ports:
            self.port_free[place] = False


def place(fleet: Fleet | Sequence[Machine], request: Request) -> Placement:
    """Choose a machine for each unit, as many as there is room for.

    Raises ValueError for a negative count, CPU or memory: a request takes, it does not give.
    """
    if request.count < 0 or request.cpu_millis < 0 or request.memory_bytes < 0:
        raise ValueError("a request's count, CPU and memory are not negative")
    snapshot = fleet if isinstance(fleet, Fleet) else Fleet(fleet)
    state = _State(snapshot, request)
    chosen: list[str] = []
    for unit in range(request.count):
        sieve = state.sieve()
        places = np.flatnonzero(sieve.able)
        if not places.size:
            return Placement(tuple(chosen), sieve.refusals())
        where = state.choose(places, unit)
        state.take(where)
        chosen.append(snapshot.name(where))
    return Placement(tuple(chosen))
