"""ConfigMaps, tokens and fields in a running pod's files: from the API to the machine's own disk, on every change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.simulated_pods import PodRunner
from ropewalk.node.agent import MachineAgent
from support.kube_cluster import OWNER, PODS, Cluster, web

CONFIG_MAPS = GroupResource("", "configmaps")
EVENTS = GroupResource("", "events")


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    """One node whose machine has files; its containers are fakes."""
    made = Cluster(1)
    agent = made.machines.agents[0]
    made.machines.agents[0] = MachineAgent(agent.facts, OWNER, agent._ports, root=tmp_path)
    made.nodes.pods = PodRunner(
        {"simulated-0": "10.192.0.1"},
        {"simulated-0": "10.200.0"},
        made.api,
        made.store,
        OWNER,
        made.clock,
        made.entropy,
        files=True,
    )
    await made.up()
    yield made
    await made.down()


async def configure(cluster: Cluster, **data: str) -> None:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}, "data": data}
    await cluster.api.create(CONFIG_MAPS, made, namespace="default")


async def run(cluster: Cluster, *sources: dict[str, Any]) -> dict[str, Any]:
    mounted = web(volumeMounts=[{"name": "v", "mountPath": "/v"}])
    volume = {"name": "v", "projected": {"sources": list(sources)}}
    return await settled(cluster, await cluster.run("a", mounted, volumes=[volume], serviceAccountName="robot"))


async def settled(cluster: Cluster, pod: dict[str, Any]) -> dict[str, Any]:
    """Files are written by a thread: give it real moments."""
    for _ in range(20):
        await asyncio.sleep(0.01)
        await cluster.clock.advance(0.1)
    return await cluster.pod(pod["metadata"]["name"])


def seen(root: Path, pod: dict[str, Any], name: str) -> str:
    return (root / "volumes" / pod["metadata"]["uid"] / "v" / name).read_text()


CONFIG = {"configMap": {"name": "c"}}
TOKEN = {"serviceAccountToken": {"path": "token", "expirationSeconds": 1000}}
LABELS = {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}


async def test_a_change_of_a_configmap_is_seen_by_the_running_pod(cluster: Cluster, tmp_path: Path) -> None:
    await configure(cluster, mode="fast")
    pod = await run(cluster, CONFIG, LABELS)
    assert pod["status"]["phase"] == "Running" and seen(tmp_path, pod, "mode") == "fast"
    await cluster.api.patch(CONFIG_MAPS, "default", "c", {"data": {"mode": "slow", "more": "1"}})
    await cluster.api.patch(PODS, "default", "a", {"metadata": {"labels": {"app": "x"}}})
    after = await settled(cluster, pod)
    assert (seen(tmp_path, pod, "mode"), seen(tmp_path, pod, "more")) == ("slow", "1")
    assert seen(tmp_path, pod, "labels") == 'app="x"'
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0
    await cluster.api.delete(CONFIG_MAPS, "default", "c")
    await settled(cluster, pod)
    assert seen(tmp_path, pod, "mode") == "slow", "what was given stays"
    await cluster.api.delete(PODS, "default", "a")
    await cluster.clock.advance(1.0)
    for _ in range(5):
        await cluster.clock.advance(0.5)
    assert not (tmp_path / "volumes" / pod["metadata"]["uid"]).exists()


async def test_a_pod_waits_for_its_volume_and_says_so(cluster: Cluster, tmp_path: Path) -> None:
    pod = await run(cluster, CONFIG)
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"] == {"reason": "ContainerCreating"}
    (told,) = [e for e in await cluster.api.list(EVENTS, "default") if e["reason"] == "FailedMount"]
    assert told["message"] == 'MountVolume.SetUp failed for volume "v" : configmap "c" not found'
    await configure(cluster, mode="fast")
    pod = await settled(cluster, pod)
    assert pod["status"]["phase"] == "Running" and seen(tmp_path, pod, "mode") == "fast"


async def test_a_token_is_renewed_before_it_ends(cluster: Cluster, tmp_path: Path) -> None:
    pod = await run(cluster, TOKEN)
    assert seen(tmp_path, pod, "token") == "robot-1"
    (request,) = cluster.tokens
    bound = {"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": pod["metadata"]["uid"]}
    assert request["spec"] == {"expirationSeconds": 1000, "boundObjectRef": bound, "audiences": []}
    await cluster.clock.advance(700.0)
    assert len(cluster.tokens) == 1
    await cluster.clock.advance(110.0)
    await settled(cluster, pod)
    assert len(cluster.tokens) == 2 and seen(tmp_path, pod, "token") == "robot-2"
