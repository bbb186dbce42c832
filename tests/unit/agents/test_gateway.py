"""The gateway's bookkeeping: what it writes, when it calls a store restored, how it takes over from another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from ropewalk.agents.mirror import WorkloadMirror
from ropewalk.agents.statuses import StatusBook
from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.http.messages import Peer, Request, Response
from ropewalk.model.agent import MACHINES, STATUSES, WORKLOADS, MachineFacts, Report
from ropewalk.model.ids import WorkloadUid
from ropewalk.model.status import WorkloadPhase, WorkloadStatus
from ropewalk.model.workload import Generation, Workload
from ropewalk.runtime.table import Table
from ropewalk.store.keyspace import Retention
from ropewalk.store.memory import MemoryStore
from support.agents import World
from support.workloads import MACHINE, workload


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World(1)
    made.start_gateway()
    await made.clock.settle()
    yield made
    await made.down()


async def send(world: World, method: str, target: str, body: bytes = b"") -> Response:
    assert world.gateway is not None
    path, _, query = target.partition("?")
    return await world.gateway.handle(Request(method, target, path, query, {}, body, Peer("")))


class Dialled:
    """A session held open by a task that reads its stream."""

    def __init__(self, world: World, session: str = "s") -> None:
        self.world = world
        self.session = session
        self.lines: list[dict[str, object]] = []

    async def open(self) -> Dialled:
        response = await send(self.world, "GET", f"/agent/v1/watch?machine={MACHINE}&session={self.session}")
        assert response.status == 200 and not isinstance(response.body, bytes)
        self._body = response.body
        self._task = asyncio.get_running_loop().create_task(self._read())
        await self.world.clock.settle()
        return self

    async def _read(self) -> None:
        async for line in self._body:
            self.lines.append(msgspec.json.decode(line))

    def kinds(self) -> list[object]:
        return [line["type"] for line in self.lines]

    async def report(self, *statuses: WorkloadStatus, complete: bool = False, cpu: int = 1000) -> Response:
        facts = MachineFacts(MACHINE, "h", cpu_millis=cpu, memory_bytes=1)
        body = msgspec.json.encode(Report(facts, self.session, statuses, complete))
        response = await send(self.world, "POST", "/agent/v1/report", body)
        await self.world.clock.settle()
        return response

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def status(world: World, uid: str, number: int, phase: WorkloadPhase = WorkloadPhase.RUNNING) -> WorkloadStatus:
    identity = world.store.identity
    return WorkloadStatus(WorkloadUid(uid), Generation(identity.store_id, identity.epoch, number), 1, phase)


@pytest.mark.parametrize(
    ("method", "target", "body", "expected"),
    [
        ("GET", "/agent/v1/nothing", b"", 404),
        ("POST", "/agent/v1/watch", b"", 404),
        ("GET", "/agent/v1/watch?machine=m", b"", 400),
        ("GET", "/agent/v1/watch", b"", 400),
        ("POST", "/agent/v1/report", b"{", 400),
        ("POST", "/agent/v1/report", b'{"machine":1}', 400),
        ("POST", "/agent/v1/logs", b"[]", 400),
        ("GET", "/agent/v1/credentials?machine=m&workload=w", b"", 400),
        ("GET", "/agent/v1/fabric?host=h", b"", 404),
    ],
)
async def test_bad_requests_are_told_so(world: World, method: str, target: str, body: bytes, expected: int) -> None:
    response = await send(world, method, target, body)
    assert response.status == expected and response.body


async def test_a_snapshot_waits_for_the_complete_report(world: World) -> None:
    await world.workloads.create(f"{MACHINE}/w", workload("w"))
    dialled = await Dialled(world).open()
    await world.clock.advance(9)
    assert dialled.kinds() == ["hello", "apply"]
    await dialled.report()
    assert dialled.kinds() == ["hello", "apply"]
    await dialled.report(complete=True)
    assert dialled.kinds() == ["hello", "apply", "snapshot"]
    await world.clock.advance(61)
    assert dialled.kinds()[3:].count("ping") >= 5 and dialled.kinds().count("snapshot") == 2
    await dialled.close()


async def test_machine_facts_are_written_when_they_change(world: World) -> None:
    dialled = await Dialled(world).open()
    await dialled.report(complete=True)
    revision = world.store.revision
    await dialled.report()
    assert world.store.revision == revision
    await dialled.report(cpu=2000)
    facts = await Table(world.store, MACHINES, MachineFacts).get(MACHINE)
    assert facts is not None and facts.cpu_millis == 2000
    await dialled.close()


@pytest.mark.parametrize(
    ("uid", "above", "phase", "restored"),
    [
        ("held", 0, WorkloadPhase.RUNNING, False),
        ("held", 1, WorkloadPhase.RUNNING, True),
        ("unknown", 100, WorkloadPhase.STOPPED, True),
        ("unknown", -1, WorkloadPhase.RUNNING, True),
        ("unknown", -1, WorkloadPhase.STOPPED, False),
    ],
)
async def test_when_a_store_is_called_restored(
    world: World, uid: str, above: int, phase: WorkloadPhase, restored: bool
) -> None:
    revision = await world.workloads.create(f"{MACHINE}/held", workload("held"))
    await world.store.create("/other", b"{}")
    dialled = await Dialled(world).open()
    epoch = world.store.identity.epoch
    await dialled.report(status(world, uid, revision + above, phase), complete=True)
    assert (world.store.identity.epoch > epoch) is restored
    applied = [line for line in dialled.lines if line["type"] == "apply"]
    assert len(applied) == (2 if restored else 1), "in a new epoch everything is told anew"
    await dialled.report(status(world, "foreign", 10**9), complete=True)
    await dialled.close()


async def test_a_deleted_workload_of_this_store_is_no_restore(world: World) -> None:
    revision = await world.workloads.create(f"{MACHINE}/w", workload("w"))
    dialled = await Dialled(world).open()
    await dialled.report(status(world, "w", revision), complete=True)
    await world.workloads.delete(f"{MACHINE}/w")
    await world.clock.settle()
    epoch = world.store.identity.epoch
    await dialled.report(status(world, "w", revision), complete=True)
    assert world.store.identity.epoch == epoch
    await dialled.close()


async def test_a_finished_workload_is_never_sent_to_run(world: World) -> None:
    revision = await world.workloads.create(f"{MACHINE}/w", workload("w"))
    dialled = await Dialled(world).open()
    await dialled.report(status(world, "w", revision, WorkloadPhase.STOPPED), complete=True)
    await dialled.close()
    again = await Dialled(world, "s-2").open()
    (apply,) = [line for line in again.lines if line["type"] == "apply"]
    sent = msgspec.convert(apply["workload"], Workload)
    assert sent.desire.value == "stop"
    await again.close()


async def test_statuses_of_forgotten_workloads_are_swept(world: World) -> None:
    revision = await world.workloads.create(f"{MACHINE}/w", workload("w"))
    dialled = await Dialled(world).open()
    await dialled.report(status(world, "w", revision, WorkloadPhase.STOPPED), complete=True)
    await dialled.close()
    await world.workloads.delete(f"{MACHINE}/w")
    await world.clock.settle()
    assert await world.statuses.list() == []
    await world.statuses.create(f"{MACHINE}/old", status(world, "old", 1, WorkloadPhase.STOPPED))
    await world.stop_gateway()
    world.start_gateway()
    await world.clock.settle()
    assert await world.statuses.list() == []


async def test_a_second_writer_of_statuses_is_noticed() -> None:
    store = MemoryStore(SeededEntropy(1))
    first, second = StatusBook(store), StatusBook(store)
    generation = Generation(store.identity.store_id, 1, 1)

    def at(sequence: int) -> WorkloadStatus:
        return WorkloadStatus(WorkloadUid("w"), generation, sequence, WorkloadPhase.RUNNING)

    await first.take("m", at(1))
    await second.take("m", at(5))
    await first.take("m", at(3))
    await first.take("m", at(6))
    await second.drop("m", "w")
    await first.take("m", at(7))
    found = await Table(store, STATUSES, WorkloadStatus).get("m/w")
    assert found is not None and found.sequence == 7


async def test_the_mirror_lists_anew_when_history_was_compacted() -> None:
    clock = VirtualClock()
    store = MemoryStore(SeededEntropy(1), clock=clock, retention=Retention(events=4, slack=1))
    table = Table(store, WORKLOADS, Workload)
    told: list[tuple[str, str, bool]] = []
    mirror = WorkloadMirror(store, clock, lambda machine, uid, removed: told.append((machine, uid, removed)))
    await table.create("m/gone", workload("gone"))
    task = asyncio.get_running_loop().create_task(mirror.run())
    await mirror.synced()
    await table.delete("m/gone")
    for number in range(200):
        await table.put("m/same", workload("same", number=number))
    await clock.advance(5)
    held = mirror.get("m", "same")
    assert held is not None and held.revision == store.revision and held.workload.generation.number == 199
    assert mirror.get("m", "gone") is None and ("m", "gone", True) in told
    await store.create(f"{WORKLOADS}m/broken", b'{"uid":1}')
    await clock.settle()
    assert mirror.get("m", "broken") is None, "a record that cannot be read disturbs nothing else"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
