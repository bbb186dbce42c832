"""Services that select pods: their EndpointSlices and their Endpoints, written as pods come, get ready and go.

https://kubernetes.io/docs/concepts/services-networking/service/#services-in-kubernetes
Both are made of one reading of the pods. Hints are left to whoever writes them; services without a selector are left
to whoever writes their endpoints.
"""

from __future__ import annotations

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.kube.controllers import endpoint_slices as slices
from ropewalk.kube.controllers.claims import AGAIN_SECONDS
from ropewalk.kube.controllers.endpoint_subsets import MANAGED_BY, MANAGER, TRIGGER_TIME, endpoints_for
from ropewalk.kube.controllers.following import found, is_terminating, split
from ropewalk.kube.controllers.own_writes import OwnWrites
from ropewalk.kube.controllers.owners import Owners
from ropewalk.kube.controllers.pod_book import PODS, PodBook, PodSeen
from ropewalk.kube.controllers.retrying import Patience
from ropewalk.kube.machinery.api import Api, Metadata
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, labels_of, metadata, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.recorder import Events
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.machinery.selectors import NOTHING, LabelSelector, of_labels
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result

SERVICES, NODES = GroupResource("", "services"), GroupResource("", "nodes")
ENDPOINTS, SLICES = GroupResource("", "endpoints"), GroupResource("discovery.k8s.io", "endpointslices")
WORKERS = 5
GATHERED_SECONDS = 0.05
"""Changes of a service's pods are written together."""
TOUCHED_SECONDS = 1.0
"""After which what somebody (mostly this controller) has written is looked over."""
NO_NODE_SECONDS = 1.0
"""A pod whose node is not there yet is left out, and looked for again."""


