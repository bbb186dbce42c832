"""The agent's joints: what it accepts and refuses, in what order it starts, and that a kill costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from ropewalk.base.clock import SystemClock, VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.model.agent import (
    PROTOCOL_VERSION,
    Apply,
    Down,
    Forget,
    Hello,
    LogBatch,
    LogReceipt,
    MachineFacts,
    Ping,
    Receipt,
    Report,
    Snapshot,
)
from ropewalk.model.ids import MachineId, Owner, WorkloadUid
from ropewalk.model.status import ContainerPhase, Health, StopCause, WorkloadPhase, WorkloadStatus
from ropewalk.model.workload import (
    EnvironmentVariable,
    Generation,
    Isolation,
    LogRoute,
    NetworkMode,
    Probe,
    RestartRule,
    Volume,
    Workload,
)
from ropewalk.node.agent import AgentPorts, MachineAgent
from ropewalk.node.fake_runtime import FakeRuntime
from ropewalk.node.journal import FileJournal, Journal, MemoryJournal
from ropewalk.node.transport import TransportFailure
from support.workloads import MACHINE, OWNER, container, stop, workload

FACTS = MachineFacts(MACHINE, "host", cpu_millis=2000, memory_bytes=4 << 30)


class Plane:
    """A control plane that says what the test says, and keeps what it is told."""

    def __init__(self) -> None:
        self.lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.reports: list[Report] = []
        self.statuses: dict[str, WorkloadStatus] = {}
        self.forget: tuple[WorkloadUid, ...] = ()
        self.batches: list[LogBatch] = []
        self.log_failure = ""
        self.acknowledge = True

    def say(self, *messages: Down) -> None:
        for message in messages:
            self.lines.put_nowait(msgspec.json.encode(message))

    async def watch(self, machine: MachineId, session: str) -> AsyncIterator[bytes]:
        while (line := await self.lines.get()) is not None:
            yield line

    async def report(self, report: Report) -> Receipt:
        self.reports.append(report)
        if not self.acknowledge:
            raise TransportFailure("away")
        self.statuses.update({s.uid: s for s in report.statuses})
        return Receipt(tuple((s.uid, s.sequence) for s in report.statuses), self.forget)

    async def logs(self, batch: LogBatch) -> LogReceipt:
        self.batches.append(batch)
        return LogReceipt(batch.position, self.log_failure)


class Bench:
    def __init__(self, journal: Journal | None = None, root: Path | None = None) -> None:
        self.clock = VirtualClock()
        self.plane = Plane()
        self.runtime = FakeRuntime(self.clock)
        self.journal = journal or MemoryJournal()
        self.root = root
        self.cores = 2
        self.agent = self.new_agent()
        self.task: asyncio.Task[None] | None = None

    def new_agent(self) -> MachineAgent:
        transport: Any = self.plane
        ports = AgentPorts(self.runtime, transport, self.journal, self.clock, SeededEntropy(1))
        return MachineAgent(FACTS, OWNER, ports, root=self.root, cores=self.cores)

    async def run(self, seconds: float = 1.0) -> None:
        if self.task is None:
            self.agent = self.new_agent()
            self.task = asyncio.get_running_loop().create_task(self.agent.run())
            self.plane.say(Hello(PROTOCOL_VERSION, OWNER, MACHINE, self.clock.wall()))
        await self.clock.advance(seconds)
        if self.task.done():
            self.task.result()

    async def quiet(self, seconds: float) -> None:
        """Time in which the control plane only shows that it is there."""
        for _ in range(int(seconds // 10)):
            self.plane.say(Ping())
            await self.run(10)

    async def kill(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.task = None
        while not self.plane.lines.empty():
            self.plane.lines.get_nowait()

    async def apply(self, *workloads: Workload, seconds: float = 1.0) -> None:
        if self.task is None:
            await self.run(0)
        self.plane.say(*(Apply(each) for each in workloads))
        await self.run(seconds)

    def status(self, uid: str = "w-1") -> WorkloadStatus:
        return self.plane.statuses[uid]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    if made.task is not None:
        await made.kill()


def simulate(text: str) -> tuple[EnvironmentVariable, ...]:
    return (EnvironmentVariable("ROPEWALK_SIMULATE", text),)


async def test_a_workload_runs_is_reported_and_stops(bench: Bench) -> None:
    await bench.apply(workload())
    assert bench.plane.reports[0].complete and bench.plane.reports[0].machine.runtime_version == "fake 1"
    assert not any(r.complete for r in bench.plane.reports[1:])
    running = bench.status()
    assert running.phase is WorkloadPhase.RUNNING and running.containers[0].pid > 0
    assert running.containers[0].image_digest.startswith("sha256:")
    await bench.apply(stop(workload(), 2))
    over = bench.status()
    assert over.phase is WorkloadPhase.STOPPED and over.cause is StopCause.REQUESTED
    assert over.containers[0].exit_code == 143 and await bench.runtime.sandboxes() == []
    bench.plane.say(Forget(WorkloadUid("w-1")))
    await bench.run()
    assert bench.agent.statuses() == []


async def test_an_exit_code_and_memory_are_reported(bench: Bench) -> None:
    await bench.apply(
        workload("w-1", container(environment=simulate("exit=3 after=1"))),
        workload("w-2", container(environment=simulate("oom after=1"))),
        seconds=5,
    )
    assert bench.status("w-1").containers[0].exit_code == 3
    assert bench.status("w-1").cause is StopCause.ESSENTIAL_EXITED
    killed = bench.status("w-2").containers[0]
    assert killed.exit_code == 137 and killed.out_of_memory
    assert killed.reason == "OutOfMemoryError: Container killed due to memory usage"


@pytest.mark.parametrize(
    ("words", "cause", "reason"),
    [
        ("create=no-such-user", StopCause.START_FAILED, "no-such-user"),
        ("start=no-such-file", StopCause.START_FAILED, "no-such-file"),
        ("nonsense", StopCause.START_FAILED, "'nonsense' is not understood"),
    ],
)
async def test_what_cannot_start_says_why(bench: Bench, words: str, cause: StopCause, reason: str) -> None:
    await bench.apply(workload("w-1", container(environment=simulate(words))))
    assert bench.status().phase is WorkloadPhase.STOPPED
    assert bench.status().cause is cause and reason in bench.status().reason


async def test_pulls_fail_for_good_or_after_some_tries(bench: Bench) -> None:
    bench.runtime.refused_pulls.update({"gone": "missing", "shy": "broken"})
    await bench.apply(workload("w-1", container(image="gone")), workload("w-2", container(image="shy")))
    assert bench.status("w-1").cause is StopCause.IMAGE_PULL_FAILED
    assert bench.status("w-2").phase is WorkloadPhase.PREPARING
    await bench.run(10)
    assert bench.status("w-2").cause is StopCause.IMAGE_PULL_FAILED


async def test_the_image_at_hand_serves_while_the_registry_is_away(bench: Bench) -> None:
    await bench.apply(workload("w-1"))
    bench.runtime.refused_pulls["nginx:latest"] = "broken"
    await bench.apply(workload("w-2"))
    assert bench.status("w-2").phase is WorkloadPhase.RUNNING


async def test_words_of_a_later_version_refuse_a_workload(bench: Bench) -> None:
    await bench.run()
    document = msgspec.json.decode(msgspec.json.encode(Apply(workload())))
    document["workload"]["containers"][0]["quantumEntanglement"] = True
    bench.plane.lines.put_nowait(msgspec.json.encode(document))
    await bench.run()
    refused = bench.status()
    assert refused.phase is WorkloadPhase.STOPPED and refused.cause is StopCause.REFUSED
    assert "quantumEntanglement" in refused.reason and bench.runtime.starts == []


async def test_words_of_a_later_version_can_still_stop_what_runs(bench: Bench) -> None:
    await bench.apply(workload())
    for number, desire in ((2, "run"), (1, "stop")):
        document = msgspec.json.decode(msgspec.json.encode(Apply(workload(number=number))))
        document["workload"] |= {"desire": desire, "later": 1}
        if number == 1:
            document["workload"]["generation"]["number"] = 0
        bench.plane.lines.put_nowait(msgspec.json.encode(document))
    await bench.run()
    assert bench.status().phase is WorkloadPhase.RUNNING, "neither a change nor an old stop can be read out of it"
    document["workload"]["generation"]["number"] = 3
    bench.plane.lines.put_nowait(msgspec.json.encode(document))
    await bench.run()
    assert bench.status().cause is StopCause.REQUESTED


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"isolation": Isolation.OWN_KERNEL}, "gvisor is not installed"),
        ({"network": NetworkMode.BRIDGE}, "bridge"),
        ({"network": NetworkMode.INTERFACE}, "without an interface"),
        ({"volumes": (Volume("v", "efs"),)}, "efs"),
    ],
)
async def test_what_this_machine_cannot_do_is_refused(bench: Bench, change: dict[str, Any], why: str) -> None:
    await bench.apply(replace(workload(), **change))
    assert bench.status().cause is StopCause.REFUSED and why in bench.status().reason


async def test_other_machines_and_owners_workloads_are_not_ours(bench: Bench) -> None:
    await bench.apply(workload("w-1", owner=Owner("eks")), workload("w-2", machine=MachineId("m-2")))
    assert bench.plane.statuses == {}


async def test_a_snapshot_stops_only_what_its_own_store_and_epoch_named(bench: Bench) -> None:
    await bench.apply(
        workload("same", number=5),
        workload("newer", number=50),
        workload("epoch", number=5, epoch=0),
        workload("foreign", number=5, store_id="store-b"),
        workload("named", number=5),
    )
    bench.plane.say(Snapshot(Generation("store-a", 1, 10), (WorkloadUid("named"),)))
    await bench.run()
    running = {s.uid for s in bench.plane.statuses.values() if s.phase is WorkloadPhase.RUNNING}
    assert running == {"newer", "epoch", "foreign", "named"}


async def test_at_most_two_start_at_once_on_a_core_in_order(bench: Bench) -> None:
    at_once = most = 0
    order: list[str] = []
    inner = bench.runtime.create_sandbox

    async def slow(what: Workload, folder: str, attempt: int = 0) -> Any:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        order.append(what.uid)
        await bench.clock.sleep(0.1)
        at_once -= 1
        return await inner(what, folder, attempt)

    bench.runtime.create_sandbox = slow  # type: ignore[method-assign]  # a slow one for this test
    bench.cores = 1
    await bench.apply(*(workload(f"w-{n}") for n in range(9)), seconds=10)
    assert most == 2 and order == [f"w-{n}" for n in range(9)]
    assert all(s.phase is WorkloadPhase.RUNNING for s in bench.plane.statuses.values())


async def test_it_goes_on_without_a_control_plane(bench: Bench) -> None:
    probed = container("app", restart=RestartRule.ALWAYS, health=Probe(("true",), interval=10))
    await bench.apply(workload("w-1", probed), seconds=5)
    bench.plane.acknowledge = False
    bench.plane.lines.put_nowait(None)
    (found,) = await bench.runtime.containers()
    bench.runtime.kill(found.id, 1)
    await bench.run(30)
    (again,) = [c for c in await bench.runtime.containers() if c.attempt == 1]
    assert again.pid > 0
    bench.plane.acknowledge = True
    bench.plane.say(Hello(PROTOCOL_VERSION, OWNER, MACHINE, 0.0))
    await bench.run(30)
    report = bench.status().containers[0]
    assert report.restarts == 1 and report.health is Health.HEALTHY and report.phase is ContainerPhase.RUNNING


async def test_statuses_are_sent_until_acknowledged(bench: Bench) -> None:
    bench.plane.acknowledge = False
    await bench.apply(workload(), seconds=0)
    await bench.quiet(60)
    assert len(bench.plane.reports) > 3 and all(r.complete for r in bench.plane.reports)
    bench.plane.acknowledge = True
    await bench.quiet(20)
    assert bench.status().phase is WorkloadPhase.RUNNING
    count = len([r for r in bench.plane.reports if r.statuses])
    heartbeats = len(bench.plane.reports)
    await bench.quiet(60)
    assert len(bench.plane.reports) >= heartbeats + 3
    assert len([r for r in bench.plane.reports if r.statuses]) == count, "acknowledged: only heartbeats now"


async def test_a_kill_keeps_pids_and_exit_codes(bench: Bench) -> None:
    await bench.apply(workload("w-1"), workload("w-2"))
    pids = {uid: bench.status(uid).containers[0].pid for uid in ("w-1", "w-2")}
    await bench.kill()
    (ended,) = [c.id for c in await bench.runtime.containers() if c.uid == "w-2"]
    bench.runtime.kill(ended, 9)
    bench.plane.statuses.clear()
    await bench.run(2)
    assert bench.status("w-1").containers[0].pid == pids["w-1"] and bench.status("w-1").phase is WorkloadPhase.RUNNING
    assert bench.status("w-2").containers[0].exit_code == 9 and len(bench.runtime.starts) == 2


async def test_a_log_group_that_is_not_there_fails_the_start(bench: Bench) -> None:
    bench.plane.log_failure = "ResourceNotFoundException: The specified log group does not exist."
    await bench.apply(workload("w-1", container(log=LogRoute("/none", "s"))))
    assert bench.status().cause is StopCause.RESOURCE_FAILED
    assert "The specified log group does not exist." in bench.status().reason


async def test_a_foreign_control_plane_is_not_obeyed(bench: Bench) -> None:
    bench.task = asyncio.get_running_loop().create_task(bench.agent.run())
    bench.plane.say(Hello(PROTOCOL_VERSION, Owner("eks"), MACHINE, 0.0), Apply(workload()))
    await bench.run(5)
    assert bench.agent.statuses() == [] and not bench.agent.session.connected


async def test_a_journal_that_cannot_be_written_ends_the_agent(bench: Bench) -> None:
    async def full(key: str, value: bytes) -> None:
        raise OSError(28, "No space left on device")

    bench.journal.put = full  # type: ignore[method-assign]  # a broken disk
    with pytest.raises(OSError, match="No space"):
        await bench.apply(workload())
    bench.task = None
    assert bench.runtime.starts == [], "nothing is started that was not journaled first"


async def test_with_real_time_and_files_nothing_is_left(tmp_path: Path) -> None:
    """The whole way on a file journal and real folders, killed in the middle."""
    clock = SystemClock()
    runtime = FakeRuntime(clock)
    plane = Plane()
    what = workload("w-1", container(log=LogRoute("/g", "s")), volumes=(Volume("v", "scratch"),))
    transport: Any = plane

    async def until(phase: WorkloadPhase) -> None:
        async with asyncio.timeout(10):
            while "w-1" not in plane.statuses or plane.statuses["w-1"].phase is not phase:
                await asyncio.sleep(0.01)

    for goal, message in ((WorkloadPhase.RUNNING, what), (WorkloadPhase.STOPPED, stop(what, 2))):
        journal = FileJournal(tmp_path / "journal")
        ports = AgentPorts(runtime, transport, journal, clock, SeededEntropy(1))
        agent = MachineAgent(FACTS, OWNER, ports, root=tmp_path)
        task = asyncio.get_running_loop().create_task(agent.run())
        plane.say(Hello(PROTOCOL_VERSION, OWNER, MACHINE, clock.wall()), Apply(message))
        await until(goal)
        assert (tmp_path / "volumes" / "w-1" / "v").exists() is (goal is WorkloadPhase.RUNNING)
        if goal is WorkloadPhase.STOPPED:
            plane.say(Forget(WorkloadUid("w-1")))
            async with asyncio.timeout(10):
                while (tmp_path / "logs" / "w-1").exists() or agent.statuses():
                    await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await journal.close()
    assert len(runtime.starts) == 1
    assert list(FileJournal(tmp_path / "journal").items("")) == ["over/w-1"]
