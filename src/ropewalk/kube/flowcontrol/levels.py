"""One priority level at work: its seats, its queues, and whose turn it is.

The order is that of Kubernetes' fair queuing for servers. A meter (`progress`) runs at the rate at which each busy
queue would be served if all of them shared the seats evenly. Every queue has the reading at which its next request
would start in that ideal world; the queue whose reading is lowest goes first. A request that starts moves its queue's
reading on by an estimate of its duration, and the difference is made good when it ends. A queue that was idle starts
from the meter, so nobody saves up turns, and nobody waits for ever. Other than Kubernetes', the meter never falls far
behind the lowest reading among those who wait: who used seats that nobody else wanted does not pay for them later.
https://github.com/kubernetes/enhancements/blob/master/keps/sig-api-machinery/1040-priority-and-fairness/README.md

Pure but for the state it keeps: time is given with every call, nothing here waits.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

ESTIMATED_SECONDS = 0.003
"""What a request is taken to last until it has ended."""
MEMORY_SECONDS = 1.0
"""Seat-seconds for which a queue that had more than its share pays at most."""


class Entry(Enum):
    """What became of a request that came."""

    SEATED = "seated"
    WAITING = "waiting"
    FULL = "queue-full"
    """Its queue is full, or there is none and every seat is taken."""


SEATED, WAITING, FULL = Entry  # a member is looked up slowly


class Queue:
    __slots__ = ("executing", "start", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Seat] = deque()
        self.executing = 0
        self.start = 0.0
        """The meter's reading at which its next request would start."""


class Seat:
    """One request's place: wanted, held, or given back. `Level.enter` fills it in."""

    __slots__ = ("arrived", "began", "holds", "queue")

    queue: Queue | None
    arrived: float
    """The meter's reading when it came; of one that waits."""
    began: float
    holds: bool

    def seated(self) -> None:
        """Called when its turn has come after a wait."""


@dataclass(frozen=True, slots=True)
class Demand:
    """How many seats were wanted over a while, taken or waited for."""

    peak: int
    average: float
    deviation: float


