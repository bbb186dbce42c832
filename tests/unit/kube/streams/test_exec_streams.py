"""exec and attach as clients speak them, through the agent to the fake runtime: every WebSocket version, and SPDY."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from wsproto.events import BytesMessage, CloseConnection, TextMessage

from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.streams.connection import IDLE_SECONDS, LINGER_SECONDS
from support.kube_streams import (
    SpdyClient,
    StreamServerWorld,
    WebSocketClient,
    pod,
    request,
    spdy_request,
    upgraded,
    websocket_request,
)
from support.workloads import container

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
SUCCESS = {"metadata": {}, "status": "Success"}


@pytest.fixture
async def world() -> AsyncIterator[StreamServerWorld]:
    made = StreamServerWorld()
    await made.up()
    yield made
    await made.down()


def query(*command: str, **flags: bool) -> list[tuple[str, str]]:
    flags = {"stdout": True, "stderr": True} | flags
    return [("command", word) for word in command] + [(name, "true") for name, on in flags.items() if on]


def socket_to(world: StreamServerWorld, protocol: str, asked: list[tuple[str, str]]) -> Any:
    """`async with` gives the client of an exec over WebSocket, greeted."""
    return _SocketClient(world, protocol, asked)


class _SocketClient:
    def __init__(self, world: StreamServerWorld, protocol: str, asked: list[tuple[str, str]]) -> None:
        self._parts = (world, protocol, asked)

    async def __aenter__(self) -> WebSocketClient:
        world, protocol, asked = self._parts
        response = await world.pods.exec(websocket_request(protocol, asked), pod())
        assert response.headers.get("sec-websocket-protocol", "") == protocol
        self._upgraded = upgraded(response)
        return WebSocketClient(await self._upgraded.__aenter__())

    async def __aexit__(self, *error: Any) -> None:
        await self._upgraded.__aexit__(None, None, None)


@pytest.mark.parametrize("protocol", [V5, V4])
async def test_output_and_exit_status_of_a_command(world: StreamServerWorld, protocol: str) -> None:
    async with socket_to(world, protocol, query("sh", "-c", "echo out; echo err >&2; exit 3")) as client:
        assert await client.message() == b"\x01", "an empty message says that the connection stands"
        found, code = await client.rest()
    assert (found[1], found[2], code) == (b"out\n", b"err\n", 1000)
    status = json.loads(found[3])
    assert (status["status"], status["reason"]) == ("Failure", "NonZeroExitCode")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert status["message"].startswith("command terminated with non-zero exit code: ")


async def test_success_is_a_status_in_v4_and_silence_before(world: StreamServerWorld) -> None:
    for protocol, expected in ((V5, SUCCESS), (V4, SUCCESS), ("channel.k8s.io", None), ("", None)):
        async with socket_to(world, protocol, query("true")) as client:
            found, code = await client.rest()
        assert code == 1000
        assert (json.loads(found[3]) if 3 in found else None) == expected


async def test_failure_is_a_text_before_v4(world: StreamServerWorld) -> None:
    async with socket_to(world, "channel.k8s.io", query("sh", "-c", "exit 2")) as client:
        found, _ = await client.rest()
    assert found[3].startswith(b"command terminated with non-zero exit code")


async def test_v5_ends_input_and_output_goes_on(world: StreamServerWorld) -> None:
    async with socket_to(world, V5, query("cat", stdin=True)) as client:
        await client.send(b"\x00one ", b"\x00two", b"\xff\x00")
        found, code = await client.rest()
    assert found[1] == b"one two" and json.loads(found[3]) == SUCCESS and code == 1000


async def test_v4_knows_no_end_of_input(world: StreamServerWorld) -> None:
    async with socket_to(world, V4, query("cat", stdin=True)) as client:
        await client.send(b"\xff\x00", b"\x00x")
        assert await client.message() == b"\x01"
        assert await client.message() == b"\x01x"


async def test_messages_in_pieces_and_unknown_channels(world: StreamServerWorld) -> None:
    async with socket_to(world, V5, query("cat", stdin=True)) as client:
        await client.send(BytesMessage(data=b"\x00ab", message_finished=False), BytesMessage(data=b"cd"))
        await client.send(b"\x09ignored", b"", "\x00text", b"\xff\x04", b"\xff\x00")
        found, _ = await client.rest()
    assert found[1] == b"abcdtext"


async def test_base64_of_the_same(world: StreamServerWorld) -> None:
    protocol = "v4.base64.channel.k8s.io"
    async with socket_to(world, protocol, query("sh", stdin=True)) as client:
        await client.send("0not base64!", "", "0" + base64.b64encode(b"echo hi; exit 0\n").decode())
        texts = []
        while isinstance(event := await client.event(), TextMessage):
            texts.append(event.data)
    assert texts[0] == "1" and texts[1] == "1" + base64.b64encode(b"hi\n").decode()
    assert texts[2][0] == "3" and json.loads(base64.b64decode(texts[2][1:])) == SUCCESS


async def test_a_terminal_is_resized_and_has_one_output(world: StreamServerWorld) -> None:
    asked = query("sh", "-c", "sleep 5; stty size; echo err >&2", stdin=True, tty=True)
    async with socket_to(world, V5, asked) as client:
        await client.send(b'\x04{"Width":10,"Hei', b'\x04ght":20}{"nonsense":1}[]{"Width":132,"Height":43}')
        await world.clock.advance(6.0)
        found, _ = await client.rest()
    assert found[1] == b"43 132\r\nerr\r\n" and 2 not in found


async def test_a_command_that_cannot_run_tells_why(world: StreamServerWorld) -> None:
    async with socket_to(world, V5, query("nope")) as client:
        found, code = await client.rest()
    status = json.loads(found[3])
    assert (status["reason"], status["code"], code) == ("InternalError", 500, 1000)
    assert "executable file not found" in status["message"]


async def test_a_container_that_does_not_run_is_not_found(world: StreamServerWorld) -> None:
    (state,) = await world.runtime.containers()
    world.runtime.kill(state.id)
    await world.clock.advance(1.0)
    async with socket_to(world, V5, query("true")) as client:
        found, _ = await client.rest()
    assert json.loads(found[3])["message"] == 'container not found ("web")'


async def test_a_slow_client_holds_up_the_process_and_loses_nothing(world: StreamServerWorld) -> None:
    data = bytes(range(256)) * 8192
    async with socket_to(world, V5, query("cat", stdin=True)) as client:

        async def type_in() -> None:
            for at in range(0, len(data), 32768):
                await client.send(b"\x00" + data[at : at + 32768])
            await client.send(b"\xff\x00")

        typing = asyncio.ensure_future(type_in())
        await world.clock.settle()
        assert not typing.done(), "2 MiB are more than all buffers on the way"
        found, _ = await client.rest()
        await typing
    assert found[1] == data


async def test_a_client_that_leaves_ends_its_command(world: StreamServerWorld) -> None:
    assert world.agent is not None
    for goodbye in (True, False):
        async with socket_to(world, V5, query("sleep", "1000")) as client:
            assert await client.message() == b"\x01"
            await world.clock.settle()
            assert len(world.agent.streams._tasks) == 1
            if goodbye:
                await client.send(CloseConnection(code=1000))
                assert isinstance(await client.event(), CloseConnection)
        await world.clock.settle()
        assert not world.agent.streams._tasks


async def test_an_agent_that_dies_is_told_as_a_failure(world: StreamServerWorld) -> None:
    async with socket_to(world, V5, query("sleep", "1000")) as client:
        assert await client.message() == b"\x01"
        await world.clock.settle()
        await world.kill_agent()
        found, code = await client.rest()
    assert json.loads(found[3])["reason"] == "InternalError" and code == 1000


async def test_an_agent_that_is_away_is_told_as_a_failure(world: StreamServerWorld) -> None:
    await world.kill_agent()
    await world.clock.settle()
    async with socket_to(world, V5, query("true")) as client:
        found, _ = await client.rest()
    assert "error dialing backend" in json.loads(found[3])["message"]


async def test_nobody_speaks_for_too_long(world: StreamServerWorld) -> None:
    async with socket_to(world, V5, query("cat", stdin=True)) as client:
        assert await client.message() == b"\x01"
        await world.clock.settle()
        waiting = asyncio.ensure_future(client.rest())
        await world.clock.advance(IDLE_SECONDS - 10)
        assert not waiting.done()
        await world.clock.advance(20)
        found, _ = await waiting
    assert not found


async def test_attach_joins_the_container() -> None:
    cat = container("web", command=("cat",), interactive=True, essential=False)
    world = StreamServerWorld()
    await world.up(cat, container("other", essential=False))
    asked = [("stdin", "true"), ("stdout", "true")]
    response = await world.pods.attach(websocket_request(V5, asked), pod())
    async with upgraded(response) as duplex:
        client = WebSocketClient(duplex)
        await client.send(b"\x00typed\n", b"\xff\x00")
        found, _ = await client.rest()
    assert found[1] == b"typed\n" and json.loads(found[3]) == SUCCESS
    await world.down()


# --- SPDY


async def opened(client: SpdyClient, *kinds: str) -> dict[str, int]:
    streams = {kind: await client.open(streamtype=kind) for kind in kinds}
    await client.until(lambda: client.replied >= set(streams.values()))
    return streams


async def test_a_command_over_spdy(world: StreamServerWorld) -> None:
    asked = query("sh", stdin=True, tty=True)
    response = await world.pods.exec(
        spdy_request("v5.channel.k8s.io, v4.channel.k8s.io,v3.channel.k8s.io", asked), pod()
    )
    assert response.headers["x-stream-protocol-version"] == V4
    async with upgraded(response) as duplex:
        client = SpdyClient(duplex)
        streams = await opened(client, "error", "stdin", "stdout", "resize")
        await client.send(streams["resize"], b'{"Width":100,"Height":30}\n')
        await world.clock.settle()
        await client.ping(7)
        await client.send(streams["stdin"], b"stty size\nexit 4\n")
        await client.drain()
    assert client.data[streams["stdout"]] == b"/ # 30 100\r\n/ # "
    status = json.loads(client.data[streams["error"]])
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "4"}]
    assert client.finished >= {streams["error"], streams["stdout"]}
    assert client.pongs == [7] and client.gone_away


async def test_input_over_spdy_ends_with_its_stream_and_is_granted_again(world: StreamServerWorld) -> None:
    response = await world.pods.exec(spdy_request(V4, query("cat", stdin=True)), pod())
    data = b"x" * 200_000
    async with upgraded(response) as duplex:
        client = SpdyClient(duplex)
        streams = await opened(client, "error", "stdin", "stdout", "stderr")

        typing = asyncio.ensure_future(client.send(streams["stdin"], data))
        await client.until(lambda: client.grants.get(streams["stdin"], 0) >= 100_000)
        await typing
        await client.send(streams["stdin"], b"", fin=True)
        await client.drain()
    assert client.data[streams["stdout"]] == data
    assert json.loads(client.data[streams["error"]]) == SUCCESS
    assert client.grants[0] == client.grants[streams["stdin"]] <= len(data)


async def test_a_client_that_counts_is_not_sent_more_than_it_takes(world: StreamServerWorld) -> None:
    response = await world.pods.exec(spdy_request(V4, query("cat", stdin=True, stderr=False)), pod())
    async with upgraded(response) as duplex:
        client = SpdyClient(duplex)
        await client.control(4, b"\0\0\0\1" + b"\0\0\0\7" + b"\0\0\3\xe8")  # an initial window of 1,000
        streams = await opened(client, "error", "stdin", "stdout")
        out = streams["stdout"]
        await client.send(streams["stdin"], b"y" * 3000, fin=True)
        await client.until(lambda: len(client.data.get(out, b"")) >= 1000)
        await world.clock.settle()
        assert len(client.data[out]) == 1000
        await client.control(9, out.to_bytes(4, "big") + (2000).to_bytes(4, "big"))
        await client.drain()
    assert client.data[out] == b"y" * 3000 and client.finished >= set(streams.values()) - {streams["stdin"]}


async def test_streams_that_do_not_come_are_not_waited_for_ever(world: StreamServerWorld) -> None:
    response = await world.pods.exec(spdy_request(V4, query("true")), pod())
    async with upgraded(response) as duplex:
        client = SpdyClient(duplex)
        await client.open(streamtype="error")
        waiting = asyncio.ensure_future(client.drain())
        await world.clock.advance(29.0)
        assert not waiting.done()
        await world.clock.advance(2.0 + LINGER_SECONDS)
        await waiting
    assert client.gone_away


async def test_a_spdy_client_that_leaves_ends_its_command(world: StreamServerWorld) -> None:
    assert world.agent is not None
    response = await world.pods.exec(spdy_request(V4, query("sleep", "1000")), pod())
    async with upgraded(response) as duplex:
        client = SpdyClient(duplex)
        await opened(client, "error", "stdout", "stderr")
        await world.clock.settle()
        assert len(world.agent.streams._tasks) == 1
    await world.clock.settle()
    assert not world.agent.streams._tasks


# --- what is refused before anything is upgraded


async def refused(world: StreamServerWorld, asked: Any, what: dict[str, Any] | None = None) -> StatusFault:
    with pytest.raises(StatusFault) as told:
        await world.pods.exec(asked, what or pod())
    return told.value


@pytest.mark.parametrize(
    ("flags", "what", "message"),
    [
        ({"stdout": False, "stderr": False}, pod(), "you must specify at least 1 of stdin, stdout, stderr"),
        ({}, pod("a", "b"), "a container name must be specified for pod web-0, choose one of: [a b]"),
        ({}, pod(spec={"nodeName": ""}), "pod web-0 does not have a host assigned"),
    ],
)
async def test_options_that_do_not_fit(
    world: StreamServerWorld, flags: dict[str, bool], what: dict[str, Any], message: str
) -> None:
    fault = await refused(world, websocket_request(V5, query("true", **flags)), what)
    assert (fault.status, fault.reason, fault.message) == (400, "BadRequest", message)


async def test_what_cannot_be_upgraded(world: StreamServerWorld) -> None:
    good = query("true")
    assert (await refused(world, request({}, good))).message == "Upgrade request required"
    other = await refused(world, websocket_request(V5, [*good, ("container", "db")]))
    assert other.message == "container db is not valid for pod web-0"
    unknown = await refused(world, websocket_request("v9.channel.k8s.io", good))
    assert unknown.status == 403 and "client supports [v9.channel.k8s.io]" in unknown.message
    unknown = await refused(world, spdy_request("v9", good))
    assert unknown.status == 403 and unknown.headers["x-accepted-stream-protocol-versions"].startswith(V4)
    unnamed = request({"upgrade": "SPDY/3.1", "connection": "upgrade"}, good)
    assert "X-Stream-Protocol-Version does not exist" in (await refused(world, unnamed)).message
    broken = websocket_request(V5, good)
    assert isinstance(broken.headers, dict)
    broken.headers["sec-websocket-key"] = "short"
    assert (await refused(world, broken)).status == 400
    old = websocket_request(V5, good)
    assert isinstance(old.headers, dict)
    old.headers["sec-websocket-version"] = "8"
    response = await world.pods.exec(old, pod())
    assert (response.status, response.headers["sec-websocket-version"]) == (400, "13")
