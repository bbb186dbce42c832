"""The scheduler: one pod after another from the queue onto the fleet, and what was decided out to the API.

Deciding never waits: a pod is taken, a node chosen and the pod assumed there in one step, as everything is at that
moment. Bindings, conditions and victims go out through workers beside it; what fails comes back to the queue. After
some milliseconds of deciding everybody else on the loop has a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ropewalk.base.clock import Clock
from ropewalk.base.errors import Retryable
from ropewalk.base.log import logger
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, metadata, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.recorder import Recorder
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.machinery.selectors import EVERYTHING, label_selector_of
from ropewalk.kube.scheduler import words
from ropewalk.kube.scheduler.applier import Applier, Plan, Rejected
from ropewalk.kube.scheduler.cluster import Cluster, is_preempted, wants_a_node
from ropewalk.kube.scheduler.lowering import spread_by_default
from ropewalk.kube.scheduler.queue import Queue, Waiting
from ropewalk.kube.scheduler.selecting import CONTROLLERS, SERVICES, DefaultSelectors
from ropewalk.kube.scheduler.telling import FAILED, PODS, UNSCHEDULABLE, Teller
from ropewalk.planning.choosing import Choice
from ropewalk.planning.demands import Unit
from ropewalk.planning.hints import Change, Lacks, helps
from ropewalk.planning.preempting import Budget, Victims, preempt
from ropewalk.planning.sieve import Lack

log = logger(__name__)

NODES = GroupResource("", "nodes")
NAMESPACES = GroupResource("", "namespaces")
BUDGETS = GroupResource("policy", "poddisruptionbudgets")
WORKERS = 32
"""Writes under way at once; the store gathers them into few commits."""
AHEAD = 512
"""Decisions that may wait to be written."""
TURN_SECONDS = 0.005
TICK_SECONDS = 1.0
OVERDUE_TICKS = 30

_NO_NODE: Lacks = ((Lack.NOT_READY, ""),)

Write = Callable[[], Awaitable[None]]


class Scheduler:
    """A `Runnable`. Leading anew it goes on with what it knows; decisions that were not written are made again."""

    name = "scheduler"

    def __init__(self, api: Api, recorder: Recorder, clock: Clock, seed: int) -> None:
        self._api = api
        self._recorder = recorder
        self._clock = clock
        self._seed = seed
        self.cluster = Cluster(seed, self)
        self.queue = Queue()
        self._applier = Applier(api, self.cluster, clock)
        self._teller = Teller(api, clock)
        self._selectors = DefaultSelectors(api)
        self._writes: asyncio.Queue[Write] = asyncio.Queue(AHEAD)
        self._news = asyncio.Event()
        self._making_room: dict[str, set[str]] = {}
        """Victims that are still to go, by the uid of whom they make room for."""
        self._follows = False

    async def run(self) -> None:
        await self._follow()
        self._writes = asyncio.Queue(AHEAD)
        self._making_room.clear()
        for uid in self.cluster.forget_assumed():
            self._again(uid, ())
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick(), name="scheduler tick")
            for number in range(WORKERS):
                group.create_task(self._write(), name=f"scheduler writer {number}")
            group.create_task(self._decide(), name="scheduler decisions")

    async def _follow(self) -> None:
        for resource in (NODES, NAMESPACES, PODS, BUDGETS, SERVICES, *CONTROLLERS.values()):
            await self._api.cache(resource).synced()
        if not self._follows:
            self._follows = True
            self._api.cache(NODES).on_change(self.cluster.node_changed)
            self._api.cache(NAMESPACES).on_change(self.cluster.namespace_changed)
            self._api.cache(PODS).on_change(self.cluster.pod_changed)

    # --- the cluster's Listener

    def wanted(self, unit: Unit, pod: Object) -> None:
        self.queue.add(namespace_of(pod), name_of(pod), unit, self._clock.monotonic())
        self._news.set()

    def gone(self, uid: str) -> None:
        self.queue.remove(uid)
        self._making_room.pop(uid, None)
        for victims in self._making_room.values():
            victims.discard(uid)

    def changed(self, change: Change) -> None:
        matches = self.cluster.fleet.roll.matches
        now = self._clock.monotonic()
        if self.queue.wake(change, lambda found: helps(found.unit, found.lacks, change, matches), now):
            self._news.set()

    # --- deciding

    async def _tick(self) -> None:
        ticks = 0
        while True:
            await self._clock.sleep(TICK_SECONDS)
            ticks += 1
            now = self._clock.monotonic()
            if ticks % OVERDUE_TICKS == 0:
                self.queue.wake_overdue(now)
            if self.queue.tick(now):
                self._news.set()

    async def _decide(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            turn_began = self._clock.monotonic()
            while (found := self.queue.pop(self._clock.monotonic())) is not None:
                try:
                    write = self._try(found)
                except Exception:
                    log.bug("a pod could not be scheduled", pod=f"{found.namespace}/{found.name}")
                    self._again(found.unit.id, ())
                    write = None
                if write is not None:
                    await self._writes.put(write)
                if self._clock.monotonic() - turn_began > TURN_SECONDS:
                    await asyncio.sleep(0)
                    turn_began = self._clock.monotonic()

    def _try(self, found: Waiting) -> Write | None:
        """Decide; what is to be written of it."""
        pod = self._api.cache(PODS).get(found.namespace, found.name)
        if pod is None or uid_of(pod) != found.unit.id or not wants_a_node(pod):
            self.queue.remove(found.unit.id)
            return None
        if not len(self.cluster.fleet):
            return self._refuse(pod, found, (), words.NO_NODES, None)
        selector = self._selectors.of(pod)
        unit = found.unit if selector == EVERYTHING else spread_by_default(found.unit, pod, selector)
        choice = self.cluster.planner.choose(unit)
        if choice.machine is None:
            return self._unplaced(pod, found, choice)
        node = choice.machine
        self.cluster.assume(unit, node)
        plan = Plan(unit, found.namespace, found.name, node, self.cluster.foreign)
        return lambda: self._bind(plan, pod)

    def _unplaced(self, pod: Object, found: Waiting, choice: Choice) -> Write:
        unit, planner = choice.unit, self.cluster.planner
        tally = choice.sieve.tally()
        nodes = len(self.cluster.fleet)
        conflict = unit.only is not None and not unit.only
        victims, why = self._room_for(choice)
        message = words.no_fit(nodes, tally, why, conflict=conflict)
        if victims is None:
            takes_back = "" if why and why != words.UNDER_WAY and planner.nomination(unit.id) else None
            if takes_back == "":
                planner.withdraw(unit.id)
            return self._refuse(pod, found, tuple(tally), message, takes_back)
        displaced = [
            other for other in planner.nominees_on(victims.machine) if other.priority < unit.priority
        ]  # fmt: skip
        for other in displaced:
            planner.withdraw(other.id)
        planner.nominate(unit, victims.machine)
        self._making_room[unit.id] = {victim.id for victim in victims.units}
        tell = self._refuse(pod, found, tuple(tally), message, victims.machine)

        async def make_room() -> None:
            try:
                await tell()
            finally:  # whoever wrote the pod's status meanwhile, room is wanted all the same
                await self._make_room(pod, victims, displaced)

        return make_room

    def _room_for(self, choice: Choice) -> tuple[Victims | None, str]:
        """Whom to stop; or why nobody is."""
        unit = choice.unit
        if not unit.preempts:
            return None, words.NEVER
        if self._is_room_being_made(unit):
            return None, words.UNDER_WAY
        outcome = preempt(self.cluster.planner, unit, choice.sieve, self._budgets(), self._seed)
        if outcome.victims is None:
            return None, words.no_preemption(len(self.cluster.fleet), outcome)
        return outcome.victims, ""

    def _is_room_being_made(self, unit: Unit) -> bool:
        if self._making_room.get(unit.id):
            return True
        node = self.cluster.planner.nomination(unit.id)
        for other in self.cluster.fleet.units_on(node) if node else ():
            named = self.cluster.name_of(other.id)
            if other.leaving and other.priority < unit.priority and named is not None:
                there = self._api.cache(PODS).get(*named)
                if there is not None and is_preempted(there):
                    return True
        return False

    def _budgets(self) -> list[Budget]:
        pods = self._api.cache(PODS)
        found = []
        for budget in self._api.cache(BUDGETS).all():
            selector = label_selector_of(at(budget, "spec", "selector"))
            if selector == EVERYTHING:
                continue
            namespace = namespace_of(budget)
            charged = (pods.get(namespace, name) for name in at(budget, "status", "disruptedPods") or ())
            allowed = int(at(budget, "status", "disruptionsAllowed") or 0)
            found.append(Budget(namespace, selector, allowed, frozenset(uid_of(pod) for pod in charged if pod)))
        return found

    def _refuse(
        self,
        pod: Object,
        found: Waiting,
        lacks: Lacks,
        message: str,
        nominated: str | None,
    ) -> Write:
        self._again(found.unit.id, lacks or _NO_NODE)
        self._recorder.record(pod, "FailedScheduling", words.shortened(message), warning=True)
        return lambda: self._teller.tell_unscheduled(pod, UNSCHEDULABLE, message, nominated)

    def _again(self, uid: str, lacks: Lacks) -> None:
        """Try it again: when something changes that helps, or without reasons after its back-off."""
        self.queue.park(uid, lacks, self._clock.monotonic())
        self._news.set()

    # --- writing

    async def _write(self) -> None:
        while True:
            write = await self._writes.get()
            try:
                await write()
            except (StatusFault, Retryable) as fault:
                log.debug("scheduler's word was not written", reason=fault)
            except Exception:
                log.bug("scheduler's word could not be written")

    async def _bind(self, plan: Plan, pod: Object) -> None:
        try:
            await self._applier.commit(plan)
        except Exception as failed:
            if isinstance(failed, Rejected):
                log.debug("a pod was not bound", pod=f"{plan.namespace}/{plan.name}", reason=failed)
            else:
                log.bug("a pod could not be bound", pod=f"{plan.namespace}/{plan.name}")
            await self._unbound(plan, pod, str(failed))
            return
        text = f"Successfully assigned {plan.namespace}/{plan.name} to {plan.node}"
        self._recorder.record(pod, "Scheduled", text)

    async def _unbound(self, plan: Plan, pod: Object, why: str) -> None:
        uid = plan.unit.id
        if self.cluster.assumed.get(uid) != plan.node:
            return  # it is gone, or bound: by us after all, or by somebody else
        self.cluster.unassume(uid)
        self._again(uid, ())
        self._recorder.record(pod, "FailedScheduling", words.shortened(why), warning=True)
        await self._teller.tell_unscheduled(pod, FAILED, why, None)

    async def _make_room(self, preemptor: Object, victims: Victims, displaced: list[Unit]) -> None:
        pods = self._api.cache(PODS)
        try:
            for other in displaced:
                named = self.cluster.name_of(other.id)
                if named is not None and (there := pods.get(*named)) is not None:
                    await self._teller.take_back_nomination(there)
            for unit in victims.units:
                named = self.cluster.name_of(unit.id)
                victim = None if named is None else pods.get(*named)
                if victim is None or uid_of(victim) != unit.id or metadata(victim).get("deletionTimestamp"):
                    continue
                await self._teller.stop(victim, preemptor)
                text = f"Preempted by pod {uid_of(preemptor)} on node {victims.machine}"
                self._recorder.record(victim, "Preempted", text)
        except BaseException:
            self._making_room.pop(uid_of(preemptor), None)
            self._again(uid_of(preemptor), ())
            raise
