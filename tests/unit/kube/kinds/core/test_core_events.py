"""Events of the old API, which takes what old clients write."""

from typing import Any

import pytest

from ropewalk.kube.kinds.core.events import Events
from ropewalk.kube.kinds.events.conversion import from_core
from ropewalk.kube.machinery.objects import Json, Object
from unit.kube.kinds.verdicts import cells, changed, creation, update

KIND = Events()
OLD: Object = {
    "metadata": {"name": "one", "namespace": "here"},
    "involvedObject": {"kind": "Pod", "namespace": "here", "name": "web", "fieldPath": "spec.containers{main}"},
    "reason": "Pulled",
    "message": " Pulled the image\n",
    "source": {"component": "kubelet", "host": "node-1"},
    "firstTimestamp": "2025-12-31T23:50:00Z",
    "lastTimestamp": "2025-12-31T23:59:00Z",
    "count": 4,
    "type": "Normal",
}
NEW: Object = {
    "metadata": {"name": "one", "namespace": "here"},
    "involvedObject": {"kind": "Pod", "namespace": "here", "name": "web"},
    "reason": "Scheduled",
    "action": "Binding",
    "eventTime": "2025-12-31T23:58:00.000000Z",
    "reportingComponent": "default-scheduler",
    "reportingInstance": "one",
}


@pytest.mark.parametrize(
    ("event", "path", "value", "wrong"),
    [
        (OLD, ("reason",), None, []),
        (NEW, ("note",), "x", []),
        (OLD, ("involvedObject", "namespace"), "there",
         ['involvedObject.namespace: Invalid value: "there": does not match event.namespace']),
        (OLD, ("involvedObject", "namespace"), None,
         ['involvedObject.namespace: Invalid value: "": does not match event.namespace']),
        (NEW, ("involvedObject", "namespace"), "there", []),
        (NEW, ("involvedObject", "namespace"), None,
         ['involvedObject.namespace: Invalid value: "": does not match event.namespace']),
        (NEW, ("action",), None, ["action: Required value"]),
        (NEW, ("reason",), "x" * 129, ['reason: Invalid value: "": can have at most 128 characters']),
        (NEW, ("message",), "x" * 1025, ['message: Invalid value: "": can have at most 1024 characters']),
        (NEW, ("reportingInstance",), None, ["reportingInstance: Required value"]),
    ],
)  # fmt: skip
def test_rules(event: Object, path: tuple[str, ...], value: Json, wrong: list[str]) -> None:
    assert creation(KIND, changed(event, *path, value)) == wrong


def test_an_event_that_names_no_reporter() -> None:
    found = creation(KIND, changed(NEW, "reportingComponent", None))
    assert found[0] == "reportingComponent: Required value"


def test_an_event_of_a_cluster_wide_object_is_in_default() -> None:
    about = {"kind": "Node", "name": "n"}
    event = {**OLD, "metadata": {"name": "one", "namespace": "default"}, "involvedObject": about}
    assert creation(KIND, event) == []


def test_old_clients_may_change_everything() -> None:
    assert update(KIND, {**OLD, "message": "other", "reason": "Other", "count": 9}, OLD) == []


def test_columns() -> None:
    assert cells(KIND, OLD, wide=True) == {
        "Last Seen": "60s",
        "Type": "Normal",
        "Reason": "Pulled",
        "Object": "pod/web",
        "Subobject": "spec.containers{main}",
        "Source": "kubelet, node-1",
        "Message": "Pulled the image",
        "First Seen": "10m",
        "Count": 4,
        "Name": "one",
    }
    shown = cells(KIND, NEW, wide=True)
    assert [shown[name] for name in ("Last Seen", "First Seen", "Count", "Source")] == [
        "2m", "2m", 1, "default-scheduler, one",
    ]  # fmt: skip
    series = {"count": 7, "lastObservedTime": "2025-12-31T23:59:30.000000Z"}
    shown = cells(KIND, {**NEW, "series": series}, wide=True)
    assert (shown["Last Seen"], shown["Count"]) == ("30s", 7)


def test_what_can_be_selected() -> None:
    select: Any = KIND.selectable_fields
    assert select["involvedObject.name"](OLD) == "web" and select["type"](OLD) == "Normal"
    assert (select["source"](OLD), select["source"](NEW)) == ("kubelet", "default-scheduler")
    assert select["reportingComponent"](NEW) == "default-scheduler"


def test_the_two_shapes() -> None:
    shown = from_core(OLD)
    assert shown["apiVersion"] == "events.k8s.io/v1" and shown["regarding"]["name"] == "web"
    assert (shown["note"], shown["deprecatedCount"]) == (OLD["message"], 4)
    assert not shown.keys() & {"message", "source", "count", "involvedObject", "firstTimestamp", "reportingComponent"}
    assert from_core(NEW)["reportingController"] == "default-scheduler"
