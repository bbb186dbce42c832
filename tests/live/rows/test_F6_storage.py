"""F6: ephemeral storage is enforced: a workload that outgrows its own is stopped, and says why.

Fargate's least is 20 GiB, so the agent is asked directly, with small limits; the agent, its files and containerd are
real. The interval of its looks is too: a stop comes within two of them (containerd measures layers as often).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from ropewalk.base.clock import SystemClock
from ropewalk.base.entropy import SystemEntropy
from ropewalk.model.agent import PROTOCOL_VERSION, Apply, Hello, LogBatch, LogReceipt, MachineFacts, Receipt, Report
from ropewalk.model.ids import MachineId
from ropewalk.model.status import StopCause, WorkloadPhase, WorkloadStatus
from ropewalk.model.workload import Container, Mount, NetworkMode, Volume, Workload
from ropewalk.node.agent import AgentPorts, MachineAgent
from ropewalk.node.journal import MemoryJournal
from ropewalk.node.storage import STORAGE_INTERVAL
from support.containers import Machine, machine
from support.workloads import MACHINE, OWNER, container, workload

MIB = 1 << 20
PATIENCE = 3 * STORAGE_INTERVAL + 10.0
FOREVER = "while :; do sleep 1 & wait $!; done"


def fills(target: str, mebibytes: int) -> str:
    return f"head -c {mebibytes * MIB} /dev/zero > {target}; trap '' TERM; {FOREVER}"


def shell(script: str, **fields: Any) -> Container:
    return container(image="busybox:latest", command=("sh", "-c", script), stop_timeout=120.0, **fields)


class Plane:
    """The least control plane: hands out workloads, keeps their last status."""

    def __init__(self, *workloads: Workload) -> None:
        self._workloads = workloads
        self.statuses: dict[str, WorkloadStatus] = {}
        self._news = asyncio.Event()

    async def watch(self, machine: MachineId, session: str) -> AsyncIterator[bytes]:
        clock = SystemClock()
        yield msgspec.json.encode(Hello(PROTOCOL_VERSION, OWNER, MACHINE, clock.wall()))
        for each in self._workloads:
            yield msgspec.json.encode(Apply(each))
        await asyncio.get_running_loop().create_future()

    async def report(self, report: Report) -> Receipt:
        self.statuses.update({status.uid: status for status in report.statuses})
        self._news.set()
        return Receipt(tuple((status.uid, status.sequence) for status in report.statuses))

    async def logs(self, batch: LogBatch) -> LogReceipt:
        return LogReceipt(batch.position)

    async def stopped(self, uid: str) -> WorkloadStatus:
        async with asyncio.timeout(PATIENCE):
            while uid not in self.statuses or self.statuses[uid].phase is not WorkloadPhase.STOPPED:
                self._news.clear()
                await self._news.wait()
        return self.statuses[uid]


@asynccontextmanager
async def running(real: Machine, root: Path, *workloads: Workload) -> AsyncIterator[Plane]:
    plane: Any = Plane(*workloads)
    runtime = real.runtime()
    facts = MachineFacts(MACHINE, "host", cpu_millis=2000, memory_bytes=4 << 30)
    ports = AgentPorts(runtime, plane, MemoryJournal(), SystemClock(), SystemEntropy())
    task = asyncio.create_task(MachineAgent(facts, OWNER, ports, root=root).run())
    try:
        yield plane
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for sandbox in await runtime.sandboxes():
            await runtime.remove_sandbox(sandbox.id)
        await runtime.close()


def limited(uid: str, script: str, limit: int, *volumes: Volume) -> Workload:
    mounts = tuple(Mount(volume.name, f"/{volume.name}") for volume in volumes)
    return workload(
        uid,
        shell(script, mounts=mounts),
        network=NetworkMode.NONE,
        ephemeral_storage_bytes=limit * MIB,
        volumes=volumes,
    )


async def test_what_outgrows_its_storage_is_stopped_and_what_keeps_within_runs_on(tmp_path: Path) -> None:
    root = limited("root", fills("/big", 8), 4)
    scratch = limited("scratch", fills("/data/big", 8), 4, Volume("data", "scratch"))
    small = limited("small", fills("/data/big", 8), 64, Volume("data", "scratch", size_bytes=4 * MIB))
    modest = limited("modest", fills("/big", 8), 64, Volume("data", "scratch"))
    async with machine() as real, running(real, tmp_path, root, scratch, small, modest) as plane:
        over = {uid: await plane.stopped(uid) for uid in ("root", "scratch", "small")}
        assert {status.cause for status in over.values()} == {StopCause.STORAGE_EXCEEDED}
        assert "containers 8 MiB" in over["root"].reason and "exceeds the limit of 4 MiB" in over["root"].reason
        assert "volumes 8 MiB" in over["scratch"].reason
        assert over["small"].reason == "Usage of volume data (8 MiB) exceeds its limit of 4 MiB"
        for status in over.values():
            assert status.containers[0].exit_code == 137, "it would not stop, and was given no 120 seconds"
            assert status.stopped_at - status.stopping_at < 10
        assert plane.statuses["modest"].phase is WorkloadPhase.RUNNING
        assert not (tmp_path / "volumes" / "scratch").exists(), "what it wrote is gone with it"
