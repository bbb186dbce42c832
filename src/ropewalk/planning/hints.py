"""Which changes could help a unit that found no place: only for these is it tried again at once.

A hint may say yes in vain, but never no where the unit could now be placed. As kube-scheduler's queueing hints:
https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/#queueinghint
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Union

from ropewalk.planning.demands import CPU, MEMORY, Machine, Query, Unit, clash
from ropewalk.planning.sieve import Lack

_OF_FIELDS = frozenset((Lack.FIELD, Lack.UNEVEN, Lack.NEAR, Lack.APART, Lack.UNWANTED))
_OF_COMING = frozenset((Lack.UNEVEN, Lack.NEAR))
_OF_SPACES = frozenset((Lack.NEAR, Lack.APART, Lack.UNWANTED))


@dataclass(frozen=True, slots=True)
class UnitMoved:
    """It came to a machine (no `old`), went from one (no `new`), or is not what it was."""

    old: Unit | None
    new: Unit | None


@dataclass(frozen=True, slots=True)
class MachineChanged:
    """It came, went, or is not what it was."""

    old: Machine | None
    new: Machine | None


@dataclass(frozen=True, slots=True)
class SpaceChanged:
    """A space has other labels."""


Change = Union[UnitMoved, MachineChanged, SpaceChanged]
Lacks = Collection[tuple[Lack, str]]


def may_concern(change: Change) -> Iterable[Lack]:
    """Nobody whose reasons are all others is helped by it."""
    if isinstance(change, SpaceChanged):
        return _OF_SPACES
    if isinstance(change, UnitMoved) and change.old is None:
        return _OF_COMING
    return Lack


def helps(unit: Unit, lacks: Lacks, change: Change, matches: Callable[[Query, Unit], bool]) -> bool:
    """`lacks`: the reasons for which it was refused."""
    kinds = {lack for lack, _ in lacks}
    if isinstance(change, MachineChanged):
        return _machine_helps(unit, kinds, change.old, change.new)
    if isinstance(change, SpaceChanged):
        return bool(kinds & _OF_SPACES)
    if change.old is not None and _going_helps(unit, lacks, change.old, change.new, matches):
        return True
    return change.new is not None and _coming_helps(unit, kinds, change.new, matches)


def _machine_helps(unit: Unit, kinds: set[Lack], old: Machine | None, new: Machine | None) -> bool:
    if new is None:
        return bool(kinds & _OF_FIELDS)  # it may have been the place with the fewest, or that of somebody in the way
    if kinds & _OF_FIELDS and (old is None or old.attributes != new.attributes or old.taints != new.taints):
        return True
    if not _suits(unit, new):
        return False
    if old is None or not _suits(unit, old):
        return True
    return old.ports != new.ports or any(new.room(name) > old.room(name) for name in unit.room)


def _suits(unit: Unit, machine: Machine) -> bool:
    """It could be there, were nobody else."""
    return (
        machine.ready
        and (unit.only is None or machine.id in unit.only)
        and all(amount <= machine.room(name) for name, amount in unit.room.items())
        and all(constraint.holds(machine) for constraint in unit.constraints)
    )


def _going_helps(unit: Unit, lacks: Lacks, old: Unit, new: Unit | None, matches: Callable[[Query, Unit], bool]) -> bool:
    for lack, name in lacks:
        if lack in (Lack.CPU, Lack.MEMORY, Lack.FURTHER):
            resource = {Lack.CPU: CPU, Lack.MEMORY: MEMORY}.get(lack, name)
            if old.room.get(resource, 0) > (0 if new is None else new.room.get(resource, 0)):
                return True
        elif lack is Lack.PORTS:
            if new is None and clash(unit.ports, old.ports):
                return True
        elif lack is Lack.APART:
            if any(_left(company.query, old, new, matches) for company in unit.apart):
                return True
        elif lack is Lack.NEAR:
            if any(_left(company.query, old, new, matches) for company in unit.near):
                return True  # where none of its group is left it may be the first
        elif lack is Lack.UNWANTED:
            if new is None and old.apart:
                return True
        elif lack is Lack.UNEVEN and any(_left(evenly.query, old, new, matches) for evenly in unit.evenly):
            return True
    return False


def _left(query: Query, old: Unit, new: Unit | None, matches: Callable[[Query, Unit], bool]) -> bool:
    """It is no longer one of those meant."""
    return matches(query, old) and (new is None or not matches(query, new))


def _coming_helps(unit: Unit, kinds: set[Lack], new: Unit, matches: Callable[[Query, Unit], bool]) -> bool:
    if Lack.NEAR in kinds and all(matches(company.query, new) for company in unit.near):
        return True
    return Lack.UNEVEN in kinds and any(matches(evenly.query, new) for evenly in unit.evenly)
