"""Claims, workloads and crashes in any order: once the faults stop, exactly what is claimed or carried exists."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.base.entropy import SeededEntropy
from ropewalk.model.agent import STATUSES, WORKLOADS
from ropewalk.store.memory import MemoryStore
from ropewalk.store.protocol import KeyExists, KeyMissing
from unit.services.ec2.kit import FailingStore, World

NAMES = ("t0", "t1", "t2", "t3")
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["claim", "end", "carry", "stop", "forget"]), st.sampled_from(NAMES)),
        st.tuples(st.just("crash"), st.integers(1, 6), st.booleans()),
        st.tuples(st.just("hiccup"), st.integers(1, 6), st.booleans()),
        st.just(("pass",)),
    ),
    max_size=30,
)


@given(steps, st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_nothing_is_doubled_or_lost(script: list, seed: int) -> None:
    asyncio.run(_play(script, seed))


async def _act(world: World, inner: MemoryStore, what: str, name: str) -> None:
    """One thing that ECS or an agent does; straight to the store, for its writes are not the ones that fail here."""
    workload = f"m/{name}"
    claims = world.ec2.claims
    if what == "claim":
        quiet = World(inner, 7)
        await quiet.claim(f"ecs/{name}", await quiet.default_subnet(), machine="m")
    elif what == "end":
        await inner.delete(claims.prefix + f"ecs/{name}")
    elif what == "carry":
        claim = await claims.get(f"ecs/{name}")
        if claim is not None and claim.interface:
            await inner.create(WORKLOADS + workload, b'{"interface":{"id":"%s"}}' % claim.interface.encode())
    elif what == "stop" and await inner.get(WORKLOADS + workload) is not None:
        await inner.create(STATUSES + workload, b'{"phase":"stopped"}')
    elif what == "forget":
        stopped = await inner.get(STATUSES + workload)
        if stopped is not None:
            await inner.delete(WORKLOADS + workload)
            await inner.delete(STATUSES + workload)


async def _play(script: list, seed: int) -> None:
    inner = MemoryStore(SeededEntropy(seed))
    store = FailingStore(inner)
    await World(inner, seed).seeded()
    position = 0
    lives = 0
    while position < len(script):
        lives += 1
        world = World(store, seed + lives)
        async with world.running():
            while position < len(script) and not store.broken:
                step = script[position]
                position += 1
                if step[0] in ("crash", "hiccup"):
                    store.fail(step[1], after=step[2], stay_dead=step[0] == "crash")
                elif step[0] == "pass":
                    await world.clock.advance(1)
                else:
                    try:
                        await _act(world, inner, *step)
                    except (KeyExists, KeyMissing):
                        continue
        store.broken = False
        store.at = 0
    world = World(inner, seed + 999)
    async with world.running():
        await world.clock.advance(120)
        await _check(world)


async def _check(world: World) -> None:
    ec2 = world.ec2
    interfaces = {item.record.id: item.record for item in await ec2.interfaces.list()}
    addresses = {item.key.split("/")[1]: item.record.interface for item in await ec2.addresses.table.list()}
    claims = {item.key: item.record for item in await ec2.claims.list()}
    assert addresses == {address: i.id for i in interfaces.values() for address in i.addresses}
    assert all(claim.interface and not claim.failure for claim in claims.values())
    claimed = {claim.interface for claim in claims.values()}
    assert len(claimed) == len(claims)
    for key, claim in claims.items():
        assert interfaces[claim.interface].claim == key
        assert interfaces[claim.interface].addresses == (claim.address,)
    for interface in interfaces.values():
        carried = await ec2.carriers.carried(interface.id, interface.claim, interface.machine)
        assert interface.id in claimed or carried, "leaked"
