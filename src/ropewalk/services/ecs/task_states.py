"""A task's life cycle as a pure function: what is known of it, in; the task one state further, out.

PROVISIONING → PENDING → ACTIVATING → RUNNING → DEACTIVATING → STOPPING → DEPROVISIONING → STOPPED, never back. Each
call of `advance` moves at most one state, so that every state a task passes is written once and can be seen. `desired`
turns STOPPED when a caller asks for it, when the task could not start, or when the agent reports an end; absence of
news is never an end. Source: docs.aws.amazon.com/AmazonECS/latest/developerguide/task-lifecycle-explanation.html; stop
codes and reasons: …/stopped-task-error-codes.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from ropewalk.model.network import InterfaceClaim
from ropewalk.model.status import ContainerPhase, ContainerStatus, Health, StopCause, WorkloadPhase, WorkloadStatus
from ropewalk.services.ecs.records import Interface, Task, TaskContainer

STATES: Final = (
    "PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED",
)  # fmt: skip

OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
ESSENTIAL_EXITED = "Essential container in task exited"

_ENDED = (WorkloadPhase.STOPPING, WorkloadPhase.STOPPED)
_CONTAINER_STATES: Final = {
    ContainerPhase.PENDING: "PENDING",
    ContainerPhase.CREATED: "PENDING",
    ContainerPhase.RUNNING: "RUNNING",
    ContainerPhase.EXITED: "STOPPED",
}
_HEALTH: Final = {Health.UNKNOWN: "UNKNOWN", Health.HEALTHY: "HEALTHY", Health.UNHEALTHY: "UNHEALTHY"}

_CAUSES: Final = {
    StopCause.REQUESTED: ("UserInitiated", "", "Task stopped by user"),
    StopCause.ESSENTIAL_EXITED: ("EssentialContainerExited", "", ESSENTIAL_EXITED),
    StopCause.COMPLETED: ("EssentialContainerExited", "", ESSENTIAL_EXITED),
    StopCause.START_FAILED: ("TaskFailedToStart", "CannotStartContainerError", "Task failed to start"),
    StopCause.IMAGE_PULL_FAILED: ("TaskFailedToStart", "CannotPullContainerError", "Task failed to start"),
    StopCause.RESOURCE_FAILED: ("TaskFailedToStart", "ResourceInitializationError", "Task failed to start"),
    StopCause.DEPENDENCY_FAILED: ("TaskFailedToStart", "", "Task failed to start"),
    StopCause.REFUSED: ("TaskFailedToStart", "ResourceInitializationError", "Task failed to start"),
    StopCause.STORAGE_EXCEEDED: ("EssentialContainerExited", "", "Task ran out of ephemeral storage"),
    StopCause.DEADLINE_EXCEEDED: ("EssentialContainerExited", "", "Task ran longer than it may"),
    StopCause.UNHEALTHY: ("ServiceSchedulerInitiated", "", "Task failed container health checks"),
    StopCause.MACHINE_LOST: ("InfrastructureHealth", "", "The host that ran the task was lost"),
}
"""Stop code, the error name that a reason of the agent's gets in front, and the text where it gave none."""
_OWN_WORDS: Final = frozenset({StopCause.ESSENTIAL_EXITED, StopCause.COMPLETED, StopCause.UNHEALTHY})
"""Causes for which AWS always answers the same sentence; the containers carry the details."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a task beside its own record."""

    now: float
    claim: InterfaceClaim | None = None
    status: WorkloadStatus | None = None
    failure: str = ""
    """Why it cannot start, found out by the control plane."""
    gone: bool = False
    """No host has it, and none will: its workload was never handed out, or was taken back."""
    released: bool = False
    """Its interface has been given back."""


def advance(task: Task, facts: Facts) -> Task | None:
    """The task as it now is, one version later; None where nothing about it has changed."""
    if task.status == "STOPPED":
        return None
    known = _absorb(task, facts)
    state = _next_state(known, facts)
    if state != known.status:
        known = _enter(known, state, facts)
    return None if known == task else replace(known, version=task.version + 1)


def stop(task: Task, code: str, reason: str, now: float) -> Task:
    """The task with its end asked for, unless that has been done: the first reason stands."""
    if task.desired == "STOPPED":
        return task
    return replace(task, desired="STOPPED", stop_code=code, stopped_reason=reason[:1024], stopping_at=now)


def _absorb(task: Task, facts: Facts) -> Task:
    claim = facts.claim
    if claim is not None and claim.interface and task.interface is None:
        interface = Interface(claim.interface, claim.address, claim.mac, claim.private_dns)
        task = replace(task, interface=interface, attachment_status="ATTACHING")
    if claim is not None and claim.failure and task.interface is None:
        task = stop(task, "TaskFailedToStart", _claim_failure(task, claim), facts.now)
    if facts.failure:
        task = stop(task, "TaskFailedToStart", facts.failure, facts.now)
    if facts.status is not None and facts.status.sequence > task.sequence:
        task = _absorb_status(task, facts.status, facts.now)
    return task


