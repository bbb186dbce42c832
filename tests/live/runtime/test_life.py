"""Containers start, end, are limited and are watched as the Runtime promises."""

from __future__ import annotations

import asyncio
import os
import signal
import time
import urllib.request

import pytest

from live.runtime.steps import SLEEP, Up, Watch, shell
from ropewalk.daemon.ports import any_free
from ropewalk.model.workload import (
    EnvironmentVariable,
    InterfaceSpec,
    Isolation,
    Mount,
    NetworkMode,
    Resources,
    Ulimit,
)
from ropewalk.node.cri.runtime import CriRuntime
from ropewalk.node.runtime import (
    ContainerSetup,
    CreateFailed,
    ExecTimeout,
    ImageNotFound,
    PullProgress,
    RunState,
    StartFailed,
)
from support.containers import Machine, until
from support.workloads import container

INTERFACE = InterfaceSpec(
    "eni-1", "vpc-1", "subnet-1", "10.9.8.7", "10.9.8.0/24", "10.9.8.1", "02:00:00:00:00:07", "ip-10-9-8-7.ec2.internal"
)


async def test_nginx_serves_its_welcome_page_and_quits_gracefully(real: Machine, runtime: CriRuntime) -> None:
    site = real.home / "site.conf"
    site.write_text(f"server {{ listen 127.0.0.1:{(port := any_free())}; root /usr/share/nginx/html; }}")
    web = container("web", mounts=(Mount("site", "/etc/nginx/conf.d/default.conf", read_only=True),))
    up = await Up(real, runtime, web, network=NetworkMode.HOST).create({"site": str(site)})
    await runtime.start(up.ids["web"])

    def fetch() -> bytes:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1) as answer:
                return bytes(answer.read())
        except OSError:
            return b""

    page = b""
    async with asyncio.timeout(10):
        while not page:
            page = await asyncio.to_thread(fetch)
    assert b"Welcome to nginx!" in page
    await until(lambda: '"GET / HTTP/1.1" 200' in up.log("web"))
    image = await runtime.image("nginx")
    assert image is not None and image.stop_signal == "SIGQUIT" and image.command == ("nginx", "-g", "daemon off;")
    await runtime.stop(up.ids["web"], "", 10)
    assert (await runtime.status(up.ids["web"])).exit_code == 0


async def test_a_workloads_limits_are_its_cgroups(real: Machine, runtime: CriRuntime) -> None:
    spec = container(
        image="busybox",
        command=SLEEP,
        resources=Resources(cpu_shares=512, memory_bytes=64 << 20, memory_reservation_bytes=32 << 20, cpu_millis=900),
    )
    up = await Up(real, runtime, spec, resources=Resources(cpu_millis=250, memory_bytes=128 << 20)).start()
    inner = f"w/{up.ids['app']}"
    read = {
        (controller, file): int((real.cgroup(controller, path) / file).read_text())
        for controller, path, file in (
            ("cpu", "w", "cpu.cfs_quota_us"),
            ("memory", "w", "memory.limit_in_bytes"),
        )
    }
    assert read == {("cpu", "cpu.cfs_quota_us"): 25_000, ("memory", "memory.limit_in_bytes"): 128 << 20}
    assert (real.cgroup("cpu", inner) / "cpu.shares").read_text() == "512\n"
    assert (real.cgroup("cpu", inner) / "cpu.cfs_quota_us").read_text() == "25000\n"  # clamped to the workload's
    assert int((real.cgroup("memory", inner) / "memory.limit_in_bytes").read_text()) == 64 << 20
    assert int((real.cgroup("memory", inner) / "memory.soft_limit_in_bytes").read_text()) == 32 << 20
    (sample,) = await runtime.stats(up.workload.uid)
    assert sample.memory_limit_bytes == 64 << 20 and sample.processes >= 1 and sample.cpu_nanoseconds > 0


@pytest.mark.parametrize("own_limit", [True, False])
async def test_an_out_of_memory_kill_is_told_from_any_other(
    real: Machine, runtime: CriRuntime, own_limit: bool
) -> None:
    greedy = shell(
        "exec tail -n 1 /dev/zero",
        resources=Resources(memory_bytes=24 << 20 if own_limit else 0),
    )
    bystander = container("bystander", image="busybox", command=SLEEP)
    up = Up(real, runtime, bystander, greedy, resources=Resources(memory_bytes=48 << 20))
    await up.create()
    async with Watch(runtime) as watch:
        await runtime.start(up.ids["bystander"])
        await runtime.start(up.ids["app"])
        told = await watch.exit_of(up.ids["app"], 30)
        assert told.exit_code == 137 and told.out_of_memory
        assert (await runtime.status(up.ids["app"])).out_of_memory
        os.kill((await runtime.status(up.ids["bystander"])).pid, signal.SIGKILL)
        spared = await watch.exit_of(up.ids["bystander"])
        assert spared.exit_code == 137 and not spared.out_of_memory
        assert not (await runtime.status(up.ids["bystander"])).out_of_memory


async def test_exits_are_told_within_moments(real: Machine, runtime: CriRuntime) -> None:
    up = await Up(real, runtime, shell("read line; exit 9", interactive=True), shell("exit 9", name="quick")).create()
    async with Watch(runtime) as watch:
        await runtime.start(up.ids["quick"])
        told = await watch.exit_of(up.ids["quick"])
        assert told.exit_code == 9 and time.time() - told.finished_at < 1
        status = await runtime.status(up.ids["quick"])
        assert status.state is RunState.EXITED and status.exit_code == 9 and status.pid == 0


