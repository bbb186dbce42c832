"""Requests made up from the models, against every operation of the real slices: whatever they say, never a 5xx.

Most are nonsense of the right shape, which parsing and validation let through and only a slice can refuse; some name
things that exist. Answers are held against the models too.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.model import OperationModel

from contract.shapes import Maker
from contract.test_protocols import client_request, model
from ropewalk.aws.front import Front, FrontSettings, Mount
from ropewalk.aws.identity import Identity
from ropewalk.aws.operations import Operations
from ropewalk.aws.routing import address_of
from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.http.messages import Peer, Response
from ropewalk.base.settings import Settings
from ropewalk.services import ec2, ecs, iam, logs, sts
from ropewalk.store.memory import MemoryStore

OFFERS: tuple[Operations[Any], ...] = (ecs.operations, ec2.operations, iam.operations, logs.operations, sts.operations)
COUNT = 6000
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},'
    '"Action":"sts:AssumeRole"}]}'
)
POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecs:*","Resource":"*"}]}'
EMPTY, BROKEN = '{"Version":"2012-10-17","Statement":[]}', '{"Version":"2012-10-17","Statement":[{}]}'
NAMES = (
    "default", "webapp", "*", "ropewalk-admin", "ecsTaskExecutionRole", "arn:aws:iam::123456789012:role/x", "tcp", "80",
    "0.0.0.0/0", "10.0.0.0/16", "vpc-0", "subnet-0", "sg-0", "eni-0", "nginx:latest", "", "-1", "{}", "/", "a/b", "\0",
    "arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::123456789012:role/ecsTaskExecutionRole",
    "arn:aws:ecs:us-east-1:123456789012:task-definition/webapp:1", "webapp:1", "1 vCPU", "awsvpc", "FARGATE",
    "arn:aws:logs:us-east-1:123456789012:log-group:webapp", BROKEN,
    TRUST, POLICY, "arn:aws:ecs:us-east-1:123456789012:cluster/default", EMPTY, "é" * 300,
)  # fmt: skip


HINTS = (
    ("vpc", "vpc-"), ("subnet", "subnet-"), ("group", "sg-"), ("routetable", "rtb-"), ("gateway", "igw-"),
    ("interface", "eni-"), ("cluster", "default"), ("role", "ecs"), ("user", "ropewalk-admin"), ("cidr", "10.0.0.0/16"),
    ("policydocument", '{"Version'), ("image", "nginx:latest"), ("protocol", "tcp"), ("arn", "arn:"),
)  # fmt: skip
"""Members whose name holds the first are given known strings that begin with the second."""


def seasoned(dice: random.Random, value: Any, known: tuple[str, ...], name: str = "") -> Any:
    """The document with some of its strings exchanged for ones that mean something, and some numbers for extremes."""
    if isinstance(value, dict):
        return {key: seasoned(dice, item, known, key) for key, item in value.items() if key != "DryRun"}
    if isinstance(value, list):
        return [seasoned(dice, item, known, name) for item in value]
    if isinstance(value, str) and dice.random() < 0.8:
        starts = [start for part, start in HINTS if part in name.lower()]
        fitting = [text for text in known if starts and text.startswith(starts[0])]
        return dice.choice(fitting if fitting and dice.random() < 0.9 else known)
    if isinstance(value, int) and not isinstance(value, bool) and dice.random() < 0.7:
        return dice.choice([0, 1, 2, 80, 256, 512, 65535, -1, 2**31 - 1])
    return value


class NoGroups:
    async def log_group_exists(self, name: str) -> bool:
        return False


@dataclass
class Plane:
    """Every slice over one store in memory, behind a front that takes any credentials."""

    store: MemoryStore
    front: Front
    running: list[asyncio.Task[None]]


@asynccontextmanager
async def slices(home: Path) -> AsyncIterator[Plane]:
    clock, entropy = VirtualClock(), SeededEntropy(7)
    store = MemoryStore(entropy)
    settings = Settings(home=home, simulated=True, accept_any_credentials=True)
    iam_slice = iam.Iam.over(store, clock, entropy, settings.account)
    await iam.seed(iam_slice)
    sealer = await sts.load_sealer(store, entropy)
    identity = Identity(iam_slice.directory, sealer, settings.account, accept_any_credentials=True)
    sts_slice = sts.Sts(settings.account, clock, entropy, sealer, iam_slice.directory, identity)
    ec2_slice = ec2.Ec2.over(store, clock, entropy, settings)
    await ec2.seed(ec2_slice)
    logs_slice = logs.Logs.over(store, logs.MemoryJournal(), clock, entropy, settings.region, settings.account)
    views = ec2.NetworkViews(ec2_slice)
    ecs_slice = ecs.assemble(
        store, clock, entropy, settings, network=views, roles=iam_slice.directory, log_groups=NoGroups()
    )
    await ecs.seed(ecs_slice)
    mounts = (
        Mount("ecs", ecs.operations, ecs_slice),
        Mount("ec2", ec2.operations, ec2_slice),
        Mount("iam", iam.operations, iam_slice),
        Mount("logs", logs.operations, logs_slice),
        Mount("sts", sts.operations, sts_slice),
    )
    front = Front(
        mounts,
        authenticator=identity,
        authorizer=identity,
        clock=clock,
        entropy=entropy,
        settings=FrontSettings(settings.region, settings.account, check_answers=True),
    )
    running = [asyncio.ensure_future(runnable.run()) for runnable in ecs.controllers(ecs_slice)]
    running += [asyncio.ensure_future(runnable.run()) for runnable in iam.controllers(iam_slice)]
    await ecs_slice.synced()
    yield Plane(store, front, running)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await store.close()


async def known_ids(plane: Plane) -> tuple[str, ...]:
    page = await plane.store.list("/")
    parts = {part for entry in page.entries for part in entry.key.split("/") if part}
    return (*NAMES, *sorted(part for part in parts if len(part) < 60))


async def ask(plane: Plane, service: str, operation: OperationModel, params: dict[str, Any]) -> Response:
    protocol = address_of(service).protocols[0]
    request = client_request(operation, protocol, params, address_of(service).signing_name)
    scope = f"20231114/us-east-1/{address_of(service).signing_name}/aws4_request"
    signed = f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    more = {"host": "127.0.0.1:4566", "authorization": signed, "x-amz-date": "20231114T221320Z"}
    request.headers = {**request.headers, **more}
    request.peer = Peer("127.0.0.1", 1, "host")
    return await plane.front.handle(request)


@pytest.mark.timeout(90)
async def test_no_request_of_the_right_shape_is_our_failure(tmp_path: Path) -> None:
    dice = random.Random(20261123)
    failed: list[str] = []
    statuses: dict[int, int] = {}
    known: tuple[str, ...] = NAMES
    async with slices(tmp_path) as plane:
        for number in range(COUNT):
            offers = dice.choice(OFFERS)
            name = dice.choice(sorted(offers.offered))
            operation = model(offers.service).operation_model(name)
            maker = Maker(number, density=dice.choice([0.0, 0.1, 0.3, 0.7]))
            made = maker.structure(operation.input_shape) if operation.input_shape else {}
            if number % 100 == 0:
                known = await known_ids(plane)
            response = await ask(plane, offers.service, operation, seasoned(dice, made, known))
            statuses[response.status] = statuses.get(response.status, 0) + 1
            if response.status >= 500:
                failed.append(f"{offers.service}:{name} {response.body!r}")
    assert failed == []
    assert sum(statuses.values()) == COUNT
    assert statuses[200] > COUNT // 20  # some get through, or nothing but the front was tested
