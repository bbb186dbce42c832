"""A small world for the agent protocol: store, gateway, agents with fake runtimes, and a wire that may be bad."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random

import msgspec

from ropewalk.agents.gateway import Gateway
from ropewalk.base.clock import Clock, VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.model.agent import (
    STATUSES,
    WORKLOADS,
    FabricDown,
    LogBatch,
    LogReceipt,
    MachineFacts,
    Receipt,
    Report,
)
from ropewalk.model.ids import MachineId, WorkloadUid
from ropewalk.model.readers import TemporaryKeys
from ropewalk.model.status import WorkloadStatus
from ropewalk.model.workload import Workload
from ropewalk.node.agent import AgentPorts, MachineAgent
from ropewalk.node.fake_runtime import FakeRuntime
from ropewalk.node.journal import MemoryJournal
from ropewalk.node.runner import STATE_KEY
from ropewalk.node.transport import DirectTransport, Transport, TransportFailure
from ropewalk.planning.lifecycle_records import State
from ropewalk.runtime.table import Table
from ropewalk.store.keyspace import Keyspace, Retention
from ropewalk.store.memory import MemoryStore
from support.workloads import OWNER


class MemoryLogSink:
    """Takes every line, each position once."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, str], list[str]] = {}
        self.positions: dict[tuple[str, str], int] = {}
        self.failure = ""
        self.roles: list[str | None] = []
        """As whom each batch was written."""

    async def append(self, batch: LogBatch, role_arn: str | None = None) -> LogReceipt:
        self.roles.append(role_arn)
        key = (batch.workload, batch.container)
        have = self.positions.get(key, 0)
        if self.failure:
            return LogReceipt(have, self.failure)
        if batch.previous == have:
            self.lines.setdefault(key, []).extend(line.message for line in batch.lines)
            self.positions[key] = have = batch.position
        return LogReceipt(have)


class Roles:
    """Gives keys that live an hour; counts how often it was asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.given = 0

    async def session(self, role_arn: str, session_name: str, seconds: float) -> TemporaryKeys:
        self.given += 1
        return TemporaryKeys(f"ASIA{self.given}", "secret", f"{role_arn}/{session_name}", self._clock.wall() + 3600.0)


class BadWire:
    """A transport whose messages may be lost before or after they arrive, doubled or late."""

    def __init__(self, world: World, random: Random) -> None:
        self._world = world
        self._random = random

    def _inner(self) -> Transport:
        gateway = self._world.gateway
        if gateway is None:
            raise TransportFailure("nobody listens")
        return DirectTransport(gateway.handle)

    def _bad(self) -> bool:
        return self._random.random() < self._world.badness

    async def _late(self) -> None:
        if self._bad():
            await self._world.clock.sleep(self._random.random() * 3)

    async def watch(self, machine: MachineId, session: str) -> AsyncIterator[bytes]:
        async for line in self._inner().watch(machine, session):
            await self._late()
            if self._bad():
                raise TransportFailure("the stream broke")
            yield line
            if self._bad():
                yield line

    async def report(self, report: Report) -> Receipt:
        await self._late()
        if self._bad():
            raise TransportFailure("lost on the way there")
        receipt = await self._inner().report(report)
        if self._bad():
            receipt = await self._inner().report(report)
        if self._bad():
            raise TransportFailure("lost on the way back")
        return receipt

    async def logs(self, batch: LogBatch) -> LogReceipt:
        if self._bad():
            raise TransportFailure("lost on the way there")
        return await self._inner().logs(batch)

    async def credentials(self, machine: MachineId, workload: WorkloadUid, name: str) -> TemporaryKeys:
        return await self._inner().credentials(machine, workload, name)

    def fabric(self, host: str) -> AsyncIterator[FabricDown]:
        return self._inner().fabric(host)


class SlowDisk(MemoryJournal):
    """A journal whose writes take a while: a kill in between loses them."""

    def __init__(self, world: World, random: Random) -> None:
        super().__init__()
        self._world = world
        self._random = random

    async def put(self, key: str, value: bytes) -> None:
        await self._world.clock.sleep(self._random.choice([0.0, 0.01, 0.2]))
        await super().put(key, value)


class Host:
    """A machine: its runtime and its journal outlive its agent."""

    def __init__(self, world: World, name: str, random: Random) -> None:
        self.world = world
        self.machine = MachineId(name)
        self.runtime = FakeRuntime(world.clock, name=name)
        self.journal = SlowDisk(world, random)
        self.transport = BadWire(world, random)
        self.agent: MachineAgent | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        facts = MachineFacts(self.machine, hostname=self.machine, cpu_millis=2000, memory_bytes=4 << 30)
        ports = AgentPorts(self.runtime, self.transport, self.journal, self.world.clock, self.world.entropy)
        self.agent = MachineAgent(facts, OWNER, ports)
        self._task = asyncio.get_running_loop().create_task(self.agent.run())

    async def kill(self) -> None:
        if self._task is not None:
            self._task.cancel()
            outcome = (await asyncio.gather(self._task, return_exceptions=True))[0]
            assert isinstance(outcome, asyncio.CancelledError), outcome
        self._task = self.agent = None

    def states(self) -> dict[str, State]:
        """What the journal holds."""
        found = (msgspec.json.decode(v, type=State) for v in self.journal.items(STATE_KEY).values())
        return {state.workload.uid: state for state in found}


class World:
    def __init__(self, seed: int, machines: int = 1) -> None:
        self.random = Random(seed)
        self.clock = VirtualClock(settle_rounds=30)
        self.entropy = SeededEntropy(seed)
        self.badness = 0.0
        self.store = MemoryStore(self.entropy, clock=self.clock)
        self.sink = MemoryLogSink()
        self.roles = Roles(self.clock)
        self.gateway: Gateway | None = None
        self._gateway_task: asyncio.Task[None] | None = None
        self.hosts = [Host(self, f"m-{i}", self.random) for i in range(machines)]

    @property
    def workloads(self) -> Table[Workload]:
        return Table(self.store, WORKLOADS, Workload)

    @property
    def statuses(self) -> Table[WorkloadStatus]:
        return Table(self.store, STATUSES, WorkloadStatus)

    def start_gateway(self) -> None:
        self.gateway = Gateway(
            self.store, OWNER, clock=self.clock, entropy=self.entropy, log_sink=self.sink, role_sessions=self.roles
        )
        self._gateway_task = asyncio.get_running_loop().create_task(self.gateway.run())

    async def stop_gateway(self) -> None:
        if self.gateway is not None:
            self.gateway.close()
            assert self._gateway_task is not None
            self._gateway_task.cancel()
            await asyncio.gather(self._gateway_task, return_exceptions=True)
            self.gateway = None

    async def copy(self) -> MemoryStore:
        """The store as it is now, as a backup would hold it."""
        page = await self.store.list("/")
        made = MemoryStore(self.entropy, clock=self.clock)
        made._identity = self.store.identity
        made._keys = Keyspace(self.clock, Retention(), page.entries, oldest=page.revision)
        return made

    async def up(self) -> None:
        self.start_gateway()
        for host in self.hosts:
            host.start()
        await self.clock.advance(1.0)

    async def down(self) -> None:
        for host in self.hosts:
            await host.kill()
        await self.stop_gateway()
