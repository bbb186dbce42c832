"""The garbage collector: what lost its owners goes, in the order that was asked for.

https://kubernetes.io/docs/concepts/architecture/garbage-collection/
The graph (`ownership`) says whose fate is in question; what is done is decided on live reads, never on the graph alone:
an owner counts as gone only once the API says so, or says that another object has its name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.kube.controllers.ownership import Graph, Node
from ropewalk.kube.machinery.api import Api, Metadata, OwnerReference
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, metadata
from ropewalk.kube.machinery.registry.metadata import FOREGROUND, ORPHAN
from ropewalk.kube.machinery.resources import GroupResource, GroupVersionKind, ResourceInfo
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result

log = logger(__name__)

IGNORED = frozenset((GroupResource("", "events"), GroupResource("events.k8s.io", "events")))
"""Nobody owns them, and there are many."""
WORKERS = 8
UNKNOWN_KIND_SECONDS = 30.0
"""An owner whose kind nobody serves now: its definition may come (back)."""


@dataclass(frozen=True, slots=True)
class _Owners:
    """An object's owner references by what has become of them."""

    solid: list[OwnerReference]
    gone: list[OwnerReference]
    waiting: list[OwnerReference]


class GarbageCollector:
    """A `Runnable`. Follows every resource that can be listed, watched and deleted, as they come and go."""

    name = "garbage collector"

    def __init__(self, api: Api, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._graph = Graph()
        self._followed: set[GroupResource] = set()
        self._controller = Controller(
            self.name, self._reconcile, clock=clock, entropy=entropy, workers=WORKERS, everything=self._everything
        )

    async def run(self) -> None:
        self._follow_all()
        self._api.on_served_change(self._follow_all)
        for resource in list(self._followed):
            await self._api.cache(resource).synced()
        await self._controller.run()

    def _everything(self) -> Iterable[str]:
        return [uid for uid, node in self._graph.nodes.items() if node.owners or node.deleting]

    def _follow_all(self) -> None:
        infos = self._api.infos()
        self._followed &= {info.group_resource for info in infos}  # one that comes back has a new cache
        for info in infos:
            resource = info.group_resource
            if resource in self._followed or resource in IGNORED or not {"list", "watch", "delete"} <= set(info.verbs):
                continue
            self._followed.add(resource)
            self._graph.kinds[resource] = info.kind
            self._follow(resource)

    def _follow(self, resource: GroupResource) -> None:
        def observe(namespace: str, name: str, found: Metadata | None) -> None:
            for uid in self._graph.observe(resource, namespace, name, found):
                self._controller.enqueue(uid)

        self._api.cache(resource).on_metadata(observe)

    # --- one object

    async def _reconcile(self, uid: str) -> Result:
        node = self._graph.nodes.get(uid)
        if node is None:
            return DONE
        live = await self._live(node.resource, node.namespace, node.name)
        if live is None or metadata(live).get("uid") != uid:
            return DONE
        if node.orphans_dependents:
            return await self._orphan(node, live)
        if node.waits_for_dependents:
            return await self._finish_foreground(node, live)
        if "deletionTimestamp" in metadata(live):
            return DONE
        return await self._judge(node, live)

    async def _judge(self, node: Node, live: Object) -> Result:
        references = metadata(live).get("ownerReferences") or []
        if not references:
            return DONE
        if not node.namespace and self._names_namespaced(references):
            return DONE  # which namespace's object is meant nobody can say: it is left alone
        owners = await self._classify(node, references)
        if owners is None:
            return RequeueAfter(UNKNOWN_KIND_SECONDS)
        if owners.solid:
            if owners.gone or owners.waiting:
                await self._drop_owners(node, live, {owner.uid for owner in (*owners.gone, *owners.waiting)})
            return DONE
        if owners.waiting and self._graph.dependents(node.uid):
            await self._unblock_circles(node, owners.waiting)
            await self._delete(node, live, "Foreground")
            return DONE
        finalizers = metadata(live).get("finalizers") or []
        policy = "Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background"
        await self._delete(node, live, policy)
        return DONE

    async def _classify(self, node: Node, references: list[Object]) -> _Owners | None:
        """None where an owner's kind is not served, so that nothing can be said."""
        found = _Owners([], [], [])
        for reference in references:
            owner = OwnerReference(
                reference.get("apiVersion", ""), reference.get("kind", ""), reference["name"], reference["uid"]
            )
            info = self._info(owner.api_version, owner.kind)
            if info is None:
                return None
            live = await self._live(info.group_resource, node.namespace if info.namespaced else "", owner.name)
            if live is None or metadata(live).get("uid") != owner.uid:
                found.gone.append(owner)
            elif "deletionTimestamp" in metadata(live) and FOREGROUND in (metadata(live).get("finalizers") or []):
                found.waiting.append(owner)
            else:
                found.solid.append(owner)
        return found

    def _names_namespaced(self, references: list[Object]) -> bool:
        """Whether an owner of an object that lies in no namespace lies in one, which Kubernetes does not allow."""
        found = (self._info(reference.get("apiVersion", ""), reference.get("kind", "")) for reference in references)
        return any(info is not None and info.namespaced for info in found)

    def _info(self, api_version: str, kind: str) -> ResourceInfo | None:
        wanted = GroupVersionKind.of(api_version, kind)
        return next(
            (info for info in self._api.infos() if info.group == wanted.group and info.kind == wanted.kind), None
        )

    async def _unblock_circles(self, node: Node, waiting: list[OwnerReference]) -> None:
        """Dependents that wait for each other would wait for ever: they no longer block."""
        for dependent in self._graph.dependents(node.uid):
            if dependent.waits_for_dependents:
                live = await self._live(node.resource, node.namespace, node.name)
                if live is not None:
                    await self._unblock(node, live)
                return

    async def _unblock(self, node: Node, live: Object) -> None:
        """Its owners need not wait for it."""
        references = [
            {**reference, "blockOwnerDeletion": False} for reference in metadata(live).get("ownerReferences") or ()
        ]
        await self._patch(node, {"metadata": {"ownerReferences": references}}, live)

    async def _orphan(self, node: Node, live: Object) -> Result:
        for dependent in self._graph.dependents(node.uid):
            theirs = await self._live(dependent.resource, dependent.namespace, dependent.name)
            if theirs is not None and metadata(theirs).get("uid") == dependent.uid:
                await self._drop_owners(dependent, theirs, {node.uid})
        await self._drop_finalizer(node, live, ORPHAN)
        return DONE

    async def _finish_foreground(self, node: Node, live: Object) -> Result:
        for dependent in self._graph.dependents(node.uid):
            if not dependent.waits_for_dependents:  # those that wait are told when it is their turn
                self._controller.enqueue(dependent.uid)
        if not self._graph.blocking(node.uid):
            await self._drop_finalizer(node, live, FOREGROUND)
        elif self._graph.waits_for_itself(node.uid):
            await self._unblock(node, live)
        return DONE

    # --- effects

    async def _live(self, resource: GroupResource, namespace: str, name: str) -> Object | None:
        try:
            return await self._api.get(resource, namespace, name)
        except StatusFault as fault:
            if fault.status == 404:
                return None
            raise

    async def _delete(self, node: Node, live: Object, policy: str) -> None:
        try:
            await self._api.delete(
                node.resource,
                node.namespace,
                node.name,
                uid=node.uid,
                resource_version=metadata(live)["resourceVersion"],
                propagation=policy,
            )
        except StatusFault as fault:
            _again_if_it_moved(fault)

    async def _drop_owners(self, node: Node, live: Object, gone: set[str]) -> None:
        references = [owner for owner in metadata(live).get("ownerReferences") or () if owner.get("uid") not in gone]
        await self._patch(node, {"metadata": {"ownerReferences": references or None}}, live)

    async def _drop_finalizer(self, node: Node, live: Object, finalizer: str) -> None:
        left = [found for found in metadata(live).get("finalizers") or () if found != finalizer]
        await self._patch(node, {"metadata": {"finalizers": left or None}}, live)

    async def _patch(self, node: Node, patch: Object, live: Object) -> None:
        patch["metadata"] |= {"uid": node.uid, "resourceVersion": metadata(live)["resourceVersion"]}
        try:
            await self._api.patch(node.resource, node.namespace, node.name, patch)
        except StatusFault as fault:
            _again_if_it_moved(fault)


def _again_if_it_moved(fault: StatusFault) -> None:
    if fault.reason == "Conflict":
        raise Retryable(fault.message, after=0.05) from fault
    if fault.status != 404:
        raise fault
