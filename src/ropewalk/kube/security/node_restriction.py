"""NodeRestriction: a node writes its own things only. What `NodeAuthorizer` cannot see, since it is inside the objects.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from typing import ClassVar

from ropewalk.kube.kinds.go_spelling import difference
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.access import Authorizer, Verdict
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.api import Api, ObjectCache
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.json_text import quoted
from ropewalk.kube.machinery.objects import Object, annotations_of, at, copied, labels_of, metadata, uid_of
from ropewalk.kube.machinery.requests import Attributes
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo
from ropewalk.kube.security.node_authorizer import LEASES_NAMESPACE
from ropewalk.kube.security.pod_references import MIRROR, api_object, ephemeral_claim
from ropewalk.kube.security.users import node_of

PODS, NODES = GroupResource("", "pods"), GroupResource("", "nodes")
CLAIMS, VOLUMES = GroupResource("", "persistentvolumeclaims"), GroupResource("", "persistentvolumes")
ACCOUNTS = GroupResource("", "serviceaccounts")
LEASES = GroupResource("coordination.k8s.io", "leases")
CSI_NODES, CSI_DRIVERS = GroupResource("storage.k8s.io", "csinodes"), GroupResource("storage.k8s.io", "csidrivers")
SLICES = GroupResource("resource.k8s.io", "resourceslices")
REQUESTS = GroupResource("certificates.k8s.io", "certificatesigningrequests")
_RESOURCES = frozenset((PODS, NODES, CLAIMS, ACCOUNTS, LEASES, CSI_NODES, SLICES, REQUESTS))

_OWN_LABELS = frozenset(
    (
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
    )
)
"""Of Kubernetes' own labels those that a node may set on itself."""
_NODE_SIGNERS = frozenset(("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"))

CommonName = Callable[[bytes], str]
"""A certificate request in PEM → the common name it asks for. Raises `ValueError`."""


