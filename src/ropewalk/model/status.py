"""What an agent reports about a workload: facts as they happened on the machine, in order, with wall times.

A status is complete (never a difference), and carries a sequence number that grows with every change; the control plane
takes the highest and acknowledges it, the agent resends until then.
"""

from __future__ import annotations

from enum import Enum

from ropewalk.model.ids import WorkloadUid
from ropewalk.model.workload import Generation, ProbeKind, Record


class ContainerPhase(Enum):
    PENDING = "pending"
    """Not yet created: waiting for its image, its volumes or another container."""
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


class Health(Enum):
    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class WorkloadPhase(Enum):
    ACCEPTED = "accepted"
    """In the agent's journal; nothing made yet."""
    PREPARING = "preparing"
    """Sandbox, interface, volumes and images on the way."""
    STARTING = "starting"
    """Containers are being started in their order."""
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    """Nothing of it is left on the machine but its logs and this record."""


class StopCause(Enum):
    """Why a workload stopped, in general terms; each family has its own words for them."""

    NONE = ""
    REQUESTED = "requested"
    ESSENTIAL_EXITED = "essential-exited"
    COMPLETED = "completed"
    """Every container ended by itself."""
    START_FAILED = "start-failed"
    IMAGE_PULL_FAILED = "image-pull-failed"
    RESOURCE_FAILED = "resource-failed"
    """Sandbox, interface, volume, log group or secret could not be had."""
    UNHEALTHY = "unhealthy"
    STORAGE_EXCEEDED = "storage-exceeded"
    """It holds more of the machine's disk than it may; `reason` says how much."""
    DEADLINE_EXCEEDED = "deadline-exceeded"
    """It was active longer than it may be."""
    DEPENDENCY_FAILED = "dependency-failed"
    REFUSED = "refused"
    """The agent cannot run such a workload; `reason` says why."""
    MACHINE_LOST = "machine-lost"


class Waiting(Enum):
    """What a container that does not run waits for, beside others' starts and its own next turn."""

    NOTHING = ""
    PULL_FAILED = "pull-failed"
    """Its image could not be had just now."""
    PULL_DELAYED = "pull-delayed"
    """The same, and the next try is yet to come."""
    NOT_PULLED = "not-pulled"
    """Its image is not on the machine and may not be asked for."""
    NOT_CREATED = "not-created"
    """It could not be made as described."""
    HELD = "held"
    """Its control plane holds it back, or its own rules do."""


class PastRun(Record, frozen=True):
    """How a run of a container went that another has followed."""

    runtime_id: str = ""
    exit_code: int = 0
    reason: str = ""
    out_of_memory: bool = False
    started_at: float = 0.0
    """0: it never came to run."""
    finished_at: float = 0.0
    message: str = ""
    """Its last words."""


class NoteKind(Enum):
    """What happened that no state shows afterwards."""

    PROBE_FAILED = "probe-failed"
    PROBE_WARNED = "probe-warned"
    """It succeeded, with something to say."""
    STOPPING = "stopping"
    """The container is stopped: with `probe`, because that failed; with `text`, because its first hook did; else
    because its workload ends.
    """
    RESTART_DELAYED = "restart-delayed"
    PULL_FAILED = "pull-failed"
    PULL_DELAYED = "pull-delayed"
    NOT_PULLED = "not-pulled"
    NOT_MOUNTED = "not-mounted"
    """`text`: the volume and, behind a colon, why."""
    NOT_SANDBOXED = "not-sandboxed"
    NOT_CREATED = "not-created"
    NOT_STARTED = "not-started"
    START_HOOK_FAILED = "start-hook-failed"
    STOP_HOOK_FAILED = "stop-hook-failed"


class Note(Record, frozen=True):
    """Something that happened `count` times. Told with the status, the latest few; repeats only raise the count."""

    id: int
    """Unique within the workload, growing."""
    kind: NoteKind
    container: str
    text: str = ""
    probe: ProbeKind | None = None
    count: int = 1
    first: float = 0.0
    last: float = 0.0


class ContainerStatus(Record, frozen=True):
    name: str
    phase: ContainerPhase = ContainerPhase.PENDING
    runtime_id: str = ""
    image_digest: str = ""
    pid: int = 0
    exit_code: int | None = None
    reason: str = ""
    """As the families print it: "OutOfMemoryError: container killed due to memory usage", …"""
    out_of_memory: bool = False
    health: Health = Health.UNKNOWN
    health_changed_at: float = 0.0
    restarts: int = 0
    created_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    up: bool = False
    """Runs, and its startup probe (where it has one) has succeeded in this run."""
    waiting: Waiting = Waiting.NOTHING
    """`reason` says more."""
    not_started: bool = False
    """EXITED without having run: the runtime could not start it."""
    message: str = ""
    """EXITED: its last words."""
    next_start_at: float = 0.0
    """EXITED, and to be started again then; 0 where it will not be."""
    last: PastRun | None = None


class WorkloadStatus(Record, frozen=True):
    uid: WorkloadUid
    generation: Generation
    """Of the newest Workload record the agent has accepted."""
    sequence: int
    phase: WorkloadPhase
    containers: tuple[ContainerStatus, ...] = ()
    cause: StopCause = StopCause.NONE
    reason: str = ""
    pull_started_at: float = 0.0
    pull_stopped_at: float = 0.0
    started_at: float = 0.0
    """When the workload was first RUNNING."""
    stopping_at: float = 0.0
    execution_stopped_at: float = 0.0
    """When its last container ended."""
    stopped_at: float = 0.0
    address: str = ""
    sandboxed: bool = False
    """What its containers share (network, hostname) stands."""
    notes: tuple[Note, ...] = ()

    def container(self, name: str) -> ContainerStatus | None:
        return next((c for c in self.containers if c.name == name), None)
