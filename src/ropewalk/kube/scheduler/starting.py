"""The scheduler's start: not before there is something to schedule, since an idle cluster should not pay for numpy.

What a scheduler imports takes a tenth of a second and ten megabytes. A cluster without pods waits here; where a nursery
has imported it for all (`load`), it costs neither.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.machinery.api import Api, Metadata
from ropewalk.kube.machinery.recorder import Recorder
from ropewalk.kube.machinery.resources import GroupResource

if TYPE_CHECKING:
    from ropewalk.kube.scheduler.scheduler import Scheduler

PODS = GroupResource("", "pods")
SCHEDULER = "default-scheduler"
"""Pods that name another are none of ours."""


def load() -> type[Scheduler]:
    """Import it. Its linear algebra, of which we use none, would start a thread a core."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from ropewalk.kube.scheduler.scheduler import Scheduler

    return Scheduler


class LateScheduler:
    """A `Runnable`."""

    name = "scheduler"

    def __init__(self, api: Api, recorder: Recorder, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._recorder = recorder
        self._clock = clock
        self._entropy = entropy
        self._scheduler: Scheduler | None = None

    async def run(self) -> None:
        if self._scheduler is None:
            await self._first_pod()
            made = await asyncio.to_thread(load)
            self._scheduler = made(self._api, self._recorder, self._clock, int(self._entropy.hex(12), 16))
        await self._scheduler.run()

    async def _first_pod(self) -> None:
        there = asyncio.Event()

        def look(namespace: str, name: str, found: Metadata | None) -> None:
            there.set()

        self._api.cache(PODS).on_metadata(look)
        await there.wait()
