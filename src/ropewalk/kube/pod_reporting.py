"""From a `WorkloadStatus` to a pod's status: a pure function, in the kubelet's words.

The pod's former status is an argument: what the agent no longer knows (how a container's run before this one ended,
when a condition last changed, what others wrote) is taken over from it. Probes are not run on simulated nodes: a
container that runs is started and ready. https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ropewalk.kube.kinds.core.pod_status import condition, set_condition
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.objects import Object, at, copied, metadata
from ropewalk.kube.pod_lowering import is_sidecar, restart_rule
from ropewalk.model.status import ContainerPhase, ContainerStatus, StopCause, WorkloadPhase, WorkloadStatus
from ropewalk.model.workload import RestartRule


@dataclass(frozen=True, slots=True)
class Addresses:
    pod: str
    host: str


def pod_status(pod: Object, workload: WorkloadStatus | None, addresses: Addresses, now: float) -> Object:
    """The whole status as it should stand. `workload` None: the agent has said nothing yet."""
    spec, before = pod.get("spec") or {}, pod.get("status") or {}
    status: Object = copied(before)
    stamp = times.rfc3339(now)
    deleting = metadata(pod).get("deletionTimestamp") is not None
    reports = {report.name: report for report in workload.containers} if workload is not None else {}
    over = workload is not None and workload.phase is WorkloadPhase.STOPPED
    for key, of_spec in (("initContainerStatuses", "initContainers"), ("containerStatuses", "containers")):
        given = spec.get(of_spec) or ()
        if given:
            status[key] = [
                _container(pod, each, reports.get(each["name"]), _former(before, key, each["name"]), over=over)
                for each in given
            ]
    status["phase"] = _phase(pod, status, workload, deleting=deleting)
    _addresses(status, workload, addresses)
    status.setdefault("startTime", stamp)
    if workload is not None and workload.cause is StopCause.REFUSED:
        status["reason"], status["message"] = "UnexpectedAdmissionError", workload.reason
    _conditions(pod, status, workload, stamp)
    generation = metadata(pod).get("generation")
    if generation:
        status["observedGeneration"] = generation
    return status


def waiting_status(pod: Object, addresses: Addresses, container: str, message: str, now: float) -> Object:
    """Of a pod that cannot be lowered: its container waits and says why."""
    status = pod_status(pod, None, addresses, now)
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        if each["name"] == container:
            each["state"] = {"waiting": {"reason": "CreateContainerConfigError", "message": message}}
    return status


def mains_are_over(pod: Object, workload: WorkloadStatus) -> bool:
    """Whether only sidecars are left running: all others have ended, and none will be restarted."""
    spec = pod.get("spec") or {}
    sidecars = [each for each in spec.get("initContainers") or () if is_sidecar(each)]
    if not sidecars or workload.phase in (WorkloadPhase.STOPPING, WorkloadPhase.STOPPED):
        return False
    reports = {report.name: report for report in workload.containers}
    mains = [(each, reports.get(each["name"])) for each in spec.get("containers") or ()]
    return all(
        report is not None and report.phase is ContainerPhase.EXITED and not _restarts(spec, given, report)
        for given, report in mains
    )


# --- containers


def _former(before: Object, key: str, name: str) -> Object:
    return next((each for each in before.get(key) or () if each.get("name") == name), {})


def _container(pod: Object, given: Object, report: ContainerStatus | None, former: Object, *, over: bool) -> Object:
    spec = pod.get("spec") or {}
    identity = f"fake://{report.runtime_id}" if report is not None and report.runtime_id else ""
    found: Object = {
        "name": given["name"],
        "state": _state(pod, given, report, identity, over=over),
        "lastState": former.get("lastState") or {},
        "ready": False,
        "started": False,
        "restartCount": report.restarts if report is not None else former.get("restartCount", 0),
        "image": given.get("image", ""),
        "imageID": report.image_digest if report is not None else "",
    }
    if identity:
        found["containerID"] = identity
    running = "running" in found["state"]
    ended = found["state"].get("terminated")
    init = any(each is given for each in spec.get("initContainers") or ()) and not is_sidecar(given)
    found["started"] = running
    found["ready"] = bool(ended and ended["exitCode"] == 0) if init else running
    found["lastState"] = _last_state(spec, given, report, found, former, identity)
    return found


def _state(pod: Object, given: Object, report: ContainerStatus | None, identity: str, *, over: bool) -> Object:
    spec = pod.get("spec") or {}
    if report is None or report.phase in (ContainerPhase.PENDING, ContainerPhase.CREATED):
        if over:  # it never ran and never will
            return {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": _UNKNOWN}}
        regular = not any(each is given for each in spec.get("initContainers") or ())
        reason = "PodInitializing" if regular and spec.get("initContainers") else "ContainerCreating"
        return {"waiting": {"reason": reason}}
    if report.phase is ContainerPhase.RUNNING:
        return {"running": {"startedAt": times.rfc3339(report.started_at)}}
    if not over and _restarts(spec, given, report):
        message = (
            f"back-off restarting failed container={given['name']}"
            f" pod={metadata(pod).get('name')}_{metadata(pod).get('namespace')}({metadata(pod).get('uid')})"
        )
        return {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
    return {"terminated": _terminated(report, identity)}


_UNKNOWN = "The container could not be located when the pod was terminated"


def _last_state(
    spec: Object, given: Object, report: ContainerStatus | None, found: Object, former: Object, identity: str
) -> Object:
    """How the run before the present one ended, as far as anybody has seen it."""
    if "waiting" in found["state"] and report is not None and report.phase is ContainerPhase.EXITED:
        return {"terminated": _terminated(report, identity)}
    earlier = at(former, "state", "terminated")
    if earlier and found["restartCount"] > former.get("restartCount", 0):
        return {"terminated": earlier}
    kept: Object = former.get("lastState") or {}
    return kept


def _terminated(report: ContainerStatus, identity: str) -> Object:
    code = report.exit_code if report.exit_code is not None else 137
    reason = "OOMKilled" if report.out_of_memory else "Completed" if code == 0 else "Error"
    if not report.runtime_id:
        reason = "StartError"
    found: Object = {"exitCode": code, "reason": reason}
    if reason == "StartError" and report.reason:
        found["message"] = report.reason
    if report.started_at:
        found["startedAt"] = times.rfc3339(report.started_at)
    if report.finished_at:
        found["finishedAt"] = times.rfc3339(report.finished_at)
    if identity:
        found["containerID"] = identity
    return found


def _restarts(spec: Object, given: Object, report: ContainerStatus) -> bool:
    """Whether a container that ended is started again."""
    rule = restart_rule(spec, given)
    return rule is RestartRule.ALWAYS or (rule is RestartRule.ON_FAILURE and report.exit_code != 0)


# --- the pod


def _phase(pod: Object, status: Object, workload: WorkloadStatus | None, *, deleting: bool) -> str:
    former = str(at(pod, "status", "phase") or "Pending")
    if former in ("Succeeded", "Failed"):
        return former
    if workload is None:
        return former
    mains = status.get("containerStatuses") or []
    if workload.phase is WorkloadPhase.STOPPED:
        codes = [at(each, "state", "terminated", "exitCode") for each in mains]
        failed = workload.cause is StopCause.REFUSED or any(codes)
        return "Failed" if failed else "Succeeded"
    if any("running" in each["state"] or each.get("lastState") for each in mains):
        return "Running"
    if mains and all("terminated" in each["state"] for each in mains):
        return "Failed" if any(each["state"]["terminated"]["exitCode"] for each in mains) else "Succeeded"
    if any("terminated" in each["state"] for each in mains):
        return "Running"
    inits = zip(at(pod, "spec", "initContainers") or (), status.get("initContainerStatuses") or (), strict=False)
    never = at(pod, "spec", "restartPolicy") == "Never"
    if never and any(at(each, "state", "terminated", "exitCode") for given, each in inits if not is_sidecar(given)):
        return "Failed"
    return "Pending"


def _addresses(status: Object, workload: WorkloadStatus | None, addresses: Addresses) -> None:
    status["hostIP"], status["hostIPs"] = addresses.host, [{"ip": addresses.host}]
    made = workload is not None and workload.phase not in (WorkloadPhase.ACCEPTED,)
    if made and workload is not None and workload.cause is not StopCause.REFUSED:
        status["podIP"], status["podIPs"] = addresses.pod, [{"ip": addresses.pod}]


def _conditions(pod: Object, status: Object, workload: WorkloadStatus | None, stamp: str) -> None:
    spec = pod.get("spec") or {}
    finished = status["phase"] in ("Succeeded", "Failed")
    inits = list(zip(spec.get("initContainers") or (), status.get("initContainerStatuses") or (), strict=False))
    incomplete = [e["name"] for given, e in inits if not (e["started"] if is_sidecar(given) else e["ready"])]
    mains = status.get("containerStatuses") or []
    unready = [e["name"] for e in (*(e for g, e in inits if is_sidecar(g)), *mains) if not e["ready"]]
    sandbox = workload is not None and workload.phase not in (WorkloadPhase.ACCEPTED, WorkloadPhase.PREPARING)
    found = [_condition("PodReadyToStartContainers", sandbox and not finished)]
    begun = any(e["started"] or "terminated" in e["state"] for e in mains)
    if status["phase"] == "Succeeded":
        found.append(_condition("Initialized", True, "PodCompleted"))
        ready = _condition("Ready", False, "PodCompleted")
    else:
        text = f"containers with incomplete status: [{' '.join(incomplete)}]"
        waits = bool(incomplete) and not begun
        found.append(
            _condition("Initialized", not waits, "ContainersNotInitialized" if waits else "", text if waits else "")
        )
        if finished:
            ready = _condition("Ready", False, "PodFailed")
        else:
            text = f"containers with unready status: [{' '.join(unready)}]" if unready else ""
            ready = _condition("Ready", not unready, "ContainersNotReady" if unready else "", text)
    gates = _missing_gates(spec, status)
    containers_ready = ready | {"type": "ContainersReady"}
    if ready["status"] == "True" and gates:
        ready = _condition("Ready", False, "ReadinessGatesNotReady", gates)
    found += [ready, containers_ready]
    if (condition(status, "PodScheduled") or {}).get("status") != "True":
        found.append(_condition("PodScheduled", True))
    generation = metadata(pod).get("generation")
    for each in found:
        set_condition(status, each | ({"observedGeneration": generation} if generation else {}), stamp)


def _condition(kind: str, holds: object, reason: str = "", message: str = "") -> Object:
    found: Object = {"type": kind, "status": "True" if holds else "False"}
    return found | ({"reason": reason} if reason else {}) | ({"message": message} if message else {})


def _missing_gates(spec: Object, status: Object) -> str:
    lacking: Iterable[str] = (
        gate["conditionType"]
        for gate in spec.get("readinessGates") or ()
        if (condition(status, gate["conditionType"]) or {}).get("status") != "True"
    )
    names = list(lacking)
    return "".join(f'the status of pod readiness gate "{name}" is not "True", but False' for name in names[:1])
