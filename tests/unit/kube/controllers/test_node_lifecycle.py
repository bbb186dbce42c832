"""Nodes that fall silent, what becomes of their pods, and pods that nobody else would ever end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.controllers import node_health as health
from ropewalk.kube.controllers.node_health import Budget, ZoneState
from ropewalk.kube.controllers.node_lifecycle import LEASES, NODES, NodeLifecycle
from ropewalk.kube.controllers.pod_book import PodBook
from ropewalk.kube.controllers.pod_garbage import PodGarbage
from ropewalk.kube.controllers.taint_eviction import TaintEviction, tolerated_seconds
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.recorder import Events
from support.kube_workloads import PODS, Hands, workload_server

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


def node(name: str = "n-1", zone: str = "a", ready: str = "True", **spec: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready, "reason": "R", "message": "m"}] if ready else []
    labels = {"topology.kubernetes.io/zone": zone, "kubernetes.io/os": "linux"}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": {"conditions": conditions}}


# --- what silence and conditions mean


def test_the_conditions_of_a_lost_node() -> None:
    lost = health.lost_conditions(node(), 1_700_000_000.0)
    assert [(each["type"], each["status"], each["reason"]) for each in lost] == [
        ("Ready", "Unknown", "NodeStatusUnknown"),
        ("MemoryPressure", "Unknown", "NodeStatusNeverUpdated"),
        ("DiskPressure", "Unknown", "NodeStatusNeverUpdated"),
        ("PIDPressure", "Unknown", "NodeStatusNeverUpdated"),
    ]
    assert lost[0]["message"] == "Kubelet stopped posting node status."
    assert lost[1]["message"] == "Kubelet never posted node status."


@pytest.mark.parametrize(
    ("ready", "pressure", "unschedulable", "no_schedule", "no_execute"),
    [
        ("True", "False", False, set(), ""),
        ("False", "False", False, {NOT_READY}, NOT_READY),
        ("Unknown", "True", False, {UNREACHABLE, "node.kubernetes.io/memory-pressure"}, UNREACHABLE),
        ("True", "Unknown", True, {"node.kubernetes.io/unschedulable"}, ""),
        ("", "False", False, set(), ""),
    ],
)
def test_which_taints_follow(
    ready: str, pressure: str, unschedulable: bool, no_schedule: set[str], no_execute: str
) -> None:
    one = node(ready=ready, **({"unschedulable": True} if unschedulable else {}))
    one["status"]["conditions"].append({"type": "MemoryPressure", "status": pressure})
    assert health.no_schedule_taints(one) == no_schedule
    assert health.no_execute_taint(one) == no_execute


def test_taints_of_others_stay() -> None:
    theirs = [{"key": "mine", "effect": "NoExecute"}, {"key": NOT_READY, "effect": "PreferNoSchedule"}]
    one = node(taints=[*theirs, {"key": NOT_READY, "effect": "NoSchedule"}])
    assert health.tainted(one, set(), set(), 0.0) == theirs
    assert health.tainted(one, {NOT_READY}, set(), 0.0) is None
    made = health.tainted(one, {NOT_READY}, {NOT_READY}, 1_700_000_000.0)
    assert made is not None
    assert made[-1] == {"key": NOT_READY, "effect": "NoExecute", "timeAdded": "2023-11-14T22:13:20Z"}


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        (["True"] * 3, ZoneState.NORMAL),
        (["False"], ZoneState.FULL),
        (["Unknown"] * 5, ZoneState.FULL),
        (["False", "False", "True"], ZoneState.NORMAL),
        (["False"] * 3 + ["True"] * 2, ZoneState.PARTIAL),
        (["False"] * 3 + ["True"] * 3, ZoneState.NORMAL),
    ],
)
def test_the_state_of_a_zone(statuses: list[str], state: ZoneState) -> None:
    assert health.zone_state(statuses) is state


def test_how_fast_zones_are_evicted() -> None:
    assert health.rate(ZoneState.NORMAL, 3, all_full=False) == 0.1
    assert health.rate(ZoneState.PARTIAL, 51, all_full=False) == 0.01
    assert health.rate(ZoneState.PARTIAL, 50, all_full=False) == 0.0
    assert health.rate(ZoneState.FULL, 3, all_full=False) == 0.1
    assert health.rate(ZoneState.FULL, 3, all_full=True) == 0.0


@given(st.lists(st.floats(0, 30), min_size=1, max_size=50))
def test_a_budget_allows_one_and_then_its_rate(waits: list[float]) -> None:
    budget, now, taken = Budget(), 100.0, 0
    budget.refill(now)
    for wait in waits:
        now += wait
        taken += budget.take(now)
    assert taken <= 1 + (now - 100.0) * health.RATE + 1e-6


@pytest.mark.parametrize(
    ("tolerations", "seconds"),
    [
        ([], 0.0),
        ([{"operator": "Exists"}], None),
        ([{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}], 30.0),
        ([{"key": "k", "operator": "Exists", "tolerationSeconds": -5}], 0.0),
        ([{"key": "k", "value": "v"}], None),
        ([{"key": "k", "value": "w"}], 0.0),
        ([{"key": "k", "operator": "Exists", "effect": "NoSchedule"}], 0.0),
        ([{"key": "other", "operator": "Exists"}], 0.0),
    ],
)
def test_how_long_a_taint_is_tolerated(tolerations: list[dict[str, Any]], seconds: float | None) -> None:
    assert tolerated_seconds([{"key": "k", "value": "v", "effect": "NoExecute"}], tolerations) == seconds


def test_of_several_taints_the_least_tolerated_counts() -> None:
    taints = [{"key": key, "effect": "NoExecute"} for key in ("a", "b")]
    both = [{"key": key, "operator": "Exists", "tolerationSeconds": n} for key, n in (("a", 60), ("b", 20))]
    assert tolerated_seconds(taints, both) == 20.0
    assert tolerated_seconds(taints, both[:1]) == 0.0
    both[1].pop("tolerationSeconds")
    assert tolerated_seconds(taints, both) == 60.0


# --- on a server


class World:
    def __init__(self) -> None:
        self.server = workload_server(clock=VirtualClock(settle_rounds=200))
        self.api, self.clock = self.server.api, self.server.clock
        self.hands = Hands(self.api, self.clock)
        self.renewing: set[str] = set()

    async def start(self) -> World:
        api, clock, entropy = self.api, self.clock, SeededEntropy(1)
        events, book = Events(api, clock), PodBook(api)
        await self.server.start(
            events,
            NodeLifecycle(api, book, events, clock, entropy),
            TaintEviction(api, book, events, clock, entropy),
            PodGarbage(api, book, clock, most_finished=2),
        )
        return self

    async def join(self, *names: str, zone: str = "a", ready: str = "True") -> None:
        for name in names:
            made = node(name, zone, ready, taints=[{"key": NOT_READY, "effect": "NoSchedule"}])
            status = made.pop("status")
            await self.api.create(NODES, made)
            await self.api.patch(NODES, "", name, {"status": status}, subresource="status")
            lease = {"metadata": {"name": name, "namespace": "kube-node-lease"}, "spec": {"holderIdentity": name}}
            await self.api.create(LEASES, lease)
            self.renewing.add(name)

    async def live(self, seconds: float) -> None:
        """So much time passes, in which nodes that are there renew their leases."""
        for _ in range(int(seconds // 10)):
            for name in sorted(self.renewing):
                now = times.rfc3339_micro(self.clock.wall())
                await self.api.patch(LEASES, "kube-node-lease", name, {"spec": {"renewTime": now}})
            await self.clock.advance(10.0)

    async def node(self, name: str = "n-1") -> dict[str, Any]:
        return await self.api.get(NODES, "", name)

    async def ready(self, name: str = "n-1") -> str:
        return health.ready_status(await self.node(name))

    async def taints(self, name: str = "n-1") -> set[tuple[str, str]]:
        found = (await self.node(name))["spec"].get("taints") or ()
        return {(each["key"].rpartition("/")[2], each["effect"]) for each in found}

    async def run(self, name: str, node: str = "n-1", **spec: Any) -> dict[str, Any]:
        body = {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [CONTAINER]} | spec}
        made = await self.api.create(PODS, body)
        if node:
            await self.hands.bind(made, node)
            await self.hands.report(await self.api.get(PODS, "default", name))
        await self.clock.advance(0.1)
        return await self.api.get(PODS, "default", name)

    async def pod(self, name: str) -> dict[str, Any] | None:
        try:
            return await self.api.get(PODS, "default", name)
        except StatusFault:
            return None


CONTAINER = {"name": "c", "image": "nginx"}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = await World().start()
    yield made
    await made.server.stop()


def is_going(pod: dict[str, Any] | None) -> bool:
    return pod is not None and "deletionTimestamp" in pod["metadata"]


async def test_a_node_that_is_ready_loses_its_first_taint(world: World) -> None:
    await world.join("n-1")
    await world.join("n-2", ready="False")
    await world.clock.advance(0.5)
    assert await world.taints() == set()
    assert ("not-ready", "NoSchedule") in await world.taints("n-2")
    labels = (await world.node())["metadata"]["labels"]
    assert labels["beta.kubernetes.io/os"] == "linux"
    told = await world.hands.told()
    assert ("RegisteredNode", "Node n-1 event: Registered Node n-1 in Controller") in told


async def test_a_silent_node_is_lost_and_comes_back(world: World) -> None:
    await world.join("n-1", "n-2")
    await world.run("here")
    await world.live(60.0)
    assert await world.ready() == "True", "its lease is a sign of life"
    world.renewing.discard("n-1")
    await world.live(40.0)
    assert await world.ready() == "True"
    await world.live(30.0)
    assert await world.ready() == "Unknown"
    assert await world.ready("n-2") == "True"
    assert await world.taints() == {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")}
    pod = await world.pod("here")
    told = await world.hands.told()
    assert ("NodeNotReady", "Node n-1 status is now: NodeNotReady") in told
    assert ("NodeNotReady", "Node is not ready") in told
    assert is_going(pod), "nobody gave it a toleration"
    world.renewing.add("n-1")
    conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "m"}]
    await world.api.patch(NODES, "", "n-1", {"status": {"conditions": conditions}}, subresource="status")
    await world.live(20.0)
    assert await world.taints() == set()


async def test_pods_tolerate_for_a_time(world: World) -> None:
    await world.join("n-1", "n-2")
    for_a_time = {"key": UNREACHABLE, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 100}
    for_ever = {"operator": "Exists"}
    await world.run("a-time", tolerations=[for_a_time])
    await world.run("ever", tolerations=[for_ever])
    world.renewing.discard("n-1")
    await world.live(70.0)
    assert await world.ready() == "Unknown"
    pod = await world.pod("a-time")
    assert pod is not None
    assert [each["status"] for each in pod["status"]["conditions"] if each["type"] == "Ready"] == ["False"]
    await world.live(70.0)
    assert not is_going(await world.pod("a-time"))
    await world.live(60.0)
    gone = await world.pod("a-time")
    assert is_going(gone)
    assert gone is not None
    target = next(each for each in gone["status"]["conditions"] if each["type"] == "DisruptionTarget")
    assert (target["reason"], target["message"]) == (
        "DeletionByTaintManager",
        "Taint manager: deleting due to NoExecute taint",
    )
    assert ("TaintManagerEviction", "Marking for deletion Pod default/a-time") in await world.hands.told()
    assert not is_going(await world.pod("ever"))


async def test_an_eviction_is_called_off(world: World) -> None:
    await world.join("n-1")
    toleration = {"key": "mine", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}
    await world.run("here", tolerations=[toleration])
    await world.api.patch(NODES, "", "n-1", {"spec": {"taints": [{"key": "mine", "effect": "NoExecute"}]}})
    await world.live(30.0)
    await world.api.patch(NODES, "", "n-1", {"spec": {"taints": None}})
    await world.live(60.0)
    assert not is_going(await world.pod("here"))
    assert ("TaintManagerEviction", "Cancelling deletion of Pod default/here") in await world.hands.told()


async def test_one_node_of_a_zone_at_a_time(world: World) -> None:
    await world.join("n-1", "n-2", "n-3", "n-4", "n-5", "n-6")
    world.renewing -= {"n-1", "n-2"}
    await world.live(60.0)

    async def evicted() -> int:
        return sum([("unreachable", "NoExecute") in await world.taints(name) for name in ("n-1", "n-2")])

    assert await world.ready("n-2") == "Unknown"
    assert await evicted() == 1
    await world.live(20.0)
    assert await evicted() == 2


async def test_where_all_are_lost_it_is_this_side_that_is_cut_off(world: World) -> None:
    await world.join("n-1", "n-2")
    await world.run("here")
    world.renewing.clear()
    await world.live(300.0)
    await world.clock.advance(300.0)
    assert await world.taints() == {("unreachable", "NoSchedule")}
    pod = await world.pod("here")
    assert pod is not None


async def test_pods_of_a_node_that_is_gone_end(world: World) -> None:
    await world.join("n-1", "n-2")
    await world.run("here")
    await world.api.delete(NODES, "", "n-1")
    await world.clock.advance(30.0)
    assert await world.pod("here") is not None, "the node may come again"
    await world.clock.advance(40.0)
    assert await world.pod("here") is None
    assert ("RemovingNode", "Node n-1 event: Removing Node n-1 from Controller") in await world.hands.told()


async def test_pods_of_a_node_out_of_service_are_not_waited_for(world: World) -> None:
    await world.join("n-1", "n-2")
    await world.join("n-3", ready="False")
    await world.run("here", node="n-3", tolerations=[{"operator": "Exists"}])
    await world.api.delete(PODS, "default", "here")
    await world.clock.advance(25.0)
    assert is_going(await world.pod("here"))
    out = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
    await world.api.patch(NODES, "", "n-3", {"spec": {"taints": [out]}})
    await world.clock.advance(25.0)
    assert await world.pod("here") is None


async def test_finished_pods_beyond_the_most_go_oldest_first(world: World) -> None:
    await world.join("n-1")
    for name in ("a", "b", "c", "d"):
        found = await world.run(name)
        await world.hands.report(found, "Succeeded", ready=False)
        await world.clock.advance(1.0)
    await world.clock.advance(25.0)
    assert [await world.pod(name) is not None for name in ("a", "b", "c", "d")] == [False, False, True, True]
