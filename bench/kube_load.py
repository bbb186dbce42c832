"""Clients in a process of their own, so that what they cost is not the server's: `python -m bench.kube_load ORDER`.

The order is one JSON line, the answer another. `creates` sends prepared bytes over so many TLS connections, each
answered before the next; `watches` holds so many watches open while 32 more connections write at a fixed pace, and
notes when each event has reached the last of them. Watchers count lines in what they read and decode nothing.
"""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
import sys
import time
from pathlib import Path
from typing import Any, cast

import uvloop

from bench.kube_cluster import admin_tls, request
from bench.kube_objects import NAMESPACE, config_map, packed, pod

MARK = "@@@@@@@@@@@@@@@@@@@@"
"""Where a number of twenty digits goes."""
WRITERS = 32


class Caller(asyncio.Protocol):
    """One connection: `send` a request, and the future it answers is done once the whole answer is here."""

    def __init__(self) -> None:
        self._left = 0
        self._head = b""
        self._waiter: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self, data: bytes) -> asyncio.Future[None]:
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return self._waiter

    def data_received(self, data: bytes) -> None:
        if not self._left:
            data = self._head + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._head = data
                return
            self._head = b""
            if data[9:11] != b"20":
                raise SystemExit(f"refused: {data[:600].decode(errors='replace')}")
            at = data.find(b"content-length: ") + 16
            self._left = int(data[at : data.find(b"\r", at)]) - (len(data) - end - 4)
        else:
            self._left -= len(data)
        if not self._left and self._waiter is not None:
            self._waiter.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionError("the server closed the connection"))


class Watcher(asyncio.Protocol):
    """Notes when how many events had arrived; the first one of all keeps what it reads."""

    def __init__(self, path: str, *, keeps: bool) -> None:
        self._path = path
        self._keeps = keeps
        self._ends_in_brace = False
        self.kept: list[bytes] = []
        self.events = 0
        self.arrivals: list[tuple[int, int]] = []
        """(when, events so far)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).write(request("GET", self._path))

    def data_received(self, data: bytes) -> None:
        count = data.count(b"}\n") + (self._ends_in_brace and data[0] == 10)
        self._ends_in_brace = data[-1] == 125
        if count:
            self.events += count
            self.arrivals.append((time.perf_counter_ns(), self.events))
        if self._keeps:
            self.kept.append(data)


async def connect(order: dict[str, Any], made: Any) -> Any:
    context: ssl.SSLContext = admin_tls(Path(order["pki"]))
    return (await asyncio.get_running_loop().create_connection(made, "127.0.0.1", order["port"], ssl=context))[1]


async def creates(order: dict[str, Any]) -> dict[str, Any]:
    """`seconds` or `count`, whichever ends first; of the usual pod, or of one that is given with `MARK` in its name."""
    namespace, first = order.get("namespace", NAMESPACE), order["first"]
    path = f"/api/v1/namespaces/{namespace}/pods"
    made = order.get("pod") or pod(f"web-{MARK}", order["owner"], namespace)
    before, after = request("POST", path, packed(made)).split(MARK.encode())
    callers = [await connect(order, Caller) for _ in range(order["connections"])]
    numbers = iter(range(first, first + order["count"]))
    begun = time.perf_counter()
    until = begun + order["seconds"]
    cpu = time.process_time()
    times: list[float] = []

    async def call(caller: Caller) -> None:
        for number in numbers:
            sent = time.perf_counter()
            if sent >= until:
                return
            await caller.send(b"%b%020d%b" % (before, number, after))
            times.append(time.perf_counter() - sent)

    await asyncio.gather(*(call(caller) for caller in callers))
    took = time.perf_counter() - begun
    times.sort()
    return {
        "count": len(times),
        "rate": len(times) / took,
        "p50": times[len(times) // 2],
        "p99": times[len(times) * 99 // 100],
        "cpu": time.process_time() - cpu,
    }


async def watches(order: dict[str, Any]) -> dict[str, Any]:
    base = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    path = f"{base}?watch=1&resourceVersion={order['revision']}"
    watchers: list[Watcher] = []
    for number in range(order["watchers"]):
        watchers.append(await connect(order, lambda keeps=number == 0: Watcher(path, keeps=keeps)))
    callers = [await connect(order, Caller) for _ in range(WRITERS)]
    await asyncio.sleep(0.5)
    body = packed(config_map(f"told-{MARK}", MARK))
    parts = request("POST", base, body).split(MARK.encode())
    total = int(order["rate"] * order["seconds"])
    gc.disable()
    begun = time.perf_counter_ns()
    step = 1e9 / order["rate"]

    async def call(caller: Caller, first: int) -> None:
        for number in range(first, total, WRITERS):
            wait = begun + number * step - time.perf_counter_ns()
            if wait > 0:
                await asyncio.sleep(wait / 1e9)
            stamp = time.perf_counter_ns()
            await caller.send(b"%b%020d%b%020d%b" % (parts[0], order["first"] + number, parts[1], stamp, parts[2]))

    await asyncio.gather(*(call(caller, first) for first, caller in enumerate(callers)))
    took = (time.perf_counter_ns() - begun) / 1e9
    await arrived(watchers, total)
    return {**told(watchers, total), "rate": total / took}


async def arrived(watchers: list[Watcher], total: int) -> None:
    """Until every watcher has every event; twenty seconds at most."""
    for _ in range(400):
        if min(watcher.events for watcher in watchers) >= total:
            return
        await asyncio.sleep(0.05)


def told(watchers: list[Watcher], total: int) -> dict[str, Any]:
    """Percentiles over all events of: asked for until the first, and the last watcher had it; in seconds."""
    text = b"".join(watchers[0].kept)
    stamps = [int(part[:20]) for part in text.split(b'"stamp":"')[1:]]
    if len(stamps) != total or any(watcher.events != total for watcher in watchers):
        raise SystemExit(f"{total} events, of which the watchers saw {[watcher.events for watcher in watchers]}")
    last = [0] * total
    first = [1 << 63] * total
    for watcher in watchers:
        number = 0
        for when, count in watcher.arrivals:
            for event in range(number, count):
                last[event] = max(last[event], when)
                first[event] = min(first[event], when)
            number = count
    found = {}
    for name, arrived in (("first", first), ("last", last)):
        delays = sorted((when - stamp) / 1e9 for when, stamp in zip(arrived, stamps, strict=True))
        found[name] = [delays[total // 2], delays[total * 99 // 100]]
    return found


def main(order: dict[str, Any]) -> None:
    work = {"creates": creates, "watches": watches}[order["what"]]
    print(json.dumps(uvloop.run(work(order))))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
