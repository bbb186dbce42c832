"""Which flow schema a request belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.flowcontrol.configuration import read
from ropewalk.kube.flowcontrol.matching import first, flow_schema
from ropewalk.kube.kinds.flowcontrol.bootstrap import SUGGESTED_LEVELS, SUGGESTED_SCHEMAS
from ropewalk.kube.machinery.requests import ANONYMOUS, LOOPBACK, Attributes, User

CONFIGURATION = read(SUGGESTED_LEVELS, SUGGESTED_SCHEMAS)
EVERYONE = "system:authenticated"


def user(name: str, *groups: str) -> User:
    return User(name, (*groups, EVERYONE))


def on(who: User, verb: str, resource: str, *, group: str = "", namespace: str = "", sub: str = "") -> Attributes:
    return Attributes(who, verb, "/…", group, "v1", resource, sub, namespace)


def url(who: User, path: str, verb: str = "get") -> Attributes:
    return Attributes(who, verb, path)


NODE = user("system:node:a", "system:nodes")
SCHEDULER = user("system:kube-scheduler")
DNS = user("system:serviceaccount:kube-system:dns", "system:serviceaccounts", "system:serviceaccounts:kube-system")
APP = user("system:serviceaccount:shop:app", "system:serviceaccounts", "system:serviceaccounts:shop")
LOOKALIKE = user("system:serviceaccount:kube-system-two:dns", "system:serviceaccounts")
LEASES = {"group": "coordination.k8s.io", "namespace": "kube-system"}


@pytest.mark.parametrize(
    ("asked", "schema"),
    [
        (on(LOOPBACK, "list", "pods"), "exempt"),
        (url(ANONYMOUS, "/healthz"), "probes"),
        (url(ANONYMOUS, "/livez/ping"), "probes"),
        (url(ANONYMOUS, "/livezing"), "catch-all-not"),
        (url(ANONYMOUS, "/readyz", "post"), "catch-all-not"),
        (on(NODE, "update", "nodes", sub="status"), "system-node-high"),
        (on(NODE, "update", "leases", group="coordination.k8s.io", namespace="kube-node-lease"), "system-node-high"),
        (on(NODE, "list", "pods"), "system-nodes"),
        (on(SCHEDULER, "update", "leases", **LEASES), "system-leader-election"),
        (on(SCHEDULER, "list", "leases", **LEASES), "kube-scheduler"),
        (on(SCHEDULER, "create", "pods", sub="binding", namespace="x"), "kube-scheduler"),
        (on(DNS, "list", "services"), "kube-system-service-accounts"),
        (on(LOOKALIKE, "list", "services"), "service-accounts"),
        (on(APP, "get", "pods", namespace="shop"), "service-accounts"),
        (on(user("jane"), "get", "pods", namespace="shop"), "global-default"),
        (url(user("jane"), "/apis"), "global-default"),
        (on(User("nobody-at-all"), "get", "pods"), "catch-all"),
    ],
)
def test_the_suggested_schemas(asked: Attributes, schema: str) -> None:
    wanted = "global-default" if schema == "catch-all-not" else schema
    assert first(CONFIGURATION.schemas, asked).name == wanted


def a_schema(name: str, precedence: int, level: str = "system", **rule: Any) -> dict[str, Any]:
    subjects = rule.pop("subjects", [{"kind": "User", "user": {"name": "*"}}])
    return {
        "metadata": {"name": name, "uid": f"uid-{name}"},
        "spec": {
            "matchingPrecedence": precedence,
            "priorityLevelConfiguration": {"name": level},
            "rules": [{"subjects": subjects, **rule}],
        },
    }


def pods(**rule: Any) -> dict[str, Any]:
    return {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], **rule}


@pytest.mark.parametrize(
    ("rule", "asked", "matches"),
    [
        (pods(namespaces=["a"]), on(APP, "get", "pods", namespace="a"), True),
        (pods(namespaces=["a"]), on(APP, "get", "pods", namespace="b"), False),
        (pods(namespaces=["*"]), on(APP, "get", "pods", namespace="b"), True),
        (pods(namespaces=["*"]), on(APP, "get", "pods"), False),
        (pods(clusterScope=True), on(APP, "get", "pods"), True),
        (pods(clusterScope=True), on(APP, "get", "pods", namespace="a"), False),
        (pods(namespaces=["*"]), on(APP, "get", "pods", namespace="a", sub="log"), False),
        (pods(namespaces=["*"], resources=["pods/log"]), on(APP, "get", "pods", namespace="a", sub="log"), True),
        (pods(namespaces=["*"]), on(APP, "list", "pods", namespace="a"), False),
        (pods(namespaces=["*"]), on(APP, "get", "pods", group="metrics.k8s.io", namespace="a"), False),
        (pods(namespaces=["*"], apiGroups=["*"]), on(APP, "get", "pods", group="x", namespace="a"), True),
        (pods(namespaces=["*"]), url(APP, "/pods"), False),
    ],
)
def test_rules_of_resources(rule: dict[str, Any], asked: Attributes, matches: bool) -> None:
    assert flow_schema(a_schema("one", 5, resourceRules=[rule])).matches(asked) is matches


@pytest.mark.parametrize(
    ("subject", "matches"),
    [
        ({"kind": "User", "user": {"name": APP.name}}, True),
        ({"kind": "User", "user": {"name": "other"}}, False),
        ({"kind": "Group", "group": {"name": "system:serviceaccounts"}}, True),
        ({"kind": "Group", "group": {"name": "*"}}, True),
        ({"kind": "Group", "group": {"name": "other"}}, False),
        ({"kind": "ServiceAccount", "serviceAccount": {"name": "app", "namespace": "shop"}}, True),
        ({"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": "shop"}}, True),
        ({"kind": "ServiceAccount", "serviceAccount": {"name": "app", "namespace": "other"}}, False),
        ({"kind": "ServiceAccount", "serviceAccount": {"name": "ap", "namespace": "shop"}}, False),
        ({"kind": "User"}, False),
        ({"kind": "Martian"}, False),
    ],
)
def test_subjects(subject: dict[str, Any], matches: bool) -> None:
    schema = a_schema("one", 5, subjects=[subject], nonResourceRules=[{"verbs": ["*"], "nonResourceURLs": ["*"]}])
    assert flow_schema(schema).matches(url(APP, "/version")) is matches


def test_lower_precedence_goes_first_then_the_name() -> None:
    every = {"resourceRules": [pods(namespaces=["*"])]}
    schemas = [a_schema("b", 5, **every), a_schema("a", 5, **every), a_schema("c", 4, **every), a_schema("z", 4)]
    found = read(SUGGESTED_LEVELS, schemas).schemas
    assert [schema.name for schema in found] == ["exempt", "c", "z", "a", "b", "catch-all"]


def test_a_schema_whose_level_is_missing_is_left_out() -> None:
    found = read(SUGGESTED_LEVELS, [a_schema("lost", 2, level="nowhere")])
    assert "lost" not in [schema.name for schema in found.schemas]


def test_what_must_exist_is_there_without_any_object() -> None:
    found = read((), ())
    assert set(found.levels) == {"exempt", "catch-all"}
    assert first(found.schemas, on(LOOPBACK, "list", "pods")).level == "exempt"
    assert first(found.schemas, on(User("nobody"), "list", "pods")).level == "catch-all"


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"type": "Limited"},
        {"type": "Exempt", "exempt": {}},
        {"type": "Other", "limited": {"limitResponse": {"type": "Reject"}}},
    ],
)
def test_a_level_that_says_nothing_is_left_out(spec: dict[str, Any]) -> None:
    assert set(read([{"metadata": {"name": "odd"}, "spec": spec}], ()).levels) == {"exempt", "catch-all"}
