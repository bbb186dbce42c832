"""The machine agent: runs the workloads it was given, whether or not their control plane is there.

It knows `Workload` and nothing of ECS or Kubernetes. Everything it decides is decided by the pure life cycle; here are
the joints: the session on one side, a runner a workload in the middle, the runtime on the other side. Killed at any
moment and started again, it reads its journal, looks at what the runtime holds and goes on.

Absence never means stop: an unknown sandbox is left alone, and of workloads that a snapshot does not name only those
stop that the very same store, in the same epoch, had named before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.model.agent import MachineFacts, Snapshot
from ropewalk.model.host import HostNetwork
from ropewalk.model.ids import MachineId, Owner, VpcId, WorkloadUid
from ropewalk.model.status import WorkloadPhase, WorkloadStatus
from ropewalk.model.workload import Desire, NetworkMode, Workload
from ropewalk.node.actions import OUT_OF_MEMORY, Performer, RegistryAuthSource, anonymous, lost, observe
from ropewalk.node.credentials import CredentialCache
from ropewalk.node.documents import DocumentServers
from ropewalk.node.folders import Folders
from ropewalk.node.journal import Journal
from ropewalk.node.last_words import last_words
from ropewalk.node.logs import LogPump
from ropewalk.node.runner import STATE_KEY, Runner
from ropewalk.node.runtime import ContainerExited, Runtime, RuntimeFailure, RuntimeInfo
from ropewalk.node.session import Session, Unknown
from ropewalk.node.storage import StorageWatch
from ropewalk.node.streams import StreamServer
from ropewalk.node.transport import Transport
from ropewalk.planning import lifecycle
from ropewalk.planning import lifecycle_records as words

log = logger(__name__)

RETRY_SECONDS = 0.5
OVER_KEY = "over/"
OVER_KEPT = 1000
"""Workloads that are over and forgotten by the control plane: a backup may bring their records back."""
KILLED = 137
_ON_THE_WAY = (WorkloadPhase.ACCEPTED, WorkloadPhase.PREPARING, WorkloadPhase.STARTING)
"""Phases whose changes nobody waits for."""


@dataclass(frozen=True, slots=True)
class AgentPorts:
    """What an agent stands on. `network` None: no interfaces to attach (simulated mode)."""

    runtime: Runtime
    transport: Transport
    journal: Journal
    clock: Clock
    entropy: Entropy
    network: HostNetwork | None = None
    registry_auth: RegistryAuthSource = anonymous


class MachineAgent:
    """A `Runnable`. `root` is the folder for logs and volumes; None keeps no files (simulated mode)."""

    name = "agent"

    def __init__(
        self, facts: MachineFacts, owner: Owner, ports: AgentPorts, *, root: Path | None = None, cores: int = 2
    ) -> None:
        self.facts = facts
        self.owner = owner
        self._ports = ports
        self._clock = ports.clock
        self._runtime = ports.runtime
        # Moments are wall time of the start plus monotonic time since: a stepped clock fires no time-out.
        self._anchor = ports.clock.wall() - ports.clock.monotonic()
        self._runners: dict[str, Runner] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._over = dict.fromkeys(ports.journal.items(OVER_KEY))
        self._failed: asyncio.Future[None] | None = None
        self._info = RuntimeInfo("", "")
        machine = facts.machine
        folders = Folders(root)
        self._folders = folders
        self.credentials = CredentialCache(machine, ports.transport, ports.clock)
        self.logs = LogPump(
            machine=machine,
            transport=ports.transport,
            runtime=ports.runtime,
            journal=ports.journal,
            clock=ports.clock,
            folders=folders,
        )
        self.documents = DocumentServers(
            network=ports.network,
            runtime=ports.runtime,
            credentials=self.credentials,
            states=self.states,
            clock=ports.clock,
        )
        self._performer = Performer(
            runtime=ports.runtime,
            network=ports.network,
            clock=ports.clock,
            now=self.now,
            folders=folders,
            logs=self.logs,
            documents=self.documents,
            cores=cores,
            registry_auth=ports.registry_auth,
        )
        self.storage = StorageWatch(
            runtime=ports.runtime, clock=ports.clock, folders=folders, runners=lambda: list(self._runners.values())
        )
        self.streams = StreamServer(machine, ports.transport, ports.runtime, ports.clock, self.state)
        self.session = Session(
            facts=lambda: self.facts,
            machine=machine,
            owner=owner,
            agent=self,
            transport=ports.transport,
            clock=ports.clock,
            entropy=ports.entropy,
        )

    @property
    def machine(self) -> MachineId:
        return self.facts.machine

    def now(self) -> float:
        return self._anchor + self._clock.monotonic()

    def states(self) -> Iterable[words.State]:
        return [runner.state for runner in self._runners.values()]

    def state(self, uid: str) -> words.State | None:
        runner = self._runners.get(uid)
        return None if runner is None else runner.state

    def statuses(self) -> list[WorkloadStatus]:
        return [status for runner in self._runners.values() if (status := runner.status()) is not None]

    def status(self, uid: str) -> WorkloadStatus | None:
        runner = self._runners.get(uid)
        return None if runner is None else runner.status()

    # --- running

    async def run(self) -> None:
        """Until cancelled. Raises what makes going on pointless (a journal that cannot be written)."""
        loop = asyncio.get_running_loop()
        self._failed = loop.create_future()
        self._runners.clear()
        self._tasks.clear()
        self._info = await self._ask_runtime()
        self.facts = msgspec.structs.replace(
            self.facts,
            runtime_version=f"{self._info.name} {self._info.version}",
            isolations=tuple(i.value for i in self._info.isolations),
        )
        for value in self._ports.journal.items(STATE_KEY).values():
            self._begin(msgspec.json.decode(value, type=words.State), adopted=True)
        self.logs.adopted({uid for uid, r in self._runners.items() if not r.stopped}, self._runners.keys())
        tasks = [
            loop.create_task(part)
            for part in (
                self._follow_runtime(),
                self.session.run(),
                self.logs.run(),
                self.storage.run(),
                self._serve_adopted(),
            )
        ]
        try:
            await asyncio.gather(self._failed, *tasks)
        finally:
            ending = [*tasks, *self._tasks.values()]
            for task in ending:
                task.cancel()
            await asyncio.gather(*ending, return_exceptions=True)
            await self.streams.close()
            await self.documents.close()

    async def _ask_runtime(self) -> RuntimeInfo:
        while True:
            try:
                return await self._runtime.info()
            except RuntimeFailure as away:
                log.warning("the runtime does not answer yet", reason=away)
                await self._clock.sleep(RETRY_SECONDS)

    def _begin(self, state: words.State, *, adopted: bool = False) -> None:
        runner = Runner(
            state,
            now=self.now,
            clock=self._clock,
            save=self._ports.journal.put,
            perform=self._performer.perform,
            changed=self._changed,
            last_words=partial(last_words, self._folders),
        )
        if adopted:
            runner.durable = state
            runner.hold()
        self._runners[state.workload.uid] = runner
        task = asyncio.get_running_loop().create_task(runner.run())
        self._tasks[state.workload.uid] = task
        task.add_done_callback(self._runner_ended)

    def _runner_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self._failed is None or self._failed.done():
            return
        if (error := task.exception()) is not None:
            self._failed.set_exception(error)

    def _changed(self, runner: Runner) -> None:
        durable = runner.durable
        self.session.changed(runner.uid, pressing=durable is None or durable.phase not in _ON_THE_WAY)

    async def _serve_adopted(self) -> None:
        """Serve documents again in every VPC whose workloads were adopted, then wait for ever."""
        vpcs = {
            VpcId(state.workload.interface.vpc)
            for state in self.states()
            if state.workload.interface is not None and not state.ending
        }
        while vpcs:
            for vpc in list(vpcs):
                try:
                    await self.documents.ensure(vpc)
                    vpcs.discard(vpc)
                except (Retryable, OSError) as busy:
                    log.warning("documents cannot be served yet", vpc=vpc, reason=busy)
            if vpcs:
                await self._clock.sleep(RETRY_SECONDS)
        await asyncio.get_running_loop().create_future()

    # --- what the runtime says

    async def _follow_runtime(self) -> None:
        while True:
            try:
                async for event in self._runtime.events():
                    if isinstance(event, ContainerExited):
                        await self._container_exited(event)
                    else:
                        await self._reconcile()
            except RuntimeFailure as away:
                log.warning("the runtime's events are lost", reason=away)
            await self._clock.sleep(RETRY_SECONDS)

    def _find(self, runtime_id: str) -> tuple[Runner, words.ContainerState] | None:
        for runner in self._runners.values():
            for container in runner.state.containers:
                if container.runtime_id == runtime_id:
                    return runner, container
        return None

    async def _container_exited(self, event: ContainerExited) -> None:
        found = self._find(event.id)
        try:
            # The full status knows what the event may not: whether memory ran out, and whose container it is.
            if found is None or (event.exit_code == KILLED and not event.out_of_memory):
                state = await self._runtime.status(event.id)
                runner = self._runners.get(state.uid)
                if runner is not None and (found is None or state.out_of_memory):
                    observe(runner, state)
                    return
        except RuntimeFailure:
            pass
        if found is None:
            return
        runner, container = found
        reason = OUT_OF_MEMORY if event.out_of_memory else ""
        runner.post(
            words.Exited(
                container.name, container.attempt, event.exit_code, event.finished_at, event.out_of_memory, reason
            )
        )

    async def _reconcile(self) -> None:
        """Compare everything believed with everything there is."""
        believed = {
            (runner.uid, c.name, c.attempt)
            for runner in self._runners.values()
            for c in runner.state.containers
            if c.alive
        }
        boxes = {(runner.uid, runner.state.sandbox) for runner in self._runners.values() if runner.state.sandbox}
        containers = await self._runtime.containers()
        ready = {s.id for s in await self._runtime.sandboxes() if s.ready}
        for found in containers:
            believed.discard((found.uid, found.name, found.attempt))
            if (runner := self._runners.get(found.uid)) is not None:
                observe(runner, found)
        for uid, name, attempt in believed:
            if (runner := self._runners.get(uid)) is not None:
                runner.post(lost(name, attempt, self.now()))
        for uid, sandbox in boxes:
            runner = self._runners.get(uid)
            if runner is not None and sandbox not in ready and runner.state.sandbox == sandbox:
                runner.post(words.SandboxLost())
        for runner in self._runners.values():
            runner.release()

    # --- what the control plane says

    def applied(self, workload: Workload) -> None:
        if workload.owner != self.owner or workload.machine != self.machine:
            log.warning("a workload of another machine or owner was sent here", workload=workload.uid)
            return
        runner = self._runners.get(workload.uid)
        if runner is not None:
            runner.post(words.Desired(workload))
            return
        if (over := self._ports.journal.get(OVER_KEY + workload.uid)) is not None:
            state = msgspec.json.decode(over, type=words.State)
            self._begin(lifecycle.step(state, words.Desired(workload), self.now())[0])
            return
        state = lifecycle.begin(workload, self.now())
        if not state.ending and (why := self._cannot(workload)):
            state = lifecycle.refuse(state, why, self.now())
        self._begin(state)

    def _cannot(self, workload: Workload) -> str:
        """Why this machine cannot run such a workload, or ""."""
        if workload.isolation not in self._info.isolations:
            return f"isolation {workload.isolation.value} is not installed on this machine"
        if workload.network is NetworkMode.BRIDGE:
            return "network mode bridge is not offered by this machine"
        if workload.network is NetworkMode.INTERFACE and workload.interface is None:
            return "network mode interface without an interface"
        return ""

    def not_understood(self, unknown: Unknown, why: str) -> None:
        """Refuse it, unless it runs here already: then only its end can be read out of the record."""
        if unknown.owner != self.owner or unknown.machine != self.machine:
            return
        runner = self._runners.get(unknown.uid)
        if runner is not None:
            if unknown.desire is Desire.STOP and unknown.generation.supersedes(runner.state.workload.generation):
                stopped = msgspec.structs.replace(
                    runner.state.workload, generation=unknown.generation, desire=Desire.STOP
                )
                runner.post(words.Desired(stopped))
            return
        log.warning("a workload is refused", workload=unknown.uid, reason=why)
        bare = Workload(
            uid=WorkloadUid(unknown.uid),
            owner=self.owner,
            machine=self.machine,
            generation=unknown.generation,
            name=unknown.name,
            containers=(),
        )
        reason = f"this agent does not understand the workload: {why}"
        self._begin(lifecycle.refuse(lifecycle.begin(bare, self.now()), reason, self.now()))

    def snapshot(self, snapshot: Snapshot) -> None:
        named = set(snapshot.uids)
        newest = snapshot.generation
        for runner in self._runners.values():
            held = runner.state.workload.generation
            same = held.store_id == newest.store_id and held.epoch == newest.epoch
            if runner.uid not in named and same and held.number <= newest.number:
                runner.post(words.Unwanted("its record was removed from the control plane"))

    def dial(self, stream: str) -> None:
        self.streams.dial(stream)

    async def forget(self, uid: WorkloadUid) -> None:
        """Drop a stopped workload's record; its log lines are shipped first, its files go last."""
        runner = self._runners.get(uid)
        if runner is None or not runner.stopped:
            return
        await runner.settled()  # else the last write would bring it back
        if self._runners.get(uid) is not runner:
            return
        del self._runners[uid]
        if (task := self._tasks.pop(uid, None)) is not None:
            task.cancel()
        journal = self._ports.journal
        self._over.pop(OVER_KEY + uid, None)
        self._over[OVER_KEY + uid] = None
        await journal.put(OVER_KEY + uid, msgspec.json.encode(lifecycle.tombstone(runner.state)))
        await journal.delete(STATE_KEY + uid)
        while len(self._over) > OVER_KEPT:
            oldest = next(iter(self._over))
            del self._over[oldest]
            await journal.delete(oldest)
        self.credentials.forget(uid)
        self._performer.forget(uid)
        self.logs.forget(uid)
