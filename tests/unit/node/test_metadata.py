"""The documents a workload reads about itself: ECS's shapes, and to nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from ropewalk.base.clock import VirtualClock
from ropewalk.base.http.messages import Peer, Request, Response
from ropewalk.model import documents
from ropewalk.model.ids import InterfaceId, MachineId, VpcId, WorkloadUid
from ropewalk.model.readers import TemporaryKeys
from ropewalk.model.workload import (
    Credential,
    Endpoints,
    InterfaceSpec,
    LogRoute,
    NetworkMode,
    Port,
    Probe,
    Resources,
    Workload,
)
from ropewalk.node.credentials import CredentialCache
from ropewalk.node.documents import DocumentServers
from ropewalk.node.fake_runtime import FakeRuntime
from ropewalk.node.metadata import MetadataHandler
from ropewalk.node.runtime import ContainerSetup
from ropewalk.node.transport import NotGiven, TransportFailure
from ropewalk.planning import lifecycle
from ropewalk.planning import lifecycle_records as words
from support.workloads import MACHINE, container, workload

TOKEN = "metadata-token"
ARN = "arn:aws:ecs:us-east-1:123456789012"
TASK = f"{ARN}:task/default/158d1c8083dd49d6b527399fd6414f5c"


def task() -> Workload:
    web = container(
        "web",
        ports=(Port(80),),
        resources=Resources(cpu_shares=256, memory_bytes=512 << 20),
        labels=((documents.CONTAINER_ARN, f"{ARN}:container/1"), ("team", "blue")),
        log=LogRoute("/ecs/webapp", "ecs/web/158d", region="us-east-1"),
        health=Probe(("true",)),
    )
    interface = InterfaceSpec(
        InterfaceId("eni-1"),
        "vpc-1",
        "subnet-1",
        "172.31.0.10",
        "172.31.0.0/20",
        "172.31.0.1",
        "0e:00:00:00:00:01",
        "ip-172-31-0-10.ec2.internal",
    )
    return workload(
        "w-1",
        web,
        container("side"),
        network=NetworkMode.INTERFACE,
        interface=interface,
        resources=Resources(cpu_millis=250, memory_bytes=512 << 20),
        credentials=(Credential("task", "arn:aws:iam::123456789012:role/app", "path-token"),),
        endpoints=Endpoints(TOKEN),
        labels=(
            (documents.CLUSTER, f"{ARN}:cluster/default"),
            (documents.TASK_ARN, TASK),
            (documents.FAMILY, "webapp"),
            (documents.REVISION, "3"),
            (documents.LAUNCH_TYPE, "FARGATE"),
            (documents.ZONE, "us-east-1a"),
            (documents.TAG_PREFIX + "env", "test"),
        ),
    )


class Keys:
    """Stands in for the control plane's credentials route."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.asked = 0
        self.failure: Exception | None = None

    async def credentials(self, machine: MachineId, uid: WorkloadUid, name: str) -> TemporaryKeys:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return TemporaryKeys(f"ASIA{self.asked}", "secret", "session", self.clock.wall() + 3600)


class Bench:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.keys = Keys(self.clock)
        self.runtime = FakeRuntime(self.clock)
        cache = CredentialCache(MACHINE, self.keys, self.clock)  # type: ignore[arg-type]  # its one route
        self.states: list[words.State] = []
        self.handler = MetadataHandler(
            VpcId("vpc-1"), states=lambda: self.states, runtime=self.runtime, credentials=cache
        )

    async def start(self) -> None:
        what = task()
        now = self.clock.wall()
        state = lifecycle.begin(what, now)
        image = await self.runtime.pull("nginx:latest", None)
        box = await self.runtime.create_sandbox(what, "")
        events: list[words.Event] = [words.SandboxReady(box.id, "172.31.0.10")]
        for spec in what.containers:
            events += [words.PullStarted(spec.name), words.Pulled(spec.name, image.digest)]
            identity = await self.runtime.create_container(box.id, what, spec, image, 0, ContainerSetup())
            started = await self.runtime.start(identity)
            events.append(words.Started(spec.name, 0, identity, started.pid, started.started_at))
        for event in events:
            state, _ = lifecycle.step(state, event, now)
        self.states.append(state)

    async def get(self, path: str, address: str = "172.31.0.10", method: str = "GET") -> Response:
        return await self.handler.handle(Request(method, path, path, "", {}, b"", Peer(address)))

    async def document(self, path: str) -> Any:
        response = await self.get(path)
        assert response.status == 200 and isinstance(response.body, bytes), response
        return msgspec.json.decode(response.body)


