"""Deployments: one replica set a template, and pods moved from the old ones to the new a few at a time.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
What to do next is arithmetic (`planning.rollout`) on the sets' sizes and statuses; this decides which of it is due. It
is done on the sets as this controller wrote them: where the cache is behind that, they are read from the store. Unlike
kube-controller-manager's it relies on no count that is older than what the set was told last.
"""

from __future__ import annotations

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.controllers import deployment_revisions as revisions
from ropewalk.kube.controllers.claims import Claims
from ropewalk.kube.controllers.deployment_revisions import counted, replicas_of
from ropewalk.kube.controllers.deployment_status import deadline_in, is_complete
from ropewalk.kube.controllers.deployment_sync import DEPLOYMENTS, SETS, Sync
from ropewalk.kube.controllers.following import split
from ropewalk.kube.controllers.own_writes import OwnWrites
from ropewalk.kube.controllers.owners import Owners
from ropewalk.kube.controllers.pod_book import PodBook, PodSeen
from ropewalk.kube.machinery.api import Api, ObjectChange
from ropewalk.kube.machinery.objects import (
    Object,
    at,
    controller_of,
    copied,
    labels_of,
    metadata,
    name_of,
    namespace_of,
    uid_of,
)
from ropewalk.kube.machinery.recorder import Events
from ropewalk.kube.machinery.selectors import LabelSelector, label_selector_of
from ropewalk.planning import rollout
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result

WORKERS = 5
SELECTING_ALL = "This deployment is selecting all pods. A non-empty selector is required."


