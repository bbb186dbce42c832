"""How much one listener takes from its clients before it says no."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    connections: int = 4096
    header_bytes: int = 64 * 1024
    """Request line and headers together."""
    header_count: int = 128
    body_bytes: int = 8 * MIB
    """Larger bodies are refused, read to their end and dropped, so that the client sees the answer."""
    pipelined: int = 32
    """Requests waiting on one connection before it is read no further."""
    idle_seconds: float = 75.0
    """A connection without a request is closed after this long."""
    request_seconds: float = 60.0
    """A request must have arrived whole this long after its first byte."""
    stalled_seconds: float = 60.0
    """A client that reads nothing of its answer for this long is cut off."""
    write_buffer_bytes: int = 256 * 1024
    """Bytes unsent at which a streaming response waits."""
