"""The fakes of simulated mode: a host, its runtime and its network, in the aws process, over the real protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ropewalk import __version__
from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.daemon.control_plane import ControlPlane
from ropewalk.model.agent import FabricDown, MachineFacts
from ropewalk.model.ids import AWS_CONTROL_PLANE, MachineId
from ropewalk.network.fake import FakeHostNetwork
from ropewalk.node.agent import AgentPorts, MachineAgent
from ropewalk.node.fake_runtime import FakeRuntime
from ropewalk.node.journal import MemoryJournal
from ropewalk.node.transport import DirectTransport, TransportFailure
from ropewalk.runtime.controller import Runnable

HOST = "simulated"
HOST_CPU_MILLIS = 1_000_000
HOST_MEMORY = 4 << 40
"""One fake host as large as a rack: simulated tasks are refused for their definition, not for want of room."""


def machines(plane: ControlPlane, clock: Clock, entropy: Entropy) -> list[Runnable]:
    """One fake host for Fargate."""
    transport = DirectTransport(plane.gateway.handle)

    async def fabric() -> AsyncIterator[FabricDown]:
        try:
            async for message in transport.fabric(HOST):
                yield message
        except TransportFailure as failure:
            raise Retryable(str(failure)) from failure

    network = FakeHostNetwork(fabric, clock)
    facts = MachineFacts(
        machine=MachineId(HOST),
        hostname=HOST,
        cpu_millis=HOST_CPU_MILLIS,
        memory_bytes=HOST_MEMORY,
        agent_version=__version__,
    )
    ports = AgentPorts(
        runtime=FakeRuntime(clock, network=network),
        transport=transport,
        journal=MemoryJournal(),
        clock=clock,
        entropy=entropy,
    )
    return [network, MachineAgent(facts, AWS_CONTROL_PLANE, ports, cores=8)]
