"""What runs containers on a machine, as the agent sees it: sandboxes, containers, images, exits.

A sandbox is what a workload's containers share (network namespace, cgroup, hostname); a container belongs to one
sandbox. The runtime keeps them alive without any of our processes, and tells them again after a restart (`sandboxes`,
`containers`), labelled with the workload's owner and uid, the container's name and the attempt.

The Protocol may not know which runtime stands behind it: a container daemon, a bare shim or a virtual machine monitor.
Every call is idempotent in its names: creating the sandbox of a (uid, attempt), or the container of a (uid, name,
attempt), that exists already answers the one that exists; stopping what stopped and removing what is gone succeed.
Two implementations stand on it (`node/cri`, `node/fake_runtime.py`); `tests/contract/test_runtime.py` holds both to it.

Units: seconds (wall time for moments), bytes, nanoseconds of CPU.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, Union

from ropewalk.base.http.messages import Duplex
from ropewalk.model.ids import Owner, WorkloadUid
from ropewalk.model.streams import LogQuery
from ropewalk.model.workload import Container, Isolation, Question, Workload


class RuntimeFailure(Exception):
    """The runtime could not do what was asked. The text is for people and ends up in the workload's status."""


class RuntimeUnavailable(RuntimeFailure):
    """The runtime does not answer now (it restarts, say): the same call may succeed later."""


class ImageNotFound(RuntimeFailure):
    """The registry has no such image, or refuses to show it."""


class PullFailed(RuntimeFailure):
    """The image exists or may exist, but could not be fetched: network, credentials, disk."""


class CreateFailed(RuntimeFailure):
    """A sandbox or container cannot be made as described (no such user, bad mount, address not to be had…)."""


class Forbidden(CreateFailed):
    """The container may not be made as it is described: its own rules forbid it."""


class StartFailed(RuntimeFailure):
    """A created container could not be started (its command does not exist, say)."""


class NoSuchContainer(RuntimeFailure):
    """The id names no container, or one that does not run where a running one is needed."""


class ExecTimeout(RuntimeFailure):
    """The command ran longer than allowed and was killed."""


class StreamsNotOffered(RuntimeFailure):
    """This runtime has no such streams."""


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    name: str
    version: str
    isolations: tuple[Isolation, ...] = (Isolation.SHARED_KERNEL,)


@dataclass(frozen=True, slots=True)
class RegistryAuth:
    username: str = ""
    password: str = ""
    identity_token: str = ""


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a pull is; totals are 0 while unknown."""

    done_bytes: int
    total_bytes: int


Progress = Callable[[PullProgress], None]


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image present on the machine, and what its configuration says about running it."""

    reference: str
    """As asked for."""
    digest: str
    """"sha256:…" of its manifest (or of its configuration where it was never pulled)."""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    """NAME=value."""
    working_directory: str = ""
    user: str = ""
    stop_signal: str = ""
    """"SIGQUIT", …; "" where the image does not say (SIGTERM then)."""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Sandbox:
    id: str
    owner: Owner
    uid: WorkloadUid
    name: str
    attempt: int
    ready: bool
    """False once it was stopped or died: a new attempt is needed to run containers."""
    created_at: float
    address: str = ""
    """Of its own interface; "" without one."""
    namespace: str = ""
    """Path of its network namespace; "" where it shares the machine's."""


