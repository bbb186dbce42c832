"""The cluster as the planner sees it: which changes are the scheduler's own, and which make its plans doubtful."""

from __future__ import annotations

from typing import Any

from ropewalk.kube.machinery.api import ObjectChange
from ropewalk.kube.machinery.objects import Object, uid_of
from ropewalk.kube.scheduler.cluster import Cluster
from ropewalk.kube.scheduler.lowering import unit_of
from ropewalk.planning.demands import Unit
from ropewalk.planning.hints import Change, MachineChanged, UnitMoved

ZONE = {"topology.kubernetes.io/zone": "a"}


class Heard:
    def __init__(self) -> None:
        self.wants: list[str] = []
        self.went: list[str] = []
        self.changes: list[Change] = []

    def wanted(self, unit: Unit, pod: Object) -> None:
        self.wants.append(unit.id)

    def gone(self, uid: str) -> None:
        self.went.append(uid)

    def changed(self, change: Change) -> None:
        self.changes.append(change)


def pod(name: str = "p", labels: dict[str, str] | None = None, status: Any = None, **spec: Any) -> Object:
    meta = {"name": name, "namespace": "ns", "uid": f"u-{name}", "labels": labels or {"app": "x"}}
    return {"metadata": meta, "spec": {"containers": [{"name": "c", "image": "i"}]} | spec, "status": status or {}}


def node(cpu: str = "4") -> Object:
    allocatable = {"cpu": cpu, "memory": "1Gi", "pods": "9"}
    return {"metadata": {"name": "n", "labels": ZONE}, "status": {"allocatable": allocatable}}


def begun() -> tuple[Cluster, Heard]:
    heard = Heard()
    cluster = Cluster(1, heard)
    cluster.node_changed(ObjectChange(None, node()))
    heard.changes.clear()
    return cluster, heard


def test_a_binding_of_our_own_is_not_foreign_even_with_the_labels_it_gives() -> None:
    cluster, heard = begun()
    waiting = pod()
    cluster.pod_changed(ObjectChange(None, waiting))
    assert heard.wants == ["u-p"]
    before = cluster.foreign
    cluster.assume(unit_of(waiting), "n")
    bound = pod(labels={"app": "x"} | ZONE, nodeName="n")
    cluster.pod_changed(ObjectChange(waiting, bound))
    assert cluster.foreign == before and cluster.assumed == {} and heard.went == ["u-p"]
    assert [type(change) for change in heard.changes] == [UnitMoved], "others may have waited for its company"
    running = bound | {"status": {"phase": "Running"}}
    cluster.pod_changed(ObjectChange(bound, running))
    assert cluster.foreign == before and len(heard.changes) == 1, "a status is no news"


def test_a_binding_by_somebody_else_is_foreign_and_wins() -> None:
    cluster, _ = begun()
    waiting = pod()
    cluster.assume(unit_of(waiting), "n")
    before = cluster.foreign
    cluster.pod_changed(ObjectChange(waiting, pod(nodeName="elsewhere")))
    assert cluster.foreign == before + 1
    assert (cluster.fleet.machine_of("u-p"), cluster.assumed) == ("elsewhere", {})


def test_pods_that_ended_take_no_room_and_those_that_go_still_do() -> None:
    cluster, heard = begun()
    bound = pod(nodeName="n")
    cluster.pod_changed(ObjectChange(None, bound))
    going = pod(nodeName="n")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    cluster.pod_changed(ObjectChange(bound, going))
    unit = cluster.fleet.unit("u-p")
    assert unit is not None and unit.leaving
    cluster.pod_changed(ObjectChange(going, going | {"status": {"phase": "Failed"}}))
    assert cluster.fleet.unit("u-p") is None
    assert heard.changes[-1] == UnitMoved(unit, None)


def test_a_pod_made_anew_under_the_same_name_is_another() -> None:
    cluster, heard = begun()
    first, second = pod(nodeName="n"), pod()
    second["metadata"]["uid"] = "u-other"
    cluster.pod_changed(ObjectChange(None, first))
    cluster.pod_changed(ObjectChange(first, second))
    assert cluster.fleet.unit("u-p") is None and heard.wants == ["u-other"]


def test_a_node_that_is_the_same_is_no_news() -> None:
    cluster, heard = begun()
    before = cluster.foreign
    cluster.node_changed(ObjectChange(node(), node() | {"spec": {"podCIDR": "10.0.0.0/24"}}))
    assert (cluster.foreign, heard.changes) == (before, [])
    cluster.node_changed(ObjectChange(node(), node("8")))
    (change,) = heard.changes
    assert cluster.foreign == before + 1 and isinstance(change, MachineChanged) and change.old is not None
    cluster.node_changed(ObjectChange(node("8"), None))
    assert len(cluster.fleet) == 0


def test_what_was_assumed_and_not_written_is_given_up() -> None:
    cluster, heard = begun()
    waiting = pod()
    cluster.assume(unit_of(waiting), "n")
    assert cluster.forget_assumed() == [uid_of(waiting)] and cluster.fleet.unit("u-p") is None
    cluster.assume(unit_of(waiting), "n")
    cluster.unassume("u-p")
    assert cluster.fleet.unit("u-p") is None and isinstance(heard.changes[-1], UnitMoved)


def test_pods_of_no_concern() -> None:
    cluster, heard = begun()
    gated = pod("gated", schedulingGates=[{"name": "x.io/g"}])
    for each in (gated, pod("other", schedulerName="mine"), pod("over", status={"phase": "Succeeded"})):
        cluster.pod_changed(ObjectChange(None, each))
    assert heard.wants == []
    cluster.pod_changed(ObjectChange(gated, pod("gated")))
    assert heard.wants == ["u-gated"]
