"""What the in-process backends add to the contract: bounded history, bounded watchers."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.store import watching
from ropewalk.store.keyspace import Retention
from ropewalk.store.memory import MemoryStore
from ropewalk.store.protocol import Compacted, Revision


async def churn(store: MemoryStore, times: int, value: bytes = b"x" * 10) -> None:
    for _ in range(times):
        entry = await store.get("/churn")
        if entry is None:
            await store.create("/churn", value)
        else:
            await store.update("/churn", value, entry.revision)


async def test_history_is_bounded_by_count() -> None:
    store = MemoryStore(SeededEntropy(1), retention=Retention(events=100, slack=20))
    await churn(store, 1_000)
    assert 100 <= store._keys.kept <= 121
    with pytest.raises(Compacted) as gone:
        await anext(store.watch("/", Revision(500)))
    assert gone.value.oldest == 1_000 - store._keys.kept


async def test_history_is_bounded_by_bytes() -> None:
    store = MemoryStore(SeededEntropy(1), retention=Retention(bytes=100_000))
    await churn(store, 1_000, b"x" * 1_000)
    assert 50 <= store._keys.kept <= 101


async def test_history_is_bounded_by_age() -> None:
    clock = VirtualClock()
    store = MemoryStore(SeededEntropy(1), clock=clock, retention=Retention(seconds=60, slack=10))
    await churn(store, 100)
    await clock.advance(61)
    await churn(store, 3)
    assert store._keys.kept == 3
    assert (await store.get("/churn")) is not None


async def test_a_laggard_catches_up_from_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "BUFFER", 8)
    store = MemoryStore(SeededEntropy(1))
    async with aclosing(store.watch("/", Revision(0))) as events:
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await churn(store, 100)
        seen = [(await waiting).revision, *[(await anext(events)).revision for _ in range(99)]]
        assert seen == list(range(1, 101))


async def test_a_laggard_beyond_history_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "BUFFER", 8)
    store = MemoryStore(SeededEntropy(1), retention=Retention(events=50, slack=5))
    async with aclosing(store.watch("/", Revision(0))) as events:
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await churn(store, 500)
        with pytest.raises(Compacted):
            await waiting


async def test_a_watcher_holds_at_most_its_buffer_and_goes_when_closed() -> None:
    store = MemoryStore(SeededEntropy(1))
    await store.create("/first", b"x")
    events = store.watch("/", Revision(0))
    assert (await anext(events)).key == "/first"
    (watcher,) = store._keys.watchers._by_prefix["/"]
    for number in range(3 * watching.BUFFER):
        await store.create(f"/{number}", b"x")
        assert len(watcher.pending) <= watching.BUFFER
    await events.aclose()
    assert len(store._keys.watchers) == 0


async def test_an_idle_watcher_thrown_back_resumes_where_it_was_not_where_it_last_spoke(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "BUFFER", 8)
    store = MemoryStore(SeededEntropy(1), retention=Retention(events=50, slack=5))
    async with aclosing(store.watch("/idle/", Revision(0))) as events:
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await churn(store, 500)  # history after revision 0 is long gone, but nothing of it was for this watcher
        for number in range(20):
            await store.create(f"/idle/{number:02}", b"x")
        seen = [(await waiting).key, *[(await anext(events)).key for _ in range(19)]]
        assert seen == [f"/idle/{number:02}" for number in range(20)]


async def test_a_watch_from_the_future_waits_for_it() -> None:
    store = MemoryStore(SeededEntropy(1))
    async with aclosing(store.watch("/", Revision(3))) as events:
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await churn(store, 5)
        assert (await waiting).revision == 4
