"""Typed records over a store."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from ropewalk.base.entropy import SeededEntropy
from ropewalk.base.errors import Retryable
from ropewalk.runtime.table import Table, Versioned
from ropewalk.store.memory import MemoryStore
from ropewalk.store.protocol import KeyExists, Revision, WrongRevision


class Record(msgspec.Struct, frozen=True):
    number: int
    text: str = ""


@pytest.fixture
def table() -> Table[Record]:
    return Table(MemoryStore(SeededEntropy(1)), "/records/", Record)


async def test_records_go_in_and_out(table: Table[Record]) -> None:
    revision = await table.create("a/1", Record(1, "é"))
    assert await table.find("a/1") == Versioned("a/1", Record(1, "é"), revision)
    assert await table.get("a/2") is None
    with pytest.raises(KeyExists):
        await table.create("a/1", Record(2))
    later = await table.update("a/1", Record(2), revision)
    with pytest.raises(WrongRevision):
        await table.update("a/1", Record(3), revision)
    await table.put("b/1", Record(9))
    await table.put("b/1", Record(10))
    assert [item.key for item in await table.list()] == ["a/1", "b/1"]
    assert list(await table.records("b/")) == [Record(10)]
    with pytest.raises(WrongRevision):
        await table.delete("a/1", revision)
    assert await table.delete("a/1", later)
    assert not await table.delete("a/1")


async def test_mutate_applies_every_change_of_many_writers(table: Table[Record]) -> None:
    await table.create("a", Record(0))

    async def add() -> None:
        for _ in range(20):
            await table.mutate("a", lambda record: msgspec.structs.replace(record, number=record.number + 1))
            await asyncio.sleep(0)

    await asyncio.gather(*(add() for _ in range(5)))
    assert await table.get("a") == Record(100)


async def test_mutate_leaves_alone_what_is_not_changed_or_not_there(table: Table[Record]) -> None:
    await table.create("a", Record(1))
    at = table.store.revision
    assert await table.mutate("a", lambda record: None) == Record(1)
    assert await table.mutate("a", lambda record: Record(1)) == Record(1)
    assert await table.mutate("b", lambda record: Record(1)) is None
    assert table.store.revision == at


async def test_mutate_gives_up_on_a_record_that_never_rests(table: Table[Record]) -> None:
    class Restless(MemoryStore):
        async def update(self, key: str, value: bytes, expected: Revision) -> Revision:
            raise WrongRevision(key, expected, expected + 1)

    restless = Table(Restless(SeededEntropy(1)), "/records/", Record)
    await restless.create("a", Record(1))
    with pytest.raises(Retryable):
        await restless.mutate("a", lambda record: Record(2))
    with pytest.raises(Retryable):
        await restless.put("a", Record(2))


async def test_a_table_longer_than_a_page_is_whole(table: Table[Record]) -> None:
    for number in range(10_050):
        await table.create(f"{number:05}", Record(number))
    assert [item.record.number for item in await table.list()] == list(range(10_050))


@pytest.mark.parametrize("prefix", ["records/", "/records", ""])
def test_a_prefix_has_its_slashes(prefix: str) -> None:
    with pytest.raises(ValueError, match="slash"):
        Table(MemoryStore(SeededEntropy(1)), prefix, Record)
