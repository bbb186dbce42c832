"""An idle cluster does not pay for the scheduler; the first pod begins it."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.machinery.recorder import Events
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.scheduler.starting import LateScheduler
from support.kube_front import Server

PODS = GroupResource("", "pods")


def test_an_api_server_imports_no_numpy() -> None:
    code = "import sys, ropewalk.daemon.kube_process; raise SystemExit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_numpy_starts_no_threads() -> None:
    """The nursery forks after it."""
    code = (
        "import os; from ropewalk.kube.scheduler import starting; starting.load(); "
        "raise SystemExit(len(os.listdir('/proc/self/task')) - 1)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_it_begins_with_the_first_pod_and_goes_on_when_it_leads_again() -> None:
    clock = VirtualClock()
    server = await Server(clock=clock).start()
    events = Events(server.api, clock)
    late = LateScheduler(server.api, events.recorder("default-scheduler"), clock, SeededEntropy(1))
    run = asyncio.create_task(late.run())
    await clock.advance(5.0)
    assert late._scheduler is None
    spec = {"containers": [{"name": "main", "image": "nginx"}]}
    await server.api.create(PODS, {"metadata": {"name": "a", "namespace": "default"}, "spec": spec})
    for _ in range(1000):  # its import goes on in a thread, in real time
        await asyncio.sleep(0)
        if late._scheduler is not None:
            break
        await asyncio.to_thread(lambda: None)
    first = late._scheduler
    assert first is not None
    await clock.advance(1.0)
    assert len(first.queue) == 1
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    run = asyncio.create_task(late.run())
    await clock.advance(1.0)
    assert late._scheduler is first
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    await server.stop()
