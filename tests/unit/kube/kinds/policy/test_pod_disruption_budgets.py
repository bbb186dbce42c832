"""Pod disruption budgets and evictions."""

from __future__ import annotations

import pytest

from ropewalk.kube.kinds.policy import STRATEGIES
from ropewalk.kube.kinds.policy.evictions import check_eviction
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update, updated

BUDGETS = STRATEGIES["poddisruptionbudgets"]
ONE: Object = {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}}}


@pytest.mark.parametrize("amount", [0, 3, "0%", "100%"])
def test_good(amount: int | str) -> None:
    assert creation(BUDGETS, changed(ONE, "spec", "minAvailable", amount)) == []
    assert creation(BUDGETS, {"spec": {"maxUnavailable": amount, "unhealthyPodEvictionPolicy": "AlwaysAllow"}}) == []


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"minAvailable": 1, "maxUnavailable": 1}, "minAvailable and maxUnavailable cannot be both set"),
        ({"minAvailable": "101%"}, 'spec.minAvailable: Invalid value: "101%": must not be greater than 100%'),
        ({"maxUnavailable": -1}, "spec.maxUnavailable: Invalid value: -1: must be greater than or equal to 0"),
        ({"maxUnavailable": "1"}, "a valid percent string must be a numeric string followed by an ending '%'"),
        ({"unhealthyPodEvictionPolicy": "X"}, 'supported values: "AlwaysAllow", "IfHealthyBudget"'),
        ({"selector": {"matchExpressions": [{"key": "a", "operator": "Like"}]}}, "not a valid selector operator"),
    ],
)
def test_bad(spec: Object, complaint: str) -> None:
    (found,) = creation(BUDGETS, {"spec": spec})
    assert complaint in found


def test_generation() -> None:
    old = created(BUDGETS, ONE)
    assert updated(BUDGETS, old, old)["metadata"]["generation"] == 1
    assert updated(BUDGETS, changed(old, "spec", "minAvailable", 2), old)["metadata"]["generation"] == 2


def test_status() -> None:
    condition = {"type": "DisruptionAllowed", "status": "True", "reason": "Enough", "lastTransitionTime": "2026-01-01"}
    assert status_update(BUDGETS, {"disruptionsAllowed": 1, "conditions": [condition]}, created(BUDGETS, ONE)) == []
    found = status_update(
        BUDGETS,
        {"expectedPods": -1, "conditions": [condition, {**condition, "status": "Maybe", "reason": "no good"}]},
        created(BUDGETS, ONE),
    )
    assert [line.partition(": ")[0] for line in found] == [
        "status.conditions[1].type",
        "status.conditions[1].status",
        "status.conditions[1].reason",
        "status.expectedPods",
    ]


def test_table() -> None:
    assert cells(BUDGETS, changed(created(BUDGETS, ONE), "status", {"disruptionsAllowed": 2})) == {
        "Name": "one",
        "Min Available": "1",
        "Max Unavailable": "N/A",
        "Allowed Disruptions": 2,
        "Age": "0s",
    }


def test_an_eviction_names_its_pod() -> None:
    check_eviction({"metadata": {"name": "a"}}, "a")
    with pytest.raises(StatusFault, match="name in URL does not match name in Eviction object"):
        check_eviction({"metadata": {"name": "a"}}, "b")
