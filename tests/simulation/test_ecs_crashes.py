"""The control plane dies between any two writes of a task's life, and its successor brings every task to its end.

The store lets a number of writes through and then fails for good, with the last write either lost or made but not
acknowledged. The neighbours (ec2, the agent) live on. A new slice over what the store holds must converge.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.model.agent import STATUSES, WORKLOADS
from ropewalk.model.network import INTERFACE_CLAIMS
from ropewalk.model.status import StopCause, WorkloadPhase
from ropewalk.model.workload import Desire
from ropewalk.services import ecs as package
from ropewalk.store.memory import MemoryStore
from ropewalk.store.protocol import (
    MAX_PAGE,
    Entry,
    Event,
    Identity,
    Lease,
    Page,
    Revision,
    StoreClosed,
    StoreError,
)
from support.ecs import HOST, World, build, exited, running

COUNT = 2


class Mortal:
    """A store whose connection breaks at its `last`-th write."""

    def __init__(self, inner: MemoryStore, last: int, acknowledged: bool) -> None:
        self.inner = inner
        self.left = last
        self.reaches = acknowledged
        self.dead = False

    @property
    def identity(self) -> Identity:
        return self.inner.identity

    @property
    def revision(self) -> Revision:
        return self.inner.revision

    def _alive(self) -> None:
        if self.dead:
            raise StoreClosed("the process is dead")

    def _write(self) -> bool:
        """Whether this write still happens; raises where it neither happens nor answers."""
        self._alive()
        self.left -= 1
        if self.left >= 0:
            return True
        self.dead = True
        if not self.reaches:
            raise StoreClosed("the process died before its write")
        return False

    async def bump_epoch(self) -> Identity:
        return await self.inner.bump_epoch()

    async def get(self, key: str) -> Entry | None:
        self._alive()
        return await self.inner.get(key)

    async def list(
        self, prefix: str, *, after: str = "", limit: int = MAX_PAGE, revision: Revision | None = None
    ) -> Page:
        self._alive()
        return await self.inner.list(prefix, after=after, limit=limit, revision=revision)

    async def create(self, key: str, value: bytes) -> Revision:
        answered = self._write()
        made = await self.inner.create(key, value)
        return self._answer(made, answered)

    async def update(self, key: str, value: bytes, expected: Revision) -> Revision:
        answered = self._write()
        made = await self.inner.update(key, value, expected)
        return self._answer(made, answered)

    async def delete(self, key: str, expected: Revision | None = None) -> Revision:
        answered = self._write()
        made = await self.inner.delete(key, expected)
        return self._answer(made, answered)

    @staticmethod
    def _answer(made: Revision, answered: bool) -> Revision:
        if not answered:
            raise StoreClosed("the process died before the answer")
        return made

    def watch(self, prefix: str, after: Revision) -> AsyncIterator[Event]:
        return self.inner.watch(prefix, after)

    async def compact(self, before: Revision) -> None:
        await self.inner.compact(before)

    async def acquire(self, name: str, holder: str, seconds: float) -> Lease:
        return await self.inner.acquire(name, holder, seconds)

    async def release(self, name: str, holder: str) -> None:
        await self.inner.release(name, holder)

    async def close(self) -> None:
        await self.inner.close()


class Neighbours:
    """ec2 and one agent over the store itself: they act on whatever they find, in an order of the seed's."""

    def __init__(self, inner: MemoryStore, clock: VirtualClock, seed: int) -> None:
        self.peers = build(inner, clock, seed=1000)
        self.random = random.Random(seed)
        self.ever: dict[str, set[str]] = {}
        self.stopped: set[str] = set()

    async def act(self) -> bool:
        """One thing that there is to do; False where there is none."""
        todo: list[tuple[str, str]] = []
        for claim in await self.peers.ecs.claim_table.list("ecs/"):
            if not claim.record.interface:
                todo.append(("claim", claim.key.removeprefix("ecs/")))
        for found in await self.peers.ecs.workloads.list():
            workload = found.record
            self.ever.setdefault(workload.uid, set()).add(workload.machine)
            status = await self.peers.ecs.status_table.get(found.key)
            if workload.desire is Desire.STOP:
                self.stopped.add(workload.uid)
                if status is None or status.phase is not WorkloadPhase.STOPPED:
                    todo.append(("stop", workload.uid))
            else:
                assert workload.uid not in self.stopped, "a stopped thing was asked to run"
                if status is None:
                    todo.append(("run", workload.uid))
        if not todo:
            return False
        verb, uid = self.random.choice(todo)
        if verb == "claim":
            await self.peers.fill_claim(uid)
        elif verb == "run":
            await self.peers.report(uid, WorkloadPhase.PREPARING, host=HOST)
            await self.peers.report(uid, WorkloadPhase.RUNNING, running(), started_at=1.0)
        else:
            await self.peers.report(uid, WorkloadPhase.STOPPED, exited(143), cause=StopCause.REQUESTED)
        return True


