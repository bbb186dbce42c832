"""How writes become groups: one wait for the disk for all who write at once, and no row lost between groups."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from ropewalk.base.entropy import SystemEntropy
from ropewalk.store.sqlite import SqliteStore
from ropewalk.store.sqlite_writer import Committer, Work

ENTROPY = SystemEntropy()


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Of the groups committed."""
    seen: list[int] = []
    commit = Committer.commit

    def counting(committer: Committer, group: Sequence[Work]) -> Exception | None:
        seen.append(len(group))
        return commit(committer, group)

    monkeypatch.setattr(Committer, "commit", counting)
    return seen


async def test_what_one_turn_of_the_loop_writes_is_one_group(tmp_path: Path, sizes: list[int]) -> None:
    store = await SqliteStore.open(tmp_path / "store.db", ENTROPY)
    await asyncio.gather(*(store.create(f"/o/{number:04}", b"x") for number in range(300)))
    assert sizes == [300]
    await store.close()


async def test_what_comes_meanwhile_is_the_next(tmp_path: Path, sizes: list[int]) -> None:
    store = await SqliteStore.open(tmp_path / "store.db", ENTROPY)

    async def write(number: int) -> None:
        for turn in range(4):
            await store.create(f"/o/{number:04}/{turn}", b"x")

    await asyncio.gather(*(write(number) for number in range(50)))
    assert sum(sizes) == 200
    assert len(sizes) <= 8
    await store.close()


@pytest.mark.parametrize("count", [1, 2, 3, 127, 128, 129, 255, 1023, 1024, 1025])
async def test_every_row_of_a_group_is_kept(tmp_path: Path, count: int) -> None:
    path = tmp_path / "store.db"
    store = await SqliteStore.open(path, ENTROPY)
    await asyncio.gather(*(store.create(f"/o/{number:04}", str(number).encode()) for number in range(count)))
    await asyncio.gather(*(store.delete(f"/o/{number:04}") for number in range(0, count, 7)))
    await store.close()
    again = await SqliteStore.open(path, ENTROPY)
    for number in range(count):
        entry = await again.get(f"/o/{number:04}")
        assert (entry is None) == (number % 7 == 0)
        assert entry is None or entry.value == str(number).encode()
    assert again.revision == count + len(range(0, count, 7))
    await again.close()
