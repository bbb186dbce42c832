"""The controllers that keep pods running, killed and hindered in their work, in virtual time.

Seeded: users scale, delete pods, take them away from their controllers and give orphans to them; pods are bound, become
ready and fail; writes of the controllers fail, done or undone; their watches fall silent or lose events; their process
dies and another begins. Every event of the store is judged as it happens:

- `no-surplus`: a controller makes no pod beyond what was asked for at some time since it last could know;
- `no-gap`: it deletes no pod while there are no more than were asked for, unless others took some away just then;
- `one-owner`: a pod that has a controller never gets another in its place;

and once the faults cease: there are as many pods as were asked for, and the status says so.
"""

from __future__ import annotations

import os
from typing import Any

import orjson
import pytest

from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.controllers.pod_book import PodBook
from ropewalk.kube.controllers.replica_sets import REPLICA_SETS, ReplicaSetController
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.recorder import Events
from ropewalk.kube.machinery.registry.inside import InsideApi
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.runtime.controller import Runnable
from ropewalk.store.protocol import Event, EventKind
from support.kube_controlling import Lifecycle, World
from support.kube_workloads import PODS, Hands, workload_server

SEEDS = int(os.environ.get("ROPEWALK_SEEDS", "24"))
SETS = GroupResource("apps", "replicasets")
DEAF = 20.0
"""Seconds for which watches fall silent, at most: so old may be what a controller acts on."""


