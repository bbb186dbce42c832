"""An HTTP/1.1 request over a port inside a workload: head out, response in, its body as it comes.

For `proxy.py`. Parsing is httptools'. One connection a request: the port's stream ends with the response.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import httptools

from ropewalk.base.http.messages import Duplex
from ropewalk.kube.streams.agent_streams import AgentPort, PortFailed

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 200


class BadAnswer(Exception):
    """What came back is no HTTP response."""


@dataclass(slots=True)
class Head:
    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)


def request_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Answer:
    """A response under way: the head first, then an async iterator of its body. Closing it ends the stream."""

    def __init__(self, port: AgentPort, stack: AsyncExitStack, *, bodiless: bool) -> None:
        self._port = port
        self._stack = stack
        self._bodiless = bodiless
        self._parser = httptools.HttpResponseParser(self)
        self._head_bytes = 0
        self._pairs: list[tuple[str, str]] = []
        self._head_done = False
        self._done = False
        self._pieces: deque[bytes] = deque()
        self._rest = b""
        self._upgraded = False

    # --- the parser's callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_done:
            self._pairs.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() // 100 == 1 and self._parser.get_status_code() != 101:
            self._pairs.clear()  # a 100 Continue: the answer itself follows
            return
        self._head_done = True
        self._done = self._bodiless

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        self._done = self._done or self._head_done

    # --- reading

    async def head(self) -> Head:
        """Raises `BadAnswer`, `PortFailed`."""
        while not self._head_done:
            data = await self._port.read()
            if not data:
                raise BadAnswer("EOF")
            self._head_bytes += len(data)
            self._feed(data)
            if not self._head_done and (self._head_bytes > MAX_HEAD_BYTES or len(self._pairs) > MAX_HEADERS):
                raise BadAnswer("the response's headers are too large")
        return Head(self._parser.get_status_code(), self._pairs)

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded = True
            self._rest = data[upgrade.args[0] :]
        except httptools.HttpParserError as broken:
            if not self._done:
                raise BadAnswer(f"malformed HTTP response: {broken}") from broken

    def __aiter__(self) -> Answer:
        return self

    async def __anext__(self) -> bytes:
        try:
            while not self._pieces and not self._done:
                data = await self._port.read()
                if not data:  # a body without a length ends with its connection
                    break
                self._feed(data)
        except (BadAnswer, PortFailed):
            await self.aclose()
            raise ConnectionResetError("the backend broke off its response") from None
        if self._pieces and not self._bodiless:
            return self._pieces.popleft()
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self._done = True
        self._pieces.clear()
        await self._stack.aclose()

    def splice(self, serve: Callable[[Duplex, AgentPort], Awaitable[None]]) -> Callable[[Duplex], Awaitable[None]]:
        """After a 101: what joins the client's connection with the backend's."""

        async def joined(client: Duplex) -> None:
            try:
                if self._rest:
                    await client.write(self._rest)
                await serve(client, self._port)
            finally:
                await self.aclose()

        return joined
