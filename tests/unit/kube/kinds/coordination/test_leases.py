"""Leases."""

from __future__ import annotations

import pytest

from ropewalk.kube.kinds.coordination import STRATEGIES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.agreement import agree
from unit.kube.kinds.verdicts import cells, created, creation, update, updated

LEASES = STRATEGIES["leases"]
HELD: Object = {"spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "leaseTransitions": 0}}
ELECTION = {"strategy": "OldestEmulationVersion", "preferredHolder": "b"}


@pytest.mark.parametrize("lease", [{}, {"spec": {}}, HELD, {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}])
def test_good(lease: Object) -> None:
    assert creation(LEASES, lease) == []
    assert update(LEASES, created(LEASES, lease), created(LEASES, HELD)) == []


@pytest.mark.parametrize(
    ("spec", "complaints"),
    [
        ({"leaseDurationSeconds": 0}, ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"]),
        (
            {"leaseDurationSeconds": -1, "leaseTransitions": -1},
            [
                "spec.leaseDurationSeconds: Invalid value: -1: must be greater than 0",
                "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
    ],
)
def test_bad(spec: Object, complaints: list[str]) -> None:
    assert creation(LEASES, {"spec": spec}) == complaints
    held = created(LEASES, HELD)
    assert update(LEASES, {**held, "spec": spec}, held) == complaints


def test_coordinated_election_is_off() -> None:
    """What its fields say is dropped, but where an object has them already."""
    made = created(LEASES, {"spec": {"holderIdentity": "a", **ELECTION}})
    assert made["spec"] == {"holderIdentity": "a"}
    assert updated(LEASES, {**made, "spec": dict(ELECTION)}, made)["spec"] == {}
    old = {**made, "spec": {"holderIdentity": "a", **ELECTION}}
    assert updated(LEASES, old, old)["spec"] == old["spec"]


@pytest.mark.parametrize(
    ("spec", "complaints"),
    [
        (ELECTION, []),
        ({"strategy": "example.com/mine"}, []),
        (
            {"strategy": "Mine"},
            ['spec.strategy.strategy: Unsupported value: "Mine": supported values: "OldestEmulationVersion"'],
        ),
        ({"strategy": "a/b/c"}, ['spec.strategy.strategy: Invalid value: "a/b/c": a valid label key must consist of…']),
        (
            {"preferredHolder": "b"},
            ["spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined"],
        ),
        (
            {"strategy": "", "preferredHolder": "b"},
            [
                'spec.strategy.strategy: Unsupported value: "": supported values: "OldestEmulationVersion"',
                "spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined",
            ],
        ),
    ],
)
def test_an_election_that_was_coordinated_before(spec: Object, complaints: list[str]) -> None:
    old = {**created(LEASES, HELD), "spec": dict(ELECTION)}
    agree(update(LEASES, {**old, "spec": spec}, old), complaints)


def test_a_lease_counts_no_generation() -> None:
    held = created(LEASES, HELD)
    assert "generation" not in held["metadata"]
    assert "generation" not in updated(LEASES, {**held, "spec": {}}, held)["metadata"]


def test_table() -> None:
    assert cells(LEASES, created(LEASES, HELD)) == {"Name": "one", "Holder": "a", "Age": "0s"}
    assert cells(LEASES, created(LEASES, {}))["Holder"] == ""
