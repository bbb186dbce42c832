"""Simulated mode: no root, no containers; the same control plane over fake machines, all in one process."""

from __future__ import annotations

import contextlib
import dataclasses
import sys

from ropewalk import __version__
from ropewalk.base.clock import Clock, SystemClock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Fault, Retryable
from ropewalk.base.settings import DEFAULT_CIDR, Settings
from ropewalk.daemon import admin, ports
from ropewalk.daemon.control_plane import OWNER, ControlPlane
from ropewalk.daemon.host_claim import HostClaim
from ropewalk.daemon.installation import Beacon, chosen_range, earlier, find_beacon, running, save_settings
from ropewalk.daemon.processes import DetachedProcess
from ropewalk.model.agent import MachineFacts
from ropewalk.model.ids import MachineId
from ropewalk.runtime.controller import Runnable

READY_WITHIN = 20.0
HOST_CPU_MILLIS = 1_000_000
HOST_MEMORY = 4 << 40
"""One fake host as large as a rack: simulated tasks are refused for their definition, not for want of room."""


def machines(plane: ControlPlane, clock: Clock, entropy: Entropy) -> list[Runnable]:
    """One fake host for Fargate, in this process."""
    from ropewalk.node.agent import AgentPorts, MachineAgent
    from ropewalk.node.fake_runtime import FakeRuntime
    from ropewalk.node.journal import MemoryJournal
    from ropewalk.node.transport import DirectTransport

    facts = MachineFacts(
        machine=MachineId("simulated"),
        hostname="simulated",
        cpu_millis=HOST_CPU_MILLIS,
        memory_bytes=HOST_MEMORY,
        agent_version=__version__,
    )
    parts = AgentPorts(
        runtime=FakeRuntime(clock),
        transport=DirectTransport(plane.gateway.handle),
        journal=MemoryJournal(),
        clock=clock,
        entropy=entropy,
    )
    return [MachineAgent(facts, OWNER, parts, cores=8)]


def start_simulated(settings: Settings) -> Beacon:
    """Start the one process, or attach to it; returns once it answers."""
    clock = SystemClock()
    process = DetachedProcess("aws", settings.run, settings.logs)
    chosen = chosen_range(settings, earlier(settings.home))
    if running(settings) is None:
        if HostClaim(settings.home).holder() == settings.home.resolve():
            raise Fault("AlreadyRunning", "Real containers of this installation may still run. First: ropewalk down")
        if (holder := ports.owner(settings.port)) is not None:
            raise Fault("PortBusy", f"Port {settings.port} is taken by {holder}. Take another: ropewalk up --port 4599")
        settings = dataclasses.replace(settings, default_vpc_cidr=chosen or DEFAULT_CIDR)
        save_settings(settings)
        process.start((sys.executable, "-m", "ropewalk.daemon.aws_process", str(settings.home)))
    until = clock.monotonic() + READY_WITHIN
    while clock.monotonic() < until and process.record() is not None:
        with contextlib.suppress(Retryable):
            if admin.ask(settings.agent_socket, "GET", admin.STATUS)["ready"]:
                return find_beacon(settings.home)
        clock.pause(0.005)
    raise Fault("NotReady", f"The simulated control plane did not come up. Its last words:\n{process.tail(8)}")
