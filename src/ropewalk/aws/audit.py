"""Who did what: the last calls in memory, and a line each in the log.

Bounded. Reads that succeed are logged at debug level only; refusals and changes at info. Parameters are never kept:
they may hold secrets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ropewalk.base.log import logger

log = logger(__name__)

_READS = ("Describe", "List", "Get", "Filter", "Simulate", "Discover", "BatchGet", "Lookup")


@dataclass(frozen=True, slots=True)
class Audited:
    """One request, answered."""

    time: float
    """Wall time at which it was accepted."""
    request_id: str
    principal: str
    """ARN, or "" where nobody was recognised."""
    action: str
    """"ecs:RunTask", or "" where none was recognised."""
    source: str
    decision: str
    """"allowed", or the error's code."""
    status: int
    seconds: float


class AuditTrail:
    def __init__(self, capacity: int = 2048) -> None:
        self._ring: deque[Audited] = deque(maxlen=capacity)

    def record(self, entry: Audited) -> None:
        self._ring.append(entry)
        read = entry.action.partition(":")[2].startswith(_READS)
        emit = log.debug if read and entry.status < 400 else log.info
        emit(
            "call",
            action=entry.action or "?",
            principal=entry.principal or "?",
            decision=entry.decision,
            status=entry.status,
            ms=f"{entry.seconds * 1000:.1f}",
            request=entry.request_id,
        )

    def recent(self, limit: int = 100) -> Sequence[Audited]:
        """Newest first."""
        return tuple(entry for entry, _ in zip(reversed(self._ring), range(limit), strict=False))
