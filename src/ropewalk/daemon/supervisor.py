"""The process that keeps the others alive, and nothing else.

`ropewalk up` starts it in a session of its own. It starts each process of the plan as a detached process, waits for any
to end, and starts it again with growing back-off. Killed itself, it takes nobody along: the next `up` starts another
one, which finds the processes by their pid files and goes on watching them. On SIGTERM it stops watching and leaves
them running: `down` ends them one by one, in its own order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ropewalk.base.clock import Clock, SystemClock
from ropewalk.base.log import logger
from ropewalk.base.settings import Settings
from ropewalk.daemon import layout
from ropewalk.daemon.parts import Parts, default_folder
from ropewalk.daemon.processes import DetachedProcess, ProcessRecord, ended, own_command, reap

log = logger(__name__)

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 10.0
_STEADY_AFTER = 30.0
"""A process that lived this long starts again at once, with its back-off forgotten."""


@dataclass(frozen=True, slots=True)
class Supervised:
    """One line of the plan."""

    name: str
    launch: Callable[[], ProcessRecord]
    """Starts the process, or answers the one that runs."""


def own_process(settings: Settings, name: str) -> Supervised:
    """One of our own Python processes: it reads its settings from the home it is given."""
    process = DetachedProcess(name, settings.run, settings.logs)
    return Supervised(name, partial(process.start, own_command(name, settings.home)))


def plan(settings: Settings, clock: Clock) -> tuple[Supervised, ...]:
    """What runs, in the order of its start. Each waits for what it needs, so the order is only for speed."""
    commands = Parts(default_folder(settings)).provide()
    others = [Supervised("containerd", layout.containerd(settings, commands, clock).launch)]
    if settings.mirror:
        others.append(Supervised("registry", layout.registry(settings, commands, clock).launch))
    return (
        *others,
        own_process(settings, "aws"),
        own_process(settings, "host-agent"),
        own_process(settings, "machine-agent"),
    )


async def keep_alive(item: Supervised, clock: Clock) -> None:
    """Start it, wait for its end, start it again; for ever."""
    delay = _FIRST_DELAY
    while True:
        begun = clock.monotonic()
        try:
            record = item.launch()
        except OSError as failure:
            log.error("process does not start", process=item.name, reason=failure, after=delay)
        else:
            await ended(record)
            reap(record)
            if clock.monotonic() - begun > _STEADY_AFTER:
                delay = _FIRST_DELAY
            log.warning("process ended, starting it again", process=item.name, pid=record.pid, after=delay)
        await clock.sleep(delay)
        delay = min(delay * 2, _LONGEST_DELAY)


async def serve(settings: Settings) -> None:
    """Until cancelled; what runs then runs on."""
    clock = SystemClock()
    async with asyncio.TaskGroup() as watchers:
        for item in plan(settings, clock):
            watchers.create_task(keep_alive(item, clock))
