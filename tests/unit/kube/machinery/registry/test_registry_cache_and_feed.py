"""Caches and feeds: what they hold follows the store, whatever fails or falls behind on the way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.machinery.api import Metadata, ObjectChange
from ropewalk.kube.machinery.registry import cache as caches
from ropewalk.kube.machinery.registry import feed as feeds
from ropewalk.kube.machinery.registry.feed import FeedEvent, Subscription
from ropewalk.store.keyspace import Retention
from ropewalk.store.memory import MemoryStore
from ropewalk.store.protocol import MAX_PAGE, Page, Revision, StoreUnavailable
from support.kube_front import CONFIG_MAPS, Server, config_map

PREFIX = "/registry/core/configmaps/"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = await Server().start()
    yield made
    await made.stop()


async def cached(server: Server) -> Any:
    found = server.api.cache(CONFIG_MAPS)
    await found.synced()
    return found


def names(cache: Any, namespace: str | None = None) -> list[str]:
    return [obj["metadata"]["name"] for obj in cache.all(namespace)]


# --- caches


async def test_a_cache_follows_every_write(server: Server) -> None:
    await server.config_map("a")
    cache = await cached(server)
    await server.config_map("b", "other")
    await server.patch("/api/v1/namespaces/default/configmaps/a", {"data": {"x": "1"}})
    await server.clock.settle()
    assert (names(cache), names(cache, "other"), len(cache)) == (["a", "b"], ["b"], 2)
    found = cache.get("default", "a")
    assert (found["kind"], found["data"], found["metadata"]["resourceVersion"]) == ("ConfigMap", {"x": "1"}, "3")
    assert cache.get("default", "a") is found, "decoded once"
    await server.delete("/api/v1/namespaces/default/configmaps/a")
    await server.clock.settle()
    assert cache.get("default", "a") is None and names(cache) == ["b"]


async def test_changes_are_told_with_what_was_before(server: Server) -> None:
    await server.config_map("a")
    cache = await cached(server)
    told: list[tuple[str, str]] = []
    metadata: list[tuple[str, str, bool]] = []

    def changed(change: ObjectChange) -> None:
        told.append(
            tuple("-" if one is None else one["metadata"]["resourceVersion"] for one in (change.old, change.new))
        )  # type: ignore[arg-type]

    def seen(namespace: str, name: str, found: Metadata | None) -> None:
        metadata.append((namespace, name, found is not None))

    cache.on_change(changed)
    cache.on_metadata(seen)
    await server.patch("/api/v1/namespaces/default/configmaps/a", {"data": {"x": "1"}})
    await server.delete("/api/v1/namespaces/default/configmaps/a")
    await server.clock.settle()
    assert told == [("-", "1"), ("1", "2"), ("2", "-")]
    assert metadata == [("default", "a", True)] * 2 + [("default", "a", False)]


async def test_a_handler_that_fails_stops_nobody(server: Server) -> None:
    cache = await cached(server)
    told: list[str] = []

    def fail(change: ObjectChange) -> None:
        raise RuntimeError("a bug")

    cache.on_change(fail)
    cache.on_change(lambda change: told.append(change.present["metadata"]["name"]))
    await server.config_map("a")
    await server.clock.settle()
    assert (told, names(cache)) == (["a"], ["a"])


async def test_an_index_follows_its_keys(server: Server) -> None:
    await server.config_map("a", labels={"app": "x"})
    cache = await cached(server)
    cache.index("app", lambda obj: [obj["metadata"].get("labels", {}).get("app", "")])
    await server.config_map("b", labels={"app": "x"})
    await server.clock.settle()
    assert [obj["metadata"]["name"] for obj in cache.by_index("app", "x")] == ["a", "b"]
    await server.patch("/api/v1/namespaces/default/configmaps/a", {"metadata": {"labels": {"app": "y"}}})
    await server.delete("/api/v1/namespaces/default/configmaps/b")
    await server.clock.settle()
    assert cache.by_index("app", "x") == []
    assert [obj["metadata"]["name"] for obj in cache.by_index("app", "y")] == ["a"]


async def test_only_so_many_objects_stay_decoded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "DECODED", 3)
    for number in range(9):
        await server.config_map(f"m-{number}")
    cache = await cached(server)
    assert len(names(cache)) == 9
    assert len(cache._decoded) == 3


class Paged(MemoryStore):
    """Lists in small pages, with a turn of the loop before each, as a store elsewhere does."""

    def __init__(self, clock: VirtualClock, between: Callable[[], Awaitable[None]] | None = None) -> None:
        super().__init__(SeededEntropy(1), clock=clock)
        self.between = between
        self.failing = 0

    async def list(
        self, prefix: str, *, after: str = "", limit: int = MAX_PAGE, revision: Revision | None = None
    ) -> Page:
        if self.failing:
            self.failing -= 1
            raise StoreUnavailable("not now")
        page = await super().list(prefix, after=after, limit=min(limit, 2), revision=revision)
        if self.between is not None:
            await self.between()
        await asyncio.sleep(0)
        return page


@pytest.mark.parametrize("seed", range(12))
async def test_what_changes_while_a_cache_lists_is_not_undone_by_the_list(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caches, "AT_ONCE", 1 + seed % 3)
    clock, rng = VirtualClock(), random.Random(seed)
    store = Paged(clock)
    server = await Server(store, clock).start()
    for number in range(8):
        await server.config_map(f"m-{number}")
    where = "/api/v1/namespaces/default/configmaps"

    async def change() -> None:
        name = f"m-{rng.randrange(10)}"
        if (await server.get(f"{where}/{name}")).status == 404:
            await server.config_map(name)
        elif rng.random() < 0.6:
            await server.delete(f"{where}/{name}")
        else:
            await server.patch(f"{where}/{name}", {"data": {"x": str(rng.random())}})
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    store.between = change
    cache = await cached(server)
    told: dict[str, str] = {}

    def changed(change: ObjectChange) -> None:
        name = change.present["metadata"]["name"]
        if change.new is None:
            del told[name]
        else:
            told[name] = change.new["metadata"]["resourceVersion"]

    cache.on_change(changed)
    cache._stale.set()  # as when its feed fell behind
    await clock.settle()
    store.between = None
    await clock.settle()
    items = (await server.get(where)).json["items"]
    present = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in items}
    assert {obj["metadata"]["name"]: obj["metadata"]["resourceVersion"] for obj in cache.all()} == present
    assert told == present
    await server.stop()


async def test_a_cache_whose_list_failed_lists_again() -> None:
    clock = VirtualClock()
    store = Paged(clock)
    server = await Server(store, clock).start()
    await server.config_map("a")
    store.failing = 2
    cache = server.api.cache(CONFIG_MAPS)
    await clock.settle()
    assert not cache.is_synced
    await clock.advance(2)
    assert cache.is_synced and names(cache) == ["a"]
    await server.stop()


async def test_a_cache_outlives_a_feed_that_fell_behind() -> None:
    clock = VirtualClock()
    store = MemoryStore(SeededEntropy(1), clock=clock, retention=Retention(events=4, slack=0))
    server = await Server(store, clock).start()
    cache = await cached(server)
    feed = server.registry.feeds.feed(PREFIX)
    server.registry.feeds._tasks[PREFIX].cancel()
    for number in range(12):
        await server.config_map(f"m-{number}")
    await server.delete("/api/v1/namespaces/default/configmaps/m-0")
    server.registry.feeds._tasks[PREFIX] = asyncio.create_task(server.registry.feeds._supervisor.keep(feed))
    await clock.settle()
    assert names(cache) == sorted(f"m-{number}" for number in range(1, 12))
    await server.stop()


# --- feeds


def event(revision: int, name: str = "a") -> FeedEvent:
    return FeedEvent(f"{PREFIX}default/{name}", b"{}", None, revision)


def subscription(prefix: str = PREFIX) -> Subscription:
    return Subscription(prefix, 100.0, wants_bookmarks=False, now=0.0)


async def test_a_subscription_takes_each_event_of_its_prefix_once() -> None:
    taking = subscription(PREFIX + "default/a")
    for revision, name in ((1, "a"), (2, "b"), (2, "a"), (1, "a"), (3, "a")):
        taking.push(event(revision, name))
    assert [one.revision for one in await taking.batch()] == [1, 3]
    assert taking.cursor == 3


async def test_one_that_overflowed_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "BACKLOG", 2)
    taking = subscription()
    for revision in range(1, 4):
        taking.push(event(revision))
    assert taking.ended
    assert [one.revision for one in await taking.batch()] == [1, 2]
    taking.push(event(4))
    assert await taking.batch() == [], "4 after a missing 3 would hide that it is missing"


@pytest.mark.parametrize("after", range(9))
async def test_from_the_window_or_from_history_the_events_are_the_same(
    server: Server, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "WINDOW", 3)
    feed = server.registry.feeds.feed(PREFIX)
    await server.clock.settle()
    for number in range(8):
        await server.api.create(CONFIG_MAPS, config_map(f"m-{number}"), namespace="default")
    await server.clock.settle()
    taking = subscription()
    feed.subscribe(taking, after)
    assert feed.is_catching_up(taking) is (after < 5)
    await server.clock.settle()
    for number in range(8, 10):
        await server.api.create(CONFIG_MAPS, config_map(f"m-{number}"), namespace="default")
    await server.clock.settle()
    assert [one.revision for one in taking.pending] == list(range(after + 1, 11))
    assert not feed.is_catching_up(taking)
    feed.unsubscribe(taking)
    assert feed.subscriptions == ()


async def test_catching_up_waits_for_who_reads(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        await server.api.create(CONFIG_MAPS, config_map(f"m-{number}"), namespace="default")
    monkeypatch.setattr(feeds, "BACKLOG", 8)
    feed = server.registry.feeds.feed(PREFIX)
    taking = subscription()
    feed.subscribe(taking, 0)
    found: list[int] = []
    for _ in range(20):
        await server.clock.advance(1.5)
        assert len(taking.pending) <= 8 and not taking.ended
        if taking.pending:
            found += [one.revision for one in await taking.batch()]
    assert found == list(range(1, 41))
    assert not feed.is_catching_up(taking)


async def test_settled_promises_no_more_than_was_told(server: Server) -> None:
    feed = server.registry.feeds.feed(PREFIX)
    await server.clock.settle()
    await server.post("/api/v1/namespaces", {"metadata": {"name": "x"}})
    assert await server.registry.feeds.settled(feed) == 1, "nothing of this resource is missing up to here"
    server.registry.feeds._tasks[PREFIX].cancel()
    await server.clock.settle()
    await server.config_map("a")
    assert await server.registry.feeds.settled(feed) == feed.revision < 2, "it is not looking"


class SlowClock(VirtualClock):
    """Its time goes on a little at every look: whatever is done takes some."""

    def monotonic(self) -> float:
        self._now += 0.001
        return super().monotonic()


async def test_many_watchers_are_given_what_gathered_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MANY", 3)
    server = await Server(clock=SlowClock()).start()
    feed = server.registry.feeds.feed(PREFIX)
    await server.clock.settle()
    watchers = [subscription() for _ in range(3)]
    for one in watchers:
        feed.subscribe(one, 0)
    sizes: list[list[int]] = [[] for _ in watchers]
    found: list[list[int]] = [[] for _ in watchers]

    async def read(number: int) -> None:
        while True:
            events = await watchers[number].batch()
            sizes[number].append(len(events))
            found[number] += [one.revision for one in events]

    readers = [asyncio.create_task(read(number)) for number in range(3)]
    for number in range(20):
        await server.api.create(CONFIG_MAPS, config_map(f"m-{number}"), namespace="default")
    await server.clock.advance(1.0)
    assert found == [list(range(1, 21))] * 3
    assert all(len(size) < 20 for size in sizes), "some came together"
    for reader in readers:
        reader.cancel()
    await server.stop()


@given(st.data())
async def test_events_given_together_are_those_given_one_by_one(data: st.DataObject) -> None:
    revisions = st.lists(st.integers(1, 12), unique=True, max_size=8).map(sorted)
    prefix = data.draw(st.sampled_from((PREFIX, PREFIX + "default/", PREFIX + "default/a")))
    together, one_by_one = subscription(prefix), subscription(prefix)
    for one in (together, one_by_one):
        one.cursor = data.draw(st.shared(st.integers(0, 6), key="cursor"))
    backlog = data.draw(st.integers(1, 6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feeds, "BACKLOG", backlog)
        for batch in data.draw(st.lists(revisions.filter(bool), max_size=4)):
            events = [event(revision, data.draw(st.sampled_from("ab"))) for revision in batch]
            together.give(events, [one for one in events if one.key.startswith(prefix)])
            for each in events:
                one_by_one.push(each)
    assert together.pending == one_by_one.pending
    assert together.ended == one_by_one.ended
    if not together.ended:
        assert together.cursor == one_by_one.cursor


@pytest.mark.parametrize("seed", range(20))
async def test_watchers_who_share_what_was_made_see_what_each_would_alone(
    server: Server, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "MANY", 1)
    chance = random.Random(seed)
    by_name = "&fieldSelector=metadata.name%3Dm-1"
    asked = [
        (f"/api/v1/{place}configmaps?watch=true&resourceVersion=1{selected}", accept)
        for place in ("", "namespaces/default/", "namespaces/other/")
        for selected in (
            "",
            "&labelSelector=tier%3Da",
            "&labelSelector=tier!%3Da",
            by_name,
        )
        for accept in ("application/json", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
    ]
    await server.config_map("first")
    watchers = [await server.watch(target, accept=accept) for target, accept in asked * 2]
    for _ in range(40):
        for watcher in watchers:
            if chance.random() < 0.2:
                watcher.reads.clear() if watcher.reads.is_set() else watcher.reads.set()
        name, place = f"m-{chance.randrange(3)}", chance.choice(("default", "other"))
        target = f"/api/v1/namespaces/{place}/configmaps/{name}"
        if chance.random() < 0.3:
            await server.delete(target)
        elif (await server.get(target)).status == 404:
            await server.config_map(name, place, labels={"tier": chance.choice("ab")})
        else:
            await server.patch(target, {"metadata": {"labels": {"tier": chance.choice("ab")}}})
        await server.clock.advance(chance.choice((0.0, 0.0, 0.2)))
    for watcher in watchers:
        watcher.reads.set()
    await server.clock.advance(1.0)
    assert any(len(watcher.events) > 10 for watcher in watchers)
    for (target, accept), watcher in zip(asked * 2, watchers, strict=True):
        alone = await server.watch(target, accept=accept)
        await server.clock.settle()
        assert watcher.events == alone.events, target
        await alone.close()
        await watcher.close()


async def test_nothing_gathered_is_missing_before_a_bookmark(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MANY", 1)
    feed = server.registry.feeds.feed(PREFIX)
    await server.clock.settle()
    taking = subscription()
    feed.subscribe(taking, 0)
    feed._gathering = asyncio.create_task(asyncio.Event().wait(), name="rests for ever")  # type: ignore[arg-type]
    await server.config_map("a")
    await server.clock.settle()
    assert taking.pending == [], "gathered"
    assert await server.registry.feeds.settled(feed) == 1
    assert [one.revision for one in taking.pending] == [1]
    late = subscription()
    feed.subscribe(late, 1)
    feed.give_out()
    assert late.pending == []
