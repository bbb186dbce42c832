"""What every cluster has from its first second: namespaces, roles, priorities, the `kubernetes` service.

Idempotent, and safe with several replicas at once: what is there already is left as it is, or reconciled where
Kubernetes reconciles it (roles that are marked for it).
"""

from __future__ import annotations

from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.resources import GroupResource

NAMESPACES = GroupResource("", "namespaces")
SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


async def bootstrap(api: Api) -> None:
    for name in SYSTEM_NAMESPACES:
        await ensure(api, NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


async def ensure(api: Api, resource: GroupResource, obj: Object) -> None:
    """Create it, if it is not there."""
    try:
        await api.create(resource, obj)
    except StatusFault as fault:
        if fault.reason != "AlreadyExists":
            raise
