"""What the gateway needs of the control plane it stands in: wired by the daemon."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from ropewalk.model.agent import FabricDown, LogBatch, LogReceipt


class LogSink(Protocol):
    """Offered by the logs slice."""

    async def append(self, batch: LogBatch) -> LogReceipt: ...


class FabricSource(Protocol):
    """Offered by the ec2 slice."""

    def watch(self, host: str) -> AsyncIterator[FabricDown]:
        """A whole fabric first, then changes, forever."""
        ...
