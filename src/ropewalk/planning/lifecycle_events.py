"""What each event does to a workload's state, taken alone; `planning/lifecycle.py` draws the consequences.

Events come late, twice and out of order. Those of a container carry the attempt they are about: one of another attempt
is about a process that is gone, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from ropewalk.model.status import ContainerPhase, Health, StopCause, WorkloadPhase
from ropewalk.model.workload import Desire, Workload
from ropewalk.planning import lifecycle_rules as rules
from ropewalk.planning.lifecycle_records import (
    Cleaned,
    ContainerState,
    Created,
    Desired,
    Event,
    Exited,
    LaunchFailed,
    Probed,
    Pulled,
    PullFailed,
    PullStarted,
    SandboxFailed,
    SandboxLost,
    SandboxReady,
    Started,
    State,
    StorageExceeded,
    Unwanted,
)

LOST_EXIT_CODE = 255
"""Of a container whose end nobody saw."""


def with_container(state: State, container: ContainerState) -> State:
    return replace(state, containers=tuple(container if c.name == container.name else c for c in state.containers))


def begin_stop(state: State, cause: StopCause, reason: str, now: float) -> State:
    """Turn towards STOPPED; the first cause stays."""
    if state.ending:
        return state
    return replace(state, phase=WorkloadPhase.STOPPING, cause=cause, reason=reason, stopping_at=now)


def fail_container(state: State, name: str, cause: StopCause, reason: str, now: float) -> State:
    """The container ends without having run; the workload with it where it is essential."""
    container = state.container(name)
    if container is None:
        return state
    state = with_container(
        state, replace(container, phase=ContainerPhase.EXITED, final=True, reason=reason, finished_at=now, pid=0)
    )
    return begin_stop(state, cause, reason, now) if state.workload.container(name).essential else state


def apply(state: State, event: Event, now: float) -> State:
    if isinstance(event, Desired):
        return _desired(state, event.workload, now)
    if state.phase is WorkloadPhase.STOPPED:
        return state
    handler = _HANDLERS.get(type(event))
    return state if handler is None else handler(state, event, now)


# --- the control plane


def _desired(state: State, wanted: Workload, now: float) -> State:
    held = state.workload
    if wanted.uid != held.uid or not wanted.generation.supersedes(held.generation):
        return state
    if wanted.desire is Desire.STOP or state.ending:
        stopped = wanted.stop_reason if wanted.desire is Desire.STOP else held.stop_reason
        desire = Desire.STOP if wanted.desire is Desire.STOP else held.desire
        state = replace(state, workload=replace(held, generation=wanted.generation, desire=desire, stop_reason=stopped))
        return begin_stop(state, StopCause.REQUESTED, wanted.stop_reason, now)
    merged = replace(
        held, generation=wanted.generation, labels=wanted.labels, credentials=wanted.credentials, machine=wanted.machine
    )
    if merged != wanted:
        return replace(state, reason="a change was refused: what a workload runs is fixed when it is first accepted")
    return replace(state, workload=merged, reason="")


def _unwanted(state: State, event: Unwanted, now: float) -> State:
    return begin_stop(state, StopCause.REQUESTED, event.reason, now)


# --- sandbox and images


def _sandbox_ready(state: State, event: SandboxReady, now: float) -> State:
    return replace(
        state, sandbox=event.id, address=event.address or state.address, sandbox_failures=0, sandbox_failed_since=0.0
    )


def _sandbox_failed(state: State, event: SandboxFailed, now: float) -> State:
    if state.ending:
        return state
    since = state.sandbox_failed_since or now
    if not event.transient or now - since >= rules.SANDBOX_PATIENCE:
        return begin_stop(state, StopCause.RESOURCE_FAILED, event.reason, now)
    delay = min(rules.SANDBOX_LIMIT, rules.SANDBOX_BASE * 2.0 ** min(state.sandbox_failures, 10))
    return replace(
        state, sandbox_failures=state.sandbox_failures + 1, sandbox_failed_since=since, sandbox_at=now + delay
    )


def _sandbox_lost(state: State, event: SandboxLost, now: float) -> State:
    for container in state.containers:
        if container.alive:
            lost = Exited(container.name, container.attempt, LOST_EXIT_CODE, now, reason="its sandbox was lost")
            state = _exited(state, lost, now)
    if not state.sandbox:
        return state
    return replace(state, sandbox="", sandbox_attempt=state.sandbox_attempt + 1, sandbox_at=0.0)


def _pull_started(state: State, event: PullStarted, now: float) -> State:
    return state if state.pull_started_at else replace(state, pull_started_at=now)


def _pulled(state: State, event: Pulled, now: float) -> State:
    container = state.container(event.container)
    if container is None or container.pulled:
        return state
    state = with_container(state, replace(container, pulled=True, digest=event.digest, reason=""))
    if all(c.pulled or c.final for c in state.containers):
        state = replace(state, pull_stopped_at=now)
    return state


def _pull_failed(state: State, event: PullFailed, now: float) -> State:
    container = state.container(event.container)
    if container is None or container.pulled or container.final or state.ending:
        return state
    failures = container.pull_failures + 1
    if event.transient and failures < rules.PULL_TRIES:
        delay = rules.PULL_BASE * 2.0 ** (failures - 1)
        return with_container(
            state, replace(container, pull_failures=failures, pull_at=now + delay, reason=event.reason)
        )
    return fail_container(state, event.container, StopCause.IMAGE_PULL_FAILED, event.reason, now)


# --- containers


def _current(state: State, name: str, attempt: int) -> ContainerState | None:
    container = state.container(name)
    return container if container is not None and container.attempt == attempt else None


def _launch_failed(state: State, event: LaunchFailed, now: float) -> State:
    container = _current(state, event.container, event.attempt)
    if container is None or container.final or container.phase is ContainerPhase.RUNNING:
        return state
    if not state.ending and rules.restarts(state.workload.container(event.container), LOST_EXIT_CODE):
        failed = replace(container, created_at=container.created_at or now)
        return with_container(state, _to_restart(failed, now, event.reason))
    return fail_container(state, event.container, StopCause.START_FAILED, event.reason, now)


def _created(state: State, event: Created, now: float) -> State:
    container = _current(state, event.container, event.attempt)
    if container is None or container.final or container.alive:
        return state
    return with_container(
        state,
        replace(container, phase=ContainerPhase.CREATED, runtime_id=event.runtime_id, created_at=now, stop_at=0.0),
    )


def _started(state: State, event: Started, now: float) -> State:
    container = _current(state, event.container, event.attempt)
    if container is None or container.phase is ContainerPhase.RUNNING:
        return state
    if container.final:
        # The exit overtook the start: only the earlier moment is news.
        if not container.started_at or event.at >= container.started_at:
            return state
        return with_container(state, replace(container, started_at=event.at, runtime_id=event.runtime_id))
    health = state.workload.container(event.container).health
    return with_container(
        state,
        replace(
            container,
            phase=ContainerPhase.RUNNING,
            runtime_id=event.runtime_id,
            pid=event.pid,
            created_at=container.created_at or event.at,
            started_at=event.at,
            finished_at=0.0,
            exit_code=None,
            out_of_memory=False,
            reason="",
            health=Health.UNKNOWN,
            probe_failures=0,
            probes=0,
            probe_at=now + health.interval if health else 0.0,
        ),
    )


def _exited(state: State, event: Exited, now: float) -> State:
    container = _current(state, event.container, event.attempt)
    if container is None or container.phase is ContainerPhase.EXITED:
        return state
    ended = replace(
        container,
        phase=ContainerPhase.EXITED,
        pid=0,
        exit_code=event.exit_code,
        out_of_memory=event.out_of_memory,
        reason=event.reason,
        started_at=container.started_at or event.at,
        finished_at=event.at,
        stop_at=0.0,
    )
    again = not state.ending and rules.restarts(state.workload.container(event.container), event.exit_code)
    return with_container(state, _to_restart(ended, now, event.reason) if again else replace(ended, final=True))


def _to_restart(container: ContainerState, now: float, reason: str) -> ContainerState:
    long_run = container.started_at and container.finished_at - container.started_at >= rules.RESTART_FORGET
    quick = 1 if long_run else container.quick_exits + 1
    return replace(
        container,
        phase=ContainerPhase.EXITED,
        reason=reason,
        attempt=container.attempt + 1,
        restarts=container.restarts + 1,
        quick_exits=quick,
        restart_at=now + rules.restart_delay(quick),
    )


def _probed(state: State, event: Probed, now: float) -> State:
    container = _current(state, event.container, event.attempt)
    probe = state.workload.container(event.container).health if container is not None else None
    if container is None or probe is None or container.phase is not ContainerPhase.RUNNING or state.ending:
        return state
    container = replace(container, probes=container.probes + 1, probe_at=now + probe.interval)
    if event.healthy:
        return with_container(state, _health(replace(container, probe_failures=0), Health.HEALTHY, now))
    in_grace = container.health is Health.UNKNOWN and now < container.started_at + probe.grace
    failures = container.probe_failures + (0 if in_grace else 1)
    container = replace(container, probe_failures=min(failures, probe.failures))
    if failures >= probe.failures:
        container = _health(container, Health.UNHEALTHY, now)
    return with_container(state, container)


def _health(container: ContainerState, health: Health, now: float) -> ContainerState:
    return container if container.health is health else replace(container, health=health, health_changed_at=now)


def _storage_exceeded(state: State, event: StorageExceeded, now: float) -> State:
    return begin_stop(state, StopCause.STORAGE_EXCEEDED, event.reason, now)


def _cleaned(state: State, event: Cleaned, now: float) -> State:
    if state.phase is not WorkloadPhase.STOPPING or any(c.alive for c in state.containers):
        return state
    ended = tuple(replace(c, phase=ContainerPhase.EXITED, final=True) for c in state.containers)
    return replace(state, phase=WorkloadPhase.STOPPED, containers=ended, stopped_at=now, sandbox="")


# The table pairs each event's class with the handler of just that class; `Any` stands for that pairing.
_HANDLERS: dict[type, Callable[[State, Any, float], State]] = {
    Unwanted: _unwanted,
    SandboxReady: _sandbox_ready,
    SandboxFailed: _sandbox_failed,
    SandboxLost: _sandbox_lost,
    PullStarted: _pull_started,
    Pulled: _pulled,
    PullFailed: _pull_failed,
    LaunchFailed: _launch_failed,
    Created: _created,
    Started: _started,
    Exited: _exited,
    Probed: _probed,
    StorageExceeded: _storage_exceeded,
    Cleaned: _cleaned,
}
