"""Replica sets, and replication controllers by the same code: so many pods of a template, no more and no fewer.

https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/
https://kubernetes.io/docs/concepts/workloads/controllers/replicationcontroller/
Pods are counted in the book, and only once all that this controller has done is in it (`expectations`). After a write
of which nobody knows whether it happened, the pods are read from the store first. The status never counts what was
deleted, seen or not: deployments rely on it for what may be missed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.kube.controllers.claims import AGAIN_SECONDS, Claims
from ropewalk.kube.controllers.expectations import PATIENCE, Expectations
from ropewalk.kube.controllers.following import split
from ropewalk.kube.controllers.owners import Owners
from ropewalk.kube.controllers.pod_book import PODS, PodBook, PodSeen
from ropewalk.kube.controllers.pod_control import NotDone, PodControl, at_once, pod_from, slow_start
from ropewalk.kube.controllers.pod_ranking import first_to_go
from ropewalk.kube.controllers.replica_status import is_told, next_availability, replica_status
from ropewalk.kube.controllers.retrying import Patience
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, controller_of, copied, metadata, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.recorder import Events
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.machinery.selectors import LabelSelector, label_selector_of, of_labels
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result

BURST = 500
"""Pods made or deleted in one step."""
WORKERS = 5
BY_CONTROLLER = "controller"


@dataclass(frozen=True, slots=True)
class Kind:
    """What the two kinds differ in."""

    resource: GroupResource
    component: str
    """As whom it tells of events."""
    selector: Callable[[Object], LabelSelector]
    tells_terminating: bool
    """Whether its status counts the pods on their way out."""


REPLICA_SETS = Kind(
    GroupResource("apps", "replicasets"),
    "replicaset-controller",
    lambda obj: label_selector_of(at(obj, "spec", "selector")),
    tells_terminating=True,
)
REPLICATION_CONTROLLERS = Kind(
    GroupResource("", "replicationcontrollers"),
    "replication-controller",
    lambda obj: of_labels(at(obj, "spec", "selector") or {}),
    tells_terminating=False,
)


class ReplicaSetController:
    """A `Runnable`. Keys are NAMESPACE/NAME."""

    def __init__(self, kind: Kind, api: Api, pods: PodBook, events: Events, clock: Clock, entropy: Entropy) -> None:
        self.name = kind.resource.resource
        self._kind = kind
        self._api = api
        self._pods = pods
        self._clock = clock
        self._expectations = Expectations(clock)
        self._control = PodControl(api, events.recorder(kind.component), self._expectations)
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy, workers=WORKERS)
        self._owners = Owners(api, kind.resource, kind.selector, self._controller.enqueue)
        self._doubtful: set[str] = set()
        """Something was written for these, or was not."""
        self._patience = Patience()
        self._following = False

    async def run(self) -> None:
        await self._owners.follow(self._expectations.forget)
        self._api.cache(self._kind.resource).index(BY_CONTROLLER, _controller_uid)
        if not self._following:
            self._following = True
            await self._pods.follow(self._pod_changed)
        await self._controller.run()

    def _pod_changed(self, old: PodSeen | None, new: PodSeen | None) -> None:
        pod = new if new is not None else old
        assert pod is not None
        key = self._owners.key(pod.controller.uid)
        if key:
            self._expectations.observe(key, pod.uid, gone=new is None or new.is_going)
            self._controller.enqueue(key)
        elif not pod.controller.uid and new is not None and not new.is_going:
            self._owners.enqueue_matching(new.namespace, new.labels)
        if old is not None and new is not None and old.controller.uid != new.controller.uid:
            former = self._owners.key(old.controller.uid)
            if former:
                self._controller.enqueue(former)

    async def _reconcile(self, key: str) -> Result:
        owner = self._api.cache(self._kind.resource).get(*split(key))
        if owner is None:
            self._expectations.forget(key)
            self._doubtful.discard(key)
            self._patience.forget(key)
            return DONE
        if key in self._doubtful or self._expectations.are_overdue(key):
            await self._look(key, owner)
        may_act = self._expectations.are_met(key) and metadata(owner).get("deletionTimestamp") is None
        mine, terminating = await self._claimed(owner)
        failure = ""
        if may_act:
            try:
                await self._manage(key, owner, mine)
            except NotDone as failed:
                failure = str(failed)
                if failed.in_doubt:
                    self._doubtful.add(key)
        going = self._expectations.going(key)
        mine = [pod for pod in mine if pod.uid not in going]
        now = self._clock.wall()
        told = len(terminating) if self._kind.tells_terminating else None
        await self._tell(owner, replica_status(owner, mine, told, failure, now))
        if failure:
            raise Retryable(failure, after=self._patience.next(key))
        self._patience.forget(key)
        if not self._expectations.are_met(key):
            return RequeueAfter(PATIENCE)
        least = at(owner, "spec", "minReadySeconds") or 0
        wait = next_availability(mine, least, now) if least else None
        return DONE if wait is None else RequeueAfter(max(wait, 0.01))

    async def _look(self, key: str, owner: Object) -> None:
        """What is in the store and not yet in the book is expected like what was written knowingly."""
        self._expectations.begin(key)
        created, deleted = [], []
        try:
            for pod in await self._api.list(PODS, namespace_of(owner), label_selector=str(self._kind.selector(owner))):
                if (controller_of(pod) or {}).get("uid") != uid_of(owner):
                    continue
                known = self._pods.get(namespace_of(pod), name_of(pod))
                if known is None or known.uid != uid_of(pod):
                    created.append(uid_of(pod))
                elif metadata(pod).get("deletionTimestamp") is not None and not known.is_going:
                    deleted.append(uid_of(pod))
            self._expectations.renew(key, created, deleted)
            self._doubtful.discard(key)
        finally:
            self._expectations.end(key)

    async def _claimed(self, owner: Object) -> tuple[list[PodSeen], list[PodSeen]]:
        """(active, terminating) pods that are its own, after adopting and releasing."""
        selector, claims = self._kind.selector(owner), Claims(self._api, self._kind.resource, owner)
        is_going = metadata(owner).get("deletionTimestamp") is not None
        active, terminating = [], []
        for pod in self._pods.controlled_by(uid_of(owner)):
            if not selector.matches(pod.labels):
                if not is_going and pod.is_active:
                    await self._release(claims, pod)
            elif pod.is_active:
                active.append(pod)
            elif pod.is_terminating:
                terminating.append(pod)
        if not is_going:
            orphans = [pod for pod in self._pods.uncontrolled(namespace_of(owner)) if selector.matches(pod.labels)]
            active += [pod for pod in orphans if pod.is_active and await self._adopt(claims, pod)]
        return active, terminating

    async def _adopt(self, claims: Claims, pod: PodSeen) -> bool:
        obj = self._api.cache(PODS).get(pod.namespace, pod.name)
        return obj is not None and uid_of(obj) == pod.uid and await claims.adopt(PODS, obj)

    async def _release(self, claims: Claims, pod: PodSeen) -> None:
        obj = self._api.cache(PODS).get(pod.namespace, pod.name)
        if obj is not None and uid_of(obj) == pod.uid:
            await claims.release(PODS, obj)

    async def _manage(self, key: str, owner: Object, mine: list[PodSeen]) -> None:
        """Raises `NotDone`."""
        surplus = len(mine) - (at(owner, "spec", "replicas") or 0)
        if surplus < 0:
            pod = pod_from(at(owner, "spec", "template") or {}, owner)
            await slow_start(min(-surplus, BURST), lambda: self._control.create(key, owner, pod))
        elif surplus > 0:
            going = self._first_to_go(owner, mine, min(surplus, BURST))
            await at_once([self._control.delete(key, owner, pod.namespace, pod.name, pod.uid) for pod in going])

    def _first_to_go(self, owner: Object, mine: list[PodSeen], count: int) -> list[PodSeen]:
        if count >= len(mine):
            return mine
        related = Counter(pod.node for pod in self._related(owner) if pod.is_active)
        cached = [obj for pod in mine if (obj := self._api.cache(PODS).get(pod.namespace, pod.name)) is not None]
        by_uid = {pod.uid: pod for pod in mine}
        ranked = first_to_go(cached, related, count, self._clock.wall())
        return [by_uid[uid_of(pod)] for pod in ranked if uid_of(pod) in by_uid]

    def _related(self, owner: Object) -> list[PodSeen]:
        """The pods of all sets that the same owner controls: of a deployment, those of its other revisions too."""
        uid = _controller_uid(owner)
        sets = self._api.cache(self._kind.resource).by_index(BY_CONTROLLER, uid[0]) if uid else [owner]
        return [pod for one in sets for pod in self._pods.controlled_by(uid_of(one))]

    async def _tell(self, owner: Object, status: Object) -> None:
        if is_told(owner, status):
            return
        try:
            await self._api.update(self._kind.resource, copied(owner) | {"status": status}, subresource="status")
        except StatusFault as fault:
            if fault.reason == "Conflict":
                raise Retryable(fault.message, after=AGAIN_SECONDS) from fault
            if fault.status != 404:
                raise


def _controller_uid(obj: Object) -> list[str]:
    reference = controller_of(obj)
    return [reference["uid"]] if reference is not None else []
