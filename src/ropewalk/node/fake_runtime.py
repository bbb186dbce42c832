"""A runtime without containers: for simulated mode and tests. Ships with the product.

A container is a record and, where its behaviour says that it ends, one timer on the injected clock; thousands of
machines fit into one process. It keeps `Runtime`'s contract (`tests/contract/test_runtime.py`), idempotency and
adoption included: an agent may be thrown away and another put in its place, the containers stay.

What a container does is asked of `behaviours`; the default reads the environment variable ROPEWALK_SIMULATE of the
container ("exit=3 after=5", "oom after=2", "health=1"), so that a user can try failures without code.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

from ropewalk.base.clock import Clock, happens
from ropewalk.base.errors import Retryable
from ropewalk.model.host import Attachment, HostNetwork
from ropewalk.model.ids import WorkloadUid
from ropewalk.model.workload import Container, Question, Workload
from ropewalk.node.fake_behaviour import Behaviour, from_environment
from ropewalk.node.fake_container import FakeContainer, Output
from ropewalk.node.fake_shell import CopyInput, Print, Sleep
from ropewalk.node.fake_streams import FakeStreams
from ropewalk.node.runtime import (
    Answer,
    ContainerExited,
    ContainerSetup,
    ContainerState,
    ContainerStats,
    CreateFailed,
    EventsLost,
    ExecResult,
    ExecTimeout,
    ImageInfo,
    ImageNotFound,
    NoSuchContainer,
    Progress,
    PullFailed,
    PullProgress,
    RegistryAuth,
    RunState,
    RuntimeEvent,
    RuntimeInfo,
    RuntimeUnavailable,
    Sandbox,
    StartFailed,
)
from ropewalk.node.shapes import rfc3339_nano

_SIGNALS = {"SIGHUP": 1, "SIGINT": 2, "SIGQUIT": 3, "SIGKILL": 9, "SIGUSR1": 10, "SIGTERM": 15}
_MAX_EVENTS = 100_000
_OUTPUTS_KEPT = 256
"""Runs of containers whose output can be read: the oldest go first."""


class FakeRuntime:
    """One machine's runtime. It outlives the agents that use it."""

    def __init__(
        self,
        clock: Clock,
        *,
        name: str = "fake",
        network: HostNetwork | None = None,
        behaviours: Callable[[Workload, Container], Behaviour] = from_environment,
        pull_behaviours: Callable[[str], Behaviour] | None = None,
    ) -> None:
        self._clock = clock
        self._name = name
        self._network = network
        self._behaviours = behaviours
        self._pull_behaviours = pull_behaviours or (lambda reference: Behaviour())
        self._images: dict[str, ImageInfo] = {}
        self._sandboxes: dict[str, Sandbox] = {}
        self._log_folders: dict[str, str] = {}
        self._containers: dict[str, FakeContainer] = {}
        self._listeners: list[deque[RuntimeEvent]] = []
        self._news = asyncio.Event()
        self._pids = 1000
        self._outputs: dict[tuple[WorkloadUid, str, int], Output] = {}
        self.streams = FakeStreams(
            clock, self._find, self._of_sandbox, lambda uid, name, attempt: self._outputs.get((uid, name, attempt))
        )
        self.available = True
        """False lets every call raise `RuntimeUnavailable`, as while a real daemon restarts."""
        self.refused_pulls: dict[str, str] = {}
        """Image reference → "missing" or "broken": what its pulls answer."""
        self.starts: list[tuple[WorkloadUid, str, int]] = []
        """Every container started, in order: (uid, name, attempt). Tests read it."""

    # --- images

    async def info(self) -> RuntimeInfo:
        self._check()
        return RuntimeInfo(name="fake", version="1")

    async def image(self, reference: str) -> ImageInfo | None:
        self._check()
        return self._images.get(reference)

    async def pull(self, reference: str, auth: RegistryAuth | None, progress: Progress | None = None) -> ImageInfo:
        self._check()
        behaviour = self._pull_behaviours(reference)
        verdict = self.refused_pulls.get(reference, behaviour.pull)
        if behaviour.pull_seconds:
            await self._clock.sleep(behaviour.pull_seconds)
        if verdict == "missing":
            raise ImageNotFound(f"{reference}: no such image in its registry")
        if verdict == "broken":
            raise PullFailed(f"{reference}: the registry does not answer")
        if progress is not None:
            progress(PullProgress(1, 1))
        digest = f"sha256:{abs(_stable_hash(reference)):064x}"
        info = ImageInfo(reference, digest, command=("/bin/app",), stop_signal=behaviour.stop_signal)
        self._images[reference] = info
        return info

    # --- sandboxes

    async def create_sandbox(self, workload: Workload, log_folder: str, attempt: int = 0) -> Sandbox:
        self._check()
        identity = f"{self._name}-{workload.uid}-{attempt}"
        if identity in self._sandboxes:
            return self._sandboxes[identity]
        namespace = f"/run/netns/{identity}"
        address = ""
        if workload.interface is not None:
            address = workload.interface.address
            if self._network is not None:
                try:
                    attached = await self._network.attach(Attachment(workload.interface.id, namespace))
                except Retryable as busy:
                    raise RuntimeUnavailable(busy.reason) from busy
                address = attached.addresses[0]
        sandbox = Sandbox(
            id=identity,
            owner=workload.owner,
            uid=workload.uid,
            name=workload.name,
            attempt=attempt,
            ready=True,
            created_at=self._clock.wall(),
            address=address,
            namespace=namespace if workload.interface else "",
        )
        self._sandboxes[identity] = sandbox
        self._log_folders[identity] = log_folder
        return sandbox

    async def stop_sandbox(self, sandbox_id: str) -> None:
        self._check()
        for fake in self._of_sandbox(sandbox_id):
            self._end(fake, 137)
        if sandbox_id in self._sandboxes:
            self._sandboxes[sandbox_id] = replace(self._sandboxes[sandbox_id], ready=False)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        await self.stop_sandbox(sandbox_id)
        for fake in self._of_sandbox(sandbox_id):
            del self._containers[fake.state.id]
        self._sandboxes.pop(sandbox_id, None)
        self._log_folders.pop(sandbox_id, None)

    # --- containers

    async def create_container(
        self,
        sandbox: str,
        workload: Workload,
        container: Container,
        image: ImageInfo,
        attempt: int,
        setup: ContainerSetup,
    ) -> str:
        self._check()
        held = self._sandboxes.get(sandbox)
        if held is None or not held.ready:
            raise CreateFailed(f"sandbox {sandbox} is gone")
        if image.reference not in self._images:
            raise ImageNotFound(f"{image.reference} is not on this machine")
        identity = f"{sandbox}-{container.name}-{attempt}"
        if identity in self._containers:
            return identity
        behaviour = self._behaviours(workload, container)
        if behaviour.create_fails:
            raise CreateFailed(behaviour.create_fails)
        folder = self._log_folders[sandbox]
        state = ContainerState(
            id=identity,
            sandbox=sandbox,
            owner=workload.owner,
            uid=workload.uid,
            name=container.name,
            attempt=attempt,
            state=RunState.CREATED,
            created_at=self._clock.wall(),
        )
        log = Path(folder) / setup.log_path if folder and setup.log_path else None
        output = self._outputs[workload.uid, container.name, attempt] = Output()
        while len(self._outputs) > _OUTPUTS_KEPT:
            del self._outputs[next(iter(self._outputs))]
        self._containers[identity] = FakeContainer(state, behaviour, container, workload, log, image, output)
        return identity

    async def start(self, container_id: str) -> ContainerState:
        self._check()
        fake = self._find(container_id)
        if fake.state.state is not RunState.CREATED:
            return fake.state
        if fake.behaviour.start_fails:
            raise StartFailed(fake.behaviour.start_fails)
        self._pids += 1
        fake.state = replace(
            fake.state, state=RunState.RUNNING, pid=self._pids, started_at=max(self._clock.wall(), 1e-3)
        )
        self.starts.append((fake.state.uid, fake.state.name, fake.state.attempt))
        self._write(fake, fake.behaviour.output)
        if fake.behaviour.plan is not None:
            fake.timer = asyncio.get_running_loop().create_task(self._perform(fake))
        elif fake.behaviour.run_for is not None:
            fake.timer = asyncio.get_running_loop().create_task(self._run_out(fake, fake.behaviour.run_for))
        return fake.state

    async def stop(self, container_id: str, signal: str, timeout: float) -> None:
        self._check()
        fake = self._containers.get(container_id)
        if fake is None or fake.state.state is not RunState.RUNNING:
            return
        behaviour = fake.behaviour
        wanted = signal or fake.image.stop_signal or "SIGTERM"
        if timeout > 0 and behaviour.stops_after is not None and behaviour.stops_after <= timeout:
            await self._exit_or(fake, behaviour.stops_after)
            code = behaviour.stop_code if behaviour.stop_code is not None else 128 + _SIGNALS.get(wanted, 15)
            self._end(fake, code)
            return
        await self._exit_or(fake, timeout)
        self._end(fake, 137)

    async def exec_sync(self, container_id: str, command: tuple[str, ...], timeout: float) -> ExecResult:
        self._check()
        fake = self._find(container_id)
        if fake.state.state is not RunState.RUNNING:
            raise NoSuchContainer(f"container {container_id} does not run")
        outcome = fake.behaviour.exec(command, self._clock.wall() - fake.state.started_at)
        if outcome.seconds > timeout:
            await self._clock.sleep(timeout)
            raise ExecTimeout(f"{command[0]} ran longer than {timeout:g} s")
        if outcome.seconds:
            await self._clock.sleep(outcome.seconds)
        return ExecResult(outcome.code, outcome.output)

    async def ask(self, container_id: str, question: Question, timeout: float) -> Answer:
        self._check()
        fake = self._find(container_id)
        if fake.state.state is not RunState.RUNNING:
            raise NoSuchContainer(f"container {container_id} does not run")
        outcome = fake.behaviour.ask(question, self._clock.wall() - fake.state.started_at)
        await self._clock.sleep(min(outcome.seconds, timeout))
        if outcome.seconds > timeout:
            return Answer(False, f"no answer within {timeout:g} s")
        return Answer(outcome.code == 0, outcome.output.decode(errors="replace"), reached=outcome.code == 0)

    async def remove_container(self, container_id: str) -> None:
        self._check()
        fake = self._containers.get(container_id)
        if fake is not None:
            self._end(fake, 137)
            del self._containers[container_id]

    # --- what there is

    async def sandboxes(self) -> list[Sandbox]:
        self._check()
        return list(self._sandboxes.values())

    async def containers(self, uid: WorkloadUid | None = None) -> list[ContainerState]:
        self._check()
        return [f.state for f in self._containers.values() if uid is None or f.state.uid == uid]

    async def status(self, container_id: str) -> ContainerState:
        self._check()
        return self._find(container_id).state

    async def events(self) -> AsyncIterator[RuntimeEvent]:
        queue: deque[RuntimeEvent] = deque([EventsLost()], maxlen=_MAX_EVENTS)
        self._listeners.append(queue)
        try:
            while True:
                while queue:
                    yield queue.popleft()
                self._news.clear()
                await self._news.wait()
        finally:
            self._listeners = [other for other in self._listeners if other is not queue]

    async def stats(self, uid: WorkloadUid | None = None) -> list[ContainerStats]:
        self._check()
        now = self._clock.wall()
        running = (f for f in self._containers.values() if f.state.state is RunState.RUNNING)
        return [
            ContainerStats(
                id=f.state.id,
                sampled_at=now,
                cpu_nanoseconds=int((now - f.state.started_at) * f.behaviour.cpu_share * 1e9),
                memory_bytes=f.behaviour.memory_bytes,
                memory_limit_bytes=f.spec.resources.memory_bytes,
                writable_bytes=f.behaviour.writable_bytes,
                processes=1,
            )
            for f in running
            if uid is None or f.state.uid == uid
        ]

    async def reopen_log(self, container_id: str) -> None:
        self._check()
        self._write(self._find(container_id), ())

    # --- for tests and simulations

    def kill(self, container_id: str, exit_code: int = 137, out_of_memory: bool = False) -> None:
        """The container's process ends now, by nobody's wish."""
        self._end(self._find(container_id), exit_code, out_of_memory)

    def reboot(self) -> None:
        """The machine loses power and comes back: containers and sandboxes are gone, images stay."""
        for fake in self._containers.values():
            if fake.timer is not None:
                fake.timer.cancel()
            fake.output.end(self._clock.wall())
            fake.exited.set()
        self._containers.clear()
        self._sandboxes.clear()
        self.lose_events()

    def lose_events(self) -> None:
        """The connection breaks: what was not yet read is lost, and every listener is told so."""
        for queue in self._listeners:
            queue.clear()
            queue.append(EventsLost())
        self._news.set()

    # --- inside

    def _check(self) -> None:
        if not self.available:
            raise RuntimeUnavailable("the runtime is restarting")

    def _find(self, container_id: str) -> FakeContainer:
        fake = self._containers.get(container_id)
        if fake is None:
            raise NoSuchContainer(f"no container {container_id}")
        return fake

    def _of_sandbox(self, sandbox_id: str) -> list[FakeContainer]:
        return [f for f in self._containers.values() if f.state.sandbox == sandbox_id]

    async def _run_out(self, fake: FakeContainer, seconds: float) -> None:
        await self._clock.sleep(seconds)
        fake.timer = None
        self._end(fake, 137 if fake.behaviour.out_of_memory else fake.behaviour.exit_code, fake.behaviour.out_of_memory)

    async def _perform(self, fake: FakeContainer) -> None:
        """Do what its command does, step by step."""
        made = fake.behaviour.plan
        assert made is not None
        for step in made.steps:
            if isinstance(step, Print):
                self._put(fake, step.text.encode(), error=step.error)
            elif isinstance(step, Sleep):
                await self._clock.sleep(step.seconds)
            elif isinstance(step, CopyInput) and fake.spec.interactive:
                while data := await fake.input.read():
                    self._put(fake, data)
        fake.timer = None
        self._end(fake, made.code)

    async def _exit_or(self, fake: FakeContainer, seconds: float) -> None:
        """Return when it has exited, or after so many seconds."""
        if seconds > 0:
            await happens(fake.exited, self._clock, seconds)

    def _end(self, fake: FakeContainer, code: int, out_of_memory: bool = False) -> None:
        if fake.timer is not None:
            fake.timer.cancel()
            fake.timer = None
        if fake.state.state is not RunState.RUNNING:
            return
        now = self._clock.wall()
        fake.state = replace(
            fake.state, state=RunState.EXITED, pid=0, finished_at=now, exit_code=code, out_of_memory=out_of_memory
        )
        fake.output.end(now)
        fake.exited.set()
        for queue in self._listeners:
            queue.append(ContainerExited(fake.state.id, code, now, out_of_memory))
        self._news.set()

    def _write(self, fake: FakeContainer, lines: tuple[str, ...]) -> None:
        self._put(fake, "".join(f"{line}\n" for line in lines).encode())

    def _put(self, fake: FakeContainer, data: bytes, *, error: bool = False) -> None:
        now = self._clock.wall()
        if data:
            fake.output.write(now, data, error=error)
        if fake.log is None:
            return
        fake.log.parent.mkdir(parents=True, exist_ok=True)
        stamp = f"{rfc3339_nano(now)} {'stderr' if error else 'stdout'} F ".encode()
        with fake.log.open("ab") as file:
            file.writelines(stamp + line + b"\n" for line in data.splitlines())


def _stable_hash(text: str) -> int:
    value = 0
    for character in text:
        value = (value * 1_000_003 + ord(character)) % (1 << 255)
    return value
