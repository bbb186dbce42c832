"""The machine agent's process on this host: it runs the workloads of Fargate tasks, each a machine of its own."""

from __future__ import annotations

import os
from pathlib import Path

from ropewalk import __version__
from ropewalk.base.clock import Clock, SystemClock
from ropewalk.base.entropy import SystemEntropy
from ropewalk.base.log import logger
from ropewalk.base.settings import Settings
from ropewalk.daemon import layout
from ropewalk.daemon.parts import Parts, default_folder
from ropewalk.model.agent import MachineFacts
from ropewalk.model.ids import AWS_CONTROL_PLANE, MachineId
from ropewalk.network.client import HostClient
from ropewalk.node.agent import AgentPorts, MachineAgent
from ropewalk.node.cri.runtime import CriRuntime
from ropewalk.node.journal import FileJournal
from ropewalk.node.runtime import RuntimeFailure
from ropewalk.node.transport import HttpTransport
from ropewalk.runtime.supervisor import Supervisor

log = logger(__name__)

HOST_MACHINE = MachineId("host")
RESERVED_MEMORY = 512 << 20
"""Left to the host itself and to our own processes."""
_RETRY = 0.5


def memory_of_host() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def facts_of_host() -> MachineFacts:
    cores = os.cpu_count() or 1
    return MachineFacts(
        machine=HOST_MACHINE,
        hostname=os.uname().nodename,
        cpu_millis=cores * 1000,
        memory_bytes=max(0, memory_of_host() - RESERVED_MEMORY),
        agent_version=__version__,
    )


async def serve(settings: Settings) -> None:
    clock, entropy = SystemClock(), SystemEntropy()
    journal = FileJournal(settings.home / "agent" / "journal")
    parts = Parts(default_folder(settings)).provide(("catatonit",))
    network = HostClient(settings.host_socket)
    runtime = CriRuntime(layout.places(settings, parts), network, clock, entropy)
    transport = HttpTransport(socket_path=str(settings.agent_socket))
    ports = AgentPorts(
        runtime=runtime,
        transport=transport,
        journal=journal,
        clock=clock,
        entropy=entropy,
        network=network,
    )
    agent = MachineAgent(
        facts_of_host(), AWS_CONTROL_PLANE, ports, root=settings.home / "workloads", cores=os.cpu_count() or 1
    )
    try:
        await _open(runtime, clock)
        await Supervisor(clock).run([agent])
    finally:
        await transport.close()
        await runtime.close()
        await journal.close()


async def _open(runtime: CriRuntime, clock: Clock) -> None:
    """Serve CNI again and collect what went meanwhile, as soon as containerd answers."""
    while True:
        try:
            await runtime.open()
            return
        except RuntimeFailure as away:
            log.warning("containerd does not answer yet", reason=away)
            await clock.sleep(_RETRY)
