"""CSI drivers."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.storage import STRATEGIES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.verdicts import cells, changed, created, creation, update, updated

DRIVERS = STRATEGIES["csidrivers"]
TOKENS = [{"audience": "sts.amazonaws.com"}]
WARNING = (
    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible"
    " logging of tokens in volume attributes"
)


def _driver(**spec: Any) -> Object:
    return {"spec": spec}


def _lasting(seconds: int) -> Object:
    return _driver(tokenRequests=[{"audience": "a", "expirationSeconds": seconds}])


@pytest.mark.parametrize(
    "driver",
    [
        {},
        _driver(attachRequired=False, podInfoOnMount=True, storageCapacity=True, requiresRepublish=True),
        _driver(fsGroupPolicy="File", volumeLifecycleModes=["Ephemeral", "Persistent"]),
        _driver(tokenRequests=[{"audience": ""}, {"audience": "a"}], serviceAccountTokenInSecrets=True),
        _driver(nodeAllocatableUpdatePeriodSeconds=10),
        _lasting(600),
        _lasting(2**32),
    ],
)
def test_good(driver: Object) -> None:
    made = created(DRIVERS, driver)
    assert creation(DRIVERS, driver) == []
    assert update(DRIVERS, made, made) == []


@pytest.mark.parametrize(
    ("driver", "complaints"),
    [
        (
            _driver(fsGroupPolicy=""),
            ['spec.fsGroupPolicy: Unsupported value: "": supported values: "File", "None", "ReadWriteOnceWithFSType"'],
        ),
        (
            _driver(volumeLifecycleModes=["Odd", "Persistent", "Other"]),
            [
                f'spec.volumeLifecycleModes: Unsupported value: "{mode}": supported values: "Persistent", "Ephemeral"'
                for mode in ("Odd", "Other")
            ],
        ),
        (
            _driver(tokenRequests=[{"audience": "a"}, {"audience": "a", "expirationSeconds": 1}]),
            ['spec.tokenRequests[1].audience: Duplicate value: "a"'],
        ),
        (
            _lasting(599),
            [
                "spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration less than 10"
                " minutes"
            ],
        ),
        (
            _lasting(2**32 + 1),
            [
                "spec.tokenRequests[0].expirationSeconds: Invalid value: 4294967297: may not specify a duration larger"
                " than 2^32 seconds"
            ],
        ),
        (
            _driver(serviceAccountTokenInSecrets=False),
            [
                "spec.serviceAccountTokenInSecrets: Invalid value: false: serviceAccountTokenInSecrets is set but no"
                " tokenRequests are specified"
            ],
        ),
        (
            _driver(nodeAllocatableUpdatePeriodSeconds=9),
            ["spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 seconds"],
        ),
    ],
)
def test_bad(driver: Object, complaints: list[str]) -> None:
    assert creation(DRIVERS, driver) == complaints
    old = created(DRIVERS, {})
    assert [line for line in update(DRIVERS, {**old, **driver}, old) if "immutable" not in line] == complaints


def test_defaults() -> None:
    assert created(DRIVERS, {})["spec"] == {
        "attachRequired": True,
        "podInfoOnMount": False,
        "storageCapacity": False,
        "fsGroupPolicy": "ReadWriteOnceWithFSType",
        "volumeLifecycleModes": ["Persistent"],
        "requiresRepublish": False,
        "seLinuxMount": False,
    }
    assert created(DRIVERS, _driver(volumeLifecycleModes=[]))["spec"]["volumeLifecycleModes"] == ["Persistent"]


def test_what_stays() -> None:
    old = created(DRIVERS, {})
    assert update(DRIVERS, changed(old, "spec", "podInfoOnMount", True), old) == []
    new = changed(changed(old, "spec", "attachRequired", False), "spec", "volumeLifecycleModes", ["Ephemeral"])
    assert update(DRIVERS, new, old) == [
        "spec.attachedRequired: Invalid value: false: field is immutable",
        'spec.volumeLifecycleModes: Invalid value: ["Ephemeral"]: field is immutable',
    ]


def test_the_generation_counts_changes() -> None:
    """A new driver has none."""
    old = created(DRIVERS, {})
    assert "generation" not in old["metadata"]
    assert "generation" not in updated(DRIVERS, changed(old, "metadata", "labels", {"a": "b"}), old)["metadata"]
    first = updated(DRIVERS, changed(old, "spec", "podInfoOnMount", True), old)
    assert first["metadata"]["generation"] == 1
    second = updated(DRIVERS, changed(first, "spec", "podInfoOnMount", False), first)
    assert second["metadata"]["generation"] == 2


class TestWarnings:
    def test_tokens_belong_in_secrets(self) -> None:
        assert DRIVERS.warnings(created(DRIVERS, _driver(tokenRequests=TOKENS)), None) == [WARNING]
        assert DRIVERS.warnings(created(DRIVERS, {}), None) == []
        told = _driver(tokenRequests=TOKENS, serviceAccountTokenInSecrets=False)
        assert DRIVERS.warnings(created(DRIVERS, told), None) == []

    def test_only_what_changes(self) -> None:
        old = created(DRIVERS, _driver(tokenRequests=TOKENS))
        assert DRIVERS.warnings(old, old) == []
        assert DRIVERS.warnings(changed(old, "spec", "tokenRequests", [{"audience": "b"}]), old) == [WARNING]


class TestTable:
    def test_a_row(self) -> None:
        assert cells(DRIVERS, created(DRIVERS, {})) == {
            "Name": "one",
            "AttachRequired": True,
            "PodInfoOnMount": False,
            "StorageCapacity": False,
            "TokenRequests": "<unset>",
            "RequiresRepublish": False,
            "Modes": "Persistent",
            "Age": "0s",
        }

    def test_another_row(self) -> None:
        driver = _driver(
            attachRequired=False,
            podInfoOnMount=True,
            tokenRequests=[{"audience": "a"}, {"audience": "b"}],
            volumeLifecycleModes=["Persistent", "Ephemeral"],
        )
        row = cells(DRIVERS, created(DRIVERS, driver))
        assert (row["AttachRequired"], row["PodInfoOnMount"]) == (False, True)
        assert (row["TokenRequests"], row["Modes"]) == ("a,b", "Persistent,Ephemeral")
