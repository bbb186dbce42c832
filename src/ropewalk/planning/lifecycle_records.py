"""The words of the workload life cycle: what is remembered, what happens, what is to be done.

State is a record that the agent keeps in its journal, so a restart goes on from it. Events are facts from the runtime,
the probes and the control plane. Actions are wishes: the same wish is repeated with every step until an event fulfils
it, so an action must be harmless when done twice.

Moments are seconds of the agent's wall time.
"""

from __future__ import annotations

from typing import Union

from ropewalk.model.status import ContainerPhase, Health, Note, PastRun, StopCause, Waiting, WorkloadPhase
from ropewalk.model.workload import ProbeKind, Record, Workload


class Probing(Record, frozen=True):
    """How far one probe of a container is, in the present attempt."""

    at: float = 0.0
    """When to ask next."""
    asked: int = 0
    run: int = 0
    """How often in a row the last answer came."""
    good: bool = False
    """The last answer."""


class ContainerState(Record, frozen=True):
    name: str
    phase: ContainerPhase = ContainerPhase.PENDING
    attempt: int = 0
    """Counts the starts; the runtime's container of this attempt is the present one."""
    pulled: bool = False
    digest: str = ""
    pull_failures: int = 0
    pull_failed_at: float = 0.0
    pull_at: float = 0.0
    """Not to be pulled before."""
    waiting: Waiting = Waiting.NOTHING
    create_failures: int = 0
    """In a row."""
    final: bool = False
    """EXITED, and no restart will follow."""
    runtime_id: str = ""
    pid: int = 0
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    out_of_memory: bool = False
    health: Health = Health.UNKNOWN
    health_changed_at: float = 0.0
    readiness: Probing = Probing()
    liveness: Probing = Probing()
    startup: Probing = Probing()
    up: bool = False
    """Runs, and its startup probe (where it has one) has succeeded in this attempt."""
    was_up: bool = False
    """It was so in this attempt or an earlier one."""
    failed: ProbeKind | None = None
    """Whose failure stops it."""
    hooked: bool = False
    """Nothing is left to be done of what is wanted after its start."""
    not_started: bool = False
    """EXITED, because the runtime could not start it."""
    last: PastRun | None = None
    restarts: int = 0
    quick_exits: int = 0
    """Exits in a row without a long run between: what the back-off grows with."""
    restart_at: float = 0.0
    """Not to be made or started again before."""
    admitted: int = -1
    """The attempt of the sandbox in which its dependencies held: there its restarts do not wait for them again."""
    waiting_since: float = 0.0
    """Since when only its dependencies keep it from starting."""
    created_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    stop_at: float = 0.0
    """When its stop was first wanted; 0 while it was not."""

    @property
    def alive(self) -> bool:
        """Whether a process of it may exist."""
        return self.phase in (ContainerPhase.CREATED, ContainerPhase.RUNNING)

    def probing(self, kind: ProbeKind) -> Probing:
        if kind is ProbeKind.READINESS:
            return self.readiness
        return self.liveness if kind is ProbeKind.LIVENESS else self.startup


class State(Record, frozen=True):
    workload: Workload
    phase: WorkloadPhase
    containers: tuple[ContainerState, ...]
    accepted_at: float
    sequence: int = 1
    sandbox: str = ""
    sandbox_attempt: int = 0
    sandbox_failures: int = 0
    sandbox_failed_since: float = 0.0
    sandbox_at: float = 0.0
    """Not to be tried again before."""
    address: str = ""
    cause: StopCause = StopCause.NONE
    reason: str = ""
    pull_started_at: float = 0.0
    pull_stopped_at: float = 0.0
    started_at: float = 0.0
    stopping_at: float = 0.0
    execution_stopped_at: float = 0.0
    stopped_at: float = 0.0
    written: tuple[tuple[str, str], ...] = ()
    """(volume, version) of the files that its volumes show."""
    notes: tuple[Note, ...] = ()
    noted: int = 0
    """Notes ever taken."""

    def container(self, name: str) -> ContainerState | None:
        return next((c for c in self.containers if c.name == name), None)

    @property
    def ending(self) -> bool:
        return self.phase in (WorkloadPhase.STOPPING, WorkloadPhase.STOPPED)


