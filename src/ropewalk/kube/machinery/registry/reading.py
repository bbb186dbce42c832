"""Get, list and watch: what is read of the store, and which revision an answer stands for. Decodes nothing.

https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.registry import continuing, keys
from ropewalk.kube.machinery.registry.continuing import INCONSISTENT, Position
from ropewalk.kube.machinery.registry.feed import Feed, FeedEvent, Feeds, Subscription
from ropewalk.kube.machinery.registry.selection import Selection
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.registry.storage import Storage
from ropewalk.store.protocol import MAX_PAGE, Compacted, Entry, FutureRevision

NOT_OLDER, EXACT = "NotOlderThan", "Exact"
WATCH_SECONDS = 1800.0
"""A watch that names no time-out ends after this to twice this, so that clients spread over servers."""


@dataclass(frozen=True, slots=True)
class ListOptions:
    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    watch: bool = False
    timeout_seconds: int | None = None
    allow_bookmarks: bool = False
    send_initial_events: bool | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    entries: list[Entry]
    revision: int
    continue_token: str = ""
    remaining: int | None = None
    """How many more there are, where that is known."""


def validate(options: ListOptions) -> None:
    """Raises Invalid, in the words of apimachinery's ValidateListOptions."""
    found = FieldErrors()
    match = options.resource_version_match
    path = Path("resourceVersionMatch")
    if options.watch:
        if options.send_initial_events is not None and match != NOT_OLDER:
            found.forbidden(path, f"sendInitialEvents requires setting resourceVersionMatch to {NOT_OLDER}")
        if match and options.send_initial_events is None:
            found.forbidden(path, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")
        if match and match != NOT_OLDER:
            found.not_supported(path, match, [NOT_OLDER])
    else:
        if match and not options.resource_version:
            found.forbidden(path, "resourceVersionMatch is forbidden unless resourceVersion is provided")
        if match and match not in (EXACT, NOT_OLDER):
            found.not_supported(path, match, [EXACT, NOT_OLDER, ""])
        if match == EXACT and options.resource_version == "0":
            found.forbidden(path, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')
        if options.send_initial_events is not None:
            found.forbidden(Path("sendInitialEvents"), "sendInitialEvents is forbidden for list")
    if match and options.continue_token:
        found.forbidden(path, "resourceVersionMatch is forbidden when continue is provided")
    if found:
        raise found.fault("ListOptions", "meta.k8s.io", "")


def revision_of(text: str) -> int:
    """A resourceVersion of a request as a revision; 0 for "". Raises Invalid."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        found = FieldErrors()
        found.invalid(Path("resourceVersion"), text, f'strconv.ParseUint: parsing "{text}": invalid syntax')
        raise found.fault("ListOptions", "meta.k8s.io", "")
    return int(text)


class Reader:
    def __init__(self, storage: Storage, feeds: Feeds, clock: Clock, entropy: Entropy) -> None:
        self._storage = storage
        self._feeds = feeds
        self._clock = clock
        self._entropy = entropy

    async def get(self, served: Served, namespace: str, name: str, resource_version: str = "") -> Entry:
        """Raises NotFound."""
        entry = await self._storage.get(keys.key(served.storage, namespace, name))
        if entry is None:
            self._check_reached(revision_of(resource_version), int(self._storage.revision))
            raise errors.not_found(served.info.plural, served.info.group, name)
        if resource_version:
            self._check_reached(revision_of(resource_version), max(int(self._storage.revision), entry.revision))
        return entry

    async def page(self, served: Served, namespace: str, selection: Selection, options: ListOptions) -> Listed:
        """Every selected object, or one page of them. `namespace` "" is all."""
        prefix = keys.prefix(served.storage, namespace or None)
        asked = revision_of(options.resource_version)
        exact = options.resource_version_match == EXACT or (
            asked > 0 and options.limit > 0 and not options.resource_version_match
        )
        revision = asked if exact else None
        after = ""
        position: Position | None = None
        if options.continue_token:
            if options.resource_version not in ("", "0"):
                raise errors.bad_request("specifying resource version is not allowed when using continue")
            position = continuing.decode(options.continue_token)
            after = prefix + position.after
            revision = None if position.revision == INCONSISTENT else position.revision
        try:
            if selection.name and namespace and revision is None:
                return await self._one(served, namespace, selection, asked)
            return await self._pages(prefix, after, revision, asked, selection, options.limit)
        except Compacted:
            if position is not None:
                raise continuing.expired(position) from None
            raise errors.expired("The resourceVersion for the provided list is too old.") from None
        except FutureRevision:
            raise errors.too_large_resource_version(revision or 0, int(self._storage.revision)) from None

    async def _one(self, served: Served, namespace: str, selection: Selection, asked: int) -> Listed:
        """`metadata.name=x` in a namespace: one key."""
        entry = await self._storage.get(keys.key(served.storage, namespace, selection.name))
        revision = int(self._storage.revision)
        self._check_reached(asked, revision)
        taken = entry is not None and selection.takes(entry.key, entry.value)
        return Listed([entry] if entry is not None and taken else [], revision)

    async def _pages(
        self, prefix: str, after: str, revision: int | None, asked: int, selection: Selection, limit: int
    ) -> Listed:
        found: list[Entry] = []
        while True:
            size = min(MAX_PAGE, limit + 1 - len(found)) if limit and selection.everything else MAX_PAGE
            page = await self._storage.page(prefix, after=after, limit=size, revision=revision)
            if revision is None:
                revision = int(page.revision)
                self._check_reached(asked, revision)
            if selection.everything:
                found.extend(page.entries)
            else:
                found.extend(entry for entry in page.entries if selection.takes(entry.key, entry.value))
            if limit and len(found) > limit:
                remaining = page.remaining + len(found) - limit if selection.everything else None
                return _cut(prefix, found, revision, limit, remaining)
            if not page.more:
                return Listed(found, revision)
            after = page.entries[-1].key

    def _check_reached(self, asked: int, present: int) -> None:
        if asked > present:
            raise errors.too_large_resource_version(asked, present)

    # --- watching

    async def watch(self, served: Served, namespace: str, selection: Selection, options: ListOptions) -> Watch:
        """Everything from the revision asked for on; with what is there now first, where that is asked for (or
        nothing).
        """
        prefix = keys.prefix(served.storage, namespace or None)
        if selection.name and namespace:
            prefix += selection.name
        asked = revision_of(options.resource_version)
        now = self._clock.monotonic()
        seconds = options.timeout_seconds or WATCH_SECONDS * (1 + self._entropy.random())
        subscription = Subscription(prefix, now + seconds, wants_bookmarks=options.allow_bookmarks, now=now)
        feed = self._feeds.feed(keys.prefix(served.storage))
        initial: list[Entry] | None = None
        start = asked
        if options.send_initial_events or (asked == 0 and options.send_initial_events is None):
            whole = await self.page(
                served,
                namespace,
                selection,
                ListOptions(
                    resource_version=options.resource_version, resource_version_match=NOT_OLDER if asked else ""
                ),
            )
            initial, start = whole.entries, whole.revision
        elif asked == 0:
            start = await self._feeds.settled(feed)
        return Watch(
            feed, self._feeds, subscription, initial or [], start, marks_initial=options.send_initial_events is True
        )


def _cut(prefix: str, found: list[Entry], revision: int, limit: int, remaining: int | None) -> Listed:
    """One page of what was found, and where the next begins."""
    token = continuing.encode(Position(revision, found[limit - 1].key[len(prefix) :]))
    return Listed(found[:limit], revision, token, remaining)


@dataclass(slots=True)
class Watch:
    """A watch that was asked for. It is under way from `open` on, so that one that nobody reads costs nothing."""

    feed: Feed
    feeds: Feeds
    subscription: Subscription
    initial: list[Entry]
    """To be told as ADDED before anything else."""
    revision: int
    """Of the initial state."""
    marks_initial: bool
    """Its end is told by an annotated bookmark."""

    async def batches(self) -> AsyncIterator[list[FeedEvent] | int]:
        """Events as they come; a number is a bookmark's revision. Ends where the watch does: look at `oldest`."""
        subscription = self.subscription
        while True:
            events = await subscription.batch()
            if events:
                yield events
            elif subscription.oldest is not None or subscription.ended:
                return
            elif subscription.bookmark_due:
                subscription.bookmark_due = False
                yield await self._reached()

    async def _reached(self) -> int:
        """A revision up to which the client has been told everything."""
        subscription = self.subscription
        revision = subscription.cursor
        if not self.feed.is_catching_up(subscription):
            revision = await self.feeds.settled(self.feed)
        revision = max(revision, subscription.cursor)
        return min(revision, subscription.pending[0].revision - 1) if subscription.pending else revision

    @property
    def oldest(self) -> int | None:
        """Where the watch ended because its revision is gone: the oldest that there is."""
        return self.subscription.oldest

    def open(self) -> None:
        self.feed.subscribe(self.subscription, self.revision)

    def close(self) -> None:
        self.feed.unsubscribe(self.subscription)


@contextmanager
def opened(watch: Watch) -> Iterator[Watch]:
    watch.open()
    try:
        yield watch
    finally:
        watch.close()
