"""The rules of the life cycle that are questions about a state: who may start, who may be stopped, who is restarted.

Pure. Looked up at: Amazon ECS developer guide, "Container dependencies" (a dependant starts when its conditions hold
and is stopped before what it depends on; `startTimeout` counts from the start of the container depended upon) and
"Container definition parameters: health check"; Kubernetes, "Pod lifecycle: container restarts" (back-off 10 s doubling
to 300 s, forgotten after ten minutes of running; the first restart is immediate).
"""

from __future__ import annotations

from enum import Enum

from ropewalk.model.status import ContainerPhase, Health, StopCause
from ropewalk.model.workload import Container, Dependency, ProbeKind, RestartRule, StartCondition, Workload
from ropewalk.planning.lifecycle_records import ContainerState, State

RESTART_BASE = 10.0
RESTART_LIMIT = 300.0
RESTART_FORGET = 600.0
PULL_TRIES = 4
PULL_BASE = 1.0
PULL_FAILED_SHOWN = 1.0
"""How long a failed pull is shown as such before it shows as one that waits for its next try. The kubelet looks again
about a second later."""
STOP_MINIMUM = 2.0
"""What a container is always left to stop in, however late its turn comes; the kubelet's own least."""
SANDBOX_BASE = 0.2
SANDBOX_LIMIT = 5.0
SANDBOX_PATIENCE = 120.0
"""Seconds of transient failures after which a sandbox is given up."""
STORAGE_GRACE = 1.0
"""What a workload that fills the disk is left to stop in, however long it asks for: it goes on writing meanwhile. The
kubelet gives as much to a pod that it evicts for its ephemeral storage."""


class Wait(Enum):
    """How far a dependency is."""

    MET = "met"
    PENDING = "pending"
    TIMED_OUT = "timed-out"
    IMPOSSIBLE = "impossible"
    """It cannot come true any more."""


def dependency(state: State, wanted: Dependency, now: float) -> Wait:
    target = state.container(wanted.container)
    if target is None:
        return Wait.IMPOSSIBLE
    if _met(target, wanted.condition):
        return Wait.MET
    if target.final:
        return Wait.IMPOSSIBLE
    if wanted.timeout and target.started_at and now >= target.started_at + wanted.timeout:
        return Wait.TIMED_OUT
    return Wait.PENDING


def _met(target: ContainerState, condition: StartCondition) -> bool:
    if condition is StartCondition.STARTED:
        return target.was_up
    if condition is StartCondition.COMPLETED:
        return target.final and target.started_at > 0
    if condition is StartCondition.SUCCEEDED:
        return target.final and target.exit_code == 0
    return target.phase is ContainerPhase.RUNNING and target.health is Health.HEALTHY


def dependencies(state: State, container: ContainerState, now: float) -> tuple[Wait, str]:
    """The worst of a container's dependencies, and which container that is.

    A container that was made once was let in: in the same sandbox its restarts do not wait again.
    """
    if container.admitted == state.sandbox_attempt:
        return Wait.MET, ""
    spec = state.workload.container(container.name)
    pending = ""
    for wanted in spec.depends_on:
        found = dependency(state, wanted, now)
        if found in (Wait.IMPOSSIBLE, Wait.TIMED_OUT):
            return found, wanted.container
        if found is Wait.PENDING:
            pending = wanted.container
    if not pending:
        return Wait.MET, ""
    if spec.start_timeout and container.waiting_since and now >= container.waiting_since + spec.start_timeout:
        return Wait.TIMED_OUT, pending
    return Wait.PENDING, pending


def next_dependency_deadline(state: State, container: ContainerState) -> float | None:
    """When a wait of this container times out, if one can."""
    if container.admitted == state.sandbox_attempt:
        return None
    spec = state.workload.container(container.name)
    moments = [
        target.started_at + wanted.timeout
        for wanted in spec.depends_on
        if wanted.timeout
        and (target := state.container(wanted.container)) is not None
        and target.started_at
        and not _met(target, wanted.condition)
    ]
    if spec.start_timeout and container.waiting_since:
        moments.append(container.waiting_since + spec.start_timeout)
    return min(moments, default=None)


def may_stop(state: State, name: str) -> bool:
    """Whether nothing alive depends on it: containers are stopped in the reverse of their start order."""
    return not any(
        other.alive and any(d.container == name for d in state.workload.container(other.name).depends_on)
        for other in state.containers
    )