@pytest.fixture
async def bench() -> Bench:
    made = Bench()
    await made.start()
    return made


WEB = f"/v4/{documents.container_token(TOKEN, 'web')}"


async def test_the_container_document(bench: Bench) -> None:
    found = await bench.document(WEB)
    assert found.pop("DockerId").startswith("158d1c8083dd49d6b527399fd6414f5c-")
    assert found.pop("ImageID").startswith("sha256:")
    assert found.pop("CreatedAt") == found.pop("StartedAt") == "2023-11-14T22:13:20.000000000Z"
    assert found == {
        "Name": "web",
        "DockerName": "web",
        "Image": "nginx:latest",
        "Labels": {
            "team": "blue",
            "com.amazonaws.ecs.cluster": f"{ARN}:cluster/default",
            "com.amazonaws.ecs.container-name": "web",
            "com.amazonaws.ecs.task-arn": TASK,
            "com.amazonaws.ecs.task-definition-family": "webapp",
            "com.amazonaws.ecs.task-definition-version": "3",
        },
        "DesiredStatus": "RUNNING",
        "KnownStatus": "RUNNING",
        "Limits": {"CPU": 256, "Memory": 512},
        "Type": "NORMAL",
        "Ports": [{"ContainerPort": 80, "Protocol": "tcp"}],
        "Health": {"status": "UNKNOWN"},
        "ContainerARN": f"{ARN}:container/1",
        "LogDriver": "awslogs",
        "LogOptions": {
            "awslogs-create-group": "false",
            "awslogs-group": "/ecs/webapp",
            "awslogs-region": "us-east-1",
            "awslogs-stream": "ecs/web/158d",
        },
        "Networks": [
            {
                "NetworkMode": "awsvpc",
                "IPv4Addresses": ["172.31.0.10"],
                "AttachmentIndex": 0,
                "MACAddress": "0e:00:00:00:00:01",
                "IPv4SubnetCIDRBlock": "172.31.0.0/20",
                "DomainNameServers": ["169.254.169.253"],
                "PrivateDNSName": "ip-172-31-0-10.ec2.internal",
                "SubnetGatewayIpv4Address": "172.31.0.1/20",
            }
        ],
    }


async def test_the_task_document(bench: Bench) -> None:
    found = await bench.document(f"{WEB}/task")
    assert [c["Name"] for c in found.pop("Containers")] == ["web", "side"]
    assert found.pop("PullStartedAt") and found.pop("PullStoppedAt")
    assert found == {
        "Cluster": f"{ARN}:cluster/default",
        "TaskARN": TASK,
        "Family": "webapp",
        "Revision": "3",
        "DesiredStatus": "RUNNING",
        "KnownStatus": "RUNNING",
        "Limits": {"CPU": 0.25, "Memory": 512},
        "AvailabilityZone": "us-east-1a",
        "LaunchType": "FARGATE",
        "FaultInjectionEnabled": False,
    }
    assert (await bench.document(f"{WEB}/taskWithTags"))["TaskTags"] == {"env": "test"}


async def test_statistics_are_a_difference(bench: Bench) -> None:
    await bench.document(f"{WEB}/stats")
    await bench.clock.advance(10)
    one = await bench.document(f"{WEB}/stats")
    used = one["cpu_stats"]["cpu_usage"]["total_usage"] - one["precpu_stats"]["cpu_usage"]["total_usage"]
    whole = one["cpu_stats"]["system_cpu_usage"] - one["precpu_stats"]["system_cpu_usage"]
    assert used / whole == pytest.approx(0.01, rel=0.01) and one["memory_stats"]["usage"] == 8 << 20
    every = await bench.document(f"{WEB}/task/stats")
    assert len(every) == 2 and all(value["read"] for value in every.values())


