"""What a pod asks of a node itself, against what kube-scheduler says of it."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.scheduler.lowering import machine_of, unit_of
from ropewalk.kube.scheduler.words import reason
from ropewalk.planning.choosing import Planner
from ropewalk.planning.demands import Unit
from ropewalk.planning.fleet import Fleet
from ropewalk.planning.sieve import Lack


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "a", "namespace": "ns", "uid": "u-1", "labels": {"app": "x"}},
        "spec": {"containers": list(containers)} | spec,
    }


def node(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "n-1", "labels": {"zone": "a", "cores": "8"}},
        "spec": spec,
        "status": {"allocatable": {"pods": "2"}},
    }


def affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"affinity": {"nodeAffinity": required}}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


TAINT = {"key": "k", "value": "v", "effect": "NoSchedule"}
TAINTED = "node(s) had untolerated taint(s)"
SELECTOR = "node(s) didn't match Pod's node affinity/selector"


@pytest.mark.parametrize(
    ("of_pod", "of_node", "load", "expected"),
    [
        ({}, {}, 1, ""),
        ({}, {}, 2, "Too many pods"),
        ({}, {"unschedulable": True}, 0, "node(s) were unschedulable"),
        ({"tolerations": [{"operator": "Exists"}]}, {"unschedulable": True}, 0, ""),
        ({}, {"taints": [TAINT]}, 0, TAINTED),
        ({}, {"taints": [TAINT | {"effect": "PreferNoSchedule"}]}, 0, ""),
        ({}, {"taints": [TAINT | {"effect": "NoExecute"}]}, 0, TAINTED),
        ({"tolerations": [{"key": "k", "value": "v"}]}, {"taints": [TAINT]}, 0, ""),
        ({"tolerations": [{"key": "k", "value": "w"}]}, {"taints": [TAINT]}, 0, TAINTED),
        ({"tolerations": [{"key": "k", "operator": "Exists", "effect": "NoExecute"}]}, {"taints": [TAINT]}, 0, TAINTED),
        ({"nodeSelector": {"zone": "a"}}, {}, 0, ""),
        ({"nodeSelector": {"zone": "b"}}, {}, 0, SELECTOR),
        (affinity(expression("zone", "In", "a", "b")), {}, 0, ""),
        (affinity(expression("zone", "NotIn", "a")), {}, 0, SELECTOR),
        (affinity(expression("other", "NotIn", "a")), {}, 0, ""),
        (affinity(expression("other", "Exists")), {}, 0, SELECTOR),
        (affinity(expression("other", "DoesNotExist")), {}, 0, ""),
        (affinity(expression("cores", "Gt", "7")), {}, 0, ""),
        (affinity(expression("cores", "Lt", "8")), {}, 0, SELECTOR),
        (affinity(expression("zone", "Gt", "7")), {}, 0, SELECTOR),
        (affinity(expression("zone", "In", "b"), expression("zone", "In", "a")), {}, 0, ""),
        (affinity({}), {}, 0, SELECTOR),
        (
            affinity({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n-1"]}]}),
            {},
            0,
            "",
        ),
    ],
)
def test_why_a_node_does_not_take_a_pod(of_pod: Any, of_node: Any, load: int, expected: str) -> None:
    fleet = Fleet([machine_of(node(**of_node))])
    for number in range(load):
        fleet.add(Unit(str(number), room={"pods": 1}), "n-1")
    tally = Planner(fleet).choose(unit_of(pod({"name": "web"}, **of_pod))).sieve.tally()
    assert [reason(*lack) for lack in tally] == ([expected] if expected else [])


def named(*names: str) -> dict[str, Any]:
    return {"matchFields": [{"key": "metadata.name", "operator": "In", "values": list(names)}]}


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([named("n-2")], frozenset({"n-2"})),
        ([named("n-2"), named("n-3")], frozenset({"n-2", "n-3"})),
        ([named("n-2"), expression("zone", "Exists")], None),
        ([{"matchFields": named("n-2", "n-3")["matchFields"] + named("n-3")["matchFields"]}], frozenset({"n-3"})),
        ([{"matchFields": named("n-2")["matchFields"] + named("n-3")["matchFields"]}], frozenset()),
    ],
)
def test_nodes_that_are_called_by_name(terms: list[Any], expected: frozenset[str] | None) -> None:
    assert unit_of(pod(**affinity(*terms))).only == expected


def test_nodes_that_are_not_called_are_told_so() -> None:
    fleet = Fleet([machine_of(node())])
    tally = Planner(fleet).choose(unit_of(pod(**affinity(named("n-2"))))).sieve.tally()
    assert tally == {(Lack.ONLY, ""): 1}
    assert reason(Lack.ONLY, "") == "node(s) didn't satisfy plugin(s) [NodeAffinity]"


def preference(weight: int, term: dict[str, Any]) -> dict[str, Any]:
    return {"weight": weight, "preference": term}


def test_preferred_terms_add_up_and_empty_ones_count_nothing() -> None:
    given = [
        preference(2, expression("zone", "In", "a")),
        preference(5, expression("cores", "Gt", "4")),
        preference(9, expression("zone", "In", "b")),
        preference(11, {}),
    ]
    wanted = {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": given}}}
    _, preferred = unit_of(pod(**wanted)).preferences
    assert (preferred.counts(machine_of(node())), preferred.weight, preferred.fewest) == (7, 2, False)


def test_soft_taints_are_counted_unless_they_are_tolerated() -> None:
    taints = [{"key": key, "value": "v", "effect": "PreferNoSchedule"} for key in "abc"] + [TAINT]
    tolerations = [
        {"key": "a", "operator": "Exists", "effect": "PreferNoSchedule"},
        {"key": "b", "value": "v"},
        {"key": "c", "operator": "Exists", "effect": "NoSchedule"},
    ]
    (soft,) = unit_of(pod(tolerations=tolerations)).preferences
    assert (soft.counts(machine_of(node(taints=taints))), soft.weight, soft.fewest) == (1, 3, True)
