"""The scheduler, killed and hindered in its work, in virtual time.

Seeded: users create and delete pods, open gates, close, relabel, remove and enlarge nodes; pods end; writes of the
scheduler fail, done or undone; its watches fall silent or lose events; its process dies and another leads. Every event
of the store is judged as it happens:

- `no-overcommit`: no node is bound more than it has;
- `apart`: no two pods that must not share a zone do;
- `gated`: no pod is bound through a gate;
- `closed`: no pod is bound to a node that was closed long enough for everybody to know;
- `important-first`: nobody is preempted unless somebody more important waits;
- `stays`: a pod that was bound never gets another node;

and once the faults cease, `settled`: whoever still waits fits nowhere and could preempt nobody, and says so.
"""

from __future__ import annotations

import os
from typing import Any

import orjson
import pytest

from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.kinds.core.pod_status import FINISHED
from ropewalk.kube.machinery import conditions
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.recorder import Events
from ropewalk.kube.machinery.registry.inside import InsideApi
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.scheduler.lowering import machine_of, unit_of
from ropewalk.kube.scheduler.scheduler import Scheduler
from ropewalk.planning.choosing import Planner
from ropewalk.planning.fleet import Fleet
from ropewalk.planning.preempting import preempt
from ropewalk.runtime.controller import Runnable
from ropewalk.store.protocol import Event, EventKind
from support.kube_controlling import Lifecycle, World
from support.kube_workloads import PODS, workload_server

SEEDS = int(os.environ.get("ROPEWALK_SEEDS", "24"))
NODES = GroupResource("", "nodes")
ZONE = "topology.kubernetes.io/zone"
DEAF = 20.0
"""Seconds for which watches fall silent, at most."""


