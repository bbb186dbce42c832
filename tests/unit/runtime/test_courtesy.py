"""Background work gives way to requests, gets its share meanwhile, and is never put off for long."""

from __future__ import annotations

import asyncio

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.runtime.courtesy import CAUGHT_UP, LONGEST, PER_STEP, QUIET, SAVED, Courtesy

REQUEST = QUIET / 10
"""Seconds a short request takes."""


class Caller:
    """Sends requests that take `seconds` each, one after another, without a pause."""

    def __init__(self, clock: VirtualClock, courtesy: Courtesy) -> None:
        self.clock = clock
        self.answered = 0
        self._handle = courtesy.first(self._answer)

    async def _answer(self, seconds: float) -> float:
        await self.clock.sleep(seconds)
        self.answered += 1
        return seconds

    async def run(self, seconds: float) -> None:
        while True:
            await self._handle(seconds)


async def work(courtesy: Courtesy, done: list[float], clock: VirtualClock) -> None:
    while True:
        await courtesy.turn()
        done.append(clock.monotonic())
        await asyncio.sleep(0)


async def saved(courtesy: Courtesy) -> None:
    """Use up what a pause has saved."""
    for _ in range(SAVED):
        await courtesy.turn()


async def stop(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_without_requests_nothing_waits() -> None:
    courtesy = Courtesy(VirtualClock())
    for _ in range(1000):
        turn = courtesy.turn()
        with pytest.raises(StopIteration):
            turn.send(None)


async def test_under_requests_work_makes_a_step_for_every_few() -> None:
    clock = VirtualClock()
    courtesy = Courtesy(clock)
    caller, done = Caller(clock, courtesy), list[float]()
    tasks = [asyncio.create_task(caller.run(REQUEST)), asyncio.create_task(courtesy.run())]
    await clock.advance(REQUEST / 2)
    await saved(courtesy)
    tasks.append(asyncio.create_task(work(courtesy, done, clock)))
    for _ in range(100):
        await clock.advance(REQUEST)
    await stop(*tasks)
    assert caller.answered >= 99
    assert len(done) == pytest.approx(caller.answered / PER_STEP, abs=2)


async def test_after_a_pause_the_first_steps_wait_for_nobody() -> None:
    clock = VirtualClock()
    courtesy = Courtesy(clock)
    asked = asyncio.create_task(Caller(clock, courtesy).run(100.0))
    await clock.advance(1.0)
    turns = [asyncio.create_task(courtesy.turn()) for _ in range(SAVED + 1)]
    await asyncio.sleep(0)
    assert [turn.done() for turn in turns] == [True] * SAVED + [False]
    await stop(asked, *turns)


async def test_a_quiet_moment_lets_everything_go_on() -> None:
    clock = VirtualClock()
    courtesy = Courtesy(clock)
    caller = Caller(clock, courtesy)
    asked = asyncio.create_task(caller.run(10.0))
    serving = asyncio.create_task(courtesy.run())
    await clock.advance(0.01)
    await saved(courtesy)
    turns = [asyncio.create_task(courtesy.turn()) for _ in range(50)]
    await clock.advance(10 * QUIET)
    assert not any(turn.done() for turn in turns), "a request is being answered"
    await stop(asked)
    await clock.advance(2 * QUIET)
    await clock.advance(2 * QUIET)
    assert all(turn.done() for turn in turns)
    await stop(serving)


async def test_nothing_is_put_off_for_longer_than_a_second() -> None:
    clock = VirtualClock()
    courtesy = Courtesy(clock)
    caller = Caller(clock, courtesy)
    tasks = [asyncio.create_task(caller.run(100.0)), asyncio.create_task(courtesy.run())]
    await clock.advance(0.01)
    await saved(courtesy)
    turns = [asyncio.create_task(courtesy.turn()) for _ in range(50)]
    await clock.advance(LONGEST / 2)
    assert not any(turn.done() for turn in turns)
    await clock.advance(LONGEST / 2 + 2 * QUIET)
    assert all(turn.done() for turn in turns)
    late = asyncio.create_task(courtesy.turn())
    await asyncio.sleep(0)
    assert late.done(), "still behind: no more courtesy until there is a quiet moment"
    await stop(*tasks)

    await clock.advance(2 * CAUGHT_UP)
    tasks = [asyncio.create_task(caller.run(100.0)), asyncio.create_task(courtesy.run())]
    await clock.advance(0.01)
    await saved(courtesy)
    again = asyncio.create_task(courtesy.turn())
    await clock.advance(LONGEST / 2)
    assert not again.done(), "caught up meanwhile: courteous again"
    await stop(again, *tasks)


async def test_a_worker_stopped_while_it_waits_takes_nobodys_turn() -> None:
    clock = VirtualClock()
    courtesy = Courtesy(clock)
    caller = Caller(clock, courtesy)
    tasks = [asyncio.create_task(caller.run(2 * REQUEST)), asyncio.create_task(courtesy.run())]
    await clock.advance(REQUEST / 10)
    await saved(courtesy)
    first, second = (asyncio.create_task(courtesy.turn()) for _ in range(2))
    await asyncio.sleep(0)
    await stop(first)
    await clock.advance(2 * REQUEST * PER_STEP)
    assert second.done() and not second.cancelled()
    await stop(*tasks)
