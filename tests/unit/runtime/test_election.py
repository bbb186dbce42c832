"""Leader election over a memory store, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.runtime.election import LeaderElection
from ropewalk.store.memory import MemoryStore
from ropewalk.store.protocol import Lease, StoreUnavailable


class Reachable(MemoryStore):
    """A store whose leases can be out of reach: refusing at once, or not answering."""

    state = "well"

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease:
        if self.state == "refuses":
            raise StoreUnavailable("no route")
        if self.state == "hangs":
            await asyncio.get_running_loop().create_future()
        return await super().acquire(name, holder, seconds)


class Scene:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.store = Reachable(SeededEntropy(1), clock=self.clock)
        self.leading: set[str] = set()
        self.history: list[tuple[str, int, float, str]] = []

    def candidate(self, name: str, ends_after: float | None = None, fails: bool = False) -> LeaderElection:
        async def lead(term: int) -> None:
            assert not self.leading, "two lead at once"
            self.leading.add(name)
            self.history.append((name, term, self.clock.monotonic(), "leads"))
            try:
                await self.clock.sleep(100_000 if ends_after is None else ends_after)
                if fails:
                    raise RuntimeError("work failed")
            finally:
                self.leading.discard(name)
                self.history.append((name, term, self.clock.monotonic(), "ends"))

        return LeaderElection(self.store, "leader", name, lead, clock=self.clock, seconds=15)


@asynccontextmanager
async def running(*elections: LeaderElection) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(election.run()) for election in elections]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_one_leads_and_the_other_takes_over_when_it_leaves() -> None:
    scene = Scene()
    first, second = scene.candidate("first"), scene.candidate("second")
    async with running(first, second) as tasks:
        await scene.clock.advance(200)
        assert scene.history == [("first", 1, 0, "leads")]
        assert (first.term, second.term) == (1, None)
        tasks[0].cancel()
        await scene.clock.advance(5)
        assert scene.leading == {"second"}
        assert (first.term, second.term) == (None, 2)


@pytest.mark.parametrize("state", ["refuses", "hangs"])
async def test_out_of_reach_it_steps_down_before_the_lease_ends(state: str) -> None:
    scene = Scene()
    async with running(scene.candidate("first")):
        await scene.clock.advance(7)  # renewed at 5
        scene.store.state = state
        await scene.clock.advance(13)
        assert scene.leading == set()
        _, _, ended, what = scene.history[-1]
        assert what == "ends" and ended == pytest.approx(5 + 15 - 3)
        await scene.clock.advance(100)
        scene.store.state = "well"
        await scene.clock.advance(20)
        assert scene.leading == {"first"}
        assert scene.history[-1][1] > 1


async def test_a_short_disturbance_costs_nothing() -> None:
    scene = Scene()
    async with running(scene.candidate("first")):
        for _ in range(10):
            await scene.clock.advance(4)
            scene.store.state = "refuses"
            await scene.clock.advance(4)
            scene.store.state = "well"
            await scene.clock.advance(7)
    assert [what for _, _, _, what in scene.history] == ["leads", "ends"]


async def test_a_stolen_lease_ends_the_work_at_the_next_renewal() -> None:
    scene = Scene()
    async with running(scene.candidate("first")):
        await scene.clock.advance(1)
        await scene.store.release("leader", "first")
        await scene.store.acquire("leader", "thief", 60)
        await scene.clock.advance(5)
        assert scene.leading == set()


async def test_work_that_ends_or_fails_gives_the_lease_back() -> None:
    scene = Scene()
    election = scene.candidate("first", ends_after=20)
    await asyncio.gather(election.run(), scene.clock.advance(25))
    assert (await scene.store.acquire("leader", "next", 15)).holder == "next"
    await scene.store.release("leader", "next")
    async with running(scene.candidate("second", ends_after=20, fails=True)) as tasks:
        await scene.clock.advance(25)
        with pytest.raises(RuntimeError, match="work failed"):
            await tasks[0]
    assert (await scene.store.acquire("leader", "next", 15)).holder == "next"
