"""One container's status in a pod's status, in the kubelet's words. Pure.

The container's former status is an argument: what the agent has not said yet is taken over from it.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-states
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.objects import Object, at, metadata
from ropewalk.kube.pods.lowering import is_sidecar
from ropewalk.model.status import ContainerPhase, ContainerStatus, Health, PastRun, Waiting

UNKNOWN: Object = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was terminated",
}


@dataclass(frozen=True, slots=True)
class Reporter:
    """What every container's status of one pod needs."""

    pod: Object
    runtime: str
    """In front of its containers' ids: "containerd", "fake"."""

    def status(self, given: Object, report: ContainerStatus | None, former: Object) -> Object:
        state, last = self._states(given, report)
        found: Object = {
            "name": given["name"],
            "state": state,
            "lastState": last if last is not None else former.get("lastState") or {},
            "ready": False,
            "started": False,
            "restartCount": report.restarts if report is not None else former.get("restartCount", 0),
            "image": given.get("image", ""),
            "imageID": report.image_digest if report is not None else "",
        }
        if given.get("volumeMounts"):
            found["volumeMounts"] = [_mounted(each) for each in given["volumeMounts"]]
        if report is not None and report.runtime_id:
            found["containerID"] = self._identity(report.runtime_id)
            found["resources"] = given.get("resources") or {}
            if requests := at(given, "resources", "requests"):
                found["allocatedResources"] = requests
        found["started"] = "running" in state and report is not None and report.up
        if is_regular_init(self.pod, given):
            found["ready"] = at(state, "terminated", "exitCode") == 0
        else:
            healthy = "readinessProbe" not in given or (report is not None and report.health is Health.HEALTHY)
            found["ready"] = found["started"] and healthy
        return found

    def _states(self, given: Object, report: ContainerStatus | None) -> tuple[Object, Object | None]:
        """Its state, and how the run before ended: None where the agent does not say."""
        if report is None:
            return {"waiting": self._default()}, None
        before: Object | None = {"terminated": self._past(report.last)} if report.last is not None else None
        if report.phase is ContainerPhase.RUNNING:
            return {"running": {"startedAt": times.rfc3339(report.started_at)}}, before
        if report.phase is ContainerPhase.EXITED and report.exit_code is not None:
            ended: Object = {"terminated": self._past(_run(report), report.not_started)}
            waiting = self._hindrance(given, report) or (self._pause(given, report) if report.next_start_at else None)
            return (ended, before) if waiting is None else ({"waiting": waiting}, ended)
        return {"waiting": self._hindrance(given, report) or self._default()}, before

    def _default(self) -> Object:
        inits = at(self.pod, "spec", "initContainers")
        return {"reason": "PodInitializing" if inits else "ContainerCreating"}

    def _hindrance(self, given: Object, report: ContainerStatus) -> Object | None:
        """What keeps it from its next start."""
        image, why = given.get("image", ""), report.reason
        if report.waiting is Waiting.PULL_FAILED:
            return {"reason": "ErrImagePull", "message": why}
        if report.waiting is Waiting.PULL_DELAYED:
            return {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}": ErrImagePull: {why}'}
        if report.waiting is Waiting.NOT_PULLED:
            return {"reason": "ErrImageNeverPull", "message": why}
        if report.waiting is Waiting.NOT_CREATED:
            return {"reason": "CreateContainerError", "message": why}
        if report.waiting is Waiting.HELD:
            return {"reason": "CreateContainerConfigError", "message": why}
        return None

    def _pause(self, given: Object, report: ContainerStatus) -> Object | None:
        """Until it is started again: at once, and then its end is still what there is to see; or after a pause."""
        pause = report.next_start_at - report.finished_at
        if pause >= 1:
            message = f"back-off {go_duration(pause)} restarting failed container={given['name']} pod={shown(self.pod)}"
            return {"reason": "CrashLoopBackOff", "message": message}
        return {"reason": "RunContainerError", "message": report.reason} if report.not_started else None

    def _identity(self, runtime_id: str) -> str:
        return f"{self.runtime}://{runtime_id}"

    def _past(self, run: PastRun, not_started: bool = False) -> Object:
        if not_started or not run.started_at:
            reason = "StartError"
        else:
            reason = "OOMKilled" if run.out_of_memory else "Completed" if run.exit_code == 0 else "Error"
        found: Object = {"exitCode": run.exit_code, "reason": reason}
        message = run.reason if reason == "StartError" else run.message
        if message:
            found["message"] = message
        if run.started_at and reason != "StartError":
            found["startedAt"] = times.rfc3339(run.started_at)
        if run.finished_at:
            found["finishedAt"] = times.rfc3339(run.finished_at)
        if run.runtime_id:
            found["containerID"] = self._identity(run.runtime_id)
        return found


def _mounted(mount: Object) -> Object:
    """No mount below a read-only one is made read-only with it."""
    found: Object = {"name": mount["name"], "mountPath": mount["mountPath"]}
    return found | ({"readOnly": True, "recursiveReadOnly": "Disabled"} if mount.get("readOnly") else {})


def _run(report: ContainerStatus) -> PastRun:
    return PastRun(
        runtime_id=report.runtime_id,
        exit_code=report.exit_code if report.exit_code is not None else 137,
        reason=report.reason,
        out_of_memory=report.out_of_memory,
        started_at=report.started_at,
        finished_at=report.finished_at,
        message=report.message,
    )


def shown(pod: Object) -> str:
    """A pod as the kubelet names it in messages."""
    meta = metadata(pod)
    return f"{meta.get('name')}_{meta.get('namespace')}({meta.get('uid')})"


def go_duration(seconds: float) -> str:
    """Whole seconds as Go prints a duration: 10s, 2m40s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def is_regular_init(pod: Object, given: Object) -> bool:
    inits: Iterable[Object] = at(pod, "spec", "initContainers") or ()
    return any(each is given for each in inits) and not is_sidecar(given)
