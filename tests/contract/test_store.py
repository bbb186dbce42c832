"""What `store/protocol.py` promises, held against every backend: memory, SQLite, etcd."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ropewalk.base.clock import SystemClock, VirtualClock
from ropewalk.base.entropy import SeededEntropy, SystemEntropy
from ropewalk.store.etcd.store import EtcdStore
from ropewalk.store.memory import MemoryStore
from ropewalk.store.protocol import (
    MAX_KEY_BYTES,
    MAX_PAGE,
    MAX_VALUE_BYTES,
    Compacted,
    Entry,
    Event,
    EventKind,
    FutureRevision,
    KeyExists,
    KeyMissing,
    OutOfBounds,
    Revision,
    Store,
    StoreClosed,
    StoreError,
    WrongRevision,
)
from ropewalk.store.sqlite import SqliteStore
from support.etcd import EtcdServer, etcd_server

BACKENDS = ("memory", "sqlite", "sqlite-inline", "etcd")
DEADLINE = 20.0
_numbers = itertools.count()


@dataclass
class Backend:
    """How to open stores of one kind, and how to let a lease run out there."""

    kind: str
    open: Callable[[], contextlib.AbstractAsyncContextManager[Store]]
    clock: VirtualClock | None

    async def pass_time(self, seconds: float, until: Callable[[], Awaitable[bool]]) -> None:
        """Move the clock, or where time is real wait for the state it leads to."""
        if self.clock is not None:
            await self.clock.advance(seconds)
        async with asyncio.timeout(DEADLINE):
            while not await until():
                assert self.clock is None, "virtual time has passed, and the state is not there"
                await asyncio.sleep(0.02)


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdServer]:
    with etcd_server(tmp_path_factory.mktemp("etcd")) as server:
        yield server


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    kind = cast(str, request.param)
    clock = VirtualClock()
    if kind == "memory":
        return Backend(kind, lambda: _closing(_memory(clock)), clock)
    if kind.startswith("sqlite"):
        # a fresh file for each store: hypothesis opens many within one test
        return Backend(kind, lambda: _closing(_sqlite(kind, tmp_path / f"store-{next(_numbers)}.db", clock)), clock)
    server = cast(EtcdServer, request.getfixturevalue("etcd"))
    return Backend(kind, lambda: _closing(_etcd(server)), None)


async def _memory(clock: VirtualClock) -> Store:
    return MemoryStore(SystemEntropy(), clock=clock)


async def _sqlite(kind: str, path: Path, clock: VirtualClock) -> Store:
    return await SqliteStore.open(path, SystemEntropy(), clock=clock, power_safe=kind == "sqlite")


async def _etcd(server: EtcdServer) -> Store:
    prefix = f"/tests/{next(_numbers)}"
    clock = SystemClock()
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                return await EtcdStore.open(server.address, prefix, SystemEntropy(), clock=clock)
            except StoreError:  # it is still starting
                await asyncio.sleep(0.05)


@asynccontextmanager
async def _closing(opening: Awaitable[Store]) -> AsyncIterator[Store]:
    store = await opening
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(backend: Backend) -> AsyncIterator[Store]:
    async with backend.open() as opened:
        yield opened


# etcd is shared by all tests and compacted by some, so every test watches from the revision it began at.


async def take(store: Store, prefix: str, after: int, count: int) -> list[Event]:
    """The next `count` events."""
    found: list[Event] = []
    if count == 0:
        return found
    async with asyncio.timeout(DEADLINE):
        async with aclosing(store.watch(prefix, Revision(after))) as events:
            async for event in events:
                found.append(event)
                if len(found) == count:
                    break
    return found


async def everything(store: Store, prefix: str = "", limit: int = MAX_PAGE, at: Revision | None = None) -> list[Entry]:
    found: list[Entry] = []
    after = ""
    while True:
        page = await store.list(prefix, after=after, limit=limit, revision=at)
        found.extend(page.entries)
        assert len(page.entries) <= limit
        if not page.more:
            return found
        after = page.entries[-1].key


# Reading and writing


async def test_an_empty_store_has_an_identity_and_nothing_else(store: Store) -> None:
    assert store.identity.epoch == 1
    assert len(store.identity.store_id) >= 16
    assert await store.get("/a") is None
    page = await store.list("")
    assert (page.entries, page.more) == ((), False)


async def test_a_value_goes_through_its_life(store: Store) -> None:
    created = await store.create("/a", b"one")
    assert await store.get("/a") == Entry("/a", b"one", created, created)
    updated = await store.update("/a", b"two", created)
    assert updated > created
    assert await store.get("/a") == Entry("/a", b"two", updated, created)
    deleted = await store.delete("/a", updated)
    assert deleted > updated
    assert await store.get("/a") is None
    again = await store.create("/a", b"three")
    assert await store.get("/a") == Entry("/a", b"three", again, again)
    assert store.revision == again


async def test_refusals_change_nothing(store: Store) -> None:
    first = await store.create("/a", b"one")
    second = await store.update("/a", b"two", first)
    before = store.revision
    with pytest.raises(KeyExists):
        await store.create("/a", b"x")
    with pytest.raises(WrongRevision) as wrong:
        await store.update("/a", b"x", first)
    assert wrong.value.current == second
    with pytest.raises(WrongRevision):
        await store.delete("/a", first)
    with pytest.raises(WrongRevision):
        await store.update("/a", b"x", Revision(0))
    with pytest.raises(KeyMissing):
        await store.update("/b", b"x", first)
    with pytest.raises(KeyMissing):
        await store.update("/b", b"x", Revision(0))
    with pytest.raises(KeyMissing):
        await store.delete("/b")
    assert store.revision == before
    assert await everything(store) == [Entry("/a", b"two", second, first)]


@pytest.mark.parametrize("key", ["", "a\0b", "x" * (MAX_KEY_BYTES + 1), "é" * (MAX_KEY_BYTES // 2 + 1), "\ud800"])
async def test_keys_out_of_bounds_are_refused(store: Store, key: str) -> None:
    with pytest.raises(OutOfBounds):
        await store.create(key, b"x")
    with pytest.raises(OutOfBounds):
        await store.get(key)
    assert await everything(store) == []


async def test_bounds_are_reached_and_not_passed(store: Store) -> None:
    key = "é" * (MAX_KEY_BYTES // 2)
    value = bytes(range(256)) * (MAX_VALUE_BYTES // 256)
    revision = await store.create(key, value)
    assert await store.get(key) == Entry(key, value, revision, revision)
    with pytest.raises(OutOfBounds):
        await store.create("/more", value + b"x")
    with pytest.raises(OutOfBounds):
        await store.update(key, value + b"x", revision)
    for limit in (0, -1, MAX_PAGE + 1):
        with pytest.raises(OutOfBounds):
            await store.list("", limit=limit)


async def test_lists_are_cut_by_prefix_in_order_and_in_pages(store: Store) -> None:
    names = ["/a", "/a/1", "/a/2", "/a/é", "/a0", "/b/1", "/b/2"]
    for name in reversed(names):
        await store.create(name, name.encode())
    assert [e.key for e in await everything(store)] == sorted(names)
    assert [e.key for e in await everything(store, "/a/")] == ["/a/1", "/a/2", "/a/é"]
    assert [e.key for e in await everything(store, "/a")] == ["/a", "/a/1", "/a/2", "/a/é", "/a0"]
    assert [e.key for e in await everything(store, "/c")] == []
    page = await store.list("/a", limit=2)
    assert ([e.key for e in page.entries], page.more) == (["/a", "/a/1"], True)
    page = await store.list("/a", after="/a/1", limit=3)
    assert ([e.key for e in page.entries], page.more) == (["/a/2", "/a/é", "/a0"], False)
    assert (await store.list("/a/", after="/a", limit=1)).entries[0].key == "/a/1"
    assert (await store.list("/a/", after="/b")).entries == ()


async def test_a_page_says_how_many_keys_remain_then_and_now(store: Store) -> None:
    revision = Revision(0)
    for number in range(9):
        revision = await store.create(f"/a/{number}", b"x")
    await store.create("/b/0", b"x")
    await store.delete("/a/3")
    await store.delete("/a/7")
    await store.create("/a/4.5", b"x")
    for at, limit, after, found, remaining in (
        (None, 3, "", ["/a/0", "/a/1", "/a/2"], 5),
        (None, 8, "", ["/a/0", "/a/1", "/a/2", "/a/4", "/a/4.5", "/a/5", "/a/6", "/a/8"], 0),
        (None, 2, "/a/4", ["/a/4.5", "/a/5"], 2),
        (revision, 3, "", ["/a/0", "/a/1", "/a/2"], 6),
        (revision, 2, "/a/2", ["/a/3", "/a/4"], 4),
        (revision, 9, "", [f"/a/{number}" for number in range(9)], 0),
        (revision, 2, "/a/6", ["/a/7", "/a/8"], 0),
    ):
        page = await store.list("/a/", after=after, limit=limit, revision=at)
        assert ([entry.key for entry in page.entries], page.remaining) == (found, remaining)


async def test_pages_of_an_older_revision_do_not_see_what_came_later(store: Store) -> None:
    for number in range(6):
        await store.create(f"/n/{number}", b"old")
    page = await store.list("/n/", limit=2)
    entry = page.entries[1]
    await store.update("/n/3", b"new", (await store.list("/n/3")).entries[0].revision)
    await store.delete("/n/4")
    await store.create("/n/35", b"new")
    rest = await store.list("/n/", after=entry.key, revision=page.revision)
    assert [(e.key, e.value) for e in rest.entries] == [(f"/n/{n}", b"old") for n in (2, 3, 4, 5)]
    assert rest.revision == page.revision
    with pytest.raises(FutureRevision):
        await store.list("/n/", revision=Revision(store.revision + 1_000_000))


async def test_writers_of_one_key_lose_no_update(store: Store) -> None:
    await store.create("/count", b"0")

    async def add(times: int) -> None:
        for _ in range(times):
            while True:
                entry = await store.get("/count")
                assert entry is not None
                try:
                    await store.update("/count", str(int(entry.value) + 1).encode(), entry.revision)
                    break
                except WrongRevision:
                    await asyncio.sleep(0)

    await asyncio.gather(*(add(10) for _ in range(8)))
    entry = await store.get("/count")
    assert entry is not None and entry.value == b"80"


async def test_one_of_many_creates_wins(store: Store) -> None:
    answers = await asyncio.gather(*(store.create("/a", str(n).encode()) for n in range(16)), return_exceptions=True)
    winners = [(n, answer) for n, answer in enumerate(answers) if isinstance(answer, int)]
    assert len(winners) == 1
    assert sum(isinstance(answer, KeyExists) for answer in answers) == 15
    entry = await store.get("/a")
    assert entry is not None and (entry.value, entry.revision) == (str(winners[0][0]).encode(), winners[0][1])


# Watching


async def test_a_watch_tells_each_write_with_what_was_before(store: Store) -> None:
    start = store.revision
    r1 = await store.create("/a", b"1")
    r2 = await store.update("/a", b"2", r1)
    r3 = await store.delete("/a")
    r4 = await store.create("/a", b"4")
    assert await take(store, "/a", start, 4) == [
        Event(EventKind.PUT, "/a", b"1", r1, r1, None),
        Event(EventKind.PUT, "/a", b"2", r2, r1, b"1"),
        Event(EventKind.DELETE, "/a", b"2", r3, r1, b"2"),
        Event(EventKind.PUT, "/a", b"4", r4, r4, None),
    ]


async def test_a_watch_sees_only_its_prefix_and_only_the_future_of_its_revision(store: Store) -> None:
    await store.create("/a/old", b"x")
    at = store.revision
    async with asyncio.timeout(DEADLINE), aclosing(store.watch("/a/", at)) as events:
        first = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await store.create("/b/1", b"x")
        await store.create("/a", b"x")
        await store.create("/a/1", b"x")
        assert (await first).key == "/a/1"
        await store.create("/c", b"x")
        await store.create("/a/2", b"x")
        assert (await anext(events)).key == "/a/2"


async def test_an_event_is_in_the_store_when_it_is_told(store: Store) -> None:
    async with asyncio.timeout(DEADLINE), aclosing(store.watch("/", store.revision)) as events:
        writer = asyncio.ensure_future(store.create("/a", b"1"))
        event = await anext(events)
        entry = await store.get("/a")
        assert entry is not None and entry.revision == event.revision
        assert await writer == event.revision


async def test_a_watch_that_keeps_up_has_told_all_that_came_before(store: Store, backend: Backend) -> None:
    """Who reads `revision` and lets the loop turn knows what every waiting watch has told, where the store says so."""
    assert store.watches_keep_up is (backend.kind != "etcd")
    if not store.watches_keep_up:
        return
    told: list[list[int]] = [[], []]

    async def watch(prefix: str, into: list[int]) -> None:
        async with aclosing(store.watch(prefix, store.revision)) as events:
            async for event in events:
                into.append(event.revision)

    watching = [asyncio.ensure_future(watch("/", told[0])), asyncio.ensure_future(watch("/a/", told[1]))]
    await asyncio.sleep(0)
    start = store.revision
    writing = asyncio.gather(*(store.create(f"/{'ab'[n % 2]}/{n}", b"x") for n in range(40)))
    async with asyncio.timeout(DEADLINE):
        while not writing.done():
            await asyncio.sleep(0)
            reached = store.revision
            await asyncio.sleep(0)
            assert told[0] == list(range(start + 1, told[0][-1] + 1 if told[0] else start + 1))
            assert (told[0][-1] if told[0] else start) >= reached
    written = sorted(await writing)
    await asyncio.sleep(0)
    assert told[0] == written
    assert len(told[1]) == 20
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)


async def test_many_watchers_each_get_everything(store: Store) -> None:
    start = store.revision
    takers = [asyncio.ensure_future(take(store, f"/{n % 3}/", start, 20)) for n in range(30)]
    for number in range(20):
        for group in range(3):
            await store.create(f"/{group}/{number:03}", b"x")
    for number, events in enumerate(await asyncio.gather(*takers)):
        assert [e.key for e in events] == [f"/{number % 3}/{n:03}" for n in range(20)]


async def test_a_watch_from_compacted_history_says_so_at_its_first_step(store: Store) -> None:
    revisions = [await store.create(f"/{n}", b"x") for n in range(10)]
    await store.compact(revisions[5])
    with pytest.raises(Compacted) as gone:
        await take(store, "/", revisions[4], 1)
    assert gone.value.oldest == revisions[5]
    with pytest.raises(Compacted) as gone:
        await store.list("/", revision=revisions[4])
    assert gone.value.oldest == revisions[5]
    assert [e.revision for e in await take(store, "/", revisions[5], 4)] == revisions[6:]
    assert [e.revision for e in await everything(store, at=revisions[5])] == revisions[:6]
    assert len(await everything(store)) == 10


async def test_events_after_compaction_still_know_what_was_before(store: Store) -> None:
    r1 = await store.create("/a", b"1")
    r2 = await store.update("/a", b"2", r1)
    await store.compact(r2)
    r3 = await store.update("/a", b"3", r2)
    await store.delete("/a")
    put, gone = await take(store, "/a", r2, 2)
    assert (put.revision, put.previous, put.created) == (r3, b"2", r1)
    assert (gone.value, gone.previous, gone.created) == (b"3", b"3", r1)


async def test_compaction_reaches_at_most_the_present_and_may_repeat(store: Store) -> None:
    first = await store.create("/a", b"1")
    second = await store.update("/a", b"2", first)
    await store.compact(Revision(second + 1_000))
    await store.compact(second)
    await store.compact(first)
    await store.compact(Revision(0))
    assert [e.value for e in await everything(store, at=second)] == [b"2"]
    third = await store.update("/a", b"3", second)
    assert [e.revision for e in await take(store, "/a", second, 1)] == [third]


async def test_a_watch_of_many_writers_at_once_replays_to_the_same_state(store: Store) -> None:
    start = store.revision
    last: list[Revision] = []

    async def write(writer: int) -> None:
        for step in range(15):
            key = f"/{(writer + step) % 6}"
            entry = await store.get(key)
            value = f"{writer}.{step}".encode()
            with contextlib.suppress(KeyExists, KeyMissing, WrongRevision):
                if entry is None:
                    last.append(await store.create(key, value))
                elif step % 5 == 4:
                    last.append(await store.delete(key, entry.revision))
                else:
                    last.append(await store.update(key, value, entry.revision))

    watching = asyncio.ensure_future(_until_end(store, start))
    await asyncio.gather(*(write(writer) for writer in range(8)))
    last.append(await store.create("/end", b"x"))
    events = await watching
    assert [event.revision for event in events] == sorted(last)
    replayed: dict[str, tuple[bytes, int, int]] = {}
    for event in events:
        before = replayed.pop(event.key, None)
        assert (before[0] if before else None) == event.previous
        if event.kind is EventKind.PUT:
            replayed[event.key] = (event.value, event.revision, event.created)
    assert replayed == {e.key: (e.value, e.revision, e.created) for e in await everything(store)}


async def _until_end(store: Store, start: int) -> list[Event]:
    found: list[Event] = []
    async with asyncio.timeout(DEADLINE), aclosing(store.watch("/", Revision(start))) as events:
        async for event in events:
            found.append(event)
            if event.key == "/end":
                break
    return found


async def test_an_idle_watch_outlives_compaction(store: Store) -> None:
    start = store.revision
    await store.create("/idle/1", b"x")
    async with asyncio.timeout(DEADLINE), aclosing(store.watch("/idle/", start)) as events:
        assert (await anext(events)).key == "/idle/1"
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        for number in range(20):
            await store.create(f"/busy/{number}", b"x")
        await store.compact(store.revision)
        await store.create("/idle/2", b"x")
        assert (await waiting).key == "/idle/2"


# Leases and identity


async def test_a_lease_has_one_holder_until_it_runs_out(store: Store, backend: Backend) -> None:
    mine = await store.acquire("leader", "me", 30)
    assert (mine.holder, mine.term) == ("me", 1)
    assert await store.acquire("leader", "you", 30) == mine
    assert await store.acquire("leader", "me", 30) == mine
    assert await store.acquire("leader", "me", 2) == mine

    async def yours() -> bool:
        return (await store.acquire("leader", "you", 30)).holder == "you"

    await backend.pass_time(2.1, yours)
    assert (await store.acquire("leader", "me", 30)) == await store.acquire("leader", "you", 30)
    assert (await store.acquire("leader", "you", 30)).term == 2


async def test_a_lapsed_lease_is_taken_anew_by_its_old_holder_too(store: Store, backend: Backend) -> None:
    assert (await store.acquire("leader", "me", 1)).term == 1

    async def lapsed() -> bool:
        # a renewal by itself would keep it alive where time is real, so ask as a stranger and give it back
        taken = (await store.acquire("leader", "stranger", 30)).holder == "stranger"
        if taken:
            await store.release("leader", "stranger")
        return taken

    await backend.pass_time(1.1, lapsed)
    assert (await store.acquire("leader", "me", 1)).term == 3


async def test_only_the_holder_releases(store: Store) -> None:
    await store.acquire("leader", "me", 60)
    await store.release("leader", "you")
    await store.release("nothing", "you")
    assert (await store.acquire("leader", "you", 60)).holder == "me"
    await store.release("leader", "me")
    await store.release("leader", "me")
    taken = await store.acquire("leader", "you", 60)
    assert (taken.holder, taken.term) == ("you", 2)


async def test_of_many_who_ask_one_holds(store: Store) -> None:
    answers = await asyncio.gather(*(store.acquire("leader", f"h{n}", 60) for n in range(12)))
    assert len({answer.holder for answer in answers}) == 1
    assert {answer.term for answer in answers} == {1}


async def test_leases_leave_no_trace_among_the_keys(store: Store) -> None:
    at = await store.create("/a", b"x")
    await store.acquire("leader", "me", 60)
    renewed = (await store.list("")).revision
    for _ in range(5):
        await store.acquire("leader", "me", 60)
    assert (await store.list("")).revision == renewed
    await store.release("leader", "me")
    after = await store.create("/b", b"x")
    assert [e.revision for e in await take(store, "", at, 1)] == [after]
    assert [e.key for e in await everything(store)] == ["/a", "/b"]


@pytest.mark.parametrize(("name", "holder", "seconds"), [("", "me", 1), ("x", "", 1), ("x", "me", 0), ("x", "me", -1)])
async def test_senseless_leases_are_refused(store: Store, name: str, holder: str, seconds: float) -> None:
    with pytest.raises(OutOfBounds):
        await store.acquire(name, holder, seconds)


async def test_the_epoch_moves_and_the_store_id_does_not(store: Store) -> None:
    before = store.identity
    after = await store.bump_epoch()
    assert after == store.identity
    assert (after.store_id, after.epoch) == (before.store_id, before.epoch + 1)
    assert (await store.list("")).entries == ()


async def test_after_close_everything_says_so(store: Store) -> None:
    await store.create("/a", b"x")
    waiting = asyncio.ensure_future(take(store, "/", store.revision, 1))
    for _ in range(5):
        await asyncio.sleep(0)
    await store.close()
    await store.close()
    with pytest.raises(StoreClosed):
        await waiting
    for call in (
        store.get("/a"),
        store.list(""),
        store.create("/b", b"x"),
        store.update("/a", b"x", Revision(1)),
        store.delete("/a"),
        store.compact(Revision(1)),
        store.acquire("l", "h", 1),
        store.release("l", "h"),
        store.bump_epoch(),
        take(store, "/", 0, 1),
    ):
        with pytest.raises(StoreClosed):
            await call


# Any sequence of operations, against a model of a few lines

KEYS = ("/a", "/a/1", "/a/2", "/ab", "/b/1", "/b/é", "/c")
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(("create", "create", "update", "update", "delete", "stale", "blind", "compact")),
        st.sampled_from(KEYS),
        st.binary(max_size=6),
    ),
    max_size=40,
)


@dataclass
class Model:
    """What the store must look like."""

    began: int
    present: dict[str, Entry] = field(default_factory=dict)
    past: list[tuple[Revision, dict[str, Entry]]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    oldest: int = 0
    """Nothing older may be asked for; at first the revision the store began at."""

    def put(self, key: str, value: bytes, revision: Revision) -> None:
        old = self.present.get(key)
        created = revision if old is None else old.created
        self.present[key] = Entry(key, value, revision, created)
        self._remember(Event(EventKind.PUT, key, value, revision, created, None if old is None else old.value))

    def drop(self, key: str, revision: Revision) -> None:
        old = self.present.pop(key)
        self._remember(Event(EventKind.DELETE, key, old.value, revision, old.created, old.value))

    def _remember(self, event: Event) -> None:
        assert not self.events or event.revision > self.events[-1].revision
        self.events.append(event)
        self.past.append((event.revision, dict(self.present)))


async def _do(store: Store, model: Model, operation: str, key: str, value: bytes) -> None:
    """One operation on both; they must agree on what it does."""
    entry = model.present.get(key)
    if operation == "create":
        if entry is None:
            model.put(key, value, await store.create(key, value))
        else:
            with pytest.raises(KeyExists):
                await store.create(key, value)
    elif operation == "compact":
        if model.events:
            model.oldest = max(model.oldest, model.events[len(model.events) * 2 // 3].revision)
            await store.compact(Revision(model.oldest))
    elif entry is None:
        with pytest.raises(KeyMissing):
            await (store.update(key, value, Revision(1)) if operation == "update" else store.delete(key))
    elif operation == "stale":
        with pytest.raises(WrongRevision):
            await store.update(key, value, Revision(entry.revision - 1))
    elif operation == "update":
        model.put(key, value, await store.update(key, value, entry.revision))
    else:
        model.drop(key, await store.delete(key, entry.revision if operation == "delete" else None))


async def _agree(store: Store, model: Model) -> None:
    """Every read, and every resume after each single event, says what the model says."""
    assert {e.key: e for e in await everything(store, limit=2)} == model.present
    assert [e.key for e in await everything(store)] == sorted(model.present)
    for revision, present in model.past:
        if revision >= model.oldest:
            at = await everything(store, "/a", limit=3, at=revision)
            assert at == [present[key] for key in sorted(present) if key.startswith("/a")]
    starts = [model.began, *(event.revision for event in model.events)]
    for prefix in ("", "/a/", "/b/"):
        for start in starts:
            if start < model.oldest:
                continue
            wanted = [e for e in model.events if e.revision > start and e.key.startswith(prefix)]
            assert await take(store, prefix, start, len(wanted)) == wanted


@pytest.mark.parametrize("kind", BACKENDS)
def test_any_sequence_of_operations_agrees_with_the_model(kind: str, request: pytest.FixtureRequest) -> None:
    server = cast(EtcdServer, request.getfixturevalue("etcd")) if kind == "etcd" else None

    @settings(
        max_examples={"memory": 100, "sqlite": 30, "sqlite-inline": 30, "etcd": 15}[kind],
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=True,
    )
    @given(OPERATIONS)
    def run(operations: list[tuple[str, str, bytes]]) -> None:
        async def both() -> None:
            with tempfile.TemporaryDirectory() as folder:
                if server is not None:
                    opening: Awaitable[Store] = _etcd(server)
                elif kind.startswith("sqlite"):
                    opening = _sqlite(kind, Path(folder) / "store.db", VirtualClock())
                else:
                    opening = _memory(VirtualClock())
                async with _closing(opening) as store:
                    model = Model(store.revision, oldest=store.revision)
                    for operation, key, value in operations:
                        await _do(store, model, operation, key, value)
                    await _agree(store, model)

        asyncio.run(both())

    run()


def test_seeded_stores_get_different_identities_from_different_seeds() -> None:
    assert MemoryStore(SeededEntropy(1)).identity != MemoryStore(SeededEntropy(2)).identity
    assert MemoryStore(SeededEntropy(1)).identity == MemoryStore(SeededEntropy(1)).identity
