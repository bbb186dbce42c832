"""What a handler sees of a request and gives as its answer.

Header names are lower case. A request's body has been read whole, up to the listener's limit (larger ones are refused
before a handler runs). A response's body is bytes, or an async iterator whose pieces are sent as chunks as they come.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field


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


@dataclass(slots=True)
class Response:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""


Handler = Callable[[Request], Awaitable[Response]]
