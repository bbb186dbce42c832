"""As which role an agent writes a container's lines, and whether it may write them there at all.

The workload's record says both; an agent's own word counts for nothing. Records of stopped tasks go at once while their
last lines are still on the way, so what a record said is remembered for a while.
"""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.agents.mirror import WorkloadMirror
from ropewalk.base.errors import Fault
from ropewalk.model.agent import LogBatch
from ropewalk.model.workload import LogRoute, Workload

REMEMBERED = 10_000
"""Containers whose records may be gone."""


@dataclass(frozen=True, slots=True)
class _Writer:
    route: LogRoute
    role_arn: str


class LogWriters:
    def __init__(self, mirror: WorkloadMirror) -> None:
        self._mirror = mirror
        self._known: dict[tuple[str, str, str], _Writer] = {}

    async def role(self, batch: LogBatch) -> str | None:
        """The ARN of the role as which these lines are written; "" where the record names none, None where nothing is
        known of the workload any more. Raises `Fault` where its record sends no lines of the container there.
        """
        key = (batch.machine, batch.workload, batch.container)
        held = self._mirror.get(batch.machine, batch.workload)
        if held is None and key not in self._known:
            held = await self._mirror.refresh(batch.machine, batch.workload)
        writer = self._known.pop(key, None) if held is None else _writer(held.workload, batch.container)
        if writer is None:
            return None
        self._known.pop(key, None)
        self._known[key] = writer
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]
        named = (batch.group, batch.stream, batch.create_group, batch.credentials)
        route = writer.route
        if named != (route.group, route.stream, route.create_group, route.credentials):
            raise _not_there(batch)
        return writer.role_arn


def _writer(workload: Workload, name: str) -> _Writer:
    route = next((c.log for c in workload.containers if c.name == name), None)
    if route is None:
        # No route equals what any batch names: it is refused as one that goes elsewhere.
        return _Writer(LogRoute("", ""), "")
    role = next((c.role_arn for c in workload.credentials if c.name == route.credentials), None)
    if route.credentials and role is None:
        raise Fault("AccessDeniedException", f"workload {workload.uid} has no credential {route.credentials}")
    return _Writer(route, role or "")


def _not_there(batch: LogBatch) -> Fault:
    where = f"stream {batch.stream} of group {batch.group}"
    return Fault("AccessDeniedException", f"container {batch.container} of {batch.workload} does not write to {where}")
