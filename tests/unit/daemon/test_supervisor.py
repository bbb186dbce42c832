"""The supervisor brings back what ends, more slowly each time, and takes nobody along when it goes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.settings import Settings
from ropewalk.daemon import supervisor
from ropewalk.daemon.parts import Command
from ropewalk.daemon.processes import DetachedProcess, ProcessRecord, start_time
from ropewalk.daemon.supervisor import Supervised, keep_alive

WAIT = (sys.executable, "-c", "import signal; signal.pause()")


def supervised(process: DetachedProcess) -> Supervised:
    return Supervised(process.name, partial(process.start, WAIT))


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[tuple[DetachedProcess, VirtualClock, asyncio.Task[None]]]:
    clock = VirtualClock()
    process = DetachedProcess("tiny", tmp_path / "run", tmp_path / "log")
    task = asyncio.create_task(keep_alive(supervised(process), clock))
    yield process, clock, task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    process.stop(grace=0)


async def until(check: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not check():
            await asyncio.sleep(0)


async def kill(process: DetachedProcess, clock: VirtualClock) -> int:
    """End it, and wait until the supervisor has noticed: it sleeps before the next start."""
    record = process.record()
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    await until(lambda: clock.next_deadline() is not None)
    return record.pid


async def test_what_ends_comes_back_after_a_growing_while(
    kept: tuple[DetachedProcess, VirtualClock, asyncio.Task[None]],
) -> None:
    process, clock, _ = kept
    await until(process.record)
    for delay in (0.1, 0.2, 0.4):
        before = await kill(process, clock)
        await clock.advance(delay * 0.9)
        assert process.record() is None, "not yet"
        await clock.advance(delay * 0.2)
        await until(process.record)
        after = process.record()
        assert after is not None and after.pid != before


async def test_what_lived_long_comes_back_soon(
    kept: tuple[DetachedProcess, VirtualClock, asyncio.Task[None]],
) -> None:
    process, clock, _ = kept
    await until(process.record)
    for _ in range(5):
        await kill(process, clock)
        await clock.advance(10)
        await until(process.record)
    await clock.advance(31)
    await kill(process, clock)
    await clock.advance(0.11)
    await until(process.record)


async def test_the_end_of_the_supervisor_is_not_its_processes_end(
    kept: tuple[DetachedProcess, VirtualClock, asyncio.Task[None]],
) -> None:
    process, clock, task = kept
    await until(process.record)
    record = process.record()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert record is not None and start_time(record.pid) == record.start_time
    again = asyncio.create_task(keep_alive(supervised(process), clock))
    await asyncio.sleep(0)
    assert process.record() == record, "adopted"
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)


async def test_what_does_not_start_is_tried_again(tmp_path: Path) -> None:
    clock, tries = VirtualClock(), []

    def launch() -> ProcessRecord:
        tries.append(clock.monotonic())
        raise FileNotFoundError("no such program")

    task = asyncio.create_task(keep_alive(Supervised("missing", launch), clock))
    await clock.advance(1)
    assert tries == [pytest.approx(moment) for moment in (0, 0.1, 0.3, 0.7)]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(("mirror", "more"), [("", []), ("127.0.0.1:5000", ["registry"])])
def test_the_plan_is_what_the_installation_consists_of(
    tmp_path: Path, mirror: str, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor.Parts, "provide", lambda parts: dict.fromkeys(PARTS, Command(("/bin/true",))))
    lines = supervisor.plan(Settings(home=tmp_path, mirror=mirror), VirtualClock())
    assert [line.name for line in lines] == ["containerd", *more, "aws", "host-agent", "machine-agent"]


PARTS = ("containerd", "docker-registry", "runc", "nft", "catatonit", "ctr")
