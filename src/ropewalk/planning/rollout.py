"""The arithmetic of a rolling update: how far each group of replicas may grow or shrink in the next step. Pure.

A group is so many replicas of one version. There may be at most `Bounds.most` replicas in all, and there should be at
least `Bounds.least` available ones: whatever is counted here is what groups were told to be, so that a step taken twice
goes no further than once.
https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one rollout."""

    desired: int
    surge: int
    unavailable: int

    @property
    def most(self) -> int:
        return self.desired + self.surge

    @property
    def least(self) -> int:
        return self.desired - self.unavailable


@dataclass(frozen=True, slots=True)
class Group:
    """One version's replicas."""

    name: str
    wanted: int
    """So many it was told to be."""
    available: int = 0
    age: int = 0
    """Place among the groups by age, 0 the oldest."""
    most_before: int = 0
    """`Bounds.most` when it was last told, 0 where unknown."""

    is_known: bool = True
    """What is available was counted since it was told to be `wanted`."""

    @property
    def stays(self) -> int:
        """Replicas that are available and will be: of a group that was told to shrink, and may have, nobody knows."""
        return min(self.available, self.wanted) if self.is_known else 0

    @property
    def unhealthy(self) -> int:
        """Replicas that are known not to be available."""
        return self.wanted - self.stays if self.is_known else 0


def bounds(desired: int, surge: int, unavailable: int) -> Bounds:
    """Both 0 (percentages of few are, rounded) would never get anywhere: then one may be unavailable."""
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Bounds(desired, surge, min(unavailable, desired))


def total(groups: Iterable[Group]) -> int:
    return sum(group.wanted for group in groups)


def grown(limits: Bounds, groups: Iterable[Group], new: Group) -> int:
    """What the new group may be, `groups` being all, it included. Never less than it is."""
    room = limits.most - total(groups)
    return new.wanted if room <= 0 else new.wanted + max(0, min(room, limits.desired - new.wanted))


def shrunk(limits: Bounds, olds: Sequence[Group], new: Group) -> dict[str, int]:
    """Old groups that become smaller, with their new sizes. Unavailable replicas go first, oldest group first, since
    they are missed by nobody; then as many available ones as can be spared.
    """
    budget = total(olds) + new.stays - limits.least
    if total(olds) == 0 or budget <= 0:
        return {}
    sizes = {group.name: group.wanted for group in olds}
    ordered = sorted(olds, key=lambda group: group.age)
    for group in ordered:
        unhealthy = min(budget, group.unhealthy)
        if unhealthy > 0:
            sizes[group.name] -= unhealthy
            budget -= unhealthy
    spare = sum(group.stays for group in olds) + new.stays - limits.least
    for group in ordered:
        if spare <= 0:
            break
        less = min(sizes[group.name], spare)
        sizes[group.name] -= less
        spare -= less
    return {group.name: sizes[group.name] for group in olds if sizes[group.name] != group.wanted}


def proportional(limits: Bounds, groups: Sequence[Group], present: int) -> dict[str, int]:
    """New sizes of all groups when the number desired changes in the middle of a rollout: each grows or shrinks by its
    share, so that the rollout gets neither ahead nor behind. `present`: replicas there are, where a group does not know
    what the most was before.
    """
    allowed = limits.most if limits.desired > 0 else 0
    change = allowed - total(groups)
    if change == 0 or not groups:
        return {group.name: group.wanted for group in groups}
    ordered = sorted(groups, key=lambda group: (-group.wanted, -group.age if change > 0 else group.age))
    sizes: dict[str, int] = {}
    left = change
    for group in ordered:
        share = _share(limits, group, present)
        share = max(0, min(share, left)) if change > 0 else min(0, max(share, left))
        share = 0 if group.wanted == 0 else share
        sizes[group.name] = group.wanted + share
        left -= share
    largest = ordered[0].name
    sizes[largest] = max(0, sizes[largest] + left)
    return sizes


def _share(limits: Bounds, group: Group, present: int) -> int:
    """By how much it would change if sizes could be broken."""
    if limits.desired == 0:
        return -group.wanted
    before = group.most_before or present
    if before == 0:
        return 0
    return _rounded(group.wanted * limits.most / before) - group.wanted


def _rounded(value: float) -> int:
    """Halves away from nought."""
    return int(value + 0.5) if value >= 0 else int(value - 0.5)
