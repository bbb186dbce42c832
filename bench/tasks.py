"""How fast a real task starts: from RunTask to the first DescribeTasks that says RUNNING, beside what it stands on.

Beside it, in turn and in the same containerd: `ctr run -d` of the same image, and bare CRI pods (sandbox, container,
start; no network, no API, nobody who watches). Needs root, a host without a running installation, and nothing else to
do on the machine. It uses a home of its own under the temporary folder and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from bench.rows import Row
from bench.runtime import CTR_CGROUP, IMAGE, ctr, pod
from bench.signed import signed_request
from ropewalk.base.clock import SystemClock
from ropewalk.base.entropy import SystemEntropy
from ropewalk.base.settings import Settings
from ropewalk.daemon import layout
from ropewalk.daemon.containers import NoNetwork
from ropewalk.daemon.installation import load_settings
from ropewalk.daemon.parts import Parts, default_folder
from ropewalk.node.cri.cgroups import Cgroups
from ropewalk.node.cri.runtime import CriRuntime, Places

title = "a task from RunTask to RUNNING, the image present"
AT_ONCE = 8
ROUNDS = 11
BATCHES = 3
_POLL = 0.005
"""Often enough to see it, seldom enough not to slow down what is measured."""
_REST = 0.3
"""For containerd to collect what the measurement before has left: seconds before each."""
_PATIENCE = 60.0
_BIN = Path(sys.executable).parent
_CGROUP = "/ropewalk/bench"
_DEFINITION = {
    "family": "bench",
    "requiresCompatibilities": ["FARGATE"],
    "networkMode": "awsvpc",
    "cpu": "256",
    "memory": "512",
    "containerDefinitions": [{"name": "web", "image": "nginx:latest", "portMappings": [{"containerPort": 80}]}],
}


@dataclass(slots=True)
class Times:
    """Seconds of each single start; the time for all of each batch."""

    one: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.one) * 1000

    @property
    def rate(self) -> float:
        return AT_ONCE / statistics.median(self.many)


class Api:
    """ECS on one kept connection, without a client's own costs; `Any`: JSON documents."""

    def __init__(self, port: int, key: dict[str, str]) -> None:
        self._port = port
        self._key = key
        self._connection = socket.create_connection(("127.0.0.1", port), _PATIENCE)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def wire(self, operation: str, body: dict[str, Any]) -> bytes:
        request = signed_request(self._port, self._key, "ecs", operation, json.dumps(body).encode())
        return request.wire(self._port)

    def ask(self, wire: bytes) -> Any:
        self._connection.sendall(wire)
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._read()
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += self._read()
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"a request was refused: {body.decode()[:500]}")
        return json.loads(body)

    def _read(self) -> bytes:
        data = self._connection.recv(65536)
        if not data:
            raise SystemExit("the control plane closed the connection")
        return data

    def wait(self, tasks: list[str], state: str) -> list[dict[str, Any]]:
        wire = self.wire("DescribeTasks", {"tasks": tasks})
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            found = self.ask(wire)["tasks"]
            if all(task["lastStatus"] == state for task in found):
                return list(found)
            broken = [task for task in found if task["lastStatus"] == "STOPPED" and state != "STOPPED"]
            if broken:
                raise SystemExit(f"a task stopped instead: {broken[0].get('stoppedReason')}")
            time.sleep(_POLL)
        raise SystemExit(f"not {state} within {_PATIENCE:.0f} s: {[task['lastStatus'] for task in found]}")


