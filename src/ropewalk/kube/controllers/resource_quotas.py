"""The quota controller: what a quota's namespace uses now, counted anew, into the quota's status.

https://kubernetes.io/docs/concepts/policy/resource-quotas/
Admission reserves as objects are written; this counts what is there, so that what was deleted, or refused after it was
reserved, is given back. It follows the kinds that the quotas there are ask about, and no others.
"""

from __future__ import annotations

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.kube.controllers.following import follow, found, split
from ropewalk.kube.kinds.core import quota_usage
from ropewalk.kube.kinds.core.quota_usage import ALIASES, CLAIMS, PODS, RESOURCE_CLAIMS, SERVICES
from ropewalk.kube.machinery import quantities
from ropewalk.kube.machinery.api import Api, ObjectChange
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, copied, metadata
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result

QUOTAS = GroupResource("", "resourcequotas")
RECOUNT_SECONDS = 300.0
"""Everything is counted again after this, as kube-controller-manager does (--resource-quota-sync-period)."""
GATHERED_SECONDS = 0.1
"""Changes of a busy namespace are counted together."""


class ResourceQuotaController:
    """A `Runnable`. Keys are NAMESPACE/QUOTA."""

    name = "resource quotas"

    def __init__(self, api: Api, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._clock = clock
        self._followed: set[GroupResource] = set()
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy)

    async def run(self) -> None:
        follow(self._api, QUOTAS, self._controller.enqueue)
        await self._controller.run()

    async def _reconcile(self, key: str) -> Result:
        namespace, name = split(key)
        quota = await found(self._api, QUOTAS, namespace, name)
        if quota is None:
            return DONE
        hard = at(quota, "spec", "hard") or {}
        counted = copied(quota)
        counted["status"] = {"hard": dict(hard)}
        used = dict.fromkeys(hard, "0")
        for resource in self._asked(hard):
            await self._follow(resource)
            objects = self._api.cache(resource).all(namespace)
            for told, amount in quota_usage.total(resource, counted, objects, self._clock.wall()).items():
                if told in used:
                    used[told] = quantities.add(used[told], amount)
        status = {"hard": hard, "used": used}
        if status != quota.get("status"):
            await self._write(quota, status)
        return RequeueAfter(RECOUNT_SECONDS)

    def _asked(self, hard: Object) -> list[GroupResource]:
        """The kinds whose objects use any of these."""
        known = {PODS, SERVICES, CLAIMS, RESOURCE_CLAIMS, *ALIASES}
        known |= {
            info.group_resource for info in self._api.infos() if quota_usage.count_name(info.group_resource) in hard
        }
        return sorted(
            resource
            for resource in known
            if quota_usage.matching_resources(resource, hard) and self._api.info(resource) is not None
        )

    async def _follow(self, resource: GroupResource) -> None:
        cache = self._api.cache(resource)
        await cache.synced()
        if resource not in self._followed:
            self._followed.add(resource)
            cache.on_change(self._changed)

    def _changed(self, change: ObjectChange) -> None:
        namespace = metadata(change.present).get("namespace", "")
        for quota in self._api.cache(QUOTAS).all(namespace) if namespace else ():
            self._controller.enqueue_after(f"{namespace}/{metadata(quota)['name']}", GATHERED_SECONDS)

    async def _write(self, quota: Object, status: Object) -> None:
        try:
            await self._api.update(QUOTAS, copied(quota) | {"status": status}, subresource="status")
        except StatusFault as fault:
            if fault.reason == "Conflict":
                raise Retryable(fault.message, after=GATHERED_SECONDS) from fault
            if fault.status != 404:
                raise
