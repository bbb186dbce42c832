"""ECS with its real neighbours: the ec2 slice, the agents' gateway and a machine agent over the fake runtime.

Virtual time; nothing here scripts a peer, so that what each part believes of the others is put to the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ropewalk.agents.gateway import Gateway
from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.settings import Settings
from ropewalk.model.agent import LogBatch, LogReceipt, MachineFacts
from ropewalk.model.ids import AWS_CONTROL_PLANE, MachineId
from ropewalk.model.readers import TemporaryKeys
from ropewalk.node.agent import AgentPorts, MachineAgent
from ropewalk.node.fake_runtime import FakeRuntime
from ropewalk.node.journal import MemoryJournal
from ropewalk.node.transport import DirectTransport
from ropewalk.services import ec2 as ec2_package
from ropewalk.services import ecs as ecs_package
from ropewalk.services.ec2.records import Interface
from ropewalk.services.ecs.slice import assemble
from ropewalk.store.memory import MemoryStore
from support.ecs import LogGroups, Network, Roles, World


class Logs:
    def __init__(self) -> None:
        self.lines: list[str] = []

    async def append(self, batch: LogBatch, role_arn: str | None) -> LogReceipt:
        self.lines += [line.message for line in batch.lines]
        return LogReceipt(batch.position)


class Sessions:
    async def session(self, role_arn: str, session_name: str, seconds: float) -> TemporaryKeys:
        return TemporaryKeys("ASIA", "secret", "token", seconds)


class House(World):
    """The slice among its neighbours."""

    runtime: FakeRuntime
    ec2: ec2_package.Ec2
    subnet: str

    async def until(self, task: str, state: str, seconds: int = 600) -> dict[str, Any]:
        for _ in range(seconds * 4):
            seen = await self.task(task)
            if seen["lastStatus"] == state:
                return seen
            await self.clock.advance(0.25)
        raise AssertionError(f"the task is {seen['lastStatus']}: {seen.get('stoppedReason')}")

    async def interfaces(self) -> list[Interface]:
        return [item.record for item in await self.ec2.interfaces.list()]

    async def run(self, environment: str = "", **definition: Any) -> str:
        registered = await self.register(**definition)
        network = {"awsvpcConfiguration": {"subnets": [self.subnet]}}
        overrides: dict[str, Any] = {}
        if environment:
            variable = {"name": "ROPEWALK_SIMULATE", "value": environment}
            overrides = {"containerOverrides": [{"name": "web", "environment": [variable]}]}
        answer = await self.call(
            "RunTask",
            taskDefinition=registered["taskDefinitionArn"],
            launchType="FARGATE",
            networkConfiguration=network,
            overrides=overrides,
        )
        assert answer["failures"] == []
        identifier: str = answer["tasks"][0]["taskArn"].rpartition("/")[2]
        return identifier


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    clock, entropy, settings = VirtualClock(), SeededEntropy(5), Settings()
    store = MemoryStore(entropy, clock=clock)
    ec2 = ec2_package.Ec2.over(store, clock, entropy, settings)
    await ec2_package.seed(ec2)
    feed = ec2_package.FabricFeed(ec2)
    gateway = Gateway(
        store,
        AWS_CONTROL_PLANE,
        clock=clock,
        entropy=entropy,
        log_sink=Logs(),
        role_sessions=Sessions(),
        fabric_source=feed,
    )
    views, roles, log_groups = ec2_package.NetworkViews(ec2), Roles(), LogGroups()
    ecs = assemble(store, clock, entropy, settings, views, roles, log_groups, gateway.connected)
    await ecs_package.seed(ecs)
    runtime = FakeRuntime(clock)
    facts = MachineFacts(MachineId("host"), "host", 8000, 32 << 30)
    ports = AgentPorts(runtime, DirectTransport(gateway.handle), MemoryJournal(), clock, entropy)
    made = House(ecs, clock, Network(), roles, log_groups)
    made.runtime, made.ec2 = runtime, ec2
    made.subnet = (await ec2.subnets.list())[0].record.id
    agent = MachineAgent(facts, AWS_CONTROL_PLANE, ports)
    for runnable in (*ec2_package.controllers(ec2, feed), gateway, *ecs_package.controllers(ecs), agent):
        made.running.append(asyncio.create_task(runnable.run(), name=runnable.name))
    await ecs.synced()
    await gateway.synced()
    for _ in range(40):
        await clock.advance(0.25)
        if gateway.connected(facts.machine):
            break
    await clock.settle()
    try:
        yield made
    finally:
        await made.stop()


async def test_the_lectures_task_runs_and_stops_and_leaves_nothing() -> None:
    async with house() as w:
        task = await w.run()
        up = await w.until(task, "RUNNING")
        assert up["containers"][0]["imageDigest"].startswith("sha256:")
        details = {item["name"]: item["value"] for item in up["attachments"][0]["details"]}
        [interface] = await w.interfaces()
        assert details["networkInterfaceId"] == interface.id
        assert details["privateDnsName"].endswith(".ec2.internal")
        assert up["pullStartedAt"] <= up["pullStoppedAt"] <= up["startedAt"]
        await w.call("StopTask", task=task, reason="done")
        down = await w.until(task, "STOPPED")
        assert (down["stopCode"], down["stoppedReason"]) == ("UserInitiated", "done")
        assert down["containers"][0]["exitCode"] in (0, 143)
        await w.clock.advance(30)
        assert await w.interfaces() == []
        assert (await w.ecs.store.list("/waist/workloads/")).entries == ()
        assert (await w.ecs.store.list("/waist/interface-claims/")).entries == ()
        await w.clock.advance(3700)
        for prefix in ("/ecs/tasks/", "/waist/statuses/"):
            assert (await w.ecs.store.list(prefix)).entries == ()


async def test_an_essential_containers_end_ends_the_task() -> None:
    async with house() as w:
        task = await w.run("exit=3 after=5")
        down = await w.until(task, "STOPPED")
        assert (down["stopCode"], down["stoppedReason"]) == (
            "EssentialContainerExited",
            "Essential container in task exited",
        )
        assert down["containers"][0]["exitCode"] == 3
        assert down["desiredStatus"] == "STOPPED" and "startedAt" in down


async def test_a_container_out_of_memory_says_so() -> None:
    async with house() as w:
        down = await w.until(await w.run("oom after=2"), "STOPPED")
        [container] = down["containers"]
        assert container["exitCode"] == 137 and container["reason"].startswith("OutOfMemoryError")


async def test_a_task_that_outgrows_its_ephemeral_storage_is_stopped_and_says_so() -> None:
    within, beyond = 25 << 30, (25 << 30) + 1
    async with house() as w:
        small = await w.run(f"storage={21 << 30}")
        down = await w.until(small, "STOPPED", 60)
        assert down["stopCode"] == "EssentialContainerExited"
        assert down["stoppedReason"].startswith("Ephemeral storage usage (21 GiB) exceeds the limit of 20 GiB")
        larger = await w.run(f"storage={within}", ephemeralStorage={"sizeInGiB": 25})
        full = await w.run(f"storage={beyond}", ephemeralStorage={"sizeInGiB": 25})
        assert "exceeds the limit of 25 GiB" in (await w.until(full, "STOPPED", 60))["stoppedReason"]
        assert (await w.task(larger))["lastStatus"] == "RUNNING"


async def test_an_image_that_cannot_be_pulled_fails_the_start() -> None:
    async with house() as w:
        w.runtime.refused_pulls["nginx:latest"] = "missing"
        down = await w.until(await w.run(), "STOPPED", seconds=3600)
        assert down["stopCode"] == "TaskFailedToStart"
        assert down["stoppedReason"].startswith("CannotPullContainerError")
        assert "startedAt" not in down


async def test_many_tasks_share_a_host_and_a_full_one_refuses_the_rest() -> None:
    async with house() as w:
        tasks = [await w.run() for _ in range(32)]
        for task in tasks:
            await w.until(task, "RUNNING")
        addresses = {interface.id for interface in await w.interfaces()}
        assert len(addresses) == 32
        network = {"awsvpcConfiguration": {"subnets": [w.subnet]}}
        full = await w.call("RunTask", taskDefinition="webapp", launchType="FARGATE", networkConfiguration=network)
        assert full["tasks"] == [] and full["failures"][0]["reason"].startswith("Capacity is unavailable")
