"""POST to a pod's `eviction` and `binding`, and what every cluster has from the start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ropewalk.kube.bootstrap import SYSTEM_NAMESPACES, Address, bootstrap
from ropewalk.kube.kinds.catalogue import PACKAGES
from ropewalk.kube.kinds.table import RESOURCES
from ropewalk.kube.machinery.admission import AdmitAll
from ropewalk.kube.pod_subresources import PodSubresources
from ropewalk.kube.subresource_doors import aspects
from support.kube_front import Server, built_in, pod

PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    creators: dict[Any, Any] = {}
    made = Server(subresources={"creators": creators})
    answering = PodSubresources(made.api, made.registry.writer, AdmitAll(), made.clock)
    pods = made.served("pods").storage
    creators |= {(pods, "binding"): answering.bind, (pods, "eviction"): answering.evict}
    yield await made.start()
    await made.stop()


async def run(server: Server, name: str, *, phase: str = "Running", ready: str = "True") -> None:
    body = pod(name, labels={"app": "web"})
    body["spec"]["terminationGracePeriodSeconds"] = 0
    assert (await server.post(PODS, body)).status == 201
    status = {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]}
    assert (await server.patch(f"{PODS}/{name}/status", {"status": status})).status == 200


async def budget(server: Server, name: str = "b", policy: str = "", **status: Any) -> None:
    spec: dict[str, Any] = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    if policy:
        spec["unhealthyPodEvictionPolicy"] = policy
    assert (await server.post(BUDGETS, {"metadata": {"name": name}, "spec": spec})).status == 201
    told = {"observedGeneration": 1, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2} | status
    answer = await server.patch(f"{BUDGETS}/{name}/status", {"status": told})
    assert answer.status == 200, answer.body


async def evict(server: Server, name: str, **body: Any) -> Any:
    return await server.post(f"{PODS}/{name}/eviction", {"metadata": {"name": name}, **body})


async def test_a_pod_without_a_budget_goes(server: Server) -> None:
    await run(server, "web")
    answer = await evict(server, "web")
    assert (answer.status, answer.json["status"]) == (201, "Success")
    assert (await server.get(f"{PODS}/web")).status == 404


@pytest.mark.parametrize(
    ("status", "policy", "pod_state", "expected"),
    [
        ({"disruptionsAllowed": 1}, "", {}, 201),
        ({"disruptionsAllowed": 0}, "", {}, 429),
        ({"disruptionsAllowed": 0}, "", {"phase": "Pending"}, 201),
        ({"disruptionsAllowed": 0}, "", {"phase": "Succeeded"}, 201),
        ({"disruptionsAllowed": 0}, "AlwaysAllow", {"ready": "False"}, 201),
        ({"disruptionsAllowed": 0, "currentHealthy": 1}, "", {"ready": "False"}, 201),
        ({"disruptionsAllowed": 0, "currentHealthy": 0}, "", {"ready": "False"}, 429),
        ({"disruptionsAllowed": 1, "observedGeneration": 0}, "", {}, 429),
    ],
)
async def test_a_budget_is_asked(
    server: Server, status: dict[str, int], policy: str, pod_state: dict[str, str], expected: int
) -> None:
    await run(server, "web", **pod_state)
    await budget(server, policy=policy, **status)
    answer = await evict(server, "web")
    assert answer.status == expected, answer.body
    assert (await server.get(f"{PODS}/web")).status == (404 if expected == 201 else 200)
    if expected == 429:
        assert answer.reason == "TooManyRequests"
        assert answer.json["details"]["causes"][0]["reason"] == "DisruptionBudget"


async def test_of_many_evictions_at_once_only_as_many_succeed_as_are_allowed(server: Server) -> None:
    for number in range(4):
        await run(server, f"web-{number}")
    await budget(server, disruptionsAllowed=2)
    answers = await asyncio.gather(*(evict(server, f"web-{number}") for number in range(4)))
    assert sorted(answer.status for answer in answers) == [201, 201, 429, 429]
    status = (await server.get(f"{BUDGETS}/b")).json["status"]
    assert (status["disruptionsAllowed"], len(status["disruptedPods"])) == (0, 2)


async def test_a_dry_run_of_an_eviction_uses_nothing_up(server: Server) -> None:
    await run(server, "web")
    await budget(server, disruptionsAllowed=1)
    before = server.store.revision
    assert (await evict(server, "web", deleteOptions={"dryRun": ["All"]})).status == 201
    assert server.store.revision == before


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"metadata": {"name": "other"}}, 400),
        ({"metadata": {"name": "web"}, "deleteOptions": {"preconditions": {"uid": "other"}}}, 409),
        ({"metadata": {"name": "web"}, "deleteOptions": {"propagationPolicy": "Sideways"}}, 422),
        ({"metadata": {"name": "web"}, "deleteOptions": 5}, 400),
        ({"metadata": 5}, 400),
    ],
)
async def test_evictions_that_are_refused(server: Server, body: Any, status: int) -> None:
    await run(server, "web")
    assert (await server.post(f"{PODS}/web/eviction", body)).status == status
    assert (await server.get(f"{PODS}/web")).status == 200


async def test_two_budgets_of_one_pod_are_too_many(server: Server) -> None:
    await run(server, "web")
    for name in ("a", "b"):
        await budget(server, name, disruptionsAllowed=1)
    answer = await evict(server, "web")
    assert (answer.status, "more than one PodDisruptionBudget" in answer.message) == (500, True)


async def test_a_binding_gives_a_pod_its_node_once(server: Server) -> None:
    await server.post(PODS, pod())
    body = {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "n-1"}}
    assert (await server.post(f"{PODS}/web/binding", body)).status == 201
    bound = (await server.get(f"{PODS}/web")).json
    assert bound["spec"]["nodeName"] == "n-1"
    assert {"PodScheduled"} == {one["type"] for one in bound["status"]["conditions"]}
    again = await server.post(f"{PODS}/web/binding", body)
    assert (again.status, 'already assigned to node "n-1"' in again.message) == (409, True)


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {"name": "x"}, "target": {"name": "n"}},
        {"metadata": {"name": "web"}},
        {"target": 5},
        {"metadata": []},
    ],
)
async def test_bindings_that_are_refused(server: Server, body: Any) -> None:
    await server.post(PODS, pod())
    assert (await server.post(f"{PODS}/web/binding", body)).status == 400


# --- what every cluster has


async def test_a_cluster_begins_with_its_own_objects_and_begins_again_without_a_write(server: Server) -> None:
    address = Address("10.96.0.1", "192.0.2.7", 6443)
    await bootstrap(server.api, address, {"client-ca-file": "x"})
    for name in SYSTEM_NAMESPACES:
        assert (await server.get(f"/api/v1/namespaces/{name}")).status == 200
    service = (await server.get("/api/v1/namespaces/default/services/kubernetes")).json
    assert (service["spec"]["clusterIP"], service["spec"]["ports"][0]["port"]) == ("10.96.0.1", 443)
    assert (await server.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin")).status == 200
    before = server.store.revision
    await bootstrap(server.api, address, {"client-ca-file": "x"})
    assert server.store.revision == before
    await bootstrap(server.api, Address("10.96.0.1", "192.0.2.8", 6443), {"client-ca-file": "y"})
    endpoints = (await server.get("/api/v1/namespaces/default/endpoints/kubernetes")).json
    assert endpoints["subsets"][0]["addresses"] == [{"ip": "192.0.2.8"}]
    where = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
    assert (await server.get(where)).json["data"] == {"client-ca-file": "y"}


# --- the catalogue


def test_every_resource_of_the_table_is_served_under_its_own_keys_or_those_it_shares() -> None:
    assert [served.info for served in built_in()] == list(RESOURCES)
    assert {info.group for info in RESOURCES} == set(PACKAGES) | {"apiextensions.k8s.io"}
    for served in built_in():
        shared = served.info.group == "events.k8s.io"
        assert (served.storage != served.info.group_resource) is shared
        assert (served.kept is None) is (served.stored_as is None) is (served.shown is None)


def test_every_door_is_one_that_its_resource_has() -> None:
    known = {(info.group_resource, sub.name) for info in RESOURCES for sub in info.subresources}
    assert set(aspects()) <= known
