"""`down` ends every task, once, and says how many are still on their way."""

from __future__ import annotations

from ropewalk.services.ecs.draining import stop_every_task
from support.ecs import world


async def test_every_task_is_asked_once_and_counted_until_it_has_ended() -> None:
    async with world() as w:
        await w.register()
        tasks = [task["taskArn"].rpartition("/")[2] for task in (await w.run_task(count=2))["tasks"]]
        await w.settle()
        await w.bring_up(tasks[0])
        assert await stop_every_task(w.ecs, "going down") == 2
        await w.settle()
        assert await stop_every_task(w.ecs, "another reason") == 1
        await w.follow_stop(tasks[0])
        assert await stop_every_task(w.ecs, "another reason") == 0
        for task in tasks:
            ended = await w.task(task)
            assert (ended["lastStatus"], ended["stopCode"], ended["stoppedReason"]) == (
                "STOPPED",
                "UserInitiated",
                "going down",
            )
