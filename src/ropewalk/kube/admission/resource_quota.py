"""ResourceQuota: nothing is let in that would use more of a namespace than its quotas allow.
https://kubernetes.io/docs/concepts/policy/resource-quotas/

What a write will use is reserved before it happens: written into the quota's status at the version that was read, so
that no two writes, in this process or another, can have the same room. One admission at a time a namespace. What was
reserved for a write that failed after all is given back by the quota controller's next count, as in Kubernetes.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from ropewalk.base.clock import Clock
from ropewalk.kube.admission.plugin import PODS, Lookup, Plugin, forbidden
from ropewalk.kube.kinds.core import quota_usage
from ropewalk.kube.kinds.core.quota_amounts import Amounts, added
from ropewalk.kube.machinery import quantities
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, copied, metadata, name_of, uid_of
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo

QUOTAS = GroupResource("", "resourcequotas")
_TRIES = 4


class ResourceQuota(Plugin):
    name: ClassVar[str] = "ResourceQuota"

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._quotas = Lookup(api, QUOTAS)
        self._locks: dict[str, asyncio.Lock] = {}
        self._written: dict[str, Object] = {}
        """Quotas as this process wrote them last, by uid: the cache may be a moment behind."""

    def concerns(self, info: ResourceInfo, subresource: str, operation: str) -> tuple[bool, bool]:
        resource = info.group_resource
        if not info.namespaced or resource in quota_usage.IGNORED:
            return False, False
        return False, _handles(resource, subresource, operation)

    async def validate(self, admission: Admission) -> None:
        if admission.object is None:
            return
        quotas = (await self._quotas()).all(admission.namespace)
        if not quotas or not _changes_usage(admission):
            return
        lock = self._locks.setdefault(admission.namespace, asyncio.Lock())
        try:
            async with lock:
                await self._reserve(admission)
        finally:
            if not lock.locked():
                self._locks.pop(admission.namespace, None)

    async def _reserve(self, admission: Admission) -> None:
        fault: StatusFault | None = None
        done: set[str] = set()
        for _ in range(_TRIES):
            quotas = [self._newest(quota) for quota in self._api.cache(QUOTAS).all(admission.namespace)]
            changes = self._check(admission, [quota for quota in quotas if uid_of(quota) not in done])
            if admission.dry_run:
                return
            fault = None
            for quota in changes:
                try:
                    self._written[uid_of(quota)] = await self._api.update(QUOTAS, quota, subresource="status")
                    done.add(uid_of(quota))
                except StatusFault as error:
                    if error.reason not in ("Conflict", "NotFound"):
                        raise
                    fault = error
                    await self._read_again(admission.namespace, quota)
            if fault is None:
                return
        if fault is not None:
            raise fault

    async def _read_again(self, namespace: str, quota: Object) -> None:
        try:
            self._written[uid_of(quota)] = await self._api.get(QUOTAS, namespace, name_of(quota))
        except StatusFault as error:
            if error.reason != "NotFound":
                raise
            self._written.pop(uid_of(quota), None)

    def _newest(self, cached: Object) -> Object:
        """The cached quota, or what is known to be newer."""
        written = self._written.get(uid_of(cached))
        if written is None:
            return cached
        if _version(written) > _version(cached):
            return written
        del self._written[uid_of(cached)]
        return cached

    def _check(self, admission: Admission, quotas: list[Object]) -> list[Object]:
        """The quotas as they are to be written; refuses where one does not suffice."""
        obj, resource = admission.object, admission.info.group_resource
        assert obj is not None
        now = self._clock.wall()
        interesting = [quota for quota in quotas if quota_usage.matches(resource, quota, obj)]
        for quota in interesting:
            _check_quota(admission, quota, resource, obj)
        if not interesting:
            return []
        new = quota_usage.usage(resource, obj, now)
        negative = sorted(name for name, amount in new.items() if quantities.parse(amount) < 0)
        if negative:
            raise forbidden(admission, f"quota usage is negative for resource(s): {','.join(negative)}")
        changed: list[Object] = []
        for quota in interesting:
            delta = _delta(admission, quota, new, now)
            if delta:
                changed.append(_charged(admission, quota, delta))
        return [quota for quota in changed if quota]


def _handles(resource: GroupResource, subresource: str, operation: str) -> bool:
    if resource == PODS:
        return (not subresource and operation in ("CREATE", "UPDATE")) or (
            subresource == "resize" and operation == "UPDATE"
        )
    if subresource:
        return False
    updates = resource in (quota_usage.SERVICES, quota_usage.CLAIMS, quota_usage.RESOURCE_CLAIMS)
    return operation == "CREATE" or (updates and operation == "UPDATE")


def _changes_usage(admission: Admission) -> bool:
    """An update of a pod matters only where it starts or stops being a terminating one."""
    if admission.info.group_resource != PODS or admission.operation != "UPDATE" or admission.subresource:
        return True
    new, old = (at(one, "spec", "activeDeadlineSeconds") for one in (admission.object, admission.old))
    return (new is None) != (old is None)


def _version(quota: Object) -> int:
    return int(metadata(quota).get("resourceVersion") or 0)


def _check_quota(admission: Admission, quota: Object, resource: GroupResource, obj: Object) -> None:
    names = quota_usage.matching_resources(resource, quota_usage.hard_of(quota))
    lacking = quota_usage.missing(resource, names, obj)
    if lacking:
        raise forbidden(admission, f"failed quota: {name_of(quota)}: {lacking}")
    used = at(quota, "status", "used") or {}
    if not used.keys() >= set(names):
        told = ",".join(sorted(names))
        raise forbidden(admission, f"status unknown for quota: {name_of(quota)}, resources: {told}")


def _delta(admission: Admission, quota: Object, new: Amounts, now: float) -> Amounts:
    resource, old = admission.info.group_resource, admission.old
    if admission.operation == "UPDATE" and old is not None and quota_usage.matches(resource, quota, old):
        return quota_usage.increase(new, quota_usage.usage(resource, old, now))
    return {name: amount for name, amount in new.items() if quantities.parse(amount) != 0}


def _charged(admission: Admission, quota: Object, delta: Amounts) -> Object:
    hard = quota_usage.hard_of(quota)
    used: Amounts = at(quota, "status", "used") or {}
    requested = quota_usage.masked(delta, hard)
    if not requested:
        return {}
    after = added(used, requested)
    over = quota_usage.exceeded(quota_usage.masked(after, requested), hard)
    if over:
        parts = (("requested", requested), ("used", used), ("limited", hard))
        told = ", ".join(f"{word}: {quota_usage.pretty(quota_usage.masked(part, over))}" for word, part in parts)
        raise forbidden(admission, f"exceeded quota: {name_of(quota)}, {told}")
    charged: Object = copied(quota)
    charged["status"]["used"] = after
    return charged
