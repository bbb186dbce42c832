"""Stop every task, with a reason: what `ropewalk down` asks before it takes the platform away."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from ropewalk.services.ecs import task_states
from ropewalk.services.ecs.index import ENDED
from ropewalk.services.ecs.records import Task, head_of
from ropewalk.services.ecs.slice import Ecs


def _stopped(task: Task, reason: str, now: float) -> Task | None:
    if task.desired == ENDED:
        return None
    return replace(task_states.stop(task, "UserInitiated", reason, now), version=task.version + 1)


async def stop_every_task(ecs: Ecs, reason: str) -> int:
    """Ask for the end of all tasks; answers how many have not yet reached it. Call again until none is left."""
    living = [key for key, head in ecs.task_heads.items() if head.status != ENDED]
    for key in living:
        task = await ecs.tasks.mutate(key, partial(_stopped, reason=reason, now=ecs.clock.wall()))
        if task is not None:
            ecs.index.note(key, head_of(task))
    return len(living)
