"""The cluster as the planner sees it: caches' changes in, a fleet kept up to date, and word of what may help whom.

Pods that were given a node a moment ago are on the fleet as if they were there (assumed) until the cache says so, or
the binding failed. `foreign` counts the changes that did not come from the scheduler's own plans: a plan is as good as
when it was made for as long as that number is the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from ropewalk.kube.kinds.core.bindings import TOPOLOGY
from ropewalk.kube.kinds.core.pod_status import FINISHED
from ropewalk.kube.machinery import conditions
from ropewalk.kube.machinery.api import ObjectChange
from ropewalk.kube.machinery.objects import Object, at, labels_of, metadata, name_of, namespace_of, uid_of
from ropewalk.kube.scheduler.lowering import machine_of, unit_of
from ropewalk.kube.scheduler.starting import SCHEDULER
from ropewalk.planning.choosing import Planner
from ropewalk.planning.demands import Unit
from ropewalk.planning.fleet import Fleet
from ropewalk.planning.hints import Change, MachineChanged, SpaceChanged, UnitMoved

BY_PREEMPTION = "PreemptionByScheduler"
_DECIDES = ("tolerations", "nodeSelector", "affinity", "topologySpreadConstraints", "schedulingGates", "containers")
"""Of a pending pod's spec: what may change, and may make it fit."""


class Listener(Protocol):
    """Whom it tells."""

    def wanted(self, unit: Unit, pod: Object) -> None:
        """The pod needs a node: it is new, or has changed so that it may fit now."""
        ...

    def gone(self, uid: str) -> None:
        """The pod needs no node, or no longer."""
        ...

    def changed(self, change: Change) -> None:
        """Something that may help others."""
        ...


class Cluster:
    def __init__(self, seed: int, listener: Listener) -> None:
        self.planner = Planner(Fleet(), seed)
        self.foreign = 0
        self.assumed: dict[str, str] = {}
        """Node by uid, of pods whose binding nobody has confirmed yet."""
        self._pods: dict[str, tuple[str, str]] = {}
        self._listener = listener

    @property
    def fleet(self) -> Fleet:
        return self.planner.fleet

    def name_of(self, uid: str) -> tuple[str, str] | None:
        """Namespace and name."""
        return self._pods.get(uid)

    # --- decisions

    def assume(self, unit: Unit, node: str) -> None:
        """As it will be there: with the labels that its binding gives it."""
        self.assumed[unit.id] = node
        slot = self.fleet.slot_of.get(node)
        machine = None if slot is None else self.fleet.machines[slot]
        known = {} if machine is None else machine.attributes
        labels = {label: known[label] for label in TOPOLOGY if label in known}
        self.fleet.add(replace(unit, labels={**unit.labels, **labels}) if labels else unit, node)

    def unassume(self, uid: str) -> None:
        """Its binding failed."""
        if self.assumed.pop(uid, None) is not None:
            unit = self.fleet.drop(uid)
            if unit is not None:
                self.foreign += 1  # others may have been planned near it
                self._listener.changed(UnitMoved(unit, None))

    # --- changes

    def node_changed(self, change: ObjectChange) -> None:
        name = name_of(change.present)
        slot = self.fleet.slot_of.get(name)
        old = None if slot is None else self.fleet.machines[slot]
        new = None if change.new is None else machine_of(change.new)
        if old == new:
            return
        self.foreign += 1
        if new is None:
            self.fleet.remove(name)
        else:
            self.fleet.put(new)
        self._listener.changed(MachineChanged(old, new))

    def namespace_changed(self, change: ObjectChange) -> None:
        labels = None if change.new is None else labels_of(change.new)
        self.fleet.roll.set_space(name_of(change.present), labels)
        if change.old is None or change.new is None or labels_of(change.old) != labels:
            self.foreign += 1
            self._listener.changed(SpaceChanged())

    def pod_changed(self, change: ObjectChange) -> None:
        old, new = change.old, change.new
        if old is not None and new is not None and uid_of(old) != uid_of(new):
            self._left(uid_of(old))  # deleted and made anew between two looks
            old = None
        pod = change.present
        uid = uid_of(pod)
        if new is None or at(new, "status", "phase") in FINISHED:
            self._left(uid)
            return
        self._pods[uid] = (namespace_of(pod), name_of(pod))
        node = at(new, "spec", "nodeName")
        if node:
            self._placed(new, old, node)
        elif not wants_a_node(new):
            self._listener.gone(uid)
            self.planner.withdraw(uid)
        elif uid not in self.assumed:
            self._pending(new, old)

    def _left(self, uid: str) -> None:
        self._pods.pop(uid, None)
        self.assumed.pop(uid, None)
        self.planner.withdraw(uid)
        self._listener.gone(uid)
        unit = self.fleet.drop(uid)
        if unit is not None:
            self.foreign += 1
            self._listener.changed(UnitMoved(unit, None))

    def _placed(self, pod: Object, old: Object | None, node: str) -> None:
        uid = uid_of(pod)
        was_assumed = self.assumed.pop(uid, None)
        self.planner.withdraw(uid)
        self._listener.gone(uid)
        there = self.fleet.unit(uid)
        if there is not None and self.fleet.machine_of(uid) == node:
            if was_assumed is not None:
                self._listener.changed(UnitMoved(None, there))
                if _is_alike(there, pod):
                    return
            elif old is not None and _same(old, pod):
                return
        self.foreign += 1
        unit = unit_of(pod)
        self.fleet.add(unit, node)
        self._listener.changed(UnitMoved(there, unit))

    def _pending(self, pod: Object, old: Object | None) -> None:
        nominated = at(pod, "status", "nominatedNodeName")
        changed = old is None or not _same(old, pod)
        if not changed and not nominated:
            return
        unit = unit_of(pod)
        if nominated:
            self.planner.nominate(unit, nominated)
        if changed:
            self._listener.wanted(unit, pod)

    def forget_assumed(self) -> list[str]:
        """Nobody binds them any more: they are off the fleet. Their uids."""
        given_up = list(self.assumed)
        for uid in given_up:
            self.fleet.drop(uid)
        self.assumed.clear()
        return given_up


def wants_a_node(pod: Object) -> bool:
    spec = pod.get("spec") or {}
    return (
        not spec.get("nodeName")
        and spec.get("schedulerName", SCHEDULER) == SCHEDULER
        and not spec.get("schedulingGates")
        and metadata(pod).get("deletionTimestamp") is None
        and at(pod, "status", "phase") not in FINISHED
    )


def is_preempted(pod: Object) -> bool:
    """It is being stopped to make room for another."""
    found = conditions.find(at(pod, "status", "conditions"), "DisruptionTarget") or {}
    return (
        metadata(pod).get("deletionTimestamp") is not None
        and found.get("status") == "True"
        and found.get("reason") == BY_PREEMPTION
    )


def _same(old: Object, new: Object) -> bool:
    """Nothing has changed that scheduling knows of."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    return (
        labels_of(old) == labels_of(new)
        and metadata(old).get("deletionTimestamp") == metadata(new).get("deletionTimestamp")
        and before.get("nodeName") == after.get("nodeName")
        and before.get("resources") == after.get("resources")
        and all(before.get(step) == after.get(step) for step in _DECIDES)
    )


def _is_alike(unit: Unit, pod: Object) -> bool:
    """The pod is what was assumed."""
    return unit.labels == labels_of(pod) and unit.leaving == (metadata(pod).get("deletionTimestamp") is not None)