async def _converge(world: World, neighbours: Neighbours) -> None:
    for _ in range(60):
        await world.settle()
        if not await neighbours.act():
            await world.clock.advance(0.1)
            if not await neighbours.act():
                return
    raise AssertionError("the neighbours never come to rest")


async def _ask(world: World) -> bool:
    """RunTask, as a client with one token repeats it. False where the store died under it."""
    try:
        answer = await world.run_task(count=COUNT, clientToken="one-token")
    except StoreError:
        return False
    assert len(answer["tasks"]) == COUNT
    return True


async def _stop_all(world: World, tasks: list[str]) -> bool:
    try:
        for task in tasks:
            await world.call("StopTask", task=task)
    except StoreError:
        return False
    return True


async def _life(last: int, acknowledged: bool) -> int:
    """One life with a crash at the `last`-th write. Answers how many writes the first process had left."""
    clock = VirtualClock()
    inner = MemoryStore(SeededEntropy(3), clock=clock)
    before = build(inner, clock)
    await package.seed(before.ecs)
    await before.add_host()
    await before.register()
    mortal = Mortal(inner, last, acknowledged)
    neighbours = Neighbours(inner, clock, seed=last)
    worlds = [build(mortal, clock, seed=2), build(inner, clock, seed=3)]
    asked = False
    for world in worlds:
        await world.start()
        await world.settle()
        asked = asked or await _ask(world)
        await _converge(world, neighbours)
        tasks = [item.record for item in await before.ecs.tasks.list()]
        if not mortal.dead or world is worlds[-1]:
            assert asked and len(tasks) == COUNT
            for task in tasks:
                assert task.status == ("RUNNING" if task.desired == "RUNNING" else "STOPPED")
            await _stop_all(world, [task.id for task in tasks])
            await _converge(world, neighbours)
        await world.stop()
    left = [item.record for item in await before.ecs.tasks.list()]
    assert [(task.status, task.desired) for task in left] == [("STOPPED", "STOPPED")] * COUNT
    assert all(len(machines) == 1 for machines in neighbours.ever.values())
    for prefix in (WORKLOADS, INTERFACE_CLAIMS):
        assert (await inner.list(prefix)).entries == ()
    await _vanish(build(inner, clock, seed=4))
    for prefix in (STATUSES, "/ecs/tasks/"):
        assert (await inner.list(prefix)).entries == ()
    return mortal.left


async def _vanish(world: World) -> None:
    await world.start()
    await world.settle()
    await world.clock.advance(world.ecs.settings.timings.stopped_task_retention + 1)
    await world.stop()


@pytest.mark.parametrize("acknowledged", [False, True])
async def test_a_crash_between_any_two_writes_is_mended(acknowledged: bool) -> None:
    last = 0
    while await _life(last, acknowledged) < 0:
        last += 1
        assert last < 100
    assert last > 20, "the life had fewer writes than it has states"
