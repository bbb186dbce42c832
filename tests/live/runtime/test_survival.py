"""Containers outlive our processes and containerd's own; and once all is ended, nothing is left."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from live.runtime.steps import SLEEP, Up, Watch, shell
from live.runtime.test_life import INTERFACE
from ropewalk.base.clock import SystemClock
from ropewalk.base.entropy import SystemEntropy
from ropewalk.daemon.containers import end_containers
from ropewalk.model.workload import Mount, NetworkMode, Resources
from ropewalk.node.cri.runtime import CriRuntime
from ropewalk.node.runtime import RunState
from support.containers import Machine, alive, machine, processes_under, until
from support.workloads import container


def mounts() -> set[str]:
    return set(Path("/proc/self/mounts").read_text().splitlines())


def cgroups(path: str) -> list[Path]:
    return list(Path("/sys/fs/cgroup").glob(f"*{path}"))


async def test_a_new_runtime_adopts_what_the_old_one_made(real: Machine) -> None:
    first = real.runtime()
    spec = container(image="busybox", command=SLEEP)
    limits = Resources(cpu_millis=500, memory_bytes=64 << 20)
    up = await Up(real, first, spec, network=NetworkMode.INTERFACE, interface=INTERFACE, resources=limits).start()
    before = await first.containers()
    await first.close()
    quota = real.cgroup("cpu", "w") / "cpu.cfs_quota_us"
    quota.write_text("-1")  # as if the first had died between the start and the limit
    second = real.runtime()
    await second.open()
    assert await second.containers() == before and before[0].state is RunState.RUNNING
    assert quota.read_text() == "50000\n"
    assert real.network.detached == []
    box = (await second.sandboxes())[0]
    assert box.id == up.sandbox and box.namespace == real.network.attached[0].namespace
    await second.close()
    third = real.runtime()
    await third.remove_sandbox(up.sandbox)
    assert real.network.detached[0] == "eni-1"
    await third.close()


async def test_interfaces_of_sandboxes_that_went_unseen_are_collected(real: Machine) -> None:
    first = real.runtime()
    spec = container(image="busybox", command=SLEEP)
    up = await Up(real, first, spec, network=NetworkMode.INTERFACE, interface=INTERFACE).start()
    await first.close()
    other = real.runtime()  # removes without serving CNI, as containerd does by itself
    await other._client.stop_sandbox(up.sandbox)
    await other.close()
    assert real.network.detached == []
    second = real.runtime()
    await second.open()
    assert real.network.detached == ["eni-1"]
    await second.close()


async def test_containerd_killed_keeps_containers_logs_and_exit_codes(real: Machine, runtime: CriRuntime) -> None:
    counting = shell("i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.05; done", name="long")
    dying = shell("while [ ! -e /go/now ]; do sleep 0.05; done; exit 9", name="dies", mounts=(Mount("go", "/go"),))
    go = real.home / "go"
    go.mkdir()
    up = await Up(real, runtime, counting, dying).create({"go": str(go)})
    async with Watch(runtime) as watch:
        states = {name: await runtime.start(identity) for name, identity in up.ids.items()}
        record = real.containerd.process.record()
        assert record is not None
        os.kill(record.pid, signal.SIGKILL)
        await until(lambda: not alive(record.pid))
        (go / "now").touch()
        await until(lambda: not alive(states["dies"].pid))
        assert alive(states["long"].pid)
        seen = watch.breaks
        await real.containerd.start(real.mirror)
        await watch.next_break(seen)
        assert (await runtime.status(up.ids["long"])).pid == states["long"].pid

        async with asyncio.timeout(10):
            while (await runtime.status(up.ids["dies"])).state is not RunState.EXITED:
                await asyncio.sleep(0.01)
        assert (await runtime.status(up.ids["dies"])).exit_code == 9
    ticks = [int(line.split()[1]) for line in up.log("long").splitlines()]
    assert ticks == list(range(1, len(ticks) + 1))
    reached = len(ticks)
    await until(lambda: len(up.log("long").splitlines()) > reached)


async def test_nothing_is_left_behind() -> None:
    before = mounts()
    async with machine() as real:
        runtime = real.runtime()
        spec = container(image="busybox", command=SLEEP)
        ups = [
            Up(real, runtime, spec, uid=f"w{n}", network=NetworkMode.INTERFACE, interface=INTERFACE) for n in range(3)
        ]
        for up in ups:
            await up.start()
        pids = [state.pid for state in await runtime.containers()]
        assert all(alive(pid) for pid in pids) and len(pids) == 3
        await runtime.close()
        assert await end_containers(real.places, SystemClock(), SystemEntropy()) == []
        assert not any(alive(pid) for pid in pids)
        assert cgroups(real.places.cgroup) == []
        home = real.home
    assert processes_under(home) == []
    assert mounts() - before == set()
    assert not home.exists()
