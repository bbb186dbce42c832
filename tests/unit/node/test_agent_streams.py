"""Streams from the broker through the agent to the fake runtime and back: what is run, refused, bounded and cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ropewalk.agents.streams import PER_MACHINE, StreamRefused
from ropewalk.base.http.messages import Peer, Request
from ropewalk.model.ids import MachineId, WorkloadUid
from ropewalk.model.stream_carrier import StreamEnd, StreamGone
from ropewalk.model.streams import (
    WINDOW_BYTES,
    Exit,
    FrameKind,
    LogQuery,
    Opening,
    RefusalCode,
    StreamKind,
    record,
    resize,
)
from ropewalk.node.fake_container import KEPT_BYTES, Output, Reading
from ropewalk.node.runtime import LogPiece
from support.streams import PATIENCE, UID, StreamWorld, server
from support.workloads import MACHINE, container


@pytest.fixture
async def world() -> AsyncIterator[StreamWorld]:
    made = StreamWorld()
    yield await made.up()
    await made.down()


def exec_of(*command: str, **fields: object) -> Opening:
    options = {"stdout": True, "stderr": True} | fields
    return Opening(StreamKind.EXEC, UID, "web", command, **options)  # type: ignore[arg-type]


async def rest(end: StreamEnd) -> tuple[bytes, bytes, Exit | None]:
    """Output, error output and exit of a stream read to its end."""
    out, err = b"", b""
    async with asyncio.timeout(PATIENCE):
        while (frame := await end.receive()) is not None:
            if frame.kind is FrameKind.STDOUT:
                out += frame.payload
            elif frame.kind is FrameKind.STDERR:
                err += frame.payload
            elif frame.kind is FrameKind.EXIT:
                return out, err, record(frame, Exit)
    return out, err, None


async def run(world: StreamWorld, wanted: Opening) -> tuple[bytes, bytes, Exit | None]:
    async with world.gateway.streams.open(MACHINE, wanted) as end:
        return await rest(end)


async def refused(world: StreamWorld, wanted: Opening, machine: str = MACHINE) -> RefusalCode:
    with pytest.raises(StreamRefused) as told:
        async with world.gateway.streams.open(MachineId(machine), wanted):
            pass
    return told.value.refusal.code


async def test_a_command_runs_and_tells_its_exit(world: StreamWorld) -> None:
    assert await run(world, exec_of("echo", "hi")) == (b"hi\n", b"", Exit(0))
    script = exec_of("sh", "-c", "echo out; echo err >&2; exit 3")
    assert await run(world, script) == (b"out\n", b"err\n", Exit(3))
    assert await run(world, exec_of("sh", "-c", "hostname")) == (b"web-0\n", b"", Exit(0))
    quiet = exec_of("sh", "-c", "echo out; echo err >&2", stderr=False)
    assert await run(world, quiet) == (b"out\n", b"", Exit(0))


async def test_a_program_that_is_not_there_is_a_failure(world: StreamWorld) -> None:
    _, _, exit = await run(world, exec_of("nope"))
    assert exit is not None and "executable file not found" in exit.failure


async def test_input_goes_in_until_it_ends(world: StreamWorld) -> None:
    async with world.gateway.streams.open(MACHINE, exec_of("cat", stdin=True)) as end:
        await end.write(FrameKind.STDIN, b"one ")
        await end.write(FrameKind.STDIN, b"two")
        await end.end(FrameKind.STDIN)
        assert await rest(end) == (b"one two", b"", Exit(0))


async def test_without_input_a_reader_sees_its_end(world: StreamWorld) -> None:
    assert await run(world, exec_of("cat")) == (b"", b"", Exit(0))


async def test_input_nobody_reads_does_not_hold_up_a_resize(world: StreamWorld) -> None:
    """The writer is stopped by credit; a frame that needs none comes through."""
    wanted = exec_of("sh", "-c", "sleep 5; stty size", stdin=True, tty=True)
    async with world.gateway.streams.open(MACHINE, wanted) as end:
        writing = asyncio.ensure_future(end.write(FrameKind.STDIN, b"x" * (WINDOW_BYTES + 1)))
        await world.clock.settle()
        assert not writing.done()
        await end.send(resize(132, 43))
        await world.clock.advance(6.0)
        assert await rest(end) == (b"43 132\r\n", b"", Exit(0))
        await end.close()
        with pytest.raises(StreamGone):
            await writing


async def test_a_slow_reader_stops_the_writer_and_loses_nothing(world: StreamWorld) -> None:
    data = bytes(range(256)) * (WINDOW_BYTES * 3 // 256)
    async with world.gateway.streams.open(MACHINE, exec_of("cat", stdin=True)) as end:
        writing = asyncio.ensure_future(end.write(FrameKind.STDIN, data))
        await world.clock.settle()
        assert not writing.done(), "nobody has read the output yet"

        async def finish() -> None:
            await writing
            await end.end(FrameKind.STDIN)

        finishing = asyncio.ensure_future(finish())
        out, _, exit = await rest(end)
        await finishing
        assert out == data and exit == Exit(0)


async def test_a_shell_takes_lines(world: StreamWorld) -> None:
    async with world.gateway.streams.open(MACHINE, exec_of("sh", stdin=True)) as end:
        await end.write(FrameKind.STDIN, b"echo a\nfalse\nexit 7\n")
        assert await rest(end) == (b"a\n", b"", Exit(7))


async def test_what_cannot_be_had_is_refused(world: StreamWorld) -> None:
    assert await refused(world, Opening(StreamKind.EXEC, WorkloadUid("w-9"), "web")) is RefusalCode.NO_CONTAINER
    assert await refused(world, Opening(StreamKind.EXEC, UID, "db")) is RefusalCode.NO_CONTAINER
    assert await refused(world, exec_of("true"), "m-9") is RefusalCode.AWAY
    previous = Opening(StreamKind.LOGS, UID, "web", logs=LogQuery(previous=True))
    assert await refused(world, previous) is RefusalCode.NO_CONTAINER
    later = Opening(StreamKind.EXEC, UID, "web", version=9)
    assert await refused(world, later) is RefusalCode.NOT_OFFERED


async def test_an_agent_of_the_version_before_is_not_asked(world: StreamWorld) -> None:
    await world.kill_agent()
    request = Request("GET", "", "/agent/v1/watch", f"machine={MACHINE}&session=old", {}, b"", Peer(""))
    response = await world.gateway.handle(request)
    assert not isinstance(response.body, bytes)
    said = [await anext(response.body) for _ in range(2)]
    assert await refused(world, exec_of("true")) is RefusalCode.NOT_OFFERED
    await world.workloads.delete(f"{MACHINE}/{UID}")
    await response.body.aclose()  # type: ignore[attr-defined]  # an async generator
    assert not any(b'"dial"' in line for line in said)


async def test_an_agent_that_does_not_dial_costs_the_deadline_only(world: StreamWorld) -> None:
    assert world.agent is not None
    world.agent.streams.dial = lambda stream: None  # type: ignore[method-assign]
    asking = asyncio.ensure_future(refused(world, exec_of("true")))
    await world.clock.advance(9.0)
    assert not asking.done()
    await world.clock.advance(2.0)
    assert await asking is RefusalCode.AWAY


async def test_an_id_is_good_once_and_for_its_machine_only(world: StreamWorld) -> None:
    assert world.agent is not None
    asked: list[str] = []
    world.agent.streams.dial = asked.append  # type: ignore[method-assign]
    asking = asyncio.ensure_future(refused(world, exec_of("true")))
    await world.clock.settle()
    (identity,) = asked
    broker = world.gateway.streams
    assert len(identity) >= 32
    assert broker.accept(identity, "m-2").status == 404
    assert broker.accept(identity + "x", MACHINE).status == 404
    assert broker.accept(identity, MACHINE).status == 101
    assert broker.accept(identity, MACHINE).status == 404
    await world.clock.advance(11.0)
    assert await asking is RefusalCode.AWAY


async def test_the_number_of_streams_is_bounded_and_given_back(world: StreamWorld) -> None:
    broker = world.gateway.streams
    stack = [broker.open(MACHINE, exec_of("sleep", "60")) for _ in range(PER_MACHINE)]
    for each in stack:
        await each.__aenter__()
    assert await refused(world, exec_of("true")) is RefusalCode.BUSY
    for each in stack:
        await each.__aexit__(None, None, None)
    assert await run(world, exec_of("true")) == (b"", b"", Exit(0))


async def test_hanging_up_ends_what_was_begun(world: StreamWorld) -> None:
    assert world.agent is not None
    async with world.gateway.streams.open(MACHINE, exec_of("sleep", "1000")):
        assert len(world.agent.streams._tasks) == 1
    await world.clock.settle()
    assert not world.agent.streams._tasks


async def test_an_agent_that_dies_ends_the_stream_without_an_exit(world: StreamWorld) -> None:
    async with world.gateway.streams.open(MACHINE, exec_of("sleep", "1000")) as end:
        await world.kill_agent()
        assert await rest(end) == (b"", b"", None)
        with pytest.raises(StreamGone):
            await end.write(FrameKind.STDIN, b"x")


async def test_a_container_that_dies_kills_its_execs(world: StreamWorld) -> None:
    async with world.gateway.streams.open(MACHINE, exec_of("sleep", "1000")) as end:
        (state,) = await world.runtime.containers()
        world.runtime.kill(state.id)
        assert await rest(end) == (b"", b"", Exit(137))


async def test_a_port_answers_and_a_closed_one_refuses(world: StreamWorld) -> None:
    async with world.gateway.streams.open(MACHINE, Opening(StreamKind.PORT, UID, port=8080)) as end:
        await end.write(FrameKind.PORT, b"\x00raw")
        frame = await end.receive()
        assert frame is not None and frame == (FrameKind.PORT, b"\x00raw")
        await end.write(FrameKind.PORT, b"GET /hostname HTTP/1.1\r\n\r\n")
        frame = await end.receive()
        assert frame is not None and frame.payload.endswith(b"\r\n\r\nweb-0")
        await end.end(FrameKind.PORT)
        assert (await rest(end))[2] == Exit(0)
    _, _, exit = await run(world, Opening(StreamKind.PORT, UID, port=81))
    assert exit is not None and "connection refused" in exit.failure


async def logs(world: StreamWorld, name: str = "web", **query: object) -> tuple[bytes, bytes, Exit | None]:
    return await run(world, Opening(StreamKind.LOGS, UID, name, logs=LogQuery(**query)))  # type: ignore[arg-type]


async def test_logs_are_selected_and_stamped() -> None:
    script = "echo one; sleep 10; echo two >&2; sleep 10; echo three; exit 2"
    world = await StreamWorld().up(server(), container("job", command=("sh", "-c", script), essential=False))
    began = world.clock.wall()
    await world.clock.advance(30.0)
    assert await logs(world, "job") == (b"one\nthree\n", b"two\n", Exit(0))
    assert (await logs(world, "job", tail_lines=1))[0] == b"three\n"
    assert (await logs(world, "job", tail_lines=0))[:2] == (b"", b"")
    assert (await logs(world, "job", tail_lines=9))[0] == b"one\nthree\n"
    assert (await logs(world, "job", since=began + 5))[:2] == (b"three\n", b"two\n")
    assert (await logs(world, "job", stdout=False))[:2] == (b"", b"two\n")
    assert (await logs(world, "job", limit_bytes=6))[:2] == (b"one\n", b"tw")
    assert (await logs(world, "job", timestamps=True, tail_lines=1))[0].endswith(b"Z three\n")
    assert await logs(world) == (b"", b"", Exit(0))
    await world.down()


async def test_logs_follow_to_the_end_of_the_run() -> None:
    script = "echo one; sleep 10; echo two"
    world = await StreamWorld().up(server(), container("job", command=("sh", "-c", script), essential=False))
    following = asyncio.ensure_future(logs(world, "job", follow=True))
    await world.clock.settle()
    assert not following.done()
    await world.clock.advance(15.0)
    assert await following == (b"one\ntwo\n", b"", Exit(0))
    await world.down()


def test_output_is_kept_within_bounds_the_newest_lines_of_it() -> None:
    output = Output()
    reading = Reading(output, LogQuery())
    for number in range(2000):
        output.write(1.0, f"{number:0999}\n".encode())
    assert sum(len(line.text) for line in output.lines) <= KEPT_BYTES
    taken = [int(piece.text) for piece in reading.take()]
    assert taken == list(range(2000 - len(taken), 2000)) and len(taken) == KEPT_BYTES // 1000
    output.write(2.0, b"unfinished")
    assert reading.take() == []
    output.end(3.0)
    assert reading.take() == [LogPiece(b"unfinished")]


async def test_attach_joins_a_running_container() -> None:
    cat = container("web", command=("cat",), interactive=True, essential=False)
    world = await StreamWorld().up(cat, container("other", essential=False))
    wanted = Opening(StreamKind.ATTACH, UID, "web", stdin=True, stdout=True)
    async with world.gateway.streams.open(MACHINE, wanted) as end:
        await end.write(FrameKind.STDIN, b"typed\n")
        await end.end(FrameKind.STDIN)
        assert await rest(end) == (b"typed\n", b"", Exit(0))
    assert (await logs(world))[0] == b"typed\n"
    assert await refused(world, wanted) is RefusalCode.NOT_RUNNING
    await world.down()
