"""Who owns whom, and what each controller does with what it finds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.controllers.event_expiry import EventExpiry
from ropewalk.kube.controllers.garbage_collector import GarbageCollector
from ropewalk.kube.controllers.namespace_contents import NamespaceContents
from ropewalk.kube.controllers.namespaces import NamespaceController
from ropewalk.kube.controllers.ownership import Graph
from ropewalk.kube.machinery.api import Metadata, OwnerReference
from ropewalk.kube.machinery.resources import GroupResource
from support.kube_front import Server, config_map, pod

MAPS, NODES = GroupResource("", "configmaps"), GroupResource("", "nodes")
WHERE = "/api/v1/namespaces/default/configmaps"

# --- the graph

UIDS = ["a", "b", "c", "d"]


@st.composite
def worlds(draw: st.DrawFn) -> list[Metadata]:
    """Objects that own each other anyhow, some of them going."""
    made = []
    for uid in draw(st.lists(st.sampled_from(UIDS), unique=True)):
        owners = draw(st.lists(st.sampled_from([*UIDS, "never"]), max_size=3, unique=True))
        references = tuple(
            OwnerReference("v1", "ConfigMap", owner, owner, block_owner_deletion=draw(st.booleans()))
            for owner in owners
        )
        finalizers = draw(st.sampled_from([(), ("foregroundDeletion",), ("orphan",), ("x/hold",)]))
        made.append(
            Metadata(uid, "default", uid, references, finalizers, draw(st.sampled_from(["", "2023-11-14T22:13:20Z"])))
        )
    return made


def seen(graph: Graph) -> dict[str, Any]:
    blocking = {uid: {node.uid for node in graph.blocking(uid)} for uid in [*UIDS, "never"]}
    return {
        "nodes": graph.nodes,
        "dependents": {uid: set(held) for uid, held in graph._dependents.items()},
        "b": blocking,
    }


@given(worlds(), st.randoms(use_true_random=False))
def test_the_graph_is_the_same_in_whatever_order_it_was_seen(world: list[Metadata], rng: Any) -> None:
    first, second = Graph(), Graph()
    for metadata in world:
        first.observe(MAPS, "default", metadata.name, metadata)
    shuffled = list(world)
    rng.shuffle(shuffled)
    for metadata in shuffled:
        if rng.random() < 0.5:  # it was another object, or had other owners, before
            second.observe(
                MAPS, "default", metadata.name, Metadata(metadata.name, "default", rng.choice(["z", metadata.uid]))
            )
        second.observe(MAPS, "default", metadata.name, metadata)
    assert seen(first) == seen(second)
    for metadata in shuffled:
        second.observe(MAPS, "default", metadata.name, None)
    assert (second.nodes, second._dependents, second._by_place) == ({}, {}, {})


@given(worlds())
def test_whatever_has_a_doubtful_owner_is_looked_at(world: list[Metadata]) -> None:
    graph, looked_at = Graph(), set()
    for metadata in world:
        looked_at |= graph.observe(MAPS, "default", metadata.name, metadata)
    present = {metadata.uid: metadata for metadata in world}
    for metadata in world:
        for owner in metadata.owner_references:
            found = present.get(owner.uid)
            going = found is not None and found.deletion_timestamp and "foregroundDeletion" in found.finalizers
            if found is None or going:
                assert metadata.uid in looked_at


def owned(name: str, *owners: OwnerReference, **more: Any) -> Metadata:
    return Metadata(name, more.pop("namespace", "default"), name, owners, **more)


def test_what_follows_from_an_owners_end() -> None:
    graph = Graph()
    blocked = OwnerReference("v1", "ConfigMap", "o", "o", block_owner_deletion=True)
    graph.observe(MAPS, "default", "o", owned("o"))
    assert graph.observe(MAPS, "default", "d", owned("d", blocked)) == set(), "its owner is there"
    waiting = owned("o", finalizers=("foregroundDeletion",), deletion_timestamp="now")
    assert graph.observe(MAPS, "default", "o", waiting) == {"o", "d"}
    assert [node.uid for node in graph.blocking("o")] == ["d"]
    assert graph.observe(MAPS, "default", "d", None) == {"o"}, "the owner may go on"
    assert graph.blocking("o") == []


def test_a_reference_that_means_another_object_is_doubtful() -> None:
    graph = Graph()
    graph.observe(MAPS, "elsewhere", "o", owned("o", namespace="elsewhere"))
    reference = OwnerReference("v1", "ConfigMap", "o", "o")
    assert graph.observe(MAPS, "default", "d", owned("d", reference)) == {"d"}
    graph.observe(NODES, "", "n", owned("n", namespace=""))
    reference = OwnerReference("v1", "Node", "n", "n")
    assert graph.observe(MAPS, "default", "e", owned("e", reference)) == set(), (
        "what lies in no namespace owns anywhere"
    )


@pytest.mark.parametrize(
    ("edges", "waits"),
    [
        ({"a": "b"}, False),
        ({"a": "b", "b": "a"}, True),
        ({"a": "b", "b": "c", "c": "a"}, True),
        ({"a": "a"}, True),
        ({"a": "b", "b": "c"}, False),
    ],
)
def test_who_waits_for_itself(edges: dict[str, str], waits: bool) -> None:
    graph = Graph()
    for uid in UIDS:
        references = [
            OwnerReference("v1", "ConfigMap", uid_, uid_, block_owner_deletion=True)
            for uid_ in [edges.get(uid)]
            if uid_
        ]
        going = {"finalizers": ("foregroundDeletion",), "deletion_timestamp": "now"}
        graph.observe(MAPS, "default", uid, owned(uid, *references, **going))
    assert graph.waits_for_itself("a") is waits


# --- controllers on a server


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server(clock=VirtualClock(settle_rounds=100))
    api, clock, entropy = made.api, made.clock, SeededEntropy(3)
    await made.start(
        GarbageCollector(api, clock, entropy),
        NamespaceController(api, clock, entropy),
        NamespaceContents(api, b"the certificate", clock, entropy),
        EventExpiry(api, clock, entropy),
    )
    yield made
    await made.stop()


def by(owner: dict[str, Any], **more: Any) -> dict[str, Any]:
    about = {key: owner["metadata"][key] for key in ("name", "uid")}
    return {"apiVersion": "v1", "kind": owner["kind"], **about, **more}


async def make(server: Server, name: str, *owners: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    body = config_map(name)
    body["metadata"] |= {"ownerReferences": list(owners), **metadata}
    made = await server.post(WHERE, body)
    assert made.status == 201, made.body
    found: dict[str, Any] = made.json
    return found


async def left(server: Server) -> list[str]:
    await server.clock.advance(1)
    return [item["metadata"]["name"] for item in (await server.get(WHERE)).json["items"]]


@pytest.mark.parametrize(
    ("policy", "expected"), [("Background", []), ("Foreground", []), ("Orphan", ["dependent", "theirs"])]
)
async def test_what_becomes_of_dependents(server: Server, policy: str, expected: list[str]) -> None:
    owner = await make(server, "owner")
    dependent = await make(server, "dependent", by(owner, blockOwnerDeletion=True))
    await make(server, "theirs", by(dependent, blockOwnerDeletion=True))
    await server.delete(f"{WHERE}/owner?propagationPolicy={policy}")
    assert await left(server) == expected
    if policy == "Orphan":
        assert "ownerReferences" not in (await server.get(f"{WHERE}/dependent")).json["metadata"]


async def test_an_owner_in_the_foreground_waits_for_what_blocks_it_alone(server: Server) -> None:
    owner = await make(server, "owner")
    await make(server, "blocks", by(owner, blockOwnerDeletion=True), finalizers=["x.example/hold"])
    await make(server, "does-not", by(owner), finalizers=["x.example/hold"])
    await server.delete(f"{WHERE}/owner?propagationPolicy=Foreground")
    assert await left(server) == ["blocks", "does-not", "owner"]
    await server.patch(f"{WHERE}/blocks", {"metadata": {"finalizers": None}})
    assert await left(server) == ["does-not"]


async def test_who_has_another_owner_stays_and_forgets_the_one_that_went(server: Server) -> None:
    first, second = await make(server, "first"), await make(server, "second")
    await make(server, "both", by(first, blockOwnerDeletion=True), by(second))
    await server.delete(f"{WHERE}/first?propagationPolicy=Foreground")
    assert await left(server) == ["both", "second"]
    references = (await server.get(f"{WHERE}/both")).json["metadata"]["ownerReferences"]
    assert [one["name"] for one in references] == ["second"]
    await server.delete(f"{WHERE}/second")
    assert await left(server) == []


@pytest.mark.parametrize(
    ("reference", "stays"),
    [
        ({"uid": "another"}, False),
        ({"name": "nobody"}, False),
        ({"kind": "Secret"}, False),
        ({"kind": "Unknown"}, True),
        ({"apiVersion": "none.example/v1"}, True),
        ({}, True),
    ],
)
async def test_owners_that_are_not_what_the_reference_says(
    server: Server, reference: dict[str, str], stays: bool
) -> None:
    owner = await make(server, "owner")
    await make(server, "dependent", by(owner) | reference)
    expected = ["dependent", "owner"] if stays else ["owner"]
    assert await left(server) == expected


async def test_an_owner_in_another_namespace_owns_nothing(server: Server) -> None:
    owner = await server.config_map("owner", "elsewhere")
    await server.clock.settle()
    await make(server, "dependent", by(owner))
    assert await left(server) == []


async def test_a_cluster_wide_object_with_an_owner_in_a_namespace_is_left_alone(server: Server) -> None:
    owner = await make(server, "owner")
    body = {"metadata": {"name": "n", "ownerReferences": [by(owner)]}}
    assert (await server.post("/api/v1/nodes", body)).status == 201
    await server.delete(f"{WHERE}/owner")
    await server.clock.advance(120)
    assert (await server.get("/api/v1/nodes/n")).status == 200


async def test_circles_go(server: Server) -> None:
    first, second = await make(server, "first"), await make(server, "second")
    for one, other in ((first, second), (second, first)):
        patch = {"metadata": {"ownerReferences": [by(other, blockOwnerDeletion=True)]}}
        assert (await server.patch(f"{WHERE}/{one['metadata']['name']}", patch)).status == 200
    for name in ("first", "second"):
        await server.delete(f"{WHERE}/{name}?propagationPolicy=Foreground")
    assert await left(server) == []


async def test_a_resource_that_goes_and_comes_back_is_followed_again(server: Server) -> None:
    served = server.served("configmaps")
    server.registry.withdraw(served.storage, ["v1"])
    await server.clock.settle()
    server.registry.serve([served])
    await server.clock.advance(1)
    owner = await make(server, "owner")
    await make(server, "dependent", by(owner))
    await server.delete(f"{WHERE}/owner")
    assert await left(server) == []


# --- namespaces


async def test_a_namespace_has_its_account_and_the_clusters_certificate(server: Server) -> None:
    await server.post("/api/v1/namespaces", {"metadata": {"name": "n"}})
    await server.clock.advance(1)
    assert (await server.get("/api/v1/namespaces/n/serviceaccounts/default")).status == 200
    where = "/api/v1/namespaces/n/configmaps/kube-root-ca.crt"
    assert (await server.get(where)).json["data"] == {"ca.crt": "the certificate"}
    await server.patch(where, {"data": {"ca.crt": "forged", "more": "x"}})
    await server.delete("/api/v1/namespaces/n/serviceaccounts/default")
    await server.clock.advance(1)
    assert (await server.get(where)).json["data"]["ca.crt"] == "the certificate"
    assert (await server.get("/api/v1/namespaces/n/serviceaccounts/default")).status == 200


async def test_a_namespace_goes_with_its_pods_first_and_says_what_holds_it(server: Server) -> None:
    await server.post("/api/v1/namespaces", {"metadata": {"name": "n"}})
    body = pod()
    body["spec"]["nodeName"] = "n-1"
    await server.post("/api/v1/namespaces/n/pods", body)
    held = {"metadata": {"name": "held", "finalizers": ["x.example/hold"]}}
    await server.post("/api/v1/namespaces/n/configmaps", held)
    answer = await server.delete("/api/v1/namespaces/n")
    assert (answer.status, answer.json["status"]["phase"]) == (200, "Terminating")
    await server.clock.advance(1)
    assert "deletionTimestamp" not in (await server.get("/api/v1/namespaces/n/configmaps/held")).json["metadata"]
    assert await conditions(server) == {
        "NamespaceContentRemaining": "Some resources are remaining: pods. has 1 resource instances"
    }
    await server.delete("/api/v1/namespaces/n/pods/web?gracePeriodSeconds=0")
    await server.clock.advance(20)
    assert await conditions(server) == {
        "NamespaceContentRemaining": "Some resources are remaining: configmaps. has 1 resource instances",
        "NamespaceFinalizersRemaining": "Some content in the namespace has finalizers remaining: x.example/hold in 1"
        " resource instances",
    }
    await server.patch("/api/v1/namespaces/n/configmaps/held", {"metadata": {"finalizers": None}})
    await server.clock.advance(20)
    assert (await server.get("/api/v1/namespaces/n")).status == 404


async def conditions(server: Server) -> dict[str, str]:
    """Those that tell of a problem."""
    status = (await server.get("/api/v1/namespaces/n")).json["status"]
    assert len(status["conditions"]) == 5
    return {one["type"]: one["message"] for one in status["conditions"] if one["status"] == "True"}


async def test_a_finalizer_of_somebody_else_keeps_an_empty_namespace(server: Server) -> None:
    await server.post("/api/v1/namespaces", {"metadata": {"name": "n", "finalizers": ["x.example/mine"]}})
    await server.delete("/api/v1/namespaces/n")
    await server.clock.advance(20)
    found = (await server.get("/api/v1/namespaces/n")).json
    assert "finalizers" not in found["spec"] and found["metadata"]["finalizers"] == ["x.example/mine"]
    await server.patch("/api/v1/namespaces/n", {"metadata": {"finalizers": None}})
    assert (await server.get("/api/v1/namespaces/n")).status == 404


# --- events


async def test_events_are_kept_an_hour_after_their_last_write(server: Server) -> None:
    where = "/api/v1/namespaces/default/events"
    about = {"kind": "Pod", "name": "web", "namespace": "default"}
    for name in ("once", "again"):
        body = {"metadata": {"name": name}, "involvedObject": about, "reason": "R", "type": "Normal"}
        assert (await server.post(where, body)).status == 201
    await server.clock.advance(1800)
    assert (await server.patch(f"{where}/again", {"count": 2})).status == 200
    await server.clock.advance(1801)
    await asyncio.sleep(0)
    assert [item["metadata"]["name"] for item in (await server.get(where)).json["items"]] == ["again"]
    await server.clock.advance(1800)
    assert (await server.get(where)).json["items"] == []
