"""Supervision in virtual time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.runtime.supervisor import LONGEST_DELAY, Supervisor
from ropewalk.store.protocol import StoreUnavailable


@dataclass
class Part:
    name: str
    body: Callable[[], Awaitable[None]]

    async def run(self) -> None:
        await self.body()


async def test_what_crashes_ends_or_is_cancelled_inside_starts_again_and_others_run_on() -> None:
    clock = VirtualClock()
    starts: list[float] = []
    steady: list[str] = []

    async def crashes() -> None:
        starts.append(clock.monotonic())
        if len(starts) == 1:
            raise RuntimeError("first")
        if len(starts) == 2:
            raise asyncio.CancelledError
        if len(starts) == 3:
            return
        await clock.sleep(10_000)

    async def runs() -> None:
        steady.append("started")
        try:
            await clock.sleep(10_000)
        finally:
            steady.append("ended")

    supervisor = Supervisor(clock)
    task = asyncio.create_task(supervisor.run([Part("crashes", crashes), Part("runs", runs)]))
    await clock.advance(5)
    assert starts == pytest.approx([0, 0.1, 0.3, 0.7])
    assert steady == ["started"]
    health = supervisor.health["crashes"]
    assert (health.running, health.restarts, health.last_failure) == (True, 3, "it ended by itself")
    assert supervisor.health["runs"].restarts == 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert steady == ["started", "ended"]
    assert not supervisor.health["crashes"].running


async def test_what_is_worth_another_try_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    starts = itertools.count()

    async def waits() -> None:
        if next(starts) == 0:
            raise StoreUnavailable("etcd: not there")
        await clock.sleep(10_000)

    supervisor = Supervisor(clock)
    task = asyncio.create_task(supervisor.run([Part("cache", waits)]))
    await clock.advance(1)
    assert supervisor.health["cache"].running and supervisor.health["cache"].last_failure == "etcd: not there"
    assert [(record.levelname, record.exc_info) for record in caplog.records] == [("WARNING", None)]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_delays_grow_to_a_ceiling_and_a_good_minute_forgives() -> None:
    clock = VirtualClock()
    starts: list[float] = []

    async def crashes() -> None:
        starts.append(clock.monotonic())
        if len(starts) == 14:
            await clock.sleep(61)
        raise RuntimeError("again")

    task = asyncio.create_task(Supervisor(clock).run([Part("crashes", crashes)]))
    await clock.advance(400)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    pauses = [b - a for a, b in itertools.pairwise(starts)]
    assert max(pauses[:13]) == pytest.approx(LONGEST_DELAY)
    assert pauses[13] == pytest.approx(61.1)


async def test_names_are_unique_and_none_is_fine() -> None:
    clock = VirtualClock()

    async def nothing() -> None:
        await clock.sleep(1)

    with pytest.raises(ValueError, match="names of their own"):
        await Supervisor(clock).run([Part("a", nothing), Part("a", nothing)])
    task = asyncio.create_task(Supervisor(clock).run([]))
    await clock.advance(100)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