async def test_only_its_own_workload_may_ask(bench: Bench) -> None:
    other = replace(
        bench.states[0].workload,
        uid=WorkloadUid("w-2"),
        interface=replace(bench.states[0].workload.interface, address="172.31.0.11"),
        endpoints=Endpoints("other-token"),
        credentials=(),
    )
    bench.states.append(lifecycle.begin(other, 0.0))
    wrong_token = await bench.get("/v4/other-token-0000000000/task")
    wrong_address = await bench.get(f"{WEB}/task", "172.31.0.11")
    assert wrong_token.status == wrong_address.status == 404 and wrong_token.body == wrong_address.body
    wrong = [await bench.get(f"/v2/credentials/{token}", "172.31.0.11") for token in ("path-token", "x")]
    assert wrong[0].status == 400 and wrong[0].body == wrong[1].body and b"InvalidIdInRequest" in bytes(wrong[0].body)
    assert bench.keys.asked == 0
    elsewhere = replace(bench.states[0].workload.interface, vpc="vpc-2")
    bench.states[0] = replace(bench.states[0], workload=replace(bench.states[0].workload, interface=elsewhere))
    assert (await bench.get(WEB)).status == 404


@pytest.mark.parametrize("path", ["/", "/v4", "/v4/", "/v4//task", f"/v4/{TOKEN}", f"{WEB}/nothing", "/v2/"])
async def test_everything_else_is_not_found(bench: Bench, path: str) -> None:
    assert (await bench.get(path)).status == 404
    assert (await bench.get(WEB, method="POST")).status == 405


async def test_credentials_are_given_kept_and_rotated(bench: Bench) -> None:
    path = "/v2/credentials/path-token"
    first = await bench.document(path)
    assert first == {
        "RoleArn": "arn:aws:iam::123456789012:role/app",
        "AccessKeyId": "ASIA1",
        "SecretAccessKey": "secret",
        "Token": "session",
        "Expiration": "2023-11-14T23:13:20Z",
    }
    await asyncio.gather(*(bench.document(path) for _ in range(5)))
    assert bench.keys.asked == 1
    await bench.clock.advance(3600 - 15 * 60)
    assert (await bench.document(path))["AccessKeyId"] == "ASIA2"
    await bench.clock.advance(3600 - 60)
    bench.keys.failure = TransportFailure("away")
    assert (await bench.document(path))["AccessKeyId"] == "ASIA2", "still valid: given while the plane is away"
    bench.keys.failure = NotGiven("AccessDenied: ecs-tasks.amazonaws.com is not trusted any more")
    assert (await bench.document(path))["AccessKeyId"] == "ASIA2", "still valid: given though no more will come"
    await bench.clock.advance(61)
    refused = await bench.get(path)
    assert refused.status == 503
    assert msgspec.json.decode(refused.body) == {  # type: ignore[arg-type]  # bytes
        "code": "CredentialsUninitialized",
        "message": "CredentialsV2Request: Credentials uninitialized for ID",
        "HTTPErrorCode": 503,
    }
    bench.keys.failure = TransportFailure("away")
    assert (await bench.get(path)).status == 503


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("/v2/credentials/x", "InvalidIdInRequest", "CredentialsV2Request: Credentials not found"),
        ("/v2/credentials/", "NoIdInRequest", "CredentialsV2Request: No Credential ID in the request"),
    ],
)
async def test_unknown_credentials_are_answered_as_by_awss_agent(
    bench: Bench, path: str, code: str, message: str
) -> None:
    answer = await bench.get(path)
    document = msgspec.json.decode(answer.body)  # type: ignore[arg-type]  # bytes
    assert answer.status == 400
    assert document == {"code": code, "message": message, "HTTPErrorCode": 400}


def test_the_environment_points_to_the_documents() -> None:
    bench = Bench()
    servers = DocumentServers(
        network=None,
        runtime=bench.runtime,
        credentials=CredentialCache(MACHINE, bench.keys, bench.clock),  # type: ignore[arg-type]  # its one route
        states=list,
        clock=bench.clock,
    )
    what = task()
    assert dict(servers.environment(what, what.container("side"))) == {
        "ECS_CONTAINER_METADATA_URI_V4": f"http://169.254.170.2/v4/{documents.container_token(TOKEN, 'side')}",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/path-token",
    }
    assert servers.environment(workload(), container()) == ()
