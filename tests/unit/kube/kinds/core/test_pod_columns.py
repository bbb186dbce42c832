"""What `kubectl get pods` shows."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.core.pod_columns import COLUMNS
from ropewalk.kube.kinds.core.pod_templates import PodTemplates
from ropewalk.kube.machinery import times
from unit.kube.kinds.core.pod_kit import PODS, changed, made

NOW = times.parse("2025-01-01T01:00:00Z")
RUNS: dict[str, Any] = {"ready": True, "state": {"running": {}}}
INIT = {"name": "setup", "state": {"terminated": {"exitCode": 0}}}
PROXY = {"name": "proxy", "started": True, "ready": True, "state": {"running": {}}}
READY = {"type": "Ready", "status": "True"}
STARTED = {"status.initContainerStatuses": [INIT, PROXY]}


def both(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return {**STARTED, "status.containerStatuses": [{"name": "web", **first}, {"name": "log", **second}]}


def waits(reason: str, **more: Any) -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason}}, **more}


def ended(code: int, reason: str = "", **more: Any) -> dict[str, Any]:
    return {"state": {"terminated": {"exitCode": code, "reason": reason, **more}}}


@pytest.mark.parametrize(
    ("changes", "ready", "status", "restarts"),
    [
        ({}, "0/3", "Pending", "0"),
        ({"status.reason": "Evicted", "status.phase": "Failed"}, "0/3", "Evicted", "0"),
        (
            {"status.conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]},
            "0/3",
            "SchedulingGated",
            "0",
        ),
        ({"status.initContainerStatuses": [{"name": "setup", "state": {"running": {}}}]}, "0/3", "Init:0/2", "0"),
        ({"status.initContainerStatuses": [INIT, {"name": "proxy", "state": {}}]}, "0/3", "Init:1/2", "0"),
        (
            {"status.initContainerStatuses": [{"name": "setup", **waits("ErrImagePull")}]},
            "0/3",
            "Init:ErrImagePull",
            "0",
        ),
        ({"status.initContainerStatuses": [{"name": "setup", **waits("PodInitializing")}]}, "0/3", "Init:0/2", "0"),
        ({"status.initContainerStatuses": [{"name": "setup", **ended(1, "Error")}]}, "0/3", "Init:Error", "0"),
        ({"status.initContainerStatuses": [{"name": "setup", **ended(3)}]}, "0/3", "Init:ExitCode:3", "0"),
        ({"status.initContainerStatuses": [{"name": "setup", **ended(1, signal=9)}]}, "0/3", "Init:Signal:9", "0"),
        ({**both(RUNS, RUNS), "status.phase": "Running"}, "3/3", "Running", "0"),
        (
            {**both(RUNS, waits("CrashLoopBackOff", restartCount=4)), "status.phase": "Running"},
            "2/3",
            "CrashLoopBackOff",
            "4",
        ),
        ({**both(ended(0, "Completed"), ended(0, "Completed")), "status.phase": "Succeeded"}, "1/3", "Completed", "0"),
        (
            {**both(ended(0, "Completed"), RUNS), "status.phase": "Running", "status.conditions": [READY]},
            "2/3",
            "Running",
            "0",
        ),
        ({**both(ended(0, "Completed"), RUNS), "status.phase": "Running"}, "2/3", "NotReady", "0"),
        ({**both(ended(0, "Completed"), ended(2, "Error")), "status.phase": "Running"}, "1/3", "Error", "0"),
        ({**both(ended(5), RUNS), "status.phase": "Failed"}, "2/3", "ExitCode:5", "0"),
        ({"metadata.deletionTimestamp": "T"}, "0/3", "Terminating", "0"),
        ({"metadata.deletionTimestamp": "T", "status.phase": "Succeeded"}, "0/3", "Succeeded", "0"),
        ({"metadata.deletionTimestamp": "T", "status.reason": "NodeLost"}, "0/3", "Unknown", "0"),
        (
            {
                **both(
                    {**RUNS, "restartCount": 2, "lastState": {"terminated": {"finishedAt": "2025-01-01T00:55:00Z"}}},
                    {**RUNS, "restartCount": 1, "lastState": {"terminated": {"finishedAt": "2025-01-01T00:30:00Z"}}},
                ),
                "status.phase": "Running",
            },
            "3/3",
            "Running",
            "3 (5m ago)",
        ),
        (
            {"status.initContainerStatuses": [{"name": "setup", **waits("CrashLoopBackOff", restartCount=7)}]},
            "0/3",
            "Init:CrashLoopBackOff",
            "7",
        ),
    ],
)
def test_a_row(changes: dict[str, Any], ready: str, status: str, restarts: str) -> None:
    pod = changed(made({"metadata.creationTimestamp": "2025-01-01T00:00:00Z"}), changes)
    cells = {column.name: column.cell(pod, NOW) for column in COLUMNS}
    assert (cells["Name"], cells["Ready"], cells["Status"], cells["Restarts"]) == ("web", ready, status, restarts)
    assert cells["Age"] == "60m"


def test_a_wide_row() -> None:
    pod = made()
    wide = [column for column in COLUMNS if column.priority]
    assert [column.name for column in wide] == ["IP", "Node", "Nominated Node", "Readiness Gates"]
    assert [column.cell(pod, NOW) for column in wide] == ["<none>"] * 4
    changed(
        pod,
        {
            "spec.nodeName": "n",
            "spec.readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}],
            "status.podIPs": [{"ip": "10.0.0.1"}],
            "status.conditions": [{"type": "a", "status": "True"}],
        },
    )
    assert [column.cell(pod, NOW) for column in wide] == ["10.0.0.1", "n", "<none>", "1/2"]


def test_fields_that_select() -> None:
    pod = changed(made({"spec.hostNetwork": True}), {"status.podIPs": [{"ip": "10.0.0.1"}]})
    assert {name: read(pod) for name, read in PODS.selectable_fields.items()} == {
        "spec.nodeName": "",
        "spec.host": "",
        "spec.restartPolicy": "Always",
        "spec.schedulerName": "default-scheduler",
        "spec.serviceAccountName": "",
        "spec.hostNetwork": "true",
        "status.phase": "Pending",
        "status.podIP": "10.0.0.1",
        "status.podIPs": "",
        "status.nominatedNodeName": "",
    }


def test_a_row_of_a_template() -> None:
    spec = {"containers": [{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}]}
    obj = {"metadata": {"name": "t"}, "template": {"metadata": {"labels": {"y": "2", "x": "1"}}, "spec": spec}}
    assert [column.cell(obj, NOW) for column in PodTemplates.columns] == ["t", "a,b", "a:1,b:1", "x=1,y=2"]
    assert PodTemplates.columns[3].cell({"metadata": {"name": "t"}}, NOW) == "<none>"
