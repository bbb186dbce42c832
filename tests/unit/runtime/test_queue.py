"""The work queue in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.runtime.queue import QueueFull, WorkQueue


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
async def queue(clock: VirtualClock) -> AsyncIterator[WorkQueue]:
    queue = WorkQueue(clock, SeededEntropy(7), capacity=10)
    timer = asyncio.create_task(queue.run_timer())
    yield queue
    timer.cancel()
    await asyncio.gather(timer, return_exceptions=True)


async def test_a_key_waits_once_and_in_order(queue: WorkQueue) -> None:
    for key in ("b", "a", "b", "c", "a"):
        queue.add(key)
    assert len(queue) == 3
    assert [await queue.get() for _ in range(3)] == ["b", "a", "c"]


async def test_a_key_added_while_it_runs_runs_once_more(queue: WorkQueue, clock: VirtualClock) -> None:
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    second = asyncio.ensure_future(queue.get())
    await clock.settle()
    assert not second.done()
    queue.done("a")
    assert await second == "a"
    queue.done("a")
    assert len(queue) == queue.running == 0


async def test_delays_end_at_their_time_and_an_add_ends_them(queue: WorkQueue, clock: VirtualClock) -> None:
    queue.add_after("late", 10)
    queue.add_after("soon", 2)
    queue.add_after("late", 5)
    queue.add_after("late", 20)
    await clock.advance(1.9)
    assert (len(queue), queue.delayed) == (0, 2)
    await clock.advance(0.1)
    assert await queue.get() == "soon"
    await clock.advance(3)
    assert await queue.get() == "late"
    queue.add_after("x", 100)
    queue.add("x")
    assert (await queue.get(), queue.delayed) == ("x", 0)
    queue.done("x")
    await clock.advance(200)
    assert len(queue) == 0


async def test_back_off_doubles_with_jitter_up_to_its_ceiling(queue: WorkQueue) -> None:
    delays = []
    for _ in range(16):
        delays.append(queue.add_failed("a"))
        queue.add("a")
        queue.done(await queue.get())
    for number, delay in enumerate(delays):
        ceiling = min(60.0, 0.05 * 2**number)
        assert ceiling / 2 <= delay <= ceiling
    assert queue.failures("a") == 16
    queue.forget("a")
    assert queue.add_failed("a") <= 0.05


async def test_a_full_queue_refuses_new_keys_only(queue: WorkQueue) -> None:
    for number in range(6):
        queue.add(str(number))
    for number in range(6, 10):
        queue.add_after(str(number), 60)
    queue.add("0")
    queue.add("9")
    with pytest.raises(QueueFull):
        queue.add("new")
    with pytest.raises(QueueFull):
        queue.add_after("new", 1)
    assert await queue.get() == "0"
    queue.add("new")


async def test_a_cancelled_getter_loses_no_key(queue: WorkQueue, clock: VirtualClock) -> None:
    first, second = asyncio.ensure_future(queue.get()), asyncio.ensure_future(queue.get())
    await clock.settle()
    queue.add("a")
    first.cancel()
    assert await asyncio.wait_for(second, 5) == "a"
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_many_moved_deadlines_leave_no_heap_behind(queue: WorkQueue) -> None:
    for number in range(5_000, 0, -1):
        queue.add_after("a", float(number))
    assert queue.delayed == 1
    assert len(queue._heap) <= 65


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from("abc"), st.just(0.0)),
        st.tuples(st.just("after"), st.sampled_from("abc"), st.floats(0.5, 20)),
        st.tuples(st.just("fail"), st.sampled_from("abc"), st.just(0.0)),
        st.tuples(st.just("advance"), st.just(""), st.floats(0.1, 5)),
        st.tuples(st.just("work"), st.just(""), st.just(0.0)),
        st.tuples(st.just("finish"), st.just(""), st.just(0.0)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(STEPS)
def test_whatever_is_asked_for_runs_and_never_twice_at_once(steps: list[tuple[str, str, float]]) -> None:
    async def scenario() -> None:
        clock = VirtualClock(settle_rounds=8)
        queue = WorkQueue(clock, SeededEntropy(1))
        timer = asyncio.create_task(queue.run_timer())
        owed: set[str] = set()
        running: list[str] = []

        async def work() -> None:
            key = await asyncio.wait_for(queue.get(), 5)
            assert key not in running
            owed.discard(key)
            running.append(key)

        for step, key, number in steps:
            if step == "add":
                queue.add(key)
                owed.add(key)
            elif step == "after":
                queue.add_after(key, number)
                owed.add(key)
            elif step == "fail":
                queue.add_failed(key)
                owed.add(key)
            elif step == "advance":
                await clock.advance(number)
            elif step == "work" and len(queue):
                await work()
            elif step == "finish" and running:
                queue.done(running.pop(0))
        while running:
            queue.done(running.pop(0))
        await clock.advance(120)
        while len(queue):
            await work()
            queue.done(running.pop())
            await clock.advance(120)
        assert owed == set()
        timer.cancel()
        await asyncio.gather(timer, return_exceptions=True)

    asyncio.run(scenario())
