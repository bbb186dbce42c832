"""A workload's life on its machine as a pure state machine: `step(state, event, now) -> (state, actions)`.

Level-triggered: `actions` derives everything that is wanted from the state alone, so that an agent which was killed
reads its journal, asks `actions` again and goes on. An action is repeated until an event fulfils it; the agent skips
those already under way. Nothing here reads a clock, a file or a socket; `planning/lifecycle_rules.py` holds the
questions (who may start, who may stop), `planning/lifecycle_records.py` the words.

Two rules stand above all others: a workload that began to stop never runs again, and only `Desired` with desire STOP,
`Unwanted`, or something that its own containers did or that happened to them makes it stop.
"""

from __future__ import annotations

from msgspec.structs import replace

from ropewalk.model.status import (
    ContainerPhase,
    ContainerStatus,
    Health,
    NoteKind,
    StopCause,
    Waiting,
    WorkloadPhase,
    WorkloadStatus,
)
from ropewalk.model.workload import Container, Desire, Endpoints, Workload
from ropewalk.planning import lifecycle_events as events
from ropewalk.planning import lifecycle_probes as probes
from ropewalk.planning import lifecycle_rules as rules
from ropewalk.planning.lifecycle_changes import begin_stop, fail_container, note, with_container
from ropewalk.planning.lifecycle_records import (
    Action,
    Clean,
    ContainerState,
    Event,
    Launch,
    Prepare,
    Pull,
    RunHook,
    RunProbe,
    State,
    Stop,
    WriteFiles,
)


def begin(workload: Workload, now: float) -> State:
    """The state of a workload just accepted. One that can never run begins and ends as REFUSED."""
    state = State(
        workload=workload,
        phase=WorkloadPhase.ACCEPTED,
        containers=tuple(ContainerState(c.name) for c in workload.containers),
        accepted_at=now,
        sequence=max(1, int(now * 1000)),
    )
    if why := rules.refusal(workload):
        return refuse(state, why, now)
    for volume in workload.volumes:
        if volume.hold:
            state = note(state, NoteKind.NOT_MOUNTED, "", f"{volume.name}: {volume.hold}", now)
    if workload.desire is Desire.STOP:
        state = begin_stop(state, StopCause.REQUESTED, workload.stop_reason, now)
    return state


def refuse(state: State, why: str, now: float) -> State:
    """The same workload, STOPPED before anything was made of it."""
    return replace(
        state, phase=WorkloadPhase.STOPPED, cause=StopCause.REFUSED, reason=why, stopping_at=now, stopped_at=now
    )


def tombstone(state: State) -> State:
    """What is kept of a workload that is over: enough to say so again should its record ever come back (from a restored
    backup, say), and nothing that it should not have left behind, such as its environment.
    """
    containers = tuple(Container(name=c.name, image=c.image, essential=c.essential) for c in state.workload.containers)
    bare = replace(
        state.workload,
        containers=containers,
        volumes=(),
        interface=None,
        credentials=(),
        logins=(),
        endpoints=Endpoints(),
    )
    return replace(state, workload=bare)


def step(state: State, event: Event, now: float) -> tuple[State, tuple[Action, ...]]:
    """What the state becomes by `event`, and everything wanted then."""
    after = events.apply(state, event, now)
    if after.phase is not WorkloadPhase.STOPPED:
        after = _settle(after, now)
    if after != state and status(after) != status(state):
        after = replace(after, sequence=max(state.sequence + 1, int(now * 1000)))
    return after, actions(after, now)


def _settle(state: State, now: float) -> State:
    """Draw every consequence of what is known, until nothing changes."""
    for _ in range(2 * len(state.containers) + 4):
        before = state
        state = _stopping(state, now) if state.ending else _living(state, now)
        if state == before:
            break
    return state


