"""The planner agrees with its rules read one machine at a time, never overcommits, and is a function of its seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.planning.choosing import Planner
from ropewalk.planning.comparing import compare
from ropewalk.planning.demands import CPU, MEMORY, Company, Constraint, Evenly, Machine, Query, Unit, clash
from ropewalk.planning.fleet import Fleet
from ropewalk.planning.sieve import Lack
from ropewalk.planning.standing import Standings
from support.planning import GIB, SPACES, Chance, Has, Placed, Rules, With

seeds = st.integers(0, 1 << 40)
Situation = tuple[list[Machine], Placed]


def fleet_of(situation: Situation) -> Fleet:
    found, there = situation
    fleet = Fleet(found)
    for name, labels in SPACES.items():
        fleet.roll.set_space(name, labels)
    for unit, machine in there:
        fleet.add(unit, machine)
    return fleet


@settings(max_examples=300)
@given(seeds)
def test_machines_are_refused_for_the_first_rule_they_break(seed: int) -> None:
    chance = Chance(seed)
    situation, unit = chance.situation(), chance.unit("new")
    rules = Rules(*situation, unit)
    choice = Planner(fleet_of(situation)).choose(unit)
    expected = {machine.id: rules.lack(machine) for machine in situation[0]}
    assert {refusal.machine: refusal.lack for refusal in choice.sieve.refusals()} == {
        name: lack for name, lack in expected.items() if lack is not None
    }
    assert (choice.machine is None) == all(expected.values())


@settings(max_examples=300)
@given(seeds)
def test_the_best_is_chosen(seed: int) -> None:
    chance = Chance(seed)
    situation, unit = chance.situation(), chance.unit("new")
    choice = Planner(fleet_of(situation)).choose(unit)
    scores = Rules(*situation, unit).scores()
    if choice.machine is None:
        assert scores == {}
    else:
        assert scores[choice.machine] == max(scores.values()), scores


@settings(max_examples=200)
@given(seeds)
def test_every_score_is_as_the_rules_say_but_for_a_constant(seed: int) -> None:
    """What is the same everywhere is left out."""
    chance = Chance(seed)
    situation, unit = chance.situation(), chance.unit("new")
    fleet = fleet_of(situation)
    places = np.flatnonzero(Planner(fleet).choose(unit).sieve.able)
    if not places.size:
        return
    scores = Standings(fleet).of(unit).score[places]
    further = compare(fleet, unit, places)
    ours = scores if further is None else scores + further
    theirs = Rules(*situation, unit).scores()
    apart = {int(score) - theirs[fleet.name(slot)] for slot, score in zip(places.tolist(), ours, strict=True)}
    assert len(apart) == 1, apart


@settings(max_examples=200)
@given(seeds)
def test_a_plan_never_overcommits_nor_breaks_anti_affinity(seed: int) -> None:
    chance = Chance(seed)
    situation = chance.situation(others=0)
    wanted = [chance.unit(f"n{number}") for number in range(12)]
    planner = Planner(fleet_of(situation))
    placed = [(choice.unit, choice.machine) for choice in planner.plan(wanted) if choice.machine is not None]
    by_name = {machine.id: machine for machine in situation[0]}
    for machine in situation[0]:
        here = [unit for unit, name in placed if name == machine.id]
        for resource in {name for unit in here for name in unit.room}:
            assert sum(unit.room.get(resource, 0) for unit in here) <= machine.room(resource)
        for number, unit in enumerate(here):
            assert not clash(unit.ports, machine.ports)
            assert not any(clash(unit.ports, other.ports) for other in here[:number])
    for unit, name in placed:
        others = [(other, where) for other, where in placed if other is not unit]
        lack = Rules(by_name.values(), others, replace(unit, evenly=(), near=())).lack(by_name[name])
        assert lack is None, (unit.id, lack)


@settings(max_examples=100)
@given(seeds)
def test_a_plan_follows_from_fleet_units_and_seed_alone(seed: int) -> None:
    """Not from the order in which machines and units came to be known."""
    chance = Chance(seed)
    situation = chance.situation()
    wanted = [chance.unit(f"n{number}") for number in range(4)]
    once = [choice.machine for choice in Planner(fleet_of(situation), seed).plan(wanted)]
    found, there = list(situation[0]), list(situation[1])
    chance.random.shuffle(found)
    chance.random.shuffle(there)
    assert [choice.machine for choice in Planner(fleet_of((found, there)), seed).plan(wanted)] == once


def test_ties_go_to_all_machines_in_time() -> None:
    fleet = Fleet(Machine(f"m{number}", 1000, GIB) for number in range(5))
    chosen = Counter(Planner(fleet, seed).choose(Unit("u")).machine for seed in range(400))
    assert set(chosen) == {f"m{number}" for number in range(5)} and min(chosen.values()) > 40


@settings(max_examples=200)
@given(seeds)
def test_a_fleet_kept_up_to_date_is_one_made_anew(seed: int) -> None:
    chance = Chance(seed)
    situation = chance.situation()
    fleet = fleet_of(situation)
    planner = Planner(fleet)
    found, there = {machine.id: machine for machine in situation[0]}, dict(situation[1])
    new = chance.unit("new")
    planner.choose(new)  # so that there is something kept
    for number in range(chance.random.randint(1, 8)):
        what = chance.some("put", "put", "remove", "add", "add", "drop", "many")
        if what == "put":
            machine = chance.machine(f"m{chance.random.randint(0, 6)}")
            found[machine.id] = machine
            fleet.put(machine)
        elif what == "many":  # more than there are slots
            for extra in range(70):
                machine = Machine(f"x{extra}", 0, 0)
                found[machine.id] = machine
                fleet.put(machine)
        elif what == "remove" and found:
            name = chance.some(*found)
            del found[name]
            fleet.remove(name)
        elif what == "add" and found:
            unit = chance.unit(f"a{number}")
            there[unit] = chance.some(*found)
            fleet.add(unit, there[unit])
        elif what == "drop" and there:
            unit = chance.some(*there)
            del there[unit]
            fleet.drop(unit.id)
        if chance.some(True, False):
            planner.choose(new)
    anew = Planner(fleet_of((list(found.values()), list(there.items()))))
    assert planner.choose(new).sieve.refusals() == anew.choose(new).sieve.refusals()
    assert planner.choose(new).machine == anew.choose(new).machine


# --- nominees and checks


def test_room_that_is_made_for_one_is_not_taken_by_the_less_important() -> None:
    planner = Planner(Fleet([Machine("m", 1000, GIB)]))
    nominee = Unit("nominee", room={CPU: 800}, priority=5)
    planner.nominate(nominee, "m")
    refused = planner.choose(Unit("less", room={CPU: 800}, priority=4))
    assert refused.machine is None and refused.sieve.tally() == {(Lack.CPU, ""): 1}
    assert planner.choose(Unit("small", room={CPU: 200}, priority=4)).machine == "m"
    assert planner.choose(Unit("more", room={CPU: 800}, priority=6)).machine == "m"
    assert planner.choose(nominee).machine == "m"
    planner.withdraw("nominee")
    assert planner.choose(Unit("less", room={CPU: 800}, priority=4)).machine == "m"


def test_nobody_counts_on_the_company_of_a_nominee() -> None:
    """It may never come."""
    planner = Planner(Fleet([Machine("m", 1000, GIB, attributes={"host": "m"})]))
    planner.nominate(Unit("nominee", "a", {"app": "x"}, priority=5), "m")
    near = (Company(Query(With((("app", "x"),)), frozenset("a")), "host"),)
    assert planner.choose(Unit("u", "a", near=near)).machine is None


def test_a_nominated_machine_is_taken_even_where_another_is_better() -> None:
    planner = Planner(Fleet([Machine("full", 1000, GIB), Machine("free", 64000, 64 * GIB)]))
    unit = Unit("u", room={CPU: 500}, weight={CPU: 500})
    assert planner.choose(unit).machine == "free"
    planner.nominate(unit, "full")
    assert planner.choose(unit).machine == "full"


def test_a_plan_is_held_against_what_has_become_of_the_fleet() -> None:
    fleet = Fleet([Machine("m", 1000, GIB, attributes={"rack": "x"})])
    planner = Planner(fleet)
    unit = Unit("u", room={CPU: 600}, constraints=(Constraint("rack x", Has("rack", "x")),))
    fleet.add(unit, "m")
    assert planner.objections(unit, "m") == [] and fleet.machine_of("u") == "m"
    fleet.add(Unit("other", room={CPU: 600}), "m")
    assert planner.objections(unit, "m") == [(Lack.CPU, "")]
    fleet.put(Machine("m", 1000, GIB))
    assert planner.objections(unit, "m") == [(Lack.CONSTRAINT, "rack x")]
    fleet.remove("m")
    assert planner.objections(unit, "m") == [(Lack.NOT_READY, "")]


def test_everything_that_is_short_is_told_at_once() -> None:
    fleet = Fleet([Machine("m", 100, 0, further={"pods": 0}), Machine("n", 100, GIB, further={"pods": 1})])
    unit = Unit("u", room={"pods": 1, CPU: 200, MEMORY: 1, "gpu": 1})
    tally = Planner(fleet).choose(unit).sieve.tally()
    assert tally == {
        (Lack.FURTHER, "pods"): 1,
        (Lack.CPU, ""): 2,
        (Lack.MEMORY, ""): 1,
        (Lack.FURTHER, "gpu"): 2,
    }


@pytest.mark.parametrize(("places", "machine"), [(1, "b"), (2, "b"), (3, None)])
def test_with_fewer_places_than_wanted_the_emptiest_counts_as_none(places: int, machine: str | None) -> None:
    fleet = Fleet(Machine(name, 1000, GIB, attributes={"zone": name}) for name in "ab")
    query = Query(With((("app", "x"),)), frozenset("s"))
    for number, where in enumerate("aab"):
        fleet.add(Unit(f"u{number}", "s", {"app": "x"}), where)
    unit = Unit("new", "s", {"app": "x"}, evenly=(Evenly(query, "zone", 1, places=places),))
    assert Planner(fleet).choose(unit).machine == machine
