"""Does what the life cycle wishes: calls the runtime and the host's network, and turns what comes of it into events.

Each coroutine may be cancelled and begun again at any point; the runtime's calls are idempotent by (uid, name,
attempt). Failures of the workload become events; a runtime that does not answer is asked again here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from ropewalk.base.clock import Clock
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.model.host import HostNetwork
from ropewalk.model.ids import VpcId
from ropewalk.model.status import ContainerPhase
from ropewalk.model.workload import Container, Probe, PullRule, Workload
from ropewalk.node.folders import Folders
from ropewalk.node.hooks import Hooks
from ropewalk.node.pulls import Pulls, login_for
from ropewalk.node.runner import Runner
from ropewalk.node.runtime import (
    Answer,
    ContainerSetup,
    ContainerState,
    ExecTimeout,
    Forbidden,
    ImageInfo,
    ImageNotFound,
    NoSuchContainer,
    RegistryAuth,
    RunState,
    Runtime,
    RuntimeFailure,
    RuntimeUnavailable,
)
from ropewalk.node.runtime import PullFailed as PullBroke
from ropewalk.planning import lifecycle_records as words
from ropewalk.planning.lifecycle_events import LOST_EXIT_CODE
from ropewalk.planning.lifecycle_rules import STOP_MINIMUM

log = logger(__name__)

OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
"""Amazon ECS, "Stopped tasks error codes"."""
RETRY_SECONDS = 0.5
FILES_RETRY_SECONDS = 5.0
PROBE_TEXT = 4096
"""Characters of a probe's answer that are kept."""

RegistryAuthSource = Callable[[Workload, Container], Awaitable[RegistryAuth | None]]


async def anonymous(workload: Workload, container: Container) -> RegistryAuth | None:
    """Every pull without credentials."""
    return None


class NotPulled(RuntimeFailure):
    """The image is not on the machine, and the container's pull rule keeps it from being asked for."""


class LogKeeper(Protocol):
    """The part of the log pump that a workload's start and end touch."""

    async def check(self, workload: Workload) -> str:
        """Why the log routes cannot be written to, or ""."""
        ...

    async def follow(self, workload: Workload, container: Container, attempt: int, runtime_id: str) -> None: ...

    def ended(self, uid: str, container: str, attempt: int) -> None: ...


class Documents(Protocol):
    """The part of the metadata endpoint that a workload's start needs."""

    async def ensure(self, vpc: VpcId) -> None:
        """Serve inside this VPC. Raises `Retryable`."""
        ...

    def environment(self, workload: Workload, container: Container) -> tuple[tuple[str, str], ...]: ...


