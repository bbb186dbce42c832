"""Keeps runnables running: one that ends or raises is logged and started again, later each time. Only `Retryable` is no
bug.

A part of the control plane never dies silently and never takes the others with it. Only cancellation of the supervisor
itself ends a runnable for good. What a runnable did long ago is forgiven: the delay starts over once it has run well
for a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.runtime.controller import Runnable

log = logger(__name__)

FIRST_DELAY = 0.1
LONGEST_DELAY = 30.0
FORGIVEN_AFTER = 60.0


@dataclass(slots=True)
class Health:
    """How one runnable fares."""

    running: bool = False
    restarts: int = 0
    last_failure: str = ""
    """Empty where it never failed."""


class Supervisor:
    """See the module. `health` is what `status` shows."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.health: dict[str, Health] = {}

    async def run(self, runnables: Sequence[Runnable]) -> None:
        """Run all until cancelled; then cancel each and wait for its end."""
        names = [runnable.name for runnable in runnables]
        if len(set(names)) != len(names):
            raise ValueError(f"runnables need names of their own: {sorted(names)}")
        if not runnables:
            await asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as group:
            for runnable in runnables:
                group.create_task(self.keep(runnable), name=runnable.name)

    async def keep(self, runnable: Runnable) -> None:
        """Keep one running until cancelled."""
        health = self.health.setdefault(runnable.name, Health())
        delay = FIRST_DELAY
        while True:
            started = self._clock.monotonic()
            health.running = True
            try:
                await runnable.run()
                health.last_failure = "it ended by itself"
                log.error("runnable ended by itself, will start again", name=runnable.name, delay=delay)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                health.last_failure = "it was cancelled from inside"
                log.error("runnable was cancelled from inside, will start again", name=runnable.name, delay=delay)
            except Retryable as wait:  # the store is away, say: nobody's mistake
                health.last_failure = wait.reason
                log.warning("runnable has to wait, will start again", name=runnable.name, why=wait.reason, delay=delay)
            except Exception as error:
                health.last_failure = f"{type(error).__name__}: {error}"
                log.bug("runnable failed, will start again", name=runnable.name, delay=delay)
            finally:
                health.running = False
            if self._clock.monotonic() - started >= FORGIVEN_AFTER:
                delay = FIRST_DELAY
            await self._clock.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)
            health.restarts += 1
