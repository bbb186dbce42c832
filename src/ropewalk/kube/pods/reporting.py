"""From a `WorkloadStatus` to a pod's status: a pure function, in the kubelet's words.

The pod's former status is an argument: what the agent no longer knows (when a condition last changed, what others
wrote) is taken over from it. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ropewalk.kube.kinds.core.pod_status import set_condition
from ropewalk.kube.machinery import conditions, times
from ropewalk.kube.machinery.objects import Object, at, copied, metadata
from ropewalk.kube.pods.container_states import UNKNOWN, Reporter
from ropewalk.kube.pods.lowering import is_sidecar
from ropewalk.kube.pods.phases import FINISHED, has_started, phase
from ropewalk.model.status import StopCause, WorkloadPhase, WorkloadStatus

DEADLINE = "Pod was active on the node longer than the specified deadline"


@dataclass(frozen=True, slots=True)
class Addresses:
    pod: str
    host: str


def pod_status(
    pod: Object, workload: WorkloadStatus | None, addresses: Addresses, now: float, *, runtime: str = "fake"
) -> Object:
    """The whole status as it should stand. `workload` None: the agent has said nothing yet."""
    spec, before = pod.get("spec") or {}, pod.get("status") or {}
    status: Object = copied(before)
    stamp = times.rfc3339(now)
    reports = {report.name: report for report in workload.containers} if workload is not None else {}
    over = workload is not None and workload.phase is WorkloadPhase.STOPPED
    reporter = Reporter(pod, runtime)
    every: dict[str, Object] = {}
    for key, of_spec in _LISTS:
        given = spec.get(of_spec) or ()
        if given:
            status[key] = [
                reporter.status(each, reports.get(each["name"]), _former(before, key, each["name"])) for each in given
            ]
            every |= {each["name"]: each for each in status[key]}
    status["phase"] = _phase(pod, workload, every, over=over)
    if over:
        _close(spec, status)
    _addresses(status, workload, addresses)
    status.setdefault("startTime", stamp)
    if workload is not None:
        _reason(status, workload)
    _conditions(pod, status, workload, every, stamp)
    generation = metadata(pod).get("generation")
    if generation:
        status["observedGeneration"] = generation
    return status


_LISTS = (("initContainerStatuses", "initContainers"), ("containerStatuses", "containers"))


def waiting_status(pod: Object, addresses: Addresses, container: str, message: str, now: float) -> Object:
    """Of a pod that cannot be lowered: the container says why (all of them, where it is no single one's matter)."""
    status = pod_status(pod, None, addresses, now)
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        if each["name"] == container or not container:
            each["state"] = {"waiting": {"reason": "CreateContainerConfigError", "message": message}}
    return status


def _former(before: Object, key: str, name: str) -> Object:
    return next((each for each in before.get(key) or () if each.get("name") == name), {})


def _phase(pod: Object, workload: WorkloadStatus | None, every: Mapping[str, Object], *, over: bool) -> str:
    former = str(at(pod, "status", "phase") or "Pending")
    if former in FINISHED or workload is None:
        return former
    if over and workload.cause in (StopCause.REFUSED, StopCause.STORAGE_EXCEEDED, StopCause.DEADLINE_EXCEEDED):
        return "Failed"
    found = phase(pod, every, over=over)
    return "Failed" if over and found not in FINISHED else found


def _close(spec: Object, status: Object) -> None:
    """The pod is over: no container of it may be left waiting that the pod had come to."""
    inits = status.get("initContainerStatuses") or []
    mains = status.get("containerStatuses") or []
    if _initialised(spec, inits, mains):
        for each in mains:
            if "terminated" not in each["state"]:
                each["state"] = {"terminated": dict(UNKNOWN)}
    begun = max((n for n, each in enumerate(inits, 1) if "waiting" not in each["state"]), default=min(1, len(inits)))
    for each in inits[:begun]:
        if "terminated" not in each["state"]:
            each["state"] = {"terminated": dict(UNKNOWN)}


def _initialised(spec: Object, inits: list[Object], mains: list[Object]) -> bool:
    if not inits or any(has_started(each) for each in mains):
        return True
    last, given = inits[-1], spec["initContainers"][-1]
    if is_sidecar(given):
        return bool(last["started"])
    return 0 in (at(last, "state", "terminated", "exitCode"), at(last, "lastState", "terminated", "exitCode"))


def _addresses(status: Object, workload: WorkloadStatus | None, addresses: Addresses) -> None:
    status["hostIP"], status["hostIPs"] = addresses.host, [{"ip": addresses.host}]
    if workload is not None and workload.sandboxed:
        status["podIP"], status["podIPs"] = addresses.pod, [{"ip": addresses.pod}]


def _reason(status: Object, workload: WorkloadStatus) -> None:
    if workload.cause is StopCause.REFUSED:
        status["reason"], status["message"] = "UnexpectedAdmissionError", workload.reason
    elif workload.cause is StopCause.DEADLINE_EXCEEDED:
        status["reason"], status["message"] = "DeadlineExceeded", DEADLINE
    elif workload.cause is StopCause.STORAGE_EXCEEDED:
        status["reason"], status["message"] = "Evicted", workload.reason


# --- conditions


def _conditions(
    pod: Object, status: Object, workload: WorkloadStatus | None, every: Mapping[str, Object], stamp: str
) -> None:
    spec = pod.get("spec") or {}
    finished = status["phase"] in FINISHED
    sandboxed = workload is not None and workload.sandboxed and not finished
    containers_ready = _containers_ready(spec, status, every)
    found = [
        _condition("PodReadyToStartContainers", sandboxed),
        _initialized(spec, status, every),
        _ready(spec, status, containers_ready),
        containers_ready,
    ]
    if workload is not None and workload.cause is StopCause.STORAGE_EXCEEDED:
        found.append(_condition("DisruptionTarget", True, "TerminationByKubelet", workload.reason))
    if (conditions.find(status.get("conditions"), "PodScheduled") or {}).get("status") != "True":
        found.append(_condition("PodScheduled", True))
    generation = metadata(pod).get("generation")
    for each in found:
        set_condition(status, each | ({"observedGeneration": generation} if generation else {}), stamp)


def _initialized(spec: Object, status: Object, every: Mapping[str, Object]) -> Object:
    if status["phase"] == "Succeeded":
        return _condition("Initialized", True, "PodCompleted")
    if any(each["started"] or "terminated" in each["state"] for each in status.get("containerStatuses") or ()):
        return _condition("Initialized", True)
    incomplete = [
        given["name"]
        for given in spec.get("initContainers") or ()
        if not every[given["name"]]["started" if is_sidecar(given) else "ready"]
    ]
    if incomplete:
        text = f"containers with incomplete status: [{' '.join(incomplete)}]"
        return _condition("Initialized", False, "ContainersNotInitialized", text)
    return _condition("Initialized", True)


def _containers_ready(spec: Object, status: Object, every: Mapping[str, Object]) -> Object:
    if status["phase"] in FINISHED:
        return _condition("ContainersReady", False, "PodCompleted" if status["phase"] == "Succeeded" else "PodFailed")
    counted = [given for given in spec.get("initContainers") or () if is_sidecar(given)]
    unready = [g["name"] for g in (*counted, *(spec.get("containers") or ())) if not every[g["name"]]["ready"]]
    if unready:
        text = f"containers with unready status: [{' '.join(unready)}]"
        return _condition("ContainersReady", False, "ContainersNotReady", text)
    return _condition("ContainersReady", True)


def _ready(spec: Object, status: Object, containers_ready: Object) -> Object:
    if containers_ready["status"] != "True":
        return containers_ready | {"type": "Ready"}
    lacking: list[str] = []
    for gate in spec.get("readinessGates") or ():
        kind = gate["conditionType"]
        held = conditions.find(status.get("conditions"), kind)
        if held is None:
            lacking.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif held.get("status") != "True":
            lacking.append(f'the status of pod readiness gate "{kind}" is not "True", but {held.get("status")}')
    if lacking:
        return _condition("Ready", False, "ReadinessGatesNotReady", ", ".join(lacking))
    return _condition("Ready", True)


def _condition(kind: str, holds: object, reason: str = "", message: str = "") -> Object:
    found: Object = {"type": kind, "status": "True" if holds else "False"}
    return found | ({"reason": reason} if reason else {}) | ({"message": message} if message else {})
