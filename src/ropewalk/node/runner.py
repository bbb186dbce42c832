"""One workload on this machine: its state, what is being done for it, and the journal between the two.

The loop is always the same: take every event, step the pure life cycle, make the new state durable, tell the session,
and begin the actions that are wanted and not under way. What must never be forgotten (that it was accepted, that it
stops, an exit, an attempt) is durable before anything is done about it; what a restart would find out again by
repeating idempotent calls is written while they run. Only what is durable is reported.

An action that finished without its event is wanted still and is begun again; one of a workload that began to stop is
cancelled only where that is safe (pulls, probes).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec
from msgspec.structs import replace

from ropewalk.base.clock import Clock
from ropewalk.base.log import logger
from ropewalk.model.status import ContainerPhase, WorkloadPhase, WorkloadStatus
from ropewalk.model.workload import Workload
from ropewalk.planning import lifecycle
from ropewalk.planning.lifecycle_records import (
    Action,
    Clean,
    Event,
    Exited,
    Launch,
    Prepare,
    Pull,
    RunHook,
    RunProbe,
    State,
    Stop,
    Tick,
    WriteFiles,
)

log = logger(__name__)

STATE_KEY = "workload/"
_CANCELLABLE = (Pull, RunHook, RunProbe)
_BEFORE_CLEAN = (Prepare, Launch, Stop, WriteFiles)
"""What must have settled before a workload is cleaned away, so that nothing is made behind the broom."""
RETRY_SECONDS = 1.0

Perform = Callable[["Runner", Action], Awaitable[None]]


class Runner:
    def __init__(
        self,
        state: State,
        *,
        now: Callable[[], float],
        clock: Clock,
        save: Callable[[str, bytes], Awaitable[None]],
        perform: Perform,
        changed: Callable[[Runner], None],
        last_words: Callable[[Workload, str, int, int], str],
    ) -> None:
        self.state = state
        self.durable: State | None = None
        """The newest state that the journal holds."""
        self._now = now
        self._clock = clock
        self._save = save
        self._perform = perform
        self._changed = changed
        self._last_words = last_words
        self._inbox: deque[Event] = deque()
        self._news = asyncio.Event()
        self._under_way: dict[Action, asyncio.Task[None]] = {}
        self._timer: asyncio.Task[None] | None = None
        self._timer_at = 0.0
        self._held = False
        self._writer: asyncio.Task[None] | None = None

    @property
    def uid(self) -> str:
        return self.state.workload.uid

    @property
    def stopped(self) -> bool:
        return self.state.phase is WorkloadPhase.STOPPED

    def status(self) -> WorkloadStatus | None:
        """What may be reported: only what the journal holds."""
        return None if self.durable is None else lifecycle.status(self.durable)

    def hold(self) -> None:
        """Begin nothing until `release`: what the runtime holds is not yet known."""
        self._held = True

    def release(self) -> None:
        if self._held:
            self._held = False
            self._news.set()

    def post(self, event: Event) -> None:
        """Hand in a fact. Never waits. To an exit belong the container's last words: they are read here."""
        if isinstance(event, Exited) and self.state.container(event.container) is not None:
            said = self._last_words(self.state.workload, event.container, event.attempt, event.exit_code)
            event = replace(event, message=said)
        self._inbox.append(event)
        self._news.set()

    async def run(self) -> None:
        """Until cancelled: a workload that is STOPPED waits here to be forgotten. Raises what the journal raised."""
        try:
            await self.settled()
            while True:
                if not self._held:
                    self._act()
                await self._news.wait()
                self._news.clear()
                if self._writer is not None and self._writer.done():
                    self._writer.result()
                await self._take()
        finally:
            for task in (*self._under_way.values(), self._timer, self._writer):
                if task is not None:
                    task.cancel()

    async def _take(self) -> None:
        before = self.state
        while self._inbox:
            self.state, _ = lifecycle.step(self.state, self._inbox.popleft(), self._now())
        if self.state == before:
            return
        if _must_not_be_forgotten(before, self.state):
            await self.settled()
        else:
            self._write_soon()

    async def settled(self) -> None:
        """Returns once the journal holds the present state. Raises what the journal raised."""
        while self.durable is not self.state:
            self._write_soon()
            assert self._writer is not None
            await self._writer

    def _write_soon(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        try:
            while self.durable is not self.state:
                state = self.state
                await self._save(STATE_KEY + state.workload.uid, msgspec.json.encode(state))
                fresh = self.durable is None or self.durable.sequence != state.sequence
                self.durable = state
                if fresh:
                    self._changed(self)
        finally:
            self._news.set()

    def _act(self) -> None:
        wanted = lifecycle.actions(self.state, self._now())
        for action, task in list(self._under_way.items()):
            if isinstance(action, _CANCELLABLE) and action not in wanted:
                task.cancel()
        for action in wanted:
            if action in self._under_way:
                continue
            if self._must_wait(action):
                continue
            self._under_way[action] = asyncio.get_running_loop().create_task(self._do(action))
        self._set_timer()

    def _must_wait(self, action: Action) -> bool:
        if isinstance(action, Clean):
            return any(isinstance(a, _BEFORE_CLEAN) for a in self._under_way)
        if isinstance(action, Stop):
            return any(isinstance(a, Launch) and a.container == action.container for a in self._under_way)
        return False

    async def _do(self, action: Action) -> None:
        try:
            await self._perform(self, action)
        except Exception:
            log.bug("an action failed in an unforeseen way", workload=self.uid, action=type(action).__name__)
            await self._clock.sleep(RETRY_SECONDS)
        finally:
            self._under_way.pop(action, None)
            self._news.set()

    def _set_timer(self) -> None:
        wake = lifecycle.wake_at(self.state, self._now())
        if self._timer is not None:
            if wake == self._timer_at and not self._timer.done():
                return
            self._timer.cancel()
            self._timer = None
        if wake is not None:
            self._timer_at = wake
            self._timer = asyncio.get_running_loop().create_task(self._tick(wake - self._now()))

    async def _tick(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self.post(Tick())


def _must_not_be_forgotten(before: State, after: State) -> bool:
    """Whether the change is one that could not be found out again."""
    if before.phase is not after.phase and after.ending:
        return True
    if before.workload is not after.workload or before.sandbox_attempt != after.sandbox_attempt:
        return True
    return any(
        one.attempt != other.attempt or (other.phase is ContainerPhase.EXITED and one.phase is not other.phase)
        for one, other in zip(before.containers, after.containers, strict=True)
    )
