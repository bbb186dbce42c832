"""What the API server stands on, alone: its HTTP server over TLS with a constant answer; SQLite's durable commits.

`python -m bench.kube_bare PORT PKI BYTES` serves until its input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import uvloop

from bench.kube_cluster import Connection, admin_tls, eventually, free_port
from ropewalk.base.clock import SystemClock
from ropewalk.base.http.messages import Request, Response
from ropewalk.base.http.server import HttpServer

GROUP = 64
SECONDS = 2.0


async def serve(port: int, pki: Path, size: int) -> None:
    body = b"x" * size
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "server.crt", pki / "server.key")
    context.load_verify_locations(cafile=str(pki / "ca.crt"))
    context.verify_mode = ssl.CERT_OPTIONAL

    async def answer(request: Request) -> Response:
        return Response(201, {"content-type": "application/json"}, body)

    server = HttpServer(answer, name="bare", clock=SystemClock())
    await server.serve_tcp("127.0.0.1", port, tls=context)
    await asyncio.to_thread(sys.stdin.read)
    await server.close()


@contextlib.contextmanager
def bare_server(pki: Path, size: int) -> Iterator[tuple[int, int]]:
    """(pid, port) of one."""
    port = free_port()
    command = [sys.executable, "-m", "bench.kube_bare", str(port), str(pki), str(size)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    context = admin_tls(pki)

    def answers() -> bool:
        with contextlib.suppress(OSError), Connection(port, context) as connection:
            return connection.ask("GET", "/")[0] == 201
        return False

    try:
        eventually(answers, "the bare server answers")
        yield process.pid, port
    finally:
        process.communicate()


def commits(folder: Path, value: bytes) -> float:
    """Rows a second of one writer that makes 64 of them durable at a time."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    run = connection.execute
    run("PRAGMA journal_mode=WAL")
    run("PRAGMA synchronous=FULL")
    run("CREATE TABLE log (revision INTEGER PRIMARY KEY, key TEXT NOT NULL, created INTEGER NOT NULL, value BLOB)")
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < SECONDS:
        run("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO log VALUES (?, ?, ?, ?)",
            [(count + n, f"/objects/{count + n}", count + n, value) for n in range(1, GROUP + 1)],
        )
        run("COMMIT")
        count += GROUP
    took = time.perf_counter() - begun
    connection.close()
    return count / took


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