async def test_a_container_is_as_its_record_says(real: Machine, runtime: CriRuntime) -> None:
    folder = real.home / "shared"
    folder.mkdir()
    (folder / "note").write_text("from outside\n")
    script = "; ".join(
        (
            "id -u",
            "id -g",
            "ulimit -n",
            "echo $WHO",
            "pwd",
            "cat /data/note",
            "touch /data/x 2>/dev/null || echo data is read-only",
            "touch /x 2>/dev/null || echo root is read-only",
            "cat /proc/1/comm",
            "grep Seccomp: /proc/self/status | tr -d '\\t'",
            "cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
            "cat /etc/hosts",
            "cat /etc/resolv.conf",
            "hostname",
            "grep -c ' /proc/sys ro' /proc/self/mountinfo",
        )
    )
    spec = shell(
        script,
        user="1000:1001",
        ulimits=(Ulimit("nofile", 333, 444),),
        environment=(EnvironmentVariable("WHO", "me"),),
        working_directory="/tmp",
        mounts=(Mount("data", "/data", read_only=True),),
        read_only_root=True,
        init=True,
        sysctls=(("net.ipv4.ip_unprivileged_port_start", "81"),),
    )
    up = Up(
        real,
        runtime,
        spec,
        network=NetworkMode.INTERFACE,
        interface=INTERFACE,
        dns_servers=("10.9.8.2",),
        dns_search=("corp.example",),
        extra_hosts=(("db", "10.9.8.9"),),
    )
    await up.create({"data": str(folder)})
    async with Watch(runtime) as watch:
        await runtime.start(up.ids["app"])
        assert (await watch.exit_of(up.ids["app"])).exit_code == 0
    lines = up.log().splitlines()
    assert lines[:10] == [
        "1000",
        "1001",
        "333",
        "me",
        "/tmp",
        "from outside",
        "data is read-only",
        "root is read-only",
        "docker-init",
        "Seccomp:2",
    ]
    assert lines[10] == "81"
    assert "10.9.8.7 ip-10-9-8-7.ec2.internal ip-10-9-8-7" in lines and "10.9.8.9 db" in lines
    assert "nameserver 10.9.8.2" in lines and "search corp.example" in lines
    assert lines[-2:] == ["ip-10-9-8-7.ec2.internal", "1"]


async def test_interfaces_are_asked_for_and_given_back(real: Machine, runtime: CriRuntime) -> None:
    spec = container(image="busybox", command=SLEEP)
    up = await Up(real, runtime, spec, network=NetworkMode.INTERFACE, interface=INTERFACE).start()
    (attachment,) = real.network.attached
    box = (await runtime.sandboxes())[0]
    assert attachment.interface == "eni-1" and attachment.namespace == box.namespace and box.address == "10.9.8.7"
    loopback = await runtime.exec_sync(up.ids["app"], ("cat", "/sys/class/net/lo/operstate"), 5)
    assert (await runtime.exec_sync(up.ids["app"], ("ping", "-c1", "-W1", "127.0.0.1"), 5)).exit_code == 0, loopback
    await runtime.remove_sandbox(up.sandbox)
    assert real.network.detached[0] == "eni-1"


async def test_what_cannot_be_made_or_started_says_why(real: Machine, runtime: CriRuntime) -> None:
    with pytest.raises(ImageNotFound):
        await runtime.pull("busybox:none", None)
    missing = container("missing", image="busybox", command=("/no/such/program",))
    nobody = container("nobody", image="busybox", command=("true",), user="nobody-like-that")
    adrift = container("adrift", image="busybox", command=("true",), mounts=(Mount("none", "/x"),))
    up = await Up(real, runtime, missing).create()
    image = await runtime.image("busybox")
    assert image is not None
    with pytest.raises(StartFailed, match="no such file"):
        await runtime.start(up.ids["missing"])
    with pytest.raises(CreateFailed, match="nobody-like-that"):
        await runtime.create_container(up.sandbox, up.workload, nobody, image, 0, ContainerSetup())
    with pytest.raises(CreateFailed, match="volume none"):
        await runtime.create_container(up.sandbox, up.workload, adrift, image, 0, ContainerSetup())
    with pytest.raises(CreateFailed, match="gvisor"):
        await Up(real, runtime, missing, uid="w2", isolation=Isolation.OWN_KERNEL).create()
    assert not real.cgroup("memory", "w2").exists()


async def test_commands_run_inside_within_their_time(real: Machine, runtime: CriRuntime) -> None:
    up = await Up(real, runtime, container(image="busybox", command=SLEEP)).start()
    identity = up.ids["app"]
    answer = await runtime.exec_sync(identity, ("sh", "-c", "echo out; echo err >&2; exit 5"), 5)
    assert (answer.exit_code, answer.stdout, answer.stderr) == (5, b"out\n", b"err\n")
    assert (await runtime.exec_sync(identity, ("no-such-command",), 5)).exit_code == 127
    with pytest.raises(ExecTimeout):
        await runtime.exec_sync(identity, ("sleep", "30"), 1)


async def test_a_pull_tells_how_far_it_is(real: Machine, runtime: CriRuntime) -> None:
    told: list[PullProgress] = []
    info = await runtime.pull("nginx:latest", None, told.append)
    assert told[-1].done_bytes == told[-1].total_bytes == info.size_bytes > 1 << 20
    same = await runtime.pull("docker.io/library/nginx:latest", None)
    assert same.digest == info.digest
