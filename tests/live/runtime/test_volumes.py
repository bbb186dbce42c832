"""Volumes as an agent makes them, in real containers: parts of them, memory, files that change, last words."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from live.runtime.steps import SLEEP, shell
from ropewalk.base.clock import SystemClock
from ropewalk.model.agent import MachineFacts
from ropewalk.model.status import ContainerStatus, Waiting, WorkloadPhase
from ropewalk.model.workload import (
    Container,
    File,
    HttpGet,
    Mount,
    Pause,
    Probe,
    Resources,
    RestartRule,
    RunCommand,
    Volume,
    Workload,
)
from ropewalk.node.agent import AgentPorts, MachineAgent
from ropewalk.node.cri.runtime import CriRuntime
from ropewalk.node.journal import MemoryJournal
from ropewalk.node.mounts import part
from ropewalk.node.transport import DirectTransport
from support.agents import World
from support.containers import Machine
from support.workloads import MACHINE, OWNER, container, stop, workload


class Running:
    """One real machine with its agent and a control plane beside it."""

    def __init__(self, world: World, agent: MachineAgent, root: Path, runtime: CriRuntime) -> None:
        self.world = world
        self.agent = agent
        self.root = root
        self.runtime = runtime

    async def give(self, what: Workload) -> None:
        key = f"{MACHINE}/{what.uid}"
        if await self.world.workloads.get(key) is None:
            await self.world.workloads.create(key, what)
        else:
            await self.world.workloads.mutate(key, lambda held: what)

    def container(self, name: str = "app", uid: str = "w") -> ContainerStatus | None:
        status = self.agent.status(uid)
        return None if status is None else status.container(name)

    async def up(self, what: Workload) -> None:
        await self.give(what)
        await self.until(lambda: all((c := self.container(each.name)) is not None and c.up for each in what.containers))

    async def until(self, check: Any, seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds):
            while not check():
                await asyncio.sleep(0.05)

    async def say(self, *command: str, name: str = "app") -> str:
        found = self.container(name)
        assert found is not None
        result = await self.runtime.exec_sync(found.runtime_id, command, 10.0)
        return (result.stdout + result.stderr).decode()


@asynccontextmanager
async def running(real: Machine, runtime: CriRuntime) -> AsyncIterator[Running]:
    world = World(1, machines=0)
    world.clock = SystemClock()  # type: ignore[assignment]  # real containers take real time
    world.start_gateway()
    assert world.gateway is not None
    facts = MachineFacts(MACHINE, hostname="host", cpu_millis=2000, memory_bytes=4 << 30)
    ports = AgentPorts(runtime, DirectTransport(world.gateway.handle), MemoryJournal(), world.clock, world.entropy)
    root = real.home / "workloads"
    agent = MachineAgent(facts, OWNER, ports, root=root)
    task = asyncio.create_task(agent.run())
    try:
        yield Running(world, agent, root, runtime)
    finally:
        for item in await world.workloads.list():
            await world.workloads.mutate(item.key, lambda held: stop(replace(held, stop_timeout=0.0), 0))
        try:
            async with asyncio.timeout(30):
                while any(status.phase is not WorkloadPhase.STOPPED for status in agent.statuses()):
                    await asyncio.sleep(0.05)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await world.stop_gateway()


def podlike(spec: Container, **fields: Any) -> Container:
    return replace(spec, essential=False, insists=True, **fields)


def forever(**fields: Any) -> Container:
    return podlike(container(image="busybox:latest", command=SLEEP), **fields)


async def test_volumes_are_what_their_record_says(real: Machine, runtime: CriRuntime) -> None:
    v1 = Volume("given", "files", files=(File("mode", b"fast"), File("sub/key", b"1", 0o400)), version="1")
    mounts = (
        Mount("given", "/etc/given", read_only=True),
        Mount("given", "/etc/one", read_only=True, sub_path="mode"),
        Mount("shared", "/part", sub_path="a/b"),
        Mount("shared", "/whole"),
        Mount("tmp", "/tmpfs"),
    )
    volumes = (v1, Volume("shared", "scratch"), Volume("tmp", "memory", size_bytes=1 << 20))
    what = workload("w", forever(mounts=mounts), volumes=volumes, number=0)
    async with running(real, runtime) as machine:
        await machine.up(what)
        say = machine.say
        assert await say("cat", "/etc/given/mode", "/etc/given/sub/key", "/etc/one") == "fast1fast"
        assert "Read-only" in await say("sh", "-c", "echo x > /etc/given/new")
        await say("sh", "-c", "echo hello > /part/file")
        assert await say("cat", "/whole/a/b/file") == "hello\n"
        assert " tmpfs " in await say("grep", " /tmpfs ", "/proc/mounts")
        assert "1048576" in await say("sh", "-c", "head -c 2097152 /dev/zero > /tmpfs/big; wc -c /tmpfs/big")
        v2 = replace(v1, files=(File("mode", b"slow"),), version="2")
        await machine.give(replace(what, volumes=(v2, *volumes[1:])))
        async with asyncio.timeout(10):
            while await say("cat", "/etc/given/mode") != "slow":
                await asyncio.sleep(0.05)
        assert await say("cat", "/etc/one") == "fast", "a part of a volume stays as it was"
        assert "No such file" in await say("cat", "/etc/given/sub/key")
        await machine.give(stop(replace(what, volumes=(v2, *volumes[1:])), 0))
        await machine.until(lambda: machine.agent.status("w").phase is WorkloadPhase.STOPPED)
        assert not (machine.root / "volumes" / "w").exists() and not (machine.root / "parts" / "w").exists()
        assert str(machine.root) not in Path("/proc/self/mountinfo").read_text()


async def test_hooks_probes_and_last_words(real: Machine, runtime: CriRuntime) -> None:
    script = "test -f /whole/started || exit 9; echo spoken > /dev/termination-log; echo from the log; exit 3"
    talker = podlike(
        shell(script, "talker"),
        restart=RestartRule.NEVER,
        message_path="/dev/termination-log",
        mounts=(Mount("shared", "/whole"),),
    )
    mute = podlike(shell("echo from the log; exit 4", "mute"), message_path="/dev/x", message_from_log=True)
    web = podlike(
        container("app", image="nginx:latest"),
        mounts=(Mount("shared", "/whole"),),
        restart=RestartRule.ALWAYS,
        startup=Probe(question=HttpGet(80), interval=0.5, delay=0.0, timeout=2.0, failures=20),
        liveness=Probe(("test", "!", "-f", "/whole/ill"), interval=0.5, delay=0.0, timeout=2.0, failures=1),
        after_start=RunCommand(("touch", "/whole/started")),
        before_stop=Pause(1.0),
        stop_timeout=10.0,
    )
    async with running(real, runtime) as machine:
        what = workload("w", web, volumes=(Volume("shared", "scratch"),), number=0)
        await machine.up(what)
        assert (machine.root / "volumes" / "w" / "shared" / "started").exists()
        others = workload("o", replace(talker, mounts=(Mount("h", "/whole"),)), mute, number=0)
        folder = str(machine.root / "volumes" / "w" / "shared")
        await machine.give(replace(others, volumes=(Volume("h", "host", folder),)))
        await machine.until(lambda: (s := machine.agent.status("o")) is not None and s.phase is WorkloadPhase.STOPPED)
        said = {c.name: (c.exit_code, c.message) for c in machine.agent.status("o").containers}
        assert said == {"talker": (3, "spoken\n"), "mute": (4, "from the log\n")}
        begun = machine.container()
        (machine.root / "volumes" / "w" / "shared" / "ill").touch()
        await machine.until(lambda: (c := machine.container()) is not None and c.last is not None)
        ended = machine.container().last
        assert ended is not None and begun is not None and ended.runtime_id == begun.runtime_id
        (machine.root / "volumes" / "w" / "shared" / "ill").unlink()
        notes = {(note.kind.value, note.probe and note.probe.value) for note in machine.agent.status("w").notes}
        assert {("probe-failed", "liveness"), ("stopping", "liveness")} <= notes


async def test_a_container_is_confined_as_its_record_says(real: Machine, runtime: CriRuntime) -> None:
    spec = forever(
        user=":7",
        must_not_be_root=False,
        no_new_privileges=True,
        drop_capabilities=("ALL",),
        add_capabilities=("NET_BIND_SERVICE",),
        out_of_memory_score=321,
        mounts=(Mount("shared", "/shared"), Mount("given", "/given", read_only=True)),
    )
    given = Volume("given", "files", files=(File("key", b"1", 0o400),), version="1")
    what = workload(
        "w",
        spec,
        volumes=(Volume("shared", "scratch"), given),
        number=0,
        groups=(2000, 3000),
        volume_group=2000,
        dns_servers=("10.100.0.10",),
        dns_search=("a.b", "c"),
        dns_options=("ndots:5",),
        extra_hosts=(("legacy", "10.9.9.9"),),
        resources=Resources(cpu_shares=2),
    )
    async with running(real, runtime) as machine:
        await machine.up(what)
        facts = dict(
            line.split(":\t", 1)
            for line in (await machine.say("cat", "/proc/self/status")).splitlines()
            if ":\t" in line
        )
        assert facts["Gid"].split() == ["7"] * 4 and facts["Uid"].split() == ["0"] * 4
        assert {"2000", "3000"} <= set(facts["Groups"].split())
        assert facts["NoNewPrivs"] == "1" and facts["Seccomp"] == "2"
        assert int(facts["CapEff"], 16) == 1 << 10
        assert await machine.say("cat", "/proc/1/oom_score_adj") == "321\n"
        assert (await machine.say("stat", "-c", "%a %g", "/shared")) == "2777 2000\n"
        assert (await machine.say("stat", "-L", "-c", "%a %g", "/given/key")) == "440 2000\n"
        await machine.say("touch", "/shared/new")
        assert (await machine.say("stat", "-c", "%g", "/shared/new")) == "2000\n"
        resolver = await machine.say("cat", "/etc/resolv.conf")
        assert resolver.split() == ["search", "a.b", "c", "nameserver", "10.100.0.10", "options", "ndots:5"]
        assert "10.9.9.9 legacy" in await machine.say("cat", "/etc/hosts")
        assert (real.cgroup("cpu", "w") / "cpu.shares").read_text() == "2\n"


async def test_what_must_not_be_root_is_not_made_as_root(real: Machine, runtime: CriRuntime) -> None:
    async with running(real, runtime) as machine:
        await machine.give(workload("w", forever(must_not_be_root=True), number=0))
        await machine.until(lambda: (c := machine.container()) is not None and c.waiting is Waiting.HELD)
        found = machine.container()
        assert found is not None and found.reason.startswith("container has runAsNonRoot and image will run as root")


async def test_of_many_restarts_only_the_last_leaves_anything(real: Machine, runtime: CriRuntime) -> None:
    failing = podlike(
        shell("cat /part/x; echo bye > /dev/termination-log; exit 1"),
        restart=RestartRule.ALWAYS,
        message_path="/dev/termination-log",
        mounts=(Mount("shared", "/part", sub_path="a"),),
    )
    async with running(real, runtime) as machine:
        await machine.give(workload("w", failing, volumes=(Volume("shared", "scratch"),), number=0))
        await machine.until(lambda: (c := machine.container()) is not None and c.restarts == 3, 60.0)
        found = machine.container()
        assert (
            found is not None and found.message == "bye\n" and found.last is not None and found.last.message == "bye\n"
        )
        assert {each.attempt for each in await runtime.containers()} == {1, 2}
        assert sorted(os.listdir(machine.root / "logs" / "w" / "app")) == ["1.log", "2.log"]
        assert sorted(os.listdir(machine.root / "messages" / "w" / "app")) == ["1", "2"]
        assert sorted(os.listdir(machine.root / "parts" / "w" / "app")) == ["1-0", "2-0"]


@pytest.mark.parametrize("path", ["link/etc", "link", "../x", "/etc"])
def test_a_part_of_a_volume_never_leads_out_of_it(tmp_path: Path, path: str) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "link").symlink_to("/")
    with pytest.raises(OSError, match="subPath"):
        part(volume, path, tmp_path / "target")
    assert not os.path.ismount(tmp_path / "target")