def ropewalk(home: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ROPEWALK_HOME": home}
    command = [str(_BIN / "ropewalk"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def bring_up(home: str, port: int) -> None:
    """A host carries one real installation at a time: wait for another one to go."""
    deadline = time.monotonic() + 2 * _PATIENCE
    while True:
        done = ropewalk(home, "up", "--detach", "--images", "local", "--port", str(port))
        if done.returncode == 0:
            return
        if "belongs to the installation" not in done.stderr or time.monotonic() > deadline:
            raise SystemExit(f"no installation to measure: {done.stderr.strip()}")
        time.sleep(1.0)


@contextlib.contextmanager
def installation() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="rw-bench-") as home:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        try:
            bring_up(home, port)
            yield load_settings(Path(home))
        finally:
            ropewalk(home, "reset", "--yes")


def network(settings: Settings, key: dict[str, str]) -> dict[str, Any]:
    ec2 = boto3.client(
        "ec2",
        endpoint_url=settings.endpoint,
        region_name=settings.region,
        aws_access_key_id=key["access_key_id"],
        aws_secret_access_key=key["secret_access_key"],
        config=Config(retries={"total_max_attempts": 1}),
    )
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    return {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}}


class Tasks:
    def __init__(self, settings: Settings) -> None:
        key = json.loads((settings.home / "client.json").read_bytes())
        self.api = Api(settings.port, key)
        self.api.ask(self.api.wire("RegisterTaskDefinition", _DEFINITION))
        request = {
            "taskDefinition": "bench",
            "launchType": "FARGATE",
            "networkConfiguration": network(settings, key),
        }
        self._run = self.api.wire("RunTask", request)
        self.told = Times()
        """As the API tells a caller."""
        self.started: list[float] = []
        """By the task's own `startedAt`."""

    def start(self, count: int) -> float:
        """Seconds until all of them are RUNNING; they are stopped again before this returns."""
        asked, begun = time.time(), time.perf_counter()
        arns = [self.api.ask(self._run)["tasks"][0]["taskArn"] for _ in range(count)]
        found = self.api.wait(arns, "RUNNING")
        took = time.perf_counter() - begun
        if count == 1:
            self.started.append(found[0]["startedAt"] - asked)
        for arn in arns:
            self.api.ask(self.api.wire("StopTask", {"task": arn}))
        self.api.wait(arns, "STOPPED")
        return took


async def bare_pods(runtime: CriRuntime, name: str, count: int, logs: str) -> float:
    image = await runtime.image(IMAGE)
    assert image is not None, f"{IMAGE} is not on this machine"
    begun = time.perf_counter()
    made = await asyncio.gather(*(pod(runtime, image, f"{name}-{n}", logs) for n in range(count)))
    took = time.perf_counter() - begun
    await asyncio.gather(*(runtime.remove_sandbox(sandbox) for sandbox in made))
    return took


async def by_ctr(parts: Parts, settings: Settings, name: str) -> float:
    where = layout.containerd_layout(settings)
    image = f"{settings.mirror}/library/nginx:latest"
    private = ("--fifo-dir", str(settings.run / "bench-fifo"), "--runc-root", str(settings.run / "bench-runc"))
    begun = time.perf_counter()
    await asyncio.to_thread(ctr, parts, where, "run", "-d", *private, image, name)
    took = time.perf_counter() - begun
    await asyncio.to_thread(ctr, parts, where, "tasks", "rm", "-f", name)
    await asyncio.to_thread(ctr, parts, where, "containers", "rm", name)
    return took


async def measure(settings: Settings) -> list[Row]:
    clock, entropy = SystemClock(), SystemEntropy()
    parts = Parts(default_folder(settings))
    real = layout.places(settings, parts.provide(("catatonit",)))
    state = settings.home / "bench"
    # A state folder and a cgroup of its own, so that it and the agent do not tidy up after each other.
    runtime = CriRuntime(Places(real.socket, real.cni_calls, state, real.init, _CGROUP), NoNetwork(), clock, entropy)
    await runtime.open()
    where = layout.containerd_layout(settings)
    tasks, logs = Tasks(settings), str(state / "logs")
    ctrs, pods = Times(), Times()
    await asyncio.to_thread(tasks.start, 1)  # pulls the image
    tasks.started.clear()
    reference = f"{settings.mirror}/library/nginx:latest"
    await asyncio.to_thread(ctr, parts, where, "images", "pull", "--plain-http", reference)
    try:
        for number in range(ROUNDS):
            await asyncio.sleep(_REST)
            ctrs.one.append(await by_ctr(parts, settings, f"one-{number}"))
            await asyncio.sleep(_REST)
            pods.one.append(await bare_pods(runtime, f"one-{number}", 1, logs))
            await asyncio.sleep(_REST)
            tasks.told.one.append(await asyncio.to_thread(tasks.start, 1))
        for number in range(BATCHES):
            await asyncio.sleep(_REST)
            pods.many.append(await bare_pods(runtime, f"many-{number}", AT_ONCE, logs))
            await asyncio.sleep(_REST)
            tasks.told.many.append(await asyncio.to_thread(tasks.start, AT_ONCE))
    finally:
        await runtime.close()
        for left in (_CGROUP, CTR_CGROUP):
            Cgroups(left).remove_parent()
    told, started = tasks.told, statistics.median(tasks.started) * 1000
    beside = f"ctr run -d {ctrs.median:.0f} ms"
    return [
        Row("RunTask to RUNNING", f"{told.median:.0f} ms", beside, told.median / ctrs.median, "≤ 2"),
        Row("RunTask to startedAt", f"{started:.0f} ms", beside, started / ctrs.median),
        Row("RunTask to RUNNING", f"{told.median:.0f} ms", f"CRI pod {pods.median:.0f} ms", told.median / pods.median),
        Row(
            f"tasks, {AT_ONCE} at once",
            f"{told.rate:.1f}/s",
            f"CRI pods {pods.rate:.1f}/s",
            told.rate / pods.rate,
            "≥ 0.7",
        ),
    ]


def run() -> list[Row]:
    with installation() as settings:
        return asyncio.run(measure(settings))
