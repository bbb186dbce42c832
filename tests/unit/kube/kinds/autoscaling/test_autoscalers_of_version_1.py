"""Autoscalers in version 1: a view of version 2, whose rules, defaults and tables they have (`kinds.converted`)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ropewalk.kube.kinds.autoscaling import STRATEGIES
from ropewalk.kube.kinds.autoscaling.conversion import METRICS, to_v1, to_v2
from ropewalk.kube.kinds.converted import converted
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.strategy import Strategy
from support.kube_front import TABLE, Server
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update, update, updated

NEWER = STRATEGIES["horizontalpodautoscalers"]
OLDER = converted(NEWER, to_v2, to_v1)
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
ONE: Object = {
    "apiVersion": "autoscaling/v1",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "one"},
    "spec": {"scaleTargetRef": TARGET, "maxReplicas": 5, "targetCPUUtilizationPercentage": 60},
}
PODS = {"type": "Pods", "pods": {"metric": {"name": "p"}, "target": {"type": "AverageValue", "averageValue": "1"}}}
PATH = "/apis/autoscaling/{}/namespaces/default/horizontalpodautoscalers"


def _with(**spec: Any) -> Object:
    return {**ONE, "spec": {**ONE["spec"], **spec}}


def test_the_facts_of_the_newer_kind_hold() -> None:
    for name in ("has_status", "has_generation", "allow_unconditional_update", "reset_fields", "returns_deleted"):
        assert getattr(OLDER, name) == getattr(NEWER, name)
    assert [column.name for column in OLDER.columns] == [column.name for column in NEWER.columns]


def test_defaults() -> None:
    made = created(OLDER, {**ONE, "spec": {"scaleTargetRef": TARGET, "maxReplicas": 5}})
    assert made["spec"] == {
        "scaleTargetRef": TARGET,
        "minReplicas": 1,
        "maxReplicas": 5,
        "targetCPUUtilizationPercentage": 80,
    }
    assert "annotations" not in made["metadata"]
    again = created(OLDER, made)
    assert again["spec"] == made["spec"]


def test_there_and_back() -> None:
    kept = to_v2(created(OLDER, ONE))
    assert to_v2(to_v1(kept)) == kept
    assert to_v1(to_v2(to_v1(kept))) == to_v1(kept)


@pytest.mark.parametrize(
    ("spec", "complaints"),
    [
        ({}, []),
        ({"maxReplicas": 0}, ["spec.maxReplicas: Invalid value: 0: must be greater than 0",
                              "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`"]),
        ({"scaleTargetRef": {"apiVersion": "apps/v1"}}, ["spec.scaleTargetRef.kind: Required value",
                                                        "spec.scaleTargetRef.name: Required value"]),
        (
            {"targetCPUUtilizationPercentage": 0},
            ["spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0"],
        ),
    ],
)  # fmt: skip
def test_rules_tell_the_paths_of_the_newer_version(spec: Object, complaints: list[str]) -> None:
    assert creation(OLDER, _with(**spec)) == complaints
    old = created(OLDER, ONE)
    assert update(OLDER, {**old, "spec": {**old["spec"], **spec}}, old) == complaints


def test_metrics_that_travel_in_an_annotation_are_judged() -> None:
    text = '[{"type":"Pods","pods":{"metricName":"","targetAverageValue":"1"}}]'
    assert creation(OLDER, changed(ONE, "metadata", "annotations", {METRICS: text})) == [
        "spec.metrics[0].pods.metric.name: Required value: must specify a metric name"
    ]


def test_updates_of_the_object_and_of_its_status_keep_apart() -> None:
    old = {**created(OLDER, ONE), "status": {"currentReplicas": 2, "desiredReplicas": 3}}
    new = updated(OLDER, {**old, "spec": {**old["spec"], "maxReplicas": 9}, "status": {"currentReplicas": 7}}, old)
    assert (new["spec"]["maxReplicas"], new["status"]) == (9, {"currentReplicas": 2, "desiredReplicas": 3})
    OLDER.prepare_status_update(new, old)
    assert new["spec"] == old["spec"]
    assert status_update(OLDER, {"currentReplicas": -1}, old) == [
        "status.currentReplicas: Invalid value: -1: must be greater than or equal to 0"
    ]


def test_warnings_are_those_of_the_newer_version() -> None:
    class Warning(Strategy):
        def warnings(self, new: Object, old: Object | None) -> list[str]:
            return [new["apiVersion"], "" if old is None else old["apiVersion"]]

        def status_warnings(self, new: Object, old: Object) -> list[str]:
            return [new["apiVersion"]]

    kind = converted(Warning(), to_v2, to_v1)
    assert kind.warnings(ONE, None) == ["autoscaling/v2", ""]
    assert kind.warnings(ONE, ONE) == ["autoscaling/v2", "autoscaling/v2"]
    assert kind.status_warnings(ONE, ONE) == ["autoscaling/v2"]


def test_a_row() -> None:
    made = {**created(OLDER, ONE), "status": {"currentReplicas": 2, "desiredReplicas": 2}}
    row = cells(OLDER, made)
    assert (row["Reference"], row["Targets"]) == ("Deployment/web", "cpu: <unknown>/60%")
    assert (row["MinPods"], row["MaxPods"], row["Replicas"]) == ("1", 5, 2)


def test_one_object_in_both_versions() -> None:
    """Through a server: what one version writes the other one reads, and a patch of either loses nothing of it."""

    async def act() -> list[Any]:
        server = await Server().start()
        try:
            made = await server.post(PATH.format("v1"), ONE)
            two = await server.get(PATH.format("v2") + "/one")
            both = [*two.json["spec"]["metrics"], PODS]
            await server.patch(PATH.format("v2") + "/one", {"spec": {"metrics": both}})
            patched = await server.patch(PATH.format("v1") + "/one", {"spec": {"maxReplicas": 7}})
            after = await server.get(PATH.format("v2") + "/one")
            table = await server.get(PATH.format("v1"), accept=TABLE)
            return [made, two, patched, after, table]
        finally:
            await server.stop()

    made, two, patched, after, table = asyncio.run(act())
    assert (made.status, made.json["apiVersion"]) == (201, "autoscaling/v1")
    assert made.json["spec"]["targetCPUUtilizationPercentage"] == 60
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}
    assert two.json["spec"]["metrics"] == [{"type": "Resource", "resource": cpu}]
    assert METRICS in patched.json["metadata"]["annotations"]
    kinds = sorted(metric["type"] for metric in after.json["spec"]["metrics"])
    assert (after.json["spec"]["maxReplicas"], kinds) == (7, ["Pods", "Resource"])
    assert "annotations" not in after.json["metadata"]
    assert table.json["rows"][0]["cells"][:2] == ["one", "Deployment/web"]
