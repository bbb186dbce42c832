"""The controllers that keep pods running, killed and hindered in their work, in virtual time.

Seeded: users scale, delete pods, take them away from their controllers and give orphans to them; pods are bound, become
ready and fail; writes of the controllers fail, done or undone; their watches fall silent or lose events; their process
dies and another begins. Every event of the store is judged as it happens:

- `no-surplus`: a controller makes no pod beyond what was asked for at some time since it last could know;
- `no-gap`: it deletes no pod while there are no more than were asked for, unless others took some away just then;
- `one-owner`: a pod that has a controller never gets another in its place;
- `surge`: a deployment's sets are never told to be more, together, than its replicas and its surge;
- `availability`: of a deployment's available pods no controller deletes one that may not be missed, as far as it could
  know that it was available and the others were;

and once the faults cease: there are as many pods as were asked for, of the template asked for, and the status says so.
"""

from __future__ import annotations

import os
from typing import Any

import orjson
import pytest

from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.controllers.deployment_revisions import limits_of
from ropewalk.kube.controllers.deployments import DeploymentController
from ropewalk.kube.controllers.garbage_collector import GarbageCollector
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
DEPLOYMENTS = GroupResource("apps", "deployments")
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


class Rollouts(World):
    """One deployment that is changed all the time, and the judge of its sets and pods."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.server = workload_server(store=self.store, clock=self.clock, seed=seed + 2, chain=Lifecycle)
        self.hands = Hands(self.server.api, self.clock)
        self.hindered.loses_watches = True
        self.pods: dict[str, Any] = {}
        self.sets: dict[str, Any] = {}
        self.wishes: list[tuple[float, Any]] = []
        """What the deployment was, and since when."""
        self.lost = -100.0
        """When a pod last failed, or ceased to be ready."""
        self.ready_since: dict[str, float] = {}
        self.judged = {"pods": 0, "replicasets": 0}
        self.rollouts = self.spared = 0

    def controllers(self, api: InsideApi, entropy: SeededEntropy) -> list[Runnable]:
        events, book = Events(api, self.clock), PodBook(api)
        return [
            events,
            ReplicaSetController(REPLICA_SETS, api, book, events, self.clock, entropy),
            DeploymentController(api, book, events, self.clock, entropy),
            GarbageCollector(api, self.clock, entropy),
        ]

    # --- the user

    async def begin(self) -> None:
        labels = {"app": "web"}
        spec = {"containers": [{"name": "main", "image": "v0"}]}
        rolling = {"maxSurge": self.random.randrange(3), "maxUnavailable": self.random.randrange(1, 3)}
        strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
        template = {"metadata": {"labels": labels}, "spec": spec}
        fields = {"replicas": 4, "selector": {"matchLabels": labels}, "template": template, "strategy": strategy}
        body = {"metadata": {"name": "web", "namespace": "default"}, "spec": fields}
        self._wish(await self.server.api.create(DEPLOYMENTS, body))

    def _wish(self, obj: Any) -> None:
        self.wishes.append((self.clock.monotonic(), obj))

    async def change(self) -> None:
        if self.random.random() < 0.6:
            self.rollouts += 1
            image = f"v{self.random.randrange(4)}"
            change: dict[str, Any] = {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}
        else:
            change = {"replicas": self.random.randrange(1, 7)}
        self._wish(await self.server.api.patch(DEPLOYMENTS, "default", "web", {"spec": change}))

    async def fail_a_pod(self) -> None:
        running = [pod for pod in await self.hands.pods() if pod["spec"].get("nodeName") and is_active(pod)]
        if running:
            pod = self.random.choice(running)
            failed = self.random.random() < 0.5
            await self.hands.report(pod, "Failed" if failed else "Running", ready=False)

    # --- the judge

    async def judge(self) -> None:
        events = []
        for prefix, plural in (("/registry/core/pods/", "pods"), ("/registry/apps/replicasets/", "replicasets")):
            read = self.store._keys._events_after(prefix, self.judged[plural], 10_000)[0]
            events += [(int(event.revision), plural, event) for event in read]
        for revision, plural, event in sorted(events, key=lambda found: found[0]):
            self.judged[plural] = revision
            (self._judge_pod if plural == "pods" else self._judge_set)(event)

    def _judge_set(self, event: Event) -> None:
        one = orjson.loads(event.value)
        uid = one["metadata"]["uid"]
        if event.kind is EventKind.DELETE:
            self.sets.pop(uid, None)
            return
        before = self.sets.get(uid, {"spec": {"replicas": 0}})["spec"]["replicas"]
        self.sets[uid] = one
        if one["spec"]["replicas"] > before:
            told = sum(each["spec"]["replicas"] for each in self.sets.values())
            most = max(limits_of(obj).most for obj in self._recent())
            assert told <= most, f"surge: the sets are to be {told}, of at most {most}"

    def _judge_pod(self, event: Event) -> None:
        pod = orjson.loads(event.value)
        uid = pod["metadata"]["uid"]
        before = self.pods.get(uid)
        gone = event.kind is EventKind.DELETE
        if is_ready(pod):
            self.ready_since.setdefault(uid, self.clock.monotonic())
        if before is not None and is_ready(before):
            if gone or is_going(pod):
                self._judge_deletion(self.ready_since[uid])
            elif not is_ready(pod):
                self.lost = self.clock.monotonic()
        if gone:
            self.pods.pop(uid, None)
        else:
            self.pods[uid] = pod

    def _judge_deletion(self, since: float) -> None:
        if max(self.lost, since) >= self.clock.monotonic() - DEAF - 5.0:
            return  # the controllers may have known of more, or not of this one
        ready = sum(is_ready(pod) for pod in self.pods.values())
        least = min(limits_of(obj).least for obj in self._recent())
        assert ready > least, f"availability: {ready} are ready, {least} must be, and one is deleted"
        self.spared += 1

    def _recent(self) -> list[Any]:
        """What the deployment was at any time since the controllers' view may date from."""
        since = self.clock.monotonic() - DEAF - 5.0
        ends = [time for time, _ in self.wishes[1:]] + [float("inf")]
        return [obj for (_, obj), end in zip(self.wishes, ends, strict=True) if end > since]

    # --- the run

    async def turn(self) -> None:
        roll = self.random.random()
        if roll < 0.12:
            await self.change()
        elif roll < 0.18:
            await self.fail_a_pod()
        elif roll < 0.8:
            for pod in await self.hands.pods():
                if self.random.random() < 0.6:
                    await self.hands.step(pod)
        elif roll < 0.86:
            await self.restart()
        elif roll < 0.92:
            await self.be_deaf()
        await self.clock.advance(self.random.choice((0.0, 0.1, 1.0, 5.0)))
        await self.judge()

    async def be_deaf(self) -> None:
        self.hindered.hearing.clear()
        self.hindered.deaf_to = self.random.choice(("/registry/core/pods/", "/registry/apps/replicasets/", "/"))
        for _ in range(3):
            await self.change()
            await self.hands.advance_all()
            await self.clock.advance(self.random.choice((0.1, 5.0)))
        self.hindered.hearing.set()

    async def run(self) -> tuple[int, int]:
        await self.up()
        await self.begin()
        self.hindered.badness = self.random.choice((0.0, 0.05, 0.2))
        for _ in range(60):
            await self.turn()
        self.hindered.badness = 0.0
        for _ in range(30):
            await self.clock.advance(10.0)
            await self.hands.advance_all()
            await self.judge()
        await self.check_settled()
        await self.down()
        return self.rollouts, self.spared

    async def check_settled(self) -> None:
        await self.clock.advance(70.0)
        present = await self.server.api.get(DEPLOYMENTS, "default", "web")
        wanted = present["spec"]["replicas"]
        image = present["spec"]["template"]["spec"]["containers"][0]["image"]
        pods = [pod for pod in await self.hands.pods() if is_active(pod)]
        assert [pod["spec"]["containers"][0]["image"] for pod in pods] == [image] * wanted
        status = present["status"]
        counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")]
        assert counts == [wanted] * 3
        assert status["observedGeneration"] == present["metadata"]["generation"]
        progress = next(each for each in status["conditions"] if each["type"] == "Progressing")
        assert progress["reason"] == "NewReplicaSetAvailable"


def is_ready(pod: Any) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return is_active(pod) and any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)


@pytest.mark.parametrize("block", range(4))
async def test_rollouts_keep_their_bounds_and_end(block: int) -> None:
    rollouts = spared = 0
    for seed in range(block, SEEDS, 4):
        try:
            counts = await Rollouts(seed).run()
        except AssertionError as failed:
            raise AssertionError(f"seed {seed}: {failed}") from failed
        rollouts, spared = rollouts + counts[0], spared + counts[1]
    assert rollouts > 3 * len(range(block, SEEDS, 4)), "hardly anything was ever rolled out"
    assert spared > len(range(block, SEEDS, 4)) // 2, "hardly a deletion was ever judged"
