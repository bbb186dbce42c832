"""What a write of a kind's status lets through beside the status, and what it never comes to own: in Kubernetes'
strategies `PrepareForUpdate` and `GetResetFields` say so, kind by kind.
"""

from __future__ import annotations

import pytest

from ropewalk.kube.kinds.catalogue import plain_strategies
from ropewalk.kube.kinds.table import RESOURCES
from ropewalk.kube.machinery.objects import Json, Object, copied
from ropewalk.kube.machinery.resources import GroupResource

STRATEGIES = plain_strategies()
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
