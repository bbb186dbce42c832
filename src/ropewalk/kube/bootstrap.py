"""What every cluster has from its first second: namespaces, roles, priorities, the `kubernetes` service.

Idempotent, and safe with several replicas at once: what is there already is left as it is, or reconciled where
Kubernetes reconciles it (roles that are marked for it).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from ropewalk.kube.controllers.following import ensure, found
from ropewalk.kube.kinds.rbac import bootstrap as rbac
from ropewalk.kube.kinds.scheduling.bootstrap import PRIORITY_CLASSES
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.objects import Object, at, copied, metadata
from ropewalk.kube.machinery.resources import GroupResource

NAMESPACES = GroupResource("", "namespaces")
SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
SERVICES = GroupResource("", "services")
ENDPOINTS = GroupResource("", "endpoints")
SLICES = GroupResource("discovery.k8s.io", "endpointslices")
PRIORITIES = GroupResource("scheduling.k8s.io", "priorityclasses")
CONFIG_MAPS = GroupResource("", "configmaps")
KUBERNETES = "kubernetes"
_RBAC = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "Role": "roles",
    "RoleBinding": "rolebindings",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where this server is reached from inside the cluster."""

    service_address: str
    """The cluster address of the service `kubernetes`."""
    host: str
    """"" where nothing in the cluster can reach it."""
    port: int


async def bootstrap(api: Api, address: Address, authentication: dict[str, str]) -> None:
    """`authentication`: what the ConfigMap extension-apiserver-authentication tells aggregated servers.

    All at once, so that a hundred writes share a few waits for the disk; namespaces first, since others lie in them.
    """
    namespaces = ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in SYSTEM_NAMESPACES)
    await asyncio.gather(*(ensure(api, NAMESPACES, namespace) for namespace in namespaces))
    await asyncio.gather(
        *(_reconcile_role(api, desired) for desired in rbac.objects()),
        *(ensure(api, PRIORITIES, priority) for priority in PRIORITY_CLASSES),
        _kubernetes_service(api, address),
        _configure(api, "extension-apiserver-authentication", authentication),
    )


async def _reconcile_role(api: Api, desired: Object) -> None:
    resource = GroupResource("rbac.authorization.k8s.io", _RBAC[desired["kind"]])
    namespace, name = metadata(desired).get("namespace", ""), metadata(desired)["name"]
    if await ensure(api, resource, desired):
        return
    present = await found(api, resource, namespace, name)
    change = rbac.reconcile(desired, present)
    match change.step:
        case rbac.Step.UPDATE:
            await api.update(resource, change.object)
        case rbac.Step.RECREATE:
            await api.delete(resource, namespace, name)
            await ensure(api, resource, change.object)
        case _:
            pass


async def _kubernetes_service(api: Api, address: Address) -> None:
    """`kubernetes.default` and its endpoints, which lead here."""
    labels = {"component": "apiserver", "provider": KUBERNETES}
    service: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": KUBERNETES, "namespace": "default", "labels": labels},
        "spec": {
            "clusterIP": address.service_address,
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": address.port}],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
    }
    await ensure(api, SERVICES, service)
    reached = [address.host] if address.host else []
    port = {"name": "https", "port": address.port, "protocol": "TCP"}
    mirror = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    endpoints: Object = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": KUBERNETES, "namespace": "default", "labels": mirror},
        "subsets": [{"addresses": [{"ip": host}], "ports": [port]} for host in reached],
    }
    found_slice: Object = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": KUBERNETES,
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": KUBERNETES},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [host], "conditions": {"ready": True}} for host in reached],
        "ports": [port],
    }
    await _keep(api, ENDPOINTS, endpoints, ("subsets",))
    await _keep(api, SLICES, found_slice, ("endpoints", "ports"))


async def _keep(api: Api, resource: GroupResource, wanted: Object, fields: Iterable[str]) -> None:
    """Create it, or bring these fields to what they should be."""
    if await ensure(api, resource, wanted):
        return
    namespace, name = metadata(wanted)["namespace"], metadata(wanted)["name"]
    present = await found(api, resource, namespace, name)
    if present is None or all((at(present, field) or []) == wanted[field] for field in fields):
        return
    await api.update(resource, copied(present) | {field: wanted[field] for field in fields})


async def _configure(api: Api, name: str, data: dict[str, str]) -> None:
    wanted: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "kube-system"},
        "data": data,
    }
    await _keep(api, CONFIG_MAPS, wanted, ("data",))
