"""`ropewalk down` and `reset`: tasks first, with a reason; then our processes; then what they made on this host.

Each step finds its work by looking (pid files, labels in containerd, names in the kernel), so that it ends what a crash
left behind as well as what runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil

from ropewalk.base.clock import Clock, SystemClock
from ropewalk.base.entropy import SystemEntropy
from ropewalk.base.errors import Fault, Retryable
from ropewalk.base.settings import Settings
from ropewalk.daemon import admin, layout
from ropewalk.daemon.containers import end_containers
from ropewalk.daemon.host_claim import HostClaim
from ropewalk.daemon.host_process import host_agent
from ropewalk.daemon.installation import credentials_file
from ropewalk.daemon.parts import Command, Parts, default_folder
from ropewalk.daemon.processes import DetachedProcess
from ropewalk.daemon.progress import Reporter
from ropewalk.node.transport import HttpTransport

DRAIN_WITHIN = 180.0
"""Longer than the longest stopTimeout of Fargate (120 s) and the draining before it."""
_POLL = 0.1
OURS = ("supervisor", "machine-agent", "aws", "host-agent")
"""In the order of their end: the supervisor would start the others again."""


def stop(settings: Settings, force: bool, reporter: Reporter) -> None:
    asyncio.run(_stop(settings, force, reporter, SystemClock()))


async def _stop(settings: Settings, force: bool, reporter: Reporter, clock: Clock) -> None:
    if not force:
        reporter.step("Stopping tasks")
        await _drain(settings, reporter, clock)
    reporter.step("Stopping the control plane and agents")
    for name in OURS:
        await asyncio.to_thread(DetachedProcess(name, settings.run, settings.logs).stop)
    if not settings.simulated:
        await _take_back(settings, reporter, clock)
    for name in ("beacon.json", "agents.sock", "host.sock"):
        (settings.run / name).unlink(missing_ok=True)


async def _drain(settings: Settings, reporter: Reporter, clock: Clock) -> None:
    """Ask for the end of every task until none is left. Without a control plane there is nobody to ask."""
    if DetachedProcess("aws", settings.run, settings.logs).record() is None:
        reporter.note("The control plane was not running: its tasks are killed, and say so at the next `ropewalk up`.")
        return
    until = clock.monotonic() + DRAIN_WITHIN
    while clock.monotonic() < until:
        with contextlib.suppress(Retryable):
            remaining = int(
                (await asyncio.to_thread(admin.ask, settings.agent_socket, "POST", admin.DRAIN))["remaining"]
            )
            if remaining == 0:
                return
            reporter.detail(f"{remaining} still stopping")
        await clock.sleep(_POLL)
    raise Fault("StillRunning", "Some tasks did not stop in time. Kill them with: ropewalk down --force")


async def _take_back(settings: Settings, reporter: Reporter, clock: Clock) -> None:
    """Containers, containerd, network, registry: everything that outlives our processes."""
    claim = HostClaim(settings.home)
    if claim.elsewhere() is not None:
        return  # none of it is ours: `up` starts nothing on a host that another installation has
    commands = _commands(settings)
    if commands is None:
        claim.release()
        return
    reporter.step("Removing containers, interfaces and routers")
    containerd = layout.containerd(settings, commands, clock)
    if containerd.process.record() is None and containerd.layout.state.exists():
        await containerd.start(layout.mirror(settings))  # it died: only it can still remove its containers
    if containerd.process.record() is not None:
        left = await end_containers(layout.places(settings, commands), clock, SystemEntropy())
        for what in left:
            reporter.note(f"could not be removed: {what}")
        await containerd.stop()
    shutil.rmtree(containerd.layout.state, ignore_errors=True)
    await host_agent(settings, clock, HttpTransport(socket_path=str(settings.agent_socket))).teardown()
    await layout.registry(settings, commands, clock).stop()
    claim.release()


def _commands(settings: Settings) -> dict[str, Command] | None:
    """The parts, where they are here: without them nothing can have been started."""
    parts = Parts(default_folder(settings))
    if not all(part.found for part in parts.check()):
        return None
    return parts.provide()


def forget(settings: Settings, parts: bool) -> None:
    """Remove the state of a stopped installation, and with `parts` the unpacked programs too."""
    kept = None if parts else default_folder(settings)
    key = credentials_file(settings)
    key.unlink(missing_ok=True)
    if key.parent != settings.home:
        with contextlib.suppress(OSError):  # somebody keeps more there
            key.parent.rmdir()
    if settings.home.is_dir():
        for entry in settings.home.iterdir():
            if entry == kept:
                continue
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        with contextlib.suppress(OSError):  # not empty: the parts are kept
            settings.home.rmdir()
    if settings.run.is_dir():
        shutil.rmtree(settings.run, ignore_errors=True)
