"""A hint may be wrong only by saying yes: whatever made a unit placeable must have been told to help it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.planning.choosing import Planner
from ropewalk.planning.demands import CPU, MEMORY, Machine, Unit
from ropewalk.planning.fleet import Fleet
from ropewalk.planning.hints import Change, MachineChanged, SpaceChanged, UnitMoved, helps, may_concern
from ropewalk.planning.sieve import Lack
from support.planning import GIB, SPACES, Chance


@settings(max_examples=600)
@given(st.integers(0, 1 << 40))
def test_who_can_be_placed_now_was_woken(seed: int) -> None:
    chance = Chance(seed)
    machines, there = chance.situation()
    fleet = Fleet(machines)
    for name, labels in SPACES.items():
        fleet.roll.set_space(name, labels)
    for unit, machine in there:
        fleet.add(unit, machine)
    planner = Planner(fleet)
    wanted = chance.unit("new")
    choice = planner.choose(wanted)
    if choice.machine is not None:
        return
    lacks = tuple(choice.sieve.tally())
    change = _happens(chance, fleet, machines)
    if planner.choose(wanted).machine is not None:
        assert helps(wanted, lacks, change, fleet.roll.matches), (lacks, change)
        assert set(may_concern(change)) & {lack for lack, _ in lacks}, (lacks, change)


def _happens(chance: Chance, fleet: Fleet, machines: list[Machine]) -> Change:
    units = [unit for machine in machines for unit in fleet.units_on(machine.id)]
    what = chance.some("machine", "machine gone", "unit", "unit gone", "unit other", "space")
    if what == "machine":
        new = chance.machine(f"m{chance.random.randint(0, 5)}")
        slot = fleet.slot_of.get(new.id)
        old = None if slot is None else fleet.machines[slot]
        fleet.put(new)
        return MachineChanged(old, new)
    if what == "machine gone":
        gone = chance.some(*machines)
        fleet.remove(gone.id)
        return MachineChanged(gone, None)
    if what == "space":
        fleet.roll.set_space(chance.some("a", "b"), chance.labels("team"))
        return SpaceChanged()
    if what == "unit" or not units:
        came = chance.unit("came")
        fleet.add(came, chance.some(*machines).id)
        return UnitMoved(None, came)
    unit = chance.some(*units)
    where = fleet.machine_of(unit.id)
    fleet.drop(unit.id)
    if what == "unit gone":
        return UnitMoved(unit, None)
    other = replace(
        unit, labels=chance.labels("app", "tier"), leaving=chance.some(True, False), room=chance.unit("other").room
    )
    assert where is not None
    fleet.add(other, where)
    return UnitMoved(unit, other)


SMALL = Machine("m", 1000, GIB)


@pytest.mark.parametrize(
    ("change", "woken"),
    [
        (UnitMoved(Unit("o", room={CPU: 1}), None), True),
        (UnitMoved(Unit("o", room={MEMORY: 1}), None), False),
        (UnitMoved(Unit("o", room={CPU: 2}), Unit("o", room={CPU: 1})), True),
        (UnitMoved(Unit("o", room={CPU: 1}), Unit("o", room={CPU: 1})), False),
        (UnitMoved(None, Unit("o")), False),
        (MachineChanged(None, SMALL), False),
        (MachineChanged(None, replace(SMALL, cpu_millis=2000)), True),
        (MachineChanged(SMALL, replace(SMALL, cpu_millis=2000)), True),
        (MachineChanged(replace(SMALL, cpu_millis=3000), replace(SMALL, cpu_millis=2500)), False),
        (MachineChanged(SMALL, None), False),
        (SpaceChanged(), False),
    ],
)
def test_who_lacks_cpu_is_woken_by_nothing_else(change: Change, woken: bool) -> None:
    unit = Unit("u", room={CPU: 2000})
    assert helps(unit, [(Lack.CPU, "")], change, lambda query, other: True) is woken
