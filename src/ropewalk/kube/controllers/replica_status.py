"""The status of a replica set or replication controller, from its pods. Pure.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/replica-set-v1/#ReplicaSetStatus
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.controllers.pod_book import PodSeen
from ropewalk.kube.machinery import conditions, times
from ropewalk.kube.machinery.objects import Object, at, labels_of, metadata

FAILURE = "ReplicaFailure"
COUNTS = ("fullyLabeledReplicas", "readyReplicas", "availableReplicas")


def is_available(pod: PodSeen, min_ready_seconds: int, now: float) -> bool:
    """Ready for long enough."""
    if not pod.is_ready:
        return False
    if not min_ready_seconds:
        return True
    return bool(pod.ready_since) and times.parse(pod.ready_since) + min_ready_seconds <= now


def next_availability(pods: Sequence[PodSeen], min_ready_seconds: int, now: float) -> float | None:
    """Seconds until the next of them becomes available; None where none is on the way."""
    waits = [
        times.parse(pod.ready_since) + min_ready_seconds - now
        for pod in pods
        if pod.ready_since and not is_available(pod, min_ready_seconds, now)
    ]
    return min(waits, default=None)


def replica_status(
    controller: Object, active: Sequence[PodSeen], terminating: int | None, failure: str, now: float
) -> Object:
    """`terminating`: how many are on their way out, None for kinds that do not tell. `failure`: why not all pods were
    made or deleted, "" where they were.
    """
    spec, before = controller.get("spec") or {}, controller.get("status") or {}
    least, wanted = spec.get("minReadySeconds", 0), labels_of(spec.get("template") or {}).items()
    figures = (
        sum(pod.labels.items() >= wanted for pod in active),
        sum(pod.is_ready for pod in active),
        sum(is_available(pod, least, now) for pod in active),
    )
    status: Object = {"replicas": len(active)}
    status |= {name: figure for name, figure in zip(COUNTS, figures, strict=True) if figure}
    if terminating is not None:
        status["terminatingReplicas"] = terminating
    generation = metadata(controller).get("generation", 0)
    if generation:
        status["observedGeneration"] = generation
    told = _conditions(before.get("conditions"), len(active) - spec.get("replicas", 1), failure, now)
    if told:
        status["conditions"] = told
    return status


def _conditions(before: Sequence[Object] | None, surplus: int, failure: str, now: float) -> list[Object]:
    present = conditions.find(before, FAILURE)
    if failure and present is None:
        reason = "FailedCreate" if surplus < 0 else "FailedDelete"
        stamp = times.rfc3339(now)
        made = {"type": FAILURE, "status": "True", "lastTransitionTime": stamp, "reason": reason, "message": failure}
        return conditions.replaced(before, made)
    return conditions.without(before, FAILURE) if not failure else list(before or ())


def is_told(controller: Object, status: Object) -> bool:
    """Nothing in it is new."""
    before = at(controller, "status") or {}
    names = ("replicas", *COUNTS, "observedGeneration")
    return (
        all(before.get(name, 0) == status.get(name, 0) for name in names)
        and before.get("terminatingReplicas") == status.get("terminatingReplicas")
        and (before.get("conditions") or []) == (status.get("conditions") or [])
    )
