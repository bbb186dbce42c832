"""The RBAC objects of a fresh cluster."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ropewalk.kube.kinds.rbac import STRATEGIES
from ropewalk.kube.kinds.rbac.bootstrap import AUTO_UPDATE, Step, objects, reconcile
from ropewalk.kube.kinds.rbac.rules import may, uncovered, urls
from ropewalk.kube.machinery.objects import Object, copied, labels_of, name_of, namespace_of
from unit.kube.kinds.verdicts import changed, creation

ALL = objects()
PLURALS = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "Role": "roles",
    "RoleBinding": "rolebindings",
}


def _one(kind: str, name: str) -> Object:
    return next(copied(obj) for obj in ALL if obj["kind"] == kind and name_of(obj) == name)


def test_how_many() -> None:
    """What a kube-apiserver 1.35 with default features writes."""
    kinds = [obj["kind"] for obj in ALL]
    assert {kind: kinds.count(kind) for kind in PLURALS} == {
        "ClusterRole": 68,
        "ClusterRoleBinding": 49,
        "Role": 7,
        "RoleBinding": 7,
    }


@pytest.mark.parametrize("obj", ALL, ids=lambda obj: f"{obj['kind']}:{name_of(obj)}")
def test_each_passes_its_own_rules(obj: Object) -> None:
    assert creation(STRATEGIES[PLURALS[obj["kind"]]], obj) == []


def test_every_binding_finds_its_role() -> None:
    roles = {(obj["kind"], namespace_of(obj), name_of(obj)) for obj in ALL}
    for obj in ALL:
        if "roleRef" in obj:
            assert (obj["roleRef"]["kind"], namespace_of(obj), obj["roleRef"]["name"]) in roles


def test_roles_come_before_what_binds_them() -> None:
    order = list(PLURALS)
    assert all(order.index(a["kind"]) <= order.index(b["kind"]) for a, b in pairwise(ALL))


def test_aggregation() -> None:
    admin, edit, view = (_one("ClusterRole", name) for name in ("admin", "edit", "view"))
    assert admin["aggregationRule"] == {
        "clusterRoleSelectors": [{"matchLabels": {"rbac.authorization.k8s.io/aggregate-to-admin": "true"}}]
    }
    assert labels_of(edit)["rbac.authorization.k8s.io/aggregate-to-admin"] == "true"
    assert labels_of(view)["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    part = _one("ClusterRole", "system:aggregate-to-view")
    assert labels_of(part)["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert may("get list watch", "endpointslices", groups="discovery.k8s.io") in part["rules"]


class TestReconciliation:
    desired = _one("ClusterRole", "system:kube-dns")

    def test_what_is_missing_is_created(self) -> None:
        assert reconcile(self.desired, None).step is Step.CREATE

    def test_what_is_as_it_should_be_stays(self) -> None:
        assert reconcile(self.desired, copied(self.desired)).step is Step.NONE

    def test_missing_permissions_come_back_and_others_stay(self) -> None:
        own = may("get", "secrets")
        change = reconcile(self.desired, changed(self.desired, "rules", [own]))
        assert change.step is Step.UPDATE
        assert own in change.object["rules"]
        assert uncovered(change.object["rules"], self.desired["rules"]) == []

    def test_a_wider_permission_is_enough(self) -> None:
        assert reconcile(self.desired, changed(self.desired, "rules", [may("*", "*", groups="*")])).step is Step.NONE

    def test_labels_come_back(self) -> None:
        change = reconcile(self.desired, changed(self.desired, "metadata", "labels", {"mine": "yes"}))
        assert change.step is Step.UPDATE
        assert labels_of(change.object) == {"mine": "yes", "kubernetes.io/bootstrapping": "rbac-defaults"}

    def test_the_administrator_may_opt_out(self) -> None:
        own = changed(changed(self.desired, "rules", []), "metadata", "annotations", {AUTO_UPDATE: "false"})
        assert reconcile(self.desired, own).step is Step.NONE

    def test_a_binding_gets_its_subjects_back(self) -> None:
        desired = _one("ClusterRoleBinding", "cluster-admin")
        me = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "me"}
        change = reconcile(desired, changed(desired, "subjects", [me]))
        assert change.step is Step.UPDATE
        assert change.object["subjects"] == [me, *desired["subjects"]]

    def test_a_binding_to_another_role_is_made_anew(self) -> None:
        desired = _one("ClusterRoleBinding", "cluster-admin")
        assert reconcile(desired, changed(desired, "roleRef", "name", "view")).step is Step.RECREATE

    def test_a_selector_of_aggregation_comes_back(self) -> None:
        desired = _one("ClusterRole", "admin")
        own = [{"matchLabels": {"mine": "yes"}}]
        change = reconcile(desired, changed(desired, "aggregationRule", {"clusterRoleSelectors": own}))
        assert change.object["aggregationRule"]["clusterRoleSelectors"] == [
            *own,
            *desired["aggregationRule"]["clusterRoleSelectors"],
        ]


@pytest.mark.parametrize(
    ("present", "wanted", "missing"),
    [
        ([may("get", "pods")], [may("get", "pods")], 0),
        ([may("get", "pods")], [may("get list", "pods")], 1),
        ([may("*", "pods")], [may("get list", "pods")], 0),
        ([may("get", "*/scale", groups="*")], [may("get", "deployments/scale", groups="apps")], 0),
        ([may("get", "*/scale", groups="*")], [may("get", "deployments", groups="apps")], 1),
        ([may("get", "pods", names="a")], [may("get", "pods")], 1),
        ([may("get", "pods")], [may("get", "pods", names="a b")], 0),
        ([may("get", "pods", names="a")], [may("get", "pods", names="a b")], 1),
        ([urls("get", "/healthz/*")], [urls("get", "/healthz/ping /metrics")], 1),
        ([may("*", "*", groups="*")], [urls("get", "/metrics")], 1),
    ],
)
def test_what_is_not_covered(present: list[Object], wanted: list[Object], missing: int) -> None:
    assert len(uncovered(present, wanted)) == missing