class RunState(Enum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    UNKNOWN = "unknown"
    """The runtime lost track (a crash of its shim): treat as exited with `exit_code` 255."""


@dataclass(frozen=True, slots=True)
class ContainerState:
    """A container as the runtime knows it now."""

    id: str
    sandbox: str
    owner: Owner
    uid: WorkloadUid
    name: str
    attempt: int
    state: RunState
    pid: int = 0
    """On the machine; 0 unless running."""
    created_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    """As a shell shows it: 128 + n after signal n. Meaningful once EXITED."""
    out_of_memory: bool = False
    message: str = ""


@dataclass(frozen=True, slots=True)
class ContainerSetup:
    """What only the agent knows when it makes a container."""

    environment: tuple[tuple[str, str], ...] = ()
    """(name, value), before the container's own variables: the container's win."""
    volumes: Mapping[str, str] = field(default_factory=dict)
    """Volume name → folder of the machine that backs it."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Path in the container → folder or file of the machine, for mounts of only a part of their volume."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Path in the container → file of the machine that it may write."""
    log_path: str = ""
    """Relative to the sandbox's log folder; the runtime writes lines `<RFC 3339 nano> <stdout|stderr> <F|P> <text>`."""


@dataclass(frozen=True, slots=True)
class ExecResult:
    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""
    """Each cut at 64 KiB."""


@dataclass(frozen=True, slots=True)
class Answer:
    """To a question asked over the network."""

    good: bool
    text: str = ""
    """Why it is not good, or (`warning`) what is odd about it."""
    warning: bool = False
    reached: bool = False
    """Somebody answered, well or not."""


@dataclass(frozen=True, slots=True)
class ContainerExited:
    id: str
    exit_code: int
    finished_at: float
    out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class EventsLost:
    """Events may have been missed (the runtime or the connection restarted): look at `containers()` again."""


RuntimeEvent = Union[ContainerExited, EventsLost]


@dataclass(frozen=True, slots=True)
class ContainerStats:
    id: str
    sampled_at: float
    cpu_nanoseconds: int
    """Used since start."""
    memory_bytes: int
    """Working set: used less reclaimable file cache."""
    memory_cache_bytes: int = 0
    memory_limit_bytes: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    """Of the sandbox's interface, shared by its containers."""
    read_bytes: int = 0
    written_bytes: int = 0
    """Through the block layer since start: traffic, not what is kept."""
    writable_bytes: int = 0
    """What its own writes to its root file system take on disk; may be some seconds old, 0 until first measured."""
    processes: int = 0


class Console(Protocol):
    """The standard streams of a process, as whoever asked for it sees them. Any call may raise when the asker leaves:
    the runtime then ends what it began for them.
    """

    async def read(self) -> bytes:
        """Input: at least one byte, b"" at its end (at once where none is given)."""
        ...

    async def write(self, data: bytes, *, error: bool = False) -> None:
        """Output, or error output; waits while the asker reads slowly. What they did not ask for is dropped."""
        ...

    async def resized(self) -> tuple[int, int]:
        """The terminal's next size, columns and rows; waits for ever where there is no terminal."""
        ...


class Streams(Protocol):
    """Live connections to what runs. Any call may raise `RuntimeUnavailable` or `StreamsNotOffered`."""

    async def exec(self, container_id: str, command: tuple[str, ...], console: Console, *, tty: bool) -> int:
        """Run a command inside a running container until it ends; its exit code. Raises `NoSuchContainer`,
        `StartFailed` (no such command).
        """
        ...

    async def attach(self, container_id: str, console: Console) -> int:
        """Join the container's own streams until it ends; its exit code. Raises `NoSuchContainer`."""
        ...

    async def port(self, sandbox_id: str, port: int, connection: Duplex) -> None:
        """Join `connection` to a TCP port inside the sandbox until either side ends. Raises `StartFailed` where nobody
        listens, `NoSuchContainer` where there is no such sandbox.
        """
        ...

    def logs(self, uid: WorkloadUid, container: str, attempt: int, query: LogQuery) -> AsyncIterator[LogPiece]:
        """What this run of the container has written, whole lines as the query asks for them; with `follow` until it
        ends. Raises `NoSuchContainer` where nothing is kept of that run.
        """
        ...


@dataclass(frozen=True, slots=True)
class LogPiece:
    text: bytes
    error: bool = False
    """Of its error output."""


class NoStreams:
    """The `Streams` of a runtime that offers none."""

    async def exec(self, container_id: str, command: tuple[str, ...], console: Console, *, tty: bool) -> int:
        raise StreamsNotOffered("exec is not offered by this machine's runtime yet")

    async def attach(self, container_id: str, console: Console) -> int:
        raise StreamsNotOffered("attach is not offered by this machine's runtime yet")

    async def port(self, sandbox_id: str, port: int, connection: Duplex) -> None:
        raise StreamsNotOffered("port forwarding is not offered by this machine's runtime yet")

    def logs(self, uid: WorkloadUid, container: str, attempt: int, query: LogQuery) -> AsyncIterator[LogPiece]:
        raise StreamsNotOffered("logs are not offered by this machine's runtime yet")


class Runtime(Protocol):
    """Any call may raise `RuntimeUnavailable`."""

    @property
    def streams(self) -> Streams: ...

    async def info(self) -> RuntimeInfo: ...

    async def image(self, reference: str) -> ImageInfo | None:
        """The image, if it is present on the machine; never asks a registry."""
        ...

    async def pull(self, reference: str, auth: RegistryAuth | None, progress: Progress | None = None) -> ImageInfo:
        """Fetch what is missing of the image (its tag resolved anew). Raises `ImageNotFound`, `PullFailed`."""
        ...

    async def create_sandbox(self, workload: Workload, log_folder: str, attempt: int = 0) -> Sandbox:
        """Make the workload's cgroup (its exact CPU and memory), network namespace with its interface, hostname and
        resolver configuration. Raises `CreateFailed`.
        """
        ...

    async def create_container(
        self,
        sandbox: str,
        workload: Workload,
        container: Container,
        image: ImageInfo,
        attempt: int,
        setup: ContainerSetup,
    ) -> str:
        """Returns the container's id. Raises `CreateFailed`, `ImageNotFound` (it was removed since)."""
        ...

    async def start(self, container_id: str) -> ContainerState:
        """Start it, or answer the state of one started before. Raises `StartFailed`, `NoSuchContainer`."""
        ...

    async def stop(self, container_id: str, signal: str, timeout: float) -> None:
        """Send `signal` ("SIGTERM"; "" takes the image's), wait up to `timeout` seconds, then SIGKILL; returns once it
        has exited. A timeout of 0 kills at once. A second call with a shorter timeout is not held up by the first.
        """
        ...

    async def exec_sync(self, container_id: str, command: tuple[str, ...], timeout: float) -> ExecResult:
        """Run a command inside a running container. Raises `ExecTimeout`, `NoSuchContainer`; a command that cannot be
        found is a result with code 126 or 127, as from a shell.
        """
        ...

    async def ask(self, container_id: str, question: Question, timeout: float) -> Answer:
        """Ask a running container over its sandbox's network, from inside it; never slower than `timeout` seconds.
        Raises `NoSuchContainer`; what answers badly, late or not at all is an answer.
        """
        ...

    async def remove_container(self, container_id: str) -> None:
        """Kill it if it still runs, then forget it. Its log file stays."""
        ...

    async def stop_sandbox(self, sandbox_id: str) -> None:
        """Kill what still runs in it and give its interface back."""
        ...

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Stop it and forget it with all its containers, its cgroup and its namespace."""
        ...

    async def sandboxes(self) -> list[Sandbox]:
        """Every sandbox of ours, whoever of our processes made it."""
        ...

    async def containers(self, uid: WorkloadUid | None = None) -> list[ContainerState]:
        """Every container of ours, exited ones too until removed."""
        ...

    async def status(self, container_id: str) -> ContainerState:
        """Raises `NoSuchContainer`."""
        ...

    def events(self) -> AsyncIterator[RuntimeEvent]:
        """Exits as they happen, forever. Begins with `EventsLost` once it is listening, so that whoever looks at
        `containers()` then has missed nothing; the same again after each break of the connection.
        """
        ...

    async def stats(self, uid: WorkloadUid | None = None) -> list[ContainerStats]:
        """Of every running container, or of one workload's."""
        ...

    async def reopen_log(self, container_id: str) -> None:
        """Write on into a new file at the log path: the agent has renamed the old one. Nothing is lost."""
        ...
