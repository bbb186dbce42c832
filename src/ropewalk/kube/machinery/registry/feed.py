"""What happens to one resource's objects, told once and shared: the source of every client's watch and every cache.

One watch of the store a resource, however many clients look on. An event is opened, peeked into and encoded at most
once per form; subscribers hold references to it. The last events stay in a window, so that a client who resumes joins
without asking the store; one who resumes from before the window catches up from the store's own history first.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import aclosing

from ropewalk.base.clock import Clock
from ropewalk.base.log import logger
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.registry import codec
from ropewalk.kube.machinery.registry.storage import Storage
from ropewalk.runtime.supervisor import Supervisor
from ropewalk.store.protocol import Compacted, Event, EventKind, Revision, StoreClosed

log = logger(__name__)

WINDOW = 4096
"""Events of one resource kept for those who resume."""
BACKLOG = 8192
"""Events that a subscriber may have waiting; a slower one is cut off, and resumes by itself."""
BOOKMARK_SECONDS = 60.0
LAST_BOOKMARK_SECONDS = 2.0
"""Before a watch times out it is told once more where it stands."""
TICK_SECONDS = 1.0
MANY = 32
"""Watchers of one resource, from which on events are gathered before they are given out: for as long as the last ones
took to be given out. So half of the time goes into that at most, however many events and watchers there are.
"""
LONGEST_GATHERED = 0.1


class FeedEvent:
    """One write, as watchers see it."""

    __slots__ = ("_decoded", "_labels", "_previous_labels", "key", "lines", "previous", "revision", "value")

    def __init__(self, key: str, value: bytes | None, previous: bytes | None, revision: int) -> None:
        self.key = key
        self.value = value
        """None where the object was deleted."""
        self.previous = previous
        """None where it was created."""
        self.revision = revision
        self.lines: dict[object, bytes] = {}
        """Encodings made so far, by form."""
        self._labels: dict[str, str] | None = None
        self._previous_labels: dict[str, str] | None = None
        self._decoded: dict[bool, Object] = {}

    def labels(self, *, previous: bool) -> dict[str, str]:
        found = self._previous_labels if previous else self._labels
        if found is None:
            value = self.previous if previous else self.value
            found = {} if value is None else codec.peek(value).labels or {}
            if previous:
                self._previous_labels = found
            else:
                self._labels = found
        return found

    def decoded(self, *, previous: bool, api_version: str, kind: str) -> Object:
        """Shared: never changed. The previous state carries this event's revision, as a DELETED event shows it."""
        found = self._decoded.get(previous)
        if found is None:
            value = self.previous if previous else self.value
            assert value is not None
            found = self._decoded[previous] = codec.decode(value, self.revision, api_version, kind)
        return found


Listener = Callable[[FeedEvent], None]


class Subscription:
    """One client's watch: events under its prefix that it has not taken yet."""

    __slots__ = (
        "_taken",
        "_waiter",
        "bookmark_due",
        "cursor",
        "deadline",
        "ended",
        "last_bookmark",
        "oldest",
        "pending",
        "prefix",
        "wants_bookmarks",
    )

    def __init__(self, prefix: str, deadline: float, *, wants_bookmarks: bool, now: float) -> None:
        self.prefix = prefix
        self.pending: list[FeedEvent] = []
        self.cursor = 0
        """It has been given every event up to here that is its business."""
        self.deadline = deadline
        self.wants_bookmarks = wants_bookmarks
        self.last_bookmark = now
        self.bookmark_due = False
        self.ended = False
        """Timed out, too slow, or the server stops: close the stream; the client comes back."""
        self.oldest: int | None = None
        """Where what it wants to resume from is gone: the oldest revision from which one may."""
        self._waiter: asyncio.Future[None] | None = None
        self._taken: asyncio.Future[None] | None = None

    def push(self, event: FeedEvent) -> None:
        """Give it the event if that is its business. Once it has missed one it gets no other: a client resumes from the
        last it saw.
        """
        if event.revision <= self.cursor or self.ended:
            return
        if event.key.startswith(self.prefix):
            if len(self.pending) >= BACKLOG:
                self.ended = True
            else:
                self.pending.append(event)
            self.wake()
        self.cursor = event.revision

    def give(self, events: list[FeedEvent], own: list[FeedEvent]) -> None:
        """`push` each of `events`; `own` are those under its prefix, sorted out once for all who share one."""
        if self.ended or self.cursor >= events[0].revision or len(self.pending) + len(own) > BACKLOG:
            for event in events:
                self.push(event)
            return
        self.cursor = events[-1].revision
        if own:
            self.pending += own
            self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def batch(self) -> list[FeedEvent]:
        """What has come since the last call; empty where a bookmark is due or the watch is over."""
        while not (self.pending or self.bookmark_due or self.ended or self.oldest is not None):
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        taken, self.pending = self.pending, []
        if self._taken is not None and not self._taken.done():
            self._taken.set_result(None)
        return taken

    @property
    def is_full(self) -> bool:
        """Somebody waits for it to take what it has."""
        return self._taken is not None

    async def taken(self) -> None:
        """Return once what is pending has been taken."""
        self._taken = asyncio.get_running_loop().create_future()
        try:
            await self._taken
        finally:
            self._taken = None


