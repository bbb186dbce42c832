"""What a node may read and write, by what its pods mention."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.machinery.access import Verdict
from ropewalk.kube.machinery.requests import Attributes, User
from ropewalk.kube.security.node_authorizer import NodeAuthorizer
from ropewalk.kube.security.node_graph import ATTACHMENTS, PODS, SLICES, VOLUMES, NodeGraph
from ropewalk.kube.security.pod_references import references
from support.kube_api import MemoryApi

Object = dict[str, Any]
NODE = User("system:node:n1", ("system:nodes", "system:authenticated"))
UNSELECTED = "can only list/watch pods with spec.nodeName field selector"
UNRELATED = "no relationship found between node 'n1' and this object"


def pod(name: str = "p", node: str = "n1", mirror: bool = False, **fields: Any) -> Object:
    annotations = {"annotations": {"kubernetes.io/config.mirror": "x"}} if mirror else {}
    status = fields.pop("status", {})
    return {
        "metadata": {"name": name, "namespace": "web", **annotations},
        "spec": {"nodeName": node, **fields},
        "status": status,
    }


EVERYTHING = pod(
    serviceAccountName="account",
    imagePullSecrets=[{"name": "pull"}],
    initContainers=[{"name": "i", "envFrom": [{"secretRef": {"name": "env-from"}}]}],
    containers=[
        {
            "name": "c",
            "env": [
                {"name": "A", "valueFrom": {"secretKeyRef": {"name": "env", "key": "k"}}},
                {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "env", "key": "k"}}},
                {"name": "C", "value": "plain"},
            ],
        }
    ],
    ephemeralContainers=[{"name": "e", "envFrom": [{"configMapRef": {"name": "env-from"}}]}],
    volumes=[
        {"name": "a", "secret": {"secretName": "volume"}},
        {"name": "b", "configMap": {"name": "volume"}},
        {"name": "c", "projected": {"sources": [{"secret": {"name": "part"}}, {"configMap": {"name": "part"}}]}},
        {"name": "d", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "e", "ephemeral": {"volumeClaimTemplate": {}}},
        {"name": "f", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "csi"}}},
        {"name": "g", "emptyDir": {}},
        {"name": "h", "iscsi": {"secretRef": {"name": "iscsi"}}},
        {"name": "i", "azureFile": {"secretName": "azure"}},
    ],
    resourceClaims=[
        {"name": "x", "resourceClaimName": "direct"},
        {"name": "y", "resourceClaimTemplateName": "template"},
        {"name": "z", "resourceClaimTemplateName": "template"},
    ],
    status={"resourceClaimStatuses": [{"name": "y", "resourceClaimName": "made"}]},
)


def test_what_a_pod_mentions() -> None:
    assert set(references(EVERYTHING)) == {
        ("serviceaccounts", "account"),
        *(("secrets", name) for name in ("pull", "env-from", "env", "volume", "part", "csi", "iscsi", "azure")),
        *(("configmaps", name) for name in ("env", "env-from", "volume", "part")),
        *(("persistentvolumeclaims", name) for name in ("claim", "p-e")),
        *(("resourceclaims", name) for name in ("direct", "made")),
    }


def test_a_mirror_pod_gives_nothing() -> None:
    assert list(references(pod(mirror=True, serviceAccountName="account"))) == []


def volume(name: str, claim: str, **source: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"claimRef": {"namespace": "web", "name": claim}, **source}}


async def test_relations_come_and_go() -> None:
    api = MemoryApi((PODS, pod(serviceAccountName="robot", imagePullSecrets=[{"name": "pull"}])))
    graph = NodeGraph(api)
    await graph.follow()
    assert graph.relates("n1", "secrets", "web", "pull")
    assert graph.relates("n1", "pods", "web", "p")
    assert not graph.relates("n2", "secrets", "web", "pull")
    assert not graph.relates("n1", "secrets", "other", "pull")
    assert not graph.relates("n1", "configmaps", "web", "pull")
    api.put(PODS, pod("q", imagePullSecrets=[{"name": "pull"}]))
    api.drop(PODS, "web", "p")
    assert graph.relates("n1", "secrets", "web", "pull")
    assert not graph.relates("n1", "serviceaccounts", "web", "robot")
    api.put(PODS, pod("q", "n2", imagePullSecrets=[{"name": "pull"}]))
    assert not graph.relates("n1", "secrets", "web", "pull")
    assert graph.relates("n2", "secrets", "web", "pull")
    api.drop(PODS, "web", "q")
    assert not graph.relates("n2", "secrets", "web", "pull")
    assert graph._nodes_of == {}


async def test_a_pod_without_a_node_relates_to_nobody() -> None:
    waiting = pod(serviceAccountName="robot")
    del waiting["spec"]["nodeName"]
    graph = NodeGraph(MemoryApi((PODS, waiting)))
    await graph.follow()
    assert not graph.relates("", "serviceaccounts", "web", "robot")


async def test_volumes_and_their_secrets_follow_the_claim() -> None:
    csi = {
        "csi": {
            "nodeStageSecretRef": {"namespace": "storage", "name": "stage"},
            "controllerPublishSecretRef": {"namespace": "storage", "name": "control"},
        }
    }
    api = MemoryApi(
        (PODS, pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "claim"}}])),
        (VOLUMES, volume("v", "claim", **csi)),
        (VOLUMES, volume("w", "claim", cephfs={"secretRef": {"name": "ceph"}})),
        (VOLUMES, volume("x", "other", **csi)),
    )
    graph = NodeGraph(api)
    await graph.follow()
    assert graph.relates("n1", "persistentvolumes", "", "v")
    assert not graph.relates("n1", "persistentvolumes", "", "x")
    assert not graph.relates("n2", "persistentvolumes", "", "v")
    assert graph.relates("n1", "secrets", "storage", "stage")
    assert graph.relates("n1", "secrets", "web", "ceph")
    assert not graph.relates("n1", "secrets", "storage", "control")
    api.drop(VOLUMES, "", "v")
    assert not graph.relates("n1", "secrets", "storage", "stage")


def asks(
    verb: str, resource: str, name: str = "", namespace: str = "web", *, user: User = NODE, fields: str = ""
) -> Attributes:
    """`resource` as `plural/subresource.group`."""
    place, _, group = resource.partition(".")
    plural, _, subresource = place.partition("/")
    return Attributes(user, verb, "", group, "v1", plural, subresource, namespace, name, fields)


LEASE = "leases.coordination.k8s.io"
CSI_NODE = "csinodes.storage.k8s.io"
SLICE = "resourceslices.resource.k8s.io"


@pytest.mark.parametrize(
    ("question", "refusal"),
    [
        (asks("get", "secrets", "pull"), None),
        (asks("watch", "secrets", "pull"), None),
        (asks("get", "secrets", "other"), UNRELATED),
        (asks("list", "secrets"), "No Object name found"),
        (asks("list", "secrets", namespace=""), "can only read namespaced object of this type"),
        (asks("update", "secrets", "pull"), "can only read resources of this type"),
        (asks("get", "configmaps/status", "env"), "cannot read subresource"),
        (asks("get", "configmaps", "env"), None),
        (asks("get", "persistentvolumeclaims", "claim"), None),
        (asks("list", "persistentvolumeclaims"), "can only get individual resources of this type"),
        (asks("patch", "persistentvolumeclaims/status", "claim"), None),
        (asks("get", "persistentvolumeclaims/status", "claim"), "can only get/update/patch this type"),
        (asks("get", "persistentvolumes", "v", ""), UNRELATED),
        (asks("get", "resourceclaims.resource.k8s.io", "made"), None),
        (asks("get", "resourceclaims/status.resource.k8s.io", "made"), "cannot get subresource"),
        (asks("get", "volumeattachments.storage.k8s.io", "mine", ""), None),
        (asks("get", "volumeattachments.storage.k8s.io", "theirs", ""), UNRELATED),
        (asks("create", "serviceaccounts/token", "account"), None),
        (asks("create", "serviceaccounts/token", "other"), UNRELATED),
        (asks("create", "serviceaccounts", "account"), "can only create token subresource of serviceaccount"),
        (asks("list", "serviceaccounts"), "can only create tokens for individual service accounts"),
        (asks("get", "serviceaccounts", "account"), None),
        (asks("create", LEASE, namespace="kube-node-lease"), None),
        (asks("update", LEASE, "n1", "kube-node-lease"), None),
        (
            asks("update", LEASE, "n2", "kube-node-lease"),
            "can only access node lease with the same name as the requesting node",
        ),
        (asks("update", LEASE, "n1"), 'can only access leases in the "kube-node-lease" system namespace'),
        (asks("list", LEASE), "can only get, create, update, patch, or delete a node lease"),
        (asks("patch", CSI_NODE, "n1", ""), None),
        (asks("patch", CSI_NODE, "n2", ""), "can only access CSINode with the same name as the requesting node"),
        (asks("list", CSI_NODE, "", ""), "can only get, create, update, patch, or delete a CSINode"),
        (asks("create", SLICE, "", ""), None),
        (asks("get", SLICE, "mine", ""), None),
        (asks("get", SLICE, "theirs", ""), UNRELATED),
        (asks("list", SLICE, "", "", fields="spec.nodeName=n1"), None),
        (
            asks("list", SLICE, "", "", fields="spec.nodeName=n2"),
            "can only list/watch/deletecollection resourceslices with nodeName field selector",
        ),
        (asks("get", "nodes", "n1", ""), None),
        (asks("get", "nodes", "n2", ""), "node 'n1' cannot read 'n2', only its own Node object"),
        (asks("list", "nodes", "", ""), "node 'n1' cannot read all nodes, only its own Node object"),
        (asks("create", "nodes", "", ""), None),
        (asks("patch", "nodes/status", "n1", ""), None),
        (asks("delete", "nodes", "n1", ""), ""),
        (asks("get", "pods", "p"), None),
        (asks("get", "pods", "far"), UNRELATED),
        (asks("list", "pods", "", "", fields="spec.nodeName=n1,status.phase=Running"), None),
        (
            asks("list", "pods", "", "", fields="spec.nodeName!=n1"),
            "can only list/watch pods with spec.nodeName field selector",
        ),
        (
            asks("list", "pods", "", "", fields="spec.nodeName"),
            "can only list/watch pods with spec.nodeName field selector",
        ),
        (asks("watch", "pods", "p"), None),
        (asks("create", "pods"), None),
        (asks("update", "pods", "p"), ""),
        (asks("update", "pods/status", "p"), None),
        (asks("create", "pods/eviction", "p"), None),
        (asks("create", "pods/exec", "p"), ""),
        (asks("list", "services", "", ""), None),
        (asks("delete", "services", "x"), ""),
        (asks("create", "events"), None),
        (asks("get", "podcertificaterequests.certificates.k8s.io", "x"), ""),
        (Attributes(NODE, "get", "/healthz"), ""),
        (asks("get", "secrets", "pull", user=User("jane")), ""),
        (asks("get", "secrets", "pull", user=User("system:node:n1")), ""),
        (
            asks("get", "secrets", "pull", user=User("system:node:", ("system:nodes",))),
            'unknown node for user "system:node:"',
        ),
    ],
)
async def test_what_a_node_may(question: Attributes, refusal: str | None) -> None:
    api = MemoryApi(
        (PODS, EVERYTHING),
        (PODS, pod("far", "n2")),
        (ATTACHMENTS, {"metadata": {"name": "mine"}, "spec": {"nodeName": "n1"}}),
        (ATTACHMENTS, {"metadata": {"name": "theirs"}, "spec": {"nodeName": "n2"}}),
        (SLICES, {"metadata": {"name": "mine"}, "spec": {"nodeName": "n1"}}),
        (SLICES, {"metadata": {"name": "theirs"}, "spec": {"nodeName": "n2"}}),
    )
    decision = await NodeAuthorizer(NodeGraph(api)).authorize(question)
    if refusal is None:
        assert decision.verdict is Verdict.ALLOW, decision
    else:
        assert decision.verdict is Verdict.NO_OPINION
        assert decision.reason == refusal


def test_its_rules_cannot_be_told() -> None:
    authorizer = NodeAuthorizer(NodeGraph(MemoryApi()))
    assert authorizer.rules_for(NODE, "web").incomplete
    assert authorizer.rules_for(User("jane"), "web").error == ""
