"""Exits as containerd's own event stream tells them, a few milliseconds after they happen (CRI's status lags behind).

One stream feeds everything: `Exits` keeps the last exits seen, so that a status asked right after an event already says
EXITED, and hands events on. A subscription counts as standing only once an event of our own has come back through it:
whoever looks at the containers after that has missed nothing.

Whether an exit 137 was the memory limit's doing is told by the container's own cgroup while it is still there: it
counts the kernel's kills. Once it is gone there is only containerd's out-of-memory event, which may come a moment after
the exit, and comes to every container of a workload whose common limit was met.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.log import logger
from ropewalk.node.cri._generated import events_pb2 as events
from ropewalk.node.cri.client import CallFailed
from ropewalk.node.cri.states import KILLED
from ropewalk.node.runtime import ContainerExited, EventsLost, RuntimeEvent, RuntimeUnavailable

log = logger(__name__)

_HELLO = "/ropewalk/hello"
_AGAIN = 0.2
_LATE_WITNESS = 0.15
"""Seconds to wait for the out-of-memory event of a container that was killed."""


class Source(Protocol):
    def subscribe(self, *filters: str) -> AsyncIterator[events.Envelope]: ...

    async def publish(self, topic: str) -> None: ...


class Exits:
    """`out_of_memory_kills(id)` reads the container's cgroup (None: it is gone); `is_sandbox(id)` tells a sandbox."""

    def __init__(
        self,
        source: Source,
        clock: Clock,
        entropy: Entropy,
        out_of_memory_kills: Callable[[str], int | None],
        is_sandbox: Callable[[str], bool],
    ) -> None:
        self._source = source
        self._clock = clock
        self._entropy = entropy
        self._kills = out_of_memory_kills
        self._is_sandbox = is_sandbox
        self._starved: set[str] = set()
        self._unexplained: set[str] = set()
        self.seen: dict[str, ContainerExited] = {}
        self.killed_by_us: set[str] = set()

    def forget(self, container: str) -> None:
        self.seen.pop(container, None)
        self.killed_by_us.discard(container)
        self._starved.discard(container)
        self._unexplained.discard(container)

    async def stream(self) -> AsyncIterator[RuntimeEvent]:
        """For ever: `EventsLost` whenever a subscription has begun to stand, then exits."""
        while True:
            queue: asyncio.Queue[RuntimeEvent | None] = asyncio.Queue()
            reader = asyncio.create_task(self._read(queue))
            try:
                while (event := await queue.get()) is not None:
                    yield event
            finally:
                reader.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reader
            await self._clock.sleep(_AGAIN)

    async def _read(self, queue: asyncio.Queue[RuntimeEvent | None]) -> None:
        hello = f"{_HELLO}/{self._entropy.hex(16)}"
        waits: set[asyncio.Task[None]] = set()
        greeter = asyncio.create_task(self._greet(hello))
        try:
            async for envelope in self._source.subscribe('topic~="/tasks/(exit|oom)"', f'topic=="{hello}"'):
                if envelope.topic == hello:
                    if not greeter.done():
                        greeter.cancel()
                        queue.put_nowait(EventsLost())
                    continue
                if (event := self._exit_of(envelope)) is None:
                    continue
                if self._undecided(event):
                    waits.add(task := asyncio.create_task(self._tell_late(event, queue)))
                    task.add_done_callback(waits.discard)
                else:
                    queue.put_nowait(event)
        except (RuntimeUnavailable, CallFailed) as failure:
            log.info("containerd's events broke off", failure=failure)
        except Exception:
            log.bug("reading containerd's events met a bug")
        finally:
            greeter.cancel()
            for task in waits:
                task.cancel()
            queue.put_nowait(None)

    async def _greet(self, topic: str) -> None:
        """Publish our own event until it has come back."""
        while True:
            with contextlib.suppress(RuntimeUnavailable, CallFailed):
                await self._source.publish(topic)
            await self._clock.sleep(0.02)

    def _exit_of(self, envelope: events.Envelope) -> ContainerExited | None:
        if envelope.topic.endswith("/oom"):
            starved = events.TaskOOM.FromString(envelope.event.value)
            self._starved.add(starved.container_id)
            return None
        exit_ = events.TaskExit.FromString(envelope.event.value)
        if exit_.id != exit_.container_id or self._is_sandbox(exit_.id):
            return None  # a process run inside by exec, or a sandbox's own
        finished_at = exit_.exited_at.seconds + exit_.exited_at.nanos / 1e9
        kills = self._kills(exit_.id) if exit_.exit_status == KILLED else 0
        if kills is None:
            self._unexplained.add(exit_.id)
        out_of_memory = exit_.exit_status == KILLED and exit_.id not in self.killed_by_us and bool(kills)
        event = ContainerExited(exit_.id, exit_.exit_status, finished_at, out_of_memory)
        self.seen[exit_.id] = event
        return event

    def _undecided(self, event: ContainerExited) -> bool:
        return event.id in self._unexplained and event.id not in self.killed_by_us

    async def _tell_late(self, event: ContainerExited, queue: asyncio.Queue[RuntimeEvent | None]) -> None:
        if event.id not in self._starved:
            await self._clock.sleep(_LATE_WITNESS)
        self._unexplained.discard(event.id)
        if event.id in self._starved:
            event = ContainerExited(event.id, event.exit_code, event.finished_at, True)
            if event.id in self.seen:
                self.seen[event.id] = event
        queue.put_nowait(event)