class Performer:
    def __init__(
        self,
        *,
        runtime: Runtime,
        network: HostNetwork | None,
        clock: Clock,
        now: Callable[[], float],
        folders: Folders,
        logs: LogKeeper,
        documents: Documents,
        cores: int,
        registry_auth: RegistryAuthSource = anonymous,
    ) -> None:
        self._runtime = runtime
        self._network = network
        self._clock = clock
        self._now = now
        self._folders = folders
        self._logs = logs
        self._documents = documents
        self._registry_auth = registry_auth
        self._starts = asyncio.Semaphore(max(1, 2 * cores))
        self._pulls = Pulls(runtime.pull)
        self._hooks = Hooks(runtime, clock)
        self._images: dict[tuple[str, str], ImageInfo] = {}

    async def perform(self, runner: Runner, action: words.Action) -> None:
        if isinstance(action, words.Prepare):
            await self._prepare(runner, action)
        elif isinstance(action, words.Pull):
            await self._pull(runner, action)
        elif isinstance(action, words.Launch):
            await self._launch(runner, action)
        elif isinstance(action, words.Stop):
            await self._stop(runner, action)
        elif isinstance(action, words.RunProbe):
            await self._probe(runner, action)
        elif isinstance(action, words.WriteFiles):
            await self._write_files(runner, action)
        elif isinstance(action, words.RunHook):
            await self._after_start(runner, action)
        else:
            await self._clean(runner)

    def forget(self, uid: str) -> None:
        self._hooks.forget(uid)
        self._images = {key: info for key, info in self._images.items() if key[0] != uid}

    # --- sandbox

    async def _prepare(self, runner: Runner, action: words.Prepare) -> None:
        workload = runner.state.workload
        async with self._starts:
            if runner.state.ending:
                return
            try:
                if failure := await self._logs.check(workload):
                    runner.post(words.SandboxFailed(failure))
                    return
                if workload.interface is not None and _served(workload):
                    await self._documents.ensure(VpcId(workload.interface.vpc))
                if self._folders.real:
                    await asyncio.to_thread(self._folders.prepare, workload)
                folder = self._folders.logs(workload.uid)
                sandbox = await self._runtime.create_sandbox(workload, folder, action.attempt)
            except (RuntimeUnavailable, Retryable) as busy:
                runner.post(words.SandboxFailed(str(busy), transient=True))
                return
            except (RuntimeFailure, OSError) as failed:
                runner.post(words.SandboxFailed(str(failed)))
                return
        runner.post(words.SandboxReady(sandbox.id, sandbox.address))

    async def _write_files(self, runner: Runner, action: words.WriteFiles) -> None:
        workload = runner.state.workload
        volume = next((each for each in workload.volumes if each.name == action.volume), None)
        if volume is None or volume.version != action.version:
            return
        try:
            if self._folders.real:
                await asyncio.to_thread(self._folders.write_files, workload, volume)
        except (OSError, ValueError) as failed:
            runner.post(words.FilesWritten(action.volume, action.version, str(failed)))
            await self._clock.sleep(FILES_RETRY_SECONDS)
            return
        runner.post(words.FilesWritten(action.volume, action.version))

    # --- images

    async def _pull(self, runner: Runner, action: words.Pull) -> None:
        workload = runner.state.workload
        container = workload.container(action.container)
        runner.post(words.PullStarted(action.container))
        try:
            info = await self._image(workload, container)
        except NotPulled as absent:
            runner.post(words.PullFailed(action.container, str(absent), absent=True))
            return
        except ImageNotFound as missing:
            runner.post(words.PullFailed(action.container, str(missing)))
            return
        except RuntimeFailure as failed:
            runner.post(words.PullFailed(action.container, str(failed), transient=True))
            return
        self._images[workload.uid, action.container] = info
        runner.post(words.Pulled(action.container, info.digest))

    async def _image(self, workload: Workload, container: Container) -> ImageInfo:
        """The image as its registry has it now; the copy on the machine where the container is content with it, the
        registry does not answer, or the reference is a digest and cannot have changed.
        """
        if "@sha256:" in container.image or container.pull is not PullRule.ALWAYS:
            held = await self._runtime.image(container.image)
            if held is not None:
                return held
        if container.pull is PullRule.NEVER:
            raise NotPulled(f'Container image "{container.image}" is not present with pull policy of Never')
        auth = await self._registry_auth(workload, container) or login_for(workload, container.image)
        try:
            return await self._pulls.pull(container.image, auth)
        except PullBroke:
            held = await self._runtime.image(container.image)
            if held is None:
                raise
            log.warning("the registry does not answer: the image on this machine is used", image=container.image)
            return held

    async def _known_image(self, workload: Workload, container: Container) -> ImageInfo:
        held = self._images.get((workload.uid, container.name))
        if held is None:
            held = await self._runtime.image(container.image) or await self._image(workload, container)
            self._images[workload.uid, container.name] = held
        return held

    # --- containers

    async def _launch(self, runner: Runner, action: words.Launch) -> None:
        async with self._starts:
            state = runner.state
            current = state.container(action.container)
            if state.ending or not state.sandbox or current is None or current.attempt != action.attempt:
                return
            workload = state.workload
            container = workload.container(action.container)
            identity = ""
            if current.phase is ContainerPhase.EXITED and current.last is not None:
                await self._forget_run(workload, container, action.attempt - 2, current.last.runtime_id)
            try:
                image = await self._known_image(workload, container)
                parts = {}
                if any(mount.sub_path for mount in container.mounts):
                    parts = await asyncio.to_thread(self._folders.parts, workload, container, action.attempt)
                setup = ContainerSetup(
                    environment=self._documents.environment(workload, container),
                    volumes=self._folders.volumes(workload),
                    parts=parts,
                    files=self._folders.files(workload, container, action.attempt),
                    log_path=self._folders.log_path(container.name, action.attempt),
                )
                identity = await self._runtime.create_container(
                    state.sandbox, workload, container, image, action.attempt, setup
                )
                runner.post(words.Created(action.container, action.attempt, identity))
                await self._logs.follow(workload, container, action.attempt, identity)
                found = await self._runtime.start(identity)
            except RuntimeUnavailable:
                await self._clock.sleep(RETRY_SECONDS)
                return
            except (RuntimeFailure, OSError) as failed:
                await self._launch_failed(runner, action, state.sandbox, failed, created=bool(identity))
                return
        observe(runner, found)

    async def _forget_run(self, workload: Workload, container: Container, attempt: int, runtime_id: str) -> None:
        """Of what has ended the last run is kept and no more, as the kubelet keeps it: one may restart for months."""
        if not runtime_id:
            return
        try:
            await self._runtime.remove_container(runtime_id)
        except RuntimeFailure as failed:
            log.warning("a container that has ended could not be removed", workload=workload.uid, reason=failed)
            return
        if self._folders.real:
            await asyncio.to_thread(self._folders.forget_run, workload.uid, container, attempt)

    async def _launch_failed(
        self, runner: Runner, action: words.Launch, sandbox: str, failed: Exception, *, created: bool
    ) -> None:
        """Blame the sandbox where it is that which died."""
        try:
            alive = any(s.id == sandbox and s.ready for s in await self._runtime.sandboxes())
        except RuntimeFailure:
            await self._clock.sleep(RETRY_SECONDS)
            return
        if alive:
            self._logs.ended(runner.uid, action.container, action.attempt)
            runner.post(
                words.LaunchFailed(
                    action.container, action.attempt, str(failed), created, isinstance(failed, Forbidden)
                )
            )
        else:
            runner.post(words.SandboxLost())

    async def _stop(self, runner: Runner, action: words.Stop) -> None:
        current = runner.state.container(action.container)
        if current is None or not current.runtime_id or current.attempt != action.attempt:
            await self._clock.sleep(RETRY_SECONDS)
            return
        hook = runner.state.workload.container(action.container).before_stop
        try:
            grace = max(0.0, action.deadline - self._now())
            if hook is not None and grace and current.phase is ContainerPhase.RUNNING:
                failure = await self._hooks.before_stop(hook, runner.uid, current.runtime_id, grace)
                if failure:
                    runner.post(words.HookEnded(action.container, action.attempt, failure, before_stop=True))
                grace = max(STOP_MINIMUM, action.deadline - self._now())
            await self._runtime.stop(current.runtime_id, action.signal, grace)
            found = await self._runtime.status(current.runtime_id)
        except NoSuchContainer:
            runner.post(lost(action.container, action.attempt, self._now()))
            return
        except RuntimeFailure as failed:
            log.warning("a container could not be stopped yet", workload=runner.uid, reason=failed)
            await self._clock.sleep(RETRY_SECONDS)
            return
        if found.state is RunState.CREATED:
            runner.post(words.LaunchFailed(action.container, action.attempt, "stopped before it had started"))
        elif found.state is RunState.RUNNING:
            await self._clock.sleep(RETRY_SECONDS)
        else:
            observe(runner, found)

    async def _after_start(self, runner: Runner, action: words.RunHook) -> None:
        current = runner.state.container(action.container)
        hook = runner.state.workload.container(action.container).after_start
        if current is None:
            return
        try:
            failure = "" if hook is None else await self._hooks.run(hook, current.runtime_id)
        except RuntimeFailure:
            await self._clock.sleep(RETRY_SECONDS)
            return
        runner.post(words.HookEnded(action.container, action.attempt, failure))

    async def _probe(self, runner: Runner, action: words.RunProbe) -> None:
        current = runner.state.container(action.container)
        probe = runner.state.workload.container(action.container).probe(action.kind)
        if current is None or probe is None:
            return
        try:
            answer = await self._answer(current.runtime_id, probe)
        except RuntimeFailure:
            # No verdict: the container is ending, or the runtime restarts.
            await self._clock.sleep(RETRY_SECONDS)
            return
        runner.post(
            words.Probed(
                action.container, action.attempt, answer.good, answer.text[:PROBE_TEXT], action.kind, answer.warning
            )
        )

    async def _answer(self, runtime_id: str, probe: Probe) -> Answer:
        if probe.question is not None:
            return await self._runtime.ask(runtime_id, probe.question, probe.timeout)
        try:
            result = await self._runtime.exec_sync(runtime_id, probe.command, probe.timeout)
        except ExecTimeout as slow:
            return Answer(False, str(slow))
        return Answer(result.exit_code == 0, (result.stdout + result.stderr).decode(errors="replace"))

    # --- the end

    async def _clean(self, runner: Runner) -> None:
        workload = runner.state.workload
        try:
            for sandbox in await self._runtime.sandboxes():
                if sandbox.uid == workload.uid:
                    await self._runtime.remove_sandbox(sandbox.id)
            if workload.interface is not None and self._network is not None:
                await self._network.detach(workload.interface.id)
            if self._folders.real:
                await asyncio.to_thread(self._folders.remove_volumes, workload.uid)
        except (RuntimeFailure, Retryable, OSError) as failed:
            log.warning("a workload is not yet cleaned away", workload=workload.uid, reason=failed)
            await self._clock.sleep(RETRY_SECONDS)
            return
        for container in runner.state.containers:
            self._logs.ended(workload.uid, container.name, container.attempt)
        self.forget(workload.uid)
        runner.post(words.Cleaned())


def _served(workload: Workload) -> bool:
    return bool(workload.endpoints.metadata_token) or any(c.path_token for c in workload.credentials)


def observe(runner: Runner, found: ContainerState) -> None:
    """Tell the life cycle what the runtime says of a container, whatever was known before."""
    if found.state is RunState.CREATED:
        runner.post(words.Created(found.name, found.attempt, found.id))
        return
    if found.started_at:
        runner.post(words.Started(found.name, found.attempt, found.id, found.pid, found.started_at))
    if found.state is RunState.EXITED:
        reason = OUT_OF_MEMORY if found.out_of_memory else found.message
        runner.post(
            words.Exited(found.name, found.attempt, found.exit_code, found.finished_at, found.out_of_memory, reason)
        )
    elif found.state is RunState.UNKNOWN:
        runner.post(words.Exited(found.name, found.attempt, LOST_EXIT_CODE, found.finished_at, reason=found.message))


def lost(container: str, attempt: int, now: float) -> words.Exited:
    return words.Exited(container, attempt, LOST_EXIT_CODE, now, reason="the runtime no longer knows the container")
