"""port-forward as clients speak it: SPDY, SPDY tunnelled through a WebSocket, and the channels of old."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from wsproto.events import BytesMessage, CloseConnection

from ropewalk.base.http.messages import Duplex
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.streams.connection import LINGER_SECONDS
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

TUNNEL = "SPDY/3.1+portforward.k8s.io"
V4 = "v4.channel.k8s.io"


@pytest.fixture
async def world() -> AsyncIterator[StreamServerWorld]:
    made = StreamServerWorld()
    await made.up()
    yield made
    await made.down()


class Tunnel:
    """A connection through binary messages, cut as they come."""

    def __init__(self, client: WebSocketClient) -> None:
        self._client = client

    async def read(self) -> bytes:
        event = await self._client.event()
        return bytes(event.data) if isinstance(event, BytesMessage) else b""

    async def write(self, data: bytes) -> None:
        for at in range(0, len(data), 1000):
            await self._client.send(data[at : at + 1000])

    def close(self) -> None: ...


@asynccontextmanager
async def spdy(world: StreamServerWorld, tunnelled: bool) -> AsyncIterator[SpdyClient]:
    asked = websocket_request(TUNNEL) if tunnelled else spdy_request("portforward.k8s.io")
    response = await world.pods.port_forward(asked, pod())
    assert response.headers["upgrade"] == ("websocket" if tunnelled else "SPDY/3.1")
    async with upgraded(response) as duplex:
        carrier: Duplex = Tunnel(WebSocketClient(duplex)) if tunnelled else duplex
        yield SpdyClient(carrier)


async def pair(client: SpdyClient, port: str, request: str = "0") -> tuple[int, int]:
    error = await client.open(streamtype="error", port=port, requestid=request)
    await client.send(error, b"", fin=True)
    data = await client.open(streamtype="data", port=port, requestid=request)
    await client.until(lambda: client.replied >= {error, data})
    return error, data


@pytest.mark.parametrize("tunnelled", [False, True], ids=["spdy", "tunnelled"])
async def test_connections_side_by_side(world: StreamServerWorld, tunnelled: bool) -> None:
    async with spdy(world, tunnelled) as client:
        error, first = await pair(client, "8080", "0")
        _, second = await pair(client, "8080", "1")
        await client.send(second, b"GET /hostname HTTP/1.1\r\nconnection: close\r\n\r\n")
        await client.send(first, b"\x00raw")
        await client.until(lambda: client.data.get(first) == b"\x00raw" and second in client.finished)
        assert client.data[second].endswith(b"\r\n\r\nweb-0")
        assert first not in client.finished
        await client.send(first, b"", fin=True)
        await client.until(lambda: client.finished >= {first, error})
        assert client.data.get(error, b"") == b""


async def test_much_data_goes_both_ways(world: StreamServerWorld) -> None:
    data = bytes(range(256)) * 4000
    async with spdy(world, True) as client:
        _, stream = await pair(client, "8080")

        async def send() -> None:
            for at in range(0, len(data), 40_000):
                await client.send(stream, data[at : at + 40_000])

        sending = asyncio.ensure_future(send())
        await client.until(lambda: len(client.data.get(stream, b"")) == len(data))
        await sending
    assert client.data[stream] == data


async def test_a_port_where_nobody_listens(world: StreamServerWorld) -> None:
    async with spdy(world, False) as client:
        error, data = await pair(client, "81")
        await client.until(lambda: client.finished >= {error, data})
        text = client.data[error].decode()
        assert text.startswith("error forwarding port 81 to pod ") and "connection refused" in text
        _, again = await pair(client, "8080", "1")
        await client.send(again, b"\x01")
        await client.until(lambda: client.data.get(again) == b"\x01")


@pytest.mark.parametrize(
    "headers",
    [
        {"streamtype": "data"},
        {"streamtype": "data", "port": "0"},
        {"streamtype": "data", "port": "65536"},
        {"streamtype": "data", "port": "http"},
        {"port": "80"},
        {"streamtype": "stdin", "port": "80"},
    ],
    ids=lambda headers: "-".join(headers.values()),
)
async def test_streams_that_make_no_sense_are_refused_alone(world: StreamServerWorld, headers: dict[str, str]) -> None:
    async with spdy(world, False) as client:
        bad = await client.open(**headers)
        await client.until(lambda: client.resets.get(bad) == 3)
        _, good = await pair(client, "8080")
        await client.send(good, b"x" * 3)
        await client.until(lambda: client.data.get(good) == b"xxx")


async def test_clients_of_old_name_no_request(world: StreamServerWorld) -> None:
    async with spdy(world, False) as client:
        await client.open(streamtype="error", port="8080")
        data = await client.open(streamtype="data", port="8080")
        await client.send(data, b"\x02")
        await client.until(lambda: client.data.get(data) == b"\x02")


async def test_half_a_pair_is_not_waited_for_ever(world: StreamServerWorld) -> None:
    async with spdy(world, False) as client:
        error = await client.open(streamtype="error", port="8080", requestid="7")
        await client.until(lambda: error in client.replied)
        await world.clock.advance(31.0)
        await client.until(lambda: error in client.finished)
        assert client.data[error] == b"(request=7) timed out waiting for streams"


async def test_a_second_stream_of_a_kind_is_told(world: StreamServerWorld) -> None:
    async with spdy(world, False) as client:
        error = await client.open(streamtype="error", port="8080", requestid="7")
        await client.open(streamtype="error", port="8080", requestid="7")
        await client.until(lambda: error in client.data)
        assert client.data[error].endswith(b"error stream already assigned")


async def test_leaving_ends_every_connection(world: StreamServerWorld) -> None:
    assert world.agent is not None
    async with spdy(world, True) as client:
        for number in range(3):
            await pair(client, "8080", str(number))
        await world.clock.settle()
        assert len(world.agent.streams._tasks) == 3
    await world.clock.settle()
    assert not world.agent.streams._tasks


async def test_an_agent_that_dies_ends_connections_with_an_error(world: StreamServerWorld) -> None:
    async with spdy(world, False) as client:
        error, data = await pair(client, "8080")
        await world.clock.settle()
        await world.kill_agent()
        await client.until(lambda: client.finished >= {error, data})
        assert client.data[error].endswith(b"the agent is gone")


# --- channels


async def test_channels_of_ports_named_in_the_query(world: StreamServerWorld) -> None:
    response = await world.pods.port_forward(websocket_request(V4, [("ports", "8080,81")]), pod())
    async with upgraded(response) as duplex:
        client = WebSocketClient(duplex)
        greetings = {await client.message() for _ in range(4)}
        assert greetings == {b"\x00\x90\x1f", b"\x01\x90\x1f", b"\x02\x51\x00", b"\x03\x51\x00"}
        refused = await client.message()
        assert refused[:1] == b"\x03" and b"connection refused" in refused
        await client.send(b"\x02nobody", b"\x09nobody", b"\x00\x05raw")
        assert await client.message() == b"\x00\x05raw"
        await client.send(b"\x00GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        assert (await client.message()).endswith(b"GET / h web-0\n")
        event = await client.event()
        assert isinstance(event, CloseConnection) and event.code == 1000, "the last port has ended"


async def test_a_port_that_fails_at_once_does_not_end_the_others(world: StreamServerWorld) -> None:
    response = await world.pods.port_forward(websocket_request(V4, [("ports", "81"), ("ports", "8080")]), pod())
    async with upgraded(response) as duplex:
        client = WebSocketClient(duplex)
        for _ in range(5):
            await client.message()
        await client.send(b"\x02\x05raw")
        assert await client.message() == b"\x02\x05raw"


async def test_what_is_refused_before_the_upgrade(world: StreamServerWorld) -> None:
    async def refused(asked: object, what: object = None) -> StatusFault:
        with pytest.raises(StatusFault) as told:
            await world.pods.port_forward(asked, what or pod())  # type: ignore[arg-type]
        return told.value

    assert (await refused(request({}))).message == "Upgrade request required"
    assert (await refused(websocket_request(V4))).message == 'query parameter "ports" is required'
    for ports, message in (
        ("", "cannot be empty"),
        ("x", 'unable to parse "x"'),
        ("0", "must be > 0"),
        ("70000", "unable"),
    ):
        fault = await refused(websocket_request(V4, [("ports", ports)]))
        assert fault.status == 400 and message in fault.message
    assert (await refused(websocket_request("v5.channel.k8s.io"))).status == 403
    assert (await refused(spdy_request("v4.channel.k8s.io"))).status == 403
    homeless = await refused(spdy_request("portforward.k8s.io"), pod(spec={"nodeName": ""}))
    assert homeless.message == "pod web-0 does not have a host assigned"


async def test_text_in_a_tunnel_ends_it(world: StreamServerWorld) -> None:
    response = await world.pods.port_forward(websocket_request(TUNNEL), pod())
    async with upgraded(response) as duplex:
        client = WebSocketClient(duplex)
        await client.send("text")
        event = await client.event()
        assert isinstance(event, CloseConnection) and event.code == 1003
        await world.clock.advance(LINGER_SECONDS + 1)
