"""How a standalone cluster grows: the same questions at a thousand, ten thousand and a hundred thousand pods.

Pods lie in namespaces of a thousand, so that a list of one namespace stays what it is while all around it grows. A
restart is the command from its beginning to its end, on the same state: by then the API answers, while caches may still
be taking in what there is.
"""

from __future__ import annotations

import time

from bench.kube import LISTED, cpu_each, create_pods, prepare
from bench.kube_cluster import Cluster, Connection, memory_mb
from bench.rows import Row

title = "a standalone Kubernetes cluster, from 1,000 to 100,000 pods"
SIZES = (1_000, 10_000, 100_000)
LISTS = 20
PAGE = 500
FILL_SECONDS = 420.0
"""What filling may take in all: a busy machine measures fewer pods, and says so."""
_PAGES = f"/api/v1/pods?limit={PAGE}"
_NAMESPACE = "/api/v1/namespaces/n-000000/pods"


def fill(cluster: Cluster, connection: Connection, present: int, wanted: int, until: float) -> tuple[int, float]:
    """(pods there are now, creates a second in the last namespace of them)."""
    rate = 0.0
    while present < wanted and time.monotonic() < until:
        name = f"n-{present:06}"
        owner = prepare(connection, name)
        rate = create_pods(cluster, owner, 0, LISTED, name)["rate"]
        present += LISTED
    return present, rate


def walk(connection: Connection) -> int:
    """All pods, page by page, as clients read long lists; how many."""
    count, token = 0, ""
    while True:
        page = connection.document("GET", f"{_PAGES}&continue={token}" if token else _PAGES)
        count += len(page["items"])
        token = page["metadata"].get("continue", "")
        if not token:
            return count


def measured(cluster: Cluster, pods: int, rate: float) -> list[Row]:
    with Connection(cluster.port, cluster.tls()) as connection:
        namespace = cpu_each(cluster.pid, LISTS, lambda _: connection.ask("GET", _NAMESPACE))
        page = cpu_each(cluster.pid, LISTS, lambda _: connection.ask("GET", _PAGES))
        before = cluster.cpu()
        count = walk(connection)
        whole = cluster.cpu() - before
        if count != pods:
            raise SystemExit(f"{pods} pods were made, {count} are listed")
    resident = memory_mb(cluster.pid, "Rss")
    cluster.stop()
    begun = time.perf_counter()
    cluster.start()
    took = time.perf_counter() - begun
    return [
        Row(f"{pods:,} pods: creates a second, 64 TLS connections", f"{rate:,.0f}/s"),
        Row(f"  list of {LISTED:,} of them, CPU", f"{namespace:.2f} ms"),
        Row(f"  first page of {PAGE}, CPU", f"{page:.2f} ms"),
        Row(f"  all of them by pages of {PAGE}, CPU", f"{whole:.2f} s"),
        Row("  memory after that (RSS)", f"{resident:.0f} MB", wanted="< 1,000 MB at 100,000"),
        Row("  restart", f"{took:.2f} s", wanted="< 1.5 s at 100,000"),
        Row("  memory after it (RSS)", f"{memory_mb(cluster.pid, 'Rss'):.0f} MB"),
    ]


def run() -> list[Row]:
    rows: list[Row] = []
    until = time.monotonic() + FILL_SECONDS
    with Cluster() as cluster:
        cluster.start()
        present = 0
        for wanted in SIZES:
            with Connection(cluster.port, cluster.tls()) as connection:
                present, rate = fill(cluster, connection, present, wanted, until)
            rows += measured(cluster, present, rate)
            if present < wanted:
                break
    return rows
