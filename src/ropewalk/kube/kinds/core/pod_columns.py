"""How `kubectl get pods` shows a pod. The status it shows is worked out from the containers', not from the phase alone.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.kube.kinds.core.pod_resources import is_sidecar
from ropewalk.kube.kinds.core.pod_status import FINISHED
from ropewalk.kube.machinery import conditions, times
from ropewalk.kube.machinery.objects import Object, metadata, name_of
from ropewalk.kube.machinery.strategy import Column

NONE = "<none>"
_GATED = "SchedulingGated"
_LOST = "NodeLost"


@dataclass(slots=True)
class Summary:
    reason: str
    ready: int
    total: int
    restarts: int
    last_restart: str
    """RFC 3339, "" where nothing restarted."""


def summary(pod: Object) -> Summary:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    sidecars = {made.get("name") for made in spec.get("initContainers") or () if is_sidecar(made)}
    phase = status.get("phase", "")
    found = Summary(status.get("reason") or phase, 0, len(spec.get("containers") or ()) + len(sidecars), 0, "")
    scheduled = conditions.find(status.get("conditions"), "PodScheduled")
    if scheduled is not None and scheduled.get("reason") == _GATED:
        found.reason = _GATED
    of_sidecars = Summary("", 0, 0, 0, "")
    starting = _look_at_start(spec, status, sidecars, found, of_sidecars)
    initialized = conditions.find(status.get("conditions"), "Initialized")
    if not starting or (initialized is not None and initialized.get("status") == "True"):
        found.restarts, found.last_restart = of_sidecars.restarts, of_sidecars.last_restart
        _look_at_containers(status, found)
    if metadata(pod).get("deletionTimestamp") is not None:
        if status.get("reason") == _LOST:
            found.reason = "Unknown"
        elif phase not in FINISHED:
            found.reason = "Terminating"
    return found


def _look_at_start(
    spec: Object, status: Object, sidecars: set[str | None], found: Summary, of_sidecars: Summary
) -> bool:
    """Init containers, up to the one that is not done; whether there is one."""
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        _count_restarts(container, found)
        is_beside = container.get("name") in sidecars
        if is_beside:
            _count_restarts(container, of_sidecars)
        state = container.get("state") or {}
        ended, waiting = state.get("terminated"), state.get("waiting") or {}
        if ended is not None and ended.get("exitCode", 0) == 0:
            continue
        if is_beside and container.get("started"):
            found.ready += bool(container.get("ready"))
            continue
        if ended is not None:
            found.reason = f"Init:{_end(ended)}"
        elif waiting.get("reason", "PodInitializing") != "PodInitializing":
            found.reason = f"Init:{waiting['reason']}"
        else:
            found.reason = f"Init:{index}/{len(spec.get('initContainers') or ())}"
        return True
    return False


def _look_at_containers(status: Object, found: Summary) -> None:
    running = False
    failure = ""
    for container in reversed(status.get("containerStatuses") or ()):
        _count_restarts(container, found)
        state = container.get("state") or {}
        ended = state.get("terminated")
        if reason := (state.get("waiting") or {}).get("reason"):
            found.reason = reason
        elif ended is not None:
            found.reason = _end(ended)
            if ended.get("exitCode", 0) != 0:
                failure = found.reason
        elif container.get("ready") and state.get("running") is not None:
            running = True
            found.ready += 1
    if found.reason == "Completed":
        ready = conditions.find(status.get("conditions"), "Ready")
        if running and ready is not None and ready.get("status") == "True":
            found.reason = "Running"
        elif failure:
            found.reason = failure
        elif running:
            found.reason = "NotReady"


def _count_restarts(container: Object, found: Summary) -> None:
    found.restarts += container.get("restartCount", 0)
    ended = (container.get("lastState") or {}).get("terminated")
    if ended is not None:
        found.last_restart = max(found.last_restart, ended.get("finishedAt") or "")


def _end(ended: Object) -> str:
    if reason := ended.get("reason"):
        return str(reason)
    if signal := ended.get("signal"):
        return f"Signal:{signal}"
    return f"ExitCode:{ended.get('exitCode', 0)}"


def _restarts(pod: Object, now: float) -> str:
    found = summary(pod)
    if found.restarts and found.last_restart:
        return f"{found.restarts} ({times.age(now, found.last_restart)} ago)"
    return str(found.restarts)


def _ready(pod: Object, now: float) -> str:
    found = summary(pod)
    return f"{found.ready}/{found.total}"


def _readiness_gates(pod: Object, now: float) -> str:
    gates = (pod.get("spec") or {}).get("readinessGates") or ()
    if not gates:
        return NONE
    status = pod.get("status") or {}
    met = 0
    for gate in gates:
        found = conditions.find(status.get("conditions"), gate.get("conditionType", ""))
        met += found is not None and found.get("status") == "True"
    return f"{met}/{len(gates)}"


def pod_ip(pod: Object) -> str:
    addresses = (pod.get("status") or {}).get("podIPs") or ()
    return str(addresses[0].get("ip", "")) if addresses else ""


COLUMNS = (
    Column("Name", lambda pod, now: name_of(pod), format="name", description="Name must be unique within a namespace."),
    Column("Ready", _ready, description="How many of the containers are ready to accept traffic."),
    Column("Status", lambda pod, now: summary(pod).reason, description="What the containers together are doing."),
    Column("Restarts", _restarts, description="How often containers were restarted, and when the last one was."),
    Column(
        "Age",
        lambda pod, now: times.age(now, metadata(pod).get("creationTimestamp", "")),
        description="When the pod was created.",
    ),
    Column("IP", lambda pod, now: pod_ip(pod) or NONE, priority=1, description="The pod's first address."),
    Column(
        "Node",
        lambda pod, now: (pod.get("spec") or {}).get("nodeName") or NONE,
        priority=1,
        description="The node that the pod is bound to.",
    ),
    Column(
        "Nominated Node",
        lambda pod, now: (pod.get("status") or {}).get("nominatedNodeName") or NONE,
        priority=1,
        description="The node where the pod is expected once lower-priority pods have gone.",
    ),
    Column("Readiness Gates", _readiness_gates, priority=1, description="Further conditions that are met."),
)
