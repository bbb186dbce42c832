"""A pod's phase from its containers' statuses, by the kubelet's rules. Pure.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.pods.lowering import is_sidecar, restarts_after

FINISHED = ("Succeeded", "Failed")


def phase(pod: Object, statuses: Mapping[str, Object], *, over: bool) -> str:
    """`statuses`: every container's, by name. `over`: nothing of the pod runs or will run."""
    spec = pod.get("spec") or {}
    count: Counter[str] = Counter()
    for given in spec.get("initContainers") or ():
        count.update(_sidecar(statuses[given["name"]]) if is_sidecar(given) else _init(spec, given, statuses))
    mains = spec.get("containers") or ()
    for given in mains:
        count.update(_main(spec, given, statuses[given["name"]]))
    if count["init-failed"]:
        return "Failed"
    initialised = any(has_started(statuses[given["name"]]) for given in mains)
    if count["init-pending"] or (count["sidecar-pending"] and not initialised) or count["waiting"]:
        return "Pending"
    if count["running"]:
        return "Running"
    if count["stopped"] != count["for-good"] and not over:
        return "Running"
    return "Succeeded" if count["stopped"] == count["succeeded"] else "Failed"


def has_started(status: Object) -> bool:
    state = status["state"]
    return "running" in state or "terminated" in state or bool(status.get("lastState"))


def _init(spec: Object, given: Object, statuses: Mapping[str, Object]) -> list[str]:
    status = statuses[given["name"]]
    code = at(status, "state", "terminated", "exitCode")
    if code is None and "waiting" in status["state"]:
        code = at(status, "lastState", "terminated", "exitCode")
    if code is None:
        return ["init-pending"]
    return ["init-failed"] if code != 0 and not restarts_after(spec, given, code) else []


def _sidecar(status: Object) -> list[str]:
    if "running" in status["state"]:
        return ["running"] if status["started"] else ["running", "sidecar-pending"]
    if "waiting" in status["state"] and not status.get("lastState"):
        return ["sidecar-pending", "waiting"]
    return []


def _main(spec: Object, given: Object, status: Object) -> list[str]:
    if "running" in status["state"]:
        return ["running"]
    ended = at(status, "state", "terminated")
    code = (ended or at(status, "lastState", "terminated") or {}).get("exitCode")
    if code is None:
        return ["waiting"]
    found = ["stopped"]
    if not restarts_after(spec, given, code):
        found.append("for-good")
    if ended and code == 0:
        found.append("succeeded")
    return found