# --- events


class Desired(Record, frozen=True):
    """A record of the same or a later generation has come."""

    workload: Workload


class Unwanted(Record, frozen=True):
    """The control plane's complete list no longer names it: an explicit stop."""

    reason: str


class SandboxReady(Record, frozen=True):
    id: str
    address: str = ""


class SandboxFailed(Record, frozen=True):
    """`transient`: worth another try (the fabric does not yet know the interface, the runtime restarts)."""

    reason: str
    transient: bool = False


class SandboxLost(Record, frozen=True):
    """The sandbox died with all it held (the machine was restarted, say)."""


class PullStarted(Record, frozen=True):
    container: str


class Pulled(Record, frozen=True):
    container: str
    digest: str


class PullFailed(Record, frozen=True):
    """`absent`: the image is not there, and may not be asked for."""

    container: str
    reason: str
    transient: bool = False
    absent: bool = False


class LaunchFailed(Record, frozen=True):
    """`created`: it was made, and could not be started."""

    container: str
    attempt: int
    reason: str
    created: bool = False
    forbidden: bool = False
    """Its own rules keep it from being made."""


class Created(Record, frozen=True):
    container: str
    attempt: int
    runtime_id: str


class Started(Record, frozen=True):
    container: str
    attempt: int
    runtime_id: str
    pid: int
    at: float


class Exited(Record, frozen=True):
    container: str
    attempt: int
    exit_code: int
    at: float
    out_of_memory: bool = False
    reason: str = ""
    message: str = ""
    """Its last words."""


class HookEnded(Record, frozen=True):
    """What was to be done after the start (`before_stop`: before the stop) is done, or has failed."""

    container: str
    attempt: int
    failure: str = ""
    before_stop: bool = False


class Probed(Record, frozen=True):
    container: str
    attempt: int
    healthy: bool
    output: str = ""
    kind: ProbeKind = ProbeKind.READINESS
    warning: bool = False
    """It is healthy, and `output` says what is odd about it."""


class StorageExceeded(Record, frozen=True):
    """The workload holds more of the machine's disk than it may (`planning/storage.py`)."""

    reason: str


class FilesWritten(Record, frozen=True):
    """The volume shows this version; or `failure` says why it cannot."""

    volume: str
    version: str
    failure: str = ""


class Cleaned(Record, frozen=True):
    """Nothing of the workload is left in the runtime, its interface is given back."""


class Tick(Record, frozen=True):
    """Time has passed."""


Event = Union[
    Desired,
    Unwanted,
    SandboxReady,
    SandboxFailed,
    SandboxLost,
    PullStarted,
    Pulled,
    PullFailed,
    LaunchFailed,
    Created,
    Started,
    Exited,
    FilesWritten,
    HookEnded,
    Probed,
    StorageExceeded,
    Cleaned,
    Tick,
]


# --- actions


class Prepare(Record, frozen=True):
    """Make sandbox number `attempt` with its interface and folders. `tries` tells one try from the next."""

    attempt: int
    tries: int


class Pull(Record, frozen=True):
    container: str
    tries: int


class Launch(Record, frozen=True):
    """Create and start the container's `attempt`."""

    container: str
    attempt: int


class Stop(Record, frozen=True):
    """Signal the container, and kill it at `deadline`."""

    container: str
    attempt: int
    signal: str
    deadline: float


class RunProbe(Record, frozen=True):
    container: str
    attempt: int
    number: int
    kind: ProbeKind = ProbeKind.READINESS


class WriteFiles(Record, frozen=True):
    """Let the volume show this version of its files."""

    volume: str
    version: str


class RunHook(Record, frozen=True):
    """Do what is wanted after the container's start."""

    container: str
    attempt: int


class Clean(Record, frozen=True):
    """Remove sandbox, containers, interface, folders."""


Action = Union[Prepare, Pull, Launch, Stop, RunProbe, RunHook, WriteFiles, Clean]
