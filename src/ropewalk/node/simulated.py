"""Many machines in one process: agents with fake runtimes over the production protocol, no socket between.

Containers do what their own command says where it is one of the few that are known, else they run until stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.http.messages import Handler
from ropewalk.model.agent import MachineFacts
from ropewalk.model.ids import MachineId, Owner
from ropewalk.node.agent import AgentPorts, MachineAgent
from ropewalk.node.fake_behaviour import from_command
from ropewalk.node.fake_runtime import FakeRuntime
from ropewalk.node.journal import MemoryJournal
from ropewalk.node.transport import DirectTransport

CPU_MILLIS = 8000
MEMORY_BYTES = 32 << 30


class SimulatedMachines:
    """A `Runnable`: one agent a name. `handler` is the gateway of the control plane `owner`."""

    name = "simulated-machines"

    def __init__(
        self, names: Iterable[str], owner: Owner, handler: Handler, clock: Clock, entropy: Entropy, version: str = ""
    ) -> None:
        transport = DirectTransport(handler)
        self.agents = [
            MachineAgent(
                MachineFacts(
                    machine=MachineId(name),
                    hostname=name,
                    cpu_millis=CPU_MILLIS,
                    memory_bytes=MEMORY_BYTES,
                    agent_version=version,
                ),
                owner,
                AgentPorts(
                    runtime=FakeRuntime(clock, name=name, behaviours=from_command),
                    transport=transport,
                    journal=MemoryJournal(),
                    clock=clock,
                    entropy=entropy,
                ),
                cores=8,
            )
            for name in names
        ]

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for agent in self.agents:
                group.create_task(agent.run(), name=f"simulated {agent.machine}")
