"""Webhook configurations."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.admissionregistration import STRATEGIES
from ropewalk.kube.kinds.admissionregistration.expressions import Expression, Purpose
from ropewalk.kube.kinds.admissionregistration.webhooks import ValidatingWebhookConfigurations
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.verdicts import changed, created, creation, update, updated

VALIDATING = STRATEGIES["validatingwebhookconfigurations"]
MUTATING = STRATEGIES["mutatingwebhookconfigurations"]
RULE = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
HOOK: Object = {
    "name": "pods.example.com",
    "rules": [RULE],
    "clientConfig": {"service": {"namespace": "default", "name": "hook"}},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}


def _one(**hook: Any) -> Object:
    return {"webhooks": [{key: value for key, value in {**HOOK, **hook}.items() if value is not None}]}


def test_defaults() -> None:
    hook = created(MUTATING, _one())["webhooks"][0]
    expected = {
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
        "timeoutSeconds": 10,
        "reinvocationPolicy": "Never",
    }
    assert {key: hook[key] for key in expected} == expected
    assert hook["rules"][0]["scope"] == "*"
    assert hook["clientConfig"]["service"]["port"] == 443
    assert "reinvocationPolicy" not in created(VALIDATING, _one())["webhooks"][0]


@pytest.mark.parametrize("strategy", [VALIDATING, MUTATING])
def test_good(strategy: ValidatingWebhookConfigurations) -> None:
    assert creation(strategy, _one()) == []
    assert creation(strategy, _one(clientConfig={"url": "https://example.com:8443/hook"})) == []


def _rule(**fields: Any) -> Object:
    return _one(rules=[{**RULE, **fields}])


BAD = [
    (_one(name=""), "webhooks[0].name: Required value"),
    (_one(name="pods"), "should be a domain with at least three segments separated by dots"),
    (_one(sideEffects=None), "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun"),
    (_one(sideEffects="Some"), 'Unsupported value: "Some": supported values: "None", "NoneOnDryRun"'),
    (_one(admissionReviewVersions=[]), "Required value: must specify one of v1, v1beta1"),
    (_one(admissionReviewVersions=["v2"]), "must include at least one of v1, v1beta1"),
    (_one(admissionReviewVersions=["v1", "v1"]), "duplicate version"),
    (_one(failurePolicy="Retry"), 'supported values: "Fail", "Ignore"'),
    (_one(matchPolicy="Near"), 'supported values: "Equivalent", "Exact"'),
    (_one(timeoutSeconds=31), "the timeout value must be between 1 and 30 seconds"),
    (_one(timeoutSeconds=0), "the timeout value must be between 1 and 30 seconds"),
    (_one(clientConfig={}), "webhooks[0].clientConfig: Required value: exactly one of url or service is required"),
    (_one(clientConfig={"url": "http://x.y"}), "'https' is the only allowed URL scheme; desired format"),
    (_one(clientConfig={"url": "https:///x"}), "host must be specified"),
    (_one(clientConfig={"url": "https://me@x.y"}), "user information is not permitted in the URL"),
    (_one(clientConfig={"url": "https://x.y/#a"}), "fragments are not permitted in the URL"),
    (_one(clientConfig={"url": "https://x.y/?a=b"}), "query parameters are not permitted in the URL"),
    (_one(clientConfig={"url": "https://[x"}), "url must be a valid URL"),
    (_one(clientConfig={"service": {"namespace": "a", "name": "b", "port": 0}}), "port is not valid: must be between"),
    (_one(clientConfig={"service": {"namespace": "a", "name": "b", "path": "x"}}), "must start with a '/'"),
    (_one(clientConfig={"service": {"namespace": "a", "name": "b", "path": "/x//y"}}), "segment[1] may not be empty"),
    (_one(namespaceSelector={"matchLabels": {"a b": "c"}}), "webhooks[0].namespaceSelector.matchLabels"),
    (_rule(operations=[]), "webhooks[0].rules[0].operations: Required value"),
    (_rule(operations=["*", "CREATE"]), "if '*' is present, must not specify other operations"),
    (_rule(operations=["GET"]), 'supported values: "*", "CONNECT", "CREATE", "DELETE", "UPDATE"'),
    (_rule(apiGroups=[]), "webhooks[0].rules[0].apiGroups: Required value"),
    (_rule(apiGroups=["*", "apps"]), "if '*' is present, must not specify other API groups"),
    (_rule(apiVersions=[""]), "webhooks[0].rules[0].apiVersions[0]: Required value"),
    (_rule(resources=[]), "webhooks[0].rules[0].resources: Required value"),
    (_rule(resources=["pods/*", "pods/log"]), "if 'pods/*' is present, must not specify pods/log"),
    (_rule(resources=["*/scale", "pods/scale"]), "if '*/scale' is present, must not specify pods/scale"),
    (_rule(resources=["*/*", "pods"]), "if '*/*' is present, must not specify other resources"),
    (_rule(resources=["*", "pods"]), "if '*' is present, must not specify other resources without subresources"),
    (_rule(scope="Node"), 'supported values: "*", "Cluster", "Namespaced"'),
    (_one(matchConditions=[{"name": "a", "expression": " "}]), "matchConditions[0].expression: Required value"),
    (_one(matchConditions=[{"expression": "true"}]), "matchConditions[0].name: Required value"),
    (_one(matchConditions=[{"name": "a", "expression": "true"}] * 2), 'matchConditions[1].name: Duplicate value: "a"'),
    (_one(matchConditions=[{"name": f"a{n}", "expression": "true"} for n in range(65)]), "must have at most 64 items"),
]


@pytest.mark.parametrize(("configuration", "complaint"), BAD, ids=range(len(BAD)))
def test_bad(configuration: Object, complaint: str) -> None:
    for strategy in (VALIDATING, MUTATING):
        found = creation(strategy, configuration)
        assert any(complaint in line for line in found), found


def test_names_of_hooks_differ() -> None:
    assert creation(VALIDATING, {"webhooks": [HOOK, HOOK]}) == ['webhooks[1].name: Duplicate value: "pods.example.com"']


def test_reinvocation_is_for_mutating_hooks() -> None:
    (found,) = creation(MUTATING, _one(reinvocationPolicy="Always"))
    assert found.endswith('Unsupported value: "Always": supported values: "IfNeeded", "Never"')


def test_what_was_let_in_earlier_stays() -> None:
    old = created(VALIDATING, _one(sideEffects="Some", admissionReviewVersions=["v9"]))
    new = changed(old, "webhooks", 0, "timeoutSeconds", 3)
    assert update(VALIDATING, new, old) == []
    assert updated(VALIDATING, new, old)["metadata"]["generation"] == 2


def test_the_compiler_is_asked() -> None:
    asked: list[Expression] = []

    def compiler(expression: Expression) -> str:
        asked.append(expression)
        return "" if expression.text == "good" else "compilation failed"

    strategy = ValidatingWebhookConfigurations(compiler)
    conditions = [{"name": "a", "expression": " good "}, {"name": "b", "expression": "bad"}]
    assert creation(strategy, _one(matchConditions=conditions)) == [
        'webhooks[0].matchConditions[1].expression: Invalid value: "bad": compilation failed'
    ]
    assert [expression.purpose for expression in asked] == [Purpose.MATCH_CONDITION] * 2
    asked.clear()
    old = created(strategy, _one(matchConditions=conditions))
    assert update(strategy, changed(old, "webhooks", 0, "timeoutSeconds", 3), old) == []
    assert asked == []
    update(
        strategy, changed(old, "webhooks", 0, "matchConditions", [*conditions, {"name": "c", "expression": "d"}]), old
    )
    assert [expression.is_stored for expression in asked] == [True, True, False]
