"""The few changes of a workload's state that all of the life cycle is made of, and the notes it takes on the way."""

from __future__ import annotations

from msgspec.structs import replace

from ropewalk.model.status import ContainerPhase, Note, NoteKind, PastRun, StopCause, WorkloadPhase
from ropewalk.model.workload import ProbeKind
from ropewalk.planning.lifecycle_records import ContainerState, State

NOTES_KEPT = 16
NOTE_TEXT = 1024


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


def note(state: State, kind: NoteKind, container: str, text: str, now: float, probe: ProbeKind | None = None) -> State:
    """Take a note. What was noted before with the same words is counted up and becomes the latest."""
    text = text[:NOTE_TEXT]
    others: list[Note] = []
    same: Note | None = None
    for held in state.notes:
        if (held.kind, held.container, held.text, held.probe) == (kind, container, text, probe):
            same = held
        else:
            others.append(held)
    if same is not None:
        found = replace(same, count=same.count + 1, last=now)
        return replace(state, notes=(*others, found))
    found = Note(state.noted + 1, kind, container, text, probe, 1, now, now)
    return replace(state, notes=(*others[-(NOTES_KEPT - 1) :], found), noted=state.noted + 1)


def stop_one(state: State, name: str, failed: ProbeKind | None, now: float, text: str = "") -> State:
    """Stop one container because a probe or hook of it failed; what its end means is decided when it has ended."""
    container = state.container(name)
    if container is None or state.ending or container.stop_at:
        return state
    state = with_container(state, replace(container, failed=failed, stop_at=now))
    return note(state, NoteKind.STOPPING, name, text, now, failed)


def fresh(container: ContainerState) -> ContainerState:
    """The container as a new run of it begins: how the run before went is kept apart."""
    if container.phase is not ContainerPhase.EXITED:
        return container
    return replace(
        container,
        last=past(container),
        exit_code=None,
        reason="",
        message="",
        out_of_memory=False,
        not_started=False,
        started_at=0.0,
        finished_at=0.0,
    )


def past(container: ContainerState) -> PastRun:
    return PastRun(
        runtime_id=container.runtime_id,
        exit_code=container.exit_code if container.exit_code is not None else 255,
        reason=container.reason,
        out_of_memory=container.out_of_memory,
        started_at=0.0 if container.not_started else container.started_at,
        finished_at=container.finished_at,
        message=container.message,
    )
