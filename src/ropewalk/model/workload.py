"""A workload: containers that start, run and stop together on one machine.

An ECS task and a Kubernetes pod both lower to this record by a pure function; the agent, the scheduler core and the
bill see nothing else. Terms are general: ECS's `essential` is "its end ends the workload", a pod's restart policy is a
rule per container, `dependsOn` and init containers are both conditions that a start waits for.

Units: CPU in thousandths of a vCPU, memory in bytes, time in seconds. Unknown fields refuse the record
(`forbid_unknown_fields`), so that an old agent never runs half of what a new control plane meant.
"""

from __future__ import annotations

from enum import Enum
from typing import Union

import msgspec

from ropewalk.model.ids import InterfaceId, MachineId, Owner, WorkloadUid


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of every record of the waist: immutable, strict, compact on the wire."""


class Desire(Enum):
    RUN = "run"
    STOP = "stop"


class Isolation(Enum):
    """Whose kernel the containers see."""

    SHARED_KERNEL = "runc"
    OWN_KERNEL = "gvisor"


class NetworkMode(Enum):
    INTERFACE = "interface"
    """An elastic interface of its own (ECS awsvpc, a Fargate pod)."""
    BRIDGE = "bridge"
    HOST = "host"
    NONE = "none"


class RestartRule(Enum):
    NEVER = "never"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


class ExitCodes(Record, frozen=True):
    """A set of exit codes, or (`others`) every code but these."""

    codes: tuple[int, ...]
    others: bool = False

    def __contains__(self, code: int) -> bool:
        return (code in self.codes) is not self.others


class PullRule(Enum):
    """When a container's image is asked of its registry."""

    ALWAYS = "always"
    IF_ABSENT = "if-absent"
    NEVER = "never"


class StartCondition(Enum):
    """What a container waits for in another before it starts."""

    STARTED = "started"
    """Runs, and its startup probe (where it has one) has succeeded; once so, always so."""
    COMPLETED = "completed"
    """Exited, whatever its code."""
    SUCCEEDED = "succeeded"
    """Exited with 0."""
    HEALTHY = "healthy"


class Generation(Record, frozen=True, order=True):
    """Which write of which store a record comes from. Compare only within one `store_id`."""

    store_id: str
    epoch: int
    number: int

    def supersedes(self, older: Generation) -> bool:
        """Whether a record of this generation may replace one of `older`: never an older one of the same store."""
        if self.store_id != older.store_id:
            return True
        return (self.epoch, self.number) >= (older.epoch, older.number)


class Dependency(Record, frozen=True):
    container: str
    condition: StartCondition
    timeout: float = 0.0
    """Give up (and fail the workload) after this many seconds of waiting; 0 waits for ever."""


class HttpGet(Record, frozen=True, tag="http", tag_field="type"):
    """A GET to the workload's own address; a status from 200 to 399 is good."""

    port: int
    path: str = "/"
    host: str = ""
    """"" is the workload's own address."""
    tls: bool = False
    """Over TLS, whatever certificate is shown."""
    headers: tuple[tuple[str, str], ...] = ()


class TcpConnect(Record, frozen=True, tag="tcp", tag_field="type"):
    """A connection that is accepted is good."""

    port: int
    host: str = ""


class GrpcHealth(Record, frozen=True, tag="grpc", tag_field="type"):
    """grpc.health.v1.Health/Check; SERVING is good."""

    port: int
    service: str = ""


Question = Union[HttpGet, TcpConnect, GrpcHealth]
"""What the agent asks a workload over its network."""


class RunCommand(Record, frozen=True, tag="command", tag_field="type"):
    """Run inside the container. Without words it fails."""

    command: tuple[str, ...]


class Pause(Record, frozen=True, tag="pause", tag_field="type"):
    seconds: float


Hook = Union[RunCommand, HttpGet, Pause]
"""What the agent does at a turn of a container's life. Any answer to an HttpGet is good."""


class ProbeKind(Enum):
    """What a probe's verdict means."""

    READINESS = "readiness"
    """Reported; what it means is the family's affair."""
    LIVENESS = "liveness"
    """A failure stops the container; its restart rule says what then."""
    STARTUP = "startup"
    """The same, and the other probes wait for its first success."""


class Probe(Record, frozen=True):
    """A question put to a container again and again: a command run inside it, or `question` where that is given."""

    command: tuple[str, ...] = ()
    interval: float = 30.0
    timeout: float = 5.0
    failures: int = 3
    """Consecutive failures that make a verdict."""
    grace: float = 0.0
    """Failures in this first period are not counted."""
    question: Question | None = None
    delay: float | None = None
    """Seconds from the container's start to the first check; None is one interval, as Docker has it."""
    successes: int = 1
    """Consecutive successes that make a verdict."""
    stop_timeout: float | None = None
    """What the container is left to stop in once this has failed; None is its own `stop_timeout`."""


