"""How the server's seats are divided among priority levels, and divided anew as levels lend and borrow. Pure.

https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#seats-borrowing
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ropewalk.kube.flowcontrol.levels import Demand

SMOOTHING = 0.977
"""How much of the last figure stays in the next: half of it is gone after five minutes."""
LEAST_TARGET = 0.001


@dataclass(frozen=True, slots=True)
class Shares:
    """What a level's configuration says of its seats."""

    shares: int
    lendable_percent: int = 0
    borrowing_percent: int | None = None
    """None: as much as there is."""
    exempt: bool = False


@dataclass(frozen=True, slots=True)
class Bounds:
    nominal: int
    least: int
    most: int
    exempt: bool = False

    @property
    def initial(self) -> int:
        return self.nominal - (self.nominal - self.least) // 2


@dataclass(frozen=True, slots=True)
class Need:
    """What a level has wanted of late."""

    peak: int = 0
    smoothed: float = 0.0

    def after(self, demand: Demand) -> Need:
        """It rises at once and falls slowly."""
        envelope = demand.average + demand.deviation
        return Need(demand.peak, max(envelope, SMOOTHING * self.smoothed + (1 - SMOOTHING) * envelope))


def bounds(levels: Mapping[str, Shares], total: int) -> dict[str, Bounds]:
    whole = max(sum(level.shares for level in levels.values()), 1)
    found = {}
    for name, level in levels.items():
        nominal = math.ceil(total * level.shares / whole)
        lendable = _rounded(nominal * level.lendable_percent / 100)
        percent = level.borrowing_percent
        borrowed = total if percent is None else _rounded(nominal * percent / 100)
        found[name] = Bounds(nominal, nominal - lendable, nominal + borrowed, level.exempt)
    return found


def divide(levels: Mapping[str, Bounds], needs: Mapping[str, Need]) -> dict[str, int]:
    """Seats of each level for the time to come. Exempt levels take what they need first; of the rest, every level has
    its least, then what it needed up to its nominal share, then the same proportion of its target, up to its most.
    """
    nominal = sum(level.nominal for level in levels.values())
    found: dict[str, int] = {}
    floors: dict[str, int] = {}
    for name, level in levels.items():
        need = needs.get(name, Need())
        if level.exempt:
            found[name] = max(level.least, need.peak)
        else:
            floors[name] = max(level.least, min(level.nominal, need.peak))
    remaining = nominal - sum(found.values())
    least = sum(levels[name].least for name in floors)
    wanted = sum(floors.values())
    if remaining <= least:
        return found | {name: levels[name].least for name in floors}
    if remaining <= wanted:
        part = (remaining - least) / (wanted - least)
        return found | {
            name: levels[name].least + _rounded((floor - levels[name].least) * part) for name, floor in floors.items()
        }
    items = {
        name: (max(floor, needs.get(name, Need()).smoothed, LEAST_TARGET), floor, levels[name].most)
        for name, floor in floors.items()
    }
    proportion = _proportion(list(items.values()), remaining)
    return found | {name: _rounded(_held(item, proportion)) for name, item in items.items()}


def _rounded(figure: float) -> int:
    """Halves go up."""
    return int(figure + 0.5)


def _held(item: tuple[float, int, int], proportion: float) -> float:
    target, floor, most = item
    return max(floor, min(most, proportion * target))


def _proportion(items: list[tuple[float, int, int]], total: int) -> float:
    """The one at which all hold `total` together; the sum only grows with it, so halving finds it."""
    low, high = 0.0, max((most / target for target, _, most in items), default=0.0)
    for _ in range(100):
        middle = (low + high) / 2
        if sum(_held(item, middle) for item in items) < total:
            low = middle
        else:
            high = middle
    return high
