"""Pods that nobody else will ever end: of nodes that are no more, of nodes out of service, never bound, or too many.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection
"""

from __future__ import annotations

import asyncio

from ropewalk.base.clock import Clock
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.kube.controllers.disruption import disrupted
from ropewalk.kube.controllers.following import found
from ropewalk.kube.controllers.node_health import ready_status
from ropewalk.kube.controllers.node_lifecycle import NODES
from ropewalk.kube.controllers.pod_book import PODS, PodBook, PodSeen
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, metadata, name_of, uid_of

log = logger(__name__)

EVERY_SECONDS, QUARANTINE_SECONDS = 20.0, 40.0
"""How often they are looked for; for how long a node must be gone before its pods are."""
MOST_FINISHED = 12_500
"""Finished pods that are kept (--terminated-pod-gc-threshold)."""
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
AT_ONCE = 5_000
"""Pods looked at before others have their turn."""
REASON, MESSAGE = "DeletionByPodGC", "PodGC: node no longer exists"


class PodGarbage:
    """A `Runnable`."""

    name = "pod garbage"

    def __init__(self, api: Api, pods: PodBook, clock: Clock, most_finished: int = MOST_FINISHED) -> None:
        self._api = api
        self._pods = pods
        self._clock = clock
        self._most_finished = most_finished
        self._missing: dict[str, float] = {}
        """Node → since when pods name it and it is not there."""

    async def run(self) -> None:
        await self._api.cache(NODES).synced()
        await self._pods.complete()
        while True:
            try:
                await self._collect()
            except (StatusFault, Retryable) as why:
                log.warning("pods were not all looked over", why=why)
            await self._clock.sleep(EVERY_SECONDS)

    async def _collect(self) -> None:
        nodes = {name_of(node): node for node in self._api.cache(NODES).all()}
        finished: list[PodSeen] = []
        lost: list[PodSeen] = []
        for number, pod in enumerate(list(self._pods.all())):
            if number % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)
            if pod.is_finished:
                finished.append(pod)
            if pod.node and pod.node not in nodes:
                lost.append(pod)
            elif pod.is_going and (not pod.node or _is_out_of_service(nodes[pod.node])):
                await self._end(pod)
        gone = await self._gone({pod.node for pod in lost})
        for pod in lost:
            if pod.node in gone:
                await self._end(pod, is_orphan=True)
        for pod in self._oldest(finished, len(finished) - self._most_finished):
            await self._end(pod)

    async def _gone(self, missing: set[str]) -> set[str]:
        """Of these nodes, those that have been away for long and are not there."""
        now = self._clock.monotonic()
        self._missing = {node: self._missing.get(node, now) for node in missing}
        due = [node for node, since in self._missing.items() if now - since >= QUARANTINE_SECONDS]
        return {node for node in due if await found(self._api, NODES, "", node) is None}

    def _oldest(self, finished: list[PodSeen], count: int) -> list[PodSeen]:
        """Evicted ones first."""
        if count <= 0:
            return []

        def place(seen: PodSeen) -> tuple[bool, str, str]:
            pod = self._api.cache(PODS).get(seen.namespace, seen.name) or {}
            is_evicted = seen.phase == "Failed" and at(pod, "status", "reason") == "Evicted"
            return not is_evicted, str(metadata(pod).get("creationTimestamp") or ""), seen.name

        return sorted(finished, key=place)[:count]

    async def _end(self, seen: PodSeen, *, is_orphan: bool = False) -> None:
        """It has failed, whatever it was doing, and goes without waiting for anybody."""
        pod = await found(self._api, PODS, seen.namespace, seen.name)
        if pod is None or uid_of(pod) != seen.uid:
            return
        try:
            if not seen.is_finished:
                await self._fail(pod, is_orphan=is_orphan)
            await self._api.delete(PODS, seen.namespace, seen.name, uid=seen.uid, grace_seconds=0)
        except StatusFault as fault:
            if fault.status not in (404, 409):
                raise

    async def _fail(self, pod: Object, *, is_orphan: bool) -> None:
        patch: Object = {"metadata": {"uid": uid_of(pod)}, "status": {}}
        if is_orphan:
            patch = disrupted(pod, REASON, MESSAGE, self._clock.wall())
        patch["status"]["phase"] = "Failed"
        await self._api.patch(PODS, metadata(pod)["namespace"], name_of(pod), patch, subresource="status")


def _is_out_of_service(node: Object) -> bool:
    taints = at(node, "spec", "taints") or ()
    return ready_status(node) != "True" and any(each.get("key") == OUT_OF_SERVICE for each in taints)
