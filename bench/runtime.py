"""How long containers take, side by side in one run: `ctr run -d` of nginx, and a bare CRI pod through our runtime.

Needs root. It uses a home of its own under the temporary folder and leaves nothing behind; parts come from
`ROPEWALK_PARTS`, else from the default home.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench.rows import Row
from ropewalk.base.clock import SystemClock
from ropewalk.base.entropy import SystemEntropy
from ropewalk.base.settings import Settings
from ropewalk.daemon.containerd import Containerd, Layout, Mirror
from ropewalk.daemon.containers import NoNetwork, end_containers
from ropewalk.daemon.images import PAUSE_IMAGE, ImageBuilder
from ropewalk.daemon.parts import Parts, default_folder
from ropewalk.daemon.registry import LocalRegistry
from ropewalk.model.ids import MachineId, Owner, WorkloadUid
from ropewalk.model.workload import Container, Generation, Resources, Workload
from ropewalk.node.cri.cgroups import Cgroups
from ropewalk.node.cri.runtime import CriRuntime, Places
from ropewalk.node.runtime import ContainerSetup, ImageInfo

IMAGE = "docker.io/library/nginx:latest"
CTR_CGROUP = "/bench"
"""Named by ctr after its containerd namespace; it leaves the folders."""
AT_ONCE = 8
ROUNDS = 15
title = "containers: one at a time and eight at once"


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


def ctr(parts: Parts, layout: Layout, *arguments: str) -> None:
    command = parts.command("ctr")
    argv = [*command.argv, "--address", str(layout.socket), "--namespace", "bench", *arguments]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def measure(
    runtime: CriRuntime, parts: Parts, layout: Layout, registry: str, rounds: int, logs: str
) -> list[Row]:
    image = await runtime.pull(IMAGE, None)
    reference = f"{registry}/library/nginx:latest"
    await asyncio.to_thread(ctr, parts, layout, "images", "pull", "--plain-http", reference)
    private = ("--fifo-dir", f"{logs}/fifo", "--runc-root", f"{logs}/runc")
    times: dict[str, list[float]] = {"ctr run -d": [], "CRI pod": []}
    for number in range(rounds):
        name, made = f"ctr-{number}", ""
        begun = time.perf_counter()
        await asyncio.to_thread(ctr, parts, layout, "run", "-d", *private, reference, name)
        times["ctr run -d"].append((time.perf_counter() - begun) * 1000)
        await asyncio.to_thread(ctr, parts, layout, "tasks", "rm", "-f", name)
        await asyncio.to_thread(ctr, parts, layout, "containers", "rm", name)
        begun = time.perf_counter()
        made = await pod(runtime, image, f"one-{number}", logs)
        times["CRI pod"].append((time.perf_counter() - begun) * 1000)
        await runtime.remove_sandbox(made)
    begun = time.perf_counter()
    sandboxes = await asyncio.gather(*(pod(runtime, image, f"many-{n}", logs) for n in range(AT_ONCE)))
    rate = AT_ONCE / (time.perf_counter() - begun)
    await asyncio.gather(*(runtime.remove_sandbox(sandbox) for sandbox in sandboxes))
    ctr_time, pod_time = (statistics.median(series) for series in times.values())
    return [
        Row("nginx running, one at a time", f"{pod_time:.0f} ms", f"ctr run -d {ctr_time:.0f} ms", pod_time / ctr_time),
        Row(f"bare CRI pods, {AT_ONCE} at once", f"{rate:.1f}/s"),
    ]


async def measure_in(home: Path, rounds: int) -> list[Row]:
    clock, entropy = SystemClock(), SystemEntropy()
    folder = default_folder(Settings())
    parts = Parts(folder)
    commands = parts.provide()
    images = ImageBuilder(folder / "images", parts)
    layout = Layout(home / "containerd", home / "run" / "containerd")
    registry = LocalRegistry(commands["docker-registry"], home / "registry", home / "run", home / "logs", clock)
    containerd = Containerd(layout, commands, home / "run", home / "logs", clock)
    init = Path(commands["catatonit"].path)
    places = Places(layout.socket, layout.cni_calls, layout.agent_state, init, "/ropewalk/bench")
    try:
        await registry.start()
        images.push(registry.client())
        await containerd.start(Mirror(registry.address, everything=True))
        await containerd.import_image(images.archive("pause"), PAUSE_IMAGE)
        runtime = CriRuntime(places, NoNetwork(), clock, entropy)
        try:
            return await measure(runtime, parts, layout, registry.address, rounds, str(home / "logs"))
        finally:
            await runtime.close()
    finally:
        await end_containers(places, clock, entropy)
        await containerd.stop()
        await registry.stop()
        Cgroups(CTR_CGROUP).remove_parent()


def run() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="ropewalk-bench-") as folder:
        return asyncio.run(measure_in(Path(folder), ROUNDS))
