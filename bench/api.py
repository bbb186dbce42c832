"""The simulated control plane's ECS API beside moto's server: one client, one connection, one request at a time.

RunTask is measured three times: a burst of requests (the control plane answers first and starts the tasks behind them,
for a second at most), requests without end until every task runs, and one task alone until it runs. moto's tasks do
nothing, so only the first has something beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
from botocore.config import Config

from bench.rows import Row, median_ms
from bench.signed import Signed, signed_request

title = "requests a second with one client, beside moto_server"
_BIN = Path(sys.executable).parent
_SECONDS = 3.0
_MOST = {"RunTask": 300}
"""Bounded: each starts a simulated task."""
_ENDLESS = 1500
_ALONE = 21
_OURS, _MOTOS = 4581, 4582
_DEFINITION = {
    "family": "bench",
    "requiresCompatibilities": ["FARGATE"],
    "networkMode": "awsvpc",
    "cpu": "256",
    "memory": "512",
    "containerDefinitions": [
        {"name": "web", "image": "nginx:latest", "cpu": 256, "memory": 512, "portMappings": [{"containerPort": 80}]}
    ],
}


@contextlib.contextmanager
def ropewalk() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory(prefix="rw-bench-") as folder:
        environment = {**os.environ, "ROPEWALK_HOME": folder}
        command = [str(_BIN / "ropewalk"), "up", "--simulated", "--detach", "--port", str(_OURS)]
        subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
        try:
            yield json.loads((Path(folder) / "client.json").read_bytes())
        finally:
            subprocess.run(
                [str(_BIN / "ropewalk"), "down", "--force"], env=environment, check=False, capture_output=True
            )


@contextlib.contextmanager
def moto() -> Iterator[dict[str, str]]:
    server = subprocess.Popen(
        [str(_BIN / "moto_server"), "-p", str(_MOTOS)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", _MOTOS), 1):
                break
            time.sleep(0.05)
        yield {"access_key_id": "testing", "secret_access_key": "testing"}
    finally:
        server.terminate()
        server.wait()


def prepare(port: int, key: dict[str, str]) -> dict[str, Signed]:
    """Make what the operations need; the three requests, signed."""
    common = {
        "endpoint_url": f"http://127.0.0.1:{port}",
        "region_name": "us-east-1",
        "aws_access_key_id": key["access_key_id"],
        "aws_secret_access_key": key["secret_access_key"],
        "config": Config(retries={"total_max_attempts": 1}),
    }
    ecs, ec2 = boto3.client("ecs", **common), boto3.client("ec2", **common)
    ecs.create_cluster(clusterName="default")
    ecs.register_task_definition(**_DEFINITION)
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
    run_task = {
        "cluster": "default",
        "taskDefinition": "bench",
        "launchType": "FARGATE",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": [subnet], "securityGroups": [group]}},
    }
    bodies = {
        "DescribeClusters": {"clusters": ["default"]},
        "RegisterTaskDefinition": _DEFINITION,
        "RunTask": run_task,
    }
    return {name: signed_request(port, key, "ecs", name, json.dumps(body).encode()) for name, body in bodies.items()}


class Client:
    """A keep-alive connection by bare sockets; opened again where the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self.body = b""

    def ask(self, wire: bytes) -> int:
        """The answer's status; its body is in `body`."""
        for _ in range(2):
            if self._socket is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port), 30)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(ConnectionError, BrokenPipeError):
                self._socket.sendall(wire)
                status = self._answer(self._socket)
                if status:
                    return status
            self._socket.close()
            self._socket = None
        return 0

    def _answer(self, connection: socket.socket) -> int:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return 0
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        headers = head.lower()
        length = int(headers.split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += connection.recv(65536)
        self.body = body
        if b"connection: close" in headers or head.startswith(b"HTTP/1.0"):
            connection.close()
            self._socket = None
        return int(head[9:12])


def rate(port: int, request: Signed, most: int) -> float:
    client = Client(port)
    wire = request.wire(port)
    for _ in range(5):
        assert client.ask(wire) == 200, f"the request was refused on port {port}"
    begun = time.perf_counter()
    count = 0
    while (elapsed := time.perf_counter() - begun) < _SECONDS and count < most:
        if client.ask(wire) != 200:
            raise SystemExit(f"a request was refused on port {port} after {count}")
        count += 1
    return count / elapsed


def settle(port: int, key: dict[str, str]) -> None:
    """Until every task runs: what is measured next should not pay for it."""
    client = Client(port)
    counts = signed_request(port, key, "ecs", "DescribeClusters", b'{"clusters":["default"]}').wire(port)
    while client.ask(counts) == 200 and json.loads(client.body)["clusters"][0]["pendingTasksCount"]:
        time.sleep(0.005)


def endless(port: int, key: dict[str, str], run_task: Signed) -> float:
    """Tasks a second, from the first request to the last task RUNNING."""
    client, wire = Client(port), run_task.wire(port)
    begun = time.perf_counter()
    for _ in range(_ENDLESS):
        assert client.ask(wire) == 200
    settle(port, key)
    return _ENDLESS / (time.perf_counter() - begun)


def alone(port: int, key: dict[str, str], run_task: Signed) -> list[float]:
    """Seconds from RunTask's answer until DescribeTasks says RUNNING, each task with the control plane to itself."""
    client, found = Client(port), []
    for _ in range(_ALONE):
        assert client.ask(run_task.wire(port)) == 200
        answered = time.perf_counter()
        asked = json.dumps({"tasks": [json.loads(client.body)["tasks"][0]["taskArn"]]}).encode()
        describe = signed_request(port, key, "ecs", "DescribeTasks", asked).wire(port)
        while client.ask(describe) == 200 and json.loads(client.body)["tasks"][0]["lastStatus"] != "RUNNING":
            time.sleep(0.001)
        found.append(time.perf_counter() - answered)
        time.sleep(0.05)
    return found


def run() -> list[Row]:
    rows = []
    with ropewalk() as our_key, moto() as their_key:
        ours, theirs = prepare(_OURS, our_key), prepare(_MOTOS, their_key)
        for name in ours:
            most = _MOST.get(name, 100_000)
            # in turn, twice, so that a drift of the machine hits both alike
            mine = [rate(_OURS, ours[name], most)]
            settle(_OURS, our_key)
            other = [rate(_MOTOS, theirs[name], most), rate(_MOTOS, theirs[name], most)]
            mine.append(rate(_OURS, ours[name], most))
            settle(_OURS, our_key)
            a, b = sum(mine) / 2, sum(other) / 2
            rows.append(Row(name, f"{a:,.0f}/s", f"moto {b:,.0f}/s", a / b, "≥ 5"))
        times = alone(_OURS, our_key, ours["RunTask"])
        rows.append(Row("RunTask to RUNNING, one alone (median)", f"{median_ms(times):.1f} ms", wanted="≤ 15 ms"))
        rate_in_all = endless(_OURS, our_key, ours["RunTask"])
        rows.append(Row(f"RunTask × {_ENDLESS}, until all are RUNNING", f"{rate_in_all:,.0f}/s"))
    return rows
