"""What every `Runtime` promises. The fake here; the real one joins by the fixture `runtime_under_test`.

To add a runtime: give `RUNTIMES` a name and a coroutine that yields a `Bench`, and mark its parameter `live`. A bench
says in the runtime's own terms what the cases need: an image that runs until stopped, commands that end in some way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ropewalk.base.clock import Clock, SystemClock
from ropewalk.model.workload import Container, HttpGet, Question, TcpConnect, Workload
from ropewalk.node.fake_behaviour import Behaviour, Outcome
from ropewalk.node.fake_runtime import FakeRuntime
from ropewalk.node.runtime import (
    ContainerExited,
    ContainerSetup,
    CreateFailed,
    EventsLost,
    ImageNotFound,
    NoSuchContainer,
    RunState,
    Runtime,
    RuntimeEvent,
    RuntimeFailure,
)
from ropewalk.node.shapes import from_rfc3339
from support.containers import machine
from support.workloads import container, workload


@dataclass
class Bench:
    runtime: Runtime
    clock: Clock
    image: str
    """Present in the registry; runs until stopped by `forever`."""
    missing_image: str
    forever: tuple[str, ...]
    exits_3: tuple[str, ...]
    """Ends with code 3 within a second, having written the line "hello from here"."""
    ignores_term: tuple[str, ...]
    writes_a_megabyte: tuple[str, ...]
    """To a file of its root file system, then runs until stopped."""
    folder: Path
    exec_true: tuple[str, ...] = ("true",)
    exec_fails_4: tuple[str, ...] = ("sh", "-c", "exit 4")


def _fake_behaviour(what: Workload, spec: Container) -> Behaviour:
    def run(command: tuple[str, ...], age: float) -> Outcome:
        return Outcome(4 if "exit 4" in command else 0)

    def answer(question: Question, age: float) -> Outcome:
        return Outcome(0 if question.port == 80 else 1, output=b"refused")

    if spec.command == ("exits-3",):
        return Behaviour(run_for=0.05, exit_code=3, output=("hello from here",))
    if spec.command == ("writes",):
        return Behaviour(writable_bytes=1 << 20)
    return Behaviour(stops_after=None if spec.command == ("ignores",) else 0.0, exec=run, ask=answer)


@asynccontextmanager
async def fake(folder: Path) -> AsyncIterator[Bench]:
    clock = SystemClock()
    runtime = FakeRuntime(clock, behaviours=_fake_behaviour)
    runtime.refused_pulls["localhost/none:latest"] = "missing"
    yield Bench(
        runtime,
        clock,
        "nginx:latest",
        "localhost/none:latest",
        ("forever",),
        ("exits-3",),
        ("ignores",),
        ("writes",),
        folder,
    )


@asynccontextmanager
async def containerd(folder: Path) -> AsyncIterator[Bench]:
    patient = "while :; do sleep 1 & wait $!; done"
    async with machine() as real:
        runtime = real.runtime()
        try:
            yield Bench(
                runtime,
                SystemClock(),
                "nginx:latest",
                "localhost/none:latest",
                ("sh", "-c", f"trap 'exit 0' TERM; {patient}"),
                ("sh", "-c", "echo hello from here; exit 3"),
                ("sh", "-c", f"trap '' TERM; {patient}"),
                ("sh", "-c", f"head -c 1048576 /dev/urandom > /big; {patient}"),
                folder,
            )
        finally:
            await runtime.close()


RUNTIMES: dict[str, Callable[[Path], AbstractAsyncContextManager[Bench]]] = {"fake": fake, "containerd": containerd}


@pytest.fixture(params=[pytest.param("fake"), pytest.param("containerd", marks=pytest.mark.live)])
async def runtime_under_test(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    async with RUNTIMES[request.param](tmp_path) as bench:
        try:
            yield bench
        finally:
            for sandbox in await bench.runtime.sandboxes():
                await bench.runtime.remove_sandbox(sandbox.id)


class Made:
    """A workload of one container on the bench, brought up step by step."""

    def __init__(self, bench: Bench, command: tuple[str, ...] | None, uid: str = "w-contract") -> None:
        self.bench = bench
        self.spec = container(image=bench.image, command=command)
        self.workload = workload(uid, self.spec)
        self.log = bench.folder / uid / "app" / "0.log"

    async def create(self, attempt: int = 0) -> str:
        runtime = self.bench.runtime
        self.log.parent.mkdir(parents=True, exist_ok=True)
        image = await runtime.pull(self.bench.image, None)
        box = await runtime.create_sandbox(self.workload, str(self.log.parent.parent))
        self.sandbox = box.id
        setup = ContainerSetup(environment=(("WHO", "agent"),), log_path=f"app/{attempt}.log")
        return await runtime.create_container(box.id, self.workload, self.spec, image, attempt, setup)

    async def start(self) -> str:
        identity = await self.create()
        await self.bench.runtime.start(identity)
        return identity


async def _until(check: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not await check():
            await asyncio.sleep(0.01)


async def _exited(runtime: Runtime, identity: str) -> None:
    async def check() -> bool:
        return (await runtime.status(identity)).state is RunState.EXITED

    await _until(check)


async def test_info_names_the_runtime(runtime_under_test: Bench) -> None:
    info = await runtime_under_test.runtime.info()
    assert info.name and info.version and info.isolations


async def test_a_missing_image_is_told_from_one_that_is_there(runtime_under_test: Bench) -> None:
    runtime = runtime_under_test.runtime
    with pytest.raises(ImageNotFound):
        await runtime.pull(runtime_under_test.missing_image, None)
    assert await runtime.image(runtime_under_test.missing_image) is None
    info = await runtime.pull(runtime_under_test.image, None)
    assert info.digest.startswith("sha256:") and len(info.digest) == 71
    again = await runtime.image(runtime_under_test.image)
    assert again is not None and again.digest == info.digest


async def test_a_container_runs_and_stops_by_signal(runtime_under_test: Bench) -> None:
    runtime = runtime_under_test.runtime
    made = Made(runtime_under_test, runtime_under_test.forever)
    identity = await made.create()
    assert (await runtime.status(identity)).state is RunState.CREATED
    before = runtime_under_test.clock.wall()
    started = await runtime.start(identity)
    assert started.state is RunState.RUNNING and started.pid > 0
    assert abs(started.started_at - before) < 5
    assert await runtime.start(identity) == await runtime.status(identity)
    await runtime.stop(identity, "SIGTERM", 10.0)
    ended = await runtime.status(identity)
    assert ended.state is RunState.EXITED and ended.exit_code in (0, 143) and ended.pid == 0
    assert ended.finished_at >= started.started_at
    await runtime.stop(identity, "SIGTERM", 10.0)


async def test_what_ignores_the_signal_is_killed(runtime_under_test: Bench) -> None:
    runtime = runtime_under_test.runtime
    identity = await Made(runtime_under_test, runtime_under_test.ignores_term).start()
    first = asyncio.ensure_future(runtime.stop(identity, "SIGTERM", 60.0))
    await asyncio.sleep(0)
    await asyncio.wait_for(runtime.stop(identity, "SIGTERM", 0.2), 10)
    assert (await runtime.status(identity)).exit_code == 137
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_making_twice_makes_one(runtime_under_test: Bench) -> None:
    runtime = runtime_under_test.runtime
    made = Made(runtime_under_test, runtime_under_test.forever)
    assert await made.create() == await made.create()
    assert len(await runtime.sandboxes()) == 1
    assert len(await runtime.containers()) == 1
    other = await made.create(attempt=1)
    assert {c.attempt for c in await runtime.containers(made.workload.uid)} == {0, 1}
    await runtime.remove_container(other)
    await runtime.remove_container(other)
    assert {c.attempt for c in await runtime.containers(made.workload.uid)} == {0}


async def test_everything_is_found_again_by_its_labels(runtime_under_test: Bench) -> None:
    runtime = runtime_under_test.runtime
    made = Made(runtime_under_test, runtime_under_test.forever)
    identity = await made.start()
    box = (await runtime.sandboxes())[0]
    assert (box.uid, box.owner, box.attempt, box.ready) == (made.workload.uid, made.workload.owner, 0, True)
    found = (await runtime.containers())[0]
    assert (found.id, found.sandbox, found.uid, found.owner) == (identity, box.id, box.uid, box.owner)
    assert (found.name, found.attempt, found.state) == ("app", 0, RunState.RUNNING)
    assert await runtime.containers(workload("someone-else").uid) == []


async def test_exits_are_told_with_their_code(runtime_under_test: Bench) -> None:
    runtime = runtime_under_test.runtime
    stream = runtime.events()
    assert isinstance(await asyncio.wait_for(anext(stream), 10), EventsLost)
    identity = await Made(runtime_under_test, runtime_under_test.exits_3).start()

    async def exit_of() -> RuntimeEvent:
        async for event in stream:
            if isinstance(event, ContainerExited) and event.id == identity:
                return event
        raise AssertionError("the events ended")

    told = await asyncio.wait_for(exit_of(), 10)
    assert isinstance(told, ContainerExited)
    assert told.exit_code == 3 and not told.out_of_memory
    await _exited(runtime, identity)
    status = await runtime.status(identity)
    assert status.exit_code == 3 and abs(status.finished_at - told.finished_at) < 1


async def test_output_is_in_the_log_file(runtime_under_test: Bench) -> None:
    made = Made(runtime_under_test, runtime_under_test.exits_3)
    identity = await made.start()
    await _exited(runtime_under_test.runtime, identity)

    async def written() -> bool:
        return made.log.exists() and made.log.read_bytes().endswith(b"\n")

    await _until(written)
    stamp, stream, tag, text = made.log.read_text().splitlines()[0].split(" ", 3)
    assert (stream, tag, text) == ("stdout", "F", "hello from here")
    assert abs(from_rfc3339(stamp) - runtime_under_test.clock.wall()) < 30


async def test_a_log_is_written_on_in_a_new_file(runtime_under_test: Bench) -> None:
    made = Made(runtime_under_test, runtime_under_test.forever)
    identity = await made.start()
    made.log.parent.mkdir(parents=True, exist_ok=True)
    if made.log.exists():
        made.log.rename(made.log.with_name("0.log.1"))
    await runtime_under_test.runtime.reopen_log(identity)

    async def there() -> bool:
        return made.log.exists()

    await _until(there)


async def test_commands_run_inside(runtime_under_test: Bench) -> None:
    runtime = runtime_under_test.runtime
    identity = await Made(runtime_under_test, runtime_under_test.forever).start()
    assert (await runtime.exec_sync(identity, runtime_under_test.exec_true, 10.0)).exit_code == 0
    assert (await runtime.exec_sync(identity, runtime_under_test.exec_fails_4, 10.0)).exit_code == 4
    await runtime.stop(identity, "SIGTERM", 0.0)
    with pytest.raises(NoSuchContainer):
        await runtime.exec_sync(identity, runtime_under_test.exec_true, 10.0)


async def test_what_runs_is_asked_over_its_own_network(runtime_under_test: Bench) -> None:
    """The image is a web server that listens at port 80 and nowhere else; every sandbox has a network of its own."""
    runtime = runtime_under_test.runtime
    identity = await Made(runtime_under_test, None).start()

    async def serves() -> bool:
        return (await runtime.ask(identity, HttpGet(80), 5.0)).good

    await _until(serves)
    assert (await runtime.ask(identity, TcpConnect(80), 5.0)).good
    refused = await runtime.ask(identity, TcpConnect(81), 5.0)
    assert not refused.good and "refused" in refused.text
    await runtime.stop(identity, "SIGTERM", 0.0)
    with pytest.raises(NoSuchContainer):
        await runtime.ask(identity, HttpGet(80), 5.0)


async def test_statistics_are_of_what_runs(runtime_under_test: Bench) -> None:
    runtime = runtime_under_test.runtime
    made = Made(runtime_under_test, runtime_under_test.forever)
    identity = await made.start()
    (sample,) = await runtime.stats(made.workload.uid)
    assert sample.id == identity and sample.memory_bytes > 0 and sample.cpu_nanoseconds >= 0
    await runtime.stop(identity, "SIGTERM", 0.0)
    assert await runtime.stats(made.workload.uid) == []


async def test_what_a_container_writes_to_its_root_is_measured(runtime_under_test: Bench) -> None:
    runtime, bench = runtime_under_test.runtime, runtime_under_test
    idle = Made(bench, bench.forever, "w-idle")
    writer = Made(bench, bench.writes_a_megabyte, "w-writer")
    quiet, busy = await idle.start(), await writer.start()

    async def measured() -> bool:
        (sample,) = await runtime.stats(writer.workload.uid)
        return sample.writable_bytes >= 1 << 20

    await _until(measured, 30.0)
    every = {sample.id: sample.writable_bytes for sample in await runtime.stats()}
    assert 1 << 20 <= every[busy] < 2 << 20 and every[quiet] < 1 << 20


async def test_removing_a_sandbox_leaves_nothing(runtime_under_test: Bench) -> None:
    runtime = runtime_under_test.runtime
    made = Made(runtime_under_test, runtime_under_test.forever)
    identity = await made.start()
    await runtime.stop_sandbox(made.sandbox)
    assert not any(s.ready for s in await runtime.sandboxes())
    with pytest.raises(CreateFailed):
        image = await runtime.image(runtime_under_test.image)
        assert image is not None
        await runtime.create_container(made.sandbox, made.workload, made.spec, image, 5, ContainerSetup())
    for _ in range(2):
        await runtime.remove_sandbox(made.sandbox)
    assert await runtime.sandboxes() == [] and await runtime.containers() == []
    with pytest.raises(NoSuchContainer):
        await runtime.status(identity)
    with pytest.raises(RuntimeFailure):
        await runtime.start(identity)
