"""What a node may write, seen in the objects."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from ropewalk.kube.machinery.access import Decision, Verdict
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.requests import Attributes, Call, User
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.security.node_restriction import (
    ACCOUNTS,
    CLAIMS,
    CSI_DRIVERS,
    CSI_NODES,
    LEASES,
    NODES,
    PODS,
    REQUESTS,
    SLICES,
    VOLUMES,
    NodeRestriction,
)
from support.kube_api import MemoryApi

Object = dict[str, Any]
NODE = User("system:node:n1", ("system:nodes",))
OWNER = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "node-uid", "controller": True}


class Allows:
    def __init__(self, audience: str = "") -> None:
        self.audience = audience

    async def authorize(self, attributes: Attributes) -> Decision:
        assert attributes.verb == "request-serviceaccounts-token-audience"
        good = attributes.resource == self.audience and attributes.name == "robot"
        return Decision(Verdict.ALLOW if good else Verdict.NO_OPINION)


def common_name(request: bytes) -> str:
    if request == b"broken":
        raise ValueError("no request")
    return request.decode()


def pod(name: str = "p", node: str = "n1", uid: str = "pod-uid", **spec: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "web", "uid": uid}, "spec": {"nodeName": node, **spec}}


def mirror(owner: Object | None = None, owners: list[Object] | None = None, **spec: Any) -> Object:
    references = owners if owners is not None else [OWNER | (owner or {})]
    meta = {"name": "m", "annotations": {"kubernetes.io/config.mirror": "x"}, "ownerReferences": references}
    return {"metadata": meta, "spec": {"nodeName": "n1", **spec}}


async def refusal(
    resource: GroupResource,
    operation: str,
    new: Object | None = None,
    old: Object | None = None,
    *,
    name: str = "",
    namespace: str = "web",
    subresource: str = "",
    user: User = NODE,
    audience: str = "",
    pods: tuple[Object, ...] = (),
) -> str:
    api = MemoryApi(
        (NODES, {"metadata": {"name": "n1", "uid": "node-uid"}}),
        (PODS, pod("far", "n2", "far-uid")),
        (CLAIMS, {"metadata": {"name": "claim", "namespace": "web"}, "spec": {"volumeName": "volume"}}),
        (VOLUMES, {"metadata": {"name": "volume"}, "spec": {"csi": {"driver": "driver"}}}),
        (CSI_DRIVERS, {"metadata": {"name": "driver"}, "spec": {"tokenRequests": [{"audience": "vault"}]}}),
        *((PODS, each) for each in pods or (pod(),)),
    )
    info = api.info(resource)
    assert info is not None
    plugin = NodeRestriction(api, Allows(audience), common_name)
    call = Call(user, Attributes(user, operation.lower(), "", resource.group, "v1", resource.resource))
    admission = Admission(call, operation, info, subresource, namespace, name, new, old, {}, info.gvk)
    try:
        await plugin.mutate(admission)
    except StatusFault as fault:
        told = fault.message
        return told.partition(" is forbidden: ")[2] or told
    return ""


def test_it_is_concerned_with_few_resources() -> None:
    api = MemoryApi()
    plugin = NodeRestriction(api, Allows(), common_name)
    pods, services = api.info(PODS), api.info(GroupResource("", "services"))
    assert pods is not None and services is not None
    assert plugin.concerns(pods, "status", "UPDATE") == (True, False)
    assert plugin.concerns(pods, "exec", "CONNECT") == (False, False)
    assert plugin.concerns(services, "", "CREATE") == (False, False)


async def test_others_are_not_restricted() -> None:
    assert await refusal(NODES, "DELETE", name="n1", user=User("jane")) == ""
    assert await refusal(NODES, "DELETE", name="n1", user=User("system:node:", ("system:nodes",))) == (
        'could not determine node from user "system:node:"'
    )


ONLY_OWNED = 'node "n1" can only create pods with an owner reference set to itself'


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (mirror(), ""),
        (mirror(volumes=[{"name": "v", "hostPath": {"path": "/x"}}]), ""),
        (
            pod(),
            'pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods',
        ),
        (mirror(nodeName="n2"), 'node "n1" can only create pods with spec.nodeName set to itself'),
        (mirror(owners=[]), ONLY_OWNED),
        (
            mirror(owners=[OWNER, OWNER]),
            'node "n1" can only create pods with a single owner reference set to itself',
        ),
        (mirror({"name": "n2"}), ONLY_OWNED),
        (mirror({"kind": "Pod"}), ONLY_OWNED),
        (
            mirror({"controller": False}),
            'node "n1" can only create pods with a controller owner reference set to itself',
        ),
        (mirror({"blockOwnerDeletion": True}), 'node "n1" must not set blockOwnerDeletion on an owner reference'),
        (mirror({"uid": "stale"}), "node n1 UID mismatch: expected stale got node-uid"),
        (mirror(serviceAccountName="x"), 'node "n1" can not create pods that reference serviceaccounts'),
        (mirror(imagePullSecrets=[{"name": "x"}]), 'node "n1" can not create pods that reference secrets'),
        (
            mirror(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]),
            'node "n1" can not create pods that reference persistentvolumeclaims',
        ),
        (
            mirror(volumes=[{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]),
            'node "n1" can not create pods that reference serviceaccounts (via projected volumes)',
        ),
        (
            mirror(volumes=[{"name": "v", "csi": {"driver": "d"}}]),
            'node "n1" can not create pods that reference csidrivers (via CSI volumes)',
        ),
    ],
)
async def test_a_node_makes_mirror_pods_of_its_own(made: Object, told: str) -> None:
    assert await refusal(PODS, "CREATE", made, name="m") == told


async def test_other_operations_on_pods() -> None:
    assert await refusal(PODS, "DELETE", name="p") == ""
    assert await refusal(PODS, "DELETE", name="gone") == 'pods "gone" not found'
    assert await refusal(PODS, "DELETE", name="far") == (
        'node "n1" can only delete pods with spec.nodeName set to itself'
    )
    assert (await refusal(PODS, "UPDATE", pod(), pod(), name="p")).startswith('unexpected operation "UPDATE"')
    assert await refusal(PODS, "CREATE", {}, name="p", subresource="eviction") == ""
    assert await refusal(PODS, "CREATE", {"metadata": {"name": "far"}}, subresource="eviction") == (
        "node n1 can only evict pods with spec.nodeName set to itself"
    )
    assert await refusal(PODS, "CREATE", {}, name="p", subresource="binding") == (
        "unexpected pod subresource \"binding\", only 'status' and 'eviction' are allowed"
    )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (pod(), pod() | {"status": {"phase": "Running"}}, ""),
        (
            pod(node="n2"),
            pod(node="n2"),
            'node "n1" can only update pod status for pods with spec.nodeName set to itself',
        ),
        (
            pod(),
            {**pod(), "metadata": {"name": "p", "labels": {"a": "b"}}},
            'node "n1" cannot update labels through pod status',
        ),
        (
            pod(),
            pod() | {"status": {"resourceClaimStatuses": [{"name": "a", "resourceClaimName": "x"}]}},
            'node "n1" cannot update resource claim statues',
        ),
    ],
)
async def test_the_status_of_pods(old: Object, new: Object, told: str) -> None:
    assert await refusal(PODS, "UPDATE", new, old, name="p", subresource="status") == told


def node(labels: dict[str, str] | None = None, name: str = "n1", **spec: Any) -> Object:
    return {"metadata": {"name": name, **({"labels": labels} if labels else {})}, "spec": spec}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (None, node({"kubernetes.io/hostname": "n1", "node.kubernetes.io/x": "y", "mine": "z"}), ""),
        (None, node(name="n2"), 'node "n1" is not allowed to modify node "n2"'),
        (
            None,
            node({"node-restriction.kubernetes.io/a": "1", "x.k8s.io/b": "2", "kubernetes.io/os": "linux"}),
            'node "n1" is not allowed to set the following labels: node-restriction.kubernetes.io/a, x.k8s.io/b',
        ),
        (
            None,
            node(configSource={"configMap": {}}),
            'node "n1" is not allowed to create pods with a non-nil configSource',
        ),
        (node(), node({"example.com/a": "b"}), ""),
        (
            node({"a.node-restriction.kubernetes.io/x": "1"}),
            node(),
            "is not allowed to modify labels: a.node-restriction.kubernetes.io/x",
        ),
        (
            node({"kubernetes.io/role": "1"}),
            node({"kubernetes.io/role": "2"}),
            "is not allowed to modify labels: kubernetes.io/role",
        ),
        (node(), node(taints=[{"key": "a"}]), 'node "n1" is not allowed to modify taints'),
        (
            node(),
            {"metadata": {"name": "n1", "ownerReferences": [OWNER]}, "spec": {}},
            'node "n1" is not allowed to modify ownerReferences',
        ),
        (
            node(),
            node(configSource={"configMap": {}}),
            'node "n1" is not allowed to update configSource to a new non-nil configSource',
        ),
    ],
)
async def test_a_node_and_itself(old: Object | None, new: Object, told: str) -> None:
    operation = "CREATE" if old is None else "UPDATE"
    assert await refusal(NODES, operation, new, old, name=new["metadata"]["name"], namespace="") == told


async def test_claims_may_only_grow() -> None:
    old = {"metadata": {"name": "c", "resourceVersion": "1"}, "spec": {}, "status": {"phase": "Bound"}}
    grown = {**old, "metadata": {"name": "c"}, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
    assert await refusal(CLAIMS, "UPDATE", grown, old, name="c", subresource="status") == ""
    lost = {**old, "status": {"phase": "Lost"}}
    told = await refusal(CLAIMS, "UPDATE", lost, old, name="c", subresource="status")
    assert told.startswith('node "n1" is not allowed to update fields other than status.quantity and status.conditions')
    assert "Lost" in told
    assert await refusal(CLAIMS, "UPDATE", old, old, name="c") == "may only update PVC status"


def token_request(*audiences: str, **bound: Any) -> Object:
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "pod-uid"} | bound
    return {"spec": {"boundObjectRef": reference, **({"audiences": list(audiences)} if audiences else {})}}


def with_token(audience: str = "") -> Object:
    source = {"serviceAccountToken": {"path": "token", **({"audience": audience} if audience else {})}}
    return pod(volumes=[{"name": "v", "projected": {"sources": [source]}}])


UNMENTIONED = (
    'audience "vault" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this'
    " audience"
)


@pytest.mark.parametrize(
    ("request_", "present", "allowed", "told"),
    [
        (token_request(), with_token(), "", ""),
        (token_request("vault"), with_token("vault"), "", ""),
        (token_request("vault"), with_token(), "", UNMENTIONED),
        (token_request("vault"), with_token(), "vault", ""),
        (token_request("a", "b"), with_token(), "", "node may only request 0 or 1 audiences"),
        (token_request("vault"), pod(volumes=[{"name": "v", "csi": {"driver": "driver"}}]), "", ""),
        (
            token_request("vault"),
            pod(volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "claim"}}]),
            "",
            "",
        ),
        ({"spec": {}}, pod(), "", "node requested token not bound to a pod"),
        (token_request(kind="Secret"), pod(), "", "node requested token not bound to a pod"),
        (token_request(uid=""), pod(), "", "node requested token with a pod binding without a uid"),
        (
            token_request(uid="old"),
            pod(),
            "",
            "the UID in the bound object reference (old) does not match the UID in record. The object might have been"
            " deleted and then recreated",
        ),
        (
            token_request(name="far", uid="far-uid"),
            pod(),
            "",
            "node requested token bound to a pod scheduled on a different node",
        ),
    ],
)
async def test_tokens_are_for_pods_of_the_node(request_: Object, present: Object, allowed: str, told: str) -> None:
    found = await refusal(
        ACCOUNTS, "CREATE", request_, name="robot", subresource="token", audience=allowed, pods=(present,)
    )
    assert found == told


async def test_leases_csi_nodes_and_slices() -> None:
    own, other = {"metadata": {"name": "n1"}}, {"metadata": {"name": "n2"}}
    assert await refusal(LEASES, "CREATE", own, namespace="kube-node-lease") == ""
    assert await refusal(LEASES, "CREATE", other, namespace="kube-node-lease") == (
        "can only access node lease with the same name as the requesting node"
    )
    assert await refusal(LEASES, "UPDATE", own, own, name="n1") == (
        'can only access leases in the "kube-node-lease" system namespace'
    )
    assert await refusal(CSI_NODES, "UPDATE", own, own, name="n1") == ""
    assert await refusal(CSI_NODES, "DELETE", None, other, name="n2") == (
        "can only access CSINode with the same name as the requesting node"
    )
    mine, theirs = {"spec": {"nodeName": "n1"}}, {"spec": {"nodeName": "n2"}}
    assert await refusal(SLICES, "CREATE", mine) == ""
    assert await refusal(SLICES, "UPDATE", theirs, theirs) == ""
    assert await refusal(SLICES, "DELETE", None, theirs) == (
        "can only delete ResourceSlice with the same NodeName as the requesting node"
    )


@pytest.mark.parametrize(
    ("signer", "body", "told"),
    [
        ("kubernetes.io/kubelet-serving", b"system:node:n1", ""),
        ("kubernetes.io/kubelet-serving", b"system:node:n2", "can only create a node CSR with CN=system:node:n1"),
        ("kubernetes.io/kube-apiserver-client-kubelet", b"broken", "unable to parse csr: no request"),
        ("example.com/signer", b"anything", ""),
    ],
)
async def test_certificate_requests(signer: str, body: bytes, told: str) -> None:
    request = {"spec": {"signerName": signer, "request": b64encode(body).decode()}}
    assert await refusal(REQUESTS, "CREATE", request, namespace="") == told