def stop_deadline(state: State, spec: Container, container: ContainerState) -> float:
    """When a container that is stopped is killed."""
    probe = None if container.failed is None else spec.probe(container.failed)
    patience = spec.stop_timeout if probe is None or probe.stop_timeout is None else probe.stop_timeout
    if not state.ending:
        return container.stop_at + patience
    if state.cause is StopCause.STORAGE_EXCEEDED:
        return container.stop_at + min(patience, STORAGE_GRACE)
    if state.workload.stop_timeout is None:
        return container.stop_at + patience
    whole = max(state.stopping_at + state.workload.stop_timeout, container.stop_at + STOP_MINIMUM)
    return whole if container.failed is None else min(whole, container.stop_at + patience)


def restarts(spec: Container, exit_code: int | None) -> bool:
    if exit_code is not None and any(exit_code in codes for codes in spec.restart_codes):
        return True
    if spec.restart is RestartRule.ALWAYS:
        return True
    return spec.restart is RestartRule.ON_FAILURE and exit_code != 0


def active_until(state: State) -> float | None:
    seconds = state.workload.active_seconds
    return state.accepted_at + seconds if seconds else None


def over(state: State) -> bool:
    """Whether nothing is left to wait for: every container has ended but those that only serve others."""
    pairs = list(zip(state.workload.containers, state.containers, strict=True))
    mains = [container for spec, container in pairs if not spec.background]
    return all(container.final for container in mains or state.containers)


def runs_again(state: State, spec: Container, container: ContainerState) -> bool:
    """Whether a container that has succeeded must do so again in a new sandbox: one that insists has prepared what
    others, which go on, need there.
    """
    if not (spec.insists and container.final and container.exit_code == 0):
        return False
    return any(
        not other.final and Dependency(spec.name, StartCondition.SUCCEEDED) in others.depends_on
        for others, other in zip(state.workload.containers, state.containers, strict=True)
    )


def files_due(state: State) -> list[tuple[str, str]]:
    """(volume, version) of the files that are still to be shown."""
    written = dict(state.written)
    return [
        (volume.name, volume.version)
        for volume in state.workload.volumes
        if volume.kind == "files" and not volume.hold and written.get(volume.name) != volume.version
    ]


def files_shown(state: State) -> bool:
    """Whether every volume of files shows some version of them."""
    written = dict(state.written)
    return all(volume.name in written for volume in state.workload.volumes if volume.kind == "files")


def probes_due(spec: Container, container: ContainerState) -> list[tuple[ProbeKind, float]]:
    """Which probes of a running container go on, and when each is next. A startup probe goes first and alone; none
    goes on where one has failed for good.
    """
    if container.phase is not ContainerPhase.RUNNING or container.stop_at or not container.hooked:
        return []
    kinds = (ProbeKind.READINESS, ProbeKind.LIVENESS) if container.up else (ProbeKind.STARTUP,)
    return [(kind, container.probing(kind).at) for kind in kinds if spec.probe(kind) is not None]


def restart_delay(quick_exits: int) -> float:
    """Seconds before the restart that follows the `quick_exits`-th exit in a row (counted from 1)."""
    if quick_exits <= 1:
        return 0.0
    return min(RESTART_LIMIT, RESTART_BASE * 2.0 ** min(quick_exits - 2, 16))


def retry_delay(failures: int) -> float:
    """Seconds before another try after the `failures`-th in a row (counted from 1) came to nothing."""
    return min(RESTART_LIMIT, RESTART_BASE * 2.0 ** min(max(failures, 1) - 1, 16))


def refusal(workload: Workload) -> str:
    """Why such a workload can never run, or "". Checked before anything is made of it."""
    names = [c.name for c in workload.containers]
    if not names:
        return "it has no containers"
    if len(set(names)) != len(names):
        return "two of its containers have the same name"
    volumes = {v.name for v in workload.volumes}
    for volume in workload.volumes:
        if volume.kind not in ("scratch", "memory", "host", "files"):
            return f"volume {volume.name} is of kind {volume.kind}, which is not known"
    for container in workload.containers:
        for wanted in container.depends_on:
            if wanted.container not in names or wanted.container == container.name:
                return f"container {container.name} depends on {wanted.container}, which is no other container of it"
            healthless = workload.container(wanted.container).health is None
            if wanted.condition is StartCondition.HEALTHY and healthless:
                return f"container {container.name} waits for {wanted.container} to be healthy: it has no health check"
        for mount in container.mounts:
            if mount.volume not in volumes:
                return f"container {container.name} mounts volume {mount.volume}, which is not declared"
    return _cycle(workload)


def _cycle(workload: Workload) -> str:
    left = {c.name: {d.container for d in c.depends_on} for c in workload.containers}
    while left:
        free = [name for name, wants in left.items() if not wants & left.keys()]
        if not free:
            return f"containers {', '.join(sorted(left))} depend on each other in a circle"
        for name in free:
            del left[name]
    return ""
