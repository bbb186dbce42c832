"""Watches that break, resume and fall behind: no event is lost or told twice, whatever happens to server and client.

Seeded, in virtual time, through the whole of the server's front: writers write; watchers hang up and come back from the
last revision they saw (of an event or of a bookmark); the server is killed and another built over the same store; feeds
and clients overflow; history is compacted away. A watcher who is told 410 lists again, as every client does. At every
rest each watcher must know exactly what is there, by exactly the events that happened.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.machinery.registry import feed as feeds
from ropewalk.store.keyspace import Retention
from ropewalk.store.memory import MemoryStore
from ropewalk.store.protocol import EventKind, Revision, Store
from ropewalk.store.sqlite import SqliteStore
from support.kube_front import Server, Watcher

SEEDS = int(os.environ.get("ROPEWALK_SEEDS", "100"))
NAMES = [f"m-{number}" for number in range(6)]
NAMESPACES = ("east", "west")
LABELS = ("", "blue", "red")
Reopen = Callable[[], Awaitable[Store]]


class Client:
    """A reflector: lists, watches, resumes; keeps what it knows, and every event it was told."""

    def __init__(self, number: int, rng: random.Random) -> None:
        self.random = rng
        self.namespace = rng.choice(("", *NAMESPACES))
        self.label = rng.choice(LABELS)
        self.bookmarks = rng.random() < 0.7
        self.streams_list = rng.random() < 0.4
        """It lists by watching (sendInitialEvents)."""
        self.known: dict[tuple[str, str], str] = {}
        """Object → the revision it knows of it."""
        self.revision = ""
        """Where it resumes; "" where it must list."""
        self.listing = False
        self.told: list[int] = []
        """Revisions of the events told since the last list."""
        self.listed_at = 0
        self.watcher: Watcher | None = None
        self.name = f"client {number} ({self.namespace or 'everywhere'}, {self.label or 'all'})"
        self.relists = 0

    @property
    def url(self) -> str:
        where = f"/namespaces/{self.namespace}" if self.namespace else ""
        return f"/api/v1{where}/configmaps?labelSelector={f'colour%3D{self.label}' if self.label else ''}"

    async def connect(self, server: Server) -> None:
        assert self.watcher is None
        more = f"&watch=true&allowWatchBookmarks={'true' if self.bookmarks else 'false'}"
        if self.random.random() < 0.3:
            more += f"&timeoutSeconds={self.random.choice((1, 5, 90))}"
        if not self.revision:
            self.known.clear()
            self.told.clear()
            self.relists += 1
            if self.streams_list:
                self.listing = True
                more += "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
                if not self.bookmarks:
                    more = more.replace("allowWatchBookmarks=false", "allowWatchBookmarks=true")
            else:
                await self.list(server)
        self.watcher = await server.watch(f"{self.url}{more}&resourceVersion={self.revision}")

    async def list(self, server: Server) -> None:
        size = self.random.choice((0, 1, 3))
        token = ""
        while True:
            answer = await server.get(f"{self.url}&limit={size}&continue={token}")
            assert answer.status == 200, answer.body
            for item in answer.json["items"]:
                self.known[place(item)] = item["metadata"]["resourceVersion"]
            self.revision = answer.json["metadata"]["resourceVersion"]
            token = answer.json["metadata"].get("continue", "")
            if not token:
                self.listed_at = int(self.revision)
                return

    async def hang_up(self) -> None:
        self.take()
        if self.watcher is not None:
            await self.watcher.close()
            self.watcher = None
        if self.listing:
            self.listing, self.revision = False, ""

    def take(self) -> None:
        """What has arrived."""
        if self.watcher is None:
            return
        for event in self.watcher.taken():
            self._take(event["type"], event["object"])
        if self.watcher.ended:
            self.watcher = None
            if self.listing:
                self.listing, self.revision = False, ""

    def _take(self, kind: str, obj: Any) -> None:
        if kind == "ERROR":
            assert (obj["code"], obj["reason"]) == (410, "Expired"), obj
            self.revision = ""
            return
        revision = obj["metadata"]["resourceVersion"]
        if kind == "BOOKMARK":
            assert int(revision) >= int(self.revision or 0), f"{self.name}: a bookmark went back"
            self.revision = revision
            if "annotations" in obj["metadata"]:
                assert self.listing
                self.listing, self.listed_at = False, int(revision)
            return
        key = place(obj)
        if self.listing:
            assert kind == "ADDED" and key not in self.known
            self.known[key] = revision
            return
        assert int(revision) > int(self.revision), f"{self.name}: {kind} {revision} after {self.revision}"
        assert (kind == "ADDED") is (key not in self.known), f"{self.name}: {kind} of {key}"
        if kind == "DELETED":
            del self.known[key]
        else:
            self.known[key] = revision
        self.revision = revision
        self.told.append(int(revision))


def place(obj: Any) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


class Simulation:
    def __init__(self, seed: int, clock: VirtualClock, store: Store, reopen: Reopen) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.clock = clock
        self.store = store
        self.reopen = reopen
        self.server: Server
        self.clients = [Client(number, random.Random(seed * 31 + number)) for number in range(4)]
        self.wrote: list[tuple[int, EventKind, tuple[str, str], str, str]] = []
        """(revision, kind, place, label before, label after) of every write."""
        self.present: dict[tuple[str, str], str] = {}

    # --- writers

    async def write(self) -> None:
        namespace, name = self.random.choice(NAMESPACES), self.random.choice(NAMES)
        key = (namespace, name)
        url = f"/api/v1/namespaces/{namespace}/configmaps"
        before = self.present.get(key, "-")
        label = self.random.choice(LABELS)
        about = {"name": name, "labels": {"colour": label} if label else {}}
        if before == "-":
            made = await self.server.post(url, {"metadata": about})
        elif self.random.random() < 0.35:
            gone = await self.server.delete(f"{url}/{name}")
            assert gone.status == 200, gone.body
            del self.present[key]
            self.wrote.append((int(self.store.revision), EventKind.DELETE, key, before, ""))
            return
        else:
            data = {"at": str(len(self.wrote))}
            made = await self.server.put(f"{url}/{name}", {"metadata": about, "data": data})
        assert made.status in (200, 201), made.body
        self.present[key] = label
        revision = int(made.json["metadata"]["resourceVersion"])
        self.wrote.append((revision, EventKind.PUT, key, "" if before == "-" else before, label))

    # --- what goes wrong

    async def fault(self) -> None:
        choice = self.random.randrange(12)
        if choice < 4:
            await self.random.choice(self.clients).hang_up()
        elif choice < 6:
            await self.restart()
        elif choice < 8:
            behind = self.random.randrange(30)
            await self.store.compact(Revision(max(0, int(self.store.revision) - behind)))
        elif choice < 10:  # more at once than any buffer holds
            for _ in range(feeds.BACKLOG + self.random.randrange(feeds.BACKLOG)):
                await self.write()
        else:
            await self.stop_feeds()

    async def stop_feeds(self) -> None:
        """Between a feed's failure and its next try others write, list and watch, and bookmarks fall due."""
        running = self.server.registry.feeds
        stopped = list(running._feeds)
        for prefix in stopped:
            running._tasks[prefix].cancel()
        await self.clock.settle()
        for _ in range(self.random.randrange(1, 12)):
            await self.write()
            if self.random.random() < 0.3:
                await self.random.choice(self.clients).hang_up()
            for client in self.clients:
                if client.watcher is None and self.random.random() < 0.3:
                    await client.connect(self.server)
        await self.clock.advance(self.random.choice((0.0, 1.0, 70.0)))
        for prefix in stopped:
            supervised = running._supervisor.keep(running._feeds[prefix])
            running._tasks[prefix] = asyncio.create_task(supervised)

    async def restart(self) -> None:
        """The process dies; streams end wherever they are."""
        for client in self.clients:
            if self.random.random() < 0.5:
                client.take()
            if client.watcher is not None:
                await client.watcher.close()
                client.watcher = None
            if client.listing:
                client.listing, client.revision = False, ""
        await self.server.stop()
        self.store = await self.reopen()
        self.server = await Server(self.store, self.clock, seed=self.seed).start()

    # --- what must hold

    def check(self, client: Client) -> None:
        """At a rest: it knows what is there, and was told exactly what happened since it listed."""
        sees = [key for key, label in self.present.items() if self.is_seen(client, key, label)]
        assert sorted(client.known) == sorted(sees), f"{client.name} knows another state"
        happened = [
            revision
            for revision, kind, key, before, after in self.wrote
            if revision > client.listed_at and self.concerns(client, revision, kind, key, before, after)
        ]
        assert client.told == happened, f"{client.name} was told other events"

    def is_seen(self, client: Client, key: tuple[str, str], label: str) -> bool:
        return client.namespace in ("", key[0]) and client.label in ("", label)

    def concerns(
        self, client: Client, revision: int, kind: EventKind, key: tuple[str, str], before: str, after: str
    ) -> bool:
        if client.namespace not in ("", key[0]):
            return False
        return not client.label or client.label in (before, after)

    async def rest(self) -> None:
        """No more faults: everybody comes to know everything."""
        for _ in range(40):
            await self.clock.advance(1.0)
            for client in self.clients:
                if client.watcher is not None:
                    client.watcher.reads.set()
                client.take()
                if client.watcher is None:
                    await client.connect(self.server)
            await self.clock.settle()
            for client in self.clients:
                client.take()
            if all(client.watcher is not None and not client.listing for client in self.clients):
                break
        for client in self.clients:
            self.check(client)

    async def turn(self) -> None:
        roll = self.random.random()
        if roll < 0.5:
            for _ in range(self.random.choice((1, 1, 1, 3))):
                await self.write()
        elif roll < 0.7:
            await self.fault()
        await self.clock.advance(self.random.choice((0.0, 0.0, 0.1, 2.0, 70.0)))
        for client in self.clients:
            if client.watcher is not None:  # some read slowly
                (client.watcher.reads.clear if self.random.random() < 0.2 else client.watcher.reads.set)()
            if self.random.random() < 0.7:
                client.take()
            if client.watcher is None and self.random.random() < 0.6:
                await client.connect(self.server)

    async def run(self) -> int:
        self.server = await Server(self.store, self.clock, seed=self.seed).start()
        await self.write()  # no cluster is empty, and revision 0 means another thing
        for _ in range(4):
            for _ in range(self.random.choice((10, 20))):
                await self.turn()
            await self.rest()
        await self.server.stop()
        for client in self.clients:
            if client.watcher is not None:
                await client.watcher.close()
        return sum(client.relists for client in self.clients)


