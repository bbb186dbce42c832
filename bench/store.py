"""How fast the SQLite store is, beside bare `fdatasync` appends on the same disk in the same run.

Writes are creates of 300 bytes, acknowledged after the commit. The floor appends the same 300 bytes to a file and calls
fdatasync after each, measured before and after each row: no store that keeps its word can do better for one writer; for
many it can, because they share one.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from statistics import quantiles

import uvloop

from bench.rows import Row, median_ms
from ropewalk.base.entropy import SystemEntropy
from ropewalk.store.protocol import Revision
from ropewalk.store.sqlite import SqliteStore

title = "writes and watches of the SQLite store"

VALUE = b'{"name":"' + b"x" * 280 + b'"}'
SECONDS = 1.5
ENTROPY = SystemEntropy()


def appends(folder: Path) -> float:
    """Bare appends a second, each made durable."""
    descriptor = os.open(folder / "floor", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    count, began = 0, time.perf_counter()
    try:
        while time.perf_counter() - began < SECONDS:
            os.write(descriptor, VALUE)
            os.fdatasync(descriptor)
            count += 1
    finally:
        os.close(descriptor)
    return count / (time.perf_counter() - began)


async def writes(folder: Path, writers: int) -> float:
    """Creates a second with so many writers at once."""
    store = await SqliteStore.open(folder / f"writes-{writers}.db", ENTROPY)
    began = time.perf_counter()

    async def write(writer: int) -> int:
        count = 0
        while time.perf_counter() - began < SECONDS:
            await store.create(f"/objects/{writer:03}/{count:08}", VALUE)
            count += 1
        return count

    total = sum(await asyncio.gather(*(write(writer) for writer in range(writers))))
    took = time.perf_counter() - began
    await store.close()
    return total / took


async def watch_latency(folder: Path) -> tuple[list[float], list[float]]:
    """Seconds from asking for a write to its event, and from its answer to its event; a write a millisecond."""
    store = await SqliteStore.open(folder / "watch.db", ENTROPY)
    asked: dict[int, float] = {}
    whole: list[float] = []
    after: list[float] = []

    async def read(ready: asyncio.Event) -> None:
        async with aclosing(store.watch("/", Revision(0))) as events:
            ready.set()
            async for event in events:
                whole.append(time.perf_counter() - asked[event.revision])
                if len(whole) == 1_000:
                    return

    ready = asyncio.Event()
    reader = asyncio.create_task(read(ready))
    await ready.wait()
    for number in range(1_000):
        asked[number + 1] = time.perf_counter()
        await store.create(f"/objects/{number:06}", VALUE)
        after.append(time.perf_counter())
        await asyncio.sleep(0.001)
    await reader
    await store.close()
    delays = [asked[number + 1] + whole[number] - after[number] for number in range(1_000)]
    return whole, delays


async def load(folder: Path, objects: int) -> float:
    """Seconds to open a store of so many objects."""
    path = folder / "load.db"
    store = await SqliteStore.open(path, ENTROPY)
    for start in range(0, objects, 5_000):
        await asyncio.gather(*(store.create(f"/objects/{n:06}", VALUE) for n in range(start, start + 5_000)))
    await store.close()
    began = time.perf_counter()
    store = await SqliteStore.open(path, ENTROPY)
    took = time.perf_counter() - began
    await store.close()
    return took


def percentiles(seconds: list[float]) -> str:
    return f"p50 {median_ms(seconds):.2f} ms, p99 {quantiles(seconds, n=100)[98] * 1e3:.2f} ms"


def run() -> list[Row]:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        floor = appends(folder)
        for writers, wanted in ((1, "3.3 k/s"), (16, "20 k/s"), (256, "30 k/s")):
            rate = uvloop.run(writes(folder, writers))
            after = appends(folder)
            beside = (floor + after) / 2
            what = f"durable writes a second, {writers} at once"
            rows.append(Row(what, f"{rate:,.0f}", f"fdatasync appends {beside:,.0f}", rate / beside, wanted))
            floor = after
        whole, delays = uvloop.run(watch_latency(folder))
        rows.append(Row("write asked for to its event", percentiles(whole), wanted="under 1 ms"))
        rows.append(Row("write answered to its event", percentiles(delays), wanted="about 0"))
        rows.append(Row("open a store of 50,000 objects", f"{uvloop.run(load(folder, 50_000)):.2f} s", wanted="0.3 s"))
    return rows
