"""A rolling update's arithmetic: tables from Kubernetes' own tests, and rollouts at random that keep every bound."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.planning.rollout import Bounds, Group, bounds, grown, proportional, shrunk, total


@pytest.mark.parametrize(
    ("desired", "surge", "unavailable", "expected"),
    [
        (10, 3, 2, (13, 8)),
        (4, 1, 1, (5, 3)),
        (1, 0, 0, (1, 0)),
        (0, 0, 0, (0, 0)),
        (0, 1, 0, (1, 0)),
        (2, 0, 5, (2, 0)),
    ],
)
def test_bounds(desired: int, surge: int, unavailable: int, expected: tuple[int, int]) -> None:
    found = bounds(desired, surge, unavailable)
    assert (found.most, found.least) == expected


@pytest.mark.parametrize(
    ("desired", "surge", "old", "new", "expected"),
    [
        (1, 1, 0, 5, 5),  # can not scale up: surge is reached
        (6, 0, 0, 0, 6),
        (10, 0, 5, 0, 5),
        (10, 5, 10, 0, 5),
        (10, 5, 10, 5, 5),
        (10, 0, 0, 8, 10),
        (10, 3, 2, 8, 10),  # never more than desired
        (3, 5, 8, 7, 7),
    ],
)
def test_how_far_the_new_group_grows(desired: int, surge: int, old: int, new: int, expected: int) -> None:
    groups = [Group("old", old), Group("new", new)]
    assert grown(bounds(desired, surge, 1), groups, groups[1]) == expected


@pytest.mark.parametrize(
    ("desired", "unavailable", "olds", "new", "expected"),
    [
        (10, 0, [(10, 10)], (0, 0), {}),  # none may go
        (10, 2, [(10, 10)], (0, 0), {"0": 8}),
        (10, 0, [(8, 8)], (5, 2), {}),  # 13 - 10 - 3: nothing yet
        (10, 0, [(10, 10)], (3, 3), {"0": 7}),
        (10, 2, [(10, 8)], (0, 0), {"0": 8}),  # those that are not available
        (10, 2, [(10, 6)], (2, 2), {"0": 6}),
        (10, 1, [(4, 4), (6, 6)], (1, 1), {"0": 2}),  # the oldest first
        (10, 1, [(4, 4), (6, 3)], (1, 1), {"1": 4}),
        (10, 0, [(0, 0)], (10, 10), {}),
        (4, 1, [(2, 3)], (4, 2), {"0": 1}),  # one of the three is about to go
    ],
)
def test_how_far_old_groups_shrink(
    desired: int, unavailable: int, olds: list[tuple[int, int]], new: tuple[int, int], expected: dict[str, int]
) -> None:
    limits = Bounds(desired, 5, unavailable)
    groups = [Group(str(n), *figures, age=n) for n, figures in enumerate(olds)]
    assert shrunk(limits, groups, Group("new", *new, age=9)) == expected


@pytest.mark.parametrize(
    ("before", "desired", "surge", "sizes", "expected"),
    [  # https://github.com/kubernetes/kubernetes/blob/v1.35.4/pkg/controller/deployment/sync_test.go
        (10, 12, 0, [10], [12]),
        (10, 5, 0, [10], [5]),
        (10, 12, 0, [5, 5], [6, 6]),
        (10, 5, 0, [5, 5], [3, 2]),
        (10, 12, 0, [7, 3], [8, 4]),
        (10, 8, 0, [8, 2], [6, 2]),
        (10, 22, 0, [1, 8, 1], [2, 18, 2]),
        (10, 20, 0, [2, 5, 3], [4, 10, 6]),
        (10, 10, 0, [5, 3, 2], [5, 3, 2]),
        (10, 0, 0, [3, 7], [0, 0]),
        (10, 0, 5, [3, 7], [0, 0]),
        (5, 10, 2, [3, 2, 2], [6, 3, 3]),
    ],
)
def test_shares_of_a_deployment_that_is_scaled(
    before: int, desired: int, surge: int, sizes: list[int], expected: list[int]
) -> None:
    """The first group is the newest."""
    groups = [Group(str(n), size, age=-n, most_before=before + surge) for n, size in enumerate(sizes)]
    found = proportional(Bounds(desired, surge, 0), groups, present=sum(sizes))
    assert [found[str(n)] for n in range(len(sizes))] == expected


def test_a_group_that_is_not_counted_yet_is_left_alone_and_relied_on_for_nothing() -> None:
    limits, new = Bounds(4, 2, 2), Group("new", 2, 2, age=9)
    assert shrunk(limits, [Group("0", 4, 1)], new) == {"0": 0}
    assert shrunk(limits, [Group("0", 4, 1, is_known=False)], new) == {}
    assert shrunk(limits, [Group("0", 4, 4)], Group("new", 2, 2, is_known=False)) == {"0": 2}


few = st.integers(0, 12)


@given(few, few, few, st.lists(few, min_size=1, max_size=4), few)
def test_shares_add_up_and_none_is_negative(before: int, desired: int, surge: int, sizes: list[int], told: int) -> None:
    groups = [Group(str(n), size, age=n, most_before=told) for n, size in enumerate(sizes)]
    limits = Bounds(desired, surge, 0)
    found = proportional(limits, groups, present=before)
    assert set(found) == {group.name for group in groups}
    assert all(size >= 0 for size in found.values())
    allowed = limits.most if desired else 0
    if allowed >= total(groups):
        assert sum(found.values()) == allowed
    else:  # where nobody knows what the most was before, less is taken away
        assert allowed <= sum(found.values()) <= total(groups)


@given(
    st.builds(bounds, few, few, few),
    st.lists(st.tuples(few, st.booleans()), min_size=1, max_size=4),
    st.lists(st.integers(0, 10**6), max_size=200),
)
def test_a_rollout_keeps_its_bounds_and_ends(limits: Bounds, olds: list[tuple[int, bool]], luck: list[int]) -> None:
    """Replicas become available in any order, and are lost; at last all that are wanted are available."""
    groups = [Group(str(n), size, size if healthy else 0, age=n) for n, (size, healthy) in enumerate(olds)]
    groups.append(Group("new", 0, 0, age=9))
    rolls = iter(luck)
    for _ in range(500):
        roll = next(rolls, None)
        if roll is None:  # the faults have ceased
            groups = [dataclasses.replace(group, available=group.wanted) for group in groups]
        else:
            one = groups[roll % len(groups)]
            groups[roll % len(groups)] = dataclasses.replace(one, available=roll // 7 % (one.wanted + 1))
        after = step(limits, groups)
        if total(after) > total(groups):
            assert total(after) <= limits.most
        spent = sum(min(group.available, size.wanted) for group, size in zip(groups, after, strict=True))
        lost = sum(group.available for group in groups) - spent
        if lost:
            assert spent >= min(limits.least, sum(group.available for group in groups))
        groups = [dataclasses.replace(group, available=min(group.available, group.wanted)) for group in after]
        if roll is None and after == groups and groups[-1].wanted == total(groups) == limits.desired:
            return
    raise AssertionError(f"it never ended: {groups}")


def step(limits: Bounds, groups: list[Group]) -> list[Group]:
    """What the controller does: up where there is room, else down where there is availability to spare."""
    new = groups[-1]
    size = limits.desired if new.wanted > limits.desired else grown(limits, groups, new)
    sizes = {"new": size} if size != new.wanted else shrunk(limits, groups[:-1], new)
    return [dataclasses.replace(group, wanted=sizes.get(group.name, group.wanted)) for group in groups]
