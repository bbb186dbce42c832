"""One machine with an agent and a fake runtime behind a gateway, for everything that opens streams to containers."""

from __future__ import annotations

import asyncio
from typing import Any

from ropewalk.agents.gateway import Gateway
from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.model.agent import WORKLOADS, MachineFacts
from ropewalk.model.ids import WorkloadUid
from ropewalk.model.status import WorkloadPhase
from ropewalk.model.workload import Container, Port, Workload
from ropewalk.node.agent import AgentPorts, MachineAgent
from ropewalk.node.fake_behaviour import from_command
from ropewalk.node.fake_runtime import FakeRuntime
from ropewalk.node.journal import MemoryJournal
from ropewalk.node.transport import DirectTransport, Transport
from ropewalk.runtime.table import Table
from ropewalk.store.memory import MemoryStore
from support.agents import MemoryLogSink, Roles
from support.workloads import MACHINE, OWNER, container, workload

PATIENCE = 5.0
UID = WorkloadUid("w-1")


def server(**fields: Any) -> Container:
    """Runs until stopped; port 8080 is open."""
    return container("web", ports=(Port(8080),), essential=False, **fields)


class StreamWorld:
    """Time stands still unless advanced; talk needs none."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.store = MemoryStore(SeededEntropy(1), clock=self.clock)
        self.gateway = Gateway(
            self.store,
            OWNER,
            clock=self.clock,
            entropy=SeededEntropy(2),
            log_sink=MemoryLogSink(),
            role_sessions=Roles(self.clock),
        )
        self.runtime = FakeRuntime(self.clock, behaviours=from_command)
        self.workloads = Table(self.store, WORKLOADS, Workload)
        self._tasks: list[asyncio.Task[None]] = []
        self.agent: MachineAgent | None = None
        self._agent_task: asyncio.Task[None] | None = None

    def start_agent(self, transport: Transport | None = None) -> None:
        facts = MachineFacts(MACHINE, hostname="host", cpu_millis=2000, memory_bytes=4 << 30)
        ports = AgentPorts(
            self.runtime,
            transport or DirectTransport(self.gateway.handle),
            MemoryJournal(),
            self.clock,
            SeededEntropy(3),
        )
        self.agent = MachineAgent(facts, OWNER, ports)
        self._agent_task = asyncio.get_running_loop().create_task(self.agent.run())

    async def kill_agent(self) -> None:
        assert self._agent_task is not None
        self._agent_task.cancel()
        await asyncio.gather(self._agent_task, return_exceptions=True)

    async def up(self, *containers: Container) -> StreamWorld:
        self._tasks.append(asyncio.get_running_loop().create_task(self.gateway.run()))
        self.start_agent()
        await self.clock.advance(1.0)
        await self.workloads.create(f"{MACHINE}/{UID}", workload(UID, *(containers or (server(),)), hostname="web-0"))
        await self.clock.advance(1.0)
        assert self.agent is not None
        status = self.agent.status(UID)
        assert status is not None and status.phase in (WorkloadPhase.RUNNING, WorkloadPhase.STOPPED), status
        return self

    async def down(self) -> None:
        await self.kill_agent()
        self.gateway.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