def _living(state: State, now: float) -> State:
    if state.phase is WorkloadPhase.ACCEPTED:
        state = replace(state, phase=WorkloadPhase.PREPARING)
    for container in state.containers:
        state = _dependencies(state, container, now)
        if state.ending:
            return state
        if container.waiting is Waiting.PULL_FAILED and now >= container.pull_failed_at + rules.PULL_FAILED_SHOWN:
            state = with_container(state, replace(container, waiting=Waiting.PULL_DELAYED))
            state = note(state, NoteKind.PULL_DELAYED, container.name, "", now)
    for spec, container in zip(state.workload.containers, state.containers, strict=True):
        if spec.essential and container.final:
            why = container.reason or f"essential container {spec.name} exited with code {container.exit_code}"
            return begin_stop(state, StopCause.ESSENTIAL_EXITED, why, now)
    if (deadline := rules.active_until(state)) is not None and now >= deadline:
        return begin_stop(state, StopCause.DEADLINE_EXCEEDED, "it was active longer than it may be", now)
    if rules.over(state):
        return begin_stop(state, StopCause.COMPLETED, "every container has ended", now)
    if state.phase is WorkloadPhase.PREPARING and state.sandbox and any(c.created_at for c in state.containers):
        state = replace(state, phase=WorkloadPhase.STARTING)
    if state.phase is WorkloadPhase.STARTING and all(c.started_at or c.final for c in state.containers):
        state = replace(state, phase=WorkloadPhase.RUNNING, started_at=state.started_at or now)
    return state


def _dependencies(state: State, container: ContainerState, now: float) -> State:
    """Note the wait of a container that only others hold back; end it where its wait is in vain."""
    if container.phase is not ContainerPhase.PENDING or container.final:
        return state
    wait, other = rules.dependencies(state, container, now)
    if wait is rules.Wait.IMPOSSIBLE:
        why = f"container {other}, on which it depends, has ended in another way than asked for"
        return fail_container(state, container.name, StopCause.DEPENDENCY_FAILED, why, now)
    if wait is rules.Wait.TIMED_OUT:
        why = f"container {container.name} waited too long for container {other}"
        state = with_container(state, replace(container, reason=why))
        return begin_stop(state, StopCause.DEPENDENCY_FAILED, why, now)
    if wait is rules.Wait.PENDING and state.sandbox and container.pulled and not container.waiting_since:
        return with_container(state, replace(container, waiting_since=now))
    return state


def _stopping(state: State, now: float) -> State:
    for container in state.containers:
        if container.alive and not container.stop_at and rules.may_stop(state, container.name):
            state = with_container(state, replace(container, stop_at=now))
            state = note(state, NoteKind.STOPPING, container.name, "", now)
    if not state.execution_stopped_at and not any(c.alive for c in state.containers):
        ended = max((c.finished_at for c in state.containers), default=0.0)
        if ended:
            state = replace(state, execution_stopped_at=ended)
    return state


def actions(state: State, now: float) -> tuple[Action, ...]:
    """Everything wanted in this state at this moment, in the order it is best begun."""
    if state.phase is WorkloadPhase.STOPPED:
        return ()
    if state.phase is WorkloadPhase.STOPPING:
        return _stop_actions(state)
    wanted: list[Action] = [WriteFiles(volume, version) for volume, version in rules.files_due(state)]
    if not rules.files_shown(state):
        return tuple(wanted)
    if not state.sandbox and now >= state.sandbox_at:
        wanted.append(Prepare(state.sandbox_attempt, state.sandbox_failures))
    for spec, container in zip(state.workload.containers, state.containers, strict=True):
        if container.final:
            continue
        if not container.pulled:
            if now >= container.pull_at:
                wanted.append(Pull(container.name, container.pull_failures))
        elif not state.sandbox:
            continue
        elif container.alive and container.stop_at:
            wanted.append(_stop(state, spec, container))
        elif container.phase is ContainerPhase.RUNNING and not container.hooked:
            wanted.append(RunHook(container.name, container.attempt))
        elif container.phase is ContainerPhase.RUNNING:
            wanted += [
                RunProbe(container.name, container.attempt, container.probing(kind).asked, kind)
                for kind, at in rules.probes_due(spec, container)
                if now >= at
            ]
        elif _may_launch(state, container, now):
            wanted.append(Launch(container.name, container.attempt))
    return tuple(wanted)


