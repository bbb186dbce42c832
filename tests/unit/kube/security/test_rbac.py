"""RBAC: who may do what under which bindings, and how it is told."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.machinery.access import Verdict
from ropewalk.kube.machinery.requests import Attributes, User
from ropewalk.kube.security.aggregation import aggregated_rules
from ropewalk.kube.security.policy_rules import RuleSet, compacted, spelled
from ropewalk.kube.security.rbac import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES, Rbac
from support.kube_api import MemoryApi

Object = dict[str, Any]

READ_PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}


def role(name: str, *rules: Object, namespace: str = "", **metadata: Any) -> Object:
    meta = {"name": name, **({"namespace": namespace} if namespace else {}), **metadata}
    return {"metadata": meta, "rules": list(rules)}


def binding(name: str, role: str, *subjects: Object, namespace: str = "", kind: str = "ClusterRole") -> Object:
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"metadata": meta, "subjects": list(subjects), "roleRef": {"kind": kind, "name": role}}


def user(name: str) -> Object:
    return {"kind": "User", "name": name}


def group(name: str) -> Object:
    return {"kind": "Group", "name": name}


def account(name: str, namespace: str = "") -> Object:
    return {"kind": "ServiceAccount", "name": name, **({"namespace": namespace} if namespace else {})}


def asks(who: User, verb: str, resource: str, namespace: str = "", name: str = "", group: str = "") -> Attributes:
    plural, _, subresource = resource.partition("/")
    return Attributes(who, verb, "", group, "v1", plural, subresource, namespace, name)


JANE = User("jane", ("devs", "system:authenticated"))


@pytest.mark.parametrize(
    ("rule", "verb", "group", "resource", "name", "allowed"),
    [
        (READ_PODS, "get", "", "pods", "", True),
        (READ_PODS, "delete", "", "pods", "", False),
        (READ_PODS, "get", "apps", "pods", "", False),
        (READ_PODS, "get", "", "pods/log", "", False),
        (READ_PODS | {"resources": ["pods/log"]}, "get", "", "pods/log", "", True),
        (READ_PODS | {"resources": ["*/log"]}, "get", "", "pods/log", "", True),
        (READ_PODS | {"resources": ["*/log"]}, "get", "", "pods/exec", "", False),
        (READ_PODS | {"resources": ["*/log"]}, "get", "", "pods", "", False),
        (READ_PODS | {"resources": ["pods/*"]}, "get", "", "pods/log", "", False),
        (READ_PODS | {"resources": ["*"]}, "get", "", "pods/log", "", True),
        (READ_PODS | {"apiGroups": ["*"]}, "get", "apps", "pods", "", True),
        (READ_PODS | {"verbs": ["*"]}, "impersonate", "", "pods", "", True),
        (READ_PODS | {"resourceNames": ["a"]}, "get", "", "pods", "a", True),
        (READ_PODS | {"resourceNames": ["a"]}, "get", "", "pods", "b", False),
        (READ_PODS | {"resourceNames": ["a"]}, "list", "", "pods", "", False),
        ({"verbs": ["get"], "resources": ["pods"]}, "get", "", "pods", "", False),
    ],
)
def test_a_rule_on_resources(rule: Object, verb: str, group: str, resource: str, name: str, allowed: bool) -> None:
    assert RuleSet([rule]).allows(asks(JANE, verb, resource, name=name, group=group)) is allowed


@pytest.mark.parametrize(
    ("url", "path", "allowed"),
    [
        ("/healthz", "/healthz", True),
        ("/healthz", "/healthz/etcd", False),
        ("/healthz/*", "/healthz/etcd", True),
        ("/healthz*", "/healthz", True),
        ("*", "/anything", True),
        ("/api", "/apis", False),
    ],
)
def test_a_rule_on_urls(url: str, path: str, allowed: bool) -> None:
    rules = RuleSet([{"nonResourceURLs": [url], "verbs": ["get"]}])
    assert rules.allows(Attributes(JANE, "get", path)) is allowed
    assert not rules.allows(Attributes(JANE, "post", path))
    assert not rules.allows(asks(JANE, "get", "pods"))


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        (user("jane"), 'User "jane"'),
        (group("devs"), 'Group "devs"'),
    ],
)
async def test_a_cluster_role_binding_holds_everywhere(subject: Object, told: str) -> None:
    api = MemoryApi(
        (CLUSTER_ROLES, role("reader", READ_PODS)), (CLUSTER_ROLE_BINDINGS, binding("readers", "reader", subject))
    )
    rbac = Rbac(api)
    for namespace in ("", "default"):
        decision = await rbac.authorize(asks(JANE, "list", "pods", namespace))
        assert decision.verdict is Verdict.ALLOW
        assert decision.reason == f'RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "reader" to {told}'
    refused = await rbac.authorize(asks(JANE, "delete", "pods"))
    assert refused.verdict is Verdict.NO_OPINION
    assert refused.reason == ""
    other = await rbac.authorize(asks(User("joe", ("ops",)), "list", "pods"))
    assert other.verdict is Verdict.NO_OPINION


async def test_a_role_binding_holds_in_its_namespace() -> None:
    api = MemoryApi(
        (ROLES, role("reader", READ_PODS, namespace="web")),
        (ROLE_BINDINGS, binding("readers", "reader", account("robot"), namespace="web", kind="Role")),
    )
    rbac = Rbac(api)
    robot = User("system:serviceaccount:web:robot")
    decision = await rbac.authorize(asks(robot, "get", "pods", "web", "p"))
    assert decision.reason == (
        'RBAC: allowed by RoleBinding "readers/web" of Role "reader" to ServiceAccount "robot/web"'
    )
    for namespace in ("", "default"):
        assert (await rbac.authorize(asks(robot, "get", "pods", namespace))).verdict is Verdict.NO_OPINION


async def test_a_service_account_without_a_namespace_is_nobody_in_a_cluster_role_binding() -> None:
    api = MemoryApi(
        (CLUSTER_ROLES, role("reader", READ_PODS)),
        (CLUSTER_ROLE_BINDINGS, binding("readers", "reader", account("robot"), account("robot", "b"))),
    )
    rbac = Rbac(api)
    assert (await rbac.authorize(asks(User("system:serviceaccount::robot"), "get", "pods"))).reason == ""
    allowed = await rbac.authorize(asks(User("system:serviceaccount:b:robot"), "get", "pods"))
    assert allowed.reason.endswith('to ServiceAccount "robot/b"')


async def test_changes_are_followed() -> None:
    api = MemoryApi()
    rbac = Rbac(api)
    question = asks(JANE, "get", "pods", "web")

    async def verdict() -> str:
        decision = await rbac.authorize(question)
        return decision.reason or decision.verdict.value

    assert await verdict() == "no opinion"
    api.put(ROLE_BINDINGS, binding("b", "reader", user("jane"), namespace="web"))
    assert await verdict() == 'RBAC: clusterrole.rbac.authorization.k8s.io "reader" not found'
    api.put(CLUSTER_ROLES, role("reader", READ_PODS))
    assert await verdict() == 'RBAC: allowed by RoleBinding "b/web" of ClusterRole "reader" to User "jane"'
    api.put(CLUSTER_ROLES, role("reader"))
    assert await verdict() == "no opinion"
    api.put(CLUSTER_ROLES, role("reader", READ_PODS))
    api.put(ROLE_BINDINGS, binding("b", "reader", group("ops"), namespace="web"))
    assert await verdict() == "no opinion"
    api.put(ROLE_BINDINGS, binding("b", "reader", group("devs"), namespace="web"))
    assert (await verdict()).endswith('to Group "devs"')
    api.drop(ROLE_BINDINGS, "web", "b")
    assert await verdict() == "no opinion"


async def test_missing_roles_are_told_together_and_do_not_hide_the_rest() -> None:
    api = MemoryApi(
        (CLUSTER_ROLES, role("reader", READ_PODS)),
        (CLUSTER_ROLE_BINDINGS, binding("a", "gone", user("jane"))),
        (CLUSTER_ROLE_BINDINGS, binding("b", "gone", group("devs"))),
        (ROLE_BINDINGS, binding("c", "lost", user("jane"), namespace="web", kind="Role")),
        (ROLE_BINDINGS, binding("d", "reader", user("jane"), namespace="web")),
    )
    rbac = Rbac(api)
    assert (await rbac.authorize(asks(JANE, "get", "pods", "web"))).verdict is Verdict.ALLOW
    refused = await rbac.authorize(asks(JANE, "watch", "pods", "web"))
    assert refused.reason == (
        'RBAC: [clusterrole.rbac.authorization.k8s.io "gone" not found,'
        ' role.rbac.authorization.k8s.io "lost" not found]'
    )


async def test_the_rules_of_a_user() -> None:
    write = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["*"]}
    api = MemoryApi(
        (CLUSTER_ROLES, role("reader", READ_PODS)),
        (ROLES, role("writer", write, namespace="web")),
        (CLUSTER_ROLE_BINDINGS, binding("a", "reader", user("jane"), group("devs"))),
        (ROLE_BINDINGS, binding("b", "writer", user("jane"), namespace="web", kind="Role")),
        (ROLE_BINDINGS, binding("c", "none", user("jane"), namespace="web")),
    )
    held = Rbac(api).rules_for(JANE, "web")
    assert list(held.rules) == [READ_PODS, write]
    assert held.error == 'clusterrole.rbac.authorization.k8s.io "none" not found'
    assert list(Rbac(api).rules_for(JANE, "default").rules) == [READ_PODS]


WORDS = st.lists(st.sampled_from(["a", "b", "*"]), max_size=2)
PLACES = st.lists(st.sampled_from(["p", "p/s", "*/s", "*", "q"]), max_size=2)
RULES = st.lists(
    st.fixed_dictionaries(
        {"verbs": WORDS, "apiGroups": WORDS, "resources": PLACES},
        optional={"resourceNames": st.lists(st.sampled_from(["n", "m"]), max_size=2)},
    ),
    max_size=4,
)


@given(rules=RULES)
def test_the_index_decides_as_the_rules_read_one_by_one(rules: list[Object]) -> None:
    made = RuleSet(rules)
    for verb, api_group, resource, name in itertools.product("ab", "ab", ("p", "p/s", "q"), ("", "n")):
        question = asks(JANE, verb, resource, name=name, group=api_group)
        expected = any(
            {"*", verb} & set(rule["verbs"])
            and {"*", api_group} & set(rule["apiGroups"])
            and {"*", resource, *(["*/s"] if "/" in resource else [])} & set(rule["resources"])
            and (not rule.get("resourceNames") or name in rule["resourceNames"])
            for rule in rules
        )
        assert made.allows(question) is expected


def test_rules_in_messages() -> None:
    assert spelled(READ_PODS) == '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}'
    assert spelled({"nonResourceURLs": ["/x"], "verbs": ["get"]}) == '{NonResourceURLs:["/x"], Verbs:["get"]}'
    pieces = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], "resourceNames": ["a"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    ]
    assert [spelled(rule) for rule in compacted(pieces)] == [
        '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}',
        '{APIGroups:[""], Resources:["pods"], ResourceNames:["a"], Verbs:["get"]}',
    ]


def test_aggregation_gathers_by_label_in_order_of_name_and_each_rule_once() -> None:
    total = {
        "metadata": {"name": "total", "labels": {"in": "yes"}},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"in": "yes"}}, {"matchLabels": {"too": "yes"}}]},
        "rules": [{"verbs": ["stale"]}],
    }
    others = [
        role("z", {"verbs": ["z"]}, READ_PODS, labels={"in": "yes"}),
        role("a", {"verbs": ["a"]}, READ_PODS, labels={"in": "yes"}),
        role("b", {"verbs": ["b"]}, labels={"too": "yes"}),
        role("c", {"verbs": ["c"]}),
    ]
    assert aggregated_rules(total, [*others, total]) == [
        {"verbs": ["a"]},
        READ_PODS,
        {"verbs": ["z"]},
        {"verbs": ["b"]},
    ]
