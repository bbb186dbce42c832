"""Scheduling onto 5,000 nodes: the planner alone, and through the API, with the loads of Kubernetes' scheduler_perf.

Alone: pods and nodes as the API has them are lowered, and each pod is placed as the ones before it left the nodes; the
rate is that of placing, by processor time. Through the API: a standalone cluster, nodes that are objects alone, pods
created over 64 connections by another process; from the first create until a watch has told of the last binding. Nodes
that nobody answers for are tainted after a while, so pods tolerate everything.
Wanted are kube-scheduler's own thresholds, for `basic` three times that: kubernetes/test/integration/scheduler_perf.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.kube import load, prepare
from bench.kube_cluster import Cluster, Connection, request
from bench.kube_load import MARK
from bench.kube_objects import NAMESPACE, packed
from bench.rows import Row

title = "scheduling onto 5,000 nodes"
NODES = 5_000
ZONE, HOST = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
PATIENCE = 300.0
CONNECTIONS = 64


def spread(labels: dict[str, str]) -> dict[str, Any]:
    constraint = {"maxSkew": 5, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule"}
    return {"topologySpreadConstraints": [constraint | {"labelSelector": {"matchLabels": labels}}]}


def company(kind: str, field: str) -> Callable[[dict[str, str]], dict[str, Any]]:
    def made(labels: dict[str, str]) -> dict[str, Any]:
        term = {"labelSelector": {"matchLabels": labels}, "topologyKey": field}
        return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}

    return made


@dataclass(frozen=True, slots=True)
class Load:
    name: str
    there: int
    """Pods that are on the nodes before."""
    count: int
    wanted: int
    """Pods a second."""
    terms: Callable[[dict[str, str]], dict[str, Any]] = lambda labels: {}
    alike_before: bool = True
    """Those that are there are of the same kind."""
    zones: int = 3


LOADS = (
    Load("basic", 1_000, 10_000, 2_000),
    Load("topology spread", 5_000, 1_000, 460, spread, alike_before=False),
    Load("required anti-affinity", 1_000, 500, 60, company("podAntiAffinity", HOST)),
    Load("pod affinity", 5_000, 500, 35, company("podAffinity", ZONE), zones=1),
)


def node(number: int, zones: int) -> dict[str, Any]:
    name = f"node-{number}"
    room = {"cpu": "4", "memory": "32Gi", "pods": "110"}
    labels = {HOST: name, ZONE: f"zone-{number % zones}"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"allocatable": room},
    }


def pod(name: str, labels: dict[str, str], terms: dict[str, Any]) -> dict[str, Any]:
    requests = {"cpu": "100m", "memory": "500Mi"}
    container = {"name": "pause", "image": "registry.k8s.io/pause:3.10", "resources": {"requests": requests}}
    spec = {"containers": [container], "tolerations": [{"operator": "Exists"}], **terms}
    meta = {"name": name, "namespace": NAMESPACE, "uid": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def of_load(wanted: Load, *, before: bool) -> tuple[dict[str, str], dict[str, Any]]:
    """Labels and terms of its pods."""
    labels = {"load": wanted.name.replace(" ", "-")}
    if before and not wanted.alike_before:
        return {"load": "other"}, {}
    return labels, wanted.terms(labels)


# --- the planner alone


def alone(wanted: Load) -> Row:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from ropewalk.kube.scheduler.lowering import machine_of, unit_of
    from ropewalk.planning.choosing import Planner
    from ropewalk.planning.fleet import Fleet

    planner = Planner(Fleet())
    for number in range(NODES):
        planner.fleet.put(machine_of(node(number, wanted.zones)))
    kind = of_load(wanted, before=True)
    placed = planner.plan(unit_of(pod(f"before-{number}", *kind)) for number in range(wanted.there))
    kind = of_load(wanted, before=False)
    pods = [pod(f"pod-{number}", *kind) for number in range(wanted.count)]
    begun = time.process_time()
    units = [unit_of(each) for each in pods]
    lowered = time.process_time()
    placed += planner.plan(units)
    took = time.process_time() - lowered
    if any(choice.machine is None for choice in placed):
        raise SystemExit(f"{wanted.name}: not every pod found a node")
    other = f"lowering {(lowered - begun) / wanted.count * 1e6:.0f} µs a pod"
    rate = wanted.count / took
    return Row(
        f"{wanted.name}: {wanted.count:,} pods, planner alone",
        f"{rate:,.0f} a second",
        other,
        rate / wanted.wanted,
        f"≥ {wanted.wanted:,}",
    )


# --- through the API


class Bindings:
    """A watch that counts pods as they get nodes, in a thread."""

    def __init__(self, cluster: Cluster) -> None:
        self._connection = Connection(cluster.port, cluster.tls())
        self.count = 0
        self.last = 0.0
        path = f"/api/v1/namespaces/{NAMESPACE}/pods?watch=1&fieldSelector=spec.nodeName!%3D&timeoutSeconds=3000"
        self._connection._socket.sendall(request("GET", path))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        rest = b""
        while True:
            try:
                data = rest + self._connection._read()
            except OSError:
                return  # the cluster was stopped: it is over
            found = data.count(b'{"type":"ADDED"')
            rest = data[-14:] if not data.endswith(b"}\n") else b""
            if found:
                self.count += found
                self.last = time.perf_counter()

    def wait(self, count: int) -> None:
        until = time.monotonic() + PATIENCE
        while self.count < count:
            if time.monotonic() > until:
                raise SystemExit(f"{self.count} of {count} pods were bound within {PATIENCE:.0f} s")
            time.sleep(0.01)


def make_nodes(connection: Connection, zones: int) -> None:
    for number in range(NODES):
        made = node(number, zones)
        name = made["metadata"]["name"]
        connection.document("POST", "/api/v1/nodes", packed(made))
        patch = packed({"status": made["status"]})
        connection.document("PATCH", f"/api/v1/nodes/{name}/status", patch, "application/merge-patch+json")


def create(cluster: Cluster, wanted: Load, first: int, count: int, *, before: bool) -> dict[str, Any]:
    made = pod(f"pod-{MARK}", *of_load(wanted, before=before))
    del made["metadata"]["uid"]
    order = {"what": "creates", "connections": CONNECTIONS, "seconds": 600, "first": first, "count": count}
    return load(cluster, cluster.port, **order, owner="", namespace=NAMESPACE, pod=made)


def through_the_api(wanted: Load) -> Row:
    with Cluster() as cluster:
        cluster.start()
        with Connection(cluster.port, cluster.tls()) as connection:
            prepare(connection)
            make_nodes(connection, wanted.zones)
            bindings = Bindings(cluster)
            create(cluster, wanted, 0, wanted.there, before=True)
            bindings.wait(wanted.there)
            cpu, begun = cluster.cpu(), time.perf_counter()
            created = create(cluster, wanted, wanted.there, wanted.count, before=False)
            bindings.wait(wanted.there + wanted.count)
            rate = wanted.count / (bindings.last - begun)
            cost = (cluster.cpu() - cpu) / wanted.count * 1e6
    return Row(
        f"{wanted.name}: {wanted.count:,} pods, through the API",
        f"{rate:,.0f} a second",
        f"created {created['rate']:,.0f} a second; {cost:,.0f} µs of the server a pod",
        rate / wanted.wanted,
        f"≥ {wanted.wanted:,}",
    )


def run() -> list[Row]:
    return [alone(wanted) for wanted in LOADS] + [through_the_api(wanted) for wanted in LOADS]
