"""What other slices may ask of this one: `LogGroupReader` of model/readers.py."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.services.logs.slice import Logs, may_be_group


@dataclass(frozen=True, slots=True)
class GroupReader:
    logs: Logs

    async def log_group_exists(self, name: str) -> bool:
        return may_be_group(name) and await self.logs.groups.get(name) is not None
