"""Steps that the live runtime tests share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ropewalk.model.workload import Container, Workload
from ropewalk.node.cri.runtime import CriRuntime
from ropewalk.node.runtime import ContainerExited, ContainerSetup, EventsLost
from support.containers import Machine
from support.workloads import container, workload

SLEEP = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done")


def shell(script: str, name: str = "app", **fields: object) -> Container:
    return container(name, image="busybox:latest", command=("sh", "-c", script), **fields)


class Up:
    """A workload brought up container by container."""

    def __init__(self, machine: Machine, runtime: CriRuntime, *containers: Container, uid: str = "w", **fields: object):
        self.machine = machine
        self.runtime = runtime
        self.workload: Workload = workload(uid, *containers, **fields)
        self.sandbox = ""
        self.ids: dict[str, str] = {}

    @property
    def logs(self) -> str:
        return str(self.machine.home / "logs" / self.workload.uid)

    async def create(self, volumes: Mapping[str, str] | None = None) -> Up:
        box = await self.runtime.create_sandbox(self.workload, self.logs)
        self.sandbox = box.id
        for spec in self.workload.containers:
            image = await self.runtime.image(spec.image) or await self.runtime.pull(spec.image, None)
            setup = ContainerSetup(log_path=f"{spec.name}.log", volumes=volumes or {})
            self.ids[spec.name] = await self.runtime.create_container(
                self.sandbox, self.workload, spec, image, 0, setup
            )
        return self

    async def start(self) -> Up:
        await self.create()
        for identity in self.ids.values():
            await self.runtime.start(identity)
        return self

    def log(self, name: str = "app") -> str:
        """The texts of its log lines."""
        with open(f"{self.logs}/{name}.log") as file:
            return "".join(line.split(" ", 3)[3] for line in file)


class Watch:
    """A runtime's events, gathered in the background."""

    def __init__(self, runtime: CriRuntime) -> None:
        self._runtime = runtime
        self._exits: dict[str, ContainerExited] = {}
        self._changed = asyncio.Event()
        self.standing = asyncio.Event()
        self.breaks = 0

    async def __aenter__(self) -> Watch:
        self._task = asyncio.create_task(self._gather())
        await asyncio.wait_for(self.standing.wait(), 10)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _gather(self) -> None:
        async for event in self._runtime.events():
            if isinstance(event, EventsLost):
                self.breaks += 1
                self.standing.set()
            else:
                self._exits[event.id] = event
            self._changed.set()

    async def exit_of(self, identity: str, seconds: float = 15.0) -> ContainerExited:
        async with asyncio.timeout(seconds):
            while identity not in self._exits:
                self._changed.clear()
                await self._changed.wait()
        return self._exits[identity]

    async def next_break(self, after: int, seconds: float = 15.0) -> None:
        async with asyncio.timeout(seconds):
            while self.breaks <= after:
                self._changed.clear()
                await self._changed.wait()
