"""What the gateway needs of the control plane it stands in: wired by the daemon."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from ropewalk.model.agent import FabricDown, LogBatch, LogReceipt


class LogSink(Protocol):
    """Offered by the logs slice."""

    async def append(self, batch: LogBatch, role_arn: str | None) -> LogReceipt:
        """Take the lines as written by this role: "" for a workload that writes as its machine, None where nothing is
        known of the workload any more. A batch without lines opens the stream. A refusal is told, never raised.
        """
        ...


class FabricSource(Protocol):
    """Offered by the ec2 slice."""

    def watch(self, host: str) -> AsyncIterator[FabricDown]:
        """A whole fabric first, then changes, forever."""
        ...
