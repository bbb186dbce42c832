"""The scheduler over a real registry, in virtual time: what happens to pods, and what they are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.scheduler.applier import Applier, Plan, Rejected
from ropewalk.store.protocol import StoreUnavailable
from support.kube_cluster import NODES, PODS, Cluster, condition, web

EVENTS = GroupResource("", "events")
BUDGETS = GroupResource("policy", "poddisruptionbudgets")
REPLICA_SETS = GroupResource("apps", "replicasets")
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
NO_VICTIMS = "No preemption victims found for incoming pod"


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    made = await Cluster(3, ZONES).up()
    yield made
    await made.down()


def asking(cpu: str) -> dict[str, Any]:
    return web(resources={"requests": {"cpu": cpu}})


async def labelled(cluster: Cluster, name: str, labels: dict[str, str], **spec: Any) -> None:
    meta = {"name": name, "namespace": "default", "labels": labels}
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [web()]} | spec}
    await cluster.api.create(PODS, made, namespace="default")


async def events(cluster: Cluster, *reasons: str) -> list[tuple[str, str, str]]:
    return sorted(
        (each["involvedObject"]["name"], each["reason"], each["message"])
        for each in await cluster.api.list(EVENTS, "default")
        if each["reason"] in reasons
    )


async def nodes_of(cluster: Cluster) -> dict[str, str]:
    return {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in await cluster.api.list(PODS, "default")}


async def test_a_pod_is_bound_and_told_so(cluster: Cluster) -> None:
    pod = await cluster.run("a")
    node = pod["spec"]["nodeName"]
    assert condition(pod, "PodScheduled")["status"] == "True"
    assert await events(cluster, "Scheduled") == [("a", "Scheduled", f"Successfully assigned default/a to {node}")]
    (event,) = await cluster.api.list(EVENTS, "default")
    assert (event["type"], event["source"]["component"]) == ("Normal", "default-scheduler")


async def test_without_nodes() -> None:
    cluster = await Cluster(0).up()
    pod = await cluster.run("a")
    assert condition(pod, "PodScheduled")["message"] == "no nodes available to schedule pods"
    assert await events(cluster, "FailedScheduling") == [
        ("a", "FailedScheduling", "no nodes available to schedule pods")
    ]
    await cluster.down()


async def test_the_lectures_deployment(cluster: Cluster) -> None:
    """Six that must not share a zone, three zones: three run, three wait with kube-scheduler's message."""
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "topology.kubernetes.io/zone"}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    for number in range(6):
        await labelled(cluster, f"web-{number}", {"app": "web"}, affinity=apart)
    await cluster.clock.advance(1.0)
    where = await nodes_of(cluster)
    assert Counter(where.values()) == {"": 3, "simulated-0": 1, "simulated-1": 1, "simulated-2": 1}
    for name in (name for name, node in where.items() if not node):
        told = condition(await cluster.pod(name), "PodScheduled")
        assert (told["status"], told["reason"], told["message"]) == (
            "False",
            "Unschedulable",
            "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. "
            f"preemption: 0/3 nodes are available: 3 {NO_VICTIMS}.",
        )
    gone = next(name for name, node in where.items() if node)
    await cluster.api.delete(PODS, "default", gone)
    await cluster.clock.advance(3.0)
    assert Counter((await nodes_of(cluster)).values())[""] == 2, "one of them took the place"


