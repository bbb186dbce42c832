"""How long containers take, side by side in one run: `ctr run -d` of nginx, and a bare CRI pod through our runtime.

Run as root: `python bench/runtime.py [ROUNDS]`. Prints medians in milliseconds and pods a second at eight at a time.
It uses a home of its own under /tmp and cleans it up; parts come from `ROPEWALK_PARTS` or are unpacked there.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from ropewalk.base.clock import SystemClock
from ropewalk.base.entropy import SystemEntropy
from ropewalk.base.settings import Settings
from ropewalk.daemon.containers import ContainerHost, MirrorMode, NoNetwork
from ropewalk.model.ids import MachineId, Owner, WorkloadUid
from ropewalk.model.workload import Container, Generation, Resources, Workload
from ropewalk.node.cri.runtime import CriRuntime
from ropewalk.node.runtime import ContainerSetup, ImageInfo

IMAGE = "docker.io/library/nginx:latest"
AT_ONCE = 8


def workload(uid: str) -> Workload:
    """Fargate's smallest task."""
    return Workload(
        uid=WorkloadUid(uid),
        owner=Owner("bench"),
        machine=MachineId("bench"),
        generation=Generation("bench", 1, 1),
        name="bench",
        containers=(Container("web", IMAGE),),
        resources=Resources(cpu_millis=250, memory_bytes=512 << 20),
    )


async def pod(runtime: CriRuntime, image: ImageInfo, uid: str, logs: str) -> str:
    """Sandbox and container up to its running state."""
    wanted = workload(uid)
    sandbox = await runtime.create_sandbox(wanted, f"{logs}/{uid}")
    container = await runtime.create_container(
        sandbox.id, wanted, wanted.containers[0], image, 0, ContainerSetup(log_path="web.log")
    )
    await runtime.start(container)
    return sandbox.id


async def milliseconds(work: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    await work()
    return (time.perf_counter() - begun) * 1000


async def measure(host: ContainerHost, rounds: int, logs: str) -> None:
    runtime = host.runtime(NoNetwork())
    ctr = [*host.parts.command("ctr").argv, "--address", str(host.places.socket), "--namespace", "bench"]
    try:
        image = await runtime.pull(IMAGE, None)
        registry = ["--plain-http", f"{host.registry.address}/library/nginx:latest"]
        subprocess.run([*ctr, "images", "pull", *registry], check=True, stdout=subprocess.DEVNULL)
        times: dict[str, list[float]] = {"ctr run -d": [], "CRI pod": []}
        for number in range(rounds):
            name = f"ctr-{number}"

            async def run(name: str = name) -> None:
                await asyncio.to_thread(subprocess.run, [*ctr, "run", "-d", registry[1], name], check=True)

            times["ctr run -d"].append(await milliseconds(run))
            subprocess.run([*ctr, "tasks", "rm", "-f", name], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([*ctr, "containers", "rm", name], check=True)
            made: list[str] = []

            async def up(number: int = number, made: list[str] = made) -> None:
                made.append(await pod(runtime, image, f"one-{number}", logs))

            times["CRI pod"].append(await milliseconds(up))
            await runtime.remove_sandbox(made[0])
        for what, series in times.items():
            print(f"{what:12} median {statistics.median(series):6.1f} ms  best {min(series):6.1f} ms")
        print(f"ratio        {statistics.median(times['CRI pod']) / statistics.median(times['ctr run -d']):.2f}")
        begun = time.perf_counter()
        sandboxes = await asyncio.gather(*(pod(runtime, image, f"many-{n}", logs) for n in range(AT_ONCE)))
        print(f"CRI pods, {AT_ONCE} at once: {AT_ONCE / (time.perf_counter() - begun):.1f} a second")
        await asyncio.gather(*(runtime.remove_sandbox(sandbox) for sandbox in sandboxes))
    finally:
        await runtime.close()


async def main(rounds: int) -> None:
    home = Path(tempfile.mkdtemp(prefix="ropewalk-bench-"))
    host = ContainerHost(Settings(home=home), SystemClock(), SystemEntropy())
    try:
        await host.start(MirrorMode.ALWAYS)
        await measure(host, rounds, str(home / "logs"))
    finally:
        await host.stop()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