def _may_launch(state: State, container: ContainerState, now: float) -> bool:
    if now < container.restart_at or state.workload.container(container.name).hold:
        return False
    return rules.dependencies(state, container, now)[0] is rules.Wait.MET


def _stop_actions(state: State) -> tuple[Action, ...]:
    if not any(c.alive for c in state.containers):
        return (Clean(),)
    return tuple(
        _stop(state, spec, c)
        for spec, c in zip(state.workload.containers, state.containers, strict=True)
        if c.alive and c.stop_at
    )


def _stop(state: State, spec: Container, container: ContainerState) -> Stop:
    deadline = rules.stop_deadline(state, spec, container)
    return Stop(container.name, container.attempt, spec.stop_signal, deadline)


def wake_at(state: State, now: float) -> float | None:
    """When to send the next `Tick`, None where only an event can change anything."""
    if state.ending:
        return None
    moments: list[float] = []
    if (deadline := rules.active_until(state)) is not None:
        moments.append(deadline)
    if not state.sandbox:
        moments.append(state.sandbox_at)
    for spec, container in zip(state.workload.containers, state.containers, strict=True):
        if container.final:
            continue
        if not container.pulled:
            moments.append(container.pull_at)
        if container.waiting is Waiting.PULL_FAILED:
            moments.append(container.pull_failed_at + rules.PULL_FAILED_SHOWN)
        if not container.alive:
            moments.append(container.restart_at)
        elif (probe_at := probes.next_probe(spec, container)) is not None:
            moments.append(probe_at)
        if container.phase is ContainerPhase.PENDING:
            deadline = rules.next_dependency_deadline(state, container)
            if deadline is not None:
                moments.append(deadline)
    return min((moment for moment in moments if moment > now), default=None)


def status(state: State) -> WorkloadStatus:
    """The state as it is reported: facts only, none of the machinery."""
    return WorkloadStatus(
        uid=state.workload.uid,
        generation=state.workload.generation,
        sequence=state.sequence,
        phase=state.phase,
        containers=tuple(
            _container_status(spec, c) for spec, c in zip(state.workload.containers, state.containers, strict=True)
        ),
        cause=state.cause,
        reason=state.reason,
        pull_started_at=state.pull_started_at,
        pull_stopped_at=state.pull_stopped_at,
        started_at=state.started_at,
        stopping_at=state.stopping_at,
        execution_stopped_at=state.execution_stopped_at,
        stopped_at=state.stopped_at,
        address=state.address,
        sandboxed=bool(state.sandbox),
        notes=state.notes,
    )


def _container_status(spec: Container, container: ContainerState) -> ContainerStatus:
    held = bool(spec.hold) and not container.alive and not container.final and container.waiting is Waiting.NOTHING
    return ContainerStatus(
        name=container.name,
        phase=container.phase,
        runtime_id=container.runtime_id,
        image_digest=container.digest,
        pid=container.pid,
        exit_code=container.exit_code,
        reason=spec.hold if held else container.reason,
        out_of_memory=container.out_of_memory,
        health=container.health if container.phase is ContainerPhase.RUNNING else Health.UNKNOWN,
        health_changed_at=container.health_changed_at,
        restarts=container.restarts,
        created_at=container.created_at,
        started_at=container.started_at,
        finished_at=container.finished_at,
        up=container.up and container.phase is ContainerPhase.RUNNING,
        waiting=Waiting.HELD if held else container.waiting,
        not_started=container.not_started,
        message=container.message,
        next_start_at=container.restart_at if container.phase is ContainerPhase.EXITED and not container.final else 0.0,
        last=container.last,
    )
