"""What other slices may ask of this one: `LogGroupReader` of model/readers.py."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.services.logs.slice import Logs


@dataclass(frozen=True, slots=True)
class GroupReader:
    logs: Logs

    async def log_group_exists(self, name: str) -> bool:
        return await self.logs.groups.get(name) is not None
