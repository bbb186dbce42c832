"""What a client's protocol gives to the rest: the two shapes of a conversation, whatever carries them.

`channels.py` (WebSocket) and `spdy_streams.py` (SPDY) implement them; `remote_command.py` and `port_forward.py` stand
on them and know neither.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol, Union

from ropewalk.kube.machinery.objects import Object

MAX_RESIZE_TEXT = 4096


class ClientGone(Exception):
    """The client left, or broke its protocol: nothing more can be said to it."""


@dataclass(frozen=True, slots=True)
class Typed:
    data: bytes


@dataclass(frozen=True, slots=True)
class InputEnded:
    """No more input; output goes on."""


@dataclass(frozen=True, slots=True)
class Resized:
    width: int
    height: int


ClientEvent = Union[Typed, InputEnded, Resized]


class CommandClient(Protocol):
    """The client of an exec or attach."""

    async def receive(self) -> ClientEvent | None:
        """What it says next; None once it is gone."""
        ...

    async def write(self, data: bytes, *, error: bool) -> None:
        """Output, waiting while it reads slowly. Raises `ClientGone`."""
        ...

    async def finish(self, status: Object) -> None:
        """Tell how it ended, in the form the protocol's version has for it, and end. Raises `ClientGone`."""
        ...


class ForwardedConnection(Protocol):
    """One connection that the client wants forwarded."""

    @property
    def port(self) -> int: ...

    async def read(self) -> bytes:
        """b"" at the end of what the client sends."""
        ...

    async def write(self, data: bytes) -> None:
        """Raises `ClientGone`."""
        ...

    async def fail(self, message: str) -> None:
        """It could not be forwarded, or broke. Raises `ClientGone`."""
        ...

    async def close(self) -> None:
        """Nothing more will be written. Raises `ClientGone`."""
        ...


class ForwardClient(Protocol):
    """The client of a port-forward."""

    def connections(self) -> AsyncIterator[ForwardedConnection]:
        """As they are asked for; ends once the client is gone."""
        ...


class SizeReader:
    """Terminal sizes out of a stream of JSON documents: `{"Width":80,"Height":24}`, one after the other."""

    def __init__(self) -> None:
        self._text = ""
        self._decoder = json.JSONDecoder()

    def feed(self, data: bytes) -> list[Resized]:
        """What is no size is dropped, as the kubelet does: a terminal of the wrong size is better than none."""
        self._text += data.decode(errors="replace")
        found: list[Resized] = []
        while text := self._text.lstrip():
            try:
                document, end = self._decoder.raw_decode(text)
            except ValueError:
                self._text = text if len(text) <= MAX_RESIZE_TEXT else ""
                return found
            except RecursionError:
                text, end, document = "", 0, None
            self._text = text[end:]
            size = _size(document)
            if size is not None:
                found.append(size)
        self._text = ""
        return found


def _size(document: object) -> Resized | None:
    if not isinstance(document, dict):
        return None
    named = {str(key).lower(): value for key, value in document.items()}
    width, height = named.get("width"), named.get("height")
    if type(width) is not int or type(height) is not int or not (0 <= width < 1 << 16 and 0 <= height < 1 << 16):
        return None
    return Resized(width, height)
