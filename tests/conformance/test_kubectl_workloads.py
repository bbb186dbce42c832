"""kubectl with workloads that run: deployments rolled out, taken back, scaled, and deleted in each way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.installation import eventually
from support.kube_process import Space


def objects(space: Space, kinds: str, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(space("get", kinds, "-o", "json", *arguments))["items"]
    return found


def events(space: Space, kind: str) -> str:
    return space("get", "events", "--field-selector", f"involvedObject.kind={kind}")


@pytest.fixture
def web(space: Space) -> Space:
    space("create", "deployment", "web", "--image=nginx:1", "--replicas=3", "--port=80")
    space("rollout", "status", "deployment/web", "--timeout=30s")
    return space


def test_a_deployment_comes_up_and_is_told_of(web: Space) -> None:
    assert web("get", "deployment", "web", "--no-headers").split()[:4] == ["web", "3/3", "3", "3"]
    one = objects(web, "replicasets")[0]
    assert one["metadata"]["name"] == f"web-{one['metadata']['labels']['pod-template-hash']}"
    pods = objects(web, "pods", "-l", "app=web")
    assert {pod["metadata"]["ownerReferences"][0]["name"] for pod in pods} == {one["metadata"]["name"]}
    eventually(lambda: events(web, "ReplicaSet").count("SuccessfulCreate") == 3, "its pods are told of")
    assert f"Scaled up replica set {one['metadata']['name']} from 0 to 3" in events(web, "Deployment")
    told = web("describe", "deployment", "web")
    assert "3 desired | 3 updated | 3 total | 3 available | 0 unavailable" in told
    assert f"NewReplicaSet:   {one['metadata']['name']} (3/3 replicas created)" in told
    web("wait", "deployment/web", "--for=condition=Available", "--timeout=5s")


def test_a_rollout_and_back(web: Space) -> None:
    web("annotate", "deployment/web", "kubernetes.io/change-cause=first")
    web("set", "image", "deployment/web", "nginx=nginx:2")
    web("annotate", "deployment/web", "kubernetes.io/change-cause=second")
    web("rollout", "status", "deployment/web", "--timeout=30s")
    history = web("rollout", "history", "deployment/web").splitlines()
    assert [line.split() for line in history[2:4]] == [["1", "first"], ["2", "second"]]
    assert "nginx:2" in web("rollout", "history", "deployment/web", "--revision=2")
    assert web("rollout", "undo", "deployment/web") == "deployment.apps/web rolled back\n"
    web("rollout", "status", "deployment/web", "--timeout=30s")
    images = {pod["spec"]["containers"][0]["image"] for pod in objects(web, "pods")}
    assert images == {"nginx:1"}
    history = web("rollout", "history", "deployment/web").splitlines()
    assert [line.split()[0] for line in history[2:4]] == ["2", "3"]
    web("rollout", "undo", "deployment/web", "--to-revision=2")
    web("rollout", "status", "deployment/web", "--timeout=30s")
    assert {pod["spec"]["containers"][0]["image"] for pod in objects(web, "pods")} == {"nginx:2"}
    web("rollout", "restart", "deployment/web")
    web("rollout", "status", "deployment/web", "--timeout=30s")
    assert len(objects(web, "replicasets")) == 3


def test_scaling_and_pausing(web: Space) -> None:
    web("scale", "deployment/web", "--replicas=5")
    web("rollout", "status", "deployment/web", "--timeout=30s")
    assert len(objects(web, "pods")) == 5
    web("rollout", "pause", "deployment/web")
    web("set", "image", "deployment/web", "nginx=nginx:2")
    web("scale", "deployment/web", "--current-replicas=5", "--replicas=2")
    eventually(lambda: len(objects(web, "pods")) == 2, "it is scaled")
    assert len(objects(web, "replicasets")) == 1
    web("rollout", "resume", "deployment/web")
    web("rollout", "status", "deployment/web", "--timeout=30s")
    assert len(objects(web, "replicasets")) == 2


@pytest.mark.parametrize("cascade", ["background", "foreground", "orphan"])
def test_what_goes_with_it(web: Space, cascade: str) -> None:
    web("delete", "deployment", "web", f"--cascade={cascade}")
    if cascade == "orphan":
        assert len(objects(web, "replicasets")) == 1
        assert len(objects(web, "pods")) == 3
        web("delete", "replicasets", "--all")
    eventually(lambda: not objects(web, "replicasets,pods"), "nothing is left of it")


def test_a_pod_that_is_deleted_comes_again(web: Space) -> None:
    gone = objects(web, "pods")[0]["metadata"]["name"]
    web("delete", "pod", gone)
    web("wait", "deployment/web", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=10s")
    assert gone not in {pod["metadata"]["name"] for pod in objects(web, "pods")}


def test_exposing_a_deployment(web: Space) -> None:
    web("expose", "deployment", "web", "--port=8080", "--target-port=80")

    def addresses() -> set[str]:
        found = objects(web, "endpointslices", "-l", "kubernetes.io/service-name=web")
        return {address for one in found for each in one.get("endpoints") or () for address in each["addresses"]}

    pods = {pod["status"]["podIP"] for pod in objects(web, "pods")}
    eventually(lambda: addresses() == pods, "every pod is an endpoint")
    one = objects(web, "endpointslices")[0]
    assert one["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]
    assert all(each["zone"].startswith("us-east-1") for each in one["endpoints"])
    assert f"{min(pods)}:80" in web("get", "endpoints", "web", "--no-headers")
    assert "Endpoints:" in web("describe", "service", "web")
    web("scale", "deployment/web", "--replicas=1")
    eventually(lambda: len(addresses()) == 1, "the endpoints follow")
    web("delete", "service", "web")
    eventually(lambda: not objects(web, "endpoints,endpointslices"), "they go with the service")


def test_a_node_that_pods_must_leave(web: Space) -> None:
    """Of the two nodes one is tainted; its pods come again on the other."""
    node = objects(web, "pods")[0]["spec"]["nodeName"]
    others = {found["metadata"]["name"] for found in objects(web, "nodes")} - {node}
    web("taint", "node", node, f"{web.name}=now:NoExecute")
    try:
        eventually(
            lambda: (
                {pod["spec"].get("nodeName") for pod in objects(web, "pods")} <= others
                and web.get("deployment", "web")["status"].get("readyReplicas") == 3
            ),
            "its pods are elsewhere",
        )
        assert "Marking for deletion Pod" in events(web, "Pod")
    finally:
        web("taint", "node", node, f"{web.name}-")
    web("cordon", node)
    eventually(lambda: "unschedulable" in json.dumps(web.get("node", node)["spec"]["taints"]), "it takes no pods")
    web("uncordon", node)
    eventually(lambda: "taints" not in web.get("node", node)["spec"], "it takes pods again")
