"""What a pod and a node become for the planner."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ropewalk.kube.machinery.selectors import EVERYTHING, NOTHING, label_selector_of, of_labels
from ropewalk.kube.scheduler.lowering import machine_of, spread_by_default, unit_of
from ropewalk.planning.choosing import Planner
from ropewalk.planning.demands import CPU, MEMORY, Company, Query
from ropewalk.planning.fleet import Fleet
from ropewalk.planning.standing import Standings

MIB = 1 << 20


def container(cpu: str = "", memory: str = "", **more: Any) -> dict[str, Any]:
    requests = {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value}
    return {"name": "c", "image": "nginx", "resources": {"requests": requests}} | more


def pod(*containers: dict[str, Any], labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    meta = {"name": "a", "namespace": "ns", "uid": "u-1", "labels": labels or {"app": "x"}}
    return {"metadata": meta, "spec": {"containers": list(containers)} | spec}


def node(cpu: str = "4", memory: str = "10000", name: str = "n", **more: Any) -> dict[str, Any]:
    allocatable = {"cpu": cpu, "memory": memory, "pods": "110", "nvidia.com/gpu": "2"}
    return {"metadata": {"name": name, "labels": {"zone": "a"}}, "status": {"allocatable": allocatable} | more}


@pytest.mark.parametrize(
    ("given", "room", "weight"),
    [
        (pod(container()), {}, (100, 200 * MIB)),
        (pod(container("1", "1Gi")), {CPU: 1000, MEMORY: 1024 * MIB}, (1000, 1024 * MIB)),
        (pod(container("1"), container()), {CPU: 1000}, (1100, 400 * MIB)),
        (pod(container("1"), initContainers=[container("3")]), {CPU: 3000}, (3000, 200 * MIB)),
        (
            pod(container("1"), initContainers=[container("1", restartPolicy="Always"), container("3")]),
            {CPU: 4000},
            (4000, 400 * MIB),
        ),
        (pod(container("1"), overhead={"cpu": "250m"}), {CPU: 1250}, (1250, 200 * MIB)),
        (pod(container("1"), resources={"requests": {"cpu": "3"}}), {CPU: 3000}, (3000, 200 * MIB)),
    ],
)
def test_what_a_pod_takes_and_what_it_weighs(given: Any, room: dict[str, int], weight: tuple[int, int]) -> None:
    unit = unit_of(given)
    assert dict(unit.room) == {"pods": 1} | room
    assert (unit.weight[CPU], unit.weight[MEMORY]) == weight


def test_further_resources_follow_the_usual_ones() -> None:
    requests = {"z.io/a": "1", "hugepages-2Mi": "4Mi", "ephemeral-storage": "1k", "memory": "1", "cpu": "1"}
    unit = unit_of(pod(container(resources={"requests": requests})))
    assert list(unit.room.items()) == [
        ("pods", 1),
        ("cpu", 1000),
        ("memory", 1),
        ("ephemeral-storage", 1000),
        ("hugepages-2Mi", 4 * MIB),
        ("z.io/a", 1),
    ]


def test_a_node() -> None:
    images = [{"names": ["nginx:latest", "nginx@sha256:1"], "sizeBytes": 5}]
    machine = machine_of(node(images=images))
    assert (machine.cpu_millis, machine.memory_bytes) == (4000, 10000)
    assert dict(machine.further) == {"pods": 110, "nvidia.com/gpu": 2}
    assert dict(machine.images) == {"nginx:latest": 5, "nginx@sha256:1": 5}


@pytest.mark.parametrize(
    ("image", "expected"),
    [("nginx", "nginx:latest"), ("r:5000/nginx", "r:5000/nginx:latest"), ("r:5000/nginx:1", "r:5000/nginx:1")],
)
def test_images_are_called_as_nodes_call_them(image: str, expected: str) -> None:
    assert unit_of(pod(container(image=image))).images == (expected,)


def test_host_ports() -> None:
    ports = [
        {"containerPort": 80, "hostPort": 80},
        {"containerPort": 81, "hostPort": 81, "hostIP": "10.0.0.1", "protocol": "UDP"},
        {"containerPort": 82, "hostPort": 82, "hostIP": "0.0.0.0"},
        {"containerPort": 83},
    ]
    unit = unit_of(pod(container(ports=ports), initContainers=[container(ports=[{"hostPort": 90}])]))
    assert unit.ports == {("TCP", 80), ("UDP", 81, "10.0.0.1"), ("TCP", 82)}


SELECTOR = {"matchLabels": {"app": "x"}}
SAME = label_selector_of(SELECTOR)


@pytest.mark.parametrize(
    ("term", "query"),
    [
        ({"labelSelector": SELECTOR}, Query(SAME, frozenset({"ns"}))),
        ({"labelSelector": SELECTOR, "namespaces": ["o"]}, Query(SAME, frozenset({"o"}))),
        ({"labelSelector": SELECTOR, "namespaceSelector": {}}, Query(SAME, frozenset(), EVERYTHING)),
        (
            {"labelSelector": SELECTOR, "namespaces": ["o"], "namespaceSelector": {}},
            Query(SAME, frozenset("o"), EVERYTHING),
        ),
        ({}, Query(NOTHING, frozenset({"ns"}))),
    ],
)
def test_affinity_to_pods(term: dict[str, Any], query: Query) -> None:
    term = term | {"topologyKey": "zone"}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 7, "podAffinityTerm": term}]}
    near = unit_of(pod(affinity={"podAffinity": required | preferred}))
    assert (near.near, near.likes, near.apart, near.dislikes) == (
        (Company(query, "zone"),),
        (Company(query, "zone", 7),),
        (),
        (),
    )
    apart = unit_of(pod(affinity={"podAntiAffinity": required | preferred}))
    assert (apart.apart, apart.dislikes, apart.near, apart.likes) == (near.near, near.likes, (), ())


def spread(**more: Any) -> dict[str, Any]:
    return {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": SELECTOR} | more


def test_spread_constraints() -> None:
    given = [
        spread(),
        spread(whenUnsatisfiable="ScheduleAnyway", maxSkew=4, topologyKey="kubernetes.io/hostname"),
        spread(minDomains=3, nodeTaintsPolicy="Honor", nodeAffinityPolicy="Ignore"),
    ]
    unit = unit_of(pod(topologySpreadConstraints=given, nodeSelector={"zone": "a"}))
    first, second = unit.evenly
    (soft,) = unit.rather_evenly
    query = Query(SAME, frozenset({"ns"}), staying=True)
    assert (first.query, first.field, first.skew, first.places, first.by_machine) == (query, "zone", 1, 1, False)
    assert [each.name for each in first.among] == ["node(s) didn't match Pod's node affinity/selector"]
    assert [each.name for each in second.among] == ["node(s) had untolerated taint(s)"] and second.places == 3
    assert (soft.skew, soft.by_machine, unit.rather_everywhere) == (4, True, False)


@pytest.mark.parametrize(
    ("selector", "labels", "itself", "counted"),
    [
        (SELECTOR, {"app": "x"}, True, SAME),
        (SELECTOR, {"app": "y"}, False, SAME),
        ({}, {"app": "x"}, True, NOTHING),
        (None, {"app": "x"}, False, NOTHING),
    ],
)
def test_whom_a_spread_constraint_counts(selector: Any, labels: dict[str, str], itself: bool, counted: Any) -> None:
    given = {name: value for name, value in spread(labelSelector=selector).items() if value is not None}
    (evenly,) = unit_of(pod(labels=labels, topologySpreadConstraints=[given])).evenly
    assert (evenly.counts_itself, evenly.query.selector) == (itself, counted)


def test_pods_of_a_service_or_controller_are_spread_by_default() -> None:
    given = pod(container())
    unit = unit_of(given)
    assert spread_by_default(unit, given, EVERYTHING) is unit
    spreading = spread_by_default(unit, given, of_labels({"app": "x"}))
    assert [(each.field, each.skew) for each in spreading.rather_evenly] == [
        ("kubernetes.io/hostname", 3),
        ("topology.kubernetes.io/zone", 5),
    ]
    assert spreading.rather_everywhere
    own = pod(container(), topologySpreadConstraints=[spread()])
    assert spread_by_default(unit_of(own), own, of_labels({"app": "x"})).rather_evenly == ()


# The figures of kube-scheduler's own tests: least_allocated_test.go and balanced_allocation_test.go.


@pytest.mark.parametrize(
    ("nodes", "asked", "there", "expected"),
    [
        # (4000-3000)*100/4000 = 25, (10000-5000)*100/10000 = 50: 37; shares 0.75 and 0.5: 87. And 50; 100.
        ([("4", "10000"), ("6", "10000")], ("3", "5000"), {}, [37 + 87, 50 + 100]),
        # used: 3000 of 10000 and 0 of 20000; then 6000 of 10000 and 5000 of 20000, both with what is asked
        ([("10", "20000"), ("10", "20000")], ("3", "5000"), {1: [("3", "0")]}, [72 + 97, 57 + 82]),
        # more than there is scores nothing, and uses all
        ([("10", "20000"), ("10", "50000")], ("3", "5000"), {0: [("3", "20000")]}, [20 + 80, 80 + 90]),
        ([("0", "0")], ("0", "0"), {}, [0]),
    ],
)
def test_resources_score_as_in_kube_scheduler(
    nodes: list[tuple[str, str]],
    asked: tuple[str, str],
    there: dict[int, list[tuple[str, str]]],
    expected: list[int],
) -> None:
    fleet = Fleet(machine_of(node(*each, name=f"n{number}")) for number, each in enumerate(nodes))
    for number, units in there.items():
        for index, each in enumerate(units):
            meta = {"name": "o", "namespace": "ns", "uid": f"o{number}{index}"}
            fleet.add(unit_of(pod(container(*each)) | {"metadata": meta}), f"n{number}")
    unit = unit_of(pod(container(*asked)))
    standing = Standings(fleet).of(unit)
    slots = [fleet.slot_of[f"n{number}"] for number in range(len(nodes))]
    assert standing.score[np.array(slots)].tolist() == expected


def test_the_lectures_six_replicas_on_three_nodes() -> None:
    """Required anti-affinity by zone: three run, three are told why they do not."""
    term = {"labelSelector": SELECTOR, "topologyKey": "zone"}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    nodes = [node(name=f"n{zone}") | {"metadata": {"name": f"n{zone}", "labels": {"zone": zone}}} for zone in "abc"]
    planner = Planner(Fleet(map(machine_of, nodes)))
    pods = [pod(container("1m"), affinity=affinity) for _ in range(6)]
    for number, each in enumerate(pods):
        each["metadata"] |= {"uid": f"u{number}"}
    chosen = [choice.machine for choice in planner.plan(map(unit_of, pods))]
    assert sorted(map(str, chosen)) == ["None"] * 3 + ["na", "nb", "nc"]
