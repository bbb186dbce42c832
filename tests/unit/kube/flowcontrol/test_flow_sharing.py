"""Seats divided among levels: bounds always hold, and what is lent is what is not needed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.flowcontrol.configuration import read
from ropewalk.kube.flowcontrol.levels import Demand
from ropewalk.kube.flowcontrol.retrying import LONGEST, Refusals
from ropewalk.kube.flowcontrol.sharing import Bounds, Need, Shares, bounds, divide
from ropewalk.kube.kinds.flowcontrol.bootstrap import SUGGESTED_LEVELS

shares = st.builds(Shares, st.integers(0, 300), st.integers(0, 100), st.none() | st.integers(0, 400), st.just(False))
needs = st.builds(Need, st.integers(0, 900), st.floats(0, 900))


def test_the_suggested_levels_have_kubernetes_own_figures() -> None:
    settings = read(SUGGESTED_LEVELS, ()).levels
    found = bounds({name: setting.shares for name, setting in settings.items()}, 600)
    assert {name: (level.nominal, level.least) for name, level in found.items()} == {
        "catch-all": (13, 13),
        "exempt": (0, 0),
        "system": (74, 50),
        "node-high": (98, 73),
        "leader-election": (25, 25),
        "workload-high": (98, 49),
        "workload-low": (245, 24),
        "global-default": (49, 24),
    }
    assert found["system"].most == 74 + 600


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.tuples(shares, needs), min_size=1, max_size=8))
def test_every_level_keeps_its_bounds(levels: dict[str, tuple[Shares, Need]]) -> None:
    limits = bounds({name: level for name, (level, _) in levels.items()}, 600)
    found = divide(limits, {name: need for name, (_, need) in levels.items()})
    assert found.keys() == levels.keys()
    for name, seats in found.items():
        assert limits[name].least <= seats <= limits[name].most
    total, nominal = sum(found.values()), sum(level.nominal for level in limits.values())
    assert total <= nominal + len(levels)  # each rounds for itself
    if all(level.most >= 600 for level in limits.values()):
        assert total >= nominal - len(levels)


def test_a_busy_level_borrows_what_an_idle_one_lends() -> None:
    levels = {"busy": Bounds(100, 100, 700), "idle": Bounds(100, 10, 700), "proud": Bounds(100, 100, 700)}
    found = divide(levels, {"busy": Need(300, 300.0)})
    assert found["busy"] > 150
    assert found["idle"] < 50
    assert found["proud"] == 100


def test_a_lender_has_its_own_back_when_it_needs_it() -> None:
    levels = {"greedy": Bounds(100, 50, 700), "back": Bounds(100, 10, 700)}
    found = divide(levels, {"greedy": Need(900, 900.0), "back": Need(100, 100.0)})
    assert found["back"] == 100


def test_borrowing_has_its_limit() -> None:
    found = divide({"busy": Bounds(100, 100, 120), "idle": Bounds(100, 0, 700)}, {"busy": Need(900, 900.0)})
    assert found["busy"] == 120


def test_exempt_requests_take_seats_from_the_others() -> None:
    levels = {"exempt": Bounds(0, 0, 600, exempt=True), "one": Bounds(100, 20, 700), "two": Bounds(100, 20, 700)}
    wanting = {"one": Need(100, 100.0), "two": Need(100, 100.0)}
    assert divide(levels, wanting) == {"exempt": 0, "one": 100, "two": 100}
    assert divide(levels, {**wanting, "exempt": Need(80)}) == {"exempt": 80, "one": 60, "two": 60}
    assert divide(levels, {**wanting, "exempt": Need(500)}) == {"exempt": 500, "one": 20, "two": 20}


def test_need_rises_at_once_and_falls_slowly() -> None:
    need = Need().after(Demand(9, 8.0, 1.0))
    assert need == Need(9, 9.0)
    for _ in range(30):
        need = need.after(Demand(0, 0.0, 0.0))
    assert need.smoothed == pytest.approx(4.5, rel=0.02)


def test_who_is_turned_away_comes_back_later_the_more_there_are() -> None:
    refusals = Refusals()
    assert [refusals.note(100.0 + second) for second in range(5)] == [1] * 5
    after = [refusals.note(110.0 + number / 100) for number in range(5000)]
    assert after == sorted(after)
    assert after[-1] == LONGEST
    calm = [refusals.note(300.0 + 40 * number) for number in range(40)]
    assert calm[-1] == 1