class Port(Record, frozen=True):
    container_port: int
    protocol: str = "tcp"
    host_port: int = 0
    """0: the same port for an interface of its own; a dynamic one on a bridge."""
    name: str = ""


class EnvironmentVariable(Record, frozen=True):
    name: str
    value: str


class Mount(Record, frozen=True):
    volume: str
    path: str
    read_only: bool = False
    sub_path: str = ""
    """Only this folder or file of the volume, as it is when the container is made; a folder, where nothing is there."""


class Ulimit(Record, frozen=True):
    name: str
    soft: int
    hard: int


class LogRoute(Record, frozen=True):
    """Where a container's output goes beside the machine's own file: a stream of the Logs service."""

    group: str
    stream: str
    region: str = ""
    create_group: bool = False
    credentials: str = ""
    """Name of the workload's credential with which the agent writes."""


class Resources(Record, frozen=True):
    """Limits hold; requests weigh. Zero means none."""

    cpu_millis: int = 0
    """Hard CPU limit (quota)."""
    cpu_shares: int = 0
    """Relative weight under contention, in cgroup v1 shares (1024 a vCPU)."""
    memory_bytes: int = 0
    """Hard memory limit: beyond it the container is killed."""
    memory_reservation_bytes: int = 0


class Container(Record, frozen=True):
    name: str
    image: str
    command: tuple[str, ...] | None = None
    """Replaces the image's ENTRYPOINT; None keeps it."""
    arguments: tuple[str, ...] | None = None
    """Replaces the image's CMD; None keeps it."""
    environment: tuple[EnvironmentVariable, ...] = ()
    working_directory: str = ""
    user: str = ""
    """"", "uid", "uid:gid", "name" or "name:group", as Docker reads it; ":gid" is the image's user in another group."""
    must_not_be_root: bool = False
    """It is not made where its user, or its image's, is root or cannot be told."""
    essential: bool = True
    """Its end ends the workload."""
    background: bool = False
    """It serves the others: the workload is over when they are, and this one is stopped then."""
    restart: RestartRule = RestartRule.NEVER
    restart_codes: tuple[ExitCodes, ...] = ()
    """Exit codes after which it is restarted whatever `restart` says."""
    insists: bool = False
    """What keeps it from being made (its image, its configuration) is tried again for ever; otherwise that ends it."""
    hold: str = ""
    """Why it may not be made yet, in the control plane's words; a later record lifts it."""
    pull: PullRule = PullRule.ALWAYS
    depends_on: tuple[Dependency, ...] = ()
    health: Probe | None = None
    """Readiness: reported, and waited for by HEALTHY."""
    liveness: Probe | None = None
    startup: Probe | None = None
    resources: Resources = Resources()
    ports: tuple[Port, ...] = ()
    mounts: tuple[Mount, ...] = ()
    log: LogRoute | None = None
    read_only_root: bool = False
    privileged: bool = False
    no_new_privileges: bool = False
    """Its processes can never gain more rights than they start with."""
    seccomp: str = ""
    """"" filters system calls as the runtime does by default, "unconfined" not at all."""
    out_of_memory_score: int = 0
    """Added to the kernel's own (-1000 to 1000) where the machine runs out of memory: the highest go first."""
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    init: bool = False
    """Run a small init as PID 1 that forwards signals and reaps (Docker's --init)."""
    interactive: bool = False
    input_once: bool = False
    """Its input ends with the first who was attached to it."""
    terminal: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    start_timeout: float = 0.0
    """Seconds its dependencies may take before the workload gives up; 0 waits for ever."""
    stop_timeout: float = 30.0
    """`before_stop` included."""
    after_start: Hook | None = None
    """It does not count as started before this has succeeded; a failure stops it."""
    before_stop: Hook | None = None
    """Before its stop signal; a failure is noted."""
    message_path: str = ""
    """A file inside it that it may write its last words to; "" for none."""
    message_from_log: bool = False
    """Where it wrote none and failed, the end of its output are its last words."""
    stop_signal: str = ""
    """"" takes the image's STOPSIGNAL, else SIGTERM."""
    pull_credentials: str = ""
    """Name of a credential for the image's registry; "" pulls anonymously."""

    def probe(self, kind: ProbeKind) -> Probe | None:
        if kind is ProbeKind.READINESS:
            return self.health
        return self.liveness if kind is ProbeKind.LIVENESS else self.startup


