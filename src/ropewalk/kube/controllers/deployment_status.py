"""The status of a deployment, from its replica sets: counts, and whether it is available and gets anywhere. Pure.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.controllers.deployment_revisions import counted, limits_of, replicas_of
from ropewalk.kube.controllers.replica_status import FAILURE
from ropewalk.kube.machinery import conditions, times
from ropewalk.kube.machinery.objects import Object, at, metadata, name_of

AVAILABLE, PROGRESSING = "Available", "Progressing"
TIMED_OUT, COMPLETE, UPDATED = "ProgressDeadlineExceeded", "NewReplicaSetAvailable", "ReplicaSetUpdated"
NO_DEADLINE = 2**31 - 1


def condition(kind: str, status: str, reason: str, message: str, now: float) -> Object:
    stamp = times.rfc3339(now)
    return {
        "type": kind,
        "status": status,
        "lastUpdateTime": stamp,
        "lastTransitionTime": stamp,
        "reason": reason,
        "message": message,
    }


def set_condition(status: Object, new: Object) -> None:
    """In place. The time of transition stays while the status does."""
    present = conditions.find(status.get("conditions"), new["type"])
    if present is not None and present.get("status") == new["status"]:
        new = {**new, "lastTransitionTime": present["lastTransitionTime"]}
    status["conditions"] = conditions.replaced(status.get("conditions"), new)


def has_deadline(deployment: Object) -> bool:
    return at(deployment, "spec", "progressDeadlineSeconds") not in (None, NO_DEADLINE)


def counts(deployment: Object, sets: Sequence[Object], new: Object | None, now: float) -> Object:
    """The counts, and the condition Available; other conditions as they are."""
    before = deployment.get("status") or {}
    available = sum(counted(one, "availableReplicas") for one in sets)
    figures = {
        "observedGeneration": metadata(deployment).get("generation", 0),
        "replicas": sum(counted(one, "replicas") for one in sets),
        "updatedReplicas": counted(new, "replicas") if new is not None else 0,
        "readyReplicas": sum(counted(one, "readyReplicas") for one in sets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(replicas_of(one) for one in sets) - available),
    }
    status: Object = {name: figure for name, figure in figures.items() if figure}
    terminating = _terminating(sets)
    if terminating is not None:
        status["terminatingReplicas"] = terminating
    if "collisionCount" in before:
        status["collisionCount"] = before["collisionCount"]
    status["conditions"] = list(before.get("conditions") or ())
    limits = limits_of(deployment)
    enough = available >= limits.least
    made = (
        ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        if enough
        else ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    )
    set_condition(status, condition(AVAILABLE, *made, now))
    return status


def _terminating(sets: Sequence[Object]) -> int | None:
    """None where a set that was looked after does not tell."""
    told = [at(one, "status", "terminatingReplicas") for one in sets if counted(one, "observedGeneration")]
    return None if None in told else sum(told)


def of_rollout(deployment: Object, sets: Sequence[Object], new: Object | None, now: float) -> Object:
    """The counts, and what is to be said of the progress of a rollout."""
    status = counts(deployment, sets, new, now)
    present = conditions.find(at(deployment, "status", "conditions"), PROGRESSING)
    if not has_deadline(deployment):
        status["conditions"] = conditions.without(status["conditions"], PROGRESSING)
    elif not (present is not None and present.get("reason") == COMPLETE and _is_all_new(status)):
        _tell_progress(deployment, status, present, new, now)
    failure = _failure(sets, new)
    if failure is None:
        status["conditions"] = conditions.without(status["conditions"], FAILURE)
    else:
        set_condition(status, failure)
    return status


def _is_all_new(status: Object) -> bool:
    return bool(status.get("replicas", 0) == status.get("updatedReplicas", 0))


def _tell_progress(deployment: Object, status: Object, present: Object | None, new: Object | None, now: float) -> None:
    about = f'ReplicaSet "{name_of(new)}"' if new is not None else f'Deployment "{name_of(deployment)}"'
    if is_complete(deployment, status):
        text = f"{about} has successfully progressed."
        set_condition(status, condition(PROGRESSING, "True", COMPLETE, text, now))
    elif _made_progress(deployment.get("status") or {}, status):
        made = condition(PROGRESSING, "True", UPDATED, f"{about} is progressing.", now)
        if present is not None and present.get("status") == "True":
            made["lastTransitionTime"] = present["lastTransitionTime"]
        status["conditions"] = [*conditions.without(status["conditions"], PROGRESSING), made]
    elif _is_timed_out(deployment, present, now):
        text = f"{about} has timed out progressing."
        set_condition(status, condition(PROGRESSING, "False", TIMED_OUT, text, now))


def is_complete(deployment: Object, status: Object) -> bool:
    """All its replicas are new and available, and no old ones are left."""
    wanted = replicas_of(deployment)
    names = ("updatedReplicas", "replicas", "availableReplicas")
    return all(status.get(name, 0) == wanted for name in names) and (
        status.get("observedGeneration", 0) >= metadata(deployment).get("generation", 0)
    )


def _made_progress(before: Object, now: Object) -> bool:
    def old(status: Object) -> int:
        return int(status.get("replicas", 0) - status.get("updatedReplicas", 0))

    rising = ("updatedReplicas", "readyReplicas", "availableReplicas")
    return old(now) < old(before) or any(now.get(name, 0) > before.get(name, 0) for name in rising)


def _is_timed_out(deployment: Object, present: Object | None, now: float) -> bool:
    if present is None or present.get("reason") == COMPLETE:
        return False
    if present.get("reason") == TIMED_OUT:
        return True
    return times.parse(present["lastUpdateTime"]) + int(at(deployment, "spec", "progressDeadlineSeconds")) < now


def _failure(sets: Sequence[Object], new: Object | None) -> Object | None:
    """What a set says it cannot do; the new one's word first."""
    for one in (*((new,) if new is not None else ()), *sets):
        found = conditions.find(at(one, "status", "conditions"), FAILURE)
        if found is not None:
            return {**found, "lastUpdateTime": found["lastTransitionTime"]}
    return None


def deadline_in(deployment: Object, status: Object, now: float) -> float | None:
    """Seconds after which its progress must be looked at again; None where nothing is to be expected of that."""
    present = conditions.find(at(deployment, "status", "conditions"), PROGRESSING)
    if not has_deadline(deployment) or present is None or present.get("reason") == TIMED_OUT:
        return None
    if is_complete(deployment, status):
        return None
    due = times.parse(present["lastUpdateTime"]) + at(deployment, "spec", "progressDeadlineSeconds")
    return float(max(1.0, due - now + 1.0))
