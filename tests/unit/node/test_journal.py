"""The journal keeps what it said it keeps, through torn writes and compaction."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ropewalk.node import journal
from ropewalk.node.journal import FileJournal


async def test_what_was_put_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal"
    first = FileJournal(path)
    await asyncio.gather(*(first.put(f"a/{n}", b'{"n":%d}' % n) for n in range(50)))
    await first.put("a/0", b'{"n":"again"}')
    await first.delete("a/1")
    await first.delete("a/never")
    # No close: the process was killed.
    second = FileJournal(path)
    found = second.items("a/")
    assert len(found) == 49 and found["a/0"] == b'{"n":"again"}' and "a/1" not in found
    assert second.get("a/2") == b'{"n":2}' and second.items("b/") == {}
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(found)[-1] == "a/0", "the longest unchanged come first"
    await second.close()


@pytest.mark.parametrize("cut", [1, 5, 20])
async def test_a_torn_tail_is_dropped_and_written_over(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal"
    first = FileJournal(path)
    await first.put("kept", b'"whole"')
    await first.put("torn", b'"half-written"')
    await first.close()
    path.write_bytes(path.read_bytes()[:-cut])
    second = FileJournal(path)
    assert second.items("") == {"kept": b'"whole"'}
    await second.put("new", b"1")
    await second.close()
    assert FileJournal(path).items("") == {"kept": b'"whole"', "new": b"1"}


async def test_a_flipped_bit_ends_the_trusted_part(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    first = FileJournal(path)
    for key in ("a", "b", "c"):
        await first.put(key, b'"value"')
    await first.close()
    data = bytearray(path.read_bytes())
    data[data.index(b'"b"') + 1] ^= 1
    path.write_bytes(data)
    assert FileJournal(path).items("") == {"a": b'"value"'}


async def test_churn_keeps_the_file_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "COMPACT_FLOOR", 4096)
    path = tmp_path / "journal"
    kept = FileJournal(path)
    await kept.put("other", b'"stays"')
    largest = 0
    for number in range(400):
        await kept.put("same", b'{"number":%d,"pad":"%s"}' % (number, b"x" * 100))
        largest = max(largest, path.stat().st_size)
    await kept.close()
    assert largest < 3 * 4096
    assert FileJournal(path).items("") == {
        "other": b'"stays"',
        "same": b'{"number":399,"pad":"%s"}' % (b"x" * 100),
    }


async def test_a_broken_disk_is_said_to_every_writer_and_may_be_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    kept = FileJournal(path)
    await kept.put("before", b"1")

    def full(data: bytes) -> None:
        with path.open("ab") as file:
            file.write(data[:7])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(kept, "_extend", full)
        broken.setattr(kept, "_replace", full)
        for _ in range(2):
            outcomes = await asyncio.gather(*(kept.put(str(n), b"1") for n in range(3)), return_exceptions=True)
            assert all(isinstance(o, OSError) for o in outcomes)
    await kept.put("after", b"1")
    assert FileJournal(path).items("") == dict.fromkeys(("before", "0", "1", "2", "after"), b"1")
    await kept.close()
