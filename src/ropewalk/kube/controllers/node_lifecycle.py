"""The node controller: nodes that fall silent become Unknown, and taints say what may run on which.

https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller
A node lives as long as its lease is renewed or its status written; when, is counted by this process's own clock from
when it saw it, so that clocks need not agree. Taints are the only thing done about pods, but for marking them not
ready: who tolerates what for how long is `taint_eviction`'s.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.kube.controllers import node_health as health
from ropewalk.kube.controllers.claims import AGAIN_SECONDS
from ropewalk.kube.controllers.node_health import Budget, ZoneState
from ropewalk.kube.controllers.pod_book import PODS, PodBook
from ropewalk.kube.machinery import conditions, times
from ropewalk.kube.machinery.api import Api, ObjectChange, Outline
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, copied, labels_of, metadata, name_of, uid_of
from ropewalk.kube.machinery.recorder import Events
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result

NODES, LEASES = GroupResource("", "nodes"), GroupResource("coordination.k8s.io", "leases")
LEASE_NAMESPACE = "kube-node-lease"
MONITOR_SECONDS = 5.0
"""How often silences are looked at (--node-monitor-period)."""
WORKERS = 8
STABLE = {"beta.kubernetes.io/os": "kubernetes.io/os", "beta.kubernetes.io/arch": "kubernetes.io/arch"}
"""Old labels, and those whose values they take."""


class NodeLifecycle:
    """A `Runnable`. Keys are nodes' names."""

    name = "node lifecycle"

    def __init__(self, api: Api, pods: PodBook, events: Events, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._pods = pods
        self._recorder = events.recorder("node-controller")
        self._clock = clock
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy, workers=WORKERS)
        self._alive: dict[str, float] = {}
        """Node → when it last gave a sign of life."""
        self._leases: dict[str, bytes] = {}
        self._registered: dict[str, str] = {}
        self._budgets: dict[str, Budget] = defaultdict(Budget)
        self._all_lost = False
        self._following = False

    async def run(self) -> None:
        nodes = self._api.cache(NODES)
        await nodes.synced()
        await self._pods.complete()
        if not self._following:
            self._following = True
            nodes.on_change(self._node_changed)
            self._api.cache(LEASES).on_outline(self._lease_changed)
        now = self._clock.monotonic()
        self._alive = dict.fromkeys((name_of(node) for node in nodes.all()), now)  # nobody listened until now
        async with asyncio.TaskGroup() as group:
            group.create_task(self._controller.run())
            group.create_task(self._monitor())

    def _lease_changed(self, namespace: str, name: str, outline: Outline | None) -> None:
        if namespace != LEASE_NAMESPACE:
            return
        if outline is None:
            self._leases.pop(name, None)
            return
        spec = bytes(outline.spec)
        if self._leases.get(name) != spec:
            self._leases[name] = spec
            self._alive[name] = self._clock.monotonic()

    def _node_changed(self, change: ObjectChange) -> None:
        name = name_of(change.present)
        if change.new is None:
            self._alive.pop(name, None)
        elif change.old is None or _heartbeat(change.old) != _heartbeat(change.new):
            self._alive[name] = self._clock.monotonic()
        self._controller.enqueue(name)

    async def _monitor(self) -> None:
        while True:
            nodes = self._api.cache(NODES).all()
            self._judge_zones(nodes)
            now = self._clock.monotonic()
            for node in nodes:
                if health.ready_status(node) != "True" or self._silence(node, now) > _grace(node):
                    self._controller.enqueue(name_of(node))
            await self._clock.sleep(MONITOR_SECONDS)

    def _judge_zones(self, nodes: Sequence[Object]) -> None:
        zones: dict[str, list[str]] = defaultdict(list)
        for node in nodes:
            zones[health.zone_of(node)].append(health.ready_status(node))
        states = {zone: health.zone_state(statuses) for zone, statuses in zones.items()}
        all_lost = bool(states) and all(state is ZoneState.FULL for state in states.values())
        now = self._clock.monotonic()
        if self._all_lost and not all_lost:  # it was this side that was cut off: everybody gets time to call
            self._alive = dict.fromkeys(self._alive, now)
        if all_lost and not self._all_lost:
            for node in nodes:
                self._controller.enqueue(name_of(node))
        self._all_lost = all_lost
        for zone, state in states.items():
            budget = self._budgets[zone]
            budget.refill(now)
            budget.rate = health.rate(state, len(zones[zone]), all_full=all_lost)

    def _silence(self, node: Object, now: float) -> float:
        return now - self._alive.setdefault(name_of(node), now)

    # --- one node

    async def _reconcile(self, name: str) -> Result:
        node = self._api.cache(NODES).get("", name)
        self._tell_presence(name, node)
        if node is None:
            return DONE
        try:
            silence = self._silence(node, self._clock.monotonic())
            if silence > _grace(node) and health.ready_status(node) != "Unknown":
                node = await self._lose(node)
            await self._bring_labels(node)
            return await self._taint(node)
        except StatusFault as fault:
            if fault.reason == "Conflict":
                raise Retryable(fault.message, after=AGAIN_SECONDS) from fault
            if fault.status != 404:
                raise
            return DONE

    def _tell_presence(self, name: str, node: Object | None) -> None:
        uid, before = (uid_of(node) if node is not None else ""), self._registered.get(name, "")
        if uid == before:
            return
        if before:
            gone = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": before}}
            message = f"Node {name} event: Removing Node {name} from Controller"
            self._recorder.record(gone, "RemovingNode", message)
            self._registered.pop(name)
        if node is not None:
            self._registered[name] = uid
            message = f"Node {name} event: Registered Node {name} in Controller"
            self._recorder.record(node, "RegisteredNode", message)

    async def _lose(self, node: Object) -> Object:
        was_ready = health.ready_status(node) == "True"
        now = self._clock.wall()
        changed = copied(node)
        changed.setdefault("status", {})["conditions"] = health.lost_conditions(node, now)
        written = await self._api.update(NODES, changed, subresource="status")
        if was_ready:
            self._recorder.record(node, "NodeNotReady", f"Node {name_of(node)} status is now: NodeNotReady")
            await self._mark_pods(name_of(node), now)
        return written

    async def _mark_pods(self, node: str, now: float) -> None:
        """Nobody is left to say that its pods are not ready."""
        for seen in [pod for pod in self._pods.all() if pod.node == node and pod.is_ready]:
            pod = self._api.cache(PODS).get(seen.namespace, seen.name)
            ready = conditions.find(at(pod, "status", "conditions"), "Ready") if pod is not None else None
            if pod is None or ready is None:
                continue
            changed = {**ready, "status": "False", "lastTransitionTime": times.rfc3339(now)}
            listed = [changed if each is ready else each for each in pod["status"]["conditions"]]
            patch = {"metadata": {"uid": seen.uid}, "status": {"conditions": listed}}
            try:
                await self._api.patch(PODS, seen.namespace, seen.name, patch, subresource="status")
            except StatusFault as fault:
                if fault.status not in (404, 409):
                    raise
                continue
            self._recorder.record(pod, "NodeNotReady", "Node is not ready", warning=True)

    async def _bring_labels(self, node: Object) -> None:
        labels = labels_of(node)
        wanted = {old: labels[new] for old, new in STABLE.items() if new in labels and labels.get(old) != labels[new]}
        if wanted:
            await self._api.patch(NODES, "", name_of(node), {"metadata": {"labels": wanted}})

    async def _taint(self, node: Object) -> Result:
        held = {
            each.get("key", "") for each in at(node, "spec", "taints") or () if each.get("effect") == "NoExecute"
        } & {health.NOT_READY, health.UNREACHABLE}
        wanted, is_put_off = health.no_execute_taint(node), False
        if wanted and not held:  # one that is tainted already only changes its reason
            budget = self._budgets[health.zone_of(node)]
            is_put_off = not budget.take(self._clock.monotonic())
        no_execute = {wanted} if wanted and not is_put_off and not self._all_lost else set()
        taints = health.tainted(node, health.no_schedule_taints(node), no_execute, self._clock.wall())
        if taints is not None:
            meta = {"uid": uid_of(node), "resourceVersion": metadata(node)["resourceVersion"]}
            await self._api.patch(NODES, "", name_of(node), {"metadata": meta, "spec": {"taints": taints or None}})
        return RequeueAfter(MONITOR_SECONDS) if is_put_off else DONE


def _grace(node: Object) -> float:
    return health.GRACE_SECONDS if health.ready_status(node) else health.STARTUP_GRACE_SECONDS


def _heartbeat(node: Object) -> object:
    ready = conditions.find(at(node, "status", "conditions"), "Ready") or {}
    return ready.get("lastHeartbeatTime"), ready.get("status")
