"""`pods/log`: which text comes, which options are refused and in which words, and that nobody's stream is left open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.streams.options import command_options, query_of
from ropewalk.kube.streams.terminate import PodStreams
from ropewalk.kube.streams.websocket import text_stream
from ropewalk.model.workload import RestartRule
from support.kube_streams import StreamServerWorld, WebSocketClient, pod, request, upgraded, websocket_request
from support.streams import PATIENCE, server
from support.workloads import container

SCRIPT = "echo one; sleep 10; echo two >&2; sleep 10; echo three; sleep 1000"


@pytest.fixture
async def world() -> AsyncIterator[StreamServerWorld]:
    made = StreamServerWorld()
    await made.up(server(command=("sh", "-c", SCRIPT)))
    await made.clock.advance(30.0)
    yield made
    await made.down()


async def ask(world: StreamServerWorld, what: dict[str, Any] | None = None, **query: str) -> bytes:
    response = await world.pods.log(request({}, query), what or pod())
    assert (response.status, response.headers["content-type"]) == (200, "text/plain")
    if isinstance(response.body, bytes):
        return response.body
    async with asyncio.timeout(PATIENCE):
        return b"".join([piece async for piece in response.body])


async def test_lines_as_asked_for(world: StreamServerWorld) -> None:
    assert await ask(world) == b"one\ntwo\nthree\n"
    assert await ask(world, tailLines="2") == b"two\nthree\n"
    assert await ask(world, tailLines="0") == b""
    assert await ask(world, sinceSeconds="15") == b"three\n"
    assert await ask(world, limitBytes="5") == b"one\nt"
    stamped = (await ask(world, timestamps="true", tailLines="1")).split()
    assert stamped[0].startswith(b"2023-11-14T22:13:") and stamped[0].endswith(b"Z") and stamped[1] == b"three"
    assert await ask(world, sinceTime=stamped[0].decode()) in (b"three\n", b"")
    assert await ask(world, container="web") == b"one\ntwo\nthree\n"


async def test_following_ends_with_the_container_and_leaving_ends_the_stream(world: StreamServerWorld) -> None:
    assert world.agent is not None
    following = asyncio.ensure_future(ask(world, follow="true", tailLines="1"))
    await world.clock.settle()
    assert not following.done()
    (state,) = await world.runtime.containers()
    response = await world.pods.log(request({}, {"follow": "true"}), pod())
    assert not isinstance(response.body, bytes)
    assert await anext(response.body) == b"one\n"
    await world.clock.settle()
    assert len(world.agent.streams._tasks) == 2
    await response.body.aclose()  # type: ignore[attr-defined]  # as the server closes it when its client leaves
    await world.clock.settle()
    assert len(world.agent.streams._tasks) == 1
    world.runtime.kill(state.id)
    assert await following == b"three\n"


async def test_a_body_nobody_reads_gives_its_stream_back(world: StreamServerWorld) -> None:
    assert world.agent is not None
    response = await world.pods.log(request({}, {"follow": "true"}), pod())
    await world.clock.settle()
    assert len(world.agent.streams._tasks) == 1
    await response.body.aclose()  # type: ignore[union-attr]
    await world.clock.settle()
    assert not world.agent.streams._tasks


async def test_the_run_before_is_shown_after_a_crash() -> None:
    world = StreamServerWorld()
    crash = container("web", command=("sh", "-c", "echo run; exit 1"), restart=RestartRule.ALWAYS, essential=False)
    await world.up(crash, container("other", essential=False))
    last = {"name": "web", "state": {"waiting": {}}, "lastState": {"terminated": {"exitCode": 1}}}
    crashed = pod(status={"containerStatuses": [last]})
    assert await ask(world, crashed) == b"run\n"
    assert await ask(world, crashed, previous="true") == b"run\n"
    await world.down()


def with_state(**state: Any) -> dict[str, Any]:
    return pod(status={"containerStatuses": [{"name": "web", "state": state}]})


@pytest.mark.parametrize(
    ("what", "query", "message"),
    [
        (
            with_state(waiting={"reason": "ContainerCreating"}),
            {},
            'container "web" in pod "web-0" is waiting to start: ContainerCreating',
        ),
        (
            with_state(waiting={"reason": "ImagePullBackOff"}),
            {},
            'container "web" in pod "web-0" is waiting to start: trying and failing to pull image',
        ),
        (
            with_state(waiting={"reason": "ErrImagePull"}),
            {},
            'container "web" in pod "web-0" is waiting to start: image can\'t be pulled',
        ),
        (pod(status={"containerStatuses": []}), {}, 'container "web" in pod "web-0" is not available'),
        (pod(), {"previous": "true"}, 'previous terminated container "web" in pod "web-0" not found'),
        (pod("a", "b"), {}, "a container name must be specified for pod web-0, choose one of: [a b]"),
        (pod(), {"container": "db"}, "container db is not valid for pod web-0"),
        (pod(), {"tailLines": "x"}, 'strconv.ParseInt: parsing "x": invalid syntax'),
        (
            pod(),
            {"sinceTime": "yesterday"},
            'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"',
        ),
    ],
)
async def test_what_the_kubelet_would_answer(
    world: StreamServerWorld, what: dict[str, Any], query: dict[str, str], message: str
) -> None:
    with pytest.raises(StatusFault) as told:
        await ask(world, what, **query)
    assert (told.value.status, told.value.reason, told.value.message) == (400, "BadRequest", message)


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ({"tailLines": "-1"}, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ({"limitBytes": "0"}, "limitBytes: Invalid value: 0: must be greater than 0"),
        ({"sinceSeconds": "0"}, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        ({"stream": "Stdout"}, "stream: Forbidden: may not be specified"),
        (
            {"sinceSeconds": "1", "sinceTime": "2023-11-14T22:13:20Z"},
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
    ],
)
async def test_options_that_do_not_fit(world: StreamServerWorld, query: dict[str, str], complaint: str) -> None:
    with pytest.raises(StatusFault) as told:
        await ask(world, **query)
    assert (told.value.status, told.value.reason) == (422, "Invalid")
    assert told.value.message.startswith('PodLogOptions "web-0" is invalid: ') and complaint in told.value.message


async def test_streams_are_split_where_the_gate_is_open(world: StreamServerWorld) -> None:
    pods = PodStreams(world.gateway.streams, world.clock, split_log_streams=True)
    for stream, text in (("Stdout", b"one\nthree\n"), ("Stderr", b"two\n"), ("All", b"one\ntwo\nthree\n")):
        response = await pods.log(request({}, {"stream": stream}), pod())
        assert not isinstance(response.body, bytes)
        assert b"".join([piece async for piece in response.body]) == text
    for query, complaint in (
        ({"stream": "Both"}, "Unsupported"),
        ({"stream": "Stdout", "tailLines": "1"}, "exclusive"),
    ):
        with pytest.raises(StatusFault, match=complaint):
            await pods.log(request({}, query), pod())


async def test_a_pod_without_a_node_has_nothing_to_show(world: StreamServerWorld) -> None:
    assert await ask(world, pod(spec={"nodeName": ""})) == b""


async def test_an_agent_that_is_away(world: StreamServerWorld) -> None:
    await world.kill_agent()
    await world.clock.settle()
    with pytest.raises(StatusFault, match="error dialing backend") as told:
        await ask(world)
    assert told.value.status == 500


def test_flags_are_read_as_apimachinery_reads_them() -> None:
    for text, expected in (("", True), ("true", True), ("1", True), ("no", True), ("0", False), ("False", False)):
        query = query_of(f"command=x&stdout=1&stdin={text}")
        assert command_options(query, pod(), attach=False).stdin is expected


async def test_a_watch_over_websocket_is_texts(world: StreamServerWorld) -> None:
    closed: list[bool] = []

    async def events() -> AsyncIterator[bytes]:
        try:
            yield b'{"type":"ADDED"}\n'
            yield b'{"type":"MODIFIED"}\n'
            await asyncio.get_running_loop().create_future()
        finally:
            closed.append(True)

    async with upgraded(text_stream(websocket_request(""), world.clock, events())) as duplex:
        client = WebSocketClient(duplex)
        texts = [getattr(await client.event(), "data", None) for _ in range(2)]
        assert texts == ['{"type":"ADDED"}', '{"type":"MODIFIED"}']
    assert closed == [True]
