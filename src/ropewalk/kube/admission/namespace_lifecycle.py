"""NamespaceLifecycle: nothing is written into a namespace that does not exist, nothing new into one that is going, and
the namespaces the cluster itself lives in stay.
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#namespacelifecycle
"""

from __future__ import annotations

from typing import ClassVar

from ropewalk.kube.admission.plugin import NAMESPACES, Lookup, Plugin, forbidden
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import Cause
from ropewalk.kube.machinery.errors import forbidden as forbidden_by_name
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo

IMMORTAL = frozenset({"default", "kube-system", "kube-public"})
_REVIEWS = GroupResource("authorization.k8s.io", "localsubjectaccessreviews")
"""Told nothing about namespaces: whether one exists is not everybody's business."""


class NamespaceLifecycle(Plugin):
    name: ClassVar[str] = "NamespaceLifecycle"

    def __init__(self, api: Api) -> None:
        self._api = api
        self._namespaces = Lookup(api, NAMESPACES)

    def concerns(self, info: ResourceInfo, subresource: str, operation: str) -> tuple[bool, bool]:
        if info.group_resource == NAMESPACES:
            return operation == "DELETE", False
        writes = operation in ("CREATE", "UPDATE")
        return writes and info.namespaced and info.group_resource != _REVIEWS, False

    async def mutate(self, admission: Admission) -> None:
        if admission.operation == "DELETE":
            if admission.name in IMMORTAL:
                raise forbidden_by_name("namespaces", "", admission.name, "this namespace may not be deleted")
            return
        if not admission.namespace:
            return
        namespace = (await self._namespaces()).get("", admission.namespace)
        if namespace is None:
            namespace = await self._api.get(NAMESPACES, "", admission.namespace)
        if admission.operation == "CREATE" and (namespace.get("status") or {}).get("phase") == "Terminating":
            name = admission.namespace
            cause = Cause("NamespaceTerminating", f"namespace {name} is being terminated", "metadata.namespace")
            why = f"unable to create new content in namespace {name} because it is being terminated"
            raise forbidden(admission, why, [cause])