class Feed:
    """The events of one resource. A `Runnable`; `Feeds` runs it."""

    def __init__(self, storage: Storage, prefix: str, clock: Clock) -> None:
        self.name = f"feed {prefix}"
        self.prefix = prefix
        self.revision = int(storage.revision)
        """Every event up to here has been told."""
        self._storage = storage
        self._start = self.revision
        """The window holds every event after this."""
        self._window: deque[FeedEvent] = deque()
        self._subscriptions: set[Subscription] = set()
        self._listeners: list[Listener] = []
        self._relist: list[Callable[[], None]] = []
        self._catching_up: dict[Subscription, asyncio.Task[None]] = {}
        self._clock = clock
        self._gathered: list[FeedEvent] = []
        self.pieces: dict[object, bytes] = {}
        """What watchers made of the events given out last, for others who see them alike."""
        self._gathering: asyncio.Task[None] | None = None
        self._closed = False
        self.is_watching = False
        """The store is being watched; False before, and between a failure and the next try."""

    # --- for caches

    def listen(self, listener: Listener, lost: Callable[[], None]) -> None:
        """Call `listener` for every event from now on; `lost` where some were missed and all must be read anew."""
        self._listeners.append(listener)
        self._relist.append(lost)

    # --- for watches

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        return (*self._subscriptions, *self._catching_up)

    @property
    def catching_up(self) -> tuple[Subscription, ...]:
        return tuple(self._catching_up)

    def is_catching_up(self, subscription: Subscription) -> bool:
        return subscription in self._catching_up

    def subscribe(self, subscription: Subscription, after: int) -> None:
        """Give it every event after `after`, in order."""
        subscription.cursor = max(subscription.cursor, after)
        if self._closed:
            subscription.ended = True
        elif after >= self._start:
            for event in self._window:
                if event.revision > after:
                    subscription.push(event)
            self._subscriptions.add(subscription)
        else:
            task = asyncio.create_task(self._catch_up(subscription, after), name=f"{self.name} catching up")
            self._catching_up[subscription] = task

    def unsubscribe(self, subscription: Subscription) -> None:
        self._subscriptions.discard(subscription)
        task = self._catching_up.pop(subscription, None)
        if task is not None:
            task.cancel()

    def join(self, subscriptions: Iterable[Subscription], reached: int) -> None:
        """These have caught up with all that the store held at `reached`: they go on from the window."""
        for subscription in subscriptions:
            task = self._catching_up.pop(subscription, None)
            if task is not None:
                task.cancel()
                self.subscribe(subscription, max(subscription.cursor, reached))

    async def _catch_up(self, subscription: Subscription, after: int) -> None:
        """From the store's history, until an event that the window has as well (or `join`); then from the window."""
        try:
            async with aclosing(self._storage.store.watch(self.prefix, Revision(after))) as events:
                async for event in events:
                    subscription.push(self._opened(event))
                    if subscription.ended or self._start <= event.revision <= self.revision:
                        break
                    if len(subscription.pending) >= BACKLOG // 2:
                        await subscription.taken()
            del self._catching_up[subscription]
            if not subscription.ended:
                self.subscribe(subscription, subscription.cursor)
        except Compacted as gone:
            subscription.oldest = gone.oldest - 1
        except StoreClosed:
            subscription.ended = True
        finally:
            subscription.wake()

    # --- running

    async def run(self) -> None:
        while True:
            try:
                async with aclosing(self._storage.store.watch(self.prefix, Revision(self.revision))) as events:
                    self.is_watching = True
                    async for event in events:
                        self._tell(self._opened(event))
            except Compacted as gone:
                log.warning("feed fell behind, beginning anew", feed=self.prefix, oldest=gone.oldest)
                self._begin_anew(int(self._storage.revision))
            finally:
                self.is_watching = False

    def _opened(self, event: Event) -> FeedEvent:
        value = None if event.kind is EventKind.DELETE else self._storage.opened(event.key, event.value)
        previous = None if event.previous is None else self._storage.opened(event.key, event.previous)
        return FeedEvent(event.key, value, previous, int(event.revision))

    def _tell(self, event: FeedEvent) -> None:
        self.revision = event.revision
        self._window.append(event)
        if len(self._window) > WINDOW:
            self._start = self._window.popleft().revision
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                log.bug("listener failed", feed=self.prefix, key=event.key)
        self._gathered.append(event)
        if len(self._subscriptions) < MANY:
            self.give_out()
        elif self._gathering is None:
            self._gathering = asyncio.create_task(self._gather(), name=f"{self.name} gathering")

    async def _gather(self) -> None:
        """Until there is nothing to give out."""
        while self._gathered:
            began = self._clock.monotonic()
            self.give_out()
            await asyncio.sleep(0)  # behind all who were woken
            await self._clock.sleep(min(self._clock.monotonic() - began, LONGEST_GATHERED))
        self._gathering = None

    def give_out(self) -> None:
        """Let watches have what was gathered for them: once for many events, since waking them is what takes long."""
        if not self._gathered:
            return
        events, self._gathered = self._gathered, []
        self.pieces.clear()
        by_prefix: dict[str, list[FeedEvent]] = {}
        for subscription in self._subscriptions:
            prefix = subscription.prefix
            own = by_prefix.get(prefix)
            if own is None:
                own = by_prefix[prefix] = [event for event in events if event.key.startswith(prefix)]
            subscription.give(events, own)

    def _begin_anew(self, revision: int) -> None:
        self.revision = self._start = revision
        self._window.clear()
        self._gathered.clear()
        for subscription in self._subscriptions:
            subscription.oldest = revision
            subscription.wake()
        self._subscriptions.clear()
        for lost in self._relist:
            lost()

    def close(self) -> None:
        self._closed = True
        if self._gathering is not None:
            self._gathering.cancel()
        for subscription in self.subscriptions:
            subscription.ended = True
            subscription.wake()