class NodeRestriction:
    """An `AdmissionPlugin`."""

    name: ClassVar[str] = "NodeRestriction"

    def __init__(self, api: Api, authorizer: Authorizer, common_name: CommonName) -> None:
        """`authorizer` is asked whether a node may have tokens for an audience that its pod does not mention."""
        self._api = api
        self._authorizer = authorizer
        self._common_name = common_name

    def concerns(self, info: ResourceInfo, subresource: str, operation: str) -> tuple[bool, bool]:
        return info.group_resource in _RESOURCES and operation in ("CREATE", "UPDATE", "DELETE"), False

    async def validate(self, admission: Admission) -> None: ...

    async def mutate(self, admission: Admission) -> None:
        """Changes nothing: kube-apiserver, too, refuses this early."""
        node = node_of(admission.user)
        if node is None or admission.operation == "CONNECT":
            return
        if not node:
            raise _refused(admission, f"could not determine node from user {quoted(admission.user.name)}")
        resource = admission.info.group_resource
        if resource == PODS:
            await self._pod(node, admission)
        elif resource == NODES:
            _node(node, admission)
        elif resource == CLAIMS:
            _claim(node, admission)
        elif resource == ACCOUNTS:
            await self._account(node, admission)
        elif resource == LEASES:
            _lease(node, admission)
        elif resource == CSI_NODES:
            _own(node, admission, "can only access CSINode with the same name as the requesting node")
        elif resource == SLICES:
            _slice(node, admission)
        elif resource == REQUESTS:
            self._request(node, admission)

    # --- pods

    async def _pod(self, node: str, admission: Admission) -> None:
        match admission.subresource:
            case "":
                await self._whole_pod(node, admission)
            case "status":
                _pod_status(node, admission)
            case "eviction":
                if admission.operation != "CREATE":
                    raise _refused(admission, f"unexpected operation {admission.operation}")
                name = admission.name or str(at(admission.object, "metadata", "name") or "")
                if not name:
                    raise _refused(admission, "could not determine pod from request data")
                pod = await self._object(PODS, admission.namespace, name)
                if at(pod, "spec", "nodeName") != node:
                    raise _refused(admission, f"node {node} can only evict pods with spec.nodeName set to itself")
            case _:
                raise _refused(
                    admission,
                    f"unexpected pod subresource {quoted(admission.subresource)}, only 'status' and 'eviction' are"
                    " allowed",
                )

    async def _whole_pod(self, node: str, admission: Admission) -> None:
        told = quoted(node)
        match admission.operation:
            case "CREATE":
                await self._created_pod(node, admission)
            case "DELETE":
                pod = await self._object(PODS, admission.namespace, admission.name)
                if at(pod, "spec", "nodeName") != node:
                    raise _refused(admission, f"node {told} can only delete pods with spec.nodeName set to itself")
            case _:
                raise _refused(
                    admission,
                    f"unexpected operation {quoted(admission.operation)}, node {told} can only create and delete mirror"
                    " pods",
                )

    async def _created_pod(self, node: str, admission: Admission) -> None:
        pod, told = admission.object or {}, quoted(node)
        if MIRROR not in annotations_of(pod):
            raise _refused(
                admission, f"pod does not have {quoted(MIRROR)} annotation, node {told} can only create mirror pods"
            )
        if at(pod, "spec", "nodeName") != node:
            raise _refused(admission, f"node {told} can only create pods with spec.nodeName set to itself")
        owners = metadata(pod).get("ownerReferences") or []
        if len(owners) > 1:
            raise _refused(admission, f"node {told} can only create pods with a single owner reference set to itself")
        owner = owners[0] if owners else {}
        if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
            raise _refused(admission, f"node {told} can only create pods with an owner reference set to itself")
        if not owner.get("controller"):
            raise _refused(
                admission, f"node {told} can only create pods with a controller owner reference set to itself"
            )
        if owner.get("blockOwnerDeletion"):
            raise _refused(admission, f"node {told} must not set blockOwnerDeletion on an owner reference")
        known = uid_of(await self._object(NODES, "", node))
        if owner.get("uid", "") != known:
            raise _refused(admission, f"node {node} UID mismatch: expected {owner.get('uid', '')} got {known}")
        mentioned = api_object(pod)
        if mentioned:
            raise _refused(admission, f"node {told} can not create pods that reference {mentioned}")

    # --- tokens

    async def _account(self, node: str, admission: Admission) -> None:
        if admission.operation != "CREATE" or admission.subresource != "token":
            return
        request = admission.object or {}
        bound = at(request, "spec", "boundObjectRef") or {}
        if (bound.get("apiVersion"), bound.get("kind")) != ("v1", "Pod") or not bound.get("name"):
            raise _refused(admission, "node requested token not bound to a pod")
        uid = bound.get("uid", "")
        if not uid:
            raise _refused(admission, "node requested token with a pod binding without a uid")
        pod = await self._object(PODS, admission.namespace, bound["name"])
        if uid != uid_of(pod):
            raise _refused(
                admission,
                f"the UID in the bound object reference ({uid}) does not match the UID in record. The object might have"
                " been deleted and then recreated",
            )
        if at(pod, "spec", "nodeName") != node:
            raise _refused(admission, "node requested token bound to a pod scheduled on a different node")
        await self._audience(admission, pod, at(request, "spec", "audiences") or [])

    async def _audience(self, admission: Admission, pod: Object, audiences: list[str]) -> None:
        """A node gets tokens for whom its pod talks to."""
        if len(audiences) > 1:
            raise _refused(admission, "node may only request 0 or 1 audiences")
        audience = audiences[0] if audiences else ""
        if await self._mentions(pod, audience):
            return
        asked = Attributes(
            admission.user,
            "request-serviceaccounts-token-audience",
            "",
            "",
            "v1",
            audience,
            namespace=admission.namespace,
            name=admission.name,
        )
        if not audience or (await self._authorizer.authorize(asked)).verdict is not Verdict.ALLOW:
            raise _refused(
                admission,
                f"audience {quoted(audience)} not found in pod spec volume, {admission.user.name} is not authorized to"
                " request tokens for this audience",
            )

    async def _mentions(self, pod: Object, audience: str) -> bool:
        for volume in at(pod, "spec", "volumes") or ():
            for source in at(volume, "projected", "sources") or ():
                token = source.get("serviceAccountToken")
                if token is not None and token.get("audience", "") == audience:
                    return True
            driver = await self._driver(pod, volume)
            requests = at(driver, "spec", "tokenRequests") or ()
            if any(request.get("audience", "") == audience for request in requests):
                return True
        return False

    async def _driver(self, pod: Object, volume: Object) -> Object | None:
        """The CSIDriver behind a volume."""
        name = at(volume, "csi", "driver")
        claim = at(volume, "persistentVolumeClaim", "claimName")
        if at(volume, "ephemeral", "volumeClaimTemplate") is not None:
            claim = ephemeral_claim(pod, volume)
        if claim:
            held = (await self._cache(CLAIMS)).get(str(metadata(pod).get("namespace", "")), claim)
            bound = (await self._cache(VOLUMES)).get("", at(held, "spec", "volumeName") or "")
            name = at(bound, "spec", "csi", "driver")
        return (await self._cache(CSI_DRIVERS)).get("", name) if name else None

    # --- certificates

    def _request(self, node: str, admission: Admission) -> None:
        request = admission.object or {}
        if admission.operation != "CREATE" or at(request, "spec", "signerName") not in _NODE_SIGNERS:
            return
        try:
            common_name = self._common_name(b64decode(at(request, "spec", "request") or ""))
        except ValueError as error:
            raise _refused(admission, f"unable to parse csr: {error}") from None
        if common_name != f"system:node:{node}":
            raise _refused(admission, f"can only create a node CSR with CN=system:node:{node}")

    async def _object(self, resource: GroupResource, namespace: str, name: str) -> Object:
        found = (await self._cache(resource)).get(namespace, name)
        if found is None:
            raise errors.not_found(resource.resource, resource.group, name)
        return found

    async def _cache(self, resource: GroupResource) -> ObjectCache:
        cache = self._api.cache(resource)
        if not cache.is_synced:
            await cache.synced()
        return cache