class Scheduling(World):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.server = workload_server(store=self.store, clock=self.clock, seed=seed + 2, chain=Lifecycle)
        self.hindered.loses_watches = True
        self.seed = seed
        self.pods: dict[str, Any] = {}
        self.nodes: dict[str, Any] = {}
        self.room: dict[str, int] = {}
        """The most CPU that a node of this name ever had: one that was removed may still be in somebody's mind."""
        self.closed: dict[str, float] = {}
        self.users: set[str] = set()
        self.judged = 0
        self.made = self.bound = self.preempted = 0

    async def begin_controllers(self) -> None:
        self.lives += 1
        self.controlling = workload_server(store=self.hindered, clock=self.clock, seed=self.lives, chain=Lifecycle)
        await self.controlling.start(*self.controllers(self.controlling.api, SeededEntropy(self.lives)))

    def controllers(self, api: InsideApi, entropy: SeededEntropy) -> list[Runnable]:
        events = Events(api, self.clock)
        return [events, Scheduler(api, events.recorder("default-scheduler"), self.clock, self.seed)]

    # --- users

    async def create_node(self, number: int) -> None:
        meta = {"name": f"n-{number}", "labels": {ZONE: f"z-{number % 3}"}}
        made = await self.server.api.create(NODES, {"metadata": meta, "spec": {}})
        cpu = self.random.choice((1, 2, 4))
        status = {"allocatable": {"cpu": str(cpu), "memory": "8Gi", "pods": "10"}}
        await self.server.api.patch(NODES, "", made["metadata"]["name"], {"status": status}, subresource="status")

    async def change_node(self) -> None:
        name, roll = f"n-{self.random.randrange(5)}", self.random.random()
        present = self.nodes.get(name)
        if present is None:
            await self.create_node(int(name[2:]))
        elif roll < 0.4:
            closed = not present["spec"].get("unschedulable")
            await self.server.api.patch(NODES, "", name, {"spec": {"unschedulable": closed or None}})
        elif roll < 0.6:
            cpu = str(int(present["status"]["allocatable"]["cpu"]) + 1)
            await self.server.api.patch(
                NODES, "", name, {"status": {"allocatable": {"cpu": cpu}}}, subresource="status"
            )
        elif roll < 0.75 and not any(pod["spec"].get("nodeName") == name for pod in self.pods.values()):
            await self.server.api.delete(NODES, "", name)
        else:
            await self.server.api.patch(NODES, "", name, {"metadata": {"labels": {"disk": self.random.choice("xy")}}})

    async def create_pod(self) -> None:
        self.made += 1
        cpu = self.random.choice(("200m", "500m", "1"))
        container = {"name": "main", "image": "nginx", "resources": {"requests": {"cpu": cpu}}}
        spec: dict[str, Any] = {"containers": [container], "priority": self.random.choice((0, 0, 0, 5, 9))}
        labels = {"app": self.random.choice("ab")}
        roll = self.random.random()
        if roll < 0.3:
            term = {"labelSelector": {"matchLabels": labels | {"apart": "yes"}}, "topologyKey": ZONE}
            labels["apart"] = "yes"
            spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        elif roll < 0.5:
            spec["nodeSelector"] = {"disk": self.random.choice("xy")}
        elif roll < 0.6:
            spec["schedulingGates"] = [{"name": "x.io/wait"}]
        elif roll < 0.7:
            term = {"labelSelector": {"matchLabels": {"app": "a"}}, "topologyKey": ZONE}
            spec["affinity"] = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        meta = {"name": f"p-{self.made}", "namespace": "default", "labels": labels}
        await self.server.api.create(PODS, {"metadata": meta, "spec": spec})

    async def change_pod(self) -> None:
        if not self.pods:
            return
        pod = self.random.choice(list(self.pods.values()))
        place, roll = ("default", pod["metadata"]["name"]), self.random.random()
        if pod["spec"].get("schedulingGates"):
            await self.server.api.patch(PODS, *place, {"spec": {"schedulingGates": None}})
        elif roll < 0.4:
            self.users.add(pod["metadata"]["uid"])
            await self.server.api.delete(PODS, *place, uid=pod["metadata"]["uid"])
        elif roll < 0.6 and pod["spec"].get("nodeName"):
            await self.server.api.patch(PODS, *place, {"status": {"phase": "Succeeded"}}, subresource="status")

    async def end_pods(self) -> None:
        """What kubelets do, some time."""
        await self.judge()
        for pod in list(self.pods.values()):
            if "deletionTimestamp" in pod["metadata"] and self.random.random() < 0.5:
                await self.server.api.delete(PODS, "default", pod["metadata"]["name"], grace_seconds=0)

    async def fall_silent(self) -> None:
        """With much to do, little room, and writes of which nobody learns for a while what became of them."""
        usual, self.hindered.badness = self.hindered.badness, self.hindered.badness and 0.6
        for _ in range(8):
            await self.create_pod()
        await self.clock.advance(0.1)
        self.hindered.hearing.clear()
        await self.clock.advance(self.random.choice((0.5, 3.0, DEAF)))
        self.hindered.hearing.set()
        self.hindered.badness = usual

    # --- the judge

    async def judge(self) -> None:
        while read := self.store._keys._events_after("/registry/core/", self.judged, 10_000)[0]:
            for event in read:
                self.judged = int(event.revision)
                if event.key.startswith("/registry/core/pods/"):
                    self._judge_pod(event)
                elif event.key.startswith("/registry/core/nodes/"):
                    self._judge_node(event)

    def _judge_node(self, event: Event) -> None:
        node = orjson.loads(event.value if event.kind is not EventKind.DELETE else event.previous)
        name = node["metadata"]["name"]
        if event.kind is EventKind.DELETE:
            del self.nodes[name]
            self.closed.pop(name, None)
            return
        self.nodes[name] = node
        cpu = 1000 * int(node.get("status", {}).get("allocatable", {}).get("cpu", 0))
        self.room[name] = max(self.room.get(name, 0), cpu)
        if node["spec"].get("unschedulable"):
            self.closed.setdefault(name, self.clock.monotonic())
        else:
            self.closed.pop(name, None)

    def _judge_pod(self, event: Event) -> None:
        if event.kind is EventKind.DELETE:
            self.pods.pop(orjson.loads(event.previous)["metadata"]["uid"], None)
            return
        pod = orjson.loads(event.value)
        uid = pod["metadata"]["uid"]
        before = self.pods.get(uid)
        self.pods[uid] = pod
        node = pod["spec"].get("nodeName")
        if before is not None and before["spec"].get("nodeName"):
            assert node == before["spec"]["nodeName"], f"stays: {name_of(pod)} went to {node}"
        elif node:
            self.bound += 1
            self._judge_binding(pod, node)
        if before is not None and is_going(pod) and not is_going(before) and uid not in self.users:
            self.preempted += 1
            told = conditions.find(pod["status"].get("conditions"), "DisruptionTarget") or {}
            assert told["reason"] == "PreemptionByScheduler"
            waiting = [other for other in self.pods.values() if not other["spec"].get("nodeName")]
            assert any(other["spec"]["priority"] > pod["spec"]["priority"] for other in waiting), (
                f"important-first: {name_of(pod)} was preempted for nobody"
            )

    def _judge_binding(self, pod: Any, node: str) -> None:
        assert not pod["spec"].get("schedulingGates"), f"gated: {name_of(pod)}"
        there = [other for other in self.pods.values() if other["spec"].get("nodeName") == node and not is_over(other)]
        used = sum(unit_of(other).room["cpu"] for other in there)
        assert used <= self.room[node], f"no-overcommit: {used} of {self.room[node]} on {node} with {name_of(pod)}"
        since = self.closed.get(node)
        assert since is None or self.clock.monotonic() - since <= DEAF + 5, f"closed: {name_of(pod)} on {node}"
        zone = f"z-{int(node[2:]) % 3}"
        labels = pod["metadata"]["labels"]
        for other in self.pods.values():
            elsewhere = other["spec"].get("nodeName")
            if other is pod or not elsewhere or is_over(other) or f"z-{int(elsewhere[2:]) % 3}" != zone:
                continue
            if "apart" in labels and other["metadata"]["labels"] == labels:
                raise AssertionError(f"apart: {name_of(pod)} and {name_of(other)} share {zone}")

    # --- the run

    async def turn(self) -> None:
        await self.judge()
        roll = self.random.random()
        try:
            if roll < 0.45 and self.made < 40:
                await self.create_pod()
            elif roll < 0.6:
                await self.change_pod()
            elif roll < 0.75:
                await self.change_node()
            elif roll < 0.85:
                await self.end_pods()
            elif roll < 0.89:
                await self.restart()
            elif roll < 0.94:
                await self.fall_silent()
        except StatusFault as fault:
            assert fault.reason in ("NotFound", "Conflict", "Invalid"), fault
        await self.clock.advance(self.random.choice((0.0, 0.0, 0.2, 2.0, 15.0)))
        await self.judge()

    async def run(self) -> tuple[int, int]:
        await self.up()
        for number in range(3):
            await self.create_node(number)
        self.hindered.badness = self.random.choice((0.0, 0.05, 0.3))
        for _ in range(70):
            await self.turn()
        self.hindered.badness = 0.0
        for _ in range(8):
            await self.clock.advance(60.0)
            await self.judge()
            for _ in range(4):
                await self.end_pods()
        await self.clock.advance(60.0)
        await self.judge()
        self.check_settled()
        await self.down()
        return self.bound, self.preempted

    def check_settled(self) -> None:
        fleet = Fleet(machine_of(node) for node in self.nodes.values())
        for pod in self.pods.values():
            if pod["spec"].get("nodeName") and not is_over(pod):
                fleet.add(unit_of(pod), pod["spec"]["nodeName"])
        planner = Planner(fleet)
        for pod in self.pods.values():
            if pod["spec"].get("nodeName") or pod["spec"].get("schedulingGates") or is_over(pod):
                continue
            unit = unit_of(pod)
            choice = planner.choose(unit)
            assert choice.machine is None, f"settled: {name_of(pod)} waits, and fits on {choice.machine}"
            if self.nodes:
                outcome = preempt(planner, unit, choice.sieve, (), 0)
                assert outcome.victims is None, f"settled: {name_of(pod)} waits, and could preempt {outcome.victims}"
            told = conditions.find(pod["status"].get("conditions"), "PodScheduled") or {}
            assert told.get("reason") == "Unschedulable", f"settled: {name_of(pod)} was not told: {told}"


def name_of(pod: Any) -> str:
    return str(pod["metadata"]["name"])


def is_going(pod: Any) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def is_over(pod: Any) -> bool:
    return pod.get("status", {}).get("phase") in FINISHED


@pytest.mark.parametrize("block", range(6))
async def test_pods_are_placed_once_and_rightly(block: int) -> None:
    bound = preempted = 0
    for seed in range(block, SEEDS, 6):
        try:
            found = await Scheduling(seed).run()
        except AssertionError as failed:
            raise AssertionError(f"seed {seed}: {failed}") from failed
        bound, preempted = bound + found[0], preempted + found[1]
    assert bound > 5 * len(range(block, SEEDS, 6)), "hardly anything was ever bound"
    assert preempted, "nobody was ever preempted"
