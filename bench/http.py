"""Requests per second of the bare HTTP server and of the AWS front on a trivial operation, one client, loopback.

The client is another process with a raw socket that sends prepared bytes, so that what is measured is the server. The
front runs without signature checking (its benchmark is `bench.api`) and with its real steps otherwise.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Mapping, Sequence

import uvloop

from bench.rows import Row
from ropewalk.aws.front import Front, FrontSettings, Mount
from ropewalk.aws.operations import Call, Operations, Params, Principal
from ropewalk.base.clock import SystemClock
from ropewalk.base.entropy import SystemEntropy
from ropewalk.base.http.messages import Handler, Peer, Request, Response
from ropewalk.base.http.server import HttpServer

ROOT = Principal("arn:aws:iam::123456789012:root", "123456789012", "123456789012", "root")
ecs = Operations[None]("ecs")
TARGET = b"AmazonEC2ContainerServiceV20141113."
SIGNED = b"AWS4-HMAC-SHA256 Credential=AKID/20261123/us-east-1/ecs/aws4_request, SignedHeaders=host, Signature=0"
TASK_DEFINITION = (
    b'{"family":"webapp","networkMode":"awsvpc","requiresCompatibilities":["FARGATE"],"cpu":"256","memory":"512",'
    b'"containerDefinitions":[{"name":"web","image":"nginx:latest","essential":true,"portMappings":[{"containerPort":80,'
    b'"protocol":"tcp"}],"environment":[{"name":"A","value":"b"}],"logConfiguration":{"logDriver":"awslogs","options":'
    b'{"awslogs-group":"/ecs/webapp","awslogs-region":"us-east-1","awslogs-stream-prefix":"ecs"}}}]}'
)
BODIES = {"DescribeClusters": b'{"clusters":["default"]}', "RegisterTaskDefinition": TASK_DEFINITION}
SECONDS = 3.0
title = "the HTTP server and the AWS front alone"


@ecs.operation("DescribeClusters")
async def describe_clusters(slice: None, call: Call, params: Params) -> Params:
    return {"clusters": [{"clusterName": "default", "status": "ACTIVE", "runningTasksCount": 0}], "failures": []}


@ecs.operation("RegisterTaskDefinition")
async def register_task_definition(slice: None, call: Call, params: Params) -> Params:
    return {"taskDefinition": params}


class OpenGate:
    async def authenticate(self, request: Request, service: str, now: float) -> Principal:
        return ROOT

    async def require(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Sequence[str]]
    ) -> None:
        return None


async def bare(request: Request) -> Response:
    return Response(200, {"content-type": "application/json"}, b'{"clusters":[]}')


def front() -> Front:
    gate = OpenGate()
    return Front(
        [Mount("ecs", ecs, None)],
        authenticator=gate,
        authorizer=gate,
        clock=SystemClock(),
        entropy=SystemEntropy(),
        settings=FrontSettings("us-east-1", "123456789012"),
    )


def prepared(operation: str) -> bytes:
    """One request as the AWS CLI sends it."""
    body = BODIES[operation]
    lines = (
        b"POST / HTTP/1.1",
        b"Host: 127.0.0.1:4566",
        b"Accept-Encoding: identity",
        b"X-Amz-Target: " + TARGET + operation.encode(),
        b"Content-Type: application/x-amz-json-1.1",
        b"User-Agent: aws-cli/2.31 md/awscrt#0.27 ua/2.1 os/linux",
        b"X-Amz-Date: 20261123T093600Z",
        b"Authorization: " + SIGNED,
        b"Content-Length: %d" % len(body),
    )
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def hammer(port: int, request: bytes, seconds: float) -> float:
    """Requests per second over one connection, each answered before the next is sent."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.settimeout(10)
        count, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            client.sendall(request)
            answer = client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            count += 1
        return count / elapsed


async def measure(handler: Handler, operation: str) -> tuple[float, float]:
    """Requests per second, and the server's CPU in microseconds each."""
    server = HttpServer(handler, name="bench", clock=SystemClock())
    port = await server.serve_tcp("127.0.0.1", 0)
    cpu = time.process_time()
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.http", str(port), operation, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await client.communicate()
    cpu = time.process_time() - cpu
    await server.close()
    rate = float(out)
    return rate, 1e6 * cpu / (rate * SECONDS)


async def alone(handler: Handler, operation: str, count: int = 20_000) -> float:
    """Microseconds the handler takes, without sockets."""
    head, _, body = prepared(operation).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    seen = Request("POST", "/", "/", "", headers, body, Peer("127.0.0.1", 1, "host"))
    await handler(seen)
    start = time.process_time()
    for _ in range(count):
        await handler(seen)
    return 1e6 * (time.process_time() - start) / count


async def measure_all() -> list[Row]:
    handle = front().handle
    base, cpu = await measure(bare, "DescribeClusters")
    rows = [Row("bare server", f"{base:,.0f} req/s, {cpu:.0f} µs CPU")]
    for operation in BODIES:
        rate, cpu = await measure(handle, operation)
        ours, beside = f"{rate:,.0f} req/s, {cpu:.0f} µs CPU", f"{base:,.0f} req/s bare"
        rows.append(Row(f"front, {operation}", ours, beside, rate / base))
        rows.append(Row("  without sockets", f"{await alone(handle, operation):.0f} µs CPU", wanted="< 150 µs"))
    return rows


def run() -> list[Row]:
    return uvloop.run(measure_all())


if __name__ == "__main__":
    print(hammer(int(sys.argv[1]), prepared(sys.argv[2]), SECONDS))