async def test_pods_of_one_controller_are_spread(cluster: Cluster) -> None:
    """Over machines otherwise equal, by default."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [web()]}}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    made = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "namespace": "default"}}
    owner = await cluster.api.create(REPLICA_SETS, made | {"spec": spec}, namespace="default")
    await cluster.clock.advance(0.5)
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": owner["metadata"]["uid"]}
    for number in range(6):
        meta = {"name": f"web-{number}", "namespace": "default", "labels": {"app": "web"}}
        meta["ownerReferences"] = [reference | {"controller": True}]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [web()]}}
        await cluster.api.create(PODS, pod, namespace="default")
    await cluster.clock.advance(0.5)
    assert set(Counter((await nodes_of(cluster)).values()).values()) == {2}


async def test_gates_are_waited_for(cluster: Cluster) -> None:
    await cluster.run("a", schedulingGates=[{"name": "x.io/wait"}])
    assert (await nodes_of(cluster))["a"] == ""
    await cluster.api.patch(PODS, "default", "a", {"spec": {"schedulingGates": None}})
    await cluster.clock.advance(0.5)
    assert (await nodes_of(cluster))["a"]


# --- preemption


async def full(cluster: Cluster, **of: int) -> None:
    """Each node taken by one pod `on-N` with a priority."""
    for number in range(3):
        await cluster.create(
            f"on-{number}",
            asking("6"),
            priority=of.get(f"p{number}", 0),
            nodeSelector={"kubernetes.io/hostname": f"simulated-{number}"},
        )
    await cluster.clock.advance(0.5)


async def test_the_least_important_makes_room(cluster: Cluster) -> None:
    await full(cluster, p0=3, p1=1, p2=2)
    seen: list[dict[str, Any]] = []
    cluster.api.cache(PODS).on_change(lambda change: seen.append(change.present))
    await cluster.create("vip", asking("6"), priority=10)
    await cluster.clock.advance(0.5)
    waiting = next(pod for pod in seen if pod["status"].get("nominatedNodeName"))
    assert waiting["status"]["nominatedNodeName"] == "simulated-1"
    assert condition(waiting, "PodScheduled")["message"] == "0/3 nodes are available: 3 Insufficient cpu."
    victim = next(pod for pod in seen if pod["metadata"].get("deletionTimestamp"))
    told = condition(victim, "DisruptionTarget")
    assert (victim["metadata"]["name"], told["status"], told["reason"], told["message"]) == (
        "on-1",
        "True",
        "PreemptionByScheduler",
        "default-scheduler: preempting to accommodate a higher priority pod",
    )
    await cluster.clock.advance(40.0)
    assert await nodes_of(cluster) == {"on-0": "simulated-0", "on-2": "simulated-2", "vip": "simulated-1"}
    vip = await cluster.pod("vip")
    assert "nominatedNodeName" not in vip["status"]
    uid = vip["metadata"]["uid"]
    assert await events(cluster, "Preempted") == [("on-1", "Preempted", f"Preempted by pod {uid} on node simulated-1")]


async def test_while_room_is_being_made_nobody_else_has_to_go(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = cluster.api.delete

    async def slowly(*arguments: Any, **named: Any) -> None:
        await cluster.clock.sleep(30.0)
        await delete(*arguments, **named)

    monkeypatch.setattr(cluster.api, "delete", slowly)
    await full(cluster)
    await cluster.create("vip", asking("6"), priority=10)
    await cluster.clock.advance(0.5)
    node = (await cluster.api.get(NODES, "", "simulated-0"))["metadata"]["labels"]
    for number in range(4):  # wakes who waits
        await cluster.api.patch(NODES, "", "simulated-0", {"metadata": {"labels": node | {"x": str(number)}}})
        await cluster.clock.advance(4.0)
    assert len(await nodes_of(cluster)) == 4, "the victim is still there"
    await cluster.clock.advance(60.0)
    assert len(await nodes_of(cluster)) == 3 and len(await events(cluster, "Preempted")) == 1


async def test_who_may_not_preempt_says_so(cluster: Cluster) -> None:
    await full(cluster)
    pod = await cluster.run("meek", asking("6"), priority=10, preemptionPolicy="Never")
    assert condition(pod, "PodScheduled")["message"] == (
        "0/3 nodes are available: 3 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."
    )
    assert len(await nodes_of(cluster)) == 4


async def test_a_budget_is_kept_where_another_can_go(cluster: Cluster) -> None:
    await full(cluster, p0=2, p1=1, p2=2)
    await cluster.api.patch(PODS, "default", "on-1", {"metadata": {"labels": {"app": "guarded"}}})
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "b", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "guarded"}}, "minAvailable": 1},
    }
    await cluster.api.create(BUDGETS, budget, namespace="default")
    await cluster.clock.advance(0.5)
    await cluster.create("vip", asking("6"), priority=10)
    await cluster.clock.advance(40.0)
    assert "on-1" in await nodes_of(cluster) and (await nodes_of(cluster))["vip"] in ("simulated-0", "simulated-2")


# --- the applier


async def test_a_plan_is_held_against_what_has_changed(cluster: Cluster) -> None:
    await cluster.create("a", asking("6"), nodeSelector={"none": "such"})
    await cluster.clock.advance(0.5)
    known = cluster.scheduler.cluster
    waiting = next(iter(cluster.scheduler.queue._pods.values()))
    unit = waiting.unit
    applier = Applier(cluster.api, known, cluster.clock)
    with pytest.raises(Rejected, match="the pod is gone"):
        await applier.commit(Plan(unit, "default", "a", "simulated-0", known.foreign))
    known.assume(unit, "simulated-0")
    with pytest.raises(Rejected, match="didn't match Pod's node affinity/selector"):
        await applier.commit(Plan(unit, "default", "a", "simulated-0", known.foreign - 1))
    known.unassume(unit.id)
    assert (await nodes_of(cluster))["a"] == ""


async def test_a_node_that_goes_takes_its_plans_with_it(cluster: Cluster) -> None:
    pod = await cluster.run("a", asking("1"))
    known = cluster.scheduler.cluster
    unit = known.fleet.unit(pod["metadata"]["uid"])
    assert unit is not None
    known.assume(unit, "simulated-9")
    with pytest.raises(Rejected, match='node "simulated-9" not found'):
        await Applier(cluster.api, known, cluster.clock).commit(
            Plan(unit, "default", "a", "simulated-9", known.foreign - 1)
        )


async def test_what_the_api_refuses_is_tried_again(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    create, refused = cluster.api.create, []

    async def unwilling(*arguments: Any, **named: Any) -> Any:
        if named.get("subresource") == "binding" and not refused:
            refused.append(named["name"])
            raise StatusFault("InternalError", "not now", status=500)
        return await create(*arguments, **named)

    monkeypatch.setattr(cluster.api, "create", unwilling)
    pod = await cluster.run("a")
    told = condition(pod, "PodScheduled")
    assert (told["reason"], told["message"]) == ("SchedulerError", 'running Bind plugin "DefaultBinder": not now')
    await cluster.clock.advance(2.0)
    assert refused == ["a"] and (await nodes_of(cluster))["a"]


async def test_a_binding_without_an_answer_is_looked_up(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    create = cluster.api.create

    async def silent(*arguments: Any, **named: Any) -> Any:
        made = await create(*arguments, **named)
        if named.get("subresource") == "binding":
            raise StoreUnavailable("no answer came", after=0.2)
        return made

    monkeypatch.setattr(cluster.api, "create", silent)
    pod = await cluster.run("a")
    assert pod["spec"]["nodeName"] and await events(cluster, "FailedScheduling") == []


async def test_leading_anew_it_makes_again_what_was_not_written(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = cluster.api.create

    async def stuck(*arguments: Any, **named: Any) -> Any:
        if named.get("subresource") == "binding":
            await cluster.clock.sleep(1e9)
        return await create(*arguments, **named)

    monkeypatch.setattr(cluster.api, "create", stuck)
    await cluster.run("a")
    assert (await nodes_of(cluster))["a"] == "" and cluster.scheduler.cluster.assumed
    await cluster.again(cluster.scheduler)
    monkeypatch.setattr(cluster.api, "create", create)
    await cluster.clock.advance(2.0)
    assert (await nodes_of(cluster))["a"] and not cluster.scheduler.cluster.assumed
