"""Ends every task on the installation's behalf: what `ropewalk down` asks before its machines go.

Idempotent: called again, it asks whatever has been started since, and answers how many have not ended yet.
"""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from ropewalk.services.ecs import task_states
from ropewalk.services.ecs.index import ENDED
from ropewalk.services.ecs.records import Task, head_of
from ropewalk.services.ecs.slice import Ecs


async def stop_every_task(ecs: Ecs, reason: str) -> int:
    """Ask every task to stop, for `reason`. Answers how many are not STOPPED yet."""
    heads = [(key, ecs.index.get(key) or head) for key, head in ecs.task_heads.items()]
    left = [(key, head) for key, head in heads if head.status != ENDED]
    await asyncio.gather(*(_stop(ecs, key, reason) for key, head in left if head.desired == "RUNNING"))
    return len(left)


async def _stop(ecs: Ecs, task_id: str, reason: str) -> None:
    def stop(task: Task) -> Task | None:
        if task.desired == "STOPPED":
            return None
        stopped = task_states.stop(task, "UserInitiated", reason, ecs.clock.wall())
        return replace(stopped, version=task.version + 1)

    task = await ecs.tasks.mutate(task_id, stop)
    if task is not None:
        ecs.index.note(task_id, head_of(task))
