"""Hooks: what a container wants done after its start and before its stop, done by the agent.

A hook before a stop runs once for each run of a container, however often its stop is asked for; a stop waits for it
within its own deadline. https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/
"""

from __future__ import annotations

import asyncio

from ropewalk.base.clock import Clock, Late, within
from ropewalk.model.workload import Hook as Wanted
from ropewalk.model.workload import HttpGet, Pause, RunCommand
from ropewalk.node.runtime import ExecTimeout, NoSuchContainer, Runtime, RuntimeFailure

LONGEST = 86_400.0
"""Seconds: a command has no time of its own to keep, only its container's."""
HTTP_TIMEOUT = 30.0


class Hooks:
    def __init__(self, runtime: Runtime, clock: Clock) -> None:
        self._runtime = runtime
        self._clock = clock
        self._before: dict[tuple[str, str], asyncio.Task[str]] = {}

    async def run(self, hook: Wanted, runtime_id: str) -> str:
        """Why it failed, or "". Raises `RuntimeUnavailable` and `NoSuchContainer`."""
        if isinstance(hook, Pause):
            await self._clock.sleep(hook.seconds)
            return ""
        if isinstance(hook, HttpGet):
            answer = await self._runtime.ask(runtime_id, hook, HTTP_TIMEOUT)
            return "" if answer.reached else answer.text
        return await self._command(hook, runtime_id)

    async def _command(self, hook: RunCommand, runtime_id: str) -> str:
        if not hook.command:
            return "invalid handler"
        try:
            result = await self._runtime.exec_sync(runtime_id, hook.command, LONGEST)
        except ExecTimeout as slow:
            return str(slow)
        if result.exit_code == 0:
            return ""
        output = (result.stdout + result.stderr).decode(errors="replace")
        return f"command '{' '.join(hook.command)}' exited with {result.exit_code}: {output}"

    async def before_stop(self, hook: Wanted, uid: str, runtime_id: str, seconds: float) -> str:
        """Run it, or wait for the one that runs, at most so long. Why it failed, or ""."""
        key = (uid, runtime_id)
        task = self._before.get(key)
        if task is None:
            task = self._before[key] = asyncio.ensure_future(self._guarded(hook, runtime_id))
        try:
            return await within(asyncio.shield(task), self._clock, seconds)
        except Late:
            return ""

    async def _guarded(self, hook: Wanted, runtime_id: str) -> str:
        try:
            return await self.run(hook, runtime_id)
        except NoSuchContainer:
            return ""  # it has ended meanwhile
        except RuntimeFailure as failed:
            return str(failed)

    def forget(self, uid: str) -> None:
        for key in [key for key in self._before if key[0] == uid]:
            self._before.pop(key).cancel()
