"""Placement: never more than a machine has, never against a constraint, the same answer for the same seed."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.planning.placement import (
    MACHINE,
    ZONE,
    Binpack,
    Constraint,
    Fleet,
    Lack,
    Machine,
    Random,
    Request,
    Resource,
    Spread,
    place,
)

GIB = 1 << 30


def machine(name: str, cpu: int = 4000, memory: int = 8 * GIB, zone: str = "a", **more: object) -> Machine:
    return Machine(name, cpu, memory, zone, **more)


ports = st.frozensets(st.tuples(st.sampled_from(["tcp", "udp"]), st.integers(80, 83)), max_size=2)
fleets = st.lists(
    st.builds(
        Machine,
        id=st.integers(0, 40).map(lambda n: f"m{n:02}"),
        cpu_millis=st.integers(0, 4000),
        memory_bytes=st.integers(0, 16),
        zone=st.sampled_from(["a", "b", "c"]),
        attributes=st.dictionaries(st.sampled_from(["disk", "rack"]), st.sampled_from(["x", "y"])),
        ports=ports,
        ready=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda m: m.id,
)
chosen_strategies = st.lists(
    st.one_of(
        st.builds(Spread, st.sampled_from([MACHINE, ZONE, "disk"])),
        st.builds(Binpack, st.sampled_from(Resource)),
        st.just(Random()),
    ),
    max_size=3,
).map(tuple)
requests = st.builds(
    Request,
    count=st.integers(0, 12),
    cpu_millis=st.integers(0, 1500),
    memory_bytes=st.integers(0, 6),
    ports=ports,
    constraints=st.sampled_from([(), (Constraint("disk x", lambda m: m.attributes.get("disk") == "x"),)]),
    distinct=st.booleans(),
    strategies=chosen_strategies,
    group=st.dictionaries(st.integers(0, 40).map(lambda n: f"m{n:02}"), st.integers(0, 3), max_size=5),
    seed=st.integers(0, 1 << 70),
)


@given(fleets, requests)
def test_no_machine_is_asked_for_what_it_has_not(machines: list[Machine], request: Request) -> None:
    placement = place(machines, request)
    by_id = {m.id: m for m in machines}
    for name, units in Counter(placement.machines).items():
        chosen = by_id[name]
        assert chosen.ready
        assert units * request.cpu_millis <= chosen.cpu_millis
        assert units * request.memory_bytes <= chosen.memory_bytes
        assert all(constraint.holds(chosen) for constraint in request.constraints)
        if request.ports:
            assert units == 1
            assert not request.ports & chosen.ports
        if request.distinct:
            assert units == 1
            assert not request.group.get(name)


@given(fleets, requests)
def test_what_is_not_placed_fits_nowhere_and_says_why(machines: list[Machine], request: Request) -> None:
    placement = place(machines, request)
    if len(placement.machines) == request.count:
        assert placement.refusals == ()
        return
    assert sorted(r.machine for r in placement.refusals) == sorted(m.id for m in machines)
    taken = Counter(placement.machines)
    by_id = {m.id: m for m in machines}
    for refusal in placement.refusals:
        refused = by_id[refusal.machine]
        units = taken[refused.id]
        truth = {
            Lack.NOT_READY: not refused.ready,
            Lack.CONSTRAINT: any(c.name == refusal.constraint and not c.holds(refused) for c in request.constraints),
            Lack.DISTINCT: request.distinct and units + request.group.get(refused.id, 0) > 0,
            Lack.MEMORY: (units + 1) * request.memory_bytes > refused.memory_bytes,
            Lack.CPU: (units + 1) * request.cpu_millis > refused.cpu_millis,
            Lack.PORTS: bool(request.ports & refused.ports) or (bool(request.ports) and units > 0),
        }
        assert truth[refusal.lack]


@given(fleets, requests, st.randoms(use_true_random=False))
def test_the_same_seed_chooses_the_same_whatever_the_order(machines: list[Machine], request: Request, shuffle) -> None:
    once = place(machines, request)
    shuffled = list(machines)
    shuffle.shuffle(shuffled)
    assert place(Fleet(shuffled), request) == once


@given(st.integers(1, 30), st.integers(0, 1000))
def test_spread_over_zones_then_machines_is_even(count: int, seed: int) -> None:
    machines = [machine(f"{zone}{n}", cpu=10**6, zone=zone) for zone in "abc" for n in range(3)]
    placement = place(machines, Request(count, cpu_millis=1, strategies=(Spread(ZONE), Spread(MACHINE)), seed=seed))
    zones = Counter(name[0] for name in placement.machines)
    single = Counter(placement.machines)
    assert max(zones.values()) - min(zones[z] for z in "abc") <= 1
    for zone in "abc":
        counts = [single[f"{zone}{n}"] for n in range(3)]
        assert max(counts) - min(counts) <= 1


def test_spread_counts_what_the_group_has_already() -> None:
    machines = [machine("a", zone="a"), machine("b", zone="b")]
    placement = place(machines, Request(2, strategies=(Spread(ZONE),), group={"a": 2}))
    assert placement.machines == ("b", "b")


@pytest.mark.parametrize(("resource", "expected"), [(Resource.CPU, "little-cpu"), (Resource.MEMORY, "little-memory")])
def test_binpack_takes_the_fullest_that_can(resource: Resource, expected: str) -> None:
    machines = [
        machine("little-cpu", cpu=600, memory=8 * GIB),
        machine("little-memory", cpu=4000, memory=GIB),
        machine("too-little", cpu=100, memory=GIB // 4),
    ]
    request = Request(1, cpu_millis=500, memory_bytes=GIB // 2, strategies=(Binpack(resource),))
    assert place(machines, request).machines == (expected,)


def test_random_uses_every_machine_in_time() -> None:
    machines = [machine(f"m{n}") for n in range(5)]
    chosen = {place(machines, Request(1, strategies=(Random(),), seed=seed)).machines[0] for seed in range(60)}
    assert chosen == {m.id for m in machines}


def test_no_machines_place_nothing() -> None:
    assert place([], Request(1)).machines == ()


def test_two_machines_of_one_id_are_a_bug() -> None:
    with pytest.raises(ValueError, match="one id"):
        Fleet([machine("m"), machine("m")])


@pytest.mark.parametrize("bad", [Request(-1), Request(1, cpu_millis=-1), Request(1, memory_bytes=-1)])
def test_a_request_takes_and_never_gives(bad: Request) -> None:
    with pytest.raises(ValueError, match="not negative"):
        place([machine("m")], bad)


def test_numpy_is_not_loaded_by_the_rest_of_planning() -> None:
    code = "import sys, ropewalk.planning; raise SystemExit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
