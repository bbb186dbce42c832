"""Preemption: as few and as unimportant victims as kube-scheduler would choose, and always enough of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.planning.choosing import Planner
from ropewalk.planning.demands import CPU, Company, Machine, Query, Unit
from ropewalk.planning.fleet import Fleet
from ropewalk.planning.preempting import Budget, Outcome, preempt
from ropewalk.planning.sieve import Lack
from support.planning import GIB, SPACES, Chance, Rules, With

seeds = st.integers(0, 1 << 40)
WEB = With((("app", "web"),))


def unit(name: str, cpu: int, priority: int, since: float = 0.0, **more: object) -> Unit:
    return Unit(name, "s", {"app": "web"}, {CPU: cpu}, priority=priority, since=since, **more)  # type: ignore[arg-type]


def tried(there: dict[str, list[Unit]], wanted: Unit, *budgets: Budget, seed: int = 0) -> Outcome:
    fleet = Fleet(Machine(name, 1000, GIB, attributes={"host": name}) for name in there)
    for machine, units in there.items():
        for each in units:
            fleet.add(each, machine)
    planner = Planner(fleet, seed)
    choice = planner.choose(wanted)
    assert choice.machine is None
    return preempt(planner, wanted, choice.sieve, budgets, seed)


def victims(outcome: Outcome) -> tuple[str, list[str]]:
    assert outcome.victims is not None
    return outcome.victims.machine, [victim.id for victim in outcome.victims.units]


@settings(max_examples=300)
@given(seeds)
def test_without_the_victims_there_is_a_place(seed: int) -> None:
    chance = Chance(seed)
    machines, there = chance.situation(others=10)
    wanted = chance.unit("new")
    fleet = Fleet(machines)
    for name, labels in SPACES.items():
        fleet.roll.set_space(name, labels)
    for each, machine in there:
        fleet.add(each, machine)
    planner = Planner(fleet)
    choice = planner.choose(wanted)
    before = choice.sieve.refusals()
    if choice.machine is not None:
        return
    outcome = preempt(planner, wanted, choice.sieve, (), seed)
    assert planner.choose(wanted).sieve.refusals() == before, "the fleet is as it was"
    found = outcome.victims
    rules = Rules(machines, there, wanted)
    if found is None:
        for machine in machines:
            lower = {each.id for each in rules.on(machine) if each.priority < wanted.priority}
            left = [(each, name) for each, name in there if each.id not in lower]
            assert not lower or Rules(machines, left, wanted).lack(machine) is not None
        return
    gone = {victim.id for victim in found.units}
    assert gone and all(victim.priority < wanted.priority for victim in found.units)
    left = [(each, name) for each, name in there if each.id not in gone]
    machine = next(each for each in machines if each.id == found.machine)
    assert gone <= {each.id for each in rules.on(machine)}
    assert Rules(machines, left, wanted).lack(machine) is None


def test_the_more_important_stay_if_they_can() -> None:
    there = {"m": [unit("low", 400, 1), unit("middle", 300, 2), unit("high", 300, 3)]}
    assert victims(tried(there, unit("new", 400, 9))) == ("m", ["low"])
    assert victims(tried(there, unit("new", 500, 9))) == ("m", ["middle", "low"])


def test_of_equals_the_older_stays() -> None:
    there = {"m": [unit("old", 500, 1, since=1), unit("young", 500, 1, since=2)]}
    assert victims(tried(there, unit("new", 500, 9))) == ("m", ["young"])


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ([unit("a", 1000, 1)], [unit("b", 1000, 2)]),  # whose most important victim is less important
        ([unit("a", 500, 3), unit("b", 500, 1)], [unit("c", 500, 3), unit("d", 500, 2)]),  # and all together
        ([unit("a", 1000, 3)], [unit("c", 500, 3), unit("d", 500, -5)]),  # and fewer, however little they are
        ([unit("a", 1000, 1, since=9)], [unit("b", 1000, 1, since=3)]),  # and younger
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_which_machine(better: list[Unit], worse: list[Unit], seed: int) -> None:
    assert victims(tried({"x": worse, "y": better}, unit("new", 1000, 9), seed=seed))[0] == "y"
    assert victims(tried({"x": better, "y": worse}, unit("new", 1000, 9), seed=seed))[0] == "x"


def test_budgets_are_kept_where_that_is_possible_and_broken_where_not() -> None:
    there = {"a": [unit("p", 1000, 1)], "b": [unit("q", 1000, 5)]}
    guarded = Budget("s", WEB, 0)
    none = Budget("other", WEB, 0)
    assert victims(tried(there, unit("new", 1000, 9), none))[0] == "a"
    outcome = tried(there, unit("new", 1000, 9), guarded)
    assert victims(outcome)[0] == "a" and outcome.victims is not None and outcome.victims.breaches == 1
    assert victims(tried(there, unit("new", 1000, 9), Budget("s", WEB, 0, frozenset("p"))))[0] == "a"
    charged = tried(there, unit("new", 1000, 9), Budget("s", WEB, 0, frozenset("q")))
    assert victims(charged) == ("b", ["q"]), "it was counted already"


def test_who_is_protected_is_put_back_first() -> None:
    other = Unit("other", "s", {"app": "db"}, {CPU: 500}, priority=5)
    there = {"m": [unit("guarded", 500, 1), other]}
    assert victims(tried(there, unit("new", 500, 9))) == ("m", ["guarded"])
    assert victims(tried(there, unit("new", 500, 9), Budget("s", WEB, 0))) == ("m", ["other"])


def test_who_keeps_others_away_may_be_a_victim() -> None:
    apart = (Company(Query(WEB, frozenset("s")), "host"),)
    there = {"m": [unit("alone", 100, 1, apart=apart), unit("beside", 100, 1)]}
    assert victims(tried(there, unit("new", 100, 9))) == ("m", ["alone"])


def test_ports_are_freed() -> None:
    ports = frozenset([("TCP", 80)])
    there = {"m": [unit("server", 100, 1, ports=ports), unit("beside", 100, 0)]}
    assert victims(tried(there, unit("new", 100, 9, ports=ports))) == ("m", ["server"])


def test_why_it_would_not_help() -> None:
    there = {"few": [unit("a", 500, 9), unit("b", 500, 1)], "none": [unit("c", 500, 9)]}
    outcome = tried(there, unit("new", 900, 5))
    assert outcome.victims is None
    assert (outcome.no_victims, outcome.hopeless, outcome.still) == (1, 0, {(Lack.CPU, ""): 1})


def test_a_machine_too_small_is_hopeless() -> None:
    outcome = tried({"m": [unit("a", 500, 1)]}, unit("new", 1001, 9))
    assert (outcome.victims, outcome.no_victims, outcome.hopeless) == (None, 0, 1)


def test_room_that_is_made_for_another_is_not_counted_on() -> None:
    fleet = Fleet([Machine("m", 1000, GIB)])
    fleet.add(unit("low", 400, 1), "m")
    planner = Planner(fleet)
    planner.nominate(unit("nominee", 600, 9), "m")
    wanted = unit("new", 600, 5)
    choice = planner.choose(wanted)
    outcome = preempt(planner, wanted, choice.sieve, (), 0)
    assert outcome.victims is None and outcome.still == {(Lack.CPU, ""): 1}
