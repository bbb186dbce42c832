"""What each event does to a workload's state, taken alone; `planning/lifecycle.py` draws the consequences.

Events come late, twice and out of order. Those of a container carry the attempt they are about: one of another attempt
is about a process that is gone, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from ropewalk.model.status import ContainerPhase, NoteKind, StopCause, Waiting, WorkloadPhase
from ropewalk.model.workload import Desire, Workload
from ropewalk.planning import lifecycle_probes as probes
from ropewalk.planning import lifecycle_rules as rules
from ropewalk.planning.lifecycle_changes import begin_stop, fail_container, fresh, note, with_container
from ropewalk.planning.lifecycle_records import (
    Cleaned,
    ContainerState,
    Created,
    Desired,
    Event,
    Exited,
    FilesWritten,
    HookEnded,
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
from ropewalk.planning.lifecycle_updates import updated

LOST_EXIT_CODE = 255
"""Of a container whose end nobody saw."""
NOT_STARTED_EXIT_CODE = 128
"""Of one that the runtime could not start, as containerd has it."""


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
        within = wanted.stop_timeout if wanted.desire is Desire.STOP else held.stop_timeout
        state = replace(
            state,
            workload=replace(
                held, generation=wanted.generation, desire=desire, stop_reason=stopped, stop_timeout=within
            ),
        )
        return begin_stop(state, StopCause.REQUESTED, wanted.stop_reason, now)
    merged = updated(held, wanted)
    if merged is None:
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
    state = note(state, NoteKind.NOT_SANDBOXED, "", event.reason, now)
    patient = any(container.insists for container in state.workload.containers)
    if not patient and (not event.transient or now - since >= rules.SANDBOX_PATIENCE):
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
    for spec, container in zip(state.workload.containers, state.containers, strict=True):
        if not state.ending and rules.runs_again(state, spec, container):
            again = replace(
                fresh(container),
                phase=ContainerPhase.PENDING,
                final=False,
                was_up=False,
                attempt=container.attempt + 1,
                restarts=container.restarts + 1,
            )
            state = with_container(state, again)
        elif not container.final:
            state = with_container(state, replace(container, was_up=False))
    return replace(state, sandbox="", sandbox_attempt=state.sandbox_attempt + 1, sandbox_at=0.0)


def _pull_started(state: State, event: PullStarted, now: float) -> State:
    return state if state.pull_started_at else replace(state, pull_started_at=now)


def _pulled(state: State, event: Pulled, now: float) -> State:
    container = state.container(event.container)
    if container is None or container.pulled:
        return state
    container = replace(container, pulled=True, digest=event.digest, reason="", waiting=Waiting.NOTHING)
    state = with_container(state, container)
    if all(c.pulled or c.final for c in state.containers):
        state = replace(state, pull_stopped_at=now)
    return state


def _pull_failed(state: State, event: PullFailed, now: float) -> State:
    container = state.container(event.container)
    if container is None or container.pulled or container.final or state.ending:
        return state
    failures = container.pull_failures + 1
    if state.workload.container(event.container).insists:
        kind = NoteKind.NOT_PULLED if event.absent else NoteKind.PULL_FAILED
        state = note(state, kind, event.container, event.reason, now)
        delay = rules.retry_delay(failures)
        waiting = Waiting.NOT_PULLED if event.absent else Waiting.PULL_FAILED
    elif event.transient and failures < rules.PULL_TRIES:
        delay = rules.PULL_BASE * 2.0 ** (failures - 1)
        waiting = Waiting.PULL_FAILED
    else:
        return fail_container(state, event.container, StopCause.IMAGE_PULL_FAILED, event.reason, now)
    container = replace(
        container,
        pull_failures=failures,
        pull_failed_at=now,
        pull_at=now + delay,
        reason=event.reason,
        waiting=waiting,
    )
    return with_container(state, container)


# --- containers


def _current(state: State, name: str, attempt: int) -> ContainerState | None:
    container = state.container(name)
    return container if container is not None and container.attempt == attempt else None


def _launch_failed(state: State, event: LaunchFailed, now: float) -> State:
    container = _current(state, event.container, event.attempt)
    if container is None or container.final or container.phase is ContainerPhase.RUNNING:
        return state
    spec = state.workload.container(event.container)
    if spec.insists and event.created:
        return _not_started(state, container, event.reason, now)
    if spec.insists and not state.ending:
        failures = container.create_failures + 1
        state = note(state, NoteKind.NOT_CREATED, event.container, event.reason, now)
        container = replace(
            container,
            create_failures=failures,
            restart_at=now + rules.retry_delay(failures),
            waiting=Waiting.HELD if event.forbidden else Waiting.NOT_CREATED,
            reason=event.reason if container.phase is ContainerPhase.PENDING else container.reason,
        )
        return with_container(state, container)
    if not state.ending and rules.restarts(spec, LOST_EXIT_CODE):
        failed = replace(container, created_at=container.created_at or now)
        return with_container(state, _to_restart(failed, now, event.reason))
    return fail_container(state, event.container, StopCause.START_FAILED, event.reason, now)


def _not_started(state: State, container: ContainerState, reason: str, now: float) -> State:
    """It was made and could not be started: that counts as a run that ended at once."""
    spec = state.workload.container(container.name)
    state = note(state, NoteKind.NOT_STARTED, container.name, reason, now)
    ended = replace(
        fresh(container),
        phase=ContainerPhase.EXITED,
        pid=0,
        exit_code=NOT_STARTED_EXIT_CODE,
        reason=reason,
        not_started=True,
        created_at=container.created_at or now,
        started_at=now,
        finished_at=now,
        stop_at=0.0,
        waiting=Waiting.NOTHING,
    )
    if state.ending or not rules.restarts(spec, NOT_STARTED_EXIT_CODE):
        return with_container(state, replace(ended, final=True))
    return _restarting(state, ended, reason, now)


def _created(state: State, event: Created, now: float) -> State:
    container = _current(state, event.container, event.attempt)
    if container is None or container.final or container.alive:
        return state
    container = fresh(container)
    return with_container(
        state,
        replace(
            container,
            phase=ContainerPhase.CREATED,
            admitted=state.sandbox_attempt,
            runtime_id=event.runtime_id,
            created_at=now,
            stop_at=0.0,
            waiting=Waiting.NOTHING,
            create_failures=0,
        ),
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
    container = replace(
        fresh(container),
        phase=ContainerPhase.RUNNING,
        admitted=state.sandbox_attempt,
        runtime_id=event.runtime_id,
        pid=event.pid,
        created_at=container.created_at or event.at,
        started_at=event.at,
        finished_at=0.0,
        exit_code=None,
        out_of_memory=False,
        reason="",
        waiting=Waiting.NOTHING,
        create_failures=0,
    )
    return with_container(state, probes.begun(state.workload.container(event.container), container, now))


def _exited(state: State, event: Exited, now: float) -> State:
    container = _current(state, event.container, event.attempt)
    if container is None or container.phase is ContainerPhase.EXITED:
        return state
    spec = state.workload.container(event.container)
    ended = replace(
        container,
        phase=ContainerPhase.EXITED,
        pid=0,
        exit_code=event.exit_code,
        out_of_memory=event.out_of_memory,
        reason=event.reason,
        message=event.message,
        started_at=container.started_at or event.at,
        finished_at=event.at,
        stop_at=0.0,
        up=False,
        was_up=container.was_up or (spec.startup is None and spec.after_start is None),
        failed=None,
    )
    if state.ending or not rules.restarts(spec, event.exit_code):
        return with_container(state, replace(ended, final=True))
    return _restarting(state, ended, event.reason, now)


def _restarting(state: State, ended: ContainerState, reason: str, now: float) -> State:
    again = _to_restart(ended, now, reason)
    state = with_container(state, again)
    return note(state, NoteKind.RESTART_DELAYED, ended.name, "", now) if again.restart_at > now else state


def _to_restart(container: ContainerState, now: float, reason: str) -> ContainerState:
    """Count the exit and wait; a long run before it wipes the slate clean."""
    ran = container.finished_at - container.started_at if container.started_at else 0.0
    quick = 1 if ran >= rules.RESTART_FORGET else container.quick_exits + 1
    return replace(
        container,
        phase=ContainerPhase.EXITED,
        reason=reason,
        attempt=container.attempt + 1,
        restarts=container.restarts + 1,
        quick_exits=quick,
        restart_at=now + rules.restart_delay(quick),
    )


def _files_written(state: State, event: FilesWritten, now: float) -> State:
    if event.failure:
        return note(state, NoteKind.NOT_MOUNTED, "", f"{event.volume}: {event.failure}", now)
    others = tuple(pair for pair in state.written if pair[0] != event.volume)
    return replace(state, written=(*others, (event.volume, event.version)))


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
    FilesWritten: _files_written,
    HookEnded: probes.hook_ended,
    Probed: probes.probed,
    StorageExceeded: _storage_exceeded,
    Cleaned: _cleaned,
}
