"""What a file adds: it survives, it has one owner, it stays small, it knows when it was restored."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SystemEntropy
from ropewalk.store.keyspace import Retention
from ropewalk.store.protocol import (
    Compacted,
    Entry,
    EventKind,
    KeyExists,
    KeyMissing,
    Revision,
    Store,
    StoreClosed,
    StoreError,
)
from ropewalk.store.sqlite import SqliteStore

ENTROPY = SystemEntropy()
SOURCE = str(Path(__file__).resolve().parents[3] / "src")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.db"


def python(program: str, path: Path) -> str:
    """Run a program on the store at `path`; its output. Blocks, which harms nobody here."""
    arguments = [sys.executable, "-c", program, str(path)]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _rows(path: Path) -> int:
    query = "import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM log').fetchone())"
    return int(python(query, path))


def _size(path: Path) -> int:
    return path.stat().st_size


def _modes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


def _write(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


async def entries(store: Store) -> list[Entry]:
    return list((await store.list("")).entries)


async def test_everything_survives_a_restart(path: Path) -> None:
    store = await SqliteStore.open(path, ENTROPY)
    identity = store.identity
    r1 = await store.create("/a", b"1")
    r2 = await store.update("/a", b"2", r1)
    r3 = await store.create("/b", b"")
    r4 = await store.delete("/b")
    r5 = await store.create("/b", b"again")
    await store.close()

    store = await SqliteStore.open(path, ENTROPY)
    assert store.identity == identity
    assert store.revision == r5
    assert await entries(store) == [Entry("/a", b"2", r2, r1), Entry("/b", b"again", r5, r5)]
    assert (await store.list("", revision=r3)).entries == (Entry("/a", b"2", r2, r1), Entry("/b", b"", r3, r3))
    events = store.watch("", Revision(0))
    seen = [await anext(events) for _ in range(5)]
    assert [event.revision for event in seen] == [r1, r2, r3, r4, r5]
    assert [event.previous for event in seen] == [None, b"1", None, b"", None]
    assert seen[3].kind is EventKind.DELETE
    await events.aclose()
    assert await store.create("/c", b"x") == r5 + 1
    await store.close()


async def test_compacted_history_stays_compacted(path: Path) -> None:
    store = await SqliteStore.open(path, ENTROPY)
    revision = await store.create("/a", b"0")
    await store.create("/gone", b"x")
    gone = await store.delete("/gone")
    for number in range(1, 50):
        revision = await store.update("/a", str(number).encode(), revision)
    await store.compact(Revision(revision - 10))
    await store.close()
    rows = _rows(path)
    assert rows == 11, "the value at the compacted revision, and ten after it"

    store = await SqliteStore.open(path, ENTROPY)
    with pytest.raises(Compacted) as error:
        await store.list("", revision=gone)
    assert error.value.oldest == revision - 10
    event = await anext(store.watch("", Revision(revision - 10)))
    assert (event.value, event.previous) == (b"40", b"39")
    await store.close()


async def test_one_process_owns_the_file(path: Path) -> None:
    store = await SqliteStore.open(path, ENTROPY)
    with pytest.raises(StoreClosed, match=f"process {os.getpid()}"):
        await SqliteStore.open(path, ENTROPY)
    await store.create("/a", b"still mine")
    await store.close()
    store = await SqliteStore.open(path, ENTROPY)
    assert len(await entries(store)) == 1
    await store.close()


async def test_nobody_else_reads_the_files(path: Path) -> None:
    store = await SqliteStore.open(path, ENTROPY)
    await store.create("/secret", b"x")
    files = _modes(path.parent)
    assert set(files) == {"store.db", "store.db-wal", "store.db-shm", "store.db.lock", "store.db.mark"}
    assert set(files.values()) == {0o600}
    await store.close()


async def test_epochs_begun_at_once_are_different_and_kept(path: Path) -> None:
    store = await SqliteStore.open(path, ENTROPY)
    begun = await asyncio.gather(*(store.bump_epoch() for _ in range(5)))
    assert [identity.epoch for identity in begun] == [2, 3, 4, 5, 6]
    assert store.identity.epoch == 6
    await store.close()
    store = await SqliteStore.open(path, ENTROPY)
    assert store.identity == begun[-1]
    await store.close()


async def test_leases_survive_with_their_whole_time_and_leave_no_history(path: Path) -> None:
    store = await SqliteStore.open(path, ENTROPY)
    assert (await store.acquire("leader", "me", 30)).term == 1
    for _ in range(100):
        await store.acquire("leader", "me", 30)
    await store.close()
    assert _rows(path) == 0

    clock = VirtualClock()
    store = await SqliteStore.open(path, ENTROPY, clock=clock)
    assert (await store.acquire("leader", "you", 30)).holder == "me"
    await clock.advance(31)
    taken = await store.acquire("leader", "you", 30)
    assert (taken.holder, taken.term) == ("you", 2)
    await store.close()


async def test_churn_keeps_file_and_log_bounded(path: Path) -> None:
    store = await SqliteStore.open(path, ENTROPY, retention=Retention(events=500, slack=100))
    value = b"x" * 1_000

    async def write(name: str, times: int) -> int:
        revision = await store.create(name, value)
        for number in range(times):
            if number % 50 == 49:
                await store.delete(name)
                revision = await store.create(name, value)
            else:
                revision = await store.update(name, value, revision)
        return revision

    sizes = []
    for generation in range(6):
        await asyncio.gather(*(write(f"/{generation}/{number}", 100) for number in range(32)))
        await asyncio.gather(*(store.delete(f"/{generation}/{number}") for number in range(32)))
        sizes.append(sum(file.stat().st_size for file in path.parent.iterdir()))
    assert store.revision > 19_000, "some 20 MB of values went through"
    assert max(sizes) < 13_000_000, "2,000 pages of log, and a file of little more than the history kept"
    assert sizes[-1] <= sizes[2] * 1.2
    assert store._keys.kept <= 1_600
    await store.close()
    assert _size(path) < 4_000_000


async def test_a_restored_backup_begins_a_new_epoch(path: Path, tmp_path: Path) -> None:
    store = await SqliteStore.open(path, ENTROPY)
    await store.create("/a", b"1")
    await store.close()
    backup = tmp_path / "backup.db"
    shutil.copy(path, backup)
    store = await SqliteStore.open(path, ENTROPY)
    identity = store.identity
    assert identity.epoch == 1, "a plain restart keeps the epoch"
    for number in range(10):
        await store.create(f"/later/{number}", b"x")
    await store.close()

    shutil.copy(backup, path)
    store = await SqliteStore.open(path, ENTROPY)
    assert (store.identity.store_id, store.identity.epoch) == (identity.store_id, 2)
    assert [entry.key for entry in await entries(store)] == ["/a"]
    await store.create("/new", b"x")
    await store.close()
    store = await SqliteStore.open(path, ENTROPY)
    assert store.identity.epoch == 2, "once"
    assert (await store.bump_epoch()).epoch == 3
    await store.close()
    shutil.copy(backup, path)
    store = await SqliteStore.open(path, ENTROPY)
    assert store.identity.epoch == 4, "greater than any before, though the backup says 1"
    await store.close()


async def test_another_file_in_its_place_is_noticed(path: Path, tmp_path: Path) -> None:
    other = await SqliteStore.open(tmp_path / "other.db", ENTROPY)
    for number in range(20):
        await other.create(f"/{number}", b"x")
    other_id = other.identity
    await other.close()
    store = await SqliteStore.open(path, ENTROPY)
    await store.close()
    shutil.copy(tmp_path / "other.db", path)
    store = await SqliteStore.open(path, ENTROPY)
    assert store.identity.store_id == other_id.store_id
    assert store.identity.epoch == other_id.epoch + 1
    await store.close()


async def test_the_mark_follows_within_its_second(path: Path) -> None:
    store = await SqliteStore.open(path, ENTROPY)
    await store.create("/a", b"x")
    mark = path.with_name("store.db.mark")
    async with asyncio.timeout(20):
        while True:
            if f'"revision":{store.revision}' in mark.read_text():
                break
            await asyncio.sleep(0.02)
    await store.close()


async def test_an_unreadable_mark_or_file_is_no_crash(path: Path) -> None:
    store = await SqliteStore.open(path, ENTROPY)
    await store.create("/a", b"x")
    await store.close()
    path.with_name("store.db.mark").write_text("{")
    store = await SqliteStore.open(path, ENTROPY)
    assert store.identity.epoch == 1
    await store.close()
    _write(path, b"this is no database, and long enough to be looked at" * 100)
    with pytest.raises(StoreClosed, match=r"store\.db"):
        await SqliteStore.open(path, ENTROPY)
    _write(path, None)
    store = await SqliteStore.open(path, ENTROPY)  # the failed opening left no lock behind
    assert await entries(store) == []
    await store.close()


async def test_a_newer_schema_is_refused(path: Path) -> None:
    store = await SqliteStore.open(path, ENTROPY)
    await store.close()
    python("import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('PRAGMA user_version=99')", path)
    with pytest.raises(StoreError, match="schema 99"):
        await SqliteStore.open(path, ENTROPY)


async def test_a_cancelled_writer_harms_nobody(path: Path) -> None:
    store = await SqliteStore.open(path, ENTROPY)
    writers = [asyncio.ensure_future(store.create(f"/{number}", b"x")) for number in range(50)]
    await asyncio.sleep(0)
    for writer in writers[::2]:
        writer.cancel()
    answers = await asyncio.gather(*writers, return_exceptions=True)
    assert sum(isinstance(answer, int) for answer in answers) == 25
    last = await store.create("/last", b"x")
    assert last == store.revision
    await store.close()
    store = await SqliteStore.open(path, ENTROPY)
    assert store.revision == last
    await store.close()


async def test_a_refusal_tells_of_nothing_that_a_crash_could_undo(path: Path) -> None:
    store = await SqliteStore.open(path, ENTROPY)
    on_its_way = asyncio.ensure_future(store.create("/a", b"x"))
    await asyncio.sleep(0)
    assert store.revision == 0 and await store.get("/a") is None
    with pytest.raises(KeyExists):
        await store.create("/a", b"y")
    assert store.revision == 1, "what the refusal rests on is durable when the refusal is heard"
    gone = asyncio.ensure_future(store.delete("/a"))
    await asyncio.sleep(0)
    with pytest.raises(KeyMissing):
        await store.update("/a", b"y", Revision(1))
    assert store.revision == 2
    assert (await on_its_way, await gone) == (1, 2)
    await store.close()


async def test_close_commits_what_was_asked_for(path: Path) -> None:
    store = await SqliteStore.open(path, ENTROPY)
    writers = [asyncio.ensure_future(store.create(f"/{number}", b"x")) for number in range(300)]
    await asyncio.sleep(0)
    await asyncio.gather(store.close(), store.close())
    assert [await writer for writer in writers] == list(range(1, 301))
    store = await SqliteStore.open(path, ENTROPY)
    assert len(await entries(store)) == 300
    await store.close()


async def test_a_loop_that_goes_without_closing_lets_the_process_end(path: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from ropewalk.base.entropy import SystemEntropy
from ropewalk.store.sqlite import SqliteStore
async def main():
    store = await SqliteStore.open(Path(sys.argv[1]), SystemEntropy())
    await store.create("/a", b"x")
    asyncio.ensure_future(store.create("/b", b"x"))
    await asyncio.sleep(0)
asyncio.run(main())
"""
    python(program, path)
    store = await SqliteStore.open(path, ENTROPY)
    assert next(entry.key for entry in await entries(store)) == "/a"
    await store.close()


