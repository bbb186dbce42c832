"""One suite for every journal of log events: on disk and in memory."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ropewalk.services.logs.journal import FIRST, LAST, Journal, Query, Source, StreamMissing
from ropewalk.services.logs.memory_journal import MemoryJournal
from ropewalk.services.logs.sqlite_journal import SqliteJournal

END = 1 << 60


@pytest.fixture(params=["memory", "sqlite"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    made: Journal = MemoryJournal()
    if request.param == "sqlite":
        made = await SqliteJournal.open(tmp_path / "logs" / "events.sqlite")
    yield made
    await made.close()


def query(group: str = "g", limit: int = 10_000, size: int = 1 << 20, **more: object) -> Query:
    backward = bool(more.get("backward"))
    fields: dict[str, object] = {"start": 0, "end": END, "after": LAST if backward else FIRST, **more}
    return Query(group=group, limit=limit, bytes=size, **fields)  # type: ignore[arg-type]  # fields by name


async def messages(journal: Journal, **more: object) -> list[str]:
    return [event.message for event in (await journal.search(query(**more))).events]


async def test_streams_come_and_go(journal: Journal) -> None:
    assert await journal.create_stream("g", "s", 1) and not await journal.create_stream("g", "s", 2)
    stream = await journal.stream("g", "s")
    assert stream is not None and (stream.created, stream.last, stream.bytes) == (1, None, 0)
    await journal.append("g", "s", [(5, "a"), (7, "é")], 10)
    stream = await journal.stream("g", "s")
    assert stream is not None
    assert (stream.first, stream.last, stream.ingested, stream.bytes) == (5, 7, 10, 3 + 2 * 26)
    assert await journal.stored_bytes(["g", "none"]) == {"g": 55}
    assert await journal.delete_stream("g", "s") and not await journal.delete_stream("g", "s")
    assert await messages(journal) == [] and await journal.stream("g", "s") is None
    with pytest.raises(StreamMissing):
        await journal.append("g", "s", [(1, "x")], 1)


async def test_streams_are_listed_by_name_and_by_time(journal: Journal) -> None:
    for number, name in enumerate(["b", "a/2", "a/1", "c"]):
        await journal.create_stream("g", name, 1)
        if name != "c":
            await journal.append("g", name, [(number + 1, "x")], 9)
    await journal.create_stream("other", "a/0", 1)
    by_name = [s.name for s in await journal.streams("g", "", "", 10, False)]
    assert by_name == ["a/1", "a/2", "b", "c"]
    assert [s.name for s in await journal.streams("g", "a/", "", 10, False)] == ["a/1", "a/2"]
    assert [s.name for s in await journal.streams("g", "a/", "a/1", 10, False)] == ["a/2"]
    assert [s.name for s in await journal.streams("g", "", "b", 10, True)] == ["a/2", "a/1"]
    assert [s.name for s in await journal.streams("g", "", "", 1, True)] == ["c"]
    assert [s.name for s in await journal.streams_by_time("g", None, 10, True)] == ["a/1", "a/2", "b", "c"]
    assert [s.name for s in await journal.streams_by_time("g", (2, "a/2"), 10, True)] == ["b", "c"]
    assert [s.name for s in await journal.streams_by_time("g", (-1, "c"), 10, False)] == ["b", "a/2", "a/1"]


async def test_a_search_goes_either_way_and_page_by_page(journal: Journal) -> None:
    for stream in ("s", "t"):
        await journal.create_stream("g", stream, 0)
    await journal.append("g", "s", [(3, "c"), (1, "a"), (3, "d")], 10)
    await journal.append("g", "t", [(2, "b"), (4, "e")], 10)
    assert await messages(journal) == ["a", "b", "c", "d", "e"]
    assert await messages(journal, backward=True) == ["e", "d", "c", "b", "a"]
    assert await messages(journal, streams=frozenset({"s"})) == ["a", "c", "d"]
    assert await messages(journal, prefix="s") == ["a", "c", "d"]
    assert await messages(journal, prefix="x") == []
    assert await messages(journal, start=2, end=3) == ["b", "c", "d"]
    assert await messages(journal, matches=lambda text: text in "ae") == ["a", "e"]
    for backward in (False, True):
        seen: list[str] = []
        place = LAST if backward else FIRST
        while True:
            scan = await journal.search(query(limit=2, backward=backward, after=place))
            seen.extend(event.message for event in scan.events)
            if scan.reached is None:
                break
            place = scan.reached
        assert seen == (list("edcba") if backward else list("abcde"))


async def test_a_step_is_bounded_by_bytes_and_by_budget(journal: Journal) -> None:
    await journal.create_stream("g", "s", 0)
    await journal.append("g", "s", [(i, "x" * 74) for i in range(10)], 10)
    scan = await journal.search(query(size=350))
    assert len(scan.events) == 3 and scan.reached is not None
    assert len((await journal.search(query(size=1))).events) == 1
    scan = await journal.search(query(budget=4, matches=lambda text: False))
    assert scan.events == () and scan.reached is not None and scan.reached.timestamp == 3


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from("stu")), max_size=30),
    st.integers(1, 5),
    st.booleans(),
    st.sampled_from([None, frozenset("s"), frozenset("tu")]),
)
async def test_pages_join_to_the_whole(
    journal: Journal, events: list[tuple[int, str]], limit: int, backward: bool, streams: frozenset[str] | None
) -> None:
    await journal.delete_group("g")
    for name in "stu":
        await journal.create_stream("g", name, 0)
    for number, (timestamp, name) in enumerate(events):
        await journal.append("g", name, [(timestamp, str(number))], number)
    numbered = [
        (timestamp, number) for number, (timestamp, name) in enumerate(events) if not streams or name in streams
    ]
    expected = [str(number) for _, number in sorted(numbered, reverse=backward)]
    seen: list[str] = []
    place = LAST if backward else FIRST
    while True:
        scan = await journal.search(query(limit=limit, backward=backward, after=place, streams=streams, budget=7))
        seen.extend(event.message for event in scan.events)
        if scan.reached is None:
            break
        place = scan.reached
    assert seen == expected


async def test_a_sources_batch_is_taken_once(journal: Journal) -> None:
    await journal.create_stream("g", "s", 0)
    assert await journal.position("w", "c") is None
    first = Source("w", "c", 0, 10)
    for _ in range(2):
        assert await journal.append("g", "s", [(1, "a")], 5, first) == 10
    overlapping = Source("w", "c", 5, 15)
    assert await journal.append("g", "s", [(1, "a"), (2, "b")], 5, overlapping) == 10
    assert await journal.append("g", "s", [(2, "b")], 5, Source("w", "c", 10, 15)) == 15
    assert await journal.append("g", "s", [(9, "z")], 5, Source("w", "c", 20, 25)) == 25, "a gap is not waited for"
    assert await journal.append("g", "s", [(3, "other")], 5, Source("w", "d", 0, 1)) == 1
    assert await messages(journal) == ["a", "b", "other", "z"]
    assert await journal.position("w", "c") == 25


async def test_what_expires_is_gone(journal: Journal) -> None:
    for group in ("g", "h"):
        await journal.create_stream(group, "s", 0)
        await journal.append(group, "s", [(i, "m") for i in range(10)], 10)
    assert await journal.expire("g", 6, 4) == 4
    assert await journal.expire("g", 6, 4) == 2
    assert await journal.expire("g", 6, 4) == 0
    assert len(await messages(journal)) == 4 and len(await messages(journal, group="h")) == 10
    assert (await journal.stored_bytes(["g"]))["g"] == 4 * 27


async def test_what_belongs_to_no_group_is_forgotten_in_time(journal: Journal) -> None:
    for group, now in (("kept", 1), ("old", 1), ("young", 100)):
        await journal.create_stream(group, "s", now)
        await journal.append(group, "s", [(1, "m")], now, Source(group, "c", 0, 1))
    await journal.forget(frozenset({"kept"}), 50)
    assert [bool(await messages(journal, group=group)) for group in ("kept", "old", "young")] == [True, False, True]
    assert await journal.position("old", "c") is None and await journal.position("young", "c") == 1


async def test_writers_at_once_each_get_their_answer(journal: Journal) -> None:
    await journal.create_stream("g", "s", 0)

    async def write(number: int) -> int:
        return await journal.append("g", "s", [(number, str(number))], number, Source(f"w{number}", "c", 0, number + 1))

    missing = journal.append("g", "none", [(1, "x")], 1)
    *positions, failure = await asyncio.gather(*(write(i) for i in range(200)), missing, return_exceptions=True)
    assert positions == [i + 1 for i in range(200)] and isinstance(failure, StreamMissing)
    assert len(await messages(journal)) == 200


async def test_the_disk_remembers(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    journal = await SqliteJournal.open(path)
    await journal.create_stream("g", "s", 0)
    await journal.append("g", "s", [(1, "a")], 1, Source("w", "c", 0, 5))
    await journal.close()
    await journal.close()
    with pytest.raises(RuntimeError):
        await journal.stream("g", "s")
    again = await SqliteJournal.open(path)
    assert await messages(again) == ["a"] and await again.position("w", "c") == 5
    await again.close()


async def test_what_is_deleted_leaves_the_disk_too(tmp_path: Path) -> None:
    journal = await SqliteJournal.open(tmp_path / "events.sqlite")
    for stream in ("a", "b", "c"):
        await journal.create_stream("g", stream, 0)
        await journal.append("g", stream, [(i, "m") for i in range(7000)], 1)
    assert await journal.delete_stream("g", "a")
    assert len(await messages(journal)) == 10_000
    await journal.delete_group("g")
    assert await messages(journal) == []

    def left(connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])

    async with asyncio.timeout(20):
        while await journal._read(left):
            pass
    await journal.close()


async def test_memory_gives_way() -> None:
    journal = MemoryJournal(kept=3)
    await journal.create_stream("g", "s", 0)
    await journal.append("g", "s", [(i, str(i)) for i in range(5)], 1)
    assert await messages(journal) == ["2", "3", "4"]


async def test_a_prefix_may_mean_any_number_of_streams(journal: Journal) -> None:
    for number in range(12):
        for name in (f"a/{number:02}", f"b/{number:02}"):
            await journal.create_stream("g", name, 0)
            await journal.append("g", name, [(number, name)], 10)
    expected = [f"a/{number:02}" for number in range(12)]
    seen: list[str] = []
    place = FIRST
    while True:
        scan = await journal.search(query(limit=5, after=place, prefix="a/", budget=9))
        seen += [event.message for event in scan.events]
        if scan.reached is None:
            break
        place = scan.reached
    assert seen == expected
    assert await messages(journal, prefix="a/1") == ["a/10", "a/11"]
