"""Pods leave nodes with NoExecute taints, at once or when their tolerations run out.

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.kube.controllers.claims import AGAIN_SECONDS
from ropewalk.kube.controllers.disruption import disrupted
from ropewalk.kube.controllers.following import split
from ropewalk.kube.controllers.node_lifecycle import NODES
from ropewalk.kube.controllers.pod_book import PODS, PodBook, PodSeen
from ropewalk.kube.kinds.core.tolerations import toleration_of
from ropewalk.kube.machinery.api import Api, ObjectChange
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, name_of, uid_of
from ropewalk.kube.machinery.recorder import Events
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result

WORKERS = 8
REASON, MESSAGE = "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"


def tolerated_seconds(taints: Sequence[Object], tolerations: Sequence[Object]) -> float | None:
    """How long a pod may stay under these taints: 0 not at all, None for ever. Pure."""
    used = [_first(taint, tolerations) for taint in taints]
    if None in used:
        return 0.0
    seconds = [each["tolerationSeconds"] for each in used if each is not None and "tolerationSeconds" in each]
    return float(max(0, min(seconds))) if seconds else None


def _first(taint: Object, tolerations: Sequence[Object]) -> Object | None:
    about = (taint.get("key", ""), taint.get("value", ""), taint.get("effect", ""))
    return next((each for each in tolerations if toleration_of(each).tolerates(*about)), None)


class TaintEviction:
    """A `Runnable`. Keys are NAMESPACE/NAME of pods."""

    name = "taint eviction"

    def __init__(self, api: Api, pods: PodBook, events: Events, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._pods = pods
        self._recorder = events.recorder("taint-eviction-controller")
        self._clock = clock
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy, workers=WORKERS)
        self._tainted: dict[str, list[Object]] = {}
        """Node → its NoExecute taints, where it has any."""
        self._since: dict[str, float] = {}
        """Pod's uid → since when it is under taints that it tolerates for a time."""
        self._following = False

    async def run(self) -> None:
        nodes = self._api.cache(NODES)
        await nodes.synced()
        if not self._following:
            self._following = True
            await self._pods.follow(self._pod_changed)
            nodes.on_change(self._node_changed)
        self._look_over(self._tainted)
        await self._controller.run()

    def _node_changed(self, change: ObjectChange) -> None:
        name = name_of(change.present)
        listed = at(change.new, "spec", "taints") or () if change.new is not None else ()
        taints = [each for each in listed if each.get("effect") == "NoExecute"]
        if taints == self._tainted.get(name, []):
            return
        if taints:
            self._tainted[name] = taints
        else:
            del self._tainted[name]
        self._look_over((name,))

    def _look_over(self, nodes: Sequence[str] | dict[str, list[Object]]) -> None:
        if nodes:
            for pod in self._pods.all():
                if pod.node in nodes:
                    self._controller.enqueue(pod.key)

    def _pod_changed(self, old: PodSeen | None, new: PodSeen | None) -> None:
        if new is None:
            if old is not None:
                self._since.pop(old.uid, None)
        elif new.node in self._tainted:
            self._controller.enqueue(new.key)

    async def _reconcile(self, key: str) -> Result:
        pod = self._api.cache(PODS).get(*split(key))
        if pod is None or at(pod, "metadata", "deletionTimestamp") is not None:
            return DONE
        taints = self._tainted.get(at(pod, "spec", "nodeName") or "")
        seconds = tolerated_seconds(taints, at(pod, "spec", "tolerations") or ()) if taints else None
        if seconds is None:
            if self._since.pop(uid_of(pod), None) is not None:
                self._recorder.record(pod, "TaintManagerEviction", f"Cancelling deletion of Pod {key}")
            return DONE
        now = self._clock.monotonic()
        left = self._since.setdefault(uid_of(pod), now) + seconds - now
        if left > 0:
            return RequeueAfter(left)
        await self._evict(key, pod)
        return DONE

    async def _evict(self, key: str, pod: Object) -> None:
        self._recorder.record(pod, "TaintManagerEviction", f"Marking for deletion Pod {key}")
        try:
            await self._api.patch(
                PODS, *split(key), disrupted(pod, REASON, MESSAGE, self._clock.wall()), subresource="status"
            )
            await self._api.delete(PODS, *split(key), uid=uid_of(pod))
        except StatusFault as fault:
            if fault.reason == "Conflict":
                raise Retryable(fault.message, after=AGAIN_SECONDS) from fault
            if fault.status != 404:
                raise
        self._since.pop(uid_of(pod), None)
