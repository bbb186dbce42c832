"""What a node's silence and its conditions mean: conditions that become Unknown, taints, and how fast a zone's nodes
may lose their pods. Pure.

https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from ropewalk.kube.machinery import conditions, times
from ropewalk.kube.machinery.objects import Object, at, labels_of, metadata

GRACE_SECONDS, STARTUP_GRACE_SECONDS = 50.0, 60.0
"""Without a sign of life, before a node counts as lost; before its first (--node-monitor-grace-period, -startup-)."""
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
TAINTS = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
"""By which condition in which status a node takes no further pods."""
OWN = frozenset((*TAINTS.values(), UNSCHEDULABLE))
LOST = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"


def ready_status(node: Object) -> str:
    """ "" where it was never told."""
    found = conditions.find(at(node, "status", "conditions"), "Ready")
    return str(found.get("status", "")) if found is not None else ""


def lost_conditions(node: Object, now: float) -> list[Object]:
    """All its conditions, once it has been silent for too long."""
    stamp, made = times.rfc3339(now), list(at(node, "status", "conditions") or ())
    for kind in LOST:
        present = conditions.find(made, kind)
        if present is None:
            never = {
                "type": kind,
                "status": "Unknown",
                "lastHeartbeatTime": metadata(node).get("creationTimestamp"),
                "lastTransitionTime": stamp,
                "reason": "NodeStatusNeverUpdated",
                "message": "Kubelet never posted node status.",
            }
            made.append({key: value for key, value in never.items() if value is not None})
        elif present.get("status") != "Unknown":
            told = {"status": "Unknown", "lastTransitionTime": stamp, "reason": "NodeStatusUnknown"}
            changed = {**present, **told, "message": "Kubelet stopped posting node status."}
            made = [changed if each is present else each for each in made]
    return made


def no_schedule_taints(node: Object) -> set[str]:
    """The keys of taints that keep further pods away."""
    listed = at(node, "status", "conditions") or ()
    found = {TAINTS.get((each.get("type"), each.get("status")), "") for each in listed} - {""}
    return found | ({UNSCHEDULABLE} if at(node, "spec", "unschedulable") else set())


def no_execute_taint(node: Object) -> str:
    """The key of the taint under which its pods go; "" where they stay."""
    return {"False": NOT_READY, "Unknown": UNREACHABLE}.get(ready_status(node), "")


def tainted(node: Object, no_schedule: set[str], no_execute: set[str], now: float) -> list[Object] | None:
    """Its taints, with these and no others of the node controller's. None where they are what they should be."""
    wanted = {(key, "NoSchedule") for key in no_schedule} | {(key, "NoExecute") for key in no_execute}
    before = at(node, "spec", "taints") or []
    kept = [each for each in before if not _is_own(each) or (each.get("key"), each.get("effect")) in wanted]
    there = {(each.get("key"), each.get("effect")) for each in kept}
    added = [{"key": key, "effect": effect, "timeAdded": times.rfc3339(now)} for key, effect in sorted(wanted - there)]
    return None if len(kept) == len(before) and not added else [*kept, *added]


def _is_own(taint: Object) -> bool:
    if taint.get("effect") == "NoExecute":
        return taint.get("key") in (NOT_READY, UNREACHABLE)
    return taint.get("effect") == "NoSchedule" and taint.get("key") in OWN


def zone_of(node: Object) -> str:
    labels = labels_of(node)
    return f"{labels.get(REGION, '')}/{labels.get(ZONE, '')}"


# --- how fast


class ZoneState(Enum):
    NORMAL = "Normal"
    PARTIAL = "PartialDisruption"
    FULL = "FullDisruption"


UNHEALTHY_SHARE, LARGE = 0.55, 50
RATE, SLOW_RATE = 0.1, 0.01
"""Nodes a second whose pods are evicted, in a zone (--node-eviction-rate, --secondary-node-eviction-rate)."""


def zone_state(statuses: Sequence[str]) -> ZoneState:
    """From its nodes' Ready statuses."""
    lost = sum(status != "True" for status in statuses)
    if lost and lost == len(statuses):
        return ZoneState.FULL
    return ZoneState.PARTIAL if lost > 2 and lost / len(statuses) >= UNHEALTHY_SHARE else ZoneState.NORMAL


def rate(state: ZoneState, size: int, *, all_full: bool) -> float:
    """A zone that is half lost is rather cut off than dead: its pods are left alone, or nearly so. Where no node at all
    is ready it is this side that is cut off.
    """
    if all_full:
        return 0.0
    if state is ZoneState.PARTIAL:
        return SLOW_RATE if size > LARGE else 0.0
    return RATE


@dataclass(slots=True)
class Budget:
    """How many nodes of a zone may be evicted now: one at once, then at the zone's rate."""

    left: float = 1.0
    at: float = 0.0
    rate: float = field(default=RATE)

    def refill(self, now: float) -> None:
        self.left = min(1.0, self.left + (now - self.at) * self.rate)
        self.at = now

    def take(self, now: float) -> bool:
        self.refill(now)
        if self.rate <= 0 or self.left < 1.0 - 1e-9:
            return False
        self.left -= 1.0
        return True
