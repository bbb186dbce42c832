"""`ropewalk up` for real: parts, registry, containerd, then our own processes; returns once all of it answers.

Idempotent: what runs is adopted, what is missing is started. Nothing on the host changes but what `down` takes back.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys

from ropewalk.base.clock import Clock, SystemClock
from ropewalk.base.errors import Fault, Retryable
from ropewalk.base.settings import Settings
from ropewalk.daemon import admin, ports
from ropewalk.daemon.containerd import Containerd
from ropewalk.daemon.host_check import check
from ropewalk.daemon.images import ImageBuilder
from ropewalk.daemon.installation import Beacon, find_beacon, load_settings, save_settings
from ropewalk.daemon.parts import Parts, default_folder
from ropewalk.daemon.processes import DetachedProcess
from ropewalk.daemon.progress import Reporter
from ropewalk.daemon.registry import LocalRegistry

READY_WITHIN = 60.0
"""Seconds from the start of our processes to all of them answering; a first start unpacks nothing any more by then."""


def start(settings: Settings, images: str, reporter: Reporter) -> Beacon:
    return asyncio.run(_start(settings, images, reporter, SystemClock()))


async def _start(settings: Settings, images: str, reporter: Reporter, clock: Clock) -> Beacon:
    reporter.step("Looking at this host")
    _require_host(settings)
    settings = _settled(settings)
    _require_port(settings)
    reporter.step("Parts")
    parts = Parts(default_folder(settings), progress=reporter.detail)
    await asyncio.to_thread(parts.provide)
    builder = ImageBuilder(default_folder(settings) / "images", parts, progress=reporter.detail)
    if images == "local":
        reporter.step("Local registry with nginx and busybox from Debian's packages")
        registry = local_registry(settings, parts, clock)
        await registry.start()
        await asyncio.to_thread(builder.push, registry.client())
        settings = dataclasses.replace(settings, mirror=registry.address)
    save_settings(settings)
    reporter.step("containerd")
    await containerd(settings, parts, clock).start()
    reporter.step("Control plane and agents")
    supervisor = DetachedProcess("supervisor", settings.run, settings.logs)
    supervisor.start((sys.executable, "-m", "ropewalk.daemon.supervisor", str(settings.home)))
    await _ready(settings, supervisor, reporter, clock)
    return find_beacon(settings.home)
