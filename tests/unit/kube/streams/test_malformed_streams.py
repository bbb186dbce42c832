"""Whatever bytes come, a conversation ends cleanly: no exception leaves the server, nothing is left running."""

from __future__ import annotations

import asyncio
import struct
import zlib
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from wsproto.events import BytesMessage, CloseConnection

from ropewalk.kube.streams import spdy
from ropewalk.kube.streams.clients import Resized, SizeReader
from ropewalk.kube.streams.spdy_frames import (
    DICTIONARY,
    DICTIONARY_ID,
    HeaderReader,
    HeaderWriter,
    SpdyBroken,
    control,
    data,
)
from ropewalk.kube.streams.websocket import MAX_MESSAGE
from support.kube_streams import StreamServerWorld, WebSocketClient, pod, spdy_request, upgraded, websocket_request

ASKED = [("command", "cat"), ("stdin", "true"), ("stdout", "true")]
WAYS: dict[str, tuple[str, Any]] = {
    "websocket v5": ("exec", websocket_request("v5.channel.k8s.io", ASKED)),
    "websocket base64": ("exec", websocket_request("base64.channel.k8s.io", ASKED)),
    "spdy exec": ("exec", spdy_request("v4.channel.k8s.io", ASKED)),
    "spdy ports": ("port_forward", spdy_request("portforward.k8s.io")),
    "tunnel": ("port_forward", websocket_request("SPDY/3.1+portforward.k8s.io")),
    "channel ports": ("port_forward", websocket_request("v4.channel.k8s.io", [("ports", "8080")])),
}

LEFT_AS_IT_WAS_ACCEPTED = [
    b"\x88\xa1E",
    b"\xa2",
    b"\xaf",
    b"\x88\x00\x80\x03\x80" + bytes(40),
    b"\x8f",
    b"\x15\xe2",
    b"\x80",
    b"\1",
]
"""The connection breaks in the very turn in which the agent has accepted the stream."""


def unmasked_frames(pieces: list[bytes]) -> list[bytes]:
    """The pieces as masked WebSocket frames with a mask of zeros: random content, sound framing."""
    return [bytes((0x82, 0x80 | len(piece))) + b"\0\0\0\0" + piece for piece in pieces]


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(pieces=LEFT_AS_IT_WAS_ACCEPTED, framed=False)
@given(pieces=st.lists(st.binary(min_size=1, max_size=60), max_size=8), framed=st.booleans())
def test_random_bytes_end_a_conversation_cleanly(way: str, pieces: list[bytes], framed: bool) -> None:
    async def converse() -> None:
        world = StreamServerWorld()
        await world.up()
        verb, asked = WAYS[way]
        response = await getattr(world.pods, verb)(asked, pod())
        async with upgraded(response) as client:
            for piece in unmasked_frames(pieces) if framed else pieces:
                try:
                    await asyncio.wait_for(client.write(piece), 5)
                except ConnectionResetError:
                    break
            await world.clock.settle()
        await world.clock.settle()
        assert world.agent is not None and not world.agent.streams._tasks
        await world.down()

    asyncio.run(converse())


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_the_spdy_machine_never_raises(pieces: list[bytes]) -> None:
    server = spdy.SpdyServer()
    for piece in pieces:
        events = server.receive(piece)
        if any(isinstance(event, spdy.GoneAway) for event in events):
            assert server.receive(piece) == []


FRAMES = st.one_of(
    st.builds(control, st.integers(0, 12), st.binary(max_size=40), st.integers(0, 3)),  # type: ignore[arg-type]
    st.builds(lambda i, d, f: data(i, d, fin=f), st.integers(0, 9), st.binary(max_size=20), st.booleans()),
    st.builds(
        lambda i, f: control(1, struct.pack("!IIH", i, 0, 0) + HeaderWriter().block({"a": "b"}), f),  # type: ignore[arg-type]
        st.integers(0, 9),
        st.integers(0, 1),
    ),
)


