"""Holds workloads to their storage: measures at an interval what each has written, and stops one that has too much.

Stopped rather than refused its writes (ENOSPC): that would need a file system with project quotas, which a machine may
not have; docs/decisions/0011 weighs the two. Between two looks a workload may go beyond its limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ropewalk.base.clock import Clock
from ropewalk.base.log import logger
from ropewalk.node.disk_use import DiskUse
from ropewalk.node.folders import Folders
from ropewalk.node.runner import Runner
from ropewalk.node.runtime import Runtime, RuntimeFailure
from ropewalk.planning import lifecycle_records as words
from ropewalk.planning import storage

log = logger(__name__)

STORAGE_INTERVAL = 10.0
"""Seconds between two looks: the kubelet's eviction monitoring period. containerd measures layers as often."""
ENTRIES_A_LOOK = 20_000
"""Files of one folder that one look counts; a folder with more is counted over several."""


class StorageWatch:
    """A `Runnable`. `runners` are the machine's workloads now."""

    name = "agent-storage"

    def __init__(
        self, *, runtime: Runtime, clock: Clock, folders: Folders, runners: Callable[[], Iterable[Runner]]
    ) -> None:
        self._runtime = runtime
        self._clock = clock
        self._folders = folders
        self._runners = runners
        self._uses: dict[str, dict[Path, DiskUse]] = {}
        """By workload: only of those that are watched."""

    async def run(self) -> None:
        while True:
            await self._clock.sleep(STORAGE_INTERVAL)
            await self.look()

    async def look(self) -> None:
        """Measure every workload that has a limit, once."""
        watched = [runner for runner in self._runners() if _is_watched(runner)]
        self._uses = {runner.uid: self._uses.get(runner.uid, {}) for runner in watched}
        if not watched:
            return
        try:
            layers = {sample.id: sample.writable_bytes for sample in await self._runtime.stats()}
        except RuntimeFailure as away:
            log.debug("storage could not be measured", reason=away)
            return
        states = [runner.state for runner in watched]
        if self._folders.real:
            usages = await asyncio.to_thread(lambda: [self._usage(state, layers) for state in states])
        else:
            usages = [storage.Usage(_written(state, layers)) for state in states]
        for runner, usage in zip(watched, usages, strict=True):
            if reason := storage.excess(runner.state.workload, usage):
                log.warning("a workload is stopped for its storage", workload=runner.uid, reason=reason)
                runner.post(words.StorageExceeded(reason))

    def _usage(self, state: words.State, layers: Mapping[str, int]) -> storage.Usage:
        workload = state.workload
        volumes = self._folders.volumes(workload)
        return storage.Usage(
            layers=_written(state, layers),
            logs=self._used(workload.uid, Path(self._folders.logs(workload.uid))),
            volumes={
                volume.name: self._used(workload.uid, Path(volumes[volume.name]))
                for volume in workload.volumes
                if volume.kind == "scratch"
            },
        )

    def _used(self, uid: str, folder: Path) -> int:
        use = self._uses[uid].setdefault(folder, DiskUse(folder))
        use.step(ENTRIES_A_LOOK)
        return use.used


def _written(state: words.State, layers: Mapping[str, int]) -> int:
    return sum(layers.get(container.runtime_id, 0) for container in state.containers)


def _is_watched(runner: Runner) -> bool:
    state = runner.state
    return bool(state.sandbox) and not state.ending and storage.limited(state.workload)
