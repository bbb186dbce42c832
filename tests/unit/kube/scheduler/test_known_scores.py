"""Scores as kube-scheduler's own tests have them: topology spread, image locality, company, taints, preferred nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ropewalk.kube.scheduler.lowering import HOSTNAME, machine_of, unit_of
from ropewalk.planning.choosing import Planner
from ropewalk.planning.comparing import compare
from ropewalk.planning.fleet import Fleet

MB = 1 << 20


def node(name: str, zone: str = "", **status: Any) -> dict[str, Any]:
    labels = {HOSTNAME: name} | ({"zone": zone} if zone else {})
    room = {"cpu": "10", "memory": "10Gi", "pods": "99"}
    return {"metadata": {"name": name, "labels": labels}, "status": {"allocatable": room} | status}


def pod(name: str, labels: dict[str, str] | None = None, image: str = "i:1", **spec: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "ns", "uid": name, "labels": labels or {}}
    return {"metadata": meta, "spec": {"containers": [{"name": "c", "image": image}]} | spec}


def scores(
    nodes: list[dict[str, Any]], there: dict[str, int], wanted: dict[str, Any], only: str = ""
) -> dict[str, int]:
    """Weighted, by node; `there`: how many pods labelled foo are on which."""
    fleet = Fleet(map(machine_of, nodes))
    for name, count in there.items():
        for number in range(count):
            fleet.add(unit_of(pod(f"{name}-{number}", {"foo": ""})), name)
    unit = unit_of(wanted)
    able = Planner(fleet).choose(unit).sieve.able
    if only:
        able &= np.array([machine is not None and machine.id in only.split() for machine in fleet.machines])
    places = np.flatnonzero(able)
    found = compare(fleet, unit, places)
    return {} if found is None else dict(zip(map(fleet.name, places.tolist()), found.tolist(), strict=True))


def softly(field: str, skew: int = 1) -> dict[str, Any]:
    selector = {"matchExpressions": [{"key": "foo", "operator": "Exists"}]}
    return {"maxSkew": skew, "topologyKey": field, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": selector}


def test_one_constraint_on_nodes() -> None:
    wanted = pod("p", {"foo": ""}, topologySpreadConstraints=[softly(HOSTNAME)])
    there = {"a": 2, "b": 1, "d": 3}
    assert scores([node(name) for name in "abcd"], there, wanted) == {"a": 40, "b": 120, "c": 200, "d": 0}


def test_two_constraints_with_two_of_four_nodes_left() -> None:
    nodes = [node("a", "zone1"), node("b", "zone1"), node("x", "zone2"), node("y", "zone2")]
    wanted = pod("p", {"foo": ""}, topologySpreadConstraints=[softly("zone"), softly(HOSTNAME)])
    assert scores(nodes, {"a": 2, "b": 1, "x": 2, "y": 4}, wanted, only="a x") == {"a": 200, "x": 126}


def test_the_node_with_the_larger_of_two_images() -> None:
    first = [
        {"names": ["gcr.io/40:latest"], "sizeBytes": 40 * MB},
        {"names": ["gcr.io/300:latest"], "sizeBytes": 300 * MB},
    ]
    second = [
        {"names": ["gcr.io/250:latest"], "sizeBytes": 250 * MB},
        {"names": ["gcr.io/10:latest"], "sizeBytes": 10 * MB},
    ]
    wanted = pod("p", containers=[{"name": "a", "image": "gcr.io/40"}, {"name": "b", "image": "gcr.io/250"}])
    assert scores([node("one", images=first), node("two", images=second)], {}, wanted) == {"one": 0, "two": 5}


def test_soft_taints_and_preferred_nodes() -> None:
    taints = [{"key": key, "effect": "PreferNoSchedule"} for key in "abc"]
    nodes = [node(f"n{number}") | {"spec": {"taints": taints[:number]}} for number in range(4)]
    assert scores(nodes, {}, pod("p")) == {"n0": 3 * 100, "n1": 3 * 67, "n2": 3 * 34, "n3": 0}
    terms = [
        {"weight": weight, "preference": {"matchExpressions": [{"key": HOSTNAME, "operator": "In", "values": [name]}]}}
        for weight, name in ((2, "x"), (8, "y"))
    ]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}
    assert scores([node(name) for name in "wxy"], {}, pod("p", affinity=affinity)) == {"w": 0, "x": 50, "y": 200}


def test_preferred_company_in_the_same_region() -> None:
    selector = {"matchExpressions": [{"key": "foo", "operator": "Exists"}]}
    term = {"weight": 5, "podAffinityTerm": {"labelSelector": selector, "topologyKey": "zone"}}
    wanted = pod("p", affinity={"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}})
    nodes = [node("a", "china"), node("b", "china"), node("c", "india"), node("d")]
    assert scores(nodes, {"a": 2, "c": 1}, wanted) == {"a": 200, "b": 200, "c": 100, "d": 0}
    away = pod("p", affinity={"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [term]}})
    assert scores(nodes, {"a": 2, "c": 1}, away) == {"a": 0, "b": 0, "c": 100, "d": 200}
