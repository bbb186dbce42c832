"""The one who binds: a plan is looked at once more when its turn comes, and only then committed.

Between the plan and its binding others may have acted: a node went or was closed, a pod was bound by somebody else. If
nothing foreign happened since, the plan stands, since all that came after it took it into account; otherwise it is held
against the fleet as it is now.
"""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.scheduler.cluster import Cluster
from ropewalk.kube.scheduler.words import reason
from ropewalk.planning.demands import Unit

PODS = GroupResource("", "pods")


@dataclass(frozen=True, slots=True)
class Plan:
    """One pod and its node. It is on the fleet already."""

    unit: Unit
    namespace: str
    name: str
    node: str
    foreign: int
    """The cluster's number of foreign changes when it was made."""


class Rejected(Exception):
    """It does not fit any more, or the API refused it; the text says why."""


class Applier:
    def __init__(self, api: Api, cluster: Cluster) -> None:
        self._api = api
        self._cluster = cluster

    async def commit(self, plan: Plan) -> None:
        """Raises `Rejected`, or what the store raises."""
        self._verify(plan)
        target = {"apiVersion": "v1", "kind": "Node", "name": plan.node}
        meta = {"name": plan.name, "namespace": plan.namespace, "uid": plan.unit.id}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": target}
        try:
            await self._api.create(PODS, binding, namespace=plan.namespace, subresource="binding", name=plan.name)
        except StatusFault as fault:
            raise Rejected(f'running Bind plugin "DefaultBinder": {fault.message}') from fault

    def _verify(self, plan: Plan) -> None:
        cluster = self._cluster
        if cluster.assumed.get(plan.unit.id) != plan.node:
            raise Rejected("the pod is gone, or somebody else has bound it")
        if cluster.foreign == plan.foreign:
            return
        if plan.node not in cluster.fleet.slot_of:
            raise Rejected(f'node "{plan.node}" not found')
        objections = cluster.planner.objections(plan.unit, plan.node)
        if objections:
            raise Rejected(", ".join(reason(*objection) for objection in objections))
