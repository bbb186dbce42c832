"""The aws process: one endpoint for every AWS API, the reconcilers of every service, and their store.

Listens on 127.0.0.1 for clients of this host, on a Unix socket for agents and the administrator, and inside every VPC
for the workloads in it. In simulated mode the machines are fakes that live in this same process and speak the same
agent protocol; nothing else differs.
"""

from __future__ import annotations

import asyncio

from ropewalk.base.clock import Clock, SystemClock
from ropewalk.base.entropy import Entropy, SystemEntropy
from ropewalk.base.http.server import HttpServer
from ropewalk.base.settings import Settings
from ropewalk.daemon.control_plane import ControlPlane, build
from ropewalk.daemon.installation import publish
from ropewalk.runtime.controller import Runnable
from ropewalk.runtime.supervisor import Supervisor
from ropewalk.services.logs import SqliteJournal
from ropewalk.store.opening import open_store

STORE_FILE = "aws.db"


async def serve(settings: Settings) -> None:
    clock, entropy = SystemClock(), SystemEntropy()
    address = settings.store or f"sqlite:{settings.home / STORE_FILE}"
    # Fake machines die with this process, so a simulated installation gains nothing by waiting for the disk.
    store = await open_store(address, entropy, clock, power_safe=not settings.simulated)
    journal = await SqliteJournal.open(settings.home / "logs" / "events.db")
    try:
        plane = await build(settings, store, journal, clock, entropy)
        doors = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Supervisor(clock).run(plane.runnables))
            tasks.create_task(_listen(settings, plane, clock, doors))
            await doors.wait()
            # Only now: importing what machines take must not keep the first caller waiting.
            tasks.create_task(Supervisor(clock).run(_machines(settings, plane, clock, entropy)))
    finally:
        await journal.close()
        await store.close()


def _machines(settings: Settings, plane: ControlPlane, clock: Clock, entropy: Entropy) -> list[Runnable]:
    """Fakes in simulated mode; else what serves the VPCs of the real host agent."""
    if settings.simulated:
        from ropewalk.daemon.simulated_machines import machines

        return machines(plane, clock, entropy)
    from ropewalk.daemon.vpc_listeners import VpcListeners

    return [VpcListeners(plane, clock)]


async def _listen(settings: Settings, plane: ControlPlane, clock: Clock, doors: asyncio.Event) -> None:
    """Open the doors once the caches are warm; agents first, so that nobody is told of a machine that is lost."""
    await plane.synced()
    agents = HttpServer(plane.handle_agents, name="agents", clock=clock)
    await agents.serve_unix(settings.agent_socket)
    host = HttpServer(plane.courtesy.first(plane.front.handle), name="host", clock=clock, refuse=plane.front.refuse)
    await host.serve_tcp("127.0.0.1", settings.port)
    publish(settings, plane.key)
    doors.set()
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await asyncio.gather(agents.close(), host.close())