class Level:
    """`limit` is changed by `set_limit` as levels lend and borrow; None is a level without limit."""

    __slots__ = (
        "_active",
        "_area",
        "_backlog",
        "_entered",
        "_limit",
        "_peak",
        "_progress",
        "_since",
        "_squares",
        "_updated",
        "in_use",
        "name",
        "queue_limit",
        "queues",
        "refused",
        "waiting",
    )

    def __init__(self, name: str, now: float) -> None:
        self.name = name
        self.queues: list[Queue] = []
        self.queue_limit = 0
        self.in_use = 0
        self.waiting = 0
        self.refused = 0
        self._limit: float = math.inf
        self._active = 0
        """Queues that have a request, waiting or seated."""
        self._backlog: dict[Queue, None] = {}
        """Queues in which a request waits; equals take turns."""
        self._entered = 0
        self._progress = 0.0
        self._updated = now
        self._since = now
        self._area = 0.0
        self._squares = 0.0
        self._peak = 0

    @property
    def is_idle(self) -> bool:
        return not self.in_use and not self.waiting

    @property
    def limit(self) -> float:
        return self._limit

    def set_queues(self, count: int, queue_limit: int) -> None:
        """Queues that are too many take no further requests; those in them keep their turn."""
        self.queue_limit = queue_limit
        del self.queues[count:]
        self.queues.extend(Queue() for _ in range(count - len(self.queues)))

    def set_limit(self, limit: float, now: float) -> None:
        """At least one seat there always is: a level without shares is slow, never dead."""
        self._advance(self.in_use + self.waiting, now)
        self._limit = max(limit, 1)
        self._fill(now)

    # --- a request's way

    def enter(self, seat: Seat, hand: Sequence[Queue], now: float) -> Entry:
        """`hand`: the queues that its flow may use; none where the level has no queues."""
        demand = self.in_use + self.waiting
        if demand:
            self._advance(demand, now)
        else:
            self._updated = now
        if demand >= self._limit:
            if hand:
                return self._queue_up(seat, self._shortest(hand), now)
            self.refused += 1
            return FULL
        if hand:
            self._entered += 1
            seat.queue = queue = hand[self._entered % len(hand)]
            if not queue.executing:
                queue.start = self._progress
                self._active += 1
            elif queue.start < self._progress:
                queue.start = self._progress
            queue.executing += 1
            queue.start += ESTIMATED_SECONDS
        else:
            seat.queue = None
        seat.holds = True
        seat.began = now
        self.in_use += 1
        if demand >= self._peak:
            self._peak = demand + 1
        return SEATED

    def leave(self, seat: Seat, now: float) -> None:
        """Give the seat back: the next in turn takes it."""
        self._advance(self.in_use + self.waiting, now)
        seat.holds = False
        self.in_use -= 1
        queue = seat.queue
        if queue is not None:
            queue.executing -= 1
            if queue.executing or queue.waiting:
                queue.start += now - seat.began - ESTIMATED_SECONDS
                self._settle(queue)
            else:
                self._active -= 1  # when it is used again it starts from the meter
        if self.waiting:
            self._fill(now)

    def withdraw(self, seat: Seat, now: float) -> None:
        """It waits no longer."""
        self._advance(self.in_use + self.waiting, now)
        queue = seat.queue
        assert queue is not None
        queue.waiting.remove(seat)
        self.waiting -= 1
        if not queue.waiting:
            del self._backlog[queue]
        self._settle(queue)

    # --- inside

    def _shortest(self, hand: Sequence[Queue]) -> Queue:
        """From a card that changes with every request, so that flows with a card in common do not all begin at it."""
        self._entered += 1
        first = self._entered % len(hand)
        return min((*hand[first:], *hand[:first]), key=lambda queue: len(queue.waiting))

    def _queue_up(self, seat: Seat, queue: Queue, now: float) -> Entry:
        if len(queue.waiting) >= self.queue_limit:
            self.refused += 1
            return FULL
        if not queue.executing and not queue.waiting:
            queue.start = self._progress
            self._active += 1
        seat.queue = queue
        seat.holds = False
        seat.arrived = self._progress
        queue.waiting.append(seat)
        self._backlog.setdefault(queue)
        self.waiting += 1
        self._peak = max(self._peak, self.in_use + self.waiting)
        self._settle(queue)
        return WAITING

    def _fill(self, now: float) -> None:
        """Seat whoever's turn it is while there are seats."""
        while self.waiting and self.in_use < self._limit:
            queue = min(self._backlog, key=lambda found: found.start)
            self._progress = max(self._progress, queue.start - MEMORY_SECONDS)
            seat = queue.waiting.popleft()
            self.waiting -= 1
            del self._backlog[queue]
            if queue.waiting:
                self._backlog[queue] = None  # behind its equals
            queue.executing += 1
            queue.start += ESTIMATED_SECONDS
            self._settle(queue)
            self.in_use += 1
            seat.holds = True
            seat.began = now
            seat.seated()

    def _settle(self, queue: Queue) -> None:
        """No turn is saved up: a request never starts, in the ideal world, before it came."""
        if queue.waiting:
            queue.start = max(queue.start, queue.waiting[0].arrived)
        elif not queue.executing:
            self._active -= 1

    def _advance(self, demand: int, now: float) -> None:
        """`demand` is what it has been since the last call."""
        elapsed = now - self._updated
        self._updated = now
        area = demand * elapsed
        self._area += area
        self._squares += demand * area
        if self._active:
            self._progress += (area if demand <= self._limit else elapsed * self._limit) / self._active

    # --- what it was like

    def demand(self, now: float) -> Demand:
        """Since the last time that this was asked."""
        self._advance(self.in_use + self.waiting, now)
        lasted = now - self._since
        average = self._area / lasted if lasted > 0 else float(self.in_use + self.waiting)
        spread = self._squares / lasted - average * average if lasted > 0 else 0.0
        found = Demand(self._peak, average, math.sqrt(max(spread, 0.0)))
        self._since = now
        self._area = self._squares = 0.0
        self._peak = self.in_use + self.waiting
        return found

    def busy_queues(self) -> Iterator[tuple[int, Queue]]:
        """For people who look into it."""
        return ((index, queue) for index, queue in enumerate(self.queues) if queue.waiting or queue.executing)
