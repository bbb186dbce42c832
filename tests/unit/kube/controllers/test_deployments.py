"""Deployments on a server: revisions, rolling and recreating, scaling, pausing, deadlines, and what is said of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.controllers import deployment_revisions as revisions
from ropewalk.kube.controllers.deployment_status import of_rollout
from ropewalk.kube.controllers.deployments import DeploymentController
from ropewalk.kube.controllers.garbage_collector import GarbageCollector
from ropewalk.kube.controllers.pod_book import PodBook
from ropewalk.kube.controllers.replica_sets import REPLICA_SETS, ReplicaSetController
from ropewalk.kube.machinery.recorder import Events
from ropewalk.kube.machinery.resources import GroupResource
from support.kube_front import deployment
from support.kube_workloads import Hands, workload_server

DEPLOYMENTS, SETS = GroupResource("apps", "deployments"), GroupResource("apps", "replicasets")


class World:
    def __init__(self) -> None:
        self.server = workload_server(clock=VirtualClock(settle_rounds=400))
        self.api, self.clock = self.server.api, self.server.clock
        self.hands = Hands(self.api, self.clock)

    async def start(self) -> World:
        events, book, entropy = Events(self.api, self.clock), PodBook(self.api), SeededEntropy(3)
        await self.server.start(
            events,
            ReplicaSetController(REPLICA_SETS, self.api, book, events, self.clock, entropy),
            DeploymentController(self.api, book, events, self.clock, entropy),
            GarbageCollector(self.api, self.clock, entropy),
        )
        return self

    async def make(self, replicas: int = 3, *, settle: bool = True, **spec: Any) -> dict[str, Any]:
        body = deployment("web", replicas, namespace="default", annotations={"note": "mine"})
        body["spec"] |= spec
        made = await self.api.create(DEPLOYMENTS, body)
        if settle:
            await self.hands.settle(4)
        return made

    async def change(self, spec: dict[str, Any]) -> None:
        await self.api.patch(DEPLOYMENTS, "default", "web", {"spec": spec})
        await self.clock.advance(0.5)

    async def image(self, name: str) -> None:
        await self.change({"template": {"spec": {"containers": [{"name": "web", "image": name}]}}})

    async def present(self) -> dict[str, Any]:
        return await self.api.get(DEPLOYMENTS, "default", "web")

    async def condition(self, kind: str) -> tuple[str, str, str]:
        conditions = (await self.present())["status"]["conditions"]
        found = next(each for each in conditions if each["type"] == kind)
        return found["status"], found["reason"], found["message"]

    async def sets(self) -> dict[str, dict[str, Any]]:
        """By image."""
        found = await self.api.list(SETS, "default")
        return {one["spec"]["template"]["spec"]["containers"][0]["image"]: one for one in found}

    async def sizes(self) -> dict[str, int]:
        return {image: one["spec"]["replicas"] for image, one in (await self.sets()).items()}


def annotation(obj: dict[str, Any], name: str) -> str:
    return str(obj["metadata"]["annotations"].get(f"deployment.kubernetes.io/{name}", ""))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = await World().start()
    yield made
    await made.server.stop()


async def test_a_deployment_has_a_set_of_its_template(world: World) -> None:
    made = await world.make(3)
    one = (await world.sets())["nginx"]
    found = one["metadata"]["labels"]["pod-template-hash"]
    assert one["metadata"]["name"] == f"web-{found}"
    assert one["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": found}
    assert one["spec"]["template"]["metadata"]["labels"] == {"app": "web", "pod-template-hash": found}
    assert one["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert one["metadata"]["annotations"] == {
        "note": "mine",
        "deployment.kubernetes.io/revision": "1",
        "deployment.kubernetes.io/desired-replicas": "3",
        "deployment.kubernetes.io/max-replicas": "4",
    }
    present = await world.present()
    assert annotation(present, "revision") == "1"
    assert present["metadata"]["generation"] == 1, "a revision is no change of the deployment"
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 3)
    status = {key: value for key, value in present["status"].items() if key != "conditions"}
    assert status == counts | {"terminatingReplicas": 0, "observedGeneration": 1}
    name = one["metadata"]["name"]
    available = "MinimumReplicasAvailable", "Deployment has minimum availability."
    assert await world.condition("Available") == ("True", *available)
    done = "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.'
    assert await world.condition("Progressing") == ("True", *done)
    assert ("ScalingReplicaSet", f"Scaled up replica set {name} from 0 to 3") in await world.hands.told()


async def test_a_new_template_is_rolled_out_within_bounds(world: World) -> None:
    await world.make(4, strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    await world.image("nginx:2")
    assert await world.sizes() == {"nginx": 4, "nginx:2": 1}
    assert await world.condition("Progressing") == (
        "True",
        "ReplicaSetUpdated",
        f'ReplicaSet "{(await world.sets())["nginx:2"]["metadata"]["name"]}" is progressing.',
    )
    await world.hands.settle(30)
    assert await world.sizes() == {"nginx": 0, "nginx:2": 4}
    pods = await world.hands.pods()
    assert [pod["spec"]["containers"][0]["image"] for pod in pods] == ["nginx:2"] * 4
    assert annotation(await world.present(), "revision") == "2"
    assert (await world.condition("Progressing"))[1] == "NewReplicaSetAvailable"
    names = {image: one["metadata"]["name"] for image, one in (await world.sets()).items()}
    old, new = names["nginx"], names["nginx:2"]
    told = [message for reason, message in await world.hands.told() if reason == "ScalingReplicaSet"]
    assert told[1:4] == [
        f"Scaled up replica set {new} from 0 to 1",
        f"Scaled down replica set {old} from 4 to 3",
        f"Scaled up replica set {new} from 1 to 2",
    ]


async def test_going_back_takes_the_old_set_and_remembers(world: World) -> None:
    await world.make(2)
    await world.image("nginx:2")
    await world.hands.settle(12)
    await world.image("nginx")
    await world.hands.settle(12)
    assert await world.sizes() == {"nginx": 2, "nginx:2": 0}
    assert annotation((await world.sets())["nginx"], "revision") == "3"
    assert annotation((await world.sets())["nginx"], "revision-history") == "1"
    assert annotation(await world.present(), "revision") == "3"


async def test_recreating_ends_the_old_ones_first(world: World) -> None:
    await world.make(2, strategy={"type": "Recreate"})
    await world.image("nginx:2")
    assert await world.sizes() == {"nginx": 0}
    assert len(await world.hands.pods()) == 2, "their end takes time"
    for pod in await world.hands.pods():
        assert "nginx:2" not in await world.sizes()
        await world.hands.finish(pod)
        await world.clock.advance(0.5)
    assert await world.sizes() == {"nginx": 0, "nginx:2": 2}


async def test_scaling_between_rollouts(world: World) -> None:
    await world.make(2)
    await world.change({"replicas": 5})
    assert await world.sizes() == {"nginx": 5}
    assert annotation((await world.sets())["nginx"], "max-replicas") == "7"
    await world.hands.settle(4)
    await world.change({"replicas": 0})
    await world.hands.settle(3)
    status = (await world.present())["status"]
    assert not {"replicas", "readyReplicas", "updatedReplicas"} & status.keys()
    assert (await world.condition("Available"))[0] == "True"


async def test_scaling_in_the_middle_of_a_rollout_is_shared(world: World) -> None:
    await world.make(10, strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}})
    await world.image("nginx:2")
    assert await world.sizes() == {"nginx": 8, "nginx:2": 5}
    await world.change({"replicas": 15})
    assert await world.sizes() == {"nginx": 11, "nginx:2": 7}, "as Kubernetes' documentation has it"
    await world.hands.settle(20)
    assert await world.sizes() == {"nginx": 0, "nginx:2": 15}


async def test_a_paused_deployment_only_scales(world: World) -> None:
    await world.make(2)
    await world.change({"paused": True})
    assert await world.condition("Progressing") == ("Unknown", "DeploymentPaused", "Deployment is paused")
    await world.image("nginx:2")
    await world.change({"replicas": 3})
    assert await world.sizes() == {"nginx": 3}
    await world.change({"paused": False})
    await world.clock.advance(0.5)
    assert (await world.sizes())["nginx:2"] > 0
    await world.hands.settle(15)
    assert await world.sizes() == {"nginx": 0, "nginx:2": 3}
    assert (await world.condition("Progressing"))[1] == "NewReplicaSetAvailable"


async def test_no_progress_before_the_deadline_is_said(world: World) -> None:
    await world.make(2, settle=False, progressDeadlineSeconds=60)
    await world.clock.advance(59.0)
    assert (await world.condition("Progressing"))[:2] == ("True", "ReplicaSetUpdated")
    await world.clock.advance(5.0)
    name = (await world.sets())["nginx"]["metadata"]["name"]
    late = ("False", "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.')
    assert await world.condition("Progressing") == late
    await world.hands.settle(4)
    assert (await world.condition("Progressing"))[:2] == ("True", "NewReplicaSetAvailable")


async def test_old_sets_beyond_the_history_are_forgotten(world: World) -> None:
    await world.make(1, revisionHistoryLimit=1)
    for number in (2, 3, 4):
        await world.image(f"nginx:{number}")
        await world.hands.settle(10)
    assert set(await world.sets()) == {"nginx:3", "nginx:4"}


async def test_a_set_that_has_the_name_but_not_the_template_is_gone_around(world: World) -> None:
    body = deployment("web", 1, namespace="default")
    made = await world.api.create(DEPLOYMENTS, body | {"spec": body["spec"] | {"paused": True}})
    await world.clock.advance(0.5)
    taken = revisions.new_set(made)
    taken["spec"]["template"]["spec"]["containers"][0]["image"] = "other"
    taken["metadata"]["labels"] = {"app": "strange"}
    del taken["metadata"]["ownerReferences"]
    await world.api.create(SETS, taken)
    await world.change({"paused": False})
    await world.hands.settle(4)
    present = await world.present()
    assert present["status"]["collisionCount"] == 1
    assert present["status"]["availableReplicas"] == 1
    assert (await world.sets())["nginx"]["metadata"]["name"] != taken["metadata"]["name"]


async def test_sets_are_adopted_and_released(world: World) -> None:
    made = await world.make(1)
    one = (await world.sets())["nginx"]
    name = one["metadata"]["name"]
    await world.api.patch(SETS, "default", name, {"metadata": {"labels": {"app": "away"}}})
    await world.hands.settle(4)
    sets = await world.api.list(SETS, "default")
    released = next(found for found in sets if found["metadata"]["name"] == name)
    assert "ownerReferences" not in released["metadata"]
    await world.api.patch(SETS, "default", name, {"metadata": {"labels": {"app": "web"}}})
    await world.hands.settle(4)
    owners = [found["metadata"]["ownerReferences"][0]["uid"] for found in await world.api.list(SETS, "default")]
    assert set(owners) == {made["metadata"]["uid"]}


async def test_what_the_sets_cannot_do_the_deployment_says(world: World) -> None:
    await world.make(1)
    name = (await world.sets())["nginx"]["metadata"]["name"]
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "no room"}
    failure["lastTransitionTime"] = "2023-11-14T22:13:20Z"
    obj = await world.api.get(SETS, "default", name)
    obj["status"]["conditions"] = [failure]
    status = of_rollout(await world.present(), [obj], obj, world.clock.wall())
    said = next(each for each in status["conditions"] if each["type"] == "ReplicaFailure")
    assert said == failure | {"lastUpdateTime": failure["lastTransitionTime"]}


@pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan"])
async def test_what_is_left_of_it(world: World, policy: str) -> None:
    await world.make(2)
    await world.api.delete(DEPLOYMENTS, "default", "web", propagation=policy)
    await world.hands.settle(6)
    sets, pods = await world.api.list(SETS, "default"), await world.hands.pods()
    if policy == "Orphan":
        assert (len(sets), len(pods)) == (1, 2)
        assert "ownerReferences" not in sets[0]["metadata"]
    else:
        assert (sets, pods) == ([], [])


# --- names and annotations


def test_the_hash_follows_the_template_alone() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"x": 1, "y": 2}}
    turned = {"spec": {"y": 2, "x": 1}, "metadata": {"labels": {"a": "b"}}}
    assert revisions.template_hash(template, None) == revisions.template_hash(turned, None)
    others = [
        revisions.template_hash(template, None),
        revisions.template_hash(template, 0),
        revisions.template_hash(template, 1),
        revisions.template_hash(template | {"spec": {}}, None),
    ]
    assert len(set(others)) == 4
    assert set("".join(others)) <= set("bcdfghjklmnpqrstvwxz2456789")


def test_a_history_too_long_forgets_its_oldest() -> None:
    held = ",".join(str(number) for number in range(1000, 1400))
    one = {
        "metadata": {"annotations": {revisions.REVISION: "1400", revisions.HISTORY: held}},
        "spec": {"replicas": 1},
    }
    made = revisions.with_annotations({"metadata": {}, "spec": {}}, one, 1401, fresh=False)
    assert made[revisions.HISTORY].endswith(",1399,1400")
    assert 1990 < len(made[revisions.HISTORY]) <= 2000


def test_names_leave_room_for_the_hash() -> None:
    body = deployment("n" * 253, 1, namespace="default", uid="u")
    made = revisions.new_set(body)
    assert len(made["metadata"]["name"]) == 253
    assert made["metadata"]["name"].endswith("-" + made["metadata"]["labels"]["pod-template-hash"])


@pytest.mark.parametrize(
    ("text", "number"),
    [("", 0), ("7", 7), ("3546343826724305832", 3546343826724305832), (str(2**63), -1), ("-1", -1), ("9" * 5000, -1)],
)
def test_a_revision_is_a_number_of_64_bits(text: str, number: int) -> None:
    one = {"metadata": {"annotations": {revisions.REVISION: text}}}
    assert revisions.revision_of(one) == number
