"""Which pods go first when there are too many. Pure.

kube-controller-manager's order (`ActivePodsWithRanks`), rule by rule: those without a node, then those not running, not
ready, cheap to delete, doubled up on their nodes, ready for a shorter time, restarted more often, younger. Times count
by their logarithms, so that among pods of like age it is a matter of chance: of the uid.
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#scaling-a-replicaset
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import cmp_to_key

from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.objects import Object, annotations_of, at, metadata, uid_of

COST = "controller.kubernetes.io/pod-deletion-cost"
PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}
LARGEST_COST = 2**31
_COST = re.compile(r"0|[1-9][0-9]*|-[0-9]+", re.ASCII)


def first_to_go(pods: Sequence[Object], related_nodes: Counter[str], count: int, now: float) -> list[Object]:
    """`count` of the pods. `related_nodes` says how many active pods of the same owner's sets each node has."""
    if count >= len(pods):
        return list(pods)

    def compare(one: Object, other: Object) -> int:
        return _compare(one, other, related_nodes, now)

    return sorted(pods, key=cmp_to_key(compare))[:count]


def deletion_cost(pod: Object) -> int:
    """0 where none is given, or nonsense."""
    text = annotations_of(pod).get(COST, "")
    if not _COST.fullmatch(text):
        return 0
    cost = int(text)
    return cost if -LARGEST_COST <= cost < LARGEST_COST else 0


def _compare(one: Object, other: Object, related_nodes: Counter[str], now: float) -> int:
    nodes = [at(pod, "spec", "nodeName") or "" for pod in (one, other)]
    if bool(nodes[0]) != bool(nodes[1]):
        return 1 if nodes[0] else -1
    plain = (
        [PHASES.get(at(pod, "status", "phase") or "Pending", 0) for pod in (one, other)],
        [bool(_ready_since(pod)) for pod in (one, other)],
        [deletion_cost(pod) for pod in (one, other)],
        [-related_nodes[node] for node in nodes],
    )
    for first, second in plain:
        if first != second:
            return -1 if first < second else 1
    return (
        _compare_ages(one, other, _ready_since(one), _ready_since(other), now)
        or _more_first(_restarts(one), _restarts(other))
        or _compare_ages(one, other, _created(one), _created(other), now)
        or (-1 if uid_of(one) < uid_of(other) else 1)
    )


def _compare_ages(one: Object, other: Object, first: str, second: str, now: float) -> int:
    """The later one first; without a time before all others."""
    if first == second:
        return 0
    if not first or not second:
        return -1 if not first else 1
    difference = _logarithm(now - times.parse(first)) - _logarithm(now - times.parse(second))
    if difference:
        return -1 if difference < 0 else 1
    return -1 if uid_of(one) < uid_of(other) else 1


def _logarithm(seconds: float) -> int:
    return int(math.log2(seconds * 1e9)) if seconds > 0 else -1


def _more_first(one: tuple[int, int], other: tuple[int, int]) -> int:
    return 0 if one == other else (-1 if one > other else 1)


def _ready_since(pod: Object) -> str:
    """ "" where it is not ready."""
    for condition in at(pod, "status", "conditions") or ():
        if condition.get("type") == "Ready" and condition.get("status") == "True":
            return condition.get("lastTransitionTime") or "0001-01-01T00:00:00Z"
    return ""


def _created(pod: Object) -> str:
    return str(metadata(pod).get("creationTimestamp") or "")


def _restarts(pod: Object) -> tuple[int, int]:
    """The most of any container, and of any sidecar."""
    sidecars = {
        container["name"]
        for container in at(pod, "spec", "initContainers") or ()
        if container.get("restartPolicy") == "Always"
    }
    regular = [status.get("restartCount", 0) for status in at(pod, "status", "containerStatuses") or ()]
    aside = [
        status.get("restartCount", 0)
        for status in at(pod, "status", "initContainerStatuses") or ()
        if status.get("name") in sidecars
    ]
    return max(regular, default=0), max(aside, default=0)
