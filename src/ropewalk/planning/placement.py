"""Where workloads go: machines with what they have free, a request, and out come machines or the reasons why not.

Pure, and the only module of the control plane that imports numpy: import it where a placement is to be decided, not at
start. It knows neither ECS nor Kubernetes: a family's constraints come as predicates with a name, its strategies as an
order of narrowing steps. Each unit of a request is placed on the machines as the units before it left them; all
machines that can take it are narrowed by each strategy in turn, and what is still equal is decided by the seed, so that
the same snapshot, request and seed always choose the same machines. Steps of whole-array arithmetic keep five thousand
machines at well under a millisecond a unit. Source for the order of steps:
docs.aws.amazon.com/AmazonECS/latest/developerguide/task-placement.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Union

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]

HostPort = tuple[str, int]
"""(protocol, port)."""

_NO_ATTRIBUTES: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine as it is now. `cpu_millis` and `memory_bytes` are what is free."""

    id: str
    cpu_millis: int
    memory_bytes: int
    zone: str = ""
    attributes: Mapping[str, str] = field(default_factory=lambda: _NO_ATTRIBUTES)
    ports: frozenset[HostPort] = frozenset()
    """Host ports taken."""
    ready: bool = True
    """Its agent is connected, and it takes new work."""


class Resource(Enum):
    CPU = "cpu"
    MEMORY = "memory"


MACHINE = "machine"
"""Field of `Spread`: each machine is a place of its own."""
ZONE = "zone"
"""Field of `Spread`: the machine's zone."""


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
class Constraint:
    """Only machines for which `holds` does. `name` is given back as the reason where it does not."""

    name: str
    holds: Callable[[Machine], bool]


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


class Lack(Enum):
    """Why a machine cannot take a unit; the first that applies, in this order."""

    NOT_READY = "not-ready"
    CONSTRAINT = "constraint"
    DISTINCT = "distinct"
    MEMORY = "memory"
    CPU = "cpu"
    PORTS = "ports"


@dataclass(frozen=True, slots=True)
class Refusal:
    machine: str
    lack: Lack
    constraint: str = ""
    """Name of the constraint, for CONSTRAINT."""


@dataclass(frozen=True, slots=True)
class Placement:
    machines: tuple[str, ...]
    """One machine id a placed unit, in order; shorter than the request's count where not all could be placed."""
    refusals: tuple[Refusal, ...] = ()
    """Why each machine could not take the first unit that was not placed; empty where all were, or nothing is there."""


class Fleet:
    """A snapshot of machines as arrays. Make it once for several requests; `place` does not change it."""

    def __init__(self, machines: Iterable[Machine]) -> None:
        self.machines: tuple[Machine, ...] = tuple(sorted(machines, key=lambda machine: machine.id))
        size = len(self.machines)
        self.index = {machine.id: place for place, machine in enumerate(self.machines)}
        if len(self.index) < size:
            raise ValueError("two machines with one id")
        self.cpu = np.fromiter((m.cpu_millis for m in self.machines), np.int64, size)
        self.memory = np.fromiter((m.memory_bytes for m in self.machines), np.int64, size)
        self.ready = np.fromiter((m.ready for m in self.machines), np.bool_, size)
        self._columns: dict[str, tuple[Counts, int]] = {}

    def column(self, name: str) -> tuple[Counts, int]:
        """For each machine a number for its value of a `Spread` field, and how many values there are."""
        if name not in self._columns:
            numbers: dict[str, int] = {}
            codes = np.fromiter(
                (numbers.setdefault(value, len(numbers)) for value in self._values(name)), np.int64, len(self.machines)
            )
            self._columns[name] = (codes, len(numbers))
        return self._columns[name]

    def _values(self, name: str) -> Iterable[str]:
        if name == MACHINE:
            return (machine.id for machine in self.machines)
        if name == ZONE:
            return (machine.zone for machine in self.machines)
        return (machine.attributes.get(name, "") for machine in self.machines)


def _ranks(seed: int, unit: int, places: Counts) -> npt.NDArray[np.uint64]:
    """A pseudo-random number a place (splitmix64 of seed, unit and place): the smallest wins a tie."""
    mixed = places.astype(np.uint64) + np.uint64((seed * 0x9E3779B97F4A7C15 + unit * 0xD1B54A32D192ED03) % (1 << 64))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


class _State:
    """The machines while one request is being placed."""

    def __init__(self, fleet: Fleet, request: Request) -> None:
        self.fleet = fleet
        self.request = request
        size = len(fleet.machines)
        self.cpu = fleet.cpu.copy()
        self.memory = fleet.memory.copy()
        self.group = np.zeros(size, np.int64)
        for name, count in request.group.items():
            if name in fleet.index:
                self.group[fleet.index[name]] = count
        self.allowed = fleet.ready.copy()
        for place, machine in enumerate(fleet.machines):
            if not request.constraints:
                break
            if self.allowed[place]:
                self.allowed[place] = all(constraint.holds(machine) for constraint in request.constraints)
        self.port_free = np.ones(size, np.bool_)
        if request.ports:
            self.port_free = np.fromiter((not (request.ports & m.ports) for m in fleet.machines), np.bool_, size)

    def able(self) -> Mask:
        """Which machines can take one more unit."""
        request = self.request
        able: Mask = (
            self.allowed & self.port_free & (self.cpu >= request.cpu_millis) & (self.memory >= request.memory_bytes)
        )
        if request.distinct:
            able &= self.group == 0
        return able

    def narrowed(self, places: Counts, strategy: Strategy) -> Counts:
        """Those of `places` that the strategy likes best."""
        if isinstance(strategy, Spread):
            codes, values = self.fleet.column(strategy.field)
            scores = np.bincount(codes, weights=self.group, minlength=values)[codes[places]]
        elif isinstance(strategy, Binpack):
            scores = (self.cpu if strategy.resource is Resource.CPU else self.memory)[places]
        else:
            return places
        best: Counts = places[scores == scores.min()]
        return best

    def choose(self, unit: int) -> int | None:
        places: Counts = np.flatnonzero(self.able())
        if not places.size:
            return None
        for strategy in self.request.strategies:
            if isinstance(strategy, Random):
                break
            places = self.narrowed(places, strategy)
        return int(places[np.argmin(_ranks(self.request.seed, unit, places))])

    def take(self, place: int) -> None:
        self.cpu[place] -= self.request.cpu_millis
        self.memory[place] -= self.request.memory_bytes
        self.group[place] += 1
        if self.request.ports:
            self.port_free[place] = False

    def refusal(self, place: int) -> Refusal:
        machine, request = self.fleet.machines[place], self.request
        if not machine.ready:
            return Refusal(machine.id, Lack.NOT_READY)
        for constraint in request.constraints:
            if not constraint.holds(machine):
                return Refusal(machine.id, Lack.CONSTRAINT, constraint.name)
        if request.distinct and self.group[place]:
            return Refusal(machine.id, Lack.DISTINCT)
        if self.memory[place] < request.memory_bytes:
            return Refusal(machine.id, Lack.MEMORY)
        if self.cpu[place] < request.cpu_millis:
            return Refusal(machine.id, Lack.CPU)
        return Refusal(machine.id, Lack.PORTS)


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
        where = state.choose(unit)
        if where is None:
            refusals = tuple(state.refusal(place) for place in range(len(snapshot.machines)))
            return Placement(tuple(chosen), refusals)
        state.take(where)
        chosen.append(snapshot.machines[where].id)
    return Placement(tuple(chosen))
