"""A task's lines are written as its execution role, from registration to a permission that is revoked while it runs.

The whole control plane as the daemon wires it, an agent with real files, fake containers; real time, waited for by
deadline.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ropewalk.aws.operations import Call, Operations, Principal
from ropewalk.base.clock import SystemClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.settings import Settings
from ropewalk.daemon.control_plane import ControlPlane, build
from ropewalk.model.agent import MachineFacts
from ropewalk.model.ids import AWS_CONTROL_PLANE, MachineId, WorkloadUid
from ropewalk.node import logs as pump
from ropewalk.node.agent import AgentPorts, MachineAgent
from ropewalk.node.fake_behaviour import Behaviour
from ropewalk.node.fake_runtime import FakeRuntime
from ropewalk.node.journal import MemoryJournal
from ropewalk.node.shapes import rfc3339_nano
from ropewalk.node.transport import DirectTransport, NotGiven
from ropewalk.services import logs
from ropewalk.store.memory import MemoryStore

GROUP = "/ecs/webapp"
ROLE = "arn:aws:iam::123456789012:role/ecsTaskExecutionRole"
POLICY = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
PATIENCE = 20.0


class Everything:
    async def require(self, *args: Any) -> None:
        return None


class House:
    def __init__(self, plane: ControlPlane, root: Path) -> None:
        self.plane = plane
        self.root = root
        self.clock = SystemClock()
        self.slices: dict[str, tuple[Operations[Any], Any]] = {
            mount.service: (mount.operations, mount.slice) for mount in plane.front._mounts.values()
        }

    async def __call__(self, service: str, operation: str, **params: Any) -> Any:
        operations, slice_ = self.slices[service]
        settings = self.plane.settings
        call = Call(
            service=service,
            operation=operation,
            request_id="r",
            account=settings.account,
            region=settings.region,
            principal=Principal("arn", settings.account, "id", "root"),
            now=self.clock.wall(),
            source_ip="127.0.0.1",
            host="h",
            authorizer=Everything(),
        )
        return await operations.offered[operation].run(slice_, call, params)

    async def run_task(self, **options: str) -> str:
        awslogs = {"awslogs-group": GROUP, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "web", **options}
        container = {
            "name": "web",
            "image": "nginx:latest",
            "logConfiguration": {"logDriver": "awslogs", "options": awslogs},
        }
        registered = await self(
            "ecs",
            "RegisterTaskDefinition",
            family="webapp",
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            executionRoleArn=ROLE,
            taskRoleArn=ROLE,
            containerDefinitions=[container],
        )
        subnet = (await self("ec2", "DescribeSubnets"))["Subnets"][0]["SubnetId"]
        answer = await self(
            "ecs",
            "RunTask",
            taskDefinition=registered["taskDefinition"]["taskDefinitionArn"],
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": [subnet]}},
        )
        assert answer["failures"] == []
        arn: str = answer["tasks"][0]["taskArn"]
        return arn

    async def until(self, arn: str, state: str) -> Any:
        async def reached() -> Any:
            [task] = (await self("ecs", "DescribeTasks", tasks=[arn]))["tasks"]
            return task if task["lastStatus"] == state else None

        return await eventually(reached)

    async def lines(self) -> list[str]:
        answer = await self("logs", "FilterLogEvents", logGroupName=GROUP)
        return [event["message"] for event in answer["events"]]

    def write(self, arn: str, text: str) -> None:
        path = self.root / "logs" / arn.rpartition("/")[2] / "web" / "0.log"
        with path.open("a") as file:
            file.write(f"{rfc3339_nano(self.clock.wall())} stdout F {text}\n")


async def eventually(check: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(PATIENCE):
        while not (found := await check()):
            await asyncio.sleep(0.02)
    return found


@asynccontextmanager
async def house(root: Path) -> AsyncIterator[House]:
    clock, entropy = SystemClock(), SeededEntropy(3)
    plane = await build(Settings(home=root, simulated=True), MemoryStore(entropy), logs.MemoryJournal(), clock, entropy)
    runtime = FakeRuntime(clock, behaviours=lambda workload, container: Behaviour(output=("hello",)))
    facts = MachineFacts(MachineId("host"), "host", 8000, 32 << 30)
    ports = AgentPorts(runtime, DirectTransport(plane.gateway.handle), MemoryJournal(), clock, entropy)
    agent = MachineAgent(facts, AWS_CONTROL_PLANE, ports, root=root)
    running = [asyncio.create_task(runnable.run()) for runnable in (*plane.runnables, agent)]
    made = House(plane, root)
    try:
        await plane.synced()

        async def connected() -> bool:
            return plane.gateway.connected(facts.machine) and bool(plane.ecs.machines.items())

        await eventually(connected)
        yield made
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def test_lines_are_written_as_the_execution_role_and_stop_with_its_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "REFUSED_RETRY", 0.1)
    async with house(tmp_path) as w:
        await w("logs", "CreateLogGroup", logGroupName=GROUP)
        task = await w.run_task()
        await w.until(task, "RUNNING")

        async def came(expected: list[str]) -> bool:
            return await w.lines() == expected

        await eventually(lambda: came(["hello"]))
        await w("iam", "DetachRolePolicy", RoleName="ecsTaskExecutionRole", PolicyArn=POLICY)
        refused = asyncio.Event()
        sink_append = logs.JournalSink.append

        async def watched(self: logs.JournalSink, *arguments: Any) -> Any:
            receipt = await sink_append(self, *arguments)
            if receipt.failure:
                assert "is not authorized to perform: logs:PutLogEvents on resource" in receipt.failure
                refused.set()
            return receipt

        monkeypatch.setattr(logs.JournalSink, "append", watched)
        w.write(task, "while revoked")
        await asyncio.wait_for(refused.wait(), PATIENCE)
        assert await w.lines() == ["hello"]
        assert (await w.until(task, "RUNNING"))["desiredStatus"] == "RUNNING"
        await w("iam", "AttachRolePolicy", RoleName="ecsTaskExecutionRole", PolicyArn=POLICY)
        await eventually(lambda: came(["hello", "while revoked"]))
        w.write(task, "last words")
        await w("ecs", "StopTask", task=task)
        await w.until(task, "STOPPED")
        await eventually(lambda: came(["hello", "while revoked", "last words"]))


@pytest.mark.parametrize(
    ("options", "action", "what", "stream"),
    [
        ({}, "logs:CreateLogStream", "stream", "web/web/{id}"),
        ({"awslogs-create-group": "true"}, "logs:CreateLogGroup", "group", ""),
    ],
)
async def test_a_role_that_may_not_open_its_stream_fails_the_start_as_on_fargate(
    tmp_path: Path, options: dict[str, str], action: str, what: str, stream: str
) -> None:
    async with house(tmp_path) as w:
        if not options:
            await w("logs", "CreateLogGroup", logGroupName=GROUP)
            await w("iam", "DetachRolePolicy", RoleName="ecsTaskExecutionRole", PolicyArn=POLICY)
        arn = await w.run_task(**options)
        identifier = arn.rpartition("/")[2]
        stopped = await w.until(arn, "STOPPED")
        assert stopped["stopCode"] == "TaskFailedToStart"
        assert stopped["stoppedReason"] == (
            "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "
            f"failed to create Cloudwatch log {what}: AccessDeniedException: User: "
            f"arn:aws:sts::123456789012:assumed-role/ecsTaskExecutionRole/{identifier} is not authorized to perform: "
            f"{action} on resource: arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}:log-stream:"
            f"{stream.format(id=identifier)} because no identity-based policy allows the {action} action"
            " : exit status 1"
        )


async def test_a_role_whose_trust_is_withdrawn_gives_a_task_no_further_keys(tmp_path: Path) -> None:
    async with house(tmp_path) as w:
        await w("logs", "CreateLogGroup", logGroupName=GROUP)
        task = await w.run_task()
        await w.until(task, "RUNNING")
        transport, uid = DirectTransport(w.plane.gateway.handle), WorkloadUid(task.rpartition("/")[2])
        assert (await transport.credentials(MachineId("host"), uid, "task")).access_key_id.startswith("ASIA")
        trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        await w("iam", "UpdateAssumeRolePolicy", RoleName="ecsTaskExecutionRole", PolicyDocument=document)
        with pytest.raises(NotGiven, match=r"AccessDenied: ecs-tasks\.amazonaws\.com"):
            await transport.credentials(MachineId("host"), uid, "task")
