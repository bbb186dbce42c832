"""Probes: when they are asked, what their answers add up to, and what a verdict does.

One count serves every kind and both families. Docker's rules (Amazon ECS health checks): the first check comes one
interval after the start, failures within the grace period do not count until the first success. The kubelet's: the
first comes after `initialDelaySeconds`, a startup probe goes before the others, its failure and a liveness probe's stop
the container. https://kubernetes.io/docs/concepts/workloads/pods/probes/
"""

from __future__ import annotations

from msgspec.structs import replace

from ropewalk.model.status import ContainerPhase, Health, NoteKind
from ropewalk.model.workload import Container, Probe, ProbeKind
from ropewalk.planning import lifecycle_rules as rules
from ropewalk.planning.lifecycle_changes import note, stop_one, with_container
from ropewalk.planning.lifecycle_records import ContainerState, HookEnded, Probed, Probing, State


def begun(spec: Container, container: ContainerState, now: float) -> ContainerState:
    """The container as it has just started: nothing known of its probes; up at once where neither a hook nor a startup
    probe waits.
    """
    container = replace(
        container,
        health=Health.UNKNOWN,
        readiness=Probing(),
        liveness=Probing(),
        startup=Probing(),
        up=False,
        failed=None,
        hooked=False,
    )
    return container if spec.after_start is not None else hooked(spec, container, now)


def hooked(spec: Container, container: ContainerState, now: float) -> ContainerState:
    """Nothing is left to be done after its start: probes begin."""
    container = replace(container, hooked=True)
    if spec.startup is None:
        return up(spec, container, now)
    return replace(container, startup=Probing(at=_first(spec.startup, container, now)))


def hook_ended(state: State, event: HookEnded, now: float) -> State:
    container = state.container(event.container)
    if container is None or container.attempt != event.attempt:
        return state
    if event.before_stop:
        return note(state, NoteKind.STOP_HOOK_FAILED, event.container, event.failure, now) if event.failure else state
    if container.hooked or container.phase is not ContainerPhase.RUNNING:
        return state
    if event.failure:
        state = note(state, NoteKind.START_HOOK_FAILED, event.container, event.failure, now)
        return stop_one(state, event.container, None, now, "hook")
    return with_container(state, hooked(state.workload.container(event.container), container, now))


def up(spec: Container, container: ContainerState, now: float) -> ContainerState:
    """Its other probes begin."""
    return replace(
        container,
        up=True,
        was_up=True,
        readiness=Probing(at=_first(spec.health, container, now)) if spec.health else Probing(),
        liveness=Probing(at=_first(spec.liveness, container, now)) if spec.liveness else Probing(),
    )


def _first(probe: Probe | None, container: ContainerState, now: float) -> float:
    if probe is None:
        return 0.0
    return max(now, container.started_at + (probe.interval if probe.delay is None else probe.delay))


def probed(state: State, event: Probed, now: float) -> State:
    """An answer has come."""
    container = state.container(event.container)
    if container is None or container.attempt != event.attempt or state.ending:
        return state
    spec = state.workload.container(event.container)
    probe = spec.probe(event.kind)
    if probe is None or container.phase is not ContainerPhase.RUNNING or container.stop_at:
        return state
    if (event.kind is ProbeKind.STARTUP) is container.up:
        return state
    if not event.healthy:
        state = note(state, NoteKind.PROBE_FAILED, event.container, event.output, now, event.kind)
    elif event.warning:
        state = note(state, NoteKind.PROBE_WARNED, event.container, event.output, now, event.kind)
    in_grace = container.health is Health.UNKNOWN and now < container.started_at + probe.grace
    probing, verdict = counted(probe, container.probing(event.kind), event.healthy, in_grace=in_grace)
    probing = replace(probing, at=now + probe.interval)
    if event.kind is ProbeKind.STARTUP:
        container = replace(container, startup=probing)
        state = with_container(state, up(spec, container, now) if verdict else container)
    elif event.kind is ProbeKind.LIVENESS:
        state = with_container(state, replace(container, liveness=probing))
    else:
        container = replace(container, readiness=probing)
        if verdict is not None:
            container = _health(container, Health.HEALTHY if verdict else Health.UNHEALTHY, now)
        return with_container(state, container)
    return stop_one(state, event.container, event.kind, now) if verdict is False else state


def counted(probe: Probe, probing: Probing, good: bool, *, in_grace: bool = False) -> tuple[Probing, bool | None]:
    """One more answer, and the verdict where enough of them agree."""
    asked = probing.asked + 1
    if in_grace and not good:
        return replace(probing, asked=asked), None
    needed = probe.successes if good else probe.failures
    same = probing.run > 0 and probing.good is good
    run = min(probing.run + 1, max(needed, 1)) if same else 1
    return replace(probing, asked=asked, run=run, good=good), good if run >= needed else None


def _health(container: ContainerState, health: Health, now: float) -> ContainerState:
    return container if container.health is health else replace(container, health=health, health_changed_at=now)


def next_probe(spec: Container, container: ContainerState) -> float | None:
    return min((at for _, at in rules.probes_due(spec, container)), default=None)
