"""Validating and mutating admission policies and their bindings."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.kinds.admissionregistration import STRATEGIES, strategies
from ropewalk.kube.kinds.admissionregistration.expressions import Expression, Purpose
from ropewalk.kube.machinery.objects import Object
from unit.kube.kinds.verdicts import cells, changed, created, creation, status_update

POLICIES = STRATEGIES["validatingadmissionpolicies"]
BINDINGS = STRATEGIES["validatingadmissionpolicybindings"]
MUTATING = STRATEGIES["mutatingadmissionpolicies"]
RULE = {"operations": ["CREATE"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"]}
POLICY: Object = {
    "metadata": {"name": "one.example.com"},
    "spec": {
        "matchConstraints": {"resourceRules": [RULE]},
        "validations": [{"expression": "object.spec.replicas <= 5"}],
    },
}
BINDING: Object = {"spec": {"policyName": "one.example.com", "validationActions": ["Deny"]}}
MUTATION: Object = {
    "spec": {
        "matchConstraints": {"resourceRules": [RULE]},
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}}],
    },
}


def _policy(**spec: Any) -> Object:
    return {**POLICY, "spec": {**POLICY["spec"], **spec}}


def test_defaults() -> None:
    spec = created(POLICIES, POLICY)["spec"]
    assert spec["failurePolicy"] == "Fail"
    assert spec["matchConstraints"] == {
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
        "resourceRules": [{**RULE, "scope": "*"}],
    }


def test_good() -> None:
    assert creation(POLICIES, POLICY) == []
    assert creation(BINDINGS, BINDING) == []
    assert creation(MUTATING, MUTATION) == []
    assert creation(STRATEGIES["mutatingadmissionpolicybindings"], {"spec": {"policyName": "x"}}) == []


BAD = [
    (_policy(failurePolicy="Retry"), 'supported values: "Fail", "Ignore"'),
    (_policy(matchConstraints=None), "spec.matchConstraints: Required value"),
    (_policy(matchConstraints={}), "spec.matchConstraints.resourceRules: Required value"),
    (_policy(validations=[]), "validations or auditAnnotations must contain at least one item"),
    (_policy(validations=[{"expression": " "}]), "expression is not specified"),
    (_policy(validations=[{"expression": "true", "message": "a\nb"}]), "must not contain line breaks"),
    (_policy(validations=[{"expression": "true", "message": " "}]), "must be non-empty if specified"),
    (_policy(validations=[{"expression": "true", "messageExpression": " "}]), "must be non-empty if specified"),
    (
        _policy(validations=[{"expression": "true", "reason": "Because"}]),
        'supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"',
    ),
    (_policy(paramKind={}), "spec.paramKind.apiVersion: Required value"),
    (_policy(paramKind={"apiVersion": "a/b/c", "kind": "X"}), "unexpected GroupVersion string: a/b/c"),
    (_policy(paramKind={"apiVersion": "v1", "kind": "a b"}), "may have mixed case, but should otherwise match: "),
    (_policy(variables=[{"name": "for", "expression": "1"}]), "must be a valid CEL identifier"),
    (_policy(variables=[{"name": "x"}]), "spec.variables[0].expression: Required value: expression is not specified"),
    (
        _policy(auditAnnotations=[{"key": "a b", "valueExpression": "''"}]),
        "spec.auditAnnotations[0].key: Invalid value",
    ),
    (
        _policy(auditAnnotations=[{"key": "a", "valueExpression": "''"}] * 2),
        'spec.auditAnnotations[1].key: Duplicate value: "a"',
    ),
    (_policy(auditAnnotations=[{"key": "a", "valueExpression": "x" * 5121}]), "must not exceed 5120 bytes in length"),
    (
        _policy(matchConstraints={"resourceRules": [{**RULE, "resourceNames": ["a", "a"]}]}),
        'resourceNames[1]: Duplicate value: "a"',
    ),
]


@pytest.mark.parametrize(("policy", "complaint"), BAD, ids=range(len(BAD)))
def test_bad(policy: Object, complaint: str) -> None:
    spec = {key: value for key, value in policy["spec"].items() if value is not None}
    found = creation(POLICIES, {**policy, "spec": spec})
    assert any(complaint in line for line in found), found


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"policyName": ""}, "spec.policyName: Required value"),
        ({"policyName": "A"}, "a lowercase RFC 1123 subdomain"),
        ({"validationActions": []}, "at least one validation action is required"),
        ({"validationActions": ["Deny", "Warn"]}, "must not contain both Deny and Warn"),
        ({"validationActions": ["Audit", "Audit"]}, 'spec.validationActions[1]: Duplicate value: "Audit"'),
        ({"validationActions": ["Log"]}, 'supported values: "Audit", "Deny", "Warn"'),
        ({"paramRef": {}}, "one of name or selector must be specified"),
        ({"paramRef": {"name": "a"}}, "spec.paramRef.parameterNotFoundAction: Required value"),
        (
            {"paramRef": {"name": "a", "selector": {}, "parameterNotFoundAction": "Deny"}},
            "name and selector are mutually exclusive",
        ),
        ({"paramRef": {"name": "a", "parameterNotFoundAction": "X"}}, 'supported values: "Deny", "Allow"'),
    ],
)
def test_bad_bindings(spec: Object, complaint: str) -> None:
    found = creation(BINDINGS, {"spec": {**BINDING["spec"], **spec}})
    assert any(complaint in line for line in found), found


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"mutations": []}, "mutations must contain at least one item"),
        ({"mutations": [{}]}, "spec.mutations[0].patchType: Required value"),
        ({"mutations": [{"patchType": "Merge"}]}, 'supported values: "ApplyConfiguration", "JSONPatch"'),
        ({"mutations": [{"patchType": "JSONPatch"}]}, "must be specified when patchType is JSONPatch"),
        (
            {"mutations": [{**MUTATION["spec"]["mutations"][0], "jsonPatch": {"expression": "[]"}}]},
            "must not be specified when patchType is ApplyConfiguration",
        ),
        (
            {"matchConstraints": {"resourceRules": [{**RULE, "operations": ["DELETE"]}]}},
            'supported values: "*", "CONNECT", "CREATE", "UPDATE"',
        ),
        ({"reinvocationPolicy": "Often"}, 'supported values: "IfNeeded", "Never"'),
    ],
)
def test_bad_mutations(spec: Object, complaint: str) -> None:
    found = creation(MUTATING, {"spec": {**MUTATION["spec"], **spec}})
    assert any(complaint in line for line in found), found


def test_the_compiler_sees_every_expression() -> None:
    asked: list[Expression] = []

    def compiler(expression: Expression) -> str:
        asked.append(expression)
        return ""

    policy = _policy(
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        matchConditions=[{"name": "c", "expression": "m"}],
        variables=[{"name": "x", "expression": "1"}, {"name": "y", "expression": "variables.x"}],
        validations=[{"expression": "v", "messageExpression": "t"}],
        auditAnnotations=[{"key": "a", "valueExpression": "k"}],
    )
    assert creation(strategies(compiler)["validatingadmissionpolicies"], policy) == []
    assert [(one.text, one.purpose) for one in asked] == [
        ("m", Purpose.MATCH_CONDITION),
        ("1", Purpose.VARIABLE),
        ("variables.x", Purpose.VARIABLE),
        ("v", Purpose.VALIDATION),
        ("t", Purpose.MESSAGE),
        ("k", Purpose.AUDIT_ANNOTATION),
    ]
    assert asked[2].variables == (("x", "1"),)
    assert all(one.has_params for one in asked)
    assert [one.has_authorizer for one in asked].count(False) == 1


def test_status() -> None:
    warning = {"fieldRef": "spec.validations[0].expression", "warning": "odd"}
    old = created(POLICIES, POLICY)
    assert status_update(POLICIES, {"typeChecking": {"expressionWarnings": [warning]}}, old) == []
    assert status_update(POLICIES, {"typeChecking": {"expressionWarnings": [{}]}}, old) == [
        "status.typeChecking.expressionWarnings[0].warning: Required value",
        "status.typeChecking.expressionWarnings[0].fieldRef: Required value",
    ]


def test_tables() -> None:
    policy = created(POLICIES, _policy(paramKind={"apiVersion": "v1", "kind": "ConfigMap"}))
    assert cells(POLICIES, policy) == {
        "Name": "one.example.com",
        "Validations": 1,
        "ParamKind": "v1/ConfigMap",
        "Age": "0s",
    }
    assert cells(BINDINGS, created(BINDINGS, BINDING))["ParamRef"] == "<unset>"
    named = changed(BINDING, "spec", "paramRef", {"name": "a"})
    assert cells(BINDINGS, created(BINDINGS, named))["ParamRef"] == "*/a"
