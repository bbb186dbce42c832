"""What a pod and those who look at it are told: the PodScheduled condition, nominations, victims' conditions.

Every write names the version of the pod that it was made for, so that one who was faster is not overwritten.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-conditions
"""

from __future__ import annotations

from ropewalk.base.clock import Clock
from ropewalk.kube.kinds.core.pod_status import set_condition
from ropewalk.kube.machinery import conditions, times
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, copied, metadata, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.scheduler.cluster import BY_PREEMPTION
from ropewalk.kube.scheduler.starting import SCHEDULER

PODS = GroupResource("", "pods")
TRIES = 4
"""Where others write the victim's status at the same time."""
UNSCHEDULABLE, FAILED = "Unschedulable", "SchedulerError"


class Teller:
    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock

    async def tell_unscheduled(self, pod: Object, reason: str, message: str, nominated: str | None) -> None:
        """`nominated`: the node to note; "" to take a note back, None to leave what is there."""
        wanted: Object = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
        if generation := metadata(pod).get("generation"):
            wanted["observedGeneration"] = generation
        status: Object = {}
        if not (conditions.find(at(pod, "status", "conditions"), "PodScheduled") or {}).items() >= wanted.items():
            status["conditions"] = self._conditions(pod, wanted)
        if nominated is not None and nominated != (at(pod, "status", "nominatedNodeName") or ""):
            status["nominatedNodeName"] = nominated or None
        if status:
            await self._patch(pod, status)

    async def take_back_nomination(self, pod: Object) -> None:
        if at(pod, "status", "nominatedNodeName"):
            await self._patch(pod, {"nominatedNodeName": None})

    async def stop(self, victim: Object, preemptor: Object) -> None:
        """Raises `StatusFault` where it is still there and cannot be stopped."""
        scheduler = at(preemptor, "spec", "schedulerName") or SCHEDULER
        message = f"{scheduler}: preempting to accommodate a higher priority pod"
        wanted: Object = {"type": "DisruptionTarget", "status": "True", "reason": BY_PREEMPTION, "message": message}
        if generation := metadata(victim).get("generation"):
            wanted["observedGeneration"] = generation
        for _ in range(TRIES):
            try:
                await self._patch(victim, {"conditions": self._conditions(victim, wanted)})
                await self._api.delete(PODS, namespace_of(victim), name_of(victim), uid=uid_of(victim))
                return
            except StatusFault as fault:
                if fault.reason == "NotFound":
                    return
                if fault.reason != "Conflict":
                    raise
            present = await self._api.get(PODS, namespace_of(victim), name_of(victim))
            if uid_of(present) != uid_of(victim):
                return
            victim = present

    def _conditions(self, pod: Object, wanted: Object) -> list[Object]:
        status: Object = {"conditions": copied(at(pod, "status", "conditions") or [])}
        set_condition(status, wanted, times.rfc3339(self._clock.wall()))
        found: list[Object] = status["conditions"]
        return found

    async def _patch(self, pod: Object, status: Object) -> None:
        meta = {"uid": uid_of(pod), "resourceVersion": metadata(pod).get("resourceVersion")}
        patch = {"metadata": meta, "status": status}
        await self._api.patch(PODS, namespace_of(pod), name_of(pod), patch, subresource="status")
