"""The one who binds: a plan is looked at once more when its turn comes, and only then committed.

Between the plan and its binding others may have acted: a node went or was closed, a pod was bound by somebody else. If
nothing foreign happened since, the plan stands, since all that came after it took it into account; otherwise it is held
against the fleet as it is now.

A binding that failed may have happened all the same. The pod stays where it is assumed until a read says what became of
it: to think its room free would be to give it away twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import at, uid_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.scheduler.cluster import Cluster
from ropewalk.kube.scheduler.words import reason
from ropewalk.planning.demands import Unit

log = logger(__name__)

PODS = GroupResource("", "pods")
READ_AGAIN = 0.5
"""Seconds."""


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
    def __init__(self, api: Api, cluster: Cluster, clock: Clock) -> None:
        self._api = api
        self._cluster = cluster
        self._clock = clock

    async def commit(self, plan: Plan) -> None:
        """Raises `Rejected`."""
        self._verify(plan)
        target = {"apiVersion": "v1", "kind": "Node", "name": plan.node}
        meta = {"name": plan.name, "namespace": plan.namespace, "uid": plan.unit.id}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": target}
        try:
            await self._api.create(PODS, binding, namespace=plan.namespace, subresource="binding", name=plan.name)
        except (StatusFault, Retryable) as failed:
            if await self._node(plan) != plan.node:
                why = failed.message if isinstance(failed, StatusFault) else failed.reason
                raise Rejected(f'running Bind plugin "DefaultBinder": {why}') from failed

    async def _node(self, plan: Plan) -> str:
        """Where the pod is bound to now; "" to none, or it is gone."""
        while True:
            try:
                pod = await self._api.get(PODS, plan.namespace, plan.name)
                return str(at(pod, "spec", "nodeName") or "") if uid_of(pod) == plan.unit.id else ""
            except StatusFault as fault:
                if fault.status == 404:
                    return ""
                log.debug("a pod's binding is not known yet", pod=plan.name, reason=fault.message)
            except Retryable as later:
                log.debug("a pod's binding is not known yet", pod=plan.name, reason=later.reason)
            await self._clock.sleep(READ_AGAIN)

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
