"""The reconcile loop in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.errors import Retryable
from ropewalk.runtime.controller import DONE, Controller, Reconcile, RequeueAfter, Result
from ropewalk.runtime.queue import QueueFull


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def controller(
    clock: VirtualClock,
    reconcile: Reconcile,
    workers: int = 1,
    capacity: int = 100,
    everything: Callable[[], Iterable[str]] | None = None,
) -> Controller:
    return Controller(
        "test",
        reconcile,
        clock=clock,
        entropy=SeededEntropy(3),
        workers=workers,
        capacity=capacity,
        everything=everything,
    )


@asynccontextmanager
async def running(built: Controller) -> AsyncIterator[Controller]:
    task = asyncio.create_task(built.run())
    try:
        yield built
        assert not task.done(), "a controller ends only when cancelled"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_done_runs_once_and_requeue_runs_again(clock: VirtualClock) -> None:
    seen: list[tuple[float, str]] = []

    async def reconcile(key: str) -> Result:
        seen.append((clock.monotonic(), key))
        return RequeueAfter(5) if key == "again" else DONE

    async with running(controller(clock, reconcile)) as built:
        built.enqueue("once")
        built.enqueue("again")
        await clock.advance(12)
    assert seen == [(0, "once"), (0, "again"), (5, "again"), (10, "again")]


async def test_retryable_decides_its_own_delay(clock: VirtualClock) -> None:
    seen: list[float] = []

    async def reconcile(key: str) -> Result:
        seen.append(clock.monotonic())
        if len(seen) < 3:
            raise Retryable("not yet", after=2)
        return DONE

    async with running(controller(clock, reconcile)) as built:
        built.enqueue("a")
        await clock.advance(60)
    assert seen == [0, 2, 4]


async def test_a_bug_is_logged_and_tried_again_later_each_time(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[float] = []

    async def reconcile(key: str) -> Result:
        seen.append(clock.monotonic())
        if len(seen) == 2:
            raise asyncio.CancelledError  # some library's own
        if len(seen) < 6:
            raise RuntimeError("broken")
        return DONE

    with caplog.at_level(logging.ERROR):
        async with running(controller(clock, reconcile)) as built:
            built.enqueue("a")
            await clock.advance(60)
            assert built.queue.failures("a") == 0
    assert len(seen) == 6
    pauses = [b - a for a, b in itertools.pairwise(seen)]
    assert all(b > a / 2 for a, b in itertools.pairwise(pauses)) and pauses[-1] > pauses[0]
    assert sum("broken" in (record.exc_text or "") for record in caplog.records) == 4


async def test_workers_run_different_keys_together_and_one_key_alone(clock: VirtualClock) -> None:
    now: list[str] = []
    most: list[int] = []
    runs: list[str] = []

    async def reconcile(key: str) -> Result:
        assert key not in now
        now.append(key)
        runs.append(key)
        most.append(len(now))
        await clock.sleep(1)
        now.remove(key)
        return DONE

    async with running(controller(clock, reconcile, workers=3)) as built:
        for key in "abcde":
            built.enqueue(key)
        await clock.advance(0.5)
        built.enqueue("a")
        built.enqueue("a")
        await clock.advance(10)
    assert max(most) == 3
    assert sorted(runs) == ["a", "a", "b", "c", "d", "e"]


async def test_a_cancelled_reconcile_runs_again_when_the_controller_does(clock: VirtualClock) -> None:
    runs: list[str] = []

    async def reconcile(key: str) -> Result:
        runs.append(key)
        await clock.sleep(1)
        return DONE

    built = controller(clock, reconcile)
    async with running(built):
        built.enqueue("a")
        await clock.advance(0.5)
    assert len(built.queue) == 1
    async with running(built):
        await clock.advance(5)
    assert runs == ["a", "a"]


async def test_an_overflow_lists_everything_once_there_is_room(clock: VirtualClock) -> None:
    seen: set[str] = set()
    keys = [str(number) for number in range(20)]
    lists: list[float] = []

    async def reconcile(key: str) -> Result:
        seen.add(key)
        return DONE

    def everything() -> list[str]:
        lists.append(clock.monotonic())
        return [key for key in keys if key not in seen]

    built = controller(clock, reconcile, capacity=8, everything=everything)
    for key in keys:
        built.enqueue(key)
    async with running(built):
        await clock.advance(1)
    assert seen == set(keys)
    assert 1 <= len(lists) <= 5

    strict = controller(clock, reconcile, capacity=8)
    with pytest.raises(QueueFull):
        for key in keys:
            strict.enqueue(key)
