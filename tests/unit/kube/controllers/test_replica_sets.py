"""Replica sets on a server: pods made, deleted, adopted, released, counted and told of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.controllers.pod_book import PodBook
from ropewalk.kube.controllers.replica_sets import REPLICA_SETS, REPLICATION_CONTROLLERS, ReplicaSetController
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.recorder import Events
from ropewalk.kube.machinery.resources import GroupResource
from support.kube_workloads import PODS, Hands, workload_server

SETS, CONTROLLERS = GroupResource("apps", "replicasets"), GroupResource("", "replicationcontrollers")


class Quota:
    """Admission: no more than so many pods at once."""

    def __init__(self) -> None:
        self.room = 10**6

    async def mutate(self, admission: Admission) -> None: ...

    async def validate(self, admission: Admission) -> None:
        if admission.operation == "CREATE" and admission.info.plural == "pods":
            if self.room <= 0:
                raise StatusFault("Forbidden", 'pods "x" is forbidden: exceeded quota', status=403)
            self.room -= 1


class World:
    def __init__(self) -> None:
        self.quota = Quota()
        self.server = workload_server(clock=VirtualClock(settle_rounds=200), chain=lambda api: self.quota)
        self.api, self.clock = self.server.api, self.server.clock
        self.hands = Hands(self.api, self.clock)

    async def start(self) -> World:
        events, book = Events(self.api, self.clock), PodBook(self.api)
        make = (
            ReplicaSetController(kind, self.api, book, events, self.clock, SeededEntropy(3))
            for kind in (REPLICA_SETS, REPLICATION_CONTROLLERS)
        )
        await self.server.start(events, *make)
        return self

    async def make(self, name: str = "web", replicas: int = 3, **more: Any) -> dict[str, Any]:
        made = await self.api.create(SETS, replica_set(name, replicas, **more))
        await self.clock.advance(0.5)
        return made

    async def names(self) -> set[str]:
        return {pod["metadata"]["name"] for pod in await self.hands.pods()}

    async def status(self, name: str = "web") -> dict[str, Any]:
        found: dict[str, Any] = (await self.api.get(SETS, "default", name))["status"]
        return found

    async def change(self, spec: dict[str, Any], name: str = "web") -> None:
        await self.api.patch(SETS, "default", name, {"spec": spec})
        await self.clock.advance(0.5)


def replica_set(name: str, replicas: int, **more: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels | {"tier": "front"}}, "spec": spec()}
    fields = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template} | more
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": fields,
    }


def spec() -> dict[str, Any]:
    return {"containers": [{"name": "web", "image": "nginx"}]}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = await World().start()
    yield made
    await made.server.stop()


async def test_so_many_pods_are_made_and_counted(world: World) -> None:
    made = await world.make(replicas=3)
    pods = await world.hands.pods()
    assert len(pods) == 3
    about = pods[0]["metadata"]
    assert about["generateName"] == "web-"
    assert about["labels"] == {"app": "web", "tier": "front"}
    assert about["ownerReferences"] == [
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "web",
            "uid": made["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    before = {"replicas": 3, "fullyLabeledReplicas": 3, "terminatingReplicas": 0, "observedGeneration": 1}
    assert await world.status() == before
    await world.hands.settle(3)
    assert await world.status() == before | {"readyReplicas": 3, "availableReplicas": 3}
    names = sorted(await world.names())
    assert sorted(await world.hands.told()) == [("SuccessfulCreate", f"Created pod: {name}") for name in names]


async def test_what_is_too_much_goes_and_is_told(world: World) -> None:
    await world.make(replicas=3)
    await world.hands.settle(3)
    before = await world.names()
    await world.change({"replicas": 1})
    assert (await world.status()).items() >= {"replicas": 1, "terminatingReplicas": 2}.items()
    await world.hands.settle(2)
    left = await world.names()
    assert len(left) == 1
    assert (await world.status())["terminatingReplicas"] == 0
    gone = [("SuccessfulDelete", f"Deleted pod: {name}") for name in sorted(before - left)]
    assert sorted(each for each in await world.hands.told() if each[0] == "SuccessfulDelete") == gone


async def test_what_ended_or_was_deleted_is_made_anew(world: World) -> None:
    await world.make(replicas=2)
    await world.hands.settle(3)
    first, second = await world.hands.pods()
    await world.hands.report(first, "Failed", ready=False)
    await world.api.delete(PODS, "default", second["metadata"]["name"])
    await world.hands.settle(4)
    pods = await world.hands.pods()
    assert len(pods) == 3, "the failed one stays, as a record"
    assert len([pod for pod in pods if pod["status"]["phase"] == "Running"]) == 2
    assert (await world.status())["readyReplicas"] == 2


async def test_orphans_are_adopted_and_strangers_released(world: World) -> None:
    orphan = {"metadata": {"name": "orphan", "namespace": "default", "labels": {"app": "web"}}, "spec": spec()}
    await world.api.create(PODS, orphan)
    made = await world.make(replicas=2)
    pods = {pod["metadata"]["name"]: pod for pod in await world.hands.pods()}
    assert len(pods) == 2
    assert pods["orphan"]["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert (await world.status()).items() >= {"replicas": 2, "fullyLabeledReplicas": 1}.items()
    await world.api.patch(PODS, "default", "orphan", {"metadata": {"labels": {"app": "other"}}})
    await world.clock.advance(0.5)
    assert "ownerReferences" not in (await world.api.get(PODS, "default", "orphan"))["metadata"]
    assert len(await world.names()) == 3


async def test_a_pod_that_another_controls_is_left_alone(world: World) -> None:
    other = {"apiVersion": "v1", "kind": "Other", "name": "o", "uid": "u", "controller": True}
    meta = {"name": "theirs", "namespace": "default", "labels": {"app": "web"}, "ownerReferences": [other]}
    await world.api.create(PODS, {"metadata": meta, "spec": spec()})
    await world.make(replicas=1)
    assert len(await world.names()) == 2
    assert (await world.api.get(PODS, "default", "theirs"))["metadata"]["ownerReferences"] == [other]


async def test_a_set_that_is_going_neither_makes_nor_adopts(world: World) -> None:
    held = replica_set("web", 2)
    held["metadata"]["finalizers"] = ["x.example/hold"]
    await world.api.create(SETS, held)
    await world.clock.advance(0.5)
    await world.api.delete(SETS, "default", "web", propagation="Background")
    first = (await world.hands.pods())[0]
    await world.api.delete(PODS, "default", first["metadata"]["name"])
    orphan = {"metadata": {"name": "orphan", "namespace": "default", "labels": {"app": "web"}}, "spec": spec()}
    await world.api.create(PODS, orphan)
    await world.hands.settle(2)
    assert len(await world.names()) == 2
    assert "ownerReferences" not in (await world.api.get(PODS, "default", "orphan"))["metadata"]


async def test_what_cannot_be_made_is_said_and_tried_again_slowly(world: World) -> None:
    world.quota.room = 2
    await world.make(replicas=5)
    status = await world.status()
    assert len(await world.names()) == 2
    condition = status["conditions"][0]
    assert {key: condition[key] for key in ("type", "status", "reason", "message")} == {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": 'pods "x" is forbidden: exceeded quota',
    }
    assert ("FailedCreate", 'Error creating: pods "x" is forbidden: exceeded quota') in await world.hands.told()
    world.quota.room = 100
    await world.clock.advance(60.0)
    assert len(await world.names()) == 5
    assert "conditions" not in await world.status()


async def test_the_first_failure_ends_a_batch(world: World) -> None:
    world.quota.room = 0
    asked = []
    validate = world.quota.validate

    async def counting(admission: Admission) -> None:
        if admission.operation == "CREATE" and admission.info.plural == "pods":
            asked.append(world.clock.monotonic())
        await validate(admission)

    world.quota.validate = counting  # type: ignore[method-assign]
    await world.make(replicas=500)
    assert 1 < len(asked) < 8, "one at a time, each later than the one before"


async def test_pods_are_available_once_they_were_ready_long_enough(world: World) -> None:
    await world.make(replicas=2, minReadySeconds=30)
    await world.hands.settle(3)
    assert (await world.status())["readyReplicas"] == 2
    assert "availableReplicas" not in await world.status()
    await world.clock.advance(31.0)
    assert (await world.status())["availableReplicas"] == 2


async def test_the_cheap_pod_goes_first(world: World) -> None:
    await world.make(replicas=3)
    await world.hands.settle(3)
    cheap = sorted(await world.names())[1]
    cost = {"controller.kubernetes.io/pod-deletion-cost": "-5"}
    await world.api.patch(PODS, "default", cheap, {"metadata": {"annotations": cost}})
    await world.change({"replicas": 2})
    await world.hands.settle(2)
    assert cheap not in await world.names()


async def test_replication_controllers_do_the_same(world: World) -> None:
    body = {
        "metadata": {"name": "old", "namespace": "default"},
        "spec": {"replicas": 2, "template": {"metadata": {"labels": {"app": "old"}}, "spec": spec()}},
    }
    await world.api.create(CONTROLLERS, body)
    await world.hands.settle(3)
    pods = await world.hands.pods()
    assert [pod["metadata"]["ownerReferences"][0]["kind"] for pod in pods] == ["ReplicationController"] * 2
    status = (await world.api.get(CONTROLLERS, "default", "old"))["status"]
    counts = dict.fromkeys(("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"), 2)
    assert status == counts | {"observedGeneration": 1}


async def test_a_set_of_the_same_name_starts_anew(world: World) -> None:
    first = await world.make(replicas=1)
    await world.api.delete(SETS, "default", "web", propagation="Orphan")
    await world.api.patch(SETS, "default", "web", {"metadata": {"finalizers": None}})
    await world.clock.advance(0.1)
    second = await world.make(replicas=1)
    await world.hands.settle(2)
    owners = [pod["metadata"]["ownerReferences"][0]["uid"] for pod in await world.hands.pods()]
    assert sorted(owners) == sorted((first["metadata"]["uid"], second["metadata"]["uid"])), (
        "whoever looks after owners' ends is not here"
    )
