"""CRI's answers in the Runtime's words. Pure."""

from __future__ import annotations

import signal
from dataclasses import replace

from ropewalk.node.cri import lowering
from ropewalk.node.cri._generated import cri_pb2 as cri
from ropewalk.node.runtime import ContainerExited, ContainerState, RunState, Sandbox

KILLED = 137
"""128 + SIGKILL."""
_BILLION = 1_000_000_000
_STATES = {
    cri.CONTAINER_CREATED: RunState.CREATED,
    cri.CONTAINER_RUNNING: RunState.RUNNING,
    cri.CONTAINER_EXITED: RunState.EXITED,
}
_UNKNOWN_EXIT = 255
START_ERROR = "StartError"
"""CRI's reason for a container whose process could not be started."""


def signal_number(text: str) -> int:
    """As Docker and images spell signals: "9", "KILL", "SIGKILL", "SIGRTMIN+3". What is none of these is SIGTERM."""
    name, _, offset = text.upper().removeprefix("SIG").partition("+")
    if name.isdigit():
        return int(name)
    number = getattr(signal, f"SIG{name}", signal.SIGTERM)
    return int(number) + (int(offset) if offset.isdigit() else 0)


def sandbox(item: cri.PodSandbox, namespace: str) -> Sandbox:
    owner, uid, name, attempt = lowering.identity(item.labels)
    return Sandbox(
        id=item.id,
        owner=owner,
        uid=uid,
        name=name,
        attempt=attempt,
        ready=item.state == cri.SANDBOX_READY,
        created_at=item.created_at / _BILLION,
        address=item.annotations[lowering.ADDRESS],
        namespace=namespace,
    )


def container(
    status: cri.ContainerStatus, pid: int, seen: ContainerExited | None, killed_by_us: bool
) -> ContainerState:
    """`seen`: the container's exit, where its event came before CRI's status caught up."""
    owner, uid, name, attempt = lowering.identity(status.labels)
    state = _STATES.get(status.state, RunState.UNKNOWN)
    answer = ContainerState(
        id=status.id,
        sandbox=status.labels[lowering.SANDBOX],
        owner=owner,
        uid=uid,
        name=name,
        attempt=attempt,
        state=state,
        pid=pid if state is RunState.RUNNING else 0,
        created_at=status.created_at / _BILLION,
        started_at=status.started_at / _BILLION,
        finished_at=status.finished_at / _BILLION,
        exit_code=_UNKNOWN_EXIT if state is RunState.UNKNOWN else status.exit_code,
        out_of_memory=status.reason == "OOMKilled" and status.exit_code == KILLED and not killed_by_us,
        message=status.message,
    )
    if seen is not None:
        answer = replace(
            answer,
            state=RunState.EXITED,
            pid=0,
            exit_code=seen.exit_code,
            finished_at=seen.finished_at,
            out_of_memory=seen.out_of_memory,
        )
    return answer
