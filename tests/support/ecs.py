"""An ecs slice over a store in memory, with scripted neighbours: ec2 fills in claims, a host's agent reports.

The peers do only what a test tells them to: an agent's every report is one call. Time is virtual.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ropewalk.aws.operations import Call, Params, Principal
from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.errors import Fault
from ropewalk.base.settings import Settings
from ropewalk.model.agent import MACHINES, MachineFacts
from ropewalk.model.ids import MachineId, SecurityGroupId, SubnetId, VpcId, WorkloadUid
from ropewalk.model.network import InterfaceClaim, SubnetSpec
from ropewalk.model.readers import SubnetView
from ropewalk.model.status import ContainerPhase, ContainerStatus, StopCause, WorkloadPhase, WorkloadStatus
from ropewalk.model.workload import Desire, Workload
from ropewalk.runtime.table import Table
from ropewalk.services import ecs as package
from ropewalk.services.ecs.slice import Ecs, assemble
from ropewalk.store.memory import MemoryStore
from ropewalk.store.protocol import Store

FIXTURES = Path(__file__).parent.parent / "fixtures"
ACCOUNT = "123456789012"
REGION = "us-east-1"
HOST = MachineId("host-1")
ADMIN = Principal(arn=f"arn:aws:iam::{ACCOUNT}:user/tester", account=ACCOUNT, user_id="AIDATESTER", kind="user")
GIB = 1024**3


def lecture(name: str = "ecs-task-definition-webapp.json") -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FIXTURES / "lecture" / name).read_text())
    return document


class Allow:
    """Allows everything but the actions and resources that `denied` names, and remembers what was asked."""

    def __init__(self, *denied: str) -> None:
        self.denied = denied
        self.asked: list[tuple[str, str, Mapping[str, Sequence[str]]]] = []

    async def require(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Sequence[str]]
    ) -> None:
        self.asked.append((action, resource, context))
        if action in self.denied or resource in self.denied:
            raise Fault("AccessDeniedException", f"User: {principal.arn} is not authorized to perform: {action}")


@dataclass
class Network:
    """Three subnets of one VPC in three zones, one of another VPC."""

    subnets: dict[str, SubnetView] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, zone in enumerate("abc"):
            self.add(f"subnet-{zone}", "vpc-1", f"172.31.{16 * number}.0/20", f"{REGION}{zone}")
        self.add("subnet-x", "vpc-2", "10.0.0.0/24", f"{REGION}a")

    def add(self, name: str, vpc: str, cidr: str, zone: str, free: int = 4091) -> None:
        gateway = cidr.rpartition(".")[0] + ".1"
        self.subnets[name] = SubnetView(SubnetSpec(SubnetId(name), cidr, zone, gateway), VpcId(vpc), free)

    async def subnet(self, subnet: SubnetId) -> SubnetView | None:
        return self.subnets.get(subnet)

    async def security_group_vpc(self, group: SecurityGroupId) -> VpcId | None:
        return {"sg-1": VpcId("vpc-1"), "sg-default": VpcId("vpc-1"), "sg-x": VpcId("vpc-2")}.get(group)

    async def default_security_group(self, vpc: VpcId) -> SecurityGroupId:
        return SecurityGroupId("sg-default" if vpc == "vpc-1" else "sg-x")


class Roles:
    def __init__(self) -> None:
        self.trusting = {f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("ecsTaskExecutionRole", "app")}

    async def role_exists(self, role_arn: str) -> bool:
        return role_arn in self.trusting

    async def trusts(self, role_arn: str, service: str, source_arn: str = "") -> bool:
        return service == "ecs-tasks.amazonaws.com" and role_arn in self.trusting


class LogGroups:
    def __init__(self) -> None:
        self.groups = {"/ecs/webapp"}

    async def log_group_exists(self, name: str) -> bool:
        return name in self.groups


@dataclass
class World:
    """The slice and its neighbours. Make one with `world()`."""

    ecs: Ecs
    clock: VirtualClock
    network: Network
    roles: Roles
    log_groups: LogGroups
    authorizer: Allow = field(default_factory=Allow)
    principal: Principal = ADMIN
    running: list[asyncio.Task[None]] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)

    def request(self, operation: str) -> Call:
        """The administrator's, now."""
        return Call(
            service="ecs",
            operation=operation,
            request_id="request",
            account=ACCOUNT,
            region=REGION,
            principal=self.principal,
            now=self.clock.wall(),
            source_ip="127.0.0.1",
            host="127.0.0.1:4566",
            authorizer=self.authorizer,
        )

    async def call(self, operation: str, /, **params: Any) -> Params:
        """One request, as the front would hand it over."""
        call = self.request(operation)
        offered = package.operations.offered[operation]
        await offered.authorise(self.ecs, call, params)
        return await offered.run(self.ecs, call, params)

    async def refusal(self, operation: str, /, **params: Any) -> Fault:
        """The fault with which the request is refused."""
        try:
            answer = await self.call(operation, **params)
        except Fault as fault:
            return fault
        raise AssertionError(f"{operation} was not refused: {answer}")

    async def add_host(self, name: str = HOST, *, cpu: int = 64_000, memory: int = 64 * GIB, zone: str = "") -> None:
        facts = MachineFacts(MachineId(name), name, cpu, memory, zone=zone)
        await Table(self.ecs.store, MACHINES, MachineFacts).put(name, facts)

    async def register(self, **changes: Any) -> Params:
        answer = await self.call("RegisterTaskDefinition", **{**lecture(), **changes})
        definition: Params = answer["taskDefinition"]
        return definition

    async def run_task(self, definition: str = "webapp", **params: Any) -> Params:
        network = {"awsvpcConfiguration": {"subnets": ["subnet-a"], "securityGroups": ["sg-1"]}}
        given = {"taskDefinition": definition, "launchType": "FARGATE", "networkConfiguration": network, **params}
        return await self.call("RunTask", **given)

    async def start(self) -> None:
        """Run the slice's caches and reconcilers."""
        for runnable in package.controllers(self.ecs):
            self.running.append(asyncio.create_task(runnable.run(), name=runnable.name))
        await self.ecs.synced()

    async def stop(self) -> None:
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)
        self.running.clear()

    async def settle(self) -> None:
        await self.clock.settle()

    async def task(self, task_id: str) -> Params:
        answer = await self.call("DescribeTasks", tasks=[task_id])
        assert not answer["failures"], answer
        described: Params = answer["tasks"][0]
        return described

    # the scripted ec2
    async def fill_claim(self, task_id: str, failure: str = "") -> None:
        def fill(claim: InterfaceClaim) -> InterfaceClaim:
            if failure:
                return replace(claim, failure=failure)
            return replace(
                claim,
                interface=f"eni-{task_id[:17]}",
                address="172.31.0.5",
                mac="0e:00:00:00:00:05",
                private_dns="ip-172-31-0-5.ec2.internal",
            )

        assert await self.ecs.claim_table.mutate(f"ecs/{task_id}", fill) is not None, "no claim was made"
        await self.settle()

    # the scripted agent
    async def workload(self, task_id: str, host: str = HOST) -> Workload | None:
        return await self.ecs.workloads.get(f"{host}/{task_id}")

    async def report(
        self,
        task_id: str,
        phase: WorkloadPhase,
        *containers: ContainerStatus,
        sequence: int = 0,
        host: str = HOST,
        **fields: Any,
    ) -> None:
        """The host's agent says so. `sequence` 0 is one more than the last."""
        sequence = sequence or self.sequences.get(task_id, 0) + 1
        self.sequences[task_id] = max(sequence, self.sequences.get(task_id, 0))
        workload = await self.workload(task_id, host)
        old = await self.ecs.status_table.get(f"{host}/{task_id}")
        generation = workload.generation if workload is not None else old.generation if old is not None else None
        assert generation is not None, "the agent was never told of it"
        status = WorkloadStatus(WorkloadUid(task_id), generation, sequence, phase, containers, **fields)
        await self.ecs.status_table.put(f"{host}/{task_id}", status)
        await self.settle()

    async def bring_up(self, task_id: str, host: str = HOST) -> None:
        """The way to RUNNING, as ec2 and the agent go it."""
        await self.settle()
        await self.fill_claim(task_id)
        await self.report(task_id, WorkloadPhase.RUNNING, running(), started_at=self.clock.wall(), host=host)

    async def follow_stop(self, task_id: str, host: str = HOST) -> None:
        """What an agent does with a STOP."""
        await self.settle()
        workload = await self.workload(task_id, host)
        assert workload is not None and workload.desire is Desire.STOP
        await self.report(task_id, WorkloadPhase.STOPPING, running(), cause=StopCause.REQUESTED, host=host)
        await self.report(
            task_id, WorkloadPhase.STOPPED, exited(143), cause=StopCause.REQUESTED, stopped_at=1.0, host=host
        )


def running(name: str = "web", **fields: Any) -> ContainerStatus:
    return ContainerStatus(name, ContainerPhase.RUNNING, runtime_id="run-1", image_digest="sha256:1", **fields)


def exited(code: int, name: str = "web", **fields: Any) -> ContainerStatus:
    return ContainerStatus(
        name, ContainerPhase.EXITED, runtime_id="run-1", image_digest="sha256:1", exit_code=code, **fields
    )


def build(store: Store, clock: VirtualClock, seed: int = 1, **settings: Any) -> World:
    network, roles, log_groups = Network(), Roles(), LogGroups()
    ecs = assemble(store, clock, SeededEntropy(seed), Settings(**settings), network, roles, log_groups)
    return World(ecs, clock, network, roles, log_groups)


@asynccontextmanager
async def world(*, hosts: int = 1, store: Store | None = None, **settings: Any) -> AsyncIterator[World]:
    """A slice that runs, with a cluster "default" and as many hosts."""
    clock = VirtualClock()
    made = build(store or MemoryStore(SeededEntropy(7), clock=clock), clock, **settings)
    await package.seed(made.ecs)
    for number in range(hosts):
        await made.add_host(f"host-{number + 1}")
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