class DeploymentController:
    """A `Runnable`. Keys are NAMESPACE/NAME."""

    name = "deployments"

    def __init__(self, api: Api, pods: PodBook, events: Events, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._pods = pods
        self._recorder = events.recorder("deployment-controller")
        self._clock = clock
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy, workers=WORKERS)
        self._owners = Owners(api, DEPLOYMENTS, _selector, self._controller.enqueue)
        self._writes = OwnWrites(api, SETS)
        self._following = False

    async def run(self) -> None:
        await self._owners.follow(lambda key: None)
        sets = self._api.cache(SETS)
        await sets.synced()
        if not self._following:
            self._following = True
            sets.index(BY_OWNER, _places)
            sets.on_change(self._set_changed)
            await self._pods.follow(self._pod_changed)
        await self._controller.run()

    def _set_changed(self, change: ObjectChange) -> None:
        for one in (change.old, change.new):
            if one is None:
                continue
            owner = controller_of(one)
            if owner is not None:
                if key := self._owners.key(owner["uid"]):
                    self._controller.enqueue(key)
            else:
                self._owners.enqueue_matching(namespace_of(one), labels_of(one))

    def _pod_changed(self, old: PodSeen | None, new: PodSeen | None) -> None:
        """Where old pods must be gone before new ones come, their end is waited for."""
        if old is None or (new is not None and not new.is_finished) or old.controller.kind != "ReplicaSet":
            return
        owner = self._api.cache(SETS).get(old.namespace, old.controller.name)
        reference = controller_of(owner) if owner is not None else None
        key = self._owners.key(reference["uid"]) if reference is not None else ""
        if key:
            self._controller.enqueue(key)

    async def _reconcile(self, key: str) -> Result:
        present = self._api.cache(DEPLOYMENTS).get(*split(key))
        if present is None:
            self._writes.forget(key)
            return DONE
        if not at(present, "spec", "selector", "matchLabels") and not at(
            present, "spec", "selector", "matchExpressions"
        ):
            self._recorder.record(present, "SelectingAll", SELECTING_ALL, warning=True)
            return DONE
        sets = await self._sets_of(key, present)
        now = self._clock.wall()
        sync = Sync(self._api, self._recorder, copied(present), sets, now, lambda one: self._writes.wrote(key, one))
        self._writes.begin(key)
        result = await self._step(present, sync)
        self._writes.end(key)
        return result

    async def _step(self, present: Object, sync: Sync) -> Result:
        if metadata(present).get("deletionTimestamp") is not None:
            await sync.agree()
            await sync.tell(of_rollout=False)
            return DONE
        await sync.say_pause()
        await sync.agree()
        is_paused = bool(at(present, "spec", "paused"))
        if is_paused or revisions.was_scaled(sync.deployment, sync.sets):
            await sync.scale()
            if is_paused:
                await sync.forget_old()
            await sync.tell(of_rollout=False)
            return DONE
        if revisions.is_rolling(present):
            await self._roll(sync)
        else:
            await self._recreate(sync)
        status = await sync.tell(of_rollout=True)
        wait = deadline_in(sync.deployment, status, self._clock.wall())
        return DONE if wait is None else RequeueAfter(wait)

    async def _roll(self, sync: Sync) -> None:
        """Up as far as the surge allows; where that is nowhere, down as far as availability does."""
        new = await sync.make()
        desired = replicas_of(sync.deployment)
        groups = {group.name: group for group in revisions.groups_of(sync.sets)}
        group = groups[new["metadata"]["name"]]
        limits = sync.limits
        size = desired if group.wanted > desired else rollout.grown(limits, groups.values(), group)
        if size != group.wanted:
            await sync.resize({group.name: size})
            return
        olds = [old for old in groups.values() if old.name != group.name and old.wanted]
        sizes = rollout.shrunk(limits, olds, group)
        if sizes:
            await sync.resize(sizes)
            return
        await self._forget(sync)

    async def _recreate(self, sync: Sync) -> None:
        """The old ones go, and only then come the new."""
        if await sync.resize({one["metadata"]["name"]: 0 for one in sync.olds if replicas_of(one)}):
            return
        if self._old_ones_run(sync):
            return
        new = await sync.make()
        await sync.resize({new["metadata"]["name"]: replicas_of(sync.deployment)})
        await self._forget(sync)

    def _old_ones_run(self, sync: Sync) -> bool:
        pods = (pod for one in sync.olds for pod in self._pods.controlled_by(uid_of(one)))
        return any(counted(one, "replicas") for one in sync.olds) or any(not pod.is_finished for pod in pods)

    async def _forget(self, sync: Sync) -> None:
        if is_complete(sync.deployment, sync.deployment.get("status") or {}):
            await sync.forget_old()

    async def _sets_of(self, key: str, deployment: Object) -> list[Object]:
        """Those it owns, after adopting and releasing. From the cache, unless that is behind what was written here."""
        selector, claims = _selector(deployment), Claims(self._api, DEPLOYMENTS, deployment)
        is_going = metadata(deployment).get("deletionTimestamp") is not None
        cache, place = self._api.cache(SETS), f"/{namespace_of(deployment)}"
        if not self._writes.are_seen(key):
            text = str(selector)
            owned = await self._api.list(SETS, namespace_of(deployment), label_selector=text)
            orphans = [one for one in owned if controller_of(one) is None]
            owned = [one for one in owned if (controller_of(one) or {}).get("uid") == uid_of(deployment)]
        else:
            owned, orphans = cache.by_index(BY_OWNER, uid_of(deployment)), cache.by_index(BY_OWNER, place)
        mine = []
        for one in owned:
            if selector.matches(labels_of(one)):
                mine.append(one)
            elif not is_going:
                await claims.release(SETS, one)
        for one in orphans:
            if is_going or not selector.matches(labels_of(one)) or metadata(one).get("deletionTimestamp") is not None:
                continue
            if await claims.adopt(SETS, one):
                mine.append(await self._api.get(SETS, namespace_of(one), name_of(one)))
        return mine


BY_OWNER = "owner"


def _places(one: Object) -> list[str]:
    """Under its controller's uid, or else among its namespace's orphans."""
    owner = controller_of(one)
    return [owner["uid"]] if owner is not None else [f"/{namespace_of(one)}"]


def _selector(deployment: Object) -> LabelSelector:
    return label_selector_of(at(deployment, "spec", "selector"))
