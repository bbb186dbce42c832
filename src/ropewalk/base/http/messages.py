"""What a handler sees of a request and gives as its answer.

Header names are lower case. A request's body has been read whole, up to the listener's limit (larger ones are refused
before a handler runs). A response's body is bytes, or an async iterator whose pieces are sent as chunks as they come.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of the connection."""

    address: str
    """IP address, or "" on a Unix socket."""
    port: int = 0
    listener: str = ""
    """Name of the listener that accepted it ("host", "vpc-…", "agents")."""
    certificate: bytes | None = None
    """The client's certificate in DER form, once verified."""
    uid: int | None = None
    """The peer process's user on a Unix socket."""


@dataclass(slots=True)
class Request:
    method: str
    target: str
    """As sent: raw path and query."""
    path: str
    """Raw (still percent-encoded) path."""
    query: str
    """Raw query, without its question mark."""
    headers: Mapping[str, str]
    """Repeated headers are joined by a comma."""
    body: bytes
    peer: Peer

    def header(self, name: str, default: str = "") -> str:
        return self.headers.get(name, default)


class Duplex(Protocol):
    """The bare connection after an upgrade: bytes both ways, with back-pressure."""

    async def read(self) -> bytes:
        """The next bytes, at least one; b"" once the peer has closed its side."""
        ...

    async def write(self, data: bytes) -> None:
        """Send, waiting while the peer reads slowly. Raises `ConnectionResetError` once it is gone."""
        ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Response:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""
    upgrade: Callable[[Duplex], Awaitable[None]] | None = None
    """With status 101: what takes the connection over once the head is sent. It is closed when this returns."""


Handler = Callable[[Request], Awaitable[Response]]


class Refusal(Enum):
    """Why a server turned a request away before its handler saw it: status and reason."""

    MALFORMED = (400, "Bad Request")
    TIMED_OUT = (408, "Request Timeout")
    BODY_TOO_LARGE = (413, "Content Too Large")
    HEADERS_TOO_LARGE = (431, "Request Header Fields Too Large")
    TOO_MANY_CONNECTIONS = (503, "Service Unavailable")


Refuse = Callable[[Refusal, Request | None], Response]
"""Words a refusal in the listener's own terms. The request is there, without its body, where its head was read."""


def plain_refusal(refusal: Refusal, request: Request | None) -> Response:
    status, reason = refusal.value
    return Response(status, {"content-type": "text/plain"}, f"{reason}\n".encode())