def _refused(admission: Admission, why: str) -> StatusFault:
    given = at(admission.object, "metadata") or {}
    name = admission.name or given.get("name") or given.get("generateName") or "Unknown"
    return errors.forbidden(admission.info.plural, admission.info.group, name, why)


# --- what is judged by itself


def _pod_status(node: str, admission: Admission) -> None:
    told = quoted(node)
    if admission.operation != "UPDATE":
        raise _refused(admission, f"unexpected operation {quoted(admission.operation)}")
    old, new = admission.old or {}, admission.object or {}
    if at(old, "spec", "nodeName") != node:
        raise _refused(admission, f"node {told} can only update pod status for pods with spec.nodeName set to itself")
    if labels_of(old) != labels_of(new):
        raise _refused(admission, f"node {told} cannot update labels through pod status")
    if (at(old, "status", "resourceClaimStatuses") or []) != (at(new, "status", "resourceClaimStatuses") or []):
        raise _refused(admission, f"node {told} cannot update resource claim statues")
    if at(old, "status", "extendedResourceClaimStatus") != at(new, "status", "extendedResourceClaimStatus"):
        raise _refused(admission, f"node {told} cannot update extended resource claim status")


def _claim(node: str, admission: Admission) -> None:
    if admission.subresource != "status":
        raise _refused(admission, "may only update PVC status")
    if admission.operation != "UPDATE":
        raise _refused(admission, f"unexpected operation {quoted(admission.operation)}")
    old, new = _unjudged(admission.old or {}), _unjudged(admission.object or {})
    if old != new:
        told = difference(old, new, "core.v1.PersistentVolumeClaim")
        raise _refused(
            admission,
            f"node {quoted(node)} is not allowed to update fields other than status.quantity and status.conditions:"
            f" {told}",
        )


def _unjudged(claim: Object) -> Object:
    """A claim without what a node may change."""
    rest: Object = copied(claim)
    for key in ("resourceVersion", "managedFields"):
        rest.get("metadata", {}).pop(key, None)
    status = rest.pop("status", None) or {}
    for key in ("capacity", "conditions", "allocatedResources", "allocatedResourceStatuses"):
        status.pop(key, None)
    if status:
        rest["status"] = status
    return rest


def _node(node: str, admission: Admission) -> None:
    told = quoted(node)
    old, new = admission.old or {}, admission.object or {}
    name = admission.name or str(metadata(new).get("name", ""))
    if name != node:
        raise _refused(admission, f"node {told} is not allowed to modify node {quoted(name)}")
    source = at(new, "spec", "configSource")
    if admission.operation == "CREATE":
        if source is not None:
            raise _refused(admission, f"node {told} is not allowed to create pods with a non-nil configSource")
        taken = _taken_labels(labels_of(new), {})
        if taken:
            raise _refused(admission, f"node {told} is not allowed to set the following labels: {', '.join(taken)}")
    elif admission.operation == "UPDATE":
        if source is not None and source != at(old, "spec", "configSource"):
            raise _refused(
                admission, f"node {told} is not allowed to update configSource to a new non-nil configSource"
            )
        if (at(new, "spec", "taints") or []) != (at(old, "spec", "taints") or []):
            raise _refused(admission, f"node {told} is not allowed to modify taints")
        if (metadata(new).get("ownerReferences") or []) != (metadata(old).get("ownerReferences") or []):
            raise _refused(admission, f"node {told} is not allowed to modify ownerReferences")
        taken = _taken_labels(labels_of(new), labels_of(old))
        if taken:
            raise _refused(admission, f"is not allowed to modify labels: {', '.join(taken)}")


def _taken_labels(new: dict[str, str], old: dict[str, str]) -> list[str]:
    """Labels that changed and that are not a node's to change."""
    changed = (key for key in new.keys() | old.keys() if new.get(key) != old.get(key))
    return sorted(key for key in changed if not _is_own_label(key))


def _is_own_label(key: str) -> bool:
    prefix = key.partition("/")[0] if "/" in key else ""
    if _is_under(prefix, "node-restriction.kubernetes.io"):
        return False
    if not (_is_under(prefix, "kubernetes.io") or _is_under(prefix, "k8s.io")):
        return True
    return key in _OWN_LABELS or _is_under(prefix, "kubelet.kubernetes.io") or _is_under(prefix, "node.kubernetes.io")


def _is_under(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")


def _own(node: str, admission: Admission, why: str) -> None:
    name = str(at(admission.object, "metadata", "name") or "") if admission.operation == "CREATE" else admission.name
    if name != node:
        raise _refused(admission, why)


def _lease(node: str, admission: Admission) -> None:
    if admission.namespace != LEASES_NAMESPACE:
        raise _refused(admission, f'can only access leases in the "{LEASES_NAMESPACE}" system namespace')
    _own(node, admission, "can only access node lease with the same name as the requesting node")


def _slice(node: str, admission: Admission) -> None:
    verb = {"CREATE": "create", "DELETE": "delete"}.get(admission.operation)
    judged = admission.object if admission.operation == "CREATE" else admission.old
    if verb is not None and at(judged, "spec", "nodeName") != node:
        raise _refused(admission, f"can only {verb} ResourceSlice with the same NodeName as the requesting node")
