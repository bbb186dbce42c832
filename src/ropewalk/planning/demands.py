"""What is to be placed, and where it may and would rather go: the terms in which both families ask the planner.

A *unit* is a task or a pod. Its family lowers what it was asked for to these terms; the planner knows no other. What a
machine must be like comes as predicates (`Constraint`), since each family has its own words for it; what depends on the
other units (near them, apart from them, evenly over a field) comes as data, since counting over all machines at once is
what makes it quick. Constraints, preferences, selectors and queries are compared by value: their answers are kept and
shared by all units that ask the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, Union

CPU = "cpu"
"""In thousandths of a core."""
MEMORY = "memory"
"""In bytes."""

HostPort = Union[tuple[str, int], tuple[str, int, str]]
"""(protocol, port): on every address of the machine; or (protocol, port, address): on that one alone."""


def clash(wanted: Iterable[HostPort], taken: Iterable[HostPort]) -> bool:
    """Whether any of these cannot be had beside those."""
    held = list(taken)
    return any(
        one[:2] == other[:2] and (len(one) == 2 or len(other) == 2 or one[2] == other[2])
        for one in wanted
        for other in held
    )


MACHINE = "(machine)"
"""A field: each machine is a place of its own. No attribute is called so."""
ZONE = "(zone)"
"""A field: the machine's zone."""

NOTHING: Mapping[str, int] = {}
_NO_TEXTS: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Taint:
    """Something that keeps units away which do not tolerate it. What an effect means is the family's affair."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine and what it has room for. What the units that a fleet knows of take is not taken off here."""

    id: str
    cpu_millis: int
    memory_bytes: int
    zone: str = ""
    attributes: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    ports: frozenset[HostPort] = frozenset()
    """Host ports taken, those of the fleet's units apart."""
    ready: bool = True
    """Its agent is connected, and it takes new work."""
    further: Mapping[str, int] = field(default_factory=lambda: NOTHING)
    """Room for whatever else there is, by name: storage, numbers of units, devices."""
    taints: tuple[Taint, ...] = ()
    images: Mapping[str, int] = field(default_factory=lambda: NOTHING)
    """Bytes of each image that it has already, by name."""

    def room(self, resource: str) -> int:
        if resource == CPU:
            return self.cpu_millis
        return self.memory_bytes if resource == MEMORY else self.further.get(resource, 0)


@dataclass(frozen=True, slots=True)
class Constraint:
    """Only machines for which `holds` does. `name` is given back as the reason where it does not."""

    name: str
    holds: Callable[[Machine], bool]


@dataclass(frozen=True, slots=True)
class Preference:
    """The more `counts` says of a machine, the better; or the worse, where `fewest`."""

    counts: Callable[[Machine], int]
    weight: int
    fewest: bool = False


class Selector(Protocol):
    """Compared by value."""

    def matches(self, labels: Mapping[str, str], /) -> bool: ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Query:
    """Which units are meant."""

    selector: Selector
    spaces: frozenset[str] = frozenset()
    space_selector: Selector | None = None
    """And those of all spaces with such labels."""
    staying: bool = False
    """Only those that are not being stopped."""


@dataclass(frozen=True, slots=True)
class Company:
    """The units meant, wherever the field has the same value. `weight` counts where it is a wish."""

    query: Query
    field: str
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Evenly:
    """Over the values of a field, those of the units meant differ by at most `skew`."""

    query: Query
    field: str
    skew: int
    counts_itself: bool = True
    """The unit is one of those meant."""
    places: int = 1
    """While there are fewer values than this, the least used is one with none."""
    among: tuple[Constraint, ...] = ()
    """Only machines are counted for which these hold."""
    by_machine: bool = False
    """Every machine has its own value of the field; as a wish, each is then compared by what it has itself."""


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One task or pod. Two are the same only if they are one."""

    id: str
    space: str = ""
    """What its name is unique in: a namespace."""
    labels: Mapping[str, str] = field(default_factory=lambda: _NO_TEXTS)
    room: Mapping[str, int] = field(default_factory=lambda: NOTHING)
    """What it takes of a machine, by resource."""
    weight: Mapping[str, int] = field(default_factory=lambda: NOTHING)
    """CPU and memory as they count where machines are compared: who asks for nothing still takes something."""
    ports: frozenset[HostPort] = frozenset()
    constraints: tuple[Constraint, ...] = ()
    only: frozenset[str] | None = None
    """Machines that come into question, where few do: the others are not even looked at."""
    preferences: tuple[Preference, ...] = ()
    near: tuple[Company, ...] = ()
    """Where units are that match all of these."""
    apart: tuple[Company, ...] = ()
    """Where no unit is that matches any of these; nor does it suffer them to come."""
    likes: tuple[Company, ...] = ()
    dislikes: tuple[Company, ...] = ()
    evenly: tuple[Evenly, ...] = ()
    rather_evenly: tuple[Evenly, ...] = ()
    rather_everywhere: bool = False
    """`rather_evenly` also counts machines that lack one of its fields."""
    images: tuple[str, ...] = ()
    """One a container."""
    priority: int = 0
    since: float = 0.0
    """When it began, in seconds: of equals the older is the more important."""
    preempts: bool = True
    """It may have less important units stopped to make room."""
    leaving: bool = False
    """It is being stopped, and still takes its room."""
