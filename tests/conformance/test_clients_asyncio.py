"""kubernetes-asyncio and kr8s: the asynchronous clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import kr8s.asyncio
import pytest
import pytest_asyncio
from kr8s.asyncio.objects import ConfigMap, CustomResourceDefinition, Deployment, Pod, new_class
from kubernetes_asyncio import client, config, watch
from kubernetes_asyncio.client.exceptions import ApiException
from kubernetes_asyncio.stream import WsApiClient

from support.kube_process import Cluster, Space, config_map, definition, deployment, pod


@pytest_asyncio.fixture
async def api(cluster: Cluster) -> AsyncIterator[client.ApiClient]:
    made = await config.new_client_from_config(str(cluster.kubeconfig))
    async with made:
        yield made


async def test_objects_live(api: client.ApiClient, space: Space) -> None:
    core = client.CoreV1Api(api)
    made = await core.create_namespaced_config_map(space.name, config_map("a", key="1"))
    assert made.metadata.uid
    strategic = await core.patch_namespaced_config_map("a", space.name, {"data": {"key": "2"}})
    assert strategic.data == {"key": "2"}
    by_json = [{"op": "replace", "path": "/data/key", "value": "3"}]
    changed = await core.patch_namespaced_config_map(
        "a", space.name, by_json, _content_type="application/json-patch+json"
    )
    assert changed.data == {"key": "3"}
    applied = await core.patch_namespaced_config_map(
        "a",
        space.name,
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"other": "4"}},
        _content_type="application/apply-patch+yaml",
        field_manager="me",
    )
    assert applied.data == {"key": "3", "other": "4"}
    await core.delete_namespaced_config_map("a", space.name)
    with pytest.raises(ApiException) as missing:
        await core.read_namespaced_config_map("a", space.name)
    assert missing.value.status == 404


async def test_a_watch_and_what_happens_meanwhile(api: client.ApiClient, space: Space) -> None:
    core = client.CoreV1Api(api)

    async def act() -> None:
        for number in range(20):
            await core.create_namespaced_config_map(space.name, config_map(f"c-{number:02}", {"app": "x"}))
        await core.delete_collection_namespaced_config_map(space.name, label_selector="app=x")

    acting = asyncio.create_task(act())
    seen: list[tuple[str, str]] = []
    async with watch.Watch() as watching:
        stream = watching.stream(core.list_namespaced_config_map, space.name, label_selector="app=x")
        async for event in stream:
            seen.append((event["type"], event["object"].metadata.name))
            if len(seen) == 40:
                break
    await acting
    names = [f"c-{number:02}" for number in range(20)]
    assert seen[:20] == [("ADDED", name) for name in names], "in the order in which they were made"
    assert sorted(seen[20:]) == [("DELETED", name) for name in names]


async def test_exec_over_a_websocket(cluster: Cluster, space: Space) -> None:
    space.create(pod("web"))
    space.wait("pod/web", "condition=Ready")
    loaded = client.Configuration()
    await config.load_kube_config(str(cluster.kubeconfig), client_configuration=loaded)
    async with WsApiClient(configuration=loaded) as made:
        said = await client.CoreV1Api(made).connect_get_namespaced_pod_exec(
            "web", space.name, command=["echo", "hello"], stderr=True, stdin=False, stdout=True, tty=False
        )
    assert said == "hello\n"


# --- kr8s


@pytest_asyncio.fixture
async def kate(cluster: Cluster, space: Space) -> Any:
    return await kr8s.asyncio.api(kubeconfig=str(cluster.kubeconfig), namespace=space.name)


async def test_kr8s_objects_live(kate: Any) -> None:
    made = await ConfigMap(config_map("a", key="1"), api=kate)
    await made.create()
    await made.patch({"data": {"key": "2"}})
    await made.label({"zone": "one"})
    await made.annotate(note="x")
    again = await ConfigMap.get("a", api=kate)
    assert (again.data, again.labels, again.annotations) == ({"key": "2"}, {"zone": "one"}, {"note": "x"})
    assert [one.name async for one in kate.get("configmaps", label_selector={"zone": "one"})] == ["a"]
    await made.delete()
    assert not await made.exists()
    with pytest.raises(kr8s.NotFoundError):
        await ConfigMap.get("a", api=kate)


async def test_kr8s_scales_and_owns(kate: Any) -> None:
    web = await Deployment(deployment("web"), api=kate)
    await web.create()
    await web.patch({"spec": {"replicas": 5}})
    await web.refresh()
    assert web.replicas == 5
    child = await ConfigMap(config_map("child"), api=kate)
    await child.create()
    await web.adopt(child)
    await web.delete("Foreground")
    await child.wait("delete", timeout=15)


async def test_kr8s_pods(kate: Any) -> None:
    served = pod("web", "sh", "-c", "echo started; sleep 3600")
    served["spec"]["containers"][0]["ports"] = [{"containerPort": 8080}]
    web = await Pod(served, api=kate)
    await web.create()
    await web.wait("condition=Ready", timeout=15)
    assert await web.ready()
    assert [line async for line in web.logs()] == ["started"]
    done = await web.exec(["echo", "hello"])
    assert (done.returncode, done.stdout) == (0, b"hello\n")
    async with web.portforward(8080) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /through HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), 10)
        writer.close()


async def test_kr8s_watches_a_kind_of_ones_own(kate: Any) -> None:
    schema = {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    crd = await CustomResourceDefinition(definition("rafts", "Raft", "kr8s.example.com", schema), api=kate)
    await crd.create()
    try:
        await crd.wait("condition=Established", timeout=15)
        raft_class = new_class("Raft", version="kr8s.example.com/v1", namespaced=True, plural="rafts", asyncio=True)
        raft = await raft_class({"metadata": {"name": "a"}, "spec": {"any": ["thing"]}}, api=kate)
        await raft.create()
        seen = []
        async for kind, found in kate.watch("rafts.kr8s.example.com"):
            seen.append((kind, found.spec.any[0]))
            if len(seen) == 2:
                break
            await raft.patch({"spec": {"any": ["else"]}})
        assert seen == [("ADDED", "thing"), ("MODIFIED", "else")]
    finally:
        await crd.delete()