class Workloads(World):
    """Replica sets, their users, and the judge of what becomes of the pods."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.server = workload_server(store=self.store, clock=self.clock, seed=seed + 2, chain=Lifecycle)
        self.hands = Hands(self.server.api, self.clock)
        self.hindered.loses_watches = True
        self.pods: dict[str, Any] = {}
        """uid → the pod as the store's last event tells it."""
        self.asked: dict[str, list[tuple[float, int]]] = {}
        """Set's uid → what was asked for, and since when."""
        self.users: set[str] = set()
        """Pods that users deleted."""
        self.taken: dict[str, float] = {}
        """Set's uid → when somebody else last took a pod from it: a pod that failed, was deleted or relabelled."""
        self.judged = 0
        self.made_for = self.deleted_for = 0

    def controllers(self, api: InsideApi, entropy: SeededEntropy) -> list[Runnable]:
        events, book = Events(api, self.clock), PodBook(api)
        return [events, ReplicaSetController(REPLICA_SETS, api, book, events, self.clock, entropy)]

    # --- users

    async def create_set(self, name: str) -> None:
        labels = {"app": name}
        spec = {"containers": [{"name": "main", "image": "nginx"}]}
        template = {"metadata": {"labels": labels}, "spec": spec}
        replicas = self.random.randrange(6)
        fields = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        body = {"metadata": {"name": name, "namespace": "default"}, "spec": fields}
        made = await self.server.api.create(SETS, body)
        self.asked[made["metadata"]["uid"]] = [(self.clock.monotonic(), replicas)]

    async def scale(self, name: str) -> None:
        replicas = self.random.randrange(8)
        obj = await self.server.api.patch(SETS, "default", name, {"spec": {"replicas": replicas}})
        self.asked[obj["metadata"]["uid"]].append((self.clock.monotonic(), replicas))

    async def orphan(self, name: str) -> None:
        """A pod that a set might adopt."""
        spec = {"containers": [{"name": "main", "image": "nginx"}]}
        meta = {"generateName": "orphan-", "namespace": "default", "labels": {"app": name}}
        await self.server.api.create(PODS, {"metadata": meta, "spec": spec})

    async def disturb(self) -> None:
        pods = await self.hands.pods()
        if not pods:
            return
        pod, roll = self.random.choice(pods), self.random.random()
        place = pod["metadata"]["namespace"], pod["metadata"]["name"]
        try:
            if roll < 0.4:
                self.users.add(pod["metadata"]["uid"])
                await self.server.api.delete(PODS, *place, uid=pod["metadata"]["uid"])
            elif roll < 0.7:
                labels = {"app": self.random.choice(("a", "b", "elsewhere"))}
                await self.server.api.patch(PODS, *place, {"metadata": {"labels": labels}})
            elif pod["spec"].get("nodeName"):
                await self.hands.report(pod, "Failed", ready=False)
        except StatusFault as fault:
            assert fault.reason in ("NotFound", "Conflict", "Invalid"), fault

    # --- the judge

    async def judge(self) -> None:
        while True:
            read = self.store._keys._events_after("/registry/core/pods/", self.judged, 10_000)[0]
            if not read:
                return
            for event in read:
                self.judged = int(event.revision)
                self._judge(event)

    def _judge(self, event: Event) -> None:
        pod = orjson.loads(event.value)
        uid = pod["metadata"]["uid"]
        before = self.pods.get(uid)
        gone = event.kind is EventKind.DELETE
        owner = owner_of(pod)
        if before is None and owner in self.asked:
            self.made_for += 1
            wanted, present = self._asked(owner, max), self._active(owner)
            assert present < wanted, f"no-surplus: {present} pods were there, {wanted} wanted, and one was made"
        if before is not None and owner_of(before) in self.asked and is_active(before):
            owner = owner_of(before)
            if uid in self.users or owner_of(pod) != owner or not (gone or is_going(pod) or is_active(pod)):
                self.taken[owner] = self.clock.monotonic()
            elif (gone or is_going(pod)) and self.taken.get(owner, -100.0) < self._oldest_view():
                wanted, present = self._asked(owner, min), self._active(owner)
                assert present > wanted, f"no-gap: {present} pods were there, {wanted} wanted, and one was deleted"
                self.deleted_for += 1
        if before is not None and owner_of(before) and owner_of(pod):
            assert owner_of(before) == owner_of(pod), "one-owner: a pod was taken from its controller"
        if gone:
            self.pods.pop(uid, None)
        else:
            self.pods[uid] = pod

    def _oldest_view(self) -> float:
        """Since when what the controller knows may be old."""
        return self.clock.monotonic() - DEAF - 5.0

    def _asked(self, owner: str, extreme: Any) -> int:
        """The most or the least that was asked for at any time since the controller's view may date from."""
        since = self._oldest_view()
        wishes = self.asked[owner]
        ends = [time for time, _ in wishes[1:]] + [float("inf")]
        return int(extreme(count for (_, count), end in zip(wishes, ends, strict=True) if end > since))

    def _active(self, owner: str) -> int:
        return sum(is_active(pod) for pod in self.pods.values() if owner_of(pod) == owner)

    # --- the run

    async def turn(self) -> None:
        roll = self.random.random()
        name = self.random.choice(("a", "b"))
        if roll < 0.2:
            await self.scale(name)
        elif roll < 0.4:
            await self.disturb()
        elif roll < 0.5:
            await self.orphan(name)
        elif roll < 0.8:
            for pod in await self.hands.pods():
                if self.random.random() < 0.6:
                    await self.hands.step(pod)
        elif roll < 0.87:
            await self.restart()
        elif roll < 0.93:
            await self.be_deaf()
        await self.clock.advance(self.random.choice((0.0, 0.0, 0.1, 1.0, 5.0)))
        await self.judge()

    async def be_deaf(self) -> None:
        self.hindered.hearing.clear()
        self.hindered.deaf_to = self.random.choice(("/registry/core/pods/", "/"))
        for _ in range(4):
            await (self.scale(self.random.choice(("a", "b"))) if self.random.random() < 0.6 else self.disturb())
            await self.clock.advance(self.random.choice((0.1, 5.0)))
        self.hindered.hearing.set()

    async def run(self) -> tuple[int, int]:
        """How many pods the controllers made, and deleted where nobody else had a hand in it."""
        await self.up()
        for name in ("a", "b"):
            await self.create_set(name)
        self.hindered.badness = self.random.choice((0.0, 0.05, 0.3))
        for _ in range(60):
            await self.turn()
        self.hindered.badness = 0.0
        for _ in range(8):
            await self.clock.advance(40.0)
            await self.hands.advance_all()
            await self.judge()
        await self.check_settled()
        await self.down()
        return self.made_for, self.deleted_for

    async def check_settled(self) -> None:
        await self.clock.advance(5.0)
        for one in await self.server.api.list(SETS, "default"):
            wanted, uid = one["spec"]["replicas"], one["metadata"]["uid"]
            present = [pod for pod in await self.hands.pods() if owner_of(pod) == uid and is_active(pod)]
            assert len(present) == wanted, f"{one['metadata']['name']}: {len(present)} pods, {wanted} wanted"
            status = one["status"]
            assert (status["replicas"], status.get("readyReplicas", 0)) == (wanted, wanted)
            assert status["observedGeneration"] == one["metadata"]["generation"]


def owner_of(pod: Any) -> str:
    references = pod["metadata"].get("ownerReferences") or ()
    return next((str(found["uid"]) for found in references if found.get("controller")), "")


def is_going(pod: Any) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def is_active(pod: Any) -> bool:
    return not is_going(pod) and pod["status"].get("phase") not in ("Failed", "Succeeded")


@pytest.mark.parametrize("block", range(4))
async def test_as_many_pods_as_were_asked_for(block: int) -> None:
    made = deleted = 0
    for seed in range(block, SEEDS, 4):
        try:
            counts = await Workloads(seed).run()
        except AssertionError as failed:
            raise AssertionError(f"seed {seed}: {failed}") from failed
        made, deleted = made + counts[0], deleted + counts[1]
    assert deleted > len(range(block, SEEDS, 4)), "hardly a pod was ever deleted"
    assert made > 10 * len(range(block, SEEDS, 4)), "hardly a pod was ever made"
