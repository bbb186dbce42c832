"""Log files become lines: joined, cut, shipped once each, through kills, rotation and a control plane that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.base.clock import VirtualClock
from ropewalk.model.agent import LogBatch, LogReceipt
from ropewalk.model.workload import LogRoute
from ropewalk.node import log_files, logs
from ropewalk.node.fake_runtime import FakeRuntime
from ropewalk.node.folders import Folders
from ropewalk.node.journal import MemoryJournal
from ropewalk.node.log_files import Cursor
from ropewalk.node.logs import REFUSED_KEPT, REFUSED_RETRY, LogPump
from ropewalk.node.runtime import ContainerSetup
from ropewalk.node.transport import TransportFailure
from support.agents import MemoryLogSink
from support.workloads import MACHINE, container, workload

STAMP = "2026-01-02T03:04:05.678901234Z"
ROUTE = LogRoute("/ecs/webapp", "ecs/app/1", region="us-east-1")


def line(text: str, tag: str = "F", stream: str = "stdout") -> bytes:
    return f"{STAMP} {stream} {tag} {text}\n".encode()


def messages(data: bytes) -> list[str]:
    return [each.message for each in log_files.parse(data)]


def test_lines_are_parsed_joined_and_stamped() -> None:
    parsed = log_files.parse(line("one") + line("tw", "P") + line("err", stream="stderr") + line("o") + line(""))
    assert [each.message for each in parsed] == ["one", "err", "two", ""]
    assert parsed[0].timestamp_ms == 1767323045678
    assert messages(b"not in the format\n") == ["not in the format"]
    assert messages(line("left", "P")) == ["left"]
    assert messages(line("\xff".encode("latin-1").decode("latin-1"))) == ["ÿ"]


def test_an_over_long_line_is_cut() -> None:
    size = log_files.MAX_MESSAGE
    assert [len(m) for m in messages(line("x" * (2 * size + 5)))] == [size, size, 5]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text(alphabet="ab é", max_size=20), st.sampled_from("FP")), max_size=20),
    st.lists(st.integers(1, 60), max_size=40),
)
def test_reads_in_any_pieces_give_the_same_lines(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[str, str]], sizes: list[int]
) -> None:
    path = tmp_path_factory.mktemp("log") / "0.log"
    data = b"".join(line(text, tag) for text, tag in parts)
    cursor, got, written = Cursor(), [], 0
    for size in [*sizes, len(data)]:
        written = min(len(data), written + size)
        path.write_bytes(data[:written]) if not path.exists() else _extend(path, data[:written])
        while (found := log_files.read(path, cursor, final=False)) is not None:
            got += [each.message for each in found.lines]
            cursor = found.cursor
    found = log_files.read(path, cursor, final=True)
    if found is not None:
        got += [each.message for each in found.lines]
        cursor = found.cursor
    assert got == messages(data) and cursor.position == len(data)


def _extend(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data[path.stat().st_size :])


class Wire:
    """The part of a transport that the pump uses."""

    def __init__(self) -> None:
        self.sink = MemoryLogSink()
        self.away = False
        self.lose_answers = 0
        self.batches: list[LogBatch] = []

    async def logs(self, batch: LogBatch) -> LogReceipt:
        if self.away:
            raise TransportFailure("away")
        self.batches.append(batch)
        receipt = await self.sink.append(batch)
        if self.lose_answers:
            self.lose_answers -= 1
            raise TransportFailure("lost on the way back")
        return receipt


class Bench:
    def __init__(self, root: Path, route: LogRoute | None = ROUTE) -> None:
        self.clock = VirtualClock()
        self.wire = Wire()
        self.runtime = FakeRuntime(self.clock)
        self.journal = MemoryJournal()
        self.folders = Folders(root)
        self.workload = workload("w", container(log=route))
        self.pump = self.new_pump()
        self.task: asyncio.Task[None] | None = None

    def new_pump(self) -> LogPump:
        return LogPump(
            machine=MACHINE,
            transport=self.wire,  # type: ignore[arg-type]  # a wire that carries logs only
            runtime=self.runtime,
            journal=self.journal,
            clock=self.clock,
            folders=self.folders,
        )

    def path(self, attempt: int = 0) -> Path:
        path = Path(self.folders.logs("w")) / self.folders.log_path("app", attempt)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, *texts: str, attempt: int = 0) -> None:
        with self.path(attempt).open("ab") as file:
            file.writelines(line(text) for text in texts)

    async def follow(self, attempt: int = 0) -> None:
        await self.pump.follow(self.workload, self.workload.containers[0], attempt, f"id-{attempt}")

    async def run(self, seconds: float) -> None:
        if self.task is None:
            self.task = asyncio.get_running_loop().create_task(self.pump.run())
        await self.clock.advance(seconds)

    async def kill(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.task = None

    @property
    def got(self) -> list[str]:
        return self.wire.sink.lines.get(("w", "app"), [])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_a_line_is_shipped_within_a_second(bench: Bench) -> None:
    await bench.follow()
    await bench.run(30)
    bench.write("GET / 200")
    await bench.run(1.0)
    assert bench.got == ["GET / 200"]
    batch = bench.wire.batches[-1]
    assert (batch.group, batch.stream, batch.previous) == ("/ecs/webapp", "ecs/app/1", 0)
    assert batch.position == bench.path().stat().st_size


async def test_a_kill_loses_and_doubles_nothing(bench: Bench) -> None:
    await bench.follow()
    bench.write("a", "b")
    bench.wire.lose_answers = 1
    await bench.run(0.2)
    await bench.kill()
    bench.write("c")
    bench.pump = bench.new_pump()
    bench.pump.adopted({"w"}, {"w"})
    await bench.run(3)
    assert bench.got == ["a", "b", "c"]


async def test_lines_wait_while_the_control_plane_is_away(bench: Bench) -> None:
    await bench.follow()
    bench.wire.away = True
    bench.write(*(str(n) for n in range(100)))
    await bench.run(60)
    bench.wire.away = False
    await bench.run(3)
    assert bench.got == [str(n) for n in range(100)]


async def test_restarts_are_followed_in_order_and_the_end_is_drained(bench: Bench) -> None:
    await bench.follow(0)
    bench.write("first", attempt=0)
    bench.write("second", attempt=1)
    await bench.follow(1)
    await bench.run(2)
    assert bench.got == ["first", "second"] and not bench.path(0).exists()
    with bench.path(1).open("ab") as file:
        file.write(f"{STAMP} stdout F no newline at the very end".encode())
    bench.pump.ended("w", "app", 1)
    bench.pump.forget("w")
    await bench.run(2)
    assert bench.got[-1] == "no newline at the very end"
    assert (
        bench.pump.drained("w")
        and bench.journal.live == {}
        and not bench.path(1).parent.parent.joinpath("app/1.log").exists()
    )


async def test_a_large_file_is_put_aside_and_nothing_is_lost(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FILE_CAP", 2000)
    what = bench.workload
    image = await bench.runtime.pull("nginx:latest", None)
    box = await bench.runtime.create_sandbox(what, bench.folders.logs("w"))
    setup = ContainerSetup(log_path=bench.folders.log_path("app", 0))
    identity = await bench.runtime.create_container(box.id, what, what.containers[0], image, 0, setup)
    await bench.runtime.start(identity)
    await bench.pump.follow(what, what.containers[0], 0, identity)
    sent = []
    for round_number in range(12):
        sent += [f"{round_number}-{n}" for n in range(10)]
        bench.write(*sent[-10:])
        await bench.run(1)
    assert bench.got == sent
    assert log_files.rotated(bench.path()).exists() and bench.path().stat().st_size < 3000


async def test_refused_lines_are_kept_until_they_are_taken(bench: Bench) -> None:
    await bench.follow()
    bench.write("before")
    await bench.run(1)
    bench.wire.sink.failure = "AccessDeniedException: no"
    bench.write("refused")
    await bench.run(1)
    asked = len(bench.wire.batches)
    bench.write("too")
    await bench.run(REFUSED_KEPT - 60)
    assert len(bench.wire.batches) - asked <= REFUSED_KEPT / REFUSED_RETRY, "asked seldom while it is refused"
    bench.wire.sink.failure = ""
    await bench.run(REFUSED_RETRY + 1)
    assert bench.got == ["before", "refused", "too"]


async def test_refused_lines_are_given_up_after_an_hour(bench: Bench) -> None:
    await bench.follow()
    bench.wire.sink.failure = "AccessDeniedException: no"
    bench.write("lost")
    await bench.run(REFUSED_KEPT + REFUSED_RETRY + 1)
    bench.wire.sink.failure = ""
    bench.wire.sink.positions["w", "app"] = bench.path().stat().st_size
    bench.write("kept")
    await bench.run(2)
    assert bench.got == ["kept"]


async def test_a_refused_workloads_files_go_in_the_end(bench: Bench) -> None:
    await bench.follow()
    bench.wire.sink.failure = "AccessDeniedException: no"
    bench.write("lost")
    bench.pump.ended("w", "app", 0)
    bench.pump.forget("w")
    await bench.run(REFUSED_KEPT / 2)
    assert bench.path().exists() and not bench.pump.drained("w")
    await bench.run(REFUSED_KEPT)
    assert bench.pump.drained("w") and not Path(bench.folders.logs("w")).exists()


@pytest.mark.parametrize("refused", [True, False])
async def test_what_cannot_be_shipped_is_bounded_and_shipped_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    monkeypatch.setattr(logs, "FILE_CAP", 1000)
    monkeypatch.setattr(bench.runtime, "reopen_log", _reopened(bench))
    await bench.follow()
    bench.wire.sink.failure = "AccessDeniedException: no" if refused else ""
    bench.wire.away = not refused
    for round_number in range(5):
        bench.write(*(f"{round_number}-{n}" for n in range(30)))
        await bench.run(2 * REFUSED_RETRY)
    files = [bench.path(), log_files.rotated(bench.path())]
    assert sum(path.stat().st_size for path in files if path.exists()) < 5000
    bench.wire.sink.failure, bench.wire.away = "", False
    await bench.run(2 * REFUSED_RETRY)
    assert bench.got[-30:] == [f"4-{n}" for n in range(30)], "the newest lines are those that are kept"


def _reopened(bench: Bench) -> Callable[[str], Awaitable[None]]:
    async def reopen(container_id: str) -> None:
        bench.path().touch()

    return reopen


async def test_a_stream_that_cannot_be_opened_is_said_before_the_start(bench: Bench) -> None:
    bench.wire.sink.failure = "ResourceNotFoundException: The specified log group does not exist."
    assert await bench.pump.check(bench.workload) == (
        "failed to validate logger args: create stream has been retried 1 times: "
        "failed to create Cloudwatch log stream: "
        "ResourceNotFoundException: The specified log group does not exist. : exit status 1"
    )
    bench.wire.sink.failure = "AccessDeniedException: User: x is not authorized to perform: logs:CreateLogGroup on …"
    assert "failed to create Cloudwatch log group: AccessDenied" in await bench.pump.check(bench.workload)
    bench.wire.sink.failure = ""
    assert await bench.pump.check(bench.workload) == ""
    bench.wire.away = True
    assert await bench.pump.check(bench.workload) == ""


async def test_output_without_a_route_is_only_capped(tmp_path: Path) -> None:
    bench = Bench(tmp_path, route=None)
    await bench.follow()
    bench.write("unseen")
    await bench.run(2)
    assert bench.wire.batches == []
    bench.pump.ended("w", "app", 0)
    await bench.run(2)
    assert bench.pump.drained("w")
