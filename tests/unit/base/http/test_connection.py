"""HTTP/1.1 as a client sees it, byte by byte, over a transport that is no socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.base.http.limits import Limits
from ropewalk.base.http.messages import Duplex, Request, Response
from unit.base.http.wires import Wire

GET = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"


async def echo(request: Request) -> Response:
    return Response(body=f"{request.method} {request.target} {len(request.body)}".encode())


def bodies(text: str) -> list[str]:
    """Bodies of answers that tell their length."""
    found = []
    while text:
        head, _, rest = text.partition("\r\n\r\n")
        length = next(int(line[16:]) for line in head.split("\r\n") if line.startswith("content-length: "))
        found.append(rest[:length])
        text = rest[length:]
    return found


async def test_an_answer_and_then_another_on_the_same_connection() -> None:
    wire = Wire(echo)
    first = await wire.send(GET)
    assert first.startswith("HTTP/1.1 200 OK\r\n")
    assert "\r\ndate: Tue, 14 Nov 2023 22:13:20 GMT\r\n" in first
    assert bodies(first) == bodies(await wire.send(GET)) == ["GET /a?b=c 0"]
    assert not wire.transport.closed


async def test_what_the_handler_sees() -> None:
    seen: list[Request] = []

    async def keep(request: Request) -> Response:
        seen.append(request)
        return Response()

    await Wire(keep).send(
        b"POST /x%20y?q HTTP/1.1\r\nHOST: h\r\nEmpty:\r\nA: 1\r\na: 2\r\nContent-Length: 3\r\n\r\nabc"
    )
    request = seen[0]
    assert (request.path, request.query, request.target) == ("/x%20y", "q", "/x%20y?q")
    assert request.headers == {"host": "h", "empty": "", "a": "1,2", "content-length": "3"}
    assert (request.body, request.peer.address, request.peer.listener) == (b"abc", "127.0.0.1", "test")


async def test_pipelined_requests_are_answered_in_order_whatever_they_take() -> None:
    gates = {"/1": asyncio.Event(), "/2": asyncio.Event()}

    async def gated(request: Request) -> Response:
        await gates[request.path].wait()
        return Response(body=request.path.encode())

    wire = Wire(gated)
    assert await wire.send(b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n") == ""
    gates["/2"].set()
    assert await wire.read() == ""
    gates["/1"].set()
    assert bodies(await wire.read()) == ["/1", "/2"]


async def test_a_client_that_pipelines_too_much_is_read_no_further_until_answered() -> None:
    gate = asyncio.Event()

    async def gated(request: Request) -> Response:
        await gate.wait()
        return Response(body=b"x")

    wire = Wire(gated, Limits(pipelined=4))
    await wire.send(GET * 6)
    assert wire.transport.paused
    gate.set()
    assert len(bodies(await wire.read())) == 6
    assert not wire.transport.paused


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 60), max_size=12))
def test_any_split_of_the_bytes_means_the_same(cuts: list[int]) -> None:
    data = GET + b"POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nT: x\r\n\r\n" + GET

    async def run() -> list[str]:
        wire, text, start = Wire(echo), "", 0
        for cut in cuts:
            text += await wire.send(data[start : start + cut]) if start < len(data) else ""
            start += cut
        text += await wire.send(data[start:]) if start < len(data) else ""
        return bodies(text)

    assert asyncio.run(run()) == ["GET /a?b=c 0", "POST /p 5", "GET /a?b=c 0"]


@pytest.mark.parametrize(
    "data",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nBad Header: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n\r\n",
        bytes(range(256)),
    ],
)
async def test_malformed_requests_get_400_after_those_before_them(data: bytes) -> None:
    wire = Wire(echo)
    text = await wire.send(GET + data)
    assert text.startswith("HTTP/1.1 200 OK\r\n")
    assert "HTTP/1.1 400 Bad Request" in text
    assert "connection: close" in text
    assert wire.transport.closed


async def test_headers_beyond_their_limits_get_431() -> None:
    limits = Limits(header_bytes=500, header_count=10)
    many = b"".join(b"h%d: x\r\n" % n for n in range(20))
    for head in (b"GET / HTTP/1.1\r\n" + many + b"\r\n", b"GET / HTTP/1.1\r\nA: " + b"x" * 600 + b"\r\n\r\n"):
        assert "HTTP/1.1 431 " in await Wire(echo, limits).send(head)
    endless = Wire(echo, limits)
    await endless.send(b"GET / HTTP/1.1\r\nA: ")
    texts = [await endless.send(b"x" * 300) for _ in range(3)]
    assert "HTTP/1.1 431 " in "".join(texts)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_too_large_is_answered_at_once_and_read_to_its_end(chunked: bool) -> None:
    calls: list[Request] = []

    async def keep(request: Request) -> Response:
        calls.append(request)
        return Response()

    wire = Wire(keep, Limits(body_bytes=10))
    framing = b"Transfer-Encoding: chunked\r\n\r\n14\r\n" if chunked else b"Content-Length: 20\r\n\r\n"
    text = await wire.send(b"POST / HTTP/1.1\r\n" + framing + b"x" * 15)
    assert text.startswith("HTTP/1.1 413 ")
    assert not wire.transport.closed  # or the client, still writing, would never see the answer
    await wire.send(b"x" * 5 + (b"\r\n0\r\n\r\n" if chunked else b""))
    assert wire.transport.closed
    assert calls == []


async def test_expect_100_is_answered_before_the_body_unless_the_body_is_refused() -> None:
    head = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    wire = Wire(echo, Limits(body_bytes=10))
    assert await wire.send(head % 3) == "HTTP/1.1 100 Continue\r\n\r\n"
    assert bodies(await wire.send(b"abc")) == ["POST / 3"]
    assert (await Wire(echo, Limits(body_bytes=10)).send(head % 20)).startswith("HTTP/1.1 413 ")


async def test_close_and_http_1_0_end_the_connection() -> None:
    for data in (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"):
        wire = Wire(echo)
        assert "connection: close" in await wire.send(data)
        assert wire.transport.closed


async def test_head_and_204_have_no_body() -> None:
    text = await Wire(echo).send(b"HEAD / HTTP/1.1\r\n\r\n")
    assert text.endswith("content-length: 8\r\n\r\n")

    async def nothing(request: Request) -> Response:
        return Response(204)

    assert "content-length" not in await Wire(nothing).send(GET)


async def test_a_failing_handler_is_a_500_and_the_connection_lives_on() -> None:
    async def fail(request: Request) -> Response:
        raise ZeroDivisionError

    wire = Wire(fail)
    assert (await wire.send(GET)).startswith("HTTP/1.1 500 ")
    assert (await wire.send(GET)).startswith("HTTP/1.1 500 ")


async def test_a_header_value_cannot_break_the_framing() -> None:
    async def split(request: Request) -> Response:
        return Response(headers={"a": "b\r\nset-cookie: c"})

    text = await Wire(split).send(GET)
    assert text.startswith("HTTP/1.1 500 ")
    assert "cookie" not in text


async def stream(count: int, ended: list[bool]) -> AsyncIterator[bytes]:
    try:
        for _ in range(count):
            yield b"piece"
            await asyncio.sleep(0)
    finally:
        ended.append(True)


async def test_streams_are_chunked_or_end_with_the_connection() -> None:
    ended: list[bool] = []

    async def streaming(request: Request) -> Response:
        return Response(body=stream(2, ended))

    text = await Wire(streaming).send(GET)
    assert "transfer-encoding: chunked" in text
    assert text.endswith("\r\n\r\n5\r\npiece\r\n5\r\npiece\r\n0\r\n\r\n")
    old = Wire(streaming)
    text = await old.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert text.endswith("connection: close\r\n\r\npiecepiece")
    assert old.transport.closed
    assert "piece" not in await Wire(streaming).send(b"HEAD / HTTP/1.1\r\n\r\n")
    assert ended == [True, True]


async def test_a_stream_waits_for_a_slow_reader_and_is_cut_off_when_it_stalls() -> None:
    ended: list[bool] = []

    async def streaming(request: Request) -> Response:
        return Response(body=stream(1000, ended))

    wire = Wire(streaming, Limits(stalled_seconds=60))
    wire.connection.pause_writing()
    first = await wire.send(GET)
    assert first.count("piece") == 1
    assert await wire.read() == ""
    wire.connection.resume_writing()
    assert await wire.read() != ""
    wire.connection.pause_writing()
    await wire.sweep(61)
    assert wire.transport.aborted
    wire.lose()
    await wire.read()
    assert ended == [True]


async def test_a_stream_ends_when_its_client_leaves_but_a_handler_finishes() -> None:
    ended: list[bool] = []

    async def endless(request: Request) -> Response:
        return Response(body=stream(10**9, ended))

    wire = Wire(endless)
    await wire.send(GET)
    wire.lose()
    await wire.read()
    assert ended == [True]

    gate, done = asyncio.Event(), []

    async def writes(request: Request) -> Response:
        await gate.wait()
        done.append(True)
        return Response()

    wire = Wire(writes)
    await wire.send(GET)
    wire.lose()
    gate.set()
    await wire.read()
    assert done == [True]


async def test_deadlines_idle_and_half_sent() -> None:
    idle = Wire(echo, Limits(idle_seconds=75, request_seconds=60))
    await idle.send(GET)
    assert await idle.sweep(74) == ""
    assert not idle.transport.closed
    await idle.sweep(2)
    assert idle.transport.closed
    slow = Wire(echo, Limits(request_seconds=60))
    await slow.send(GET[:10])
    assert (await slow.sweep(61)).startswith("HTTP/1.1 408 ")
    assert slow.transport.closed


async def test_one_connection_too_many_is_told_so() -> None:
    wire = Wire(echo, Limits(connections=0))
    assert (await wire.read()).startswith("HTTP/1.1 503 ")
    assert wire.transport.closed


async def shout(duplex: Duplex) -> None:
    while data := await duplex.read():
        await duplex.write(data.upper())


async def test_an_upgrade_hands_over_the_bytes_even_those_that_came_early() -> None:
    async def upgrade(request: Request) -> Response:
        return Response(101, {"connection": "Upgrade", "upgrade": "shout"}, upgrade=shout)

    wire = Wire(upgrade)
    text = await wire.send(b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nearly")
    assert text.startswith("HTTP/1.1 101 Switching Protocols\r\n")
    assert text.endswith("\r\n\r\nEARLY")
    assert await wire.send(b"late") == "LATE"
    wire.connection.eof_received()
    await wire.read()
    assert wire.transport.closed


async def test_an_upgrade_that_nobody_takes_changes_nothing() -> None:
    wire = Wire(echo)
    text = await wire.send(b"GET /1 HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")
    assert bodies(text) == ["GET /1 0", "GET /2 0"]


async def test_closing_lets_the_answer_under_way_finish() -> None:
    gate = asyncio.Event()

    async def gated(request: Request) -> Response:
        await gate.wait()
        return Response(body=b"done")

    wire = Wire(gated)
    await wire.send(GET)
    closing = asyncio.ensure_future(wire.server.close(grace=5))
    await wire.clock.settle()
    gate.set()
    text = await wire.read()
    assert bodies(text) == ["done"]
    assert "connection: close" in text
    wire.lose()
    await wire.clock.settle()
    assert closing.done()


async def test_closing_cuts_off_what_takes_longer_than_the_grace() -> None:
    async def never(request: Request) -> Response:
        await asyncio.Event().wait()
        return Response()

    wire = Wire(never)
    await wire.send(GET)
    closing = asyncio.ensure_future(wire.server.close(grace=5))
    await wire.clock.advance(6)
    assert closing.done()
    assert wire.transport.aborted


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_bring_the_connection_down(data: bytes) -> None:
    async def run() -> None:
        wire = Wire(echo, Limits(header_bytes=150, body_bytes=20))
        text = await wire.send(b"GET / HTTP/1.1\r\n" + data) + await wire.send(data)
        assert "500 Internal" not in text

    asyncio.run(run())
