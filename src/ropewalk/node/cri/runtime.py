"""`CriRuntime`: the Runtime over containerd. Sandboxes, containers and their ends; the details are beside it.

Every call may be repeated: what exists is found by its labels and answered. Nothing that must survive lives in this
process: containerd keeps the containers, labels keep who they are, two small folders of files keep attachments and
/etc/hosts. A caller that is cancelled in the middle leaves what the next call, or `remove_sandbox`, puts right.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal as signals
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.log import logger
from ropewalk.model.host import HostNetwork
from ropewalk.model.ids import WorkloadUid
from ropewalk.model.workload import Container, Isolation, NetworkMode, Question, Resources, Workload
from ropewalk.node import questions
from ropewalk.node.cri import images, lowering, namespaces, states, statistics
from ropewalk.node.cri._generated import cri_pb2 as cri
from ropewalk.node.cri.cgroups import Cgroups, Version, limits
from ropewalk.node.cri.client import CallFailed, Client
from ropewalk.node.cri.cni import CniCalls, CniError
from ropewalk.node.cri.exits import Exits
from ropewalk.node.runtime import (
    Answer,
    ContainerSetup,
    ContainerState,
    ContainerStats,
    CreateFailed,
    ExecResult,
    ExecTimeout,
    ImageInfo,
    ImageNotFound,
    NoStreams,
    NoSuchContainer,
    Progress,
    RegistryAuth,
    RunState,
    RuntimeEvent,
    RuntimeFailure,
    RuntimeInfo,
    Sandbox,
    StartFailed,
)

log = logger(__name__)

_OURS = {lowering.MANAGED: "true"}
_OUTPUT_LIMIT = 65_536
_CGROUP_PATIENCE = 2.0
_SETTLING = 5.0
"""Seconds in which containerd must have seen what has ended."""
_PAUSE = 0.05
LOOPBACK = "127.0.0.1"
"""Where a sandbox without an address of its own is asked, inside its namespace or on the machine that it shares."""


T = TypeVar("T")


async def answered(call: Awaitable[T]) -> T:
    """For calls that have no business failing: a refusal is a RuntimeFailure with containerd's own words."""
    try:
        return await call
    except CallFailed as failure:
        raise RuntimeFailure(failure.text) from failure


async def unless_gone(call: Awaitable[None]) -> None:
    """The same for calls on something that may be gone already: then all is well."""
    try:
        await call
    except CallFailed as failure:
        if failure.code != "NOT_FOUND":
            raise RuntimeFailure(failure.text) from failure


async def asked_again(call: Callable[[], Awaitable[None]], clock: Clock) -> None:
    """For calls that may be made twice, on something that may be ending by itself: `unless_gone`, until it answers.

    A container that ends as containerd reaches for it takes its shim along, and the call fails in whatever words
    containerd has for that ("ttrpc: closed", "process already finished"). Callers of CRI are meant to call again:
    StopPodSandbox "is idempotent, and must not return an error if all relevant resources have already been reclaimed".
    """
    until = clock.monotonic() + _SETTLING
    while True:
        try:
            return await unless_gone(call())
        except RuntimeFailure:
            if clock.monotonic() >= until:
                raise
            await clock.sleep(_PAUSE)


@dataclass(frozen=True, slots=True)
class Places:
    """Files and names the runtime uses on its machine."""

    socket: Path
    """containerd's."""
    cni_calls: Path
    """Folder of FIFOs that the CNI plug-in knows."""
    state: Path
    """A folder of its own, gone after a reboot."""
    init: Path
    """The small init's program, for containers that ask for one."""
    cgroup: str = "/ropewalk/main"
    """Parent of the workloads' cgroups; two runtimes on one machine need two."""


