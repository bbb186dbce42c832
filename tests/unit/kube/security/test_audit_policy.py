"""The audit policy: which rule decides, and what is wrong with a policy that cannot be used."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.kube.machinery.requests import Attributes, User
from ropewalk.kube.security.audit_policy import DEFAULT, Level, PolicyError, parse_policy

JANE = User("jane", ("devs", "system:authenticated"))


def policy(*rules: dict[str, Any], **fields: Any) -> bytes:
    return orjson.dumps({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules)} | fields)


def asks(
    verb: str = "get", resource: str = "pods", group: str = "", namespace: str = "web", name: str = ""
) -> Attributes:
    plural, _, subresource = resource.partition("/")
    return Attributes(JANE, verb, "", group, "v1", plural, subresource, namespace, name)


@pytest.mark.parametrize(
    ("rule", "question", "matches"),
    [
        ({}, asks(), True),
        ({"users": ["jane"]}, asks(), True),
        ({"users": ["joe"]}, asks(), False),
        ({"userGroups": ["ops", "devs"]}, asks(), True),
        ({"userGroups": ["ops"]}, asks(), False),
        ({"verbs": ["list", "get"]}, asks(), True),
        ({"verbs": ["list"]}, asks(), False),
        ({"namespaces": ["web"]}, asks(), True),
        ({"namespaces": [""]}, asks(), False),
        ({"namespaces": [""]}, asks(namespace=""), True),
        ({"namespaces": [""]}, Attributes(JANE, "get", "/api"), False),
        ({"resources": [{"group": ""}]}, asks("get", "pods/log"), True),
        ({"resources": [{"group": "apps"}]}, asks(), False),
        ({"resources": [{"group": "", "resources": ["pods"]}]}, asks(), True),
        ({"resources": [{"group": "", "resources": ["pods"]}]}, asks("get", "pods/log"), False),
        ({"resources": [{"group": "", "resources": ["pods/log"]}]}, asks("get", "pods/log"), True),
        ({"resources": [{"group": "", "resources": ["pods/*"]}]}, asks("get", "pods/log"), True),
        ({"resources": [{"group": "", "resources": ["*/log"]}]}, asks("get", "pods/log"), True),
        ({"resources": [{"group": "", "resources": ["*/log"]}]}, asks("get", "pods/exec"), False),
        ({"resources": [{"group": "", "resources": ["*"]}]}, asks("get", "pods/exec"), True),
        ({"resources": [{"group": "", "resources": ["pods"], "resourceNames": ["a"]}]}, asks(name="a"), True),
        ({"resources": [{"group": "", "resources": ["pods"], "resourceNames": ["a"]}]}, asks(name="b"), False),
        ({"resources": [{"group": ""}]}, Attributes(JANE, "get", "/api"), False),
        ({"nonResourceURLs": ["/healthz*"]}, Attributes(JANE, "get", "/healthz/etcd"), True),
        ({"nonResourceURLs": ["/healthz"]}, Attributes(JANE, "get", "/healthz/etcd"), False),
        ({"nonResourceURLs": ["*"]}, Attributes(JANE, "get", "/x"), True),
        ({"nonResourceURLs": ["*"]}, asks(), False),
    ],
)
def test_a_rule(rule: dict[str, Any], question: Attributes, matches: bool) -> None:
    made = parse_policy(policy({"level": "Request", **rule}))
    assert made.keeping(question).level is (Level.REQUEST if matches else Level.NONE)


def test_the_first_rule_that_matches_decides() -> None:
    made = parse_policy(
        policy({"level": "None", "verbs": ["watch"]}, {"level": "RequestResponse"}, {"level": "Metadata"})
    )
    assert made.keeping(asks("watch")).level is Level.NONE
    assert made.keeping(asks("get")).level is Level.RESPONSE


def test_what_holds_for_all_rules_and_what_a_rule_says_itself() -> None:
    rules = [
        {"level": "Metadata", "verbs": ["get"]},
        {"level": "Metadata", "omitStages": ["Panic"], "omitManagedFields": False},
    ]
    made = parse_policy(policy(*rules, omitStages=["RequestReceived"], omitManagedFields=True))
    first, second = made.keeping(asks("get")), made.keeping(asks("list"))
    assert (first.omitted_stages, first.omits_managed_fields) == ({"RequestReceived"}, True)
    assert (second.omitted_stages, second.omits_managed_fields) == ({"RequestReceived", "Panic"}, False)


def test_yaml() -> None:
    text = b"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n  users: [jane]\n"
    assert parse_policy(text).keeping(asks()).level is Level.METADATA


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"a: [", "failed decoding: yaml: "),
        (b"", "failed decoding: a policy is an object"),
        (b"{}", "unknown group version field , Kind= in policy"),
        (policy(apiVersion="audit.k8s.io/v1beta1"), "unknown group version field audit.k8s.io/v1beta1, Kind=Policy"),
        (policy(), "loaded illegal policy with 0 rules"),
        (policy(rules="x"), 'rules: Invalid value: "x": must be a list of objects'),
        (policy({}), "rules[0].level: Required value"),
        (
            policy({"level": "All"}),
            'rules[0].level: Unsupported value: "All": supported values: "None", "Metadata", "Request",'
            ' "RequestResponse"',
        ),
        (policy({"level": ["x"]}), "rules[0].level: Unsupported value"),
        (
            policy({"level": "None", "nonResourceURLs": ["x*y"]}),
            '[rules[0].nonResourceURLs[0]: Invalid value: "x*y": non-resource URL rules must begin with a'
            " '/' character, rules[0].nonResourceURLs[0]: Invalid value: \"x*y\": non-resource URL wildcards '*' must"
            " be the final character of the rule]",
        ),
        (
            policy({"level": "None", "nonResourceURLs": ["/x"], "namespaces": ["a"]}),
            "rules cannot apply to both regular resources and non-resource URLs",
        ),
        (
            policy({"level": "None", "resources": [{"group": "rbac.authorization.k8s.io/v1"}]}),
            'rules[0].resources.group: Invalid value: "rbac.authorization.k8s.io/v1": a lowercase RFC 1123 subdomain',
        ),
        (
            policy({"level": "None", "resources": [{"resourceNames": ["a"]}]}),
            'rules[0].resources.resourceNames: Invalid value: ["a"]: using resourceNames requires at least one',
        ),
        (
            policy({"level": "None"}, omitStages=["Later"]),
            'omitStages[0]: Invalid value: "Later": allowed stages are RequestReceived,ResponseStarted,'
            "ResponseComplete,Panic",
        ),
        (policy({"level": "None", "user": ["x"]}), 'rules[0].user: Forbidden: there is no field "user"'),
        (policy({"level": "None", "users": "x"}), 'rules[0].users: Invalid value: "x": must be a list of strings'),
        (policy({"level": "None", "omitManagedFields": "x"}), "must be true or false"),
        (policy({"level": "None", "resources": [{"group": 1}]}), "rules[0].resources.group: Invalid value: 1"),
    ],
)
def test_policies_that_cannot_be_used(text: bytes, told: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy(text)
    assert told in str(refused.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)
NAMES = ("level", "users", "verbs", "resources", "nonResourceURLs", "omitStages", "omitManagedFields")
RULE = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON))


@given(rules=JSON | st.lists(RULE, max_size=3), stages=JSON)
def test_whatever_stands_in_a_policy_it_is_read_or_refused(rules: Any, stages: Any) -> None:
    with contextlib.suppress(PolicyError):
        parse_policy(policy(rules=rules, omitStages=stages))


@pytest.mark.parametrize(
    ("question", "level"),
    [
        (asks("create", "secrets"), Level.METADATA),
        (asks("create", "pods/exec"), Level.METADATA),
        (asks("create", "events", "events.k8s.io"), Level.NONE),
        (Attributes(JANE, "get", "/livez/ping"), Level.NONE),
        (Attributes(JANE, "get", "/unknown"), Level.METADATA),
        (asks("update", "leases", "coordination.k8s.io"), Level.METADATA),
    ],
)
def test_the_policy_of_who_gives_none(question: Attributes, level: Level) -> None:
    keeping = DEFAULT.keeping(question)
    assert keeping.level is level
    assert level is Level.NONE or keeping.omitted_stages == {"RequestReceived"}
