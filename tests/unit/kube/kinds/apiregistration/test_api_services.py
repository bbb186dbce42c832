"""API services."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.apiregistration import STRATEGIES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update

SERVICES = STRATEGIES["apiservices"]
ONE: Object = {
    "metadata": {"name": "v1.metrics.k8s.io"},
    "spec": {
        "group": "metrics.k8s.io",
        "version": "v1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "service": {"namespace": "kube-system", "name": "metrics"},
        "insecureSkipTLSVerify": True,
    },
}
LOCAL = changed(changed(ONE, "spec", "service", None), "spec", "insecureSkipTLSVerify", None)


def test_good() -> None:
    assert creation(SERVICES, ONE) == []
    assert creation(SERVICES, LOCAL) == []
    core = changed(changed(LOCAL, "metadata", "name", "v1."), "spec", "group", None)
    assert creation(SERVICES, core) == []


def test_what_is_served_here_is_available() -> None:
    made = created(SERVICES, LOCAL)
    assert made["status"]["conditions"] == [
        {
            "type": "Available",
            "status": "True",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "reason": "Local",
            "message": "Local APIServices are always available",
        }
    ]
    assert created(SERVICES, ONE)["status"] == {}
    assert created(SERVICES, ONE)["spec"]["service"]["port"] == 443


@pytest.mark.parametrize(
    ("path", "value", "complaint"),
    [
        (("metadata", "name"), "v2.metrics.k8s.io", 'must be `spec.version+"."+spec.group`: "v1.metrics.k8s.io"'),
        (("metadata", "name"), "a/b", "may not contain '/'"),
        (("spec", "group"), "", "spec.group: Required value"),
        (("spec", "group"), "A", "a lowercase RFC 1123 subdomain"),
        (("spec", "version"), "1", "a DNS-1035 label"),
        (("spec", "groupPriorityMinimum"), 0, "must be positive and less than 20000"),
        (("spec", "groupPriorityMinimum"), 20001, "must be positive and less than 20000"),
        (("spec", "versionPriority"), 1001, "must be positive and less than 1000"),
        (("spec", "service", "name"), "", "spec.service.name: Required value"),
        (("spec", "service", "port"), 70000, "port is not valid: must be between 1 and 65535, inclusive"),
        (("spec", "caBundle"), "Zm9v", "may not be true if caBundle is present"),
    ],
)
def test_bad(path: tuple[str, ...], value: Any, complaint: str) -> None:
    one = changed(ONE, "spec", "version", "v2") if path == ("spec", "group") and not value else ONE
    found = creation(SERVICES, changed(one, *path, value))
    assert any(complaint in line for line in found), found


def test_what_is_served_here_has_no_bundle() -> None:
    assert creation(SERVICES, changed(LOCAL, "spec", "caBundle", "Zm9v")) == [
        'spec.caBundle: Invalid value: "3 bytes": local APIServices may not have a caBundle'
    ]


def test_status() -> None:
    conditions = [{"type": "Available", "status": "Perhaps"}]
    assert status_update(SERVICES, {"conditions": conditions}, created(SERVICES, ONE)) == [
        'status.conditions[0].status: Unsupported value: "Perhaps": supported values: "True", "False", "Unknown"'
    ]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], "Unknown"),
        ([{"type": "Available", "status": "True", "reason": "Passed"}], "True"),
        ([{"type": "Available", "status": "False", "reason": "MissingEndpoints"}], "False (MissingEndpoints)"),
        ([{"type": "Available", "status": "False"}], "False"),
    ],
)
def test_table(conditions: list[Object], expected: str) -> None:
    row = cells(SERVICES, changed(created(SERVICES, ONE), "status", {"conditions": conditions}))
    assert row == {"Name": "v1.metrics.k8s.io", "Service": "kube-system/metrics", "Available": expected, "Age": "0s"}
    assert cells(SERVICES, created(SERVICES, LOCAL))["Service"] == "Local"