@given(st.lists(FRAMES, max_size=20), st.integers(1, 30))
def test_any_cutting_of_frames_gives_the_same_events(frames: list[bytes], size: int) -> None:
    """Data may come in more pieces; everything else is the same."""

    def merged(events: list[spdy.Event]) -> list[Any]:
        found: list[Any] = []
        for event in events:
            if (
                isinstance(event, spdy.Received)
                and found
                and isinstance(found[-1], list)
                and found[-1][0] == event.stream
            ):
                found[-1][1] += event.data
            elif isinstance(event, spdy.Received):
                found.append([event.stream, event.data])
            else:
                found.append(event)
        return found

    whole, cut = spdy.SpdyServer(), spdy.SpdyServer()
    stream = b"".join(frames)
    at_once = merged(whole.receive(stream))
    in_pieces = [event for at in range(0, len(stream), size) for event in cut.receive(stream[at : at + size])]
    assert merged(in_pieces) == at_once and cut.outgoing == whole.outgoing


def test_the_dictionary_is_spdys() -> None:
    assert len(DICTIONARY) == 1423 and zlib.adler32(DICTIONARY) == DICTIONARY_ID


def test_header_blocks_share_their_context() -> None:
    writer, reader = HeaderWriter(), HeaderReader()
    for headers in ({"streamtype": "data", "port": "80"}, {"streamtype": "error", "port": "80"}, {}):
        assert reader.headers(writer.block(headers)) == headers
    several = HeaderReader().headers(HeaderWriter().block({"A": "1\x002"}))
    assert several == {"a": "1,2"}


def test_a_header_block_that_unpacks_to_too_much_is_refused() -> None:
    with pytest.raises(SpdyBroken, match="too large"):
        HeaderReader().headers(HeaderWriter().block({"a": "x" * 100_000}))
    with pytest.raises(SpdyBroken, match="cut short"):
        packer = zlib.compressobj(zdict=DICTIONARY)
        HeaderReader().headers(packer.compress(b"\0\0\0\1\xff\xff\xff\xff") + packer.flush(zlib.Z_SYNC_FLUSH))


def test_streams_beyond_the_bound_are_refused_alone() -> None:
    server, writer = spdy.SpdyServer(), HeaderWriter()
    opened = 0
    for number in range(spdy.MAX_STREAMS + 1):
        frame = control(1, struct.pack("!IIH", 2 * number + 1, 0, 0) + writer.block({}))  # type: ignore[arg-type]
        opened += sum(isinstance(event, spdy.Opened) for event in server.receive(frame))
    assert opened == spdy.MAX_STREAMS
    refused = struct.pack("!HHIII", 0x8003, 3, 8, 2 * spdy.MAX_STREAMS + 1, 3)
    assert server.outgoing == refused


@pytest.mark.parametrize(
    "frame",
    [
        b"\x80\x02\x00\x01\x00\x00\x00\x0a" + b"\0" * 10,  # SPDY/2
        b"\x80\x03\x00\x06\x00\xff\xff\xff",  # a control frame of 16 MiB
        b"\x80\x03\x00\x06\x00\x00\x00\x05" + b"\0" * 5,  # a ping of the wrong size
        b"\x80\x03\x00\x04\x00\x00\x00\x04\x00\x00\x00\x02",  # settings that are not there
        b"\x00\x00\x00\x05\x00\x00\x00\x01x",  # data for a stream never opened
    ],
)
def test_broken_frames_end_the_session_with_a_goaway(frame: bytes) -> None:
    server = spdy.SpdyServer()
    assert isinstance(server.receive(frame)[-1], spdy.GoneAway)
    assert server.outgoing[-12:] == struct.pack("!HHIII", 0x8003, 7, 8, 0, 1)[-12:]


async def test_a_message_beyond_the_bound_is_too_big() -> None:
    world = StreamServerWorld()
    await world.up()
    response = await world.pods.exec(websocket_request("v5.channel.k8s.io", ASKED), pod())
    async with upgraded(response) as duplex:
        client = WebSocketClient(duplex)
        assert await client.message() == b"\x01"
        for _ in range(MAX_MESSAGE // 65536 + 1):
            await client.send(BytesMessage(data=b"\0" * 65536, message_finished=False))
        event = await client.event()
        assert isinstance(event, CloseConnection) and event.code == 1009
    await world.down()


def test_sizes_come_in_any_pieces() -> None:
    text = b'{"Width":80,"Height":24}\n{"width":1,"height":2} {"Width":-1,"Height":2}[]"x"{"Width":3,"Height":4}'
    for size in range(1, len(text)):
        reader = SizeReader()
        found = [each for at in range(0, len(text), size) for each in reader.feed(text[at : at + size])]
        assert found == [Resized(80, 24), Resized(1, 2), Resized(3, 4)]
    assert SizeReader().feed(b"[" * 100_000) == []
