"""`ropewalk up` for real: parts, registry, containerd, then our own processes; returns once all of it answers.

Idempotent: what runs is adopted, what is missing is started. Nothing on the host changes but what `down` takes back.
"""

from __future__ import annotations

import asyncio
import dataclasses
from ipaddress import IPv4Network

from ropewalk.base.clock import Clock, SystemClock
from ropewalk.base.errors import Fault, Retryable
from ropewalk.base.settings import DEFAULT_CIDR, Settings
from ropewalk.daemon import admin, layout, ports
from ropewalk.daemon.host_check import check
from ropewalk.daemon.host_claim import HostClaim
from ropewalk.daemon.images import PAUSE_IMAGE, ImageBuilder
from ropewalk.daemon.installation import Beacon, chosen_range, earlier, find_beacon, running, save_settings
from ropewalk.daemon.parts import Parts, default_folder
from ropewalk.daemon.processes import DetachedProcess, own_command
from ropewalk.daemon.progress import Reporter
from ropewalk.network.host_lock import HostLock
from ropewalk.network.hostfacts import read as read_host_facts
from ropewalk.network.names import Names
from ropewalk.network.ranges import check_ranges, free_range

READY_WITHIN = 60.0
"""Seconds from the start of our processes to all of them answering; nothing is fetched or unpacked by then."""
_POLL = 0.05


def start(settings: Settings, images: str, reporter: Reporter) -> Beacon:
    return asyncio.run(_start(settings, images, reporter, SystemClock()))


async def _start(wanted: Settings, images: str, reporter: Reporter, clock: Clock) -> Beacon:
    reporter.step("Looking at this host")
    _require_host(wanted)
    claim = HostClaim(wanted.home)
    claim.check()
    _require_network(wanted)
    settings = settle(wanted)
    _require_port(settings)
    reporter.step("Parts")
    parts = Parts(default_folder(settings), progress=reporter.detail)
    commands = await asyncio.to_thread(parts.provide)
    builder = ImageBuilder(default_folder(settings) / "images", parts, progress=reporter.detail)
    save_settings(settings)
    claim.take()
    if images == "local":
        reporter.step("A local registry with nginx and busybox from Debian's packages")
        registry = layout.registry(settings, commands, clock)
        await registry.start()
        await asyncio.to_thread(builder.push, registry.client())
        settings = dataclasses.replace(settings, mirror=registry.address)
        save_settings(settings)
    reporter.step("containerd")
    containerd = layout.containerd(settings, commands, clock)
    await containerd.start(layout.mirror(settings))
    await containerd.import_image(await asyncio.to_thread(builder.archive, "pause"), PAUSE_IMAGE)
    reporter.step("Control plane and agents")
    supervisor = DetachedProcess("supervisor", settings.run, settings.logs)
    supervisor.start(own_command("supervisor", settings.home))
    await _ready(settings, supervisor, reporter, clock)
    return find_beacon(settings.home)


def _require_host(settings: Settings) -> None:
    lacks = [finding for finding in check(settings) if finding.required and not finding.fine]
    if lacks:
        listed = "\n".join(f"  {finding.what}: {finding.mend}" for finding in lacks)
        raise Fault("HostUnfit", f"This host lacks what real containers need:\n{listed}\nAll of it: ropewalk doctor")


def settle(wanted: Settings) -> Settings:
    """What this installation is to run as: its own earlier choice of ranges, and what the user asks for now.

    An installation that runs refuses other settings by name; one that is down takes them.
    """
    before = earlier(wanted.home)
    chosen = chosen_range(wanted, before)
    if (present := running(wanted)) is not None:
        return present
    if before is None or not before.default_vpc_cidr:
        facts = read_host_facts()
        if chosen:
            check_ranges([IPv4Network(chosen)], facts)
        else:
            chosen = str(free_range(IPv4Network(DEFAULT_CIDR), facts))
    return dataclasses.replace(wanted, default_vpc_cidr=chosen)


def _require_network(settings: Settings) -> None:
    """A host agent whose installation was deleted by hand still has the host's network."""
    holder = HostLock(Names().prefix).holder()
    ours = DetachedProcess("host-agent", settings.run, settings.logs).record()
    if holder is not None and (ours is None or ours.pid != holder):
        raise Fault(
            "HostTaken",
            f"Process {holder} runs this host's network for an installation that is not here. "
            f"End that with its own `ropewalk down`; if its files are gone: sudo kill {holder}",
        )


def _require_port(settings: Settings) -> None:
    holder = ports.owner(settings.port)
    aws = DetachedProcess("aws", settings.run, settings.logs).record()
    if holder is not None and (aws is None or f"(pid {aws.pid})" not in holder):
        raise Fault(
            "PortBusy", f"Port {settings.port} is taken by {holder}. End it, or take another: ropewalk up --port 4599"
        )


async def _ready(settings: Settings, supervisor: DetachedProcess, reporter: Reporter, clock: Clock) -> None:
    """Wait until the control plane answers and this host's agents are connected."""
    until = clock.monotonic() + READY_WITHIN
    problem = "nothing answered"
    while clock.monotonic() < until:
        try:
            status = await asyncio.to_thread(admin.ask, settings.agent_socket, "GET", admin.STATUS)
        except Retryable as failure:
            problem = failure.reason
        else:
            if status["ready"]:
                return
            problem = status["waiting_for"]
            reporter.detail(f"waiting for {problem}")
        if supervisor.record() is None:
            problem = "the supervisor ended"
            break
        await clock.sleep(_POLL)
    tails = "\n".join(
        f"{name}: {DetachedProcess(name, settings.run, settings.logs).tail(4)}"
        for name in ("supervisor", "aws", "host-agent", "machine-agent")
    )
    raise Fault("NotReady", f"Ropewalk did not come up: {problem}. The processes' last words:\n{tails}")
