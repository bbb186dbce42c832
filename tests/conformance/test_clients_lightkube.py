"""lightkube: typed, generic and applied resources, watches, logs, exec."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

import pytest
from lightkube import ApiError, Client, KubeConfig
from lightkube.codecs import load_all_yaml
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Node, Pod
from lightkube.types import PatchType

from support.kube_process import Cluster, Space, config_map, definition, deployment, manifest, pod


@pytest.fixture
def client(cluster: Cluster, space: Space) -> Iterator[Client]:
    with Client(
        config=KubeConfig.from_file(str(cluster.kubeconfig)), namespace=space.name, field_manager="lightkube"
    ) as made:
        yield made


def test_objects_live(client: Client, space: Space) -> None:
    made = client.create(ConfigMap(metadata=ObjectMeta(name="a", labels={"app": "x"}), data={"key": "1"}))
    assert made.metadata is not None and made.metadata.uid
    assert client.patch(ConfigMap, "a", {"data": {"key": "2"}}).data == {"key": "2"}
    by_json = [{"op": "add", "path": "/data/more", "value": "3"}]
    assert client.patch(ConfigMap, "a", by_json, patch_type=PatchType.JSON).data == {"key": "2", "more": "3"}
    with pytest.raises(ApiError) as stale:
        client.replace(made)
    assert stale.value.status.reason == "Conflict"
    assert [one.metadata.name for one in client.list(ConfigMap, labels={"app": ["x", "y"]}) if one.metadata] == ["a"]
    client.deletecollection(ConfigMap)
    with pytest.raises(ApiError) as missing:
        client.get(ConfigMap, "a")
    assert missing.value.status.code == 404
    assert {node.metadata.name for node in client.list(Node) if node.metadata} == {"simulated-0", "simulated-1"}


def test_apply_and_its_conflicts(client: Client) -> None:
    for obj in load_all_yaml(manifest(deployment("web"), config_map("a", key="1"))):
        client.apply(obj)
    web = client.get(Deployment, "web")
    assert web.metadata is not None and web.metadata.managedFields is not None
    assert {entry.manager for entry in web.metadata.managedFields} <= {"lightkube", "kube-controller-manager"}
    (other,) = load_all_yaml(manifest(config_map("a", key="2")))
    with pytest.raises(ApiError) as conflict:
        client.apply(other, field_manager="other")
    assert conflict.value.status.code == 409
    assert client.apply(other, field_manager="other", force=True).data == {"key": "2"}


def test_a_watch_and_lists_in_chunks(client: Client) -> None:
    for number in range(25):
        client.create(ConfigMap(metadata=ObjectMeta(name=f"c-{number:02}", labels={"app": "x"})))
    listed = client.list(ConfigMap, labels={"app": "x"}, chunk_size=10)
    assert len(list(listed)) == 25
    events = client.watch(ConfigMap, labels={"app": "x"}, resource_version=listed.resourceVersion)
    client.patch(ConfigMap, "c-07", {"data": {"a": "b"}})
    client.delete(ConfigMap, "c-03")
    seen = [(kind, obj.metadata.name) for kind, obj in islice(events, 2) if obj.metadata]
    assert seen == [("MODIFIED", "c-07"), ("DELETED", "c-03")]


def test_generic_resources(client: Client, space: Space) -> None:
    schema = {
        "spec": {"type": "object", "properties": {"size": {"type": "integer"}}},
        "status": {"type": "object", "properties": {"seen": {"type": "integer"}}},
    }
    version = {"subresources": {"status": {}}}
    space.create(definition("buoys", "Buoy", "lightkube.example.com", schema, **version))
    try:
        space.wait("crd/buoys.lightkube.example.com", "condition=Established")
        buoy = create_namespaced_resource("lightkube.example.com", "v1", "Buoy", "buoys")
        made = client.create(buoy(metadata={"name": "a"}, spec={"size": 1}, status={"seen": 1}))
        assert made.status is None, "a status is not made"
        told = client.patch(buoy.Status, "a", {"status": {"seen": 7}}, patch_type=PatchType.MERGE)
        assert (told.status, told.metadata.generation) == ({"seen": 7}, 1)
        applied = client.apply(buoy(metadata={"name": "a"}, spec={"size": 2}), force=True)
        assert (applied.spec, applied.status, applied.metadata.generation) == ({"size": 2}, {"seen": 7}, 2)
        assert json.loads(space("get", "buoy", "a", "-o", "json"))["spec"] == {"size": 2}
    finally:
        space("delete", "crd", "buoys.lightkube.example.com")


def test_pods(client: Client, space: Space) -> None:
    space.create(pod("talks", "sh", "-c", "echo one; echo two; sleep 3600"))
    client.wait(Pod, "talks", for_conditions=["Ready"])
    assert list(client.log("talks")) == ["one\n", "two\n"]
    assert list(client.log("talks", tail_lines=1)) == ["two\n"]
    done = client.exec("talks", command=["sh", "-c", "echo out; echo err >&2; exit 3"], stdout=True, stderr=True)
    assert (done.stdout, done.stderr, done.exit_code) == ("out\n", "err\n", 3)
    assert client.exec("talks", command="cat", stdin="typed", stdout=True).stdout == "typed"
    with pytest.raises(ApiError) as refused:
        client.create(Pod.from_dict(pod("Bad_Name")))
    assert refused.value.status.code == 422 and refused.value.status.details is not None
