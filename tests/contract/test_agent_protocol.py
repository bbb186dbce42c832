"""The agent protocol over both of its carriers, and the records of its versions as they were on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from ropewalk.agents.gateway import Gateway
from ropewalk.base.clock import SystemClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.http.server import HttpServer
from ropewalk.model import agent as protocol
from ropewalk.model.agent import (
    DOWN_DECODER,
    STATUSES,
    WORKLOADS,
    Apply,
    Dial,
    FabricDown,
    FabricWhole,
    Forget,
    Hello,
    LogBatch,
    LogLine,
    MachineFacts,
    Report,
    Snapshot,
)
from ropewalk.model.ids import MachineId, WorkloadUid
from ropewalk.model.network import Fabric
from ropewalk.model.status import WorkloadPhase, WorkloadStatus
from ropewalk.model.stream_carrier import StreamEnd
from ropewalk.model.streams import Exit, Frame, FrameKind, Opening, StreamKind, ending, record
from ropewalk.model.workload import Credential, Dependency, Probe, RestartRule, StartCondition, Workload
from ropewalk.node.transport import DirectTransport, HttpTransport, NotGiven, Transport, TransportFailure
from ropewalk.runtime.table import Table
from ropewalk.store.memory import MemoryStore
from support.agents import MemoryLogSink, Roles
from support.workloads import MACHINE, OWNER, container, workload

WIRE = Path(__file__).parent.parent / "fixtures" / "agent"


class OneFabric:
    async def watch(self, host: str) -> AsyncIterator[FabricDown]:
        yield FabricWhole(Fabric(serial=7, names=(("vpc-1", host, "10.0.0.1"),)))
        await asyncio.get_running_loop().create_future()


class Plane:
    def __init__(self) -> None:
        self.store = MemoryStore(SeededEntropy(1))
        self.sink = MemoryLogSink()
        clock = SystemClock()
        self.gateway = Gateway(
            self.store,
            OWNER,
            clock=clock,
            entropy=SeededEntropy(2),
            log_sink=self.sink,
            role_sessions=Roles(clock),
            fabric_source=OneFabric(),
        )
        self.workloads = Table(self.store, WORKLOADS, Workload)
        self.statuses = Table(self.store, STATUSES, WorkloadStatus)


@asynccontextmanager
async def direct(plane: Plane, folder: Path) -> AsyncIterator[Transport]:
    yield DirectTransport(plane.gateway.handle)


@asynccontextmanager
async def http(plane: Plane, folder: Path) -> AsyncIterator[Transport]:
    server = HttpServer(plane.gateway.handle, name="agents", clock=SystemClock())
    await server.serve_unix(folder / "agents.sock")
    transport = HttpTransport(socket_path=str(folder / "agents.sock"))
    try:
        yield transport
    finally:
        await transport.close()
        plane.gateway.close()
        await server.close()


CARRIERS: dict[str, Callable[[Plane, Path], AbstractAsyncContextManager[Transport]]] = {"direct": direct, "http": http}


@pytest.fixture
async def plane() -> AsyncIterator[Plane]:
    made = Plane()
    task = asyncio.get_running_loop().create_task(made.gateway.run())
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(params=list(CARRIERS))
async def transport(request: pytest.FixtureRequest, plane: Plane, tmp_path: Path) -> AsyncIterator[Transport]:
    async with CARRIERS[request.param](plane, tmp_path) as made:
        yield made


class Watch:
    """A watch read message by message, each within a deadline."""

    def __init__(self, transport: Transport, session: str = "s-1") -> None:
        self._stream = transport.watch(MACHINE, session)

    async def next(self) -> protocol.Down:
        return DOWN_DECODER.decode(await asyncio.wait_for(anext(self._stream), 10))

    async def close(self) -> None:
        await self._stream.aclose()  # type: ignore[attr-defined]  # an async generator


def facts() -> MachineFacts:
    return MachineFacts(MACHINE, "host", cpu_millis=2000, memory_bytes=1 << 30)


async def test_a_session_from_hello_to_forget(plane: Plane, transport: Transport) -> None:
    await plane.workloads.create(f"{MACHINE}/w-1", workload("w-1", number=0))
    watch = Watch(transport)
    hello = await watch.next()
    assert isinstance(hello, Hello) and hello.owner == OWNER and hello.version == protocol.PROTOCOL_VERSION
    apply = await watch.next()
    assert isinstance(apply, Apply) and apply.workload.generation.number == plane.store.revision
    receipt = await transport.report(Report(facts(), "s-1", complete=True))
    assert receipt.forget == ()
    snapshot = await watch.next()
    assert isinstance(snapshot, Snapshot) and snapshot.uids == ("w-1",)
    assert plane.gateway.connected(MACHINE) and plane.gateway.last_seen(MACHINE)

    await plane.workloads.create(f"{MACHINE}/w-2", workload("w-2", number=0))
    second = await watch.next()
    assert isinstance(second, Apply) and second.workload.uid == "w-2"

    over = WorkloadStatus(WorkloadUid("w-1"), apply.workload.generation, 5, WorkloadPhase.STOPPED)
    receipt = await transport.report(Report(facts(), "s-1", (over,)))
    assert receipt.acknowledged == (("w-1", 5),) and receipt.forget == ()
    assert await plane.statuses.get(f"{MACHINE}/w-1") == over
    await plane.workloads.delete(f"{MACHINE}/w-1")
    assert await watch.next() == Forget(WorkloadUid("w-1"))
    receipt = await transport.report(Report(facts(), "s-1", (over,)))
    assert receipt.forget == ("w-1",)
    await watch.close()


async def test_only_news_is_written(plane: Plane, transport: Transport) -> None:
    await plane.workloads.create(f"{MACHINE}/w-1", workload("w-1", number=0))
    watch = Watch(transport)
    await watch.next()
    apply = await watch.next()
    assert isinstance(apply, Apply)
    generation = apply.workload.generation
    running = WorkloadStatus(WorkloadUid("w-1"), generation, 9, WorkloadPhase.RUNNING)
    await transport.report(Report(facts(), "s-1", (running,), complete=True))
    before = plane.store.revision
    await transport.report(Report(facts(), "s-1", (running,)))
    await transport.report(
        Report(facts(), "s-1", (WorkloadStatus(WorkloadUid("w-1"), generation, 3, WorkloadPhase.PREPARING),))
    )
    assert plane.store.revision == before
    assert await plane.statuses.get(f"{MACHINE}/w-1") == running
    await watch.close()


async def test_a_replaced_session_ends_and_may_not_report(plane: Plane, transport: Transport) -> None:
    first = Watch(transport, "s-1")
    await first.next()
    second = Watch(transport, "s-2")
    await second.next()
    with pytest.raises((StopAsyncIteration, TransportFailure)):
        await first.next()
    with pytest.raises(TransportFailure, match="dial again"):
        await transport.report(Report(facts(), "s-1", complete=True))
    await transport.report(Report(facts(), "s-2", complete=True))
    await second.close()


async def test_logs_credentials_and_fabric(plane: Plane, transport: Transport) -> None:
    batch = LogBatch(
        MACHINE, WorkloadUid("w-1"), "app", "/g", "s", False, 0, 10, (LogLine(1, "hello"), LogLine(2, "wörld"))
    )
    assert (await transport.logs(batch)).position == 10
    assert (await transport.logs(batch)).position == 10
    assert plane.sink.lines["w-1", "app"] == ["hello", "wörld"]

    role = Credential("task", "arn:aws:iam::123456789012:role/r", "secret-path")
    await plane.workloads.create(f"{MACHINE}/w-1", workload("w-1", credentials=(role,)))
    keys = await transport.credentials(MACHINE, WorkloadUid("w-1"), "task")
    assert keys.session_token == "arn:aws:iam::123456789012:role/r/w-1"
    for machine, uid, name in [(MACHINE, "w-1", "other"), (MACHINE, "w-9", "task"), ("m-2", "w-1", "task")]:
        with pytest.raises(NotGiven):
            await transport.credentials(MachineId(machine), WorkloadUid(uid), name)

    fabric = await asyncio.wait_for(anext(transport.fabric("host-1")), 10)
    assert isinstance(fabric, FabricWhole) and fabric.fabric.names == (("vpc-1", "host-1", "10.0.0.1"),)


async def test_a_stream_is_dialled_back_once(plane: Plane, transport: Transport) -> None:
    """Bytes both ways, more than any buffer holds, and the end of either side."""
    watch = Watch(transport)
    await watch.next()

    async def agent() -> bytes:
        dial = await watch.next()
        assert isinstance(dial, Dial)
        async with StreamEnd(await transport.dial(MACHINE, dial.stream)) as end:
            frame = await end.receive()
            assert frame is not None and record(frame, Opening) == wanted
            await end.send(Frame(FrameKind.ACCEPT))
            taken = b""
            while (frame := await end.receive()) is not None and frame.kind is FrameKind.STDIN:
                taken += frame.payload
            await end.write(FrameKind.STDOUT, taken)
            await end.send(ending(Exit(4)))
            await end.lost()
        with pytest.raises(NotGiven):
            await transport.dial(MACHINE, dial.stream)
        return taken

    wanted = Opening(StreamKind.EXEC, WorkloadUid("w-1"), "app", ("sh", "-c", "ü"), stdin=True, tty=True)
    data = bytes(range(256)) * 8192
    answering = asyncio.get_running_loop().create_task(agent())
    async with asyncio.timeout(20), plane.gateway.streams.open(MACHINE, wanted) as end:
        await end.write(FrameKind.STDIN, data)
        await end.end(FrameKind.STDIN)
        back = b""
        while (frame := await end.receive()) is not None and frame.kind is FrameKind.STDOUT:
            back += frame.payload
        assert frame is not None, await answering
        assert record(frame, Exit) == Exit(4)
        assert back == data
    assert await asyncio.wait_for(answering, 10) == data
    await watch.close()


async def test_nobody_there_is_a_failure_to_try_again(tmp_path: Path) -> None:
    transport = HttpTransport(socket_path=str(tmp_path / "none.sock"))
    with pytest.raises(TransportFailure):
        await transport.report(Report(facts(), "s"))
    with pytest.raises(TransportFailure):
        await anext(transport.watch(MACHINE, "s"))
    with pytest.raises(TransportFailure):
        await transport.dial(MACHINE, "id")
    await transport.close()


# --- the records as they were

SAMPLES: dict[str, msgspec.Struct] = {
    "report": Report(facts(), "s-1", complete=True),
    "log_batch": LogBatch(MACHINE, WorkloadUid("w"), "app", "/g", "s", True, 0, 9, (LogLine(1, "x"),), "execution"),
    "dial": Dial("an-unguessable-id"),
    "opening": Opening(StreamKind.EXEC, WorkloadUid("w-1"), "app", ("sh",), stdin=True, stdout=True, tty=True),
    "snapshot": Snapshot(workload().generation, (WorkloadUid("w-1"),)),
    "apply": Apply(workload("w-1", container(command=("nginx",)))),
    "apply_checked": Apply(
        workload(
            "w-2",
            container("db", essential=False, health=Probe(("pg_isready",), 5.0, 2.0, 4, 20.0)),
            container(depends_on=(Dependency("db", StartCondition.HEALTHY, 30.0),), restart=RestartRule.ON_FAILURE),
        )
    ),
}


@pytest.mark.parametrize("path", sorted(WIRE.glob("v*/*.json")), ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_earlier_records_are_still_read(path: Path) -> None:
    """Files of version N-1 (and of this one) are read by this version, and mean the same."""
    expected = SAMPLES[path.stem]
    assert msgspec.json.decode(path.read_bytes(), type=type(expected)) == expected


def test_this_version_is_on_record() -> None:
    folder = WIRE / f"v{protocol.PROTOCOL_VERSION}"
    assert {p.stem for p in folder.glob("*.json")} == set(SAMPLES)
