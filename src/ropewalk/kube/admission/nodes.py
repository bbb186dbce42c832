"""TaintNodesByCondition: a new node takes no pods before it is ready; PodTopologyLabels: a pod that is bound learns its
node's zone and region.
https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#taintnodesbycondition
"""

from __future__ import annotations

from typing import ClassVar

from ropewalk.kube.admission.plugin import CREATE, PODS, Plugin, ready
from ropewalk.kube.kinds.core.bindings import TOPOLOGY
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.objects import at, labels_of
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo

NODES = GroupResource("", "nodes")
NOT_READY = "node.kubernetes.io/not-ready"


class TaintNodesByCondition(Plugin):
    name: ClassVar[str] = "TaintNodesByCondition"
    operations: ClassVar[frozenset[str]] = CREATE
    resources: ClassVar[frozenset[GroupResource] | None] = frozenset({NODES})
    mutates: ClassVar[bool] = True

    async def mutate(self, admission: Admission) -> None:
        assert admission.object is not None
        spec = admission.object.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(taint.get("key") == NOT_READY and taint.get("effect") == "NoSchedule" for taint in taints):
            spec["taints"] = [*taints, {"key": NOT_READY, "effect": "NoSchedule"}]


class PodTopologyLabels(Plugin):
    name: ClassVar[str] = "PodTopologyLabels"

    def __init__(self, api: Api) -> None:
        self._api = api

    def concerns(self, info: ResourceInfo, subresource: str, operation: str) -> tuple[bool, bool]:
        return operation == "CREATE" and info.group_resource == PODS and subresource in ("", "binding"), False

    async def mutate(self, admission: Admission) -> None:
        assert admission.object is not None
        if admission.subresource == "binding":
            target = at(admission.object, "target") or {}
            node_name = target.get("name") if target.get("kind") == "Node" else ""
        else:
            node_name = at(admission.object, "spec", "nodeName")
        if not node_name:
            return
        node = (await ready(self._api, NODES)).get("", node_name)
        known = labels_of(node) if node is not None else {}
        labels = {label: known[label] for label in TOPOLOGY if label in known}
        if labels:
            metadata = admission.object.setdefault("metadata", {})
            metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