class CriRuntime:
    def __init__(
        self,
        places: Places,
        network: HostNetwork,
        clock: Clock,
        entropy: Entropy,
        *,
        isolations: tuple[Isolation, ...] = (Isolation.SHARED_KERNEL,),
    ) -> None:
        self._places = places
        self.streams = NoStreams()
        self._clock = clock
        self._isolations = isolations
        self._client = Client(str(places.socket))
        self.cgroups = Cgroups(places.cgroup)
        self._cni = CniCalls(places.cni_calls, places.state / "attachments", network, clock)
        self._exits = Exits(self._client, clock, entropy, self._kills, self._is_sandbox)
        self._sandbox_uids: dict[str, WorkloadUid] = {}
        self._log_folders: dict[str, str] = {}
        self._container_uids: dict[str, WorkloadUid] = {}
        self._reservations: dict[str, int] = {}
        self._unlimited: dict[WorkloadUid, int] = {}
        self._opened = asyncio.Lock()
        self._is_open = False

    async def open(self) -> None:
        """Collect what went while no agent was here. Every call that makes or ends a sandbox does it too."""
        async with self._opened:
            if not self._is_open:
                self._cni.open()
                await self._adopt()
                self._is_open = True

    async def _adopt(self) -> None:
        """After a restart of ours: give back what is gone, and limit what was started and not yet limited."""
        claimed = self._cni.claimed()
        living = [item for item in await answered(self._client.sandboxes(_OURS)) if item.state == cri.SANDBOX_READY]
        await self._cni.collect(claimed, [item.id for item in living])
        for item in living:
            uid = WorkloadUid(item.labels[lowering.UID])
            self._unlimited[uid] = int(item.annotations[lowering.CPU])
        for uid in {container.uid for container in await self.containers() if container.state is RunState.RUNNING}:
            self._limit_cpu(uid)

    def _limit_cpu(self, uid: WorkloadUid) -> None:
        """Once for each sandbox, after its first container has started."""
        if cpu_millis := self._unlimited.pop(uid, 0):
            self.cgroups.limit_cpu(uid, cpu_millis)

    async def close(self) -> None:
        await self._client.close()

    async def info(self) -> RuntimeInfo:
        version = await answered(self._client.version(timeout=5.0))
        return RuntimeInfo(version.runtime_name, version.runtime_version, self._isolations)

    async def image(self, reference: str) -> ImageInfo | None:
        return await images.look_up(self._client, reference)

    async def pull(self, reference: str, auth: RegistryAuth | None, progress: Progress | None = None) -> ImageInfo:
        return await images.pull(self._client, self._clock, reference, auth, progress)

    async def create_sandbox(self, workload: Workload, log_folder: str, attempt: int = 0) -> Sandbox:
        await self.open()
        if workload.isolation not in self._isolations:
            raise CreateFailed(f"isolation {workload.isolation.value} is not offered on this machine")
        config = lowering.sandbox_config(workload, log_folder, attempt, self.cgroups.path(workload.uid))
        try:
            self.cgroups.create(workload.uid, workload.resources)
            self._write_hosts(workload)
        except OSError as error:
            raise CreateFailed(f"the workload's cgroup or folder cannot be made: {error}") from error
        try:
            async with self._cni.expecting(workload):
                created = await self._client.run_sandbox(config, lowering.handler(workload))
        except (CallFailed, CniError) as failure:
            existing = await self._find_sandbox(workload.uid, attempt)
            if existing is None:
                await self._clean_up(workload.uid)
                raise CreateFailed(str(getattr(failure, "text", failure))) from failure
            return existing
        self._sandbox_uids[created] = workload.uid
        self._log_folders[created] = log_folder
        self._unlimited[workload.uid] = workload.resources.cpu_millis
        placed = self._cni.placed(created)
        return Sandbox(
            id=created,
            owner=workload.owner,
            uid=workload.uid,
            name=workload.name,
            attempt=attempt,
            ready=True,
            created_at=self._clock.wall(),
            address=config.annotations[lowering.ADDRESS],
            namespace=placed.namespace if placed else "",
        )

    async def create_container(
        self,
        sandbox: str,
        workload: Workload,
        container: Container,
        image: ImageInfo,
        attempt: int,
        setup: ContainerSetup,
    ) -> str:
        files = dict(setup.files)
        if workload.network is not NetworkMode.HOST or workload.extra_hosts:
            files["/etc/hosts"] = str(self._hosts(workload.uid))
        if container.init:
            files[lowering.INIT_PATH] = str(self._places.init)
        config = lowering.container_config(
            sandbox, workload, container, image, attempt, setup, files, self.cgroups.version
        )
        log_folder = await self._log_folder(sandbox)
        if setup.log_path:
            Path(log_folder, setup.log_path).parent.mkdir(parents=True, exist_ok=True)
        whole = lowering.sandbox_config(workload, log_folder, 0, self.cgroups.path(workload.uid))
        try:
            created = await self._client.create_container(sandbox, config, whole)
        except CallFailed as failure:
            for found in await self._find_containers(workload.uid, sandbox):
                if (found.metadata.name, found.metadata.attempt) == (container.name, attempt):
                    return found.id
            if "no users found" in failure.text or "no groups found" in failure.text:
                user = container.user or image.user
                raise CreateFailed(f"unable to find user {user}: no matching entries in passwd file") from failure
            if "image" in failure.text and "not found" in failure.text:
                raise ImageNotFound(failure.text) from failure
            raise CreateFailed(failure.text) from failure
        self._container_uids[created] = workload.uid
        if self.cgroups.version is Version.ONE and container.resources.memory_reservation_bytes:
            self._reservations[created] = container.resources.memory_reservation_bytes
        return created

    async def start(self, container_id: str) -> ContainerState:
        try:
            await self._client.start_container(container_id)
        except CallFailed as failure:
            status = await self._status(container_id)
            if status is None:
                raise NoSuchContainer(f"there is no container {container_id}") from failure
            if status.state == cri.CONTAINER_CREATED or status.reason == states.START_ERROR:
                raise StartFailed(status.message or failure.text) from failure
        if reservation := self._reservations.pop(container_id, 0):
            self._reserve(container_id, reservation)
        state = await self.status(container_id)
        self._limit_cpu(state.uid)
        return state

    async def stop(self, container_id: str, signal: str, timeout: float) -> None:
        try:
            if signal and timeout > 0:
                if await self._signal_and_wait(container_id, signal, timeout):
                    await self._settled(container_id)
                    return
                timeout = 0
            if timeout <= 0 and (await self.status(container_id)).state is RunState.RUNNING:
                self._exits.killed_by_us.add(container_id)
            await self._client.stop_container(container_id, math.ceil(timeout))
            await self._settled(container_id)
        except NoSuchContainer:
            return
        except CallFailed as failure:  # it may have ended in the middle, in whatever words containerd says so
            if failure.code != "NOT_FOUND" and not await self._settled(container_id):
                raise RuntimeFailure(failure.text) from failure

    async def exec_sync(self, container_id: str, command: tuple[str, ...], timeout: float) -> ExecResult:
        try:
            answer = await self._client.exec_sync(container_id, command, max(1, math.ceil(timeout)))
        except CallFailed as failure:
            text = failure.text
            if failure.code == "DEADLINE_EXCEEDED" or ("timeout" in text and "exceeded" in text):
                raise ExecTimeout(f"the command ran longer than {timeout} s") from failure
            if "executable file not found" in text or "no such file or directory" in text:
                return ExecResult(127, stderr=text.encode())
            if "permission denied" in text:
                return ExecResult(126, stderr=text.encode())
            raise NoSuchContainer(text) from failure
        return ExecResult(answer.exit_code, answer.stdout[:_OUTPUT_LIMIT], answer.stderr[:_OUTPUT_LIMIT])

    async def ask(self, container_id: str, question: Question, timeout: float) -> Answer:
        state = await self.status(container_id)
        if state.state is not RunState.RUNNING:
            raise NoSuchContainer(f"container {container_id} does not run")
        placed = self._cni.placed(state.sandbox)
        namespace = placed.namespace if placed else ""
        try:
            found = await self._client.sandbox_status(state.sandbox)
        except CallFailed as failure:
            raise NoSuchContainer(failure.text) from failure
        address = found.status.annotations[lowering.ADDRESS] or LOOPBACK
        return await questions.ask(question, address, partial(namespaces.dial, namespace), self._clock, timeout)

    async def remove_container(self, container_id: str) -> None:
        await self.stop(container_id, "", 0)
        await asked_again(lambda: self._client.remove_container(container_id), self._clock)
        self._exits.forget(container_id)
        self._container_uids.pop(container_id, None)
        self._reservations.pop(container_id, None)

    async def stop_sandbox(self, sandbox_id: str) -> None:
        await self.open()
        for found in await self._find_containers(None, sandbox_id):
            self._exits.killed_by_us.add(found.id)
        await asked_again(lambda: self._client.stop_sandbox(sandbox_id), self._clock)
        await self._cni.release(sandbox_id)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        uid = self._sandbox_uids.get(sandbox_id)
        if uid is None:
            uid = next((sandbox.uid for sandbox in await self.sandboxes() if sandbox.id == sandbox_id), None)
        await self.stop_sandbox(sandbox_id)
        contained = await self._find_containers(None, sandbox_id)
        await asked_again(lambda: self._client.remove_sandbox(sandbox_id), self._clock)
        for found in contained:
            self._exits.forget(found.id)
            self._container_uids.pop(found.id, None)
        self._sandbox_uids.pop(sandbox_id, None)
        self._log_folders.pop(sandbox_id, None)
        if uid is not None:
            await self._clean_up(uid)

    async def sandboxes(self) -> list[Sandbox]:
        found = await answered(self._client.sandboxes(_OURS))
        self._sandbox_uids.update((item.id, WorkloadUid(item.labels[lowering.UID])) for item in found)
        return [self._sandbox(item) for item in found]

    async def containers(self, uid: WorkloadUid | None = None) -> list[ContainerState]:
        found = await self._find_containers(uid)
        pids = await self._pids() if found else {}
        statuses = await asyncio.gather(*(self._status(item.id) for item in found))
        return [self._state(status, pids.get(status.id, 0)) for status in statuses if status is not None]

    async def status(self, container_id: str) -> ContainerState:
        status, pid = await asyncio.gather(self._status(container_id), self._pid(container_id))
        if status is None:
            raise NoSuchContainer(f"there is no container {container_id}")
        return self._state(status, pid)

    def events(self) -> AsyncIterator[RuntimeEvent]:
        return self._exits.stream()

    async def stats(self, uid: WorkloadUid | None = None) -> list[ContainerStats]:
        found = await self._find_containers(uid)
        if not found:
            return []
        labels = {**_OURS, **({lowering.UID: uid} if uid else {})}
        pids, layers = await asyncio.gather(self._pids(), answered(self._client.layers(labels)))
        now = self._clock.wall()
        sampled = (
            statistics.sample(self.cgroups, item.id, self._group(item.id), pids[item.id], now, layers.get(item.id, 0))
            for item in found
            if item.id in pids and item.state == cri.CONTAINER_RUNNING
        )
        return [stats for stats in sampled if stats is not None]

    async def reopen_log(self, container_id: str) -> None:
        try:
            await self._client.reopen_log(container_id)
        except CallFailed as failure:
            raise NoSuchContainer(failure.text) from failure

    async def _signal_and_wait(self, container: str, signal: str, timeout: float) -> bool:
        """Whether it has exited within the time."""
        number = states.signal_number(signal)
        if number == signals.SIGKILL:
            self._exits.killed_by_us.add(container)
        waiting = asyncio.ensure_future(self._client.wait(container))
        deadline = asyncio.ensure_future(self._clock.sleep(timeout))
        try:
            await self._client.kill(container, number)
            await asyncio.wait((waiting, deadline), return_when=asyncio.FIRST_COMPLETED)
            return waiting.done() and waiting.exception() is None
        finally:
            waiting.cancel()
            deadline.cancel()
            await asyncio.gather(waiting, deadline, return_exceptions=True)

    async def _settled(self, container: str) -> bool:
        """Wait for CRI to see an end: it may say RUNNING for some tens of milliseconds more. False: it sees none."""
        until = self._clock.monotonic() + _SETTLING
        try:
            while (await self.status(container)).state is RunState.RUNNING:
                if self._clock.monotonic() > until:
                    return False
                await self._clock.sleep(0.005)
        except NoSuchContainer:
            return True
        return True

    async def _find_sandbox(self, uid: WorkloadUid, attempt: int) -> Sandbox | None:
        return next((one for one in await self.sandboxes() if (one.uid, one.attempt) == (uid, attempt)), None)

    async def _find_containers(self, uid: WorkloadUid | None, sandbox: str = "") -> list[cri.Container]:
        labels = {**_OURS, **({lowering.UID: uid} if uid else {}), **({lowering.SANDBOX: sandbox} if sandbox else {})}
        found = await answered(self._client.containers(labels))
        self._container_uids.update((item.id, WorkloadUid(item.labels[lowering.UID])) for item in found)
        return found

    async def _status(self, container: str) -> cri.ContainerStatus | None:
        try:
            return await self._client.container_status(container)
        except CallFailed as failure:
            if failure.code == "NOT_FOUND":
                return None
            raise RuntimeFailure(failure.text) from failure

    async def _pid(self, container: str) -> int:
        try:
            return await self._client.pid(container)
        except CallFailed:
            return 0

    async def _pids(self) -> dict[str, int]:
        return await answered(self._client.pids())

    async def _log_folder(self, sandbox: str) -> str:
        folder = self._log_folders.get(sandbox)
        if folder is None:
            try:
                found = await self._client.sandbox_status(sandbox)
            except CallFailed as failure:
                raise CreateFailed(failure.text) from failure
            folder = self._log_folders[sandbox] = found.status.annotations[lowering.LOG_FOLDER]
        return folder

    def _sandbox(self, item: cri.PodSandbox) -> Sandbox:
        placed = self._cni.placed(item.id)
        return states.sandbox(item, placed.namespace if placed else "")

    def _state(self, status: cri.ContainerStatus, pid: int) -> ContainerState:
        by_us = status.id in self._exits.killed_by_us
        return states.container(status, pid, self._exits.seen.get(status.id), by_us)

    def _is_sandbox(self, identifier: str) -> bool:
        return identifier in self._sandbox_uids

    def _group(self, container: str) -> str:
        return f"{self.cgroups.path(self._container_uids[container])}/{container}"

    def _kills(self, container: str) -> int | None:
        known = container in self._container_uids
        return self.cgroups.out_of_memory_kills(self._group(container)) if known else None

    def _reserve(self, container: str, reservation: int) -> None:
        """Version 1 only: what CRI has no field for."""
        writes = limits(Version.ONE, Resources(memory_reservation_bytes=reservation))
        with contextlib.suppress(FileNotFoundError):  # it has ended already
            self.cgroups.write(self._group(container), writes)

    def _hosts(self, uid: WorkloadUid) -> Path:
        return self._places.state / "hosts" / uid

    def _write_hosts(self, workload: Workload) -> None:
        path = self._hosts(workload.uid)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lowering.hosts_file(workload))

    async def _clean_up(self, uid: WorkloadUid) -> None:
        """Remove what a workload leaves on the machine, unless a sandbox of it is still there."""
        claimed = self._cni.claimed()
        sandboxes = await self.sandboxes()
        await self._cni.collect(claimed, [sandbox.id for sandbox in sandboxes])
        if any(sandbox.uid == uid for sandbox in sandboxes):
            return
        self._hosts(uid).unlink(missing_ok=True)
        self._unlimited.pop(uid, None)
        until = self._clock.monotonic() + _CGROUP_PATIENCE
        while not self.cgroups.remove(uid):
            if self._clock.monotonic() > until:
                log.warning("a workload's cgroup still has processes", workload=uid)
                return
            await self._clock.sleep(0.01)
