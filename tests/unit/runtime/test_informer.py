"""The informer over a memory store."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.runtime.informer import Change, Informer
from ropewalk.runtime.table import Table
from ropewalk.store import watching
from ropewalk.store.memory import MemoryStore


class Record(msgspec.Struct, frozen=True):
    number: int


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def table(clock: VirtualClock) -> Table[Record]:
    return Table(MemoryStore(SeededEntropy(1), clock=clock), "/records/", Record)


@asynccontextmanager
async def running(informer: Informer[Record]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(informer.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_cache_follows_the_table(table: Table[Record], clock: VirtualClock) -> None:
    await table.create("b/1", Record(1))
    await table.create("a/1", Record(2))
    informer = Informer(table, clock)
    seen: list[Change[Record]] = []
    informer.on_change(seen.append)
    assert not informer.is_synced
    async with running(informer):
        await informer.synced()
        assert informer.items() == [("a/1", Record(2)), ("b/1", Record(1))]
        await table.put("a/1", Record(3))
        await table.put("a/1", Record(3))  # the same again is no change of content
        await table.create("a/2", Record(4))
        await table.delete("b/1")
        await table.store.create("/elsewhere/x", b"{}")
        await clock.settle()
        assert informer.items("a/") == [("a/1", Record(3)), ("a/2", Record(4))]
        assert informer.get("b/1") is None and len(informer) == 2
    assert seen == [
        Change("a/1", None, Record(2)),
        Change("b/1", None, Record(1)),
        Change("a/1", Record(2), Record(3)),
        Change("a/2", None, Record(4)),
        Change("b/1", Record(1), None),
    ]


async def test_a_late_handler_hears_what_is_there(table: Table[Record], clock: VirtualClock) -> None:
    await table.create("a", Record(1))
    informer = Informer(table, clock)
    async with running(informer):
        await informer.synced()
        seen: list[Change[Record]] = []
        informer.on_change(seen.append)
        assert seen == [Change("a", None, Record(1))]


async def test_a_handler_that_fails_stops_nobody(table: Table[Record], clock: VirtualClock) -> None:
    informer = Informer(table, clock)
    seen: list[str] = []

    def fails(change: Change[Record]) -> None:
        raise RuntimeError("broken handler")

    informer.on_change(fails)
    informer.on_change(lambda change: seen.append(change.key))
    async with running(informer):
        await informer.synced()
        await table.create("a", Record(1))
        await table.create("b", Record(1))
        await clock.settle()
    assert seen == ["a", "b"]


async def test_one_bad_record_blinds_nobody(table: Table[Record], clock: VirtualClock) -> None:
    await table.store.create("/records/bad", b'{"number": "x"}')
    informer = Informer(table, clock)
    async with running(informer):
        await informer.synced()
        await table.store.create("/records/worse", b"\xff")
        await table.create("good", Record(1))
        await clock.settle()
        assert informer.items() == [("good", Record(1))]


async def test_after_a_lost_history_the_difference_is_told(
    table: Table[Record], clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "BUFFER", 4)
    for number in range(3):
        await table.create(f"{number}", Record(number))
    informer = Informer(table, clock)
    seen: list[Change[Record]] = []
    async with running(informer):
        await informer.synced()
        await clock.settle()
        informer.on_change(seen.append)
        seen.clear()
        # all of this happens before the informer's task runs once, so its buffer overflows
        await table.delete("0")
        await table.put("1", Record(10))
        for number in range(100, 120):
            await table.create(f"{number}", Record(number))
        await table.store.compact(table.store.revision)
        await clock.settle()
        assert dict(informer.items()) == {v.key: v.record for v in await table.list()}
    assert seen[:2] == [Change("0", Record(0), None), Change("1", Record(1), Record(10))]
    assert len(seen) == 22


async def test_a_restart_keeps_the_cache_and_tells_only_differences(table: Table[Record], clock: VirtualClock) -> None:
    await table.create("a", Record(1))
    await table.create("b", Record(1))
    informer = Informer(table, clock)
    seen: list[Change[Record]] = []
    async with running(informer):
        await informer.synced()
    informer.on_change(seen.append)
    seen.clear()
    await table.delete("a")
    async with running(informer):
        await clock.settle()
    assert seen == [Change("a", Record(1), None)]


async def test_random_writes_end_in_the_same_place(table: Table[Record], clock: VirtualClock) -> None:
    source = random.Random(5)
    informer = Informer(table, clock)
    mirror: dict[str, Record] = {}

    def follow(change: Change[Record]) -> None:
        assert mirror.get(change.key) == change.old
        if change.new is None:
            del mirror[change.key]
        else:
            mirror[change.key] = change.new

    informer.on_change(follow)
    async with running(informer):
        for number in range(2_000):
            key = str(source.randrange(50))
            if source.random() < 0.3:
                await table.delete(key)
            else:
                await table.put(key, Record(number))
            if source.random() < 0.2:
                await asyncio.sleep(0)
            if source.random() < 0.01:
                await table.store.compact(table.store.revision)
        await clock.settle()
    assert mirror == dict(informer.items()) == {v.key: v.record for v in await table.list()}


async def test_twenty_thousand_records_are_cheap(table: Table[Record], clock: VirtualClock) -> None:
    for number in range(20_000):
        await table.create(f"cluster/{number:06}", Record(number))
    tracemalloc.start()
    try:
        informer = Informer(table, clock)
        async with running(informer):
            await informer.synced()
            held, _ = tracemalloc.get_traced_memory()
            assert len(informer) == 20_000
    finally:
        tracemalloc.stop()
    assert held / 20_000 < 400, "bytes a record beside the record's own"
