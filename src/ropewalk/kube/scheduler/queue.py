"""Pods that wait for a node: who is next, who waits out a back-off, and who waits for something to change.

Pure: time is given. As kube-scheduler's queue: the more important first, then the older; what was tried in vain is
tried again when a change could help it, not before its back-off of 1 s doubling to 10 s is over, and at the latest
after five minutes. https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/#queue-sort
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from ropewalk.planning.demands import Unit
from ropewalk.planning.hints import Change, Lacks, may_concern
from ropewalk.planning.sieve import Lack

FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 10.0
LONGEST_WAIT = 300.0


class State(Enum):
    ACTIVE = "active"
    BACKING_OFF = "backing off"
    WAITING = "waiting"
    """For a change that helps."""
    TRYING = "trying"


@dataclass(slots=True)
class Waiting:
    """One pod."""

    namespace: str
    name: str
    unit: Unit
    since: float
    state: State = State.ACTIVE
    lacks: Lacks = ()
    """Why it was refused last."""
    tries: int = 0
    tried: float = 0.0
    ticket: int = 0
    """Only the newest of its entries in the heaps counts."""

    @property
    def backs_off_until(self) -> float:
        if not self.tries:
            return 0.0
        return self.tried + min(FIRST_BACKOFF * 2.0 ** min(self.tries - 1, 10), LONGEST_BACKOFF)


class Queue:
    def __init__(self) -> None:
        self._pods: dict[str, Waiting] = {}
        self._active: list[tuple[int, float, int, str]] = []
        self._backing_off: list[tuple[float, int, str]] = []
        self._tickets = 0
        self._waiting: dict[Lack, dict[str, Waiting]] = {lack: {} for lack in Lack}
        """Those that wait for a change, by each of their reasons."""

    def __len__(self) -> int:
        return len(self._pods)

    def get(self, uid: str) -> Waiting | None:
        return self._pods.get(uid)

    def add(self, namespace: str, name: str, unit: Unit, now: float) -> None:
        """A new pod, or one that has changed so that it may fit now: tried as soon as its back-off allows."""
        found = self._pods.get(unit.id)
        if found is None:
            found = self._pods[unit.id] = Waiting(namespace, name, unit, now)
            self._activate(found)
            return
        found.unit = unit
        if found.state is State.ACTIVE:
            self._activate(found)  # its priority may be another
        elif found.state is State.WAITING:
            self._retry(found, now)

    def remove(self, uid: str) -> None:
        found = self._pods.pop(uid, None)
        if found is not None:
            self._waits_no_more(found)

    def pop(self, now: float) -> Waiting | None:
        """The next to try; give it back by `park`, or `remove` it."""
        self.tick(now)
        while self._active:
            _, _, ticket, uid = heapq.heappop(self._active)
            found = self._pods.get(uid)
            if found is not None and found.ticket == ticket and found.state is State.ACTIVE:
                found.state = State.TRYING
                found.tries += 1
                found.tried = now
                return found
        return None

    def park(self, uid: str, lacks: Lacks, now: float) -> None:
        """It was tried in vain. Without reasons something failed that may work the next time."""
        found = self._pods.get(uid)
        if found is None:
            return
        found.lacks = lacks
        found.tried = now
        if lacks:
            found.state = State.WAITING
            for lack, _ in lacks:
                self._waiting[lack][uid] = found
        else:
            self._retry(found, now)

    def wake(self, change: Change, helps: Callable[[Waiting], bool], now: float) -> bool:
        """Those that the change helps are tried again. Whether there are any."""
        concerned = {uid: found for lack in may_concern(change) for uid, found in self._waiting[lack].items()}
        woken = [found for found in concerned.values() if helps(found)]
        for found in woken:
            self._retry(found, now)
        return bool(woken)

    def tick(self, now: float) -> bool:
        """Whose back-off or longest wait is over is tried again. Whether anybody is to be tried."""
        while self._backing_off and self._backing_off[0][0] <= now:
            _, ticket, uid = heapq.heappop(self._backing_off)
            found = self._pods.get(uid)
            if found is not None and found.ticket == ticket and found.state is State.BACKING_OFF:
                self._activate(found)
        return bool(self._active)

    def wake_overdue(self, now: float) -> None:
        for found in list(self._pods.values()):
            if found.state is State.WAITING and now - found.tried >= LONGEST_WAIT:
                self._retry(found, now)

    def _waits_no_more(self, found: Waiting) -> None:
        for lack, _ in found.lacks:
            self._waiting[lack].pop(found.unit.id, None)

    def _retry(self, found: Waiting, now: float) -> None:
        self._waits_no_more(found)
        until = found.backs_off_until
        if until <= now:
            self._activate(found)
            return
        found.state = State.BACKING_OFF
        found.ticket = self._ticket()
        heapq.heappush(self._backing_off, (until, found.ticket, found.unit.id))

    def _activate(self, found: Waiting) -> None:
        found.state = State.ACTIVE
        found.ticket = self._ticket()
        heapq.heappush(self._active, (-found.unit.priority, found.since, found.ticket, found.unit.id))

    def _ticket(self) -> int:
        self._tickets += 1
        return self._tickets
