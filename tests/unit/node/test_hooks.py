"""Hooks, done by the agent through the runtime: once a run, within the stop's time, however often it is asked for."""

from __future__ import annotations

import asyncio

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.model.workload import HttpGet, Pause, Question, RunCommand
from ropewalk.node.fake_behaviour import Behaviour, Outcome
from ropewalk.node.fake_runtime import FakeRuntime
from ropewalk.node.hooks import Hooks
from ropewalk.node.runtime import ContainerSetup, NoSuchContainer
from support.workloads import workload


class Bench:
    def __init__(self, seconds: float = 0.0) -> None:
        self.clock = VirtualClock()
        self.commands: list[tuple[str, ...]] = []
        self.seconds = seconds
        self.runtime = FakeRuntime(self.clock, behaviours=lambda what, spec: Behaviour(exec=self._exec, ask=self._ask))
        self.hooks = Hooks(self.runtime, self.clock)

    def _exec(self, command: tuple[str, ...], age: float) -> Outcome:
        self.commands.append(command)
        return Outcome(3 if "fail" in command else 0, self.seconds, b"some output")

    def _ask(self, question: Question, age: float) -> Outcome:
        return Outcome(0 if question.port == 80 else 1, output=b"refused")

    async def start(self) -> str:
        what = workload()
        image = await self.runtime.pull("nginx:latest", None)
        box = await self.runtime.create_sandbox(what, "")
        identity = await self.runtime.create_container(box.id, what, what.containers[0], image, 0, ContainerSetup())
        await self.runtime.start(identity)
        return identity


async def test_each_kind_succeeds_or_says_why() -> None:
    bench = Bench()
    identity = await bench.start()
    run = bench.hooks.run
    assert await run(RunCommand(("x", "y")), identity) == "" and bench.commands == [("x", "y")]
    assert await run(RunCommand(("x", "fail")), identity) == "command 'x fail' exited with 3: some output"
    assert await run(RunCommand(()), identity) == "invalid handler"
    assert await run(HttpGet(80), identity) == "" and await run(HttpGet(81), identity) == "refused"
    pause = asyncio.ensure_future(run(Pause(4.0), identity))
    await bench.clock.advance(3.9)
    assert not pause.done()
    await bench.clock.advance(0.2)
    assert pause.result() == ""
    with pytest.raises(NoSuchContainer):
        await run(RunCommand(("x",)), "none")


async def test_a_hook_before_a_stop_runs_once_and_no_longer_than_the_stop_has() -> None:
    bench = Bench(seconds=20.0)
    identity = await bench.start()
    hook = RunCommand(("drain",))
    slow = asyncio.ensure_future(bench.hooks.before_stop(hook, "w-1", identity, 30.0))
    await bench.clock.advance(1.0)
    hasty = asyncio.ensure_future(bench.hooks.before_stop(hook, "w-1", identity, 5.0))
    await bench.clock.advance(5.5)
    assert hasty.done() and hasty.result() == "" and not slow.done()
    await bench.clock.advance(15.0)
    assert slow.done() and bench.commands == [("drain",)]


async def test_a_container_that_has_ended_has_no_hook_left() -> None:
    bench = Bench()
    assert await bench.hooks.before_stop(RunCommand(("x",)), "w-1", "none", 5.0) == ""
