"""As whom lines are written: what the workload's record says, not what the agent says."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from ropewalk.agents import log_writers
from ropewalk.model.agent import LogBatch, LogLine, LogReceipt
from ropewalk.model.ids import WorkloadUid
from ropewalk.model.workload import Credential, LogRoute
from support.agents import World
from support.workloads import MACHINE, container, workload
from unit.agents.test_gateway import send

ROLE = "arn:aws:iam::123456789012:role/ecsTaskExecutionRole"
ROUTE = LogRoute("/g", "s", credentials="execution")
KEY = f"{MACHINE}/w-1"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World(1)
    made.start_gateway()
    await made.workloads.create(
        KEY,
        workload(
            "w-1",
            container(log=ROUTE),
            container("silent"),
            container("plain", log=LogRoute("/g", "p")),
            container("broken", log=LogRoute("/g", "b", credentials="none")),
            credentials=(Credential("execution", ROLE),),
        ),
    )
    await made.clock.settle()
    yield made
    await made.down()


async def ship(world: World, name: str = "app", route: LogRoute = ROUTE, uid: str = "w-1", at: int = 0) -> LogReceipt:
    batch = LogBatch(
        MACHINE,
        WorkloadUid(uid),
        name,
        route.group,
        route.stream,
        route.create_group,
        at,
        at + 10,
        (LogLine(1, "x"),),
        route.credentials,
    )
    response = await send(world, "POST", "/agent/v1/logs", msgspec.json.encode(batch))
    assert response.status == 200 and isinstance(response.body, bytes)
    return msgspec.json.decode(response.body, type=LogReceipt)


async def test_the_records_role_is_passed_on(world: World) -> None:
    assert (await ship(world)).position == 10
    assert (await ship(world, "plain", LogRoute("/g", "p"))).position == 10
    assert world.sink.roles == [ROLE, ""]


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("app", LogRoute("/other", "s", credentials="execution")),
        ("app", LogRoute("/g", "other", credentials="execution")),
        ("app", LogRoute("/g", "s")),
        ("app", LogRoute("/g", "s", create_group=True, credentials="execution")),
        ("silent", ROUTE),
        ("nobody", ROUTE),
        ("broken", LogRoute("/g", "b", credentials="none")),
    ],
)
async def test_lines_that_the_record_sends_nowhere_are_refused(world: World, name: str, route: LogRoute) -> None:
    receipt = await ship(world, name, route)
    assert receipt.failure.startswith("AccessDeniedException: ") and receipt.position == 0
    assert world.sink.roles == []


async def test_last_lines_arrive_after_the_record_is_gone(world: World) -> None:
    await ship(world)
    await world.workloads.delete(KEY)
    await world.clock.settle()
    assert (await ship(world, at=10)).position == 20
    assert (await ship(world, route=LogRoute("/other", "s", credentials="execution"), at=20)).failure
    assert world.sink.roles == [ROLE, ROLE]
    await world.stop_gateway()
    world.start_gateway()
    await ship(world, at=20)
    assert world.sink.roles[2:] == [None], "a new process does not know it: the sink knows whether it wrote before"


async def test_a_record_that_was_only_just_written_counts(world: World) -> None:
    await world.workloads.create(
        f"{MACHINE}/w-2", workload("w-2", container(log=ROUTE), credentials=(Credential("execution", ROLE),))
    )
    await ship(world, uid="w-2")
    assert world.sink.roles == [ROLE]


async def test_what_is_remembered_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_writers, "REMEMBERED", 1)
    await ship(world)
    await ship(world, "plain", LogRoute("/g", "p"))
    await world.workloads.delete(KEY)
    await world.clock.settle()
    await ship(world, at=10)
    await ship(world, "plain", LogRoute("/g", "p"), at=10)
    assert world.sink.roles == [ROLE, "", None, ""]
