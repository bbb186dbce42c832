"""Pulls of one image by many workloads at once, done as few.

ECS asks the registry about a tag whenever a container starts, and so does this. But eight tasks that start together
need not ask eight times: who asks while a pull of the same image runs shares the one that begins after it, which sees
everything that the registry was told before they asked.

May not know what an image is for. A pull that nobody waits for any more goes on: what it fetched is used by the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ropewalk.model.workload import Workload
from ropewalk.node.runtime import ImageInfo, RegistryAuth

AT_ONCE = 4

Pull = Callable[[str, RegistryAuth | None], Awaitable[ImageInfo]]
_Key = tuple[str, RegistryAuth | None]


class Pulls:
    """Whoever may see an image by other credentials pulls it on their own."""

    def __init__(self, pull: Pull, at_once: int = AT_ONCE) -> None:
        self._pull = pull
        self._slots = asyncio.Semaphore(at_once)
        self._begun: dict[_Key, asyncio.Task[ImageInfo]] = {}
        self._waiting: dict[_Key, asyncio.Task[ImageInfo]] = {}

    async def pull(self, reference: str, auth: RegistryAuth | None) -> ImageInfo:
        """The image as its registry has it at some moment after this call. Raises what the pull raises."""
        key = (reference, auth)
        task = self._waiting.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._run(key, self._begun.get(key)))
            self._waiting[key] = task
            task.add_done_callback(_look_at)
        return await asyncio.shield(task)

    async def _run(self, key: _Key, before: asyncio.Task[ImageInfo] | None) -> ImageInfo:
        if before is not None:
            await asyncio.wait((before,))
        async with self._slots:
            task = self._begun[key] = self._waiting.pop(key)
            try:
                return await self._pull(*key)
            finally:
                if self._begun.get(key) is task:
                    del self._begun[key]


def _look_at(task: asyncio.Task[ImageInfo]) -> None:
    """A failure that nobody waited for is no bug."""
    if not task.cancelled():
        task.exception()


def login_for(workload: Workload, image: str) -> RegistryAuth | None:
    """The workload's own login for an image: the one with the longest name that the image's begins with."""
    host, slash, path = image.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, path = "docker.io", image if slash else f"library/{image}"
    name = f"{host}/{path}"
    fitting = [each for each in workload.logins if name == each.registry or name.startswith(each.registry + "/")]
    if not fitting:
        return None
    best = max(fitting, key=lambda each: len(each.registry))
    return RegistryAuth(best.username, best.password, best.identity_token)
