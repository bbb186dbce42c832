"""What the tests of admission share: an API of dictionaries, and requests against it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.access import Decision, Verdict
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.objects import Object, at, copied, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.requests import Attributes, Call, User
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo

KINDS = {
    "Namespace": ResourceInfo("", "v1", "Namespace", "namespaces", "namespace", False),
    "Pod": ResourceInfo("", "v1", "Pod", "pods", "pod", True),
    "Node": ResourceInfo("", "v1", "Node", "nodes", "node", False),
    "Service": ResourceInfo("", "v1", "Service", "services", "service", True),
    "ConfigMap": ResourceInfo("", "v1", "ConfigMap", "configmaps", "configmap", True),
    "ServiceAccount": ResourceInfo("", "v1", "ServiceAccount", "serviceaccounts", "serviceaccount", True),
    "LimitRange": ResourceInfo("", "v1", "LimitRange", "limitranges", "limitrange", True),
    "ResourceQuota": ResourceInfo("", "v1", "ResourceQuota", "resourcequotas", "resourcequota", True),
    "PersistentVolumeClaim": ResourceInfo("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", "", True),
    "Deployment": ResourceInfo("apps", "v1", "Deployment", "deployments", "deployment", True),
    "PriorityClass": ResourceInfo("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", "", False),
    "RuntimeClass": ResourceInfo("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", "", False),
    "StorageClass": ResourceInfo("storage.k8s.io", "v1", "StorageClass", "storageclasses", "", False),
    "Ingress": ResourceInfo("networking.k8s.io", "v1", "Ingress", "ingresses", "", True),
    "IngressClass": ResourceInfo("networking.k8s.io", "v1", "IngressClass", "ingressclasses", "", False),
    "CertificateSigningRequest": ResourceInfo(
        "certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", "", False
    ),
}
for _kind, _plural in (
    ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
    ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
    ("ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
    ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"),
    ("MutatingAdmissionPolicy", "mutatingadmissionpolicies"),
    ("MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings"),
):
    KINDS[_kind] = ResourceInfo("admissionregistration.k8s.io", "v1", _kind, _plural, "", False)


class Cache:
    is_synced = True

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self.indices: dict[str, Callable[[Object], Iterable[str]]] = {}

    async def synced(self) -> None: ...

    def get(self, namespace: str, name: str) -> Object | None:
        return self.objects.get((namespace, name))

    def all(self, namespace: str | None = None) -> list[Object]:
        return [obj for key, obj in sorted(self.objects.items()) if namespace in (None, key[0])]

    def index(self, name: str, keys: Callable[[Object], Iterable[str]]) -> None:
        self.indices[name] = keys

    def by_index(self, name: str, key: str) -> list[Object]:
        return [obj for obj in self.all() if key in self.indices[name](obj)]


class DictionaryApi:
    """As much of the `Api` as admission asks for. Versions count up with every write; others are refused."""

    def __init__(self) -> None:
        self.caches: dict[GroupResource, Cache] = {}
        self.version = 0
        self.stale_updates = 0
        """How many updates meet somebody else's write first."""

    def add(self, kind: str, name: str, namespace: str = "", **parts: Any) -> Object:
        info = KINDS[kind]
        self.version += 1
        about = {"name": name, "uid": f"uid-{name}", "resourceVersion": str(self.version)}
        about.update(parts.pop("metadata", {}))
        if namespace:
            about["namespace"] = namespace
        obj = {"apiVersion": info.api_version, "kind": kind, "metadata": about, **parts}
        self.cache(info.group_resource).objects[namespace, name] = obj
        return obj

    def cache(self, resource: GroupResource) -> Cache:
        return self.caches.setdefault(resource, Cache())

    def infos(self) -> list[ResourceInfo]:
        return list(KINDS.values())

    async def get(self, resource: GroupResource, namespace: str, name: str) -> Object:
        found = self.cache(resource).get(namespace, name)
        if found is None:
            raise errors.not_found(resource.resource, resource.group, name)
        return found

    async def update(self, resource: GroupResource, obj: Object, *, subresource: str = "") -> Object:
        cache = self.cache(resource)
        key = (namespace_of(obj), name_of(obj))
        self.version += 1
        if self.stale_updates:
            self.stale_updates -= 1
            cache.objects[key] = copied(cache.objects[key])
            cache.objects[key]["metadata"]["resourceVersion"] = str(self.version)
        if at(cache.objects[key], "metadata", "resourceVersion") != at(obj, "metadata", "resourceVersion"):
            raise errors.conflict(resource.resource, resource.group, name_of(obj), errors.OBJECT_MODIFIED)
        assert uid_of(cache.objects[key]) == uid_of(obj)
        written = copied(obj)
        written["metadata"]["resourceVersion"] = str(self.version)
        cache.objects[key] = written
        return written


class Allowing:
    """Allows what is asked for by (verb, resource, name)."""

    def __init__(self, *allowed: tuple[str, str, str]) -> None:
        self.allowed = set(allowed)
        self.asked: list[Attributes] = []

    async def authorize(self, attributes: Attributes) -> Decision:
        self.asked.append(attributes)
        known = (attributes.verb, attributes.resource, attributes.name) in self.allowed
        return Decision(Verdict.ALLOW, "by rule") if known else Decision(Verdict.NO_OPINION)


def _request(
    kind: str,
    obj: Object | None,
    *,
    old: Object | None = None,
    operation: str = "",
    subresource: str = "",
    dry_run: bool = False,
    user: str = "alice",
) -> Admission:
    info = KINDS[kind]
    present = obj if obj is not None else old or {}
    operation = operation or ("CREATE" if old is None else "UPDATE")
    who = User(user, ("system:authenticated",))
    namespace = namespace_of(present) or ("ns" if info.namespaced else "")
    return Admission(
        call=Call(who, Attributes(who, operation.lower(), "")),
        operation=operation,
        info=info,
        subresource=subresource,
        namespace=namespace,
        name=name_of(present),
        object=obj,
        old=old,
        options={"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
        kind=info.gvk,
        dry_run=dry_run,
    )


def _pod(name: str = "p", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "ns"},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }


@pytest.fixture
def api() -> DictionaryApi:
    """With the namespace `ns`."""
    made = DictionaryApi()
    made.add("Namespace", "ns", status={"phase": "Active"})
    return made


@pytest.fixture
def request_for() -> Callable[..., Admission]:
    return _request


@pytest.fixture
def pod() -> Callable[..., Object]:
    return _pod


@pytest.fixture
def allowing() -> type[Allowing]:
    return Allowing
