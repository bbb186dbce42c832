"""Roles and their bindings."""

from __future__ import annotations

import pytest

from ropewalk.kube.kinds.rbac import STRATEGIES
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.verdicts import cells, changed, created, creation, update

GROUP = "rbac.authorization.k8s.io"
RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
URLS = {"nonResourceURLs": ["/healthz"], "verbs": ["get"]}
BINDING: Object = {
    "metadata": {"name": "system:one"},
    "roleRef": {"kind": "ClusterRole", "name": "view"},
    "subjects": [{"kind": "User", "name": "me"}, {"kind": "ServiceAccount", "name": "a", "namespace": "b"}],
}


@pytest.mark.parametrize("kind", ["roles", "clusterroles"])
def test_good_rules(kind: str) -> None:
    assert creation(STRATEGIES[kind], {"metadata": {"name": "system:a:b"}, "rules": [RULE]}) == []


@pytest.mark.parametrize(
    ("kind", "rule", "complaint"),
    [
        ("roles", {**RULE, "verbs": []}, "rules[0].verbs: Required value: verbs must contain at least one value"),
        (
            "roles",
            {**RULE, "apiGroups": []},
            "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
        ),
        (
            "roles",
            {"apiGroups": [""], "verbs": ["get"]},
            "rules[0].resources: Required value: resource rules must supply at least one resource",
        ),
        (
            "roles",
            URLS,
            'rules[0].nonResourceURLs: Invalid value: ["/healthz"]: namespaced rules cannot apply to non-resource URLs',
        ),
        (
            "clusterroles",
            {**URLS, **RULE},
            'rules[0].nonResourceURLs: Invalid value: ["/healthz"]: rules cannot apply to both regular resources and'
            " non-resource URLs",
        ),
    ],
)
def test_bad_rules(kind: str, rule: Object, complaint: str) -> None:
    assert creation(STRATEGIES[kind], {"rules": [rule]}) == [complaint]


def test_names_are_path_segments() -> None:
    for kind in STRATEGIES:
        assert STRATEGIES[kind].name_problems("a/b", prefix=False) == ["may not contain '/'"]
        assert STRATEGIES[kind].name_problems("System:Any thing", prefix=False) == []


def test_aggregation_needs_a_selector() -> None:
    roles = STRATEGIES["clusterroles"]
    assert creation(roles, {"aggregationRule": {}}) == [
        "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if"
        " aggregationRule is non-nil"
    ]
    assert creation(roles, {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}) == []
    wrong = {"matchExpressions": [{"key": "a", "operator": "Like"}]}
    assert len(creation(roles, {"aggregationRule": {"clusterRoleSelectors": [wrong]}})) == 2


def test_defaults_of_bindings() -> None:
    made = created(STRATEGIES["rolebindings"], BINDING)
    assert made["roleRef"]["apiGroup"] == GROUP
    assert [subject.get("apiGroup") for subject in made["subjects"]] == [GROUP, None]
    assert creation(STRATEGIES["rolebindings"], BINDING) == []
    assert creation(STRATEGIES["clusterrolebindings"], BINDING) == []


@pytest.mark.parametrize(
    ("kind", "binding", "complaint"),
    [
        (
            "rolebindings",
            changed(BINDING, "roleRef", "kind", "User"),
            'roleRef.kind: Unsupported value: "User": supported values: "Role", "ClusterRole"',
        ),
        (
            "clusterrolebindings",
            changed(BINDING, "roleRef", "kind", "Role"),
            'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
        ),
        ("rolebindings", changed(BINDING, "roleRef", "name", ""), "roleRef.name: Required value"),
        (
            "rolebindings",
            changed(BINDING, "roleRef", "apiGroup", "x"),
            f'roleRef.apiGroup: Unsupported value: "x": supported values: "{GROUP}"',
        ),
        (
            "rolebindings",
            changed(BINDING, "subjects", 0, "kind", "Robot"),
            'subjects[0].kind: Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"',
        ),
        ("rolebindings", changed(BINDING, "subjects", 0, "name", ""), "subjects[0].name: Required value"),
        (
            "clusterrolebindings",
            changed(BINDING, "subjects", 1, "namespace", None),
            "subjects[1].namespace: Required value",
        ),
        (
            "rolebindings",
            changed(BINDING, "subjects", 1, "apiGroup", GROUP),
            f'subjects[1].apiGroup: Unsupported value: "{GROUP}": supported values: ""',
        ),
    ],
)
def test_bad_bindings(kind: str, binding: Object, complaint: str) -> None:
    assert creation(STRATEGIES[kind], binding) == [complaint]


def test_the_role_of_a_binding_stays() -> None:
    bindings = STRATEGIES["rolebindings"]
    old = created(bindings, BINDING)
    assert update(bindings, changed(old, "subjects", []), old) == []
    assert update(bindings, changed(old, "roleRef", "name", "edit"), old) == [
        f'roleRef: Invalid value: {{"APIGroup":"{GROUP}","Kind":"ClusterRole","Name":"edit"}}: cannot change roleRef'
    ]


def test_tables() -> None:
    made = created(STRATEGIES["rolebindings"], BINDING)
    assert cells(STRATEGIES["rolebindings"], made, wide=True) == {
        "Name": "system:one",
        "Role": "ClusterRole/view",
        "Age": "0s",
        "Users": "me",
        "Groups": "",
        "ServiceAccounts": "b/a",
    }
    assert list(cells(STRATEGIES["roles"], created(STRATEGIES["roles"], {}))) == ["Name", "Created At"]