WRITER = """
import asyncio, itertools, sys
from pathlib import Path
from ropewalk.base.entropy import SystemEntropy
from ropewalk.store.keyspace import Retention
from ropewalk.store.sqlite import SqliteStore

async def main():
    power_safe = sys.argv[2] == "True"
    retention = Retention(events=300, slack=50)
    store = await SqliteStore.open(Path(sys.argv[1]), SystemEntropy(), retention=retention, power_safe=power_safe)
    async def write(name):
        entry = await store.get(name)
        revision = await store.create(name, b"0") if entry is None else entry.revision
        for number in itertools.count(0 if entry is None else int(entry.value) + 1):
            revision = await store.update(name, str(number).encode(), revision)
            sys.stdout.write(f"{name} {number}\\n")
            sys.stdout.flush()
    await asyncio.gather(*(write(f"/{n}") for n in range(8)))
asyncio.run(main())
"""


def killed_after(lines: int, path: Path, power_safe: bool, acknowledged: dict[str, int]) -> None:
    """Run the writer, SIGKILL it after so many acknowledgements, and note all that it printed."""
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    arguments = [sys.executable, "-c", WRITER, str(path), str(power_safe)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        for _ in range(lines):
            _note(process.stdout.readline(), acknowledged)
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:
            if line.endswith("\n"):
                _note(line, acknowledged)


@pytest.mark.parametrize("power_safe", [True, False])
async def test_kill_keeps_every_acknowledged_write(path: Path, power_safe: bool) -> None:
    acknowledged: dict[str, int] = {}
    for lines in (50, 400, 1_500):
        killed_after(lines, path, power_safe, acknowledged)
        store = await SqliteStore.open(path, ENTROPY)
        assert store.identity.epoch == 1
        found = {entry.key: int(entry.value) for entry in await entries(store)}
        assert set(found) == set(acknowledged)
        for name, number in acknowledged.items():
            assert number <= found[name] <= number + 1, "acknowledged, and at most the one on its way"
        acknowledged = found
        await store.close()


def _note(line: str, acknowledged: dict[str, int]) -> None:
    name, number = line.split()
    acknowledged[name] = int(number)


FULL = """
import asyncio, resource, sys
from pathlib import Path
from ropewalk.base.entropy import SystemEntropy
from ropewalk.store.protocol import StoreClosed
from ropewalk.store.sqlite import SqliteStore

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]), SystemEntropy())
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))  # writes beyond it fail, as on a full disk
    acknowledged, failed = [], []
    async def write(name):
        try:
            for n in range(1_000):
                await store.create(f"/{name}/{n}", b"x" * 2_000)
                acknowledged.append(f"/{name}/{n}")
        except StoreClosed as error:
            failed.append(str(error))
    async def watch():
        try:
            async for event in store.watch("/", 0):
                pass
        except StoreClosed:
            failed.append("watch")
    watching = asyncio.ensure_future(watch())
    await asyncio.gather(*(write(n) for n in range(8)))
    await watching
    assert len(failed) == 9 and sum("refused" in reason for reason in failed) == 8, failed
    for call in (store.get("/0/0"), store.create("/late", b"x")):
        try:
            await call
        except StoreClosed:
            continue
        raise SystemExit("a failed store answers")
    await store.close()
    print("\\n".join(acknowledged))
asyncio.run(main())
"""


async def test_a_full_disk_fails_the_writers_and_keeps_what_was_acknowledged(path: Path) -> None:
    acknowledged = set(python(FULL, path).split())
    assert len(acknowledged) > 100
    store = await SqliteStore.open(path, ENTROPY)
    assert {entry.key for entry in await entries(store)} == acknowledged
    assert await store.create("/mended", b"x") == store.revision
    await store.close()


async def test_fifty_thousand_objects_load_whole(path: Path) -> None:
    store = await SqliteStore.open(path, ENTROPY)
    value = b"x" * 300
    for start in range(0, 50_000, 5_000):
        await asyncio.gather(*(store.create(f"/objects/{n:06}", value) for n in range(start, start + 5_000)))
    await store.close()
    store = await SqliteStore.open(path, ENTROPY)
    assert len(store._keys) == 50_000
    page = await store.list("/objects/", limit=10_000)
    assert len(page.entries) == 10_000 and page.more
    await store.close()