def _claim_failure(task: Task, claim: InterfaceClaim) -> str:
    return (
        "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment disabled "
        f"in subnet '{task.subnet}': {claim.failure}"
    )


def _absorb_status(task: Task, status: WorkloadStatus, now: float) -> Task:
    over = task.status == "DEPROVISIONING"
    containers = tuple(_container(container, status.container(container.name), over) for container in task.containers)
    task = replace(
        task,
        sequence=status.sequence,
        connectivity_at=task.connectivity_at or min(now, status.pull_started_at or now),
        pull_started_at=status.pull_started_at or task.pull_started_at,
        pull_stopped_at=status.pull_stopped_at or task.pull_stopped_at,
        execution_stopped_at=status.execution_stopped_at or task.execution_stopped_at,
        containers=containers,
        health=_task_health(containers),
    )
    if status.phase in _ENDED:
        code, reason = why(status)
        task = stop(task, code, reason, status.stopping_at or now)
        if not task.stop_code and code:
            task = replace(task, stop_code=code, stopped_reason=reason)
    return task


def why(status: WorkloadStatus) -> tuple[str, str]:
    """Stop code and stopped reason of a workload that has ended; empty while its cause is not known."""
    if status.cause not in _CAUSES:
        return "", ""
    code, error, text = _CAUSES[status.cause]
    reason = status.reason
    if not reason or status.cause in _OWN_WORDS:
        return code, text
    if error and not reason.split(":", 1)[0].endswith("Error"):
        reason = f"{error}: {reason}"
    return code, reason[:1024]


def _container(container: TaskContainer, status: ContainerStatus | None, over: bool) -> TaskContainer:
    if status is None:
        return container
    reason = status.reason or (OUT_OF_MEMORY if status.out_of_memory else "")
    return replace(
        container,
        status="STOPPED" if over else _CONTAINER_STATES[status.phase],
        runtime_id=status.runtime_id or container.runtime_id,
        image_digest=status.image_digest or container.image_digest,
        exit_code=status.exit_code,
        reason=reason[:1024],
        health=_HEALTH[status.health] if container.checked else "UNKNOWN",
    )


def _task_health(containers: tuple[TaskContainer, ...]) -> str:
    """UNHEALTHY if any essential container with a check is; HEALTHY if all of them are; else UNKNOWN."""
    checked = [container.health for container in containers if container.checked and container.essential]
    if "UNHEALTHY" in checked:
        return "UNHEALTHY"
    return "HEALTHY" if checked and all(health == "HEALTHY" for health in checked) else "UNKNOWN"


def _next_state(task: Task, facts: Facts) -> str:
    stopping = task.desired == "STOPPED"
    status = facts.status
    match task.status:
        case "PROVISIONING":
            if stopping:
                return "DEPROVISIONING"
            return "PENDING" if task.interface is not None else "PROVISIONING"
        case "PENDING":
            if _prepared(status):
                return "ACTIVATING"
            return "STOPPING" if stopping else "PENDING"
        case "ACTIVATING":
            if _ran(status):
                return "RUNNING"
            return "STOPPING" if stopping else "ACTIVATING"
        case "RUNNING":
            return "DEACTIVATING" if stopping else "RUNNING"
        case "DEACTIVATING":
            return "STOPPING"
        case "STOPPING":
            over = facts.gone or (status is not None and status.phase is WorkloadPhase.STOPPED)
            return "DEPROVISIONING" if over else "STOPPING"
        case _:
            return "STOPPED" if facts.released else "DEPROVISIONING"


def _prepared(status: WorkloadStatus | None) -> bool:
    """Whether the agent has begun to act: pulling, creating, or already further."""
    if status is None:
        return False
    begun = status.phase in (WorkloadPhase.PREPARING, WorkloadPhase.STARTING, WorkloadPhase.RUNNING)
    return begun or status.pull_started_at > 0 or status.started_at > 0


def _ran(status: WorkloadStatus | None) -> bool:
    return status is not None and (status.phase is WorkloadPhase.RUNNING or status.started_at > 0)


def _enter(task: Task, state: str, facts: Facts) -> Task:
    task = replace(task, status=state)
    if state == "ACTIVATING":
        return replace(task, attachment_status="ATTACHED")
    if state == "RUNNING":
        started = facts.status.started_at if facts.status is not None else 0.0
        return replace(task, started_at=started or facts.now)
    if state == "DEPROVISIONING":
        containers = tuple(replace(container, status="STOPPED") for container in task.containers)
        return replace(task, containers=containers, attachment_status="DETACHING")
    if state == "STOPPED":
        return replace(task, stopped_at=facts.now, attachment_status="DELETED")
    return task
