"""Where a unit of some shape has room, and how it would leave each machine: kept, and renewed where something changed.

Most units ask for the same amounts as thousands of others. For such a shape the room and the two scores of resources
are worked out once for all machines, and then only for those whose use has changed since: one for each unit that was
placed. The scores are kube-scheduler's NodeResourcesFit (LeastAllocated) and NodeResourcesBalancedAllocation, over CPU
and memory: https://kubernetes.io/docs/reference/scheduling/config/#scheduling-plugins
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ropewalk.planning.demands import CPU, MEMORY, Unit
from ropewalk.planning.fleet import Fleet, Mask
from ropewalk.planning.roll import Counts

BEST = 100
"""Scores are from 0 to this."""
_SHAPES = 256

Shape = tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]


class Standing:
    __slots__ = ("_asked", "_room", "_size", "_version", "_weight", "fits", "score")

    def __init__(self, unit: Unit) -> None:
        self._room = dict(unit.room)
        self._asked = _pair(unit.room)
        self._weight = _pair(unit.weight)
        self._version = -1
        self._size = -1
        self.fits: Mask = np.zeros(0, np.bool_)
        self.score: Counts = np.zeros(0, np.int64)

    def renew(self, fleet: Fleet) -> None:
        if self._size != fleet.size or self._version < fleet.changes_began:
            every = np.arange(fleet.size)
            self.fits, self.score = self._fits(fleet, every), self._score(fleet, every)
        elif self._version < fleet.version:
            slots = np.array(fleet.changes[self._version - fleet.changes_began :], np.int64)
            self.fits[slots] = self._fits(fleet, slots)
            self.score[slots] = self._score(fleet, slots)
        self._version, self._size = fleet.version, fleet.size

    def _fits(self, fleet: Fleet, slots: Counts) -> Mask:
        fits = np.ones(len(slots), np.bool_)
        for resource, amount in self._room.items():
            if amount > 0:
                fits &= amount <= fleet.room(resource)[slots] - fleet.used(resource)[slots]
        return fits

    def _score(self, fleet: Fleet, slots: Counts) -> Counts:
        room = fleet.pair_room[:, slots]
        has, room = room > 0, np.maximum(room, 1)
        score = self._least(fleet, slots, has, room)
        if self._asked.any():
            score += self._balanced(fleet, slots, has, room)
        return score

    def _least(self, fleet: Fleet, slots: Counts, has: Mask, room: Counts) -> Counts:
        """The share that would stay free, CPU and memory alike."""
        left = np.maximum(room - fleet.pair_weight[:, slots] - self._weight, 0)
        shares = left * BEST // room
        least: Counts = (shares * has).sum(axis=0) // np.maximum(has.sum(axis=0), 1)
        return least

    def _balanced(self, fleet: Fleet, slots: Counts, has: Mask, room: Counts) -> Counts:
        """How near each other the used shares of CPU and memory would be."""
        shares = np.minimum((fleet.pair_used[:, slots] + self._asked) / room, 1.0)
        apart = np.abs((shares[0] - shares[1]) / 2) * (has[0] & has[1])
        balanced: Counts = ((1 - apart) * BEST).astype(np.int64)
        return balanced


def _pair(amounts: Mapping[str, int]) -> Counts:
    return np.array([[amounts.get(CPU, 0)], [amounts.get(MEMORY, 0)]], np.int64)


class Standings:
    """One a shape, as long as there are not too many."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._kept: dict[Shape, Standing] = {}

    def of(self, unit: Unit) -> Standing:
        shape = (tuple(unit.room.items()), tuple(unit.weight.items()))
        found = self._kept.get(shape)
        if found is None:
            found = Standing(unit)
            if len(self._kept) >= _SHAPES:
                del self._kept[next(iter(self._kept))]
            self._kept[shape] = found
        found.renew(self._fleet)
        return found
