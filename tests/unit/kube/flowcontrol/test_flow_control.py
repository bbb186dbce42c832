"""The step of the front: seats, waits, refusals; and the configuration changing beneath it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest
from tests.support.kube_api import MemoryApi

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.flowcontrol import figures
from ropewalk.kube.flowcontrol.control import (
    FLOW_SCHEMAS,
    LONGEST_WAIT,
    PRIORITY_LEVELS,
    PriorityAndFairness,
)
from ropewalk.kube.flowcontrol.upkeep import FlowControlUpkeep, bootstrap
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.http.metrics import Metrics
from ropewalk.kube.machinery.requests import LOOPBACK, Attributes, User

JANE = User("jane", ("system:authenticated",))


def asks(user: User = JANE, verb: str = "get", namespace: str = "shop") -> Attributes:
    return Attributes(user, verb, "/…", "", "v1", "pods", "", namespace)


def level(name: str, shares: int, *, queues: int = 1, length: int = 2, lendable: int = 0) -> dict[str, Any]:
    limited: dict[str, Any] = {"nominalConcurrencyShares": shares, "lendablePercent": lendable}
    limited["limitResponse"] = (
        {"type": "Queue", "queuing": {"queues": queues, "handSize": 1, "queueLengthLimit": length}}
        if queues
        else {"type": "Reject"}
    )
    limited["borrowingLimitPercent"] = 0
    return {"metadata": {"name": name, "uid": f"level-{name}"}, "spec": {"type": "Limited", "limited": limited}}


def schema(name: str, leads_to: str, user: str, precedence: int = 50) -> dict[str, Any]:
    rule = {
        "subjects": [{"kind": "User", "user": {"name": user}}],
        "resourceRules": [
            {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
        ],
    }
    spec = {"matchingPrecedence": precedence, "priorityLevelConfiguration": {"name": leads_to}, "rules": [rule]}
    return {"metadata": {"name": name, "uid": f"schema-{name}"}, "spec": spec}


class Caller:
    """Requests under way, each held until told."""

    def __init__(self, control: PriorityAndFairness) -> None:
        self.control = control
        self.inside: list[int] = []
        self.most = 0
        self._tasks: list[asyncio.Task[None]] = []  # the loop itself holds none

    def ask(self, number: int, attributes: Attributes) -> tuple[asyncio.Task[None], asyncio.Event]:
        done = asyncio.Event()

        async def request() -> None:
            async with self.control.turn(attributes, long_running=False):
                self.inside.append(number)
                self.most = max(self.most, len(self.inside))
                try:
                    await done.wait()
                finally:
                    self.inside.remove(number)

        task = asyncio.ensure_future(request())
        self._tasks.append(task)
        return task, done


Scene = tuple[MemoryApi, VirtualClock, PriorityAndFairness]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    """One level of two seats and two places to wait, for jane."""
    api, clock = MemoryApi(), VirtualClock()
    api.put(PRIORITY_LEVELS, level("narrow", 5))
    api.put(FLOW_SCHEMAS, schema("janes", "narrow", "jane"))
    control = PriorityAndFairness(api, clock, seats=4)  # two for catch-all
    running = asyncio.ensure_future(control.run())
    await clock.settle()
    yield api, clock, control
    running.cancel()


def seats(control: PriorityAndFairness) -> dict[str, tuple[int, int]]:
    return {level.name: (level.in_use, level.waiting) for level, _ in control.levels()}


async def refused(task: Awaitable[None]) -> StatusFault:
    with pytest.raises(StatusFault) as caught:
        await task
    return caught.value


async def test_seats_then_places_to_wait_then_refusals(scene: Scene) -> None:
    _, clock, control = scene
    caller = Caller(control)
    asked = [caller.ask(number, asks()) for number in range(5)]
    await clock.settle()
    assert caller.inside == [0, 1]
    assert seats(control)["narrow"] == (2, 2)
    fault = await refused(asked[4][0])
    assert (fault.status, fault.reason) == (429, "TooManyRequests")
    assert fault.message == "Too many requests, please try again later."
    assert fault.headers == {
        "retry-after": "1",
        "x-kubernetes-pf-flowschema-uid": "schema-janes",
        "x-kubernetes-pf-prioritylevel-uid": "level-narrow",
    }
    asked[0][1].set()
    await clock.settle()
    assert caller.inside == [1, 2]
    for _, done in asked:
        done.set()
    await asyncio.gather(*(task for task, _ in asked[:4]))
    assert (seats(control)["narrow"], caller.most) == ((0, 0), 2)


async def test_others_are_not_concerned(scene: Scene) -> None:
    _, clock, control = scene
    caller = Caller(control)
    for number in range(4):
        caller.ask(number, asks())
    caller.ask(10, asks(User("joe", ("system:authenticated",))))
    masters = [caller.ask(20 + number, asks(LOOPBACK)) for number in range(100)]
    await clock.settle()
    assert set(caller.inside) == {0, 1, 10, *range(20, 120)}
    for _, done in masters:
        done.set()
    await asyncio.gather(*(task for task, _ in masters))
    assert seats(control)["exempt"] == (0, 0)


async def test_who_waits_too_long_is_turned_away(scene: Scene) -> None:
    _, clock, control = scene
    caller = Caller(control)
    first = [caller.ask(number, asks()) for number in range(3)]
    await clock.advance(LONGEST_WAIT - 5)
    late, _ = caller.ask(3, asks())
    await clock.advance(5.5)
    assert (await refused(first[2][0])).status == 429
    assert not late.done()
    assert seats(control)["narrow"] == (2, 1)
    await clock.advance(10)
    assert (await refused(late)).status == 429
    assert seats(control)["narrow"] == (2, 0)
    assert caller.inside == [0, 1]


async def test_cancelled_requests_give_everything_back(scene: Scene) -> None:
    _, clock, control = scene
    caller = Caller(control)
    asked = [caller.ask(number, asks()) for number in range(4)]
    await clock.settle()
    asked[2][0].cancel()
    await clock.settle()
    assert seats(control)["narrow"] == (2, 1)
    asked[0][0].cancel()  # its seat goes to the one that waits
    await clock.settle()
    assert caller.inside == [1, 3]
    for task, _ in asked:
        task.cancel()
    await clock.settle()
    assert seats(control)["narrow"] == (0, 0)
    await clock.advance(2 * LONGEST_WAIT)
    assert seats(control)["narrow"] == (0, 0)


async def test_cancelled_in_the_moment_in_which_its_turn_comes(scene: Scene) -> None:
    _, clock, control = scene
    caller = Caller(control)
    asked = [caller.ask(number, asks()) for number in range(3)]
    await clock.settle()
    asked[0][1].set()
    while not any(level.waiting == 0 and level.name == "narrow" for level, _ in control.levels()):
        await asyncio.sleep(0)
    asked[2][0].cancel()  # seated, and not yet told
    await clock.settle()
    assert caller.inside == [1]
    assert seats(control)["narrow"] == (1, 0)


async def test_a_failing_request_gives_its_seat_back(scene: Scene) -> None:
    _, _, control = scene
    for _ in range(10):
        with pytest.raises(ValueError, match="boom"):
            async with control.turn(asks(), long_running=False):
                raise ValueError("boom")
    assert seats(control)["narrow"] == (0, 0)


async def test_a_watch_takes_a_seat_to_begin_and_other_long_connections_none(scene: Scene) -> None:
    _, clock, control = scene
    async with control.turn(asks(verb="watch"), long_running=True):
        assert seats(control)["narrow"] == (1, 0)
    for _ in range(20):
        await control.turn(asks(verb="create"), long_running=True).__aenter__()
    await clock.settle()
    assert seats(control)["narrow"] == (0, 0)


async def test_answers_tell_where_the_request_belonged(scene: Scene) -> None:
    _, _, control = scene
    assert control.turn(asks(), long_running=False).headers == {
        "x-kubernetes-pf-flowschema-uid": "schema-janes",
        "x-kubernetes-pf-prioritylevel-uid": "level-narrow",
    }
    assert control.turn(asks(), long_running=True).headers == {}


async def test_a_wider_level_lets_those_in_who_wait(scene: Scene) -> None:
    api, clock, control = scene
    caller = Caller(control)
    for number in range(4):
        caller.ask(number, asks())
    await clock.settle()
    assert caller.inside == [0, 1]
    api.put(PRIORITY_LEVELS, level("narrow", 500))
    await clock.settle()
    assert caller.inside == [0, 1, 2, 3]


async def test_schemas_that_come_and_go(scene: Scene) -> None:
    api, _, control = scene
    assert control.flow(asks()).level_name == "narrow"
    api.put(PRIORITY_LEVELS, level("other", 5))
    api.put(FLOW_SCHEMAS, schema("sooner", "other", "jane", precedence=40))
    assert (control.flow(asks()).schema_name, control.flow(asks()).level_name) == ("sooner", "other")
    api.drop(PRIORITY_LEVELS, "", "other")
    assert control.flow(asks()).level_name == "narrow"
    api.drop(FLOW_SCHEMAS, "", "janes")
    assert control.flow(asks()).level_name == "catch-all"


async def test_a_level_that_goes_keeps_its_seats_until_its_requests_are_through(scene: Scene) -> None:
    api, clock, control = scene
    caller = Caller(control)
    asked = [caller.ask(number, asks()) for number in range(3)]
    await clock.settle()
    api.drop(PRIORITY_LEVELS, "", "narrow")
    assert control.flow(asks()).level_name == "catch-all"
    assert seats(control)["narrow"] == (2, 1)
    for _, done in asked:
        done.set()
    await asyncio.gather(*(task for task, _ in asked))
    await clock.advance(25)
    assert set(seats(control)) == {"exempt", "catch-all"}


async def test_idle_seats_are_lent() -> None:
    api, clock = MemoryApi(), VirtualClock()
    busy, idle = level("busy", 40), level("idle", 40, lendable=90)
    del busy["spec"]["limited"]["borrowingLimitPercent"]
    busy["spec"]["limited"]["limitResponse"]["queuing"]["queueLengthLimit"] = 500
    for obj in (busy, idle):
        api.put(PRIORITY_LEVELS, obj)
    api.put(FLOW_SCHEMAS, schema("janes", "busy", "jane"))
    control = PriorityAndFairness(api, clock, seats=85)
    running = asyncio.ensure_future(control.run())
    await clock.settle()
    caller = Caller(control)
    for number in range(200):
        caller.ask(number, asks())
    await clock.advance(11)
    assert len(caller.inside) > 60
    assert len(caller.inside) <= 85
    running.cancel()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_never_wait(scene: Scene, path: str) -> None:
    api, _, control = scene
    await bootstrap(api)
    asked = Attributes(User("system:anonymous", ("system:unauthenticated",)), "get", path)
    assert control.flow(asked).level_name == "exempt"


async def test_many_flows_are_not_remembered_for_ever(scene: Scene) -> None:
    _, _, control = scene
    for number in range(20000):
        control.flow(Attributes(JANE, "get", f"/nothing/{number}"))
    assert len(control._flows) <= 8192


# --- objects


async def test_the_server_makes_and_keeps_its_own_objects() -> None:
    api, clock = MemoryApi(), VirtualClock()
    upkeep = asyncio.ensure_future(FlowControlUpkeep(api, clock, SeededEntropy(1)).run())
    await clock.advance(1)
    assert len(api.cache(PRIORITY_LEVELS).all()) == 8
    assert len(api.cache(FLOW_SCHEMAS).all()) == 11
    api.drop(FLOW_SCHEMAS, "", "catch-all")
    api.drop(PRIORITY_LEVELS, "", "workload-low")
    await clock.advance(61)
    assert api.cache(FLOW_SCHEMAS).get("", "catch-all") is not None
    assert api.cache(PRIORITY_LEVELS).get("", "workload-low") is not None
    upkeep.cancel()


async def test_bootstrap_twice_writes_once() -> None:
    api = MemoryApi()
    await bootstrap(api)
    written = len(api.log)
    await bootstrap(api)
    assert (written, len(api.log)) == (19, 19)


def condition(api: MemoryApi, name: str) -> tuple[str, str, str]:
    found = api.cache(FLOW_SCHEMAS).get("", name)
    assert found is not None
    (one,) = found["status"]["conditions"]
    assert one["type"] == "Dangling"
    return one["status"], one["reason"], one["message"]


async def test_a_schema_says_whether_its_level_exists() -> None:
    api, clock = MemoryApi(), VirtualClock()
    api.put(FLOW_SCHEMAS, schema("janes", "later", "jane"))
    upkeep = asyncio.ensure_future(FlowControlUpkeep(api, clock, SeededEntropy(1)).run())
    await clock.advance(1)
    told = 'This FlowSchema references the PriorityLevelConfiguration object named "later"'
    assert condition(api, "janes") == ("True", "NotFound", f"{told} but there is no such object")
    assert condition(api, "exempt")[0] == "False"
    api.put(PRIORITY_LEVELS, level("later", 5))
    await clock.advance(1)
    assert condition(api, "janes") == ("False", "Found", f"{told} and it exists")
    written = len(api.log)
    await clock.advance(300)
    assert len(api.log) == written
    api.drop(PRIORITY_LEVELS, "", "later")
    await clock.advance(1)
    assert condition(api, "janes")[0] == "True"
    upkeep.cancel()


async def test_metrics_and_pages(scene: Scene) -> None:
    _, _, control = scene
    metrics = Metrics()
    figures.add_metrics(control, metrics)
    async with control.turn(asks(), long_running=False):
        text = metrics.text()
        rows = list(figures.dump_priority_levels(control))
    assert 'apiserver_flowcontrol_nominal_limit_seats{priority_level="narrow"} 2\n' in text
    assert 'apiserver_flowcontrol_current_executing_requests{priority_level="narrow"} 1\n' in text
    assert "inf" not in text.lower().replace("inflight", "").replace("+inf", "")
    assert ("narrow", 1, "false", 0, 1, 0) in rows
