"""What happened to a pod on its machine, told as events in the kubelet's words.

`words` is pure. The writer remembers only what it has told; after a restart it tells again, under the same names, so
that nothing appears twice. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from ropewalk.base.log import logger
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.pods.container_states import shown
from ropewalk.kube.pods.lowering import restart_rule
from ropewalk.model.status import Note, NoteKind, WorkloadStatus
from ropewalk.model.workload import ProbeKind, RestartRule

log = logger(__name__)

EVENTS = GroupResource("", "events")
_PROBES = {ProbeKind.READINESS: "Readiness", ProbeKind.LIVENESS: "Liveness", ProbeKind.STARTUP: "Startup"}


class Words(NamedTuple):
    kind: str
    """"Normal" or "Warning"."""
    reason: str
    message: str


def words(pod: Object, note: Note) -> Words:
    name, text = note.container, note.text
    probe = _PROBES.get(note.probe, "") if note.probe is not None else ""
    match note.kind:
        case NoteKind.PROBE_FAILED:
            return Words("Warning", "Unhealthy", f"{probe} probe failed: {text}")
        case NoteKind.PROBE_WARNED:
            return Words("Warning", "ProbeWarning", f"{probe} probe warning: {text}")
        case NoteKind.STOPPING:
            return Words("Normal", "Killing", _why_stopped(pod, note, probe))
        case NoteKind.RESTART_DELAYED:
            return Words("Warning", "BackOff", f"Back-off restarting failed container {name} in pod {shown(pod)}")
        case NoteKind.PULL_FAILED:
            return Words("Warning", "Failed", f'Failed to pull image "{_image(pod, name)}": {text}')
        case NoteKind.PULL_DELAYED:
            return Words("Normal", "BackOff", f'Back-off pulling image "{_image(pod, name)}"')
        case NoteKind.NOT_PULLED:
            return Words("Warning", "ErrImageNeverPull", text)
        case NoteKind.NOT_MOUNTED:
            volume, _, why = text.partition(": ")
            return Words("Warning", "FailedMount", f'MountVolume.SetUp failed for volume "{volume}" : {why}')
        case NoteKind.NOT_SANDBOXED:
            return Words("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {text}")
        case NoteKind.START_HOOK_FAILED:
            return Words("Warning", "FailedPostStartHook", "PostStartHook failed")
        case NoteKind.STOP_HOOK_FAILED:
            return Words("Warning", "FailedPreStopHook", "PreStopHook failed")
        case NoteKind.NOT_CREATED | NoteKind.NOT_STARTED:
            return Words("Warning", "Failed", f"Error: {text}")


def _why_stopped(pod: Object, note: Note, probe: str) -> str:
    if note.text:
        return "FailedPostStartHook"
    if not probe:
        return f"Stopping container {note.container}"
    role, given = _found(pod, note.container)
    if role == "initContainers":
        return f"Init container {note.container} failed {probe.lower()} probe"
    again = restart_rule(pod.get("spec") or {}, given) is not RestartRule.NEVER
    return f"Container {note.container} failed {probe.lower()} probe" + (", will be restarted" if again else "")


def _found(pod: Object, name: str) -> tuple[str, Object]:
    for role in ("initContainers", "containers"):
        for given in at(pod, "spec", role) or ():
            if given["name"] == name:
                return role, given
    return "", {}


def _image(pod: Object, name: str) -> str:
    return str(_found(pod, name)[1].get("image", ""))


def event(pod: Object, note: Note) -> Object:
    kind, reason, message = words(pod, note)
    node = str(at(pod, "spec", "nodeName") or "")
    about: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": name_of(pod),
        "namespace": namespace_of(pod),
        "uid": uid_of(pod),
    }
    role = _found(pod, note.container)[0]
    if role:
        about["fieldPath"] = f"spec.{role}{{{note.container}}}"
    digest = blake2b(f"{uid_of(pod)}/{note.id}".encode(), digest_size=8).hexdigest()
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name_of(pod)}.{digest}", "namespace": namespace_of(pod)},
        "involvedObject": about,
        "type": kind,
        "reason": reason,
        "message": message[:1024],
        "source": {"component": "kubelet", "host": node},
        "reportingComponent": "kubelet",
        "reportingInstance": node,
        "count": note.count,
        "firstTimestamp": times.rfc3339(note.first),
        "lastTimestamp": times.rfc3339(note.last),
    }


class Happenings:
    """Tells each note once, and again whenever its count has grown."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._told: dict[str, dict[int, int]] = {}

    async def tell(self, pod: Object, status: WorkloadStatus) -> None:
        """Events are news, never state: one that cannot be written is lost."""
        told = self._told.setdefault(uid_of(pod), {}) if status.notes else {}
        for note in status.notes:
            if told.get(note.id, 0) < note.count:
                told[note.id] = note.count
                try:
                    await self._write(event(pod, note))
                except StatusFault as fault:
                    log.debug("an event was not written", pod=name_of(pod), reason=fault.message)

    def forget(self, uid: str) -> None:
        self._told.pop(uid, None)

    async def _write(self, made: Object) -> None:
        namespace, name = made["metadata"]["namespace"], made["metadata"]["name"]
        try:
            await self._api.create(EVENTS, made, namespace=namespace)
        except StatusFault as fault:
            if fault.reason != "AlreadyExists":
                raise
            change = {"count": made["count"], "lastTimestamp": made["lastTimestamp"]}
            await self._api.patch(EVENTS, namespace, name, change)
