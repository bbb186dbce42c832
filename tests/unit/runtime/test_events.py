"""What happened, recorded: counted, bounded, forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.runtime.events import MESSAGE, EventRecorder, Happening
from ropewalk.runtime.table import Table
from ropewalk.store.memory import MemoryStore
from ropewalk.store.protocol import Revision, StoreUnavailable


class Flaky(MemoryStore):
    well = True

    async def create(self, key: str, value: bytes) -> Revision:
        if not self.well:
            raise StoreUnavailable("away")
        return await super().create(key, value)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(epoch=1_000.0)


@pytest.fixture
def store(clock: VirtualClock) -> Flaky:
    return Flaky(SeededEntropy(1), clock=clock)


@pytest.fixture
async def recorder(clock: VirtualClock, store: Flaky) -> AsyncIterator[EventRecorder]:
    table = Table(store, "/events/", Happening)
    recorder = EventRecorder(table, clock, per_object=4, keep_seconds=100, waiting=50)
    task = asyncio.create_task(recorder.run())
    await clock.settle()
    yield recorder
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_repeats_raise_a_count_and_cost_one_write(
    recorder: EventRecorder, clock: VirtualClock, store: Flaky
) -> None:
    for _ in range(100):
        recorder.record("ecs/tasks/1", "Failed", "cannot pull", warning=True)
    await clock.advance(1)
    assert store.revision == 1
    await clock.advance(9)
    recorder.record("ecs/tasks/1", "Failed", "cannot pull", warning=True)
    recorder.record("ecs/tasks/1", "Started", "runs")
    recorder.record("ecs/tasks/10", "Started", "runs")
    await clock.advance(1)
    assert await recorder.about("ecs/tasks/1") == [
        Happening("ecs/tasks/1", "Failed", "cannot pull", True, 101, 1_000.0, 1_010.0),
        Happening("ecs/tasks/1", "Started", "runs", False, 1, 1_010.0, 1_010.0),
    ]


async def test_an_object_keeps_only_its_latest(recorder: EventRecorder, clock: VirtualClock) -> None:
    for number in range(10):
        recorder.record("x", "Step", f"step {number}")
        await clock.advance(1)
    assert [happening.message for happening in await recorder.about("x")] == [f"step {n}" for n in (9, 8, 7, 6)]


async def test_old_happenings_go_and_count_anew(recorder: EventRecorder, clock: VirtualClock) -> None:
    recorder.record("x", "Step", "again")
    recorder.record("quiet", "Step", "once")
    await clock.advance(150)
    recorder.record("x", "Step", "again")
    await clock.advance(2)
    assert [happening.count for happening in await recorder.about("x")] == [1]
    assert await recorder.about("quiet") == []


async def test_a_store_out_of_reach_loses_nothing(recorder: EventRecorder, clock: VirtualClock, store: Flaky) -> None:
    store.well = False
    recorder.record("x", "Step", "one")
    await clock.advance(5)
    recorder.record("x", "Step", "one")
    recorder.record("x", "Step", "two")
    store.well = True
    await clock.advance(5)
    assert sorted((h.message, h.count) for h in await recorder.about("x")) == [("one", 2), ("two", 1)]


async def test_too_many_too_long_or_unkeepable_are_bounded(recorder: EventRecorder, clock: VirtualClock) -> None:
    recorder.record("y" * 2_000, "Step", "this name does not fit a key")
    recorder.record("x", "Step", "é" * 5_000)
    for number in range(60):
        recorder.record("z", "Step", str(number))
    assert recorder.dropped == 12
    await clock.advance(2)
    (kept,) = await recorder.about("x")
    assert len(kept.message) == MESSAGE and kept.message.endswith("…")
    assert len(await recorder.about("z")) == 4
