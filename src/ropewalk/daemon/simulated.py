"""Starting simulated mode: no root, no containers; the same control plane over fake machines, all in one process."""

from __future__ import annotations

import contextlib
import dataclasses

from ropewalk.base.errors import Fault, Retryable
from ropewalk.base.settings import DEFAULT_CIDR, Settings
from ropewalk.daemon import early, ports
from ropewalk.daemon.host_claim import HostClaim
from ropewalk.daemon.installation import Beacon, chosen_range, earlier, find_beacon, running, save_settings
from ropewalk.daemon.processes import DetachedProcess, own_command

READY_WITHIN = 20.0


def start_simulated(settings: Settings) -> Beacon:
    """Start the one process, or attach to it; returns once it answers."""
    process = DetachedProcess("aws", settings.run, settings.logs)
    chosen = chosen_range(settings, earlier(settings.home))
    if running(settings) is None:
        if HostClaim(settings.home).holder() == settings.home.resolve():
            raise Fault("AlreadyRunning", "Real containers of this installation may still run. First: ropewalk down")
        if (holder := ports.owner(settings.port)) is not None:
            raise Fault("PortBusy", f"Port {settings.port} is taken by {holder}. Take another: ropewalk up --port 4599")
        settings = dataclasses.replace(settings, default_vpc_cidr=chosen or DEFAULT_CIDR)
        save_settings(settings)
        if not early.hand_over(process, settings.home):
            process.start(own_command("aws", settings.home))
    return _ready(settings, process)


def _ready(settings: Settings, process: DetachedProcess) -> Beacon:
    """Wait until it answers. Imports what that takes only now, while the process does its own imports."""
    from ropewalk.base.clock import SystemClock
    from ropewalk.daemon import admin

    clock = SystemClock()
    until = clock.monotonic() + READY_WITHIN
    while clock.monotonic() < until and process.record() is not None:
        with contextlib.suppress(Retryable):
            if admin.ask(settings.agent_socket, "GET", admin.STATUS)["ready"]:
                return find_beacon(settings.home)
        clock.pause(0.005)
    raise Fault("NotReady", f"The simulated control plane did not come up. Its last words:\n{process.tail(8)}")
