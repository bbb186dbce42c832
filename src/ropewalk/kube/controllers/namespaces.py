"""The namespace controller: empties a namespace that is being deleted, says how far it is, and lets it go.

https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
Pods go first (their graceful end needs what the others hold), then everything else; conditions tell what is left and
whose finalizers hold it.
"""

from __future__ import annotations

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.api import Api, Metadata
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, copied, metadata
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result

NAMESPACES = GroupResource("", "namespaces")
PODS = GroupResource("", "pods")
FINALIZER = "kubernetes"
LOOK_AGAIN_SECONDS = 0.5
"""While contents end: their own ends are watched by others, so this one asks."""
LONGEST_SECONDS = 15.0


class NamespaceController:
    """A `Runnable`."""

    name = "namespace controller"

    def __init__(self, api: Api, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._clock = clock
        self._waits: dict[str, float] = {}
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy, workers=4)

    async def run(self) -> None:
        self._api.cache(NAMESPACES).on_metadata(self._observe)
        await self._controller.run()

    def _observe(self, namespace: str, name: str, found: Metadata | None) -> None:
        if found is not None and found.deletion_timestamp:
            self._controller.enqueue(name)

    async def _reconcile(self, name: str) -> Result:
        try:
            namespace = await self._api.get(NAMESPACES, "", name)
        except StatusFault as fault:
            if fault.status != 404:
                raise
            self._waits.pop(name, None)
            return DONE
        if "deletionTimestamp" not in metadata(namespace) or FINALIZER not in (
            at(namespace, "spec", "finalizers") or ()
        ):
            return DONE
        left, failures = await self._empty(name)
        await self._tell(namespace, left, failures)
        if left or failures:
            wait = min(self._waits.get(name, LOOK_AGAIN_SECONDS) * 1.2, LONGEST_SECONDS)
            self._waits[name] = wait
            return RequeueAfter(wait)
        await self._finalize(name)
        return DONE

    async def _empty(self, name: str) -> tuple[dict[GroupResource, list[Object]], list[str]]:
        """Delete what is there; answers what is left, and what could not be deleted."""
        left: dict[GroupResource, list[Object]] = {}
        failures: list[str] = []
        for info in self._contents():
            resource = info.group_resource
            found = await self._delete_all(resource, name, failures)
            if found:
                left[resource] = found
            if resource == PODS and found:
                break
        return left, failures

    def _contents(self) -> list[ResourceInfo]:
        """Every namespaced resource once, pods first."""
        found: dict[GroupResource, ResourceInfo] = {}
        for info in self._api.infos():
            if info.namespaced and {"list", "delete"} <= set(info.verbs):
                found.setdefault(info.group_resource, info)
        return sorted(found.values(), key=lambda info: info.group_resource != PODS)

    async def _delete_all(self, resource: GroupResource, name: str, failures: list[str]) -> list[Object]:
        for obj in await self._listed(resource, name):
            if "deletionTimestamp" in metadata(obj):
                continue
            try:
                await self._api.delete(resource, name, metadata(obj)["name"], propagation="Background")
            except StatusFault as fault:
                if fault.status != 404:
                    failures.append(fault.message)
        return await self._listed(resource, name)

    async def _listed(self, resource: GroupResource, name: str) -> list[Object]:
        """None of a resource that has ceased to be served meanwhile: its definition went, and all objects with it."""
        try:
            return await self._api.list(resource, name)
        except StatusFault as fault:
            if fault.status == 404:
                return []
            raise

    async def _tell(self, namespace: Object, left: dict[GroupResource, list[Object]], failures: list[str]) -> None:
        changed = copied(namespace)
        status = changed.setdefault("status", {})
        status["phase"] = "Terminating"
        now = times.rfc3339(self._clock.wall())
        status["conditions"] = _conditions(status.get("conditions") or [], left, failures, now)
        if status == namespace.get("status"):
            return
        try:
            await self._api.update(NAMESPACES, changed, subresource="status")
        except StatusFault as fault:
            if fault.status not in (404, 409):
                raise

    async def _finalize(self, name: str) -> None:
        """Take our finalizer away; the namespace goes with its last one."""
        self._waits.pop(name, None)
        namespace = copied(await self._api.get(NAMESPACES, "", name))
        kept = [found for found in at(namespace, "spec", "finalizers") or () if found != FINALIZER]
        namespace["spec"]["finalizers"] = kept
        try:
            await self._api.update(NAMESPACES, namespace, subresource="finalize")
        except StatusFault as fault:
            if fault.reason == "Conflict":
                raise Retryable(fault.message, after=0.05) from fault
            if fault.status != 404:
                raise


def _conditions(
    before: list[Object], left: dict[GroupResource, list[Object]], failures: list[str], now: str
) -> list[Object]:
    told = [
        _condition(
            "NamespaceDeletionDiscoveryFailure", "", "All resources successfully discovered", "ResourcesDiscovered"
        ),
        _condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "",
            "All legacy kube types successfully parsed",
            "ParsedGroupVersions",
        ),
        _condition(
            "NamespaceDeletionContentFailure",
            "Failed to delete all resource types, " + f"{len(failures)} remaining: " + ", ".join(failures)
            if failures
            else "",
            "All content successfully deleted, may be waiting on finalization",
            "ContentDeleted",
            "ContentDeletionFailed",
        ),
        _condition(
            "NamespaceContentRemaining",
            _remaining(left),
            "All content successfully removed",
            "ContentRemoved",
            "SomeResourcesRemain",
        ),
        _condition(
            "NamespaceFinalizersRemaining",
            _holding(left),
            "All content-preserving finalizers finished",
            "ContentHasNoFinalizers",
            "SomeFinalizersRemain",
        ),
    ]
    known = {condition["type"]: condition for condition in before}
    for condition in told:
        old = known.get(condition["type"])
        same = old is not None and old.get("status") == condition["status"]
        condition["lastTransitionTime"] = old["lastTransitionTime"] if same and old is not None else now
    others = [condition for condition in before if condition["type"] not in {found["type"] for found in told}]
    return others + told


def _condition(kind: str, problem: str, fine: str, fine_reason: str, reason: str = "") -> Object:
    return {
        "type": kind,
        "status": "True" if problem else "False",
        "reason": reason if problem else fine_reason,
        "message": problem or fine,
    }


def _remaining(left: dict[GroupResource, list[Object]]) -> str:
    if not left:
        return ""
    told = ", ".join(
        f"{resource.resource}.{resource.group} has {len(found)} resource instances" for resource, found in left.items()
    )
    return f"Some resources are remaining: {told}"


def _holding(left: dict[GroupResource, list[Object]]) -> str:
    counts: dict[str, int] = {}
    for found in left.values():
        for obj in found:
            for finalizer in metadata(obj).get("finalizers") or ():
                counts[finalizer] = counts.get(finalizer, 0) + 1
    if not counts:
        return ""
    told = ", ".join(f"{finalizer} in {count} resource instances" for finalizer, count in sorted(counts.items()))
    return f"Some content in the namespace has finalizers remaining: {told}"
