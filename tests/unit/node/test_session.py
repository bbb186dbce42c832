"""When the agent reports: at once where somebody waits, a start's progress collected."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.model.agent import PROTOCOL_VERSION, Hello, MachineFacts, Receipt, Report
from ropewalk.model.ids import MachineId, WorkloadUid
from ropewalk.model.status import WorkloadPhase, WorkloadStatus
from ropewalk.model.workload import Generation
from ropewalk.node.session import HEARTBEAT_SECONDS, PROGRESS_SECONDS, Session
from support.workloads import MACHINE, OWNER


class Agent:
    def __init__(self) -> None:
        self.held: dict[str, WorkloadStatus] = {}

    def statuses(self) -> list[WorkloadStatus]:
        return list(self.held.values())

    def status(self, uid: str) -> WorkloadStatus | None:
        return self.held.get(uid)

    def snapshot(self, snapshot: object) -> None:
        raise AssertionError("no snapshot is sent here")


class Plane:
    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.reports: list[tuple[float, list[tuple[str, int]]]] = []

    async def watch(self, machine: MachineId, session: str) -> AsyncIterator[bytes]:
        yield msgspec.json.encode(Hello(PROTOCOL_VERSION, OWNER, machine, self.clock.wall()))
        await asyncio.get_running_loop().create_future()

    async def report(self, report: Report) -> Receipt:
        said = [(status.uid, status.sequence) for status in report.statuses]
        self.reports.append((self.clock.monotonic(), said))
        return Receipt(tuple((WorkloadUid(uid), sequence) for uid, sequence in said), ())


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.agent = Agent()
        self.plane = Plane(self.clock)
        parts: Any = {"agent": self.agent, "transport": self.plane}
        self.session = Session(
            facts=lambda: MachineFacts(MACHINE, "host", cpu_millis=1000, memory_bytes=1 << 30),
            machine=MACHINE,
            owner=OWNER,
            clock=self.clock,
            entropy=SeededEntropy(1),
            **parts,
        )

    def change(self, uid: str, sequence: int, *, pressing: bool) -> None:
        phase = WorkloadPhase.RUNNING if pressing else WorkloadPhase.PREPARING
        self.agent.held[uid] = WorkloadStatus(WorkloadUid(uid), Generation("s", 1, 1), sequence, phase, ())
        self.session.changed(uid, pressing=pressing)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    task = asyncio.create_task(made.session.run())
    await made.clock.advance(0.01)
    made.plane.reports.clear()
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_progress_is_collected_into_one_report(world: World) -> None:
    begun = world.clock.monotonic()
    for sequence in range(1, 6):
        world.change("a", sequence, pressing=False)
        world.change("b", sequence, pressing=False)
        await world.clock.advance(PROGRESS_SECONDS / 10)
    assert world.plane.reports == []
    await world.clock.advance(PROGRESS_SECONDS)
    ((at, said),) = world.plane.reports
    assert said == [("a", 5), ("b", 5)]
    assert at - begun == pytest.approx(PROGRESS_SECONDS)


async def test_what_somebody_waits_for_goes_at_once_and_takes_the_rest_along(world: World) -> None:
    world.change("a", 1, pressing=False)
    world.change("b", 2, pressing=True)
    await world.clock.advance(0)
    ((_, said),) = world.plane.reports
    assert said == [("a", 1), ("b", 2)]
    await world.clock.advance(HEARTBEAT_SECONDS / 2)
    assert len(world.plane.reports) == 1, "nothing was left to be collected"


async def test_progress_after_a_report_is_collected_anew(world: World) -> None:
    world.change("b", 1, pressing=True)
    await world.clock.advance(0)
    world.change("a", 1, pressing=False)
    await world.clock.advance(PROGRESS_SECONDS * 2)
    assert [said for _, said in world.plane.reports] == [[("b", 1)], [("a", 1)]]
