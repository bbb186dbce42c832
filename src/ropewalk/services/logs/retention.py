"""Retention: what is past its group's days is deleted, and so is what belongs to no group any more."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.base.log import logger
from ropewalk.services.logs.slice import DAY, Logs

log = logger(__name__)

PERIOD = 300.0
"""Seconds between two rounds. AWS takes up to three days."""
AT_ONCE = 5_000
ORPHANED_AFTER = DAY
"""Events of a group that the store does not know are kept so long: a store restored to its past may learn of it."""


@dataclass(frozen=True, slots=True)
class Retention:
    """A Runnable."""

    logs: Logs
    name: str = "logs retention"

    async def run(self) -> None:
        while True:
            await self.round()
            await self.logs.clock.sleep(PERIOD)

    async def round(self) -> int:
        """Delete what is past its time; answers how many events."""
        logs = self.logs
        groups = list(await logs.groups.records())
        expired = 0
        for group in groups:
            if not group.retention_days:
                continue
            while count := await logs.journal.expire(group.uid, logs.oldest_kept(group), AT_ONCE):
                expired += count
        await logs.journal.forget(frozenset(group.uid for group in groups), logs.now() - ORPHANED_AFTER)
        if expired:
            log.info("log events past their retention deleted", events=expired)
        return expired
