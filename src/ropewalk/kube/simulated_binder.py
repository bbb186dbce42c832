"""A minimal binder for simulated clusters: pods to nodes in turn, where the plainest rules allow it.

It stands in until the scheduler proper: it honours nodeName, nodeSelector, required node affinity, `unschedulable`,
NoSchedule and NoExecute taints, and the number of pods a node takes; it weighs nothing and counts no CPU. A pod that
fits nowhere says so in its PodScheduled condition and is tried again when a node or another pod changes.
https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.log import logger
from ropewalk.kube.kinds.core.pod_status import condition, set_condition
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.api import Api, ObjectChange
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, copied, labels_of, metadata, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.runtime.controller import DONE, Controller, Result

log = logger(__name__)

PODS = GroupResource("", "pods")
NODES = GroupResource("", "nodes")
SCHEDULER = "default-scheduler"
_FINISHED = ("Succeeded", "Failed")
_UNSCHEDULABLE = "node(s) were unschedulable"
_SELECTOR = "node(s) didn't match Pod's node affinity/selector"
_FULL = "Too many pods"


class Binder:
    """A `Runnable`."""

    name = "simulated-binder"

    def __init__(self, api: Api, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._clock = clock
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy, workers=4)
        self._turn = 0
        self._homeless: set[str] = set()
        self._placed: dict[str, str] = {}
        """Node by pod uid, those bound a moment ago included: the cache may lag behind our own bindings."""
        self._load: Counter[str] = Counter()

    async def run(self) -> None:
        pods, nodes = self._api.cache(PODS), self._api.cache(NODES)
        await pods.synced()
        await nodes.synced()
        pods.on_change(self._pod_changed)
        nodes.on_change(lambda change: self._retry())
        await self._controller.run()

    def _pod_changed(self, change: ObjectChange) -> None:
        pod = change.present
        key = f"{namespace_of(pod)}/{name_of(pod)}"
        node = at(pod, "spec", "nodeName")
        if change.new is None or at(pod, "status", "phase") in _FINISHED:
            self._homeless.discard(key)
            self._place(uid_of(pod), "")
            if node:
                self._retry()
        elif node:
            self._homeless.discard(key)
            self._place(uid_of(pod), node)
        elif _wants_a_node(pod):
            self._controller.enqueue(key)

    def _place(self, uid: str, node: str) -> None:
        former = self._placed.pop(uid, "")
        if former:
            self._load[former] -= 1
        if node:
            self._placed[uid] = node
            self._load[node] += 1

    def _retry(self) -> None:
        for key in self._homeless:
            self._controller.enqueue(key)

    async def _reconcile(self, key: str) -> Result:
        namespace, _, name = key.partition("/")
        pod = self._api.cache(PODS).get(namespace, name)
        if pod is None or not _wants_a_node(pod) or uid_of(pod) in self._placed:
            self._homeless.discard(key)
            return DONE
        node, reasons = self._choose(pod, self._api.cache(NODES).all())
        try:
            if node:
                await self._bind(pod, node)
            else:
                self._homeless.add(key)
                await self._tell(pod, reasons)
        except StatusFault as fault:
            if fault.reason not in ("NotFound", "Conflict"):
                raise
            log.debug("a pod was not bound", pod=key, reason=fault.message)
        return DONE

    def _choose(self, pod: Object, nodes: list[Object]) -> tuple[str, Counter[str]]:
        """The next node in turn that takes the pod; else why each does not."""
        reasons: Counter[str] = Counter()
        for step in range(len(nodes)):
            node = nodes[(self._turn + step) % len(nodes)]
            why = objection(pod, node, self._load[name_of(node)])
            if not why:
                self._turn = (self._turn + step + 1) % len(nodes)
                return name_of(node), reasons
            reasons[why] += 1
        return "", reasons

    async def _bind(self, pod: Object, node: str) -> None:
        self._place(uid_of(pod), node)
        meta = {"name": name_of(pod), "namespace": namespace_of(pod), "uid": uid_of(pod)}
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": target}
        try:
            await self._api.create(PODS, binding, namespace=namespace_of(pod), subresource="binding", name=name_of(pod))
        except BaseException:
            self._place(uid_of(pod), "")
            raise

    async def _tell(self, pod: Object, reasons: Counter[str]) -> None:
        total = reasons.total()
        text = ", ".join(f"{count} {why}" for why, count in sorted(reasons.items()))
        message = f"0/{total} nodes are available: {text}." if total else "no nodes available to schedule pods"
        wanted = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        present = condition(pod.get("status") or {}, "PodScheduled") or {}
        if present.items() >= wanted.items():
            return
        status = {"conditions": copied(at(pod, "status", "conditions") or [])}
        set_condition(status, wanted, times.rfc3339(self._clock.wall()))
        await self._api.patch(PODS, namespace_of(pod), name_of(pod), {"status": status}, subresource="status")


def _wants_a_node(pod: Object) -> bool:
    spec = pod.get("spec") or {}
    return (
        not spec.get("nodeName")
        and spec.get("schedulerName", SCHEDULER) == SCHEDULER
        and not spec.get("schedulingGates")
        and metadata(pod).get("deletionTimestamp") is None
        and at(pod, "status", "phase") not in _FINISHED
    )


def objection(pod: Object, node: Object, load: int) -> str:
    """Why this node does not take the pod, as the scheduler says it; "" where it does. Pure."""
    spec = pod.get("spec") or {}
    tolerations = spec.get("tolerations") or []
    if at(node, "spec", "unschedulable") and not _tolerated(
        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}, tolerations
    ):
        return _UNSCHEDULABLE
    for taint in at(node, "spec", "taints") or ():
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not _tolerated(taint, tolerations):
            return f"node(s) had untolerated taint {{{taint.get('key', '')}: {taint.get('value', '')}}}"
    labels = labels_of(node)
    if any(labels.get(name) != value for name, value in (spec.get("nodeSelector") or {}).items()):
        return _SELECTOR
    required = at(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    if required and not any(_term_matches(term, node) for term in required.get("nodeSelectorTerms") or ()):
        return _SELECTOR
    if load >= int(at(node, "status", "allocatable", "pods") or 0):
        return _FULL
    return ""


def _tolerated(taint: Object, tolerations: Iterable[Object]) -> bool:
    """https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/"""
    for each in tolerations:
        if each.get("effect") and each["effect"] != taint.get("effect"):
            continue
        if each.get("key") and each["key"] != taint.get("key"):
            continue
        if each.get("operator", "Equal") == "Exists" or (
            each.get("key") and each.get("value", "") == taint.get("value", "")
        ):
            return True
    return False


def _term_matches(term: Object, node: Object) -> bool:
    expressions, of_fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not of_fields:
        return False
    labels = labels_of(node)
    return all(_matches(each, labels.get(each["key"])) for each in expressions) and all(
        _matches(each, name_of(node) if each["key"] == "metadata.name" else None) for each in of_fields
    )


def _matches(requirement: Object, value: str | None) -> bool:
    operator, values = requirement.get("operator"), requirement.get("values") or []
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    try:
        held, bound = int(value or ""), int(values[0])
    except (ValueError, IndexError):
        return False
    return held > bound if operator == "Gt" else held < bound