class ServiceEndpoints:
    """A `Runnable`. Keys are NAMESPACE/NAME of services."""

    name = "service endpoints"

    def __init__(self, api: Api, pods: PodBook, events: Events, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._pods = pods
        self._slice_recorder = events.recorder("endpoint-slice-controller")
        self._recorder = events.recorder("endpoint-controller")
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy, workers=WORKERS)
        self._owners = Owners(api, SERVICES, _selector, self._controller.enqueue)
        self._writes = OwnWrites(api, SLICES)
        self._triggers: dict[str, dict[str, str]] = {}
        """Service → pod → when it last became ready or ceased to be."""
        self._patience = Patience()
        self._following = False

    async def run(self) -> None:
        await self._owners.follow(self._controller.enqueue)
        for resource in (SLICES, ENDPOINTS, NODES):
            await self._api.cache(resource).synced()
        if not self._following:
            self._following = True
            self._api.cache(SLICES).index(slices.SERVICE_NAME, _places)
            self._api.cache(SLICES).on_metadata(self._slice_changed)
            self._api.cache(ENDPOINTS).on_metadata(self._endpoints_changed)
            await self._pods.follow(self._pod_changed)
        await self._controller.run()

    def _pod_changed(self, old: PodSeen | None, new: PodSeen | None) -> None:
        for pod in (old, new):
            if pod is not None and pod.labels and not (pod is old and new is not None and new.labels == pod.labels):
                for key in self._owners.matching(pod.namespace, pod.labels):
                    self._controller.enqueue_after(key, GATHERED_SECONDS)

    def _slice_changed(self, namespace: str, name: str, meta: Metadata | None) -> None:
        if meta is not None and meta.labels.get(slices.MANAGED_BY) == slices.MANAGER:
            self._controller.enqueue_after(f"{namespace}/{meta.labels.get(slices.SERVICE_NAME, '')}", TOUCHED_SECONDS)
        elif meta is None:  # whose it was is not told: its service's name begins its own
            for key in self._owners.keys_of(namespace):
                if name.startswith(split(key)[1]):
                    self._controller.enqueue_after(key, TOUCHED_SECONDS)

    def _endpoints_changed(self, namespace: str, name: str, meta: Metadata | None) -> None:
        self._controller.enqueue_after(f"{namespace}/{name}", TOUCHED_SECONDS)

    async def _reconcile(self, key: str) -> Result:
        namespace, name = split(key)
        service = self._api.cache(SERVICES).get(namespace, name)
        if service is None:
            await self._forget(key)
            return DONE
        if at(service, "spec", "type") == "ExternalName" or not at(service, "spec", "selector"):
            return DONE
        pods, is_missing = self._pods_of(service)
        triggered = self._trigger(key, service, pods)
        try:
            await self._write_slices(key, service, pods, triggered)
            await self._write_endpoints(service, pods, triggered)
        except StatusFault as fault:
            if is_terminating(fault):
                return DONE
            self._triggers.pop(key, None)
            raise Retryable(fault.message, after=self._patience.next(key)) from fault
        self._patience.forget(key)
        return RequeueAfter(NO_NODE_SECONDS) if is_missing else DONE

    def _pods_of(self, service: Object) -> tuple[list[Object], bool]:
        """Its pods on nodes that are there; whether others were left out."""
        selector, is_missing, pods = _selector(service), False, []
        for seen in self._pods.of_namespace(namespace_of(service)):
            if not seen.address or not selector.matches(seen.labels):
                continue
            pod = self._api.cache(PODS).get(seen.namespace, seen.name)
            if pod is None or uid_of(pod) != seen.uid:
                continue
            if self._api.cache(NODES).get("", seen.node) is None and not slices.publishes_unready(service):
                is_missing = True
                continue
            pods.append(pod)
        return pods, is_missing

    def _zone(self, pod: Object) -> str:
        node = self._api.cache(NODES).get("", at(pod, "spec", "nodeName") or "")
        return labels_of(node).get(slices.ZONE, "") if node is not None else ""

    def _trigger(self, key: str, service: Object, pods: list[Object]) -> str:
        """The earliest of what changed since the last time; of a service that is new, when it was made."""
        before, now = self._triggers.get(key), {uid_of(pod): _ready_changed(pod) for pod in pods}
        self._triggers[key] = now
        if before is None:
            return str(metadata(service).get("creationTimestamp", ""))
        return min((time for uid, time in now.items() if time and time > before.get(uid, "")), default="")

    # --- slices

    async def _write_slices(self, key: str, service: Object, pods: list[Object], triggered: str) -> None:
        made = slices.plan(service, pods, await self._slices_of(key, service), self._zone)
        self._writes.begin(key)
        try:
            if metadata(service).get("deletionTimestamp") is None:
                for one in made.create:
                    self._writes.wrote(key, await self._api.create(SLICES, _stamped(one, triggered)))
            for one in made.update:
                self._writes.wrote(key, await self._api.update(SLICES, _stamped(one, triggered)))
            for one in made.delete:
                await self._delete_slice(key, one)
        except StatusFault as fault:
            if not is_terminating(fault):
                where = f"{namespace_of(service)}/{name_of(service)}"
                message = f"Error updating Endpoint Slices for Service {where}: {fault.message}"
                self._slice_recorder.record(service, "FailedToUpdateEndpointSlices", message, warning=True)
            raise
        self._writes.end(key)

    async def _delete_slice(self, key: str, one: Object) -> None:
        try:
            await self._api.delete(SLICES, namespace_of(one), name_of(one), uid=uid_of(one))
        except StatusFault as fault:
            if fault.status != 404:
                raise
        self._writes.deleted(key, namespace_of(one), name_of(one))

    async def _slices_of(self, key: str, service: Object) -> list[Object]:
        """From the cache, unless that is behind what was written here."""
        if self._writes.are_seen(key):
            return self._api.cache(SLICES).by_index(slices.SERVICE_NAME, key)
        labels = {slices.SERVICE_NAME: name_of(service), slices.MANAGED_BY: slices.MANAGER}
        return await self._api.list(SLICES, namespace_of(service), label_selector=str(of_labels(labels)))

    # --- endpoints

    async def _write_endpoints(self, service: Object, pods: list[Object], triggered: str) -> None:
        present = self._api.cache(ENDPOINTS).get(namespace_of(service), name_of(service))
        made = endpoints_for(service, pods, present, triggered)
        if made is None:
            return
        where = namespace_of(service), name_of(service)
        try:
            if present is None:
                await self._api.create(ENDPOINTS, made)
            else:
                await self._api.update(ENDPOINTS, made)
        except StatusFault as fault:
            if fault.reason in ("Conflict", "AlreadyExists"):
                raise Retryable(fault.message, after=AGAIN_SECONDS) from fault
            if present is None and not is_terminating(fault):
                message = f"Failed to create endpoint for service {'/'.join(where)}: {fault.message}"
                self._recorder.record(made, "FailedToCreateEndpoint", message, warning=True)
            elif present is not None:
                message = f"Failed to update endpoint {'/'.join(where)}: {fault.message}"
                self._recorder.record(made, "FailedToUpdateEndpoint", message, warning=True)
            raise

    async def _forget(self, key: str) -> None:
        """The service is gone: its Endpoints go; its slices are the garbage collector's."""
        self._writes.forget(key)
        self._triggers.pop(key, None)
        self._patience.forget(key)
        namespace, name = split(key)
        present = self._api.cache(ENDPOINTS).get(namespace, name)
        if present is None or labels_of(present).get(MANAGED_BY) != MANAGER:
            return
        if await found(self._api, SERVICES, namespace, name) is None:
            try:
                await self._api.delete(ENDPOINTS, namespace, name, uid=uid_of(present))
            except StatusFault as fault:
                if fault.status != 404:
                    raise


def _selector(service: Object) -> LabelSelector:
    labels = at(service, "spec", "selector")
    return of_labels(labels) if labels and at(service, "spec", "type") != "ExternalName" else NOTHING


def _places(one: Object) -> list[str]:
    labels = labels_of(one)
    if labels.get(slices.MANAGED_BY) != slices.MANAGER:
        return []
    return [f"{namespace_of(one)}/{labels.get(slices.SERVICE_NAME, '')}"]


def _ready_changed(pod: Object) -> str:
    for condition in at(pod, "status", "conditions") or ():
        if condition.get("type") == "Ready":
            return str(condition.get("lastTransitionTime") or "")
    return ""


def _stamped(one: Object, triggered: str) -> Object:
    meta = metadata(one)
    annotations = {key: value for key, value in (meta.get("annotations") or {}).items() if key != TRIGGER_TIME}
    if triggered:
        annotations[TRIGGER_TIME] = triggered
    return {**one, "metadata": {**meta, "annotations": annotations}}
