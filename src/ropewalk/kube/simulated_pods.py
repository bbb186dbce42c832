"""What a kubelet does between the API and its runtime, for all simulated nodes at once.

Level-triggered, a key a pod: (machine, uid). A bound pod becomes a workload record that the gateway sends to the node's
agent; what the agent reports becomes the pod's status; a pod that is being deleted is stopped, told of as ended, and
then deleted for good; a pod that is gone takes its record along. Nothing is remembered but the addresses given out, and
those are read back from the pods.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial

from msgspec.structs import replace

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.kube.machinery import quantities
from ropewalk.kube.machinery.api import Api, ObjectCache, ObjectChange
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, metadata, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.pods.happenings import Happenings
from ropewalk.kube.pods.lowering import lower
from ropewalk.kube.pods.refusals import Refused
from ropewalk.kube.pods.reporting import Addresses, pod_status, waiting_status
from ropewalk.kube.pods.sources import Kind, Place, Sources, index_keys, named_by
from ropewalk.kube.pods.tokens import Tokens
from ropewalk.model.agent import STATUSES, WORKLOADS
from ropewalk.model.ids import Owner
from ropewalk.model.status import WorkloadPhase, WorkloadStatus
from ropewalk.model.workload import Desire, Workload
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result
from ropewalk.runtime.informer import Informer
from ropewalk.runtime.table import Table
from ropewalk.store.protocol import KeyExists, Store

log = logger(__name__)

PODS = GroupResource("", "pods")
CONFIG_MAPS = GroupResource("", "configmaps")
SECRETS = GroupResource("", "secrets")
SERVICES = GroupResource("", "services")
NODES = GroupResource("", "nodes")
BY_UID = "simulated-uid"
BY_SOURCE = "simulated-source"
BY_NAMESPACE = "simulated-namespace"
WORKERS = 8
FINISHED = ("Succeeded", "Failed")


class PodRunner:
    """A `Runnable`. `hosts`: node → its address; `ranges`: node → the first three bytes of its pods' addresses."""

    name = "simulated-pods"

    def __init__(
        self,
        hosts: Mapping[str, str],
        ranges: Mapping[str, str],
        api: Api,
        store: Store,
        owner: Owner,
        clock: Clock,
        entropy: Entropy,
        *,
        files: bool = False,
    ) -> None:
        """`files`: the nodes' machines have files to show (simulated ones have not)."""
        self._files = files
        self._tokens = Tokens(api, clock)
        self._hosts = hosts
        self._ranges = ranges
        self._api = api
        self._owner = owner
        self._clock = clock
        self._workloads = Table(store, WORKLOADS, Workload)
        self._records = Informer(self._workloads, clock, reader=self.name)
        self._statuses = Informer(Table(store, STATUSES, WorkloadStatus), clock, reader=self.name)
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy, workers=WORKERS)
        self._happenings = Happenings(api)
        self._stale: set[str] = set()
        """Keys of pods whose records may no longer be what they lower to."""
        self._addresses: dict[str, str] = {}
        self._given: set[str] = set()

    async def run(self) -> None:
        pods = self._api.cache(PODS)
        await pods.synced()
        pods.index(BY_UID, lambda pod: [uid_of(pod)])
        pods.index(BY_SOURCE, index_keys)
        self._api.cache(SERVICES).index(BY_NAMESPACE, lambda service: [namespace_of(service)])
        for resource in (CONFIG_MAPS, SECRETS, SERVICES, NODES):
            await self._api.cache(resource).synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._records.run())
            group.create_task(self._statuses.run())
            await self._records.synced()
            await self._statuses.synced()
            pods.on_change(self._pod_changed)
            self._api.cache(CONFIG_MAPS).on_change(partial(self._source_changed, "configmap"))
            self._api.cache(SECRETS).on_change(partial(self._source_changed, "secret"))
            self._records.on_change(lambda change: self._controller.enqueue(change.key))
            self._statuses.on_change(lambda change: self._controller.enqueue(change.key))
            group.create_task(self._controller.run())

    def _pod_changed(self, change: ObjectChange) -> None:
        pod = change.present
        node = at(pod, "spec", "nodeName")
        if node not in self._hosts:
            return
        held = at(pod, "status", "podIP")
        if change.new is not None and held:
            self._remember(uid_of(pod), held)
        key = f"{node}/{uid_of(pod)}"
        if change.old is None or change.new is None or _described(change.old) != _described(change.new):
            self._stale.add(key)
        self._controller.enqueue(key)

    def _source_changed(self, kind: Kind, change: ObjectChange) -> None:
        """Pods that name it are lowered again: those that wait for it start, the others' next starts see it."""
        source = change.present
        key = f"{kind}/{namespace_of(source)}/{name_of(source)}"
        for pod in self._api.cache(PODS).by_index(BY_SOURCE, key):
            node = at(pod, "spec", "nodeName")
            if node in self._hosts:
                self._stale.add(f"{node}/{uid_of(pod)}")
                self._controller.enqueue(f"{node}/{uid_of(pod)}")

    async def _lowered(self, pod: Object, addresses: Addresses) -> Workload:
        """Raises `Refused`."""
        namespace = namespace_of(pod)
        named = set(named_by(pod))
        services = self._api.cache(SERVICES)
        node = self._api.cache(NODES).get("", at(pod, "spec", "nodeName")) or {}
        sources = Sources(
            _found(self._api.cache(CONFIG_MAPS), namespace, (name for kind, name in named if kind == "configmap")),
            _found(self._api.cache(SECRETS), namespace, (name for kind, name in named if kind == "secret")),
            services=[*services.by_index(BY_NAMESPACE, namespace), *services.by_index(BY_NAMESPACE, "default")],
            tokens=await self._tokens.of(pod) if self._files else {},
        )
        allocatable = at(node, "status", "allocatable") or {}
        memory = quantities.whole(at(node, "status", "capacity", "memory") or "0")
        place = Place(self._owner, addresses.pod, addresses.host, allocatable, files=self._files, memory_bytes=memory)
        return lower(pod, place, sources)

    # --- one pod

    async def _reconcile(self, key: str) -> Result:
        node, _, uid = key.partition("/")
        if node not in self._hosts:
            return DONE
        pod = next(iter(self._api.cache(PODS).by_index(BY_UID, uid)), None)
        if pod is None or at(pod, "spec", "nodeName") != node:
            await self._workloads.delete(key)
            self._happenings.forget(uid)
            self._stale.discard(key)
            self._tokens.forget(uid)
            self._given.discard(self._addresses.pop(uid, ""))
            return DONE
        try:
            return await self._advance(key, pod)
        except StatusFault as fault:
            if fault.reason not in ("NotFound", "Conflict"):
                raise
            raise Retryable(fault.message, after=0.1) from fault  # the cache is behind: it will tell

    async def _advance(self, key: str, pod: Object) -> Result:
        addresses = self._addresses_of(pod)
        status = self._statuses.get(key)
        record = self._records.get(key) or await self._workloads.get(key)
        finished = at(pod, "status", "phase") in FINISHED
        if status is not None:
            await self._happenings.tell(pod, status)
        if metadata(pod).get("deletionTimestamp") is not None:
            await self._end(key, pod, record, status, addresses)
            return DONE
        due = self._tokens.renew_at(uid_of(pod))
        if due is not None and due <= self._clock.wall():
            self._stale.add(key)
        if not finished and (record is None or key in self._stale):
            try:
                made = await self._lowered(pod, addresses)
            except Refused as refused:
                if record is not None:
                    raise  # what was lowered once is lowered always
                wanted = waiting_status(pod, addresses, refused.container, refused.message, self._clock.wall())
                await self._tell(pod, wanted)
                return DONE
            self._stale.discard(key)
            await self._write(key, made)
        if finished:
            return DONE
        await self._tell(pod, pod_status(pod, status, addresses, self._clock.wall()))
        due = self._tokens.renew_at(uid_of(pod))
        return DONE if due is None else RequeueAfter(max(1.0, due - self._clock.wall()))

    async def _write(self, key: str, made: Workload) -> None:
        def renewed(held: Workload) -> Workload:
            return held if held.desire is Desire.STOP else replace(made, generation=held.generation)

        try:
            await self._workloads.create(key, made)
        except KeyExists:
            await self._workloads.mutate(key, renewed)

    async def _end(
        self, key: str, pod: Object, record: Workload | None, status: WorkloadStatus | None, addresses: Addresses
    ) -> None:
        """The pod is to go: stop it, say how it ended, then confirm its deletion."""
        if record is not None and (status is None or status.phase is not WorkloadPhase.STOPPED):
            grace = float(metadata(pod).get("deletionGracePeriodSeconds") or 0)
            if record.desire is not Desire.STOP or (record.stop_timeout or 0) > grace:
                await self._stop(key, "the pod was deleted", grace)
            if status is not None:
                await self._tell(pod, pod_status(pod, status, addresses, self._clock.wall()))
            return
        if status is not None and at(pod, "status", "phase") not in FINISHED:
            await self._tell(pod, pod_status(pod, status, addresses, self._clock.wall()))
        await self._api.delete(PODS, namespace_of(pod), name_of(pod), uid=uid_of(pod), grace_seconds=0)

    async def _stop(self, key: str, reason: str, grace: float) -> None:
        await self._workloads.mutate(
            key, lambda held: replace(held, desire=Desire.STOP, stop_reason=reason, stop_timeout=grace)
        )

    async def _tell(self, pod: Object, wanted: Object) -> None:
        if wanted != (pod.get("status") or {}):
            change = {"metadata": {"uid": uid_of(pod)}, "status": wanted}
            await self._api.patch(PODS, namespace_of(pod), name_of(pod), change, subresource="status")

    # --- addresses

    def _addresses_of(self, pod: Object) -> Addresses:
        node = pod["spec"]["nodeName"]
        host = self._hosts[node]
        if at(pod, "spec", "hostNetwork"):
            return Addresses(host, host)
        uid = uid_of(pod)
        held = self._addresses.get(uid)
        if held is None:
            prefix = self._ranges[node]
            held = next((a for n in range(2, 255) if (a := f"{prefix}.{n}") not in self._given), "")
            if not held:
                raise Retryable(f"node {node} has no address left", after=5.0)
            self._remember(uid, held)
        return Addresses(held, host)

    def _remember(self, uid: str, address: str) -> None:
        former = self._addresses.get(uid)
        if former != address:
            self._given.discard(former or "")
            self._addresses[uid] = address
        if address not in self._hosts.values():
            self._given.add(address)


def _described(pod: Object) -> tuple[object, object, object]:
    """What a pod is lowered from, of the pod itself."""
    meta = metadata(pod)
    return meta.get("labels"), meta.get("annotations"), pod.get("spec")


def _found(cache: ObjectCache, namespace: str, names: Iterable[str]) -> dict[str, Object]:
    pairs = ((name, cache.get(namespace, name)) for name in names)
    return {name: held for name, held in pairs if held is not None}
