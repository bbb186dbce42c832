"""The Kubernetes API of a standalone cluster: how soon it answers, what it weighs, what a request costs.

Creates stand beside what they stand on, measured right before and after in the same run: SQLite's durable commits of
64 rows on the same disk, and the same HTTP server with a constant answer over the same TLS. Costs are processor time of
the server's process, all threads, by the kernel's count; the clients are other processes.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from typing import Any

from bench.kube_bare import bare_server, commits
from bench.kube_cluster import BIN, Cluster, Connection, cpu_seconds, eventually, memory_mb
from bench.kube_objects import NAMESPACE, deployment, owner_of_all, packed, pod
from bench.rows import Row, median_ms

title = "a standalone Kubernetes cluster"
STARTS = 5
IDLE_SECONDS = 10.0
CONNECTIONS = 64
CREATE_SECONDS = 4.0
CREATE_ROUNDS = 3
LISTED = 1_000
LISTS = 30
APPLIES = 100
WATCHERS = 100
RATE = 1_000
WATCH_SECONDS = 3.0
_NONE = 1 << 40


def load(cluster: Cluster, port: int, **order: Any) -> dict[str, Any]:
    """Run one order of `bench.kube_load` in its own process."""
    whole = {"pki": str(cluster.folder / "pki"), "port": port, **order}
    command = [sys.executable, "-m", "bench.kube_load", json.dumps(whole)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def prepare(connection: Connection, namespace: str = NAMESPACE) -> str:
    """A namespace with its service account and the owner of all pods, whose uid this answers."""
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    connection.document("POST", "/api/v1/namespaces", packed(made))
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    eventually(lambda: connection.ask("GET", account)[0] == 200, "the namespace has its service account")
    found = connection.document("POST", f"/api/v1/namespaces/{namespace}/configmaps", packed(owner_of_all(namespace)))
    return str(found["metadata"]["uid"])


def create_pods(cluster: Cluster, owner: str, first: int, count: int, namespace: str = NAMESPACE) -> dict[str, Any]:
    return load(
        cluster,
        cluster.port,
        what="creates",
        connections=CONNECTIONS,
        seconds=600,
        first=first,
        count=count,
        owner=owner,
        namespace=namespace,
    )


# --- starting


def first_answer(cluster: Cluster) -> tuple[float, float]:
    """Seconds from the command until a client that polls had a right answer, and until kubectl after it had one."""
    begun = time.perf_counter()
    kubectl = f"{BIN / 'kubectl'} get namespace default -o name"
    shell = subprocess.Popen(
        ["/bin/sh", "-c", f"{' '.join(cluster.command)} && {kubectl}"],
        env=cluster.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = begun + 20
    while not _answers(cluster):
        if time.perf_counter() > deadline:
            raise SystemExit("no answer in time")
        time.sleep(0.002)
    answered = time.perf_counter() - begun
    out, _ = shell.communicate()
    told = time.perf_counter() - begun
    if not out.endswith("namespace/default\n"):
        raise SystemExit(f"kubectl had no answer: {out}")
    return answered, told


def _answers(cluster: Cluster) -> bool:
    with contextlib.suppress(OSError), Connection(cluster.port, cluster.tls()) as connection:
        return connection.ask("GET", "/api/v1/namespaces/default")[0] == 200
    return False


def starting(*, warm: bool = False) -> list[Row]:
    polled, whole = [], []
    for _ in range(STARTS):
        with Cluster() as cluster:
            if warm:
                cluster.ropewalk("kube", "nursery")
            try:
                answered, told = first_answer(cluster)
            finally:
                if warm:
                    cluster.stop()
                    cluster.ropewalk("kube", "nursery", "--stop")
            polled.append(answered)
            whole.append(told)
    how, wanted = ("from the warm fork server", "< 300 ms") if warm else ("cold", "< 1000 ms")
    return [
        Row(f"command to first answer, {how} (median)", f"{median_ms(polled):.0f} ms", wanted=wanted),
        Row(
            f"command && kubectl get, {how} (median)",
            f"{median_ms(whole):.0f} ms",
            f"best {min(whole) * 1000:.0f} ms",
            wanted=wanted,
        ),
    ]


def idle(cluster: Cluster) -> list[Row]:
    pid = cluster.pid
    time.sleep(2.0)
    before = cpu_seconds(pid)
    time.sleep(IDLE_SECONDS)
    share = (cpu_seconds(pid) - before) / IDLE_SECONDS
    return [
        Row("idle memory (PSS)", f"{memory_mb(pid, 'Pss'):.0f} MB", wanted="< 120 MB"),
        Row("idle CPU", f"{share * 100:.2f} % of a core", wanted="< 1 %"),
    ]


# --- requests


def creating(cluster: Cluster, owner: str) -> list[Row]:
    value = packed(pod("web-" + "0" * 20, owner))
    order = {
        "what": "creates",
        "connections": CONNECTIONS,
        "seconds": CREATE_SECONDS,
        "count": _NONE,
        "owner": owner,
    }
    best: dict[str, Any] = {"rate": 0.0}
    bare, bare_cpu = 0.0, 1.0
    disk = commits(cluster.home, value)
    with bare_server(cluster.folder / "pki", len(value)) as (bare_pid, bare_port):
        for number in range(CREATE_ROUNDS):
            cpu = cpu_seconds(bare_pid)
            beside = load(cluster, bare_port, first=0, **{**order, "seconds": 1.5})
            bare = max(bare, beside["rate"])
            bare_cpu = min(bare_cpu, (cpu_seconds(bare_pid) - cpu) / beside["count"])
            cpu = cluster.cpu()
            found = load(cluster, cluster.port, first=(number + 1) * 1_000_000, **order)
            found["server"] = (cluster.cpu() - cpu) / found["count"]
            best = max(best, found, key=lambda one: float(one["rate"]))
    rate = best["rate"]
    what = f"pods created a second, {CONNECTIONS} TLS connections"
    times = f"p50 {best['p50'] * 1e3:.1f}, p99 {best['p99'] * 1e3:.1f} ms"
    return [
        Row(what, f"{rate:,.0f}/s", f"bare server {bare:,.0f}/s", rate / bare, "≥ 2,500/s"),
        Row("  each answered after", times, f"SQLite {disk:,.0f} rows/s", rate / disk),
        Row(
            "  processor time of the server for each",
            f"{best['server'] * 1e6:.0f} µs",
            f"bare server {bare_cpu * 1e6:.0f} µs",
            best["server"] / bare_cpu,
        ),
    ]


def cpu_each(pid: int, times: int, action: Any) -> float:
    """Processor time of the server per action, in ms: the best of five series."""
    found = []
    for _ in range(5):
        before = cpu_seconds(pid)
        for number in range(times):
            action(number)
        found.append((cpu_seconds(pid) - before) / times * 1e3)
    return min(found)


def listing(cluster: Cluster, connection: Connection) -> list[Row]:
    """A namespace of exactly a thousand pods."""
    owner = prepare(connection, "listed")
    create_pods(cluster, owner, 0, LISTED, "listed")
    path = "/api/v1/namespaces/listed/pods"
    listed = connection.document("GET", path)["items"]
    assert len(listed) == LISTED
    single = f"{path}/{listed[0]['metadata']['name']}"
    size, small = len(connection.ask("GET", path)[1]), len(connection.ask("GET", single)[1])
    rows = []
    for what, where, bytes_, times, wanted in (
        (f"list of {LISTED:,} pods, {size / 1e6:.1f} MB, CPU", path, size, LISTS, "≤ 2 ms"),
        ("  chosen by a label", f"{path}?labelSelector=app%3Dweb", size, LISTS // 2, ""),
        ("one pod, CPU", single, small, LISTS * 5, ""),
    ):
        with bare_server(cluster.folder / "pki", bytes_) as (pid, port), Connection(port, cluster.tls()) as bare:
            beside = cpu_each(pid, times, lambda _, bare=bare: bare.ask("GET", "/"))
            ours = cpu_each(cluster.pid, times, lambda _, where=where: connection.ask("GET", where))
        rows.append(Row(what, f"{ours:.2f} ms", f"bare server {beside:.2f} ms", ours / beside, wanted))
    return rows


def applying(cluster: Cluster, connection: Connection) -> list[Row]:
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/applied?fieldManager=bench&force=true"
    bodies = [packed(deployment(f"registry.example.com/team/web:v{number}")) for number in range(2)]

    def apply(number: int) -> None:
        status, answer = connection.ask("PATCH", path, bodies[number % 2], "application/apply-patch+yaml")
        assert status in (200, 201), answer

    apply(1)
    changed = cpu_each(cluster.pid, APPLIES, apply)
    same = cpu_each(cluster.pid, APPLIES, lambda _: apply(1))
    return [
        Row("server-side apply of a Deployment that changes it, CPU", f"{changed:.2f} ms", wanted="< 1 ms"),
        Row("  that changes nothing", f"{same:.2f} ms"),
    ]


def watching(cluster: Cluster, connection: Connection, first: int = 0) -> list[Row]:
    revision = connection.document("GET", f"/api/v1/namespaces/{NAMESPACE}/configmaps")["metadata"]["resourceVersion"]
    cpu = cluster.cpu()
    found = load(
        cluster,
        cluster.port,
        what="watches",
        watchers=WATCHERS,
        rate=RATE,
        seconds=WATCH_SECONDS,
        revision=revision,
        first=first,
    )
    cpu = (cluster.cpu() - cpu) / WATCH_SECONDS

    def told(pair: list[float]) -> str:
        return f"p50 {pair[0] * 1e3:.1f}, p99 {pair[1] * 1e3:.1f} ms"

    what = f"{WATCHERS} TLS watchers at {found['rate']:,.0f} events/s: write to the last of them"
    return [
        Row(what, told(found["last"]), f"to the first {told(found['first'])}", wanted="p99 < 10 ms"),
        Row("  processor time of the server", f"{cpu:.2f} of a core"),
    ]


def run() -> list[Row]:
    rows = [*starting(), *starting(warm=True)]
    with Cluster() as cluster:
        cluster.start()
        rows += idle(cluster)
        with Connection(cluster.port, cluster.tls()) as connection:
            owner = prepare(connection)
            rows += creating(cluster, owner)
            rows += listing(cluster, connection)
            rows += applying(cluster, connection)
            for number in range(2):
                rows += watching(cluster, connection, number * 1_000_000)
        rows.append(Row("memory after all that (PSS)", f"{memory_mb(cluster.pid, 'Pss'):.0f} MB"))
    return rows
