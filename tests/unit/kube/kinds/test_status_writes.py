"""What a write of a kind's status lets through beside the status, and what it never comes to own: in Kubernetes'
strategies `PrepareForUpdate` and `GetResetFields` say so, kind by kind.
"""

from __future__ import annotations

import pytest

from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.kinds.catalogue import plain_strategies
from ropewalk.kube.kinds.core.service_addresses import ServiceAddresses
from ropewalk.kube.kinds.core.services import Services
from ropewalk.kube.kinds.table import RESOURCES
from ropewalk.kube.machinery.objects import Json, Object, copied
from ropewalk.kube.machinery.registry.aspects import MAIN, STATUS, Aspect, nothing
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.machinery.strategy import Strategy
from ropewalk.store.memory import MemoryStore

RANGES = ServiceAddresses(["10.96.0.0/24"], MemoryStore(SeededEntropy(1)), SeededEntropy(1))
STRATEGIES = {**plain_strategies(), GroupResource("", "services"): Services(RANGES)}
KINDS = sorted(
    {
        info.group_resource
        for info in RESOURCES
        if info.group_resource in STRATEGIES and any(sub.name == "status" for sub in info.subresources)
    }
)
GIVEN: Object = {
    "annotations": {"new": "1"},
    "deletionTimestamp": "2026-01-02T00:00:00Z",
    "finalizers": ["new/one"],
    "labels": {"new": "1"},
    "ownerReferences": [{"uid": "new"}],
}
ALL = set(GIVEN)
KEPT = {
    "apiservices": ALL,
    "deployments": {"labels"},
    "flowschemas": ALL,
    "pods": {"deletionTimestamp", "ownerReferences"},
    "prioritylevelconfigurations": ALL,
    "resourceclaims": ALL,
    "servicecidrs": ALL,
    "validatingadmissionpolicies": ALL,
    "volumeattachments": ALL,
}
"""Where a write of the status does not take all of the metadata along."""
WHOLE: Json = {"f:metadata": {}, "f:spec": {}}
RESET: dict[str, dict[str, Json]] = {
    "apiservices": {"status": WHOLE},
    "certificatesigningrequests": {
        "": {"f:spec": {}, "f:status": {}},
        "approval": {"f:spec": {}, "f:status": {"f:certificate": {}}},
        "status": {"f:spec": {}, "f:status": {"f:conditions": {}}},
    },
    "deployments": {"status": {"f:metadata": {"f:labels": {}}, "f:spec": {}}},
    "flowschemas": {"status": WHOLE},
    "namespaces": {"finalize": {"f:status": {}}},
    "pods": {"status": {"f:metadata": {"f:deletionTimestamp": {}, "f:ownerReferences": {}}, "f:spec": {}}},
    "prioritylevelconfigurations": {"status": WHOLE},
    "resourceclaims": {"status": WHOLE},
    "servicecidrs": {"": {}, "status": {}},
    "validatingadmissionpolicies": {"status": WHOLE},
    "volumeattachments": {"status": WHOLE},
}


def test_the_kinds_with_a_status_of_their_own_are_known() -> None:
    assert {kind.resource for kind in KINDS} >= KEPT.keys()
    assert len(KINDS) > len(KEPT)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_what_comes_along(kind: GroupResource) -> None:
    old: Object = {
        "metadata": {"name": "one", "generation": 3, "labels": {"old": "1"}, "finalizers": ["old/one"]},
        "spec": {"old": True},
        "status": {"phase": "Old"},
    }
    new = {
        "metadata": {"name": "one", "generation": 9, "managedFields": [{"manager": "me"}], **copied(GIVEN)},
        "spec": {"new": True},
        "status": {"phase": "New"},
    }
    STRATEGIES[kind].prepare_status_update(new, old)
    meta = new["metadata"]
    assert {name for name in GIVEN if meta.get(name) != GIVEN[name]} == KEPT.get(kind.resource, set())
    for name in KEPT.get(kind.resource, ()):
        assert meta.get(name) == old["metadata"].get(name)
    assert (meta["generation"], meta["managedFields"], new["spec"]) == (3, [{"manager": "me"}], {"old": True})
    assert new["status"]["phase"] == "New"


@pytest.mark.parametrize("kind", sorted(STRATEGIES), ids=str)
def test_what_is_never_owned(kind: GroupResource) -> None:
    assert STRATEGIES[kind].reset_fields == RESET.get(kind.resource, {})


ODD = 'non-standard IP address "010.0.0.1" will be considered invalid in a future Kubernetes release: use "10.0.0.1"'


@pytest.mark.parametrize(
    ("kind", "status", "warnings"),
    [
        (
            GroupResource("", "services"),
            {"loadBalancer": {"ingress": [{"hostname": "a.b"}, {"ip": "010.0.0.1"}]}},
            [f"status.loadBalancer.ingress[1]: {ODD}"],
        ),
        (
            GroupResource("networking.k8s.io", "ingresses"),
            {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}, {"ip": "010.0.0.1"}]}},
            [f"status.loadBalancer.ingress[1]: {ODD}"],
        ),
        (
            GroupResource("", "pods"),
            {"podIPs": [{"ip": "010.0.0.1"}], "hostIPs": [{"ip": "10.0.0.1"}, {"ip": "010.0.0.1"}]},
            [f"status.podIPs[0].ip: {ODD}", f"status.hostIPs[1].ip: {ODD}"],
        ),
        (GroupResource("", "nodes"), {"addresses": [{"type": "InternalIP", "address": "010.0.0.1"}]}, []),
    ],
    ids=str,
)
def test_warnings(kind: GroupResource, status: Object, warnings: list[str]) -> None:
    old: Object = {"metadata": {"name": "one"}, "spec": {}, "status": {}}
    strategy = STRATEGIES[kind]
    assert STATUS.warn(strategy, {**old, "status": status}, old) == warnings


def test_each_door_warns_of_its_own() -> None:
    class Warning(Strategy):
        def warnings(self, new: Object, old: Object | None) -> list[str]:
            return ["main"]

        def status_warnings(self, new: Object, old: Object) -> list[str]:
            return ["status"]

    strategy = Warning()
    other = Aspect("other", nothing, nothing, lambda strategy, new, old, errors: None)
    assert [door.warn(strategy, {}, {}) for door in (MAIN, STATUS, other)] == [["main"], ["status"], []]
