"""The roll: how many units of which kind are where, as one array over the machines for each question asked.

Units that are alike (same space, labels and state) are one kind, whatever their number: most units are copies. A
question is answered once by looking at the kinds; afterwards every unit that comes or goes changes its kind's answers
in one place. So what a placement asks of a hundred thousand units costs what its own array costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum

import numpy as np
import numpy.typing as npt

from ropewalk.planning.demands import Company, Query, Unit

Counts = npt.NDArray[np.int64]

_ANSWERS = 512
"""Questions whose answers are kept up to date."""

Likeness = tuple[str, frozenset[tuple[str, str]], bool]
_NO_LABELS: Mapping[str, str] = {}


class Bond(Enum):
    """What the units that are there already want of others: it binds who comes later as well."""

    APART = "apart"
    NEAR = "near"
    LIKES = "likes"
    DISLIKES = "dislikes"


class _Kind:
    """Units that are alike."""

    __slots__ = ("answers", "bonds", "bonds_as_of", "labels", "leaving", "size", "space", "where")

    def __init__(self, unit: Unit) -> None:
        self.space = unit.space
        self.labels = unit.labels
        self.leaving = unit.leaving
        self.size = 0
        self.where: dict[int, int] = {}
        """Number by slot."""
        self.answers: dict[tuple[Query, ...], Counts] = {}
        """Those in which it is counted."""
        self.bonds: list[tuple[Bond, Company, Counts]] = []
        """Those of other units that concern it."""
        self.bonds_as_of = -1


class Roll:
    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._kinds: dict[Likeness, _Kind] = {}
        self._answers: dict[tuple[Query, ...], Counts] = {}
        self._spaces: dict[str, Mapping[str, str]] = {}
        self._bonds: dict[tuple[Bond, Company], Counts] = {}
        self._bonds_version = 0

    def grow(self, slots: int) -> None:
        """There are more machines now than before."""
        self._slots = slots
        self._forget_answers()
        for key, counts in self._bonds.items():
            self._bonds[key] = np.concatenate([counts, np.zeros(slots - len(counts), np.int64)])
        self._bonds_version += 1

    def set_space(self, name: str, labels: Mapping[str, str] | None) -> None:
        """Labels of a space have changed; None: it is gone."""
        if self._spaces.get(name) == labels:
            return
        if labels is None:
            del self._spaces[name]
        else:
            self._spaces[name] = labels
        self._forget_answers()
        self._bonds_version += 1

    def _forget_answers(self) -> None:
        self._answers.clear()
        for kind in self._kinds.values():
            kind.answers.clear()

    # --- units

    def count(self, unit: Unit, slot: int, by: int) -> None:
        """So many more (or fewer) such units are there."""
        likeness = _likeness(unit)
        kind = self._kinds.get(likeness)
        if kind is None:
            kind = self._kinds[likeness] = self._made(unit)
        kind.size += by
        there = kind.where.get(slot, 0) + by
        if there:
            kind.where[slot] = there
        else:
            del kind.where[slot]
        for counts in kind.answers.values():
            counts[slot] += by
        if not kind.size:
            del self._kinds[likeness]
        for bond, company in _bonds_of(unit):
            self._hold(bond, company, slot, by)

    def _made(self, unit: Unit) -> _Kind:
        kind = _Kind(unit)
        for queries, counts in self._answers.items():
            if self._matches_all(queries, kind):
                kind.answers[queries] = counts
        return kind

    def _hold(self, bond: Bond, company: Company, slot: int, by: int) -> None:
        key = (bond, company)
        counts = self._bonds.get(key)
        if counts is None:
            counts = self._bonds[key] = np.zeros(self._slots, np.int64)
            self._bonds_version += 1
        counts[slot] += by
        if by < 0 and not counts.any():
            del self._bonds[key]
            self._bonds_version += 1

    # --- questions

    def counts(self, *queries: Query) -> Counts:
        """How many units match all of these, by slot. Not to be changed."""
        found = self._answers.pop(queries, None)
        if found is None:
            found = self._counted(queries)
            if len(self._answers) >= _ANSWERS:
                oldest = next(iter(self._answers))
                del self._answers[oldest]
                for kind in self._kinds.values():
                    kind.answers.pop(oldest, None)
        self._answers[queries] = found
        return found

    def _counted(self, queries: tuple[Query, ...]) -> Counts:
        counts = np.zeros(self._slots, np.int64)
        for kind in self._kinds.values():
            if self._matches_all(queries, kind):
                kind.answers[queries] = counts
                for slot, number in kind.where.items():
                    counts[slot] += number
        return counts

    def matches(self, query: Query, unit: Unit) -> bool:
        return self._matches(query, unit.space, unit.labels, unit.leaving)

    def bonds(self, unit: Unit) -> Iterator[tuple[Bond, Company, Counts]]:
        """What units that are there want of such a unit, and how many of them where."""
        if not self._bonds:
            return iter(())
        kind = self._kinds.get(_likeness(unit)) or _Kind(unit)
        if kind.bonds_as_of != self._bonds_version:
            kind.bonds = [
                (bond, company, counts)
                for (bond, company), counts in self._bonds.items()
                if self._matches_all((company.query,), kind)
            ]
            kind.bonds_as_of = self._bonds_version
        return iter(kind.bonds)

    def _matches_all(self, queries: tuple[Query, ...], kind: _Kind) -> bool:
        return all(self._matches(query, kind.space, kind.labels, kind.leaving) for query in queries)

    def _matches(self, query: Query, space: str, labels: Mapping[str, str], leaving: bool) -> bool:
        if query.staying and leaving:
            return False
        if space not in query.spaces and not (
            query.space_selector is not None and query.space_selector.matches(self._spaces.get(space, _NO_LABELS))
        ):
            return False
        return query.selector.matches(labels)


def _likeness(unit: Unit) -> Likeness:
    return unit.space, frozenset(unit.labels.items()), unit.leaving


def _bonds_of(unit: Unit) -> Iterator[tuple[Bond, Company]]:
    for company in unit.apart:
        yield Bond.APART, company
    for company in unit.near:
        yield Bond.NEAR, company
    for company in unit.likes:
        yield Bond.LIKES, company
    for company in unit.dislikes:
        yield Bond.DISLIKES, company