class Feeds:
    """All feeds of a server, each begun at its first use. A `Runnable`: bookmarks and time-outs are its ticks."""

    name = "feeds"

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self._feeds: dict[str, Feed] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._supervisor = Supervisor(clock)

    def feed(self, prefix: str) -> Feed:
        found = self._feeds.get(prefix)
        if found is None:
            found = self._feeds[prefix] = Feed(self._storage, prefix, self._clock)
            self._tasks[prefix] = asyncio.create_task(self._supervisor.keep(found), name=found.name)
        return found

    def drop(self, prefix: str) -> None:
        """The resource is served no more: end its watches."""
        feed = self._feeds.pop(prefix, None)
        if feed is not None:
            feed.close()
            self._tasks.pop(prefix).cancel()

    async def settled(self, feed: Feed) -> int:
        """A revision up to which `feed` has told everything: for bookmarks and reads not older than a revision."""
        if not self._storage.store.watches_keep_up:
            feed.give_out()
            return feed.revision
        revision = int(self._storage.revision)
        for _ in range(3):  # the feed's turn to take what was committed, and the loop's to have given it that turn
            await asyncio.sleep(0)
        feed.give_out()
        return max(revision, feed.revision) if feed.is_watching else feed.revision

    async def run(self) -> None:
        while True:
            await self._clock.sleep(TICK_SECONDS)
            for feed in tuple(self._feeds.values()):
                await self._join(feed)
                now = self._clock.monotonic()
                for subscription in feed.subscriptions:
                    _tick(subscription, now)
                    if subscription.ended:
                        feed.unsubscribe(subscription)

    async def _join(self, feed: Feed) -> None:
        """A quiet resource has no event to meet at: whoever has caught up with all of the store joins all the same."""
        waiting = [subscription for subscription in feed.catching_up if not subscription.is_full]
        if waiting and self._storage.store.watches_keep_up:
            reached = await self.settled(feed)
            if feed.is_watching:
                feed.join((subscription for subscription in waiting if not subscription.is_full), reached)

    def close(self) -> None:
        for feed in self._feeds.values():
            feed.close()
        for task in self._tasks.values():
            task.cancel()


def _tick(subscription: Subscription, now: float) -> None:
    due = now - subscription.last_bookmark >= BOOKMARK_SECONDS or (
        subscription.deadline - now <= LAST_BOOKMARK_SECONDS
        and now - subscription.last_bookmark > LAST_BOOKMARK_SECONDS
    )
    if subscription.wants_bookmarks and due:
        subscription.last_bookmark = now
        subscription.bookmark_due = True
        subscription.wake()
    if now >= subscription.deadline:
        subscription.ended = True
        subscription.wake()