@contextmanager
def narrow() -> Iterator[None]:
    """Buffers small enough to overflow."""
    wide = feeds.WINDOW, feeds.BACKLOG
    feeds.WINDOW, feeds.BACKLOG = 8, 12
    try:
        yield
    finally:
        feeds.WINDOW, feeds.BACKLOG = wide


async def in_memory(seed: int) -> int:
    clock = VirtualClock(settle_rounds=20)
    store = MemoryStore(SeededEntropy(seed), clock=clock, retention=Retention(events=60, slack=5))

    async def same() -> Store:
        return store

    return await Simulation(seed, clock, store, same).run()


async def on_disk(seed: int, path: Path) -> int:
    clock = VirtualClock(settle_rounds=20)
    opened: list[SqliteStore] = []

    async def reopen() -> Store:
        if opened:
            await opened[-1].close()
        entropy, retention = SeededEntropy(seed), Retention(events=60, slack=5)
        opened.append(await SqliteStore.open(path, entropy, clock=clock, retention=retention, power_safe=False))
        return opened[-1]

    relists = await Simulation(seed, clock, await reopen(), reopen).run()
    await opened[-1].close()
    return relists


@pytest.mark.parametrize("block", range(10))
async def test_no_event_is_lost_or_told_twice(block: int) -> None:
    relists = 0
    with narrow():
        for seed in range(block, SEEDS, 10):
            try:
                relists += await in_memory(seed)
            except AssertionError as failed:
                raise AssertionError(f"seed {seed}: {failed}") from failed
    assert relists, "nobody ever had to list anew: the faults are too mild"


async def test_nor_by_a_store_on_disk_that_is_opened_again(tmp_path: Path) -> None:
    with narrow():
        for seed in range(max(4, SEEDS // 10)):
            try:
                await on_disk(seed, tmp_path / f"{seed}.db")
            except AssertionError as failed:
                raise AssertionError(f"seed {seed}: {failed}") from failed
