"""Priority and fairness as a step of the front: classifies a request, and gives it a seat, a wait or a refusal.

The configuration is read from the caches of FlowSchemas and PriorityLevelConfigurations, anew after each change, with
the objects that must exist taken as read while they are missing. Every ten seconds seats are divided anew among the
levels by what each has needed (`sharing`). A watch holds its seat until it has begun; other long connections hold none.
The usual case (a seat is free) is a few additions: no task, no lock, nothing awaited.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Iterator, Mapping
from types import TracebackType

from ropewalk.base.clock import Clock
from ropewalk.kube.flowcontrol import matching, sharing
from ropewalk.kube.flowcontrol.configuration import Configuration, read
from ropewalk.kube.flowcontrol.dealing import flow_hash, hand
from ropewalk.kube.flowcontrol.levels import FULL, SEATED, Level, Queue, Seat
from ropewalk.kube.flowcontrol.matching import FlowSchema
from ropewalk.kube.flowcontrol.retrying import Refusals
from ropewalk.kube.flowcontrol.sharing import Bounds, Need
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.api import Api, ObjectChange
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.requests import Attributes
from ropewalk.kube.machinery.resources import GroupResource

FLOW_SCHEMAS = GroupResource("flowcontrol.apiserver.k8s.io", "flowschemas")
PRIORITY_LEVELS = GroupResource("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations")
SEATS = 600
"""400 for reads and 200 for writes: kube-apiserver's --max-requests-inflight and --max-mutating-requests-inflight."""
DIVIDE_SECONDS = 10.0
LONGEST_WAIT = 15.0
"""A quarter of the time in which a request is answered, as in kube-apiserver."""
MAX_FLOWS = 8192
"""Classifications that are remembered; then all are made anew."""
REFUSAL = "Too many requests, please try again later."
SCHEMA_HEADER = "x-kubernetes-pf-flowschema-uid"
LEVEL_HEADER = "x-kubernetes-pf-prioritylevel-uid"


class Flow:
    """What is known of all requests that are alike."""

    __slots__ = ("hand", "headers", "level", "level_name", "schema_name")

    def __init__(self, schema: FlowSchema, level: Level, level_uid: str, cards: tuple[Queue, ...]) -> None:
        self.schema_name = schema.name
        self.level_name = level.name
        self.level = level
        self.hand = cards
        self.headers: Mapping[str, str] = {SCHEMA_HEADER: schema.uid, LEVEL_HEADER: level_uid}
        """Of the answer."""


class Turn(Seat):
    """One request's turn; an asynchronous context manager. `flow` is None where nothing is counted."""

    __slots__ = ("_control", "_woken", "flow")

    _woken: asyncio.Future[None]
    """Of one that waits."""

    def __init__(self, control: PriorityAndFairness, flow: Flow | None) -> None:
        self.flow = flow
        self._control = control

    @property
    def headers(self) -> Mapping[str, str]:
        return {} if self.flow is None else self.flow.headers

    async def __aenter__(self) -> Turn:
        flow = self.flow
        if flow is None:
            return self
        control = self._control
        entry = flow.level.enter(self, flow.hand, control.now())
        if entry is SEATED:
            return self
        if entry is FULL:
            raise control.refusal(flow)
        await self._wait(flow)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.flow is not None:
            self.flow.level.leave(self, self._control.now())

    async def _wait(self, flow: Flow) -> None:
        self._woken = asyncio.get_running_loop().create_future()
        self._control.waits(self)
        try:
            await self._woken
        except asyncio.CancelledError:
            now = self._control.now()
            if self.holds:
                flow.level.leave(self, now)
            elif not self._woken.done() or self._woken.cancelled():
                flow.level.withdraw(self, now)
            raise
        if not self.holds:
            raise self._control.refusal(flow)

    # --- what the level and the clock say

    @property
    def is_over(self) -> bool:
        return self._woken.done()

    def seated(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)

    def expire(self, now: float) -> None:
        """It has waited long enough: turned away."""
        if self.flow is not None and not self._woken.done():
            self.flow.level.withdraw(self, now)
            self._woken.set_result(None)