class RegistryLogin(Record, frozen=True):
    """Credentials for images whose names begin with `registry`: a host, or a host and the beginning of a path."""

    registry: str
    username: str = ""
    password: str = ""
    identity_token: str = ""


class File(Record, frozen=True):
    path: str
    """Within its volume: relative, without "..": folders on the way are made."""
    content: bytes
    mode: int = 0o644


class Volume(Record, frozen=True):
    """Storage that a workload's containers share. `kind` says what backs it."""

    name: str
    kind: str
    """"scratch" (lives and dies with the workload), "memory" (the same, in memory), "host" (a path of the machine) or
    "files" (given by the control plane, which may change them: a reader sees all of a change or nothing).
    """
    path: str = ""
    """For "host": the machine's path."""
    size_bytes: int = 0
    """For "scratch": its limit; 0 is the workload's ephemeral storage. A workload beyond it is stopped. For "memory":
    its size; 0 is what the machine's kernel gives.
    """
    files: tuple[File, ...] = ()
    version: str = ""
    """Of `files`: another one for every other content."""
    hold: str = ""
    """Why "files" cannot be given yet, in the control plane's words: nothing of the workload is made before they are.
    What was given before stays.
    """


class InterfaceSpec(Record, frozen=True):
    """The elastic interface a workload brings along. Addresses were chosen by the ec2 slice, who owns them."""

    id: InterfaceId
    vpc: str
    subnet: str
    address: str
    """IPv4 without prefix length."""
    subnet_cidr: str
    gateway: str
    mac: str
    hostname: str = ""
    """The interface's private DNS name."""


class Credential(Record, frozen=True):
    """A role whose temporary keys the workload's containers (or the agent for it) may fetch."""

    name: str
    """"task" or "execution", or the container-visible id of a later kind."""
    role_arn: str
    path_token: str = ""
    """Unguessable last part of the path it is served at to the containers; "" is for the agent only."""


class Endpoints(Record, frozen=True):
    """Link-local documents that the agent serves to the workload, outside its namespace."""

    metadata_token: str = ""
    """Unguessable path part of the task metadata endpoint, version 4; "" serves none."""


class Workload(Record, frozen=True):
    uid: WorkloadUid
    owner: Owner
    machine: MachineId
    generation: Generation
    name: str
    """For people: shows in logs and in the runtime's sandbox name."""
    containers: tuple[Container, ...]
    desire: Desire = Desire.RUN
    stop_reason: str = ""
    volumes: tuple[Volume, ...] = ()
    network: NetworkMode = NetworkMode.NONE
    interface: InterfaceSpec | None = None
    isolation: Isolation = Isolation.SHARED_KERNEL
    resources: Resources = Resources()
    """Of the whole workload: the sandbox's cgroup."""
    ephemeral_storage_bytes: int = 0
    """Limit of what its running containers, scratch volumes and logs hold together; beyond it the workload is stopped
    (docs/decisions/0011). 0: none."""
    hostname: str = ""
    domain: str = ""
    """What its hosts file puts behind its hostname."""
    groups: tuple[int, ...] = ()
    """Of every container, beside its own group."""
    volume_group: int | None = None
    """Owns its volumes (not the machine's paths), and may write what may be written."""
    dns_options: tuple[str, ...] = ()
    dns_servers: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    extra_hosts: tuple[tuple[str, str], ...] = ()
    """(hostname, address) lines for /etc/hosts."""
    shared_pid_namespace: bool = False
    credentials: tuple[Credential, ...] = ()
    endpoints: Endpoints = Endpoints()
    labels: tuple[tuple[str, str], ...] = ()
    """Facts about the workload for documents that it can read (cluster, family, revision…); never acted upon."""

    stop_timeout: float | None = None
    """All of it is to have stopped within so many seconds, whatever its containers' own times; None leaves each its
    own. One whose turn comes late still gets two seconds.
    """
    active_seconds: float = 0.0
    """It is stopped so long after it was accepted; 0: never for that."""
    logins: tuple[RegistryLogin, ...] = ()
    """For its images, where no container names a credential for its own."""

    def container(self, name: str) -> Container:
        return next(c for c in self.containers if c.name == name)


def encode(workload: Workload) -> bytes:
    return msgspec.json.encode(workload)


def decode(data: bytes) -> Workload:
    """Raises `msgspec.ValidationError`, naming the field, for anything this version does not know."""
    return msgspec.json.decode(data, type=Workload)