class PriorityAndFairness:
    """The front's `FlowControl`. A `Runnable`: while it runs it follows the configuration and divides seats."""

    name = "priority and fairness"

    def __init__(self, api: Api, clock: Clock, *, seats: int = SEATS) -> None:
        self.now = clock.monotonic
        self._clock = clock
        self._api = api
        self._seats = seats
        self._follows = False
        self._stale = False
        self._levels: dict[str, Level] = {}
        self._leaving: frozenset[str] = frozenset()
        self._bounds: dict[str, Bounds] = {}
        self._needs: dict[str, Need] = {}
        self._refusals: dict[str, Refusals] = {}
        self._flows: dict[tuple[object, ...], Flow] = {}
        self._waiting: deque[tuple[float, Turn]] = deque()
        self._reaper: asyncio.Task[None] | None = None
        self._uncounted = Turn(self, None)
        self._configuration = read((), ())
        self._apply(self._configuration)

    # --- the step

    def turn(self, attributes: Attributes, *, long_running: bool) -> Turn:
        if long_running and attributes.verb != "watch":
            return self._uncounted
        return Turn(self, self.flow(attributes))

    def flow(self, attributes: Attributes) -> Flow:
        """Where a request belongs."""
        if self._stale:
            self._reread()
        user = attributes.user
        key: tuple[object, ...]
        if attributes.resource:
            key = (
                user.name,
                user.groups,
                attributes.verb,
                attributes.group,
                attributes.resource,
                attributes.subresource,
                attributes.namespace,
            )
        else:
            key = (user.name, user.groups, attributes.verb, attributes.path)
        found = self._flows.get(key)
        if found is None:
            if len(self._flows) >= MAX_FLOWS:
                self._flows.clear()
            found = self._flows[key] = self._classified(attributes)
        return found

    def _classified(self, attributes: Attributes) -> Flow:
        schema = matching.first(self._configuration.schemas, attributes)
        level = self._levels[schema.level]
        setting = self._configuration.levels[schema.level]
        cards: tuple[Queue, ...] = ()
        if level.queues:
            hashed = flow_hash(schema.name, schema.flow(attributes))
            cards = tuple(level.queues[card] for card in hand(hashed, len(level.queues), setting.hand_size))
        return Flow(schema, level, setting.uid, cards)

    def refusal(self, flow: Flow) -> StatusFault:
        after = self._refusals.setdefault(flow.level_name, Refusals()).note(self._clock.wall())
        fault = errors.too_many_requests(REFUSAL, after)
        fault.headers = {**fault.headers, **flow.headers}
        return fault

    # --- waiting

    def waits(self, turn: Turn) -> None:
        """Turn it away if its turn has not come in time."""
        while self._waiting and self._waiting[0][1].is_over:
            self._waiting.popleft()
        self._waiting.append((self.now() + LONGEST_WAIT, turn))
        if self._reaper is None:
            self._reaper = asyncio.get_running_loop().create_task(self._reap(), name="requests that wait")

    async def _reap(self) -> None:
        try:
            while self._waiting:
                deadline, turn = self._waiting[0]
                now = self.now()
                if not turn.is_over and deadline > now:
                    await self._clock.sleep(deadline - now)
                    continue
                self._waiting.popleft()
                turn.expire(now)
        finally:
            self._reaper = None

    # --- configuration

    async def run(self) -> None:
        if not self._follows:
            self._follows = True
            for resource in (PRIORITY_LEVELS, FLOW_SCHEMAS):
                self._api.cache(resource).on_change(self._observe)
        while True:
            await self._clock.sleep(DIVIDE_SECONDS)
            if self._stale:
                self._reread()
            self._divide()

    def _observe(self, change: ObjectChange) -> None:
        if change.old is not None and change.new is not None and change.old.get("spec") == change.new.get("spec"):
            return
        self._stale = True
        if self._waiting:
            self._reread()  # a change may let those go who wait

    def _reread(self) -> None:
        self._stale = False
        levels, schemas = (self._api.cache(resource).all() for resource in (PRIORITY_LEVELS, FLOW_SCHEMAS))
        self._apply(read(levels, schemas))

    def _apply(self, configuration: Configuration) -> None:
        """Levels that are no more keep their seats until the last of their requests is through."""
        now = self.now()
        leaving = {
            name: setting
            for name, setting in self._configuration.levels.items()
            if name not in configuration.levels and name in self._levels and not self._levels[name].is_idle
        }
        self._leaving = frozenset(leaving)
        settings = {**configuration.levels, **leaving}
        self._configuration = Configuration(settings, configuration.schemas)
        self._flows.clear()
        self._bounds = sharing.bounds({name: setting.shares for name, setting in settings.items()}, self._seats)
        levels: dict[str, Level] = {}
        for name, setting in settings.items():
            level = self._levels.get(name)
            if level is None:
                level = Level(name, now)
                level.set_limit(self._bounds[name].initial, now)
            level.set_queues(setting.queues, setting.queue_limit)
            levels[name] = level
        self._levels = levels
        self._needs = {name: need for name, need in self._needs.items() if name in levels}
        self._divide(measured=False)

    def _divide(self, *, measured: bool = True) -> None:
        now = self.now()
        if measured:
            self._needs = {
                name: self._needs.get(name, Need()).after(level.demand(now)) for name, level in self._levels.items()
            }
            if any(self._levels[name].is_idle for name in self._leaving):
                self._stale = True
        for name, seats in sharing.divide(self._bounds, self._needs).items():
            self._levels[name].set_limit(math.inf if self._bounds[name].exempt else seats, now)

    # --- for people and programs that look

    def levels(self) -> Iterator[tuple[Level, Bounds]]:
        return ((level, self._bounds[name]) for name, level in self._levels.items())
