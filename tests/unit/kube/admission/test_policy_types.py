"""What a policy's expressions get wrong about the kinds it names, in the words of Kubernetes' own checker."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.kube.admission.policy_types import warnings
from ropewalk.kube.kinds.definitions import definitions
from ropewalk.kube.kinds.table import RESOURCES
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.resources import GroupVersionKind
from ropewalk.kube.machinery.schema import Schema

DEPLOYMENTS = ("apps", "v1", "deployments")


def schema_of(gvk: GroupVersionKind) -> Schema | None:
    types = definitions()
    return types.schema(gvk) if types.knows(gvk) else None


def policy(expression: str, *rules: tuple[str, str, str], **spec: Any) -> Object:
    given = [
        {"apiGroups": [group], "apiVersions": [version], "resources": resources.split(",")}
        for group, version, resources in rules or (DEPLOYMENTS,)
    ]
    validations = [{"expression": expression, "messageExpression": spec.pop("message", "")}]
    return {"spec": {"matchConstraints": {"resourceRules": given}, "validations": validations, **spec}}


def told(given: Object) -> list[tuple[str, str]]:
    """(field, the first line of what is wrong, without its place)."""
    found = []
    for warning in warnings(given, RESOURCES, schema_of):
        for part in warning["warning"].split("\n\n"):
            head, _, rest = part.partition(": ERROR: <input>:")
            found.append((head, rest.split(": ", 1)[1].split("\n")[0]))
    return found


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("object.spec.replicas > 1", ""),
        ("object.foo > 1", "undefined field 'foo'"),
        ("object.spec.replicas == 'a'", "found no matching overload for '_==_' applied to '(int, string)'"),
        ("object.spec.template.spec.containers.all(c, c.imagee != '')", "undefined field 'imagee'"),
        ("object.spec.template.spec.containers.all(c, has(c.resources.limits))", "undefined field 'limits'"),
        ("object.spec.strategy.rollingUpdate.maxSurge == 1", ""),
        ("object.metadata.creationTimestamp > timestamp('2020-01-01T00:00:00Z')", ""),
        ("object.metadata.labels.foo == 1", "found no matching overload for '_==_' applied to '(string, int)'"),
        ("object.metadata.managedFields[0].fieldsV1.foo", "undefined field 'foo'"),
        ("oldObject.spec.replicas == object.spec.replicas", ""),
        ("request.operation == 1", "found no matching overload for '_==_' applied to '(string, int)'"),
        ("request.options.foo.bar", ""),
        ("namespaceObject.metadata.UID == 'x'", ""),
        ("namespaceObject.metadata.uid == 'x'", "undefined field 'uid'"),
        (
            "authorizer.requestResource.check('get').allowed()",
            "unexpected failed resolution of 'kubernetes.authorization.Authorizer'",
        ),
        ("authorizer.group('').resource('pods').check('get').allowed()", ""),
        ("params.foo == 'a'", "undeclared reference to 'params' (in container '')"),
        ("dyn(object).x.y", ""),
    ],
)
def test_an_expression_for_deployments(expression: str, wrong: str) -> None:
    assert told(policy(expression)) == ([("apps/v1, Kind=Deployment", wrong)] if wrong else [])


def test_the_whole_text() -> None:
    assert warnings(policy("object.foo > 1"), RESOURCES, schema_of) == [
        {
            "fieldRef": "spec.validations[0].expression",
            "warning": "apps/v1, Kind=Deployment: ERROR: <input>:1:7: undefined field 'foo'\n"
            " | object.foo > 1\n | ......^\n",
        }
    ]


def test_messages_are_checked_too() -> None:
    found = warnings(policy("true", message="object.spec.replicas.foo"), RESOURCES, schema_of)
    assert [one["fieldRef"] for one in found] == ["spec.validations[0].messageExpression"]


def test_secrets_hold_bytes() -> None:
    assert told(policy("object.data.a == 'x'", ("", "v1", "secrets,configmaps"))) == [
        ("/v1, Kind=Secret", "found no matching overload for '_==_' applied to '(bytes, string)'")
    ]


def test_a_schema_that_holds_itself_ends_at_its_repetition() -> None:
    rule = ("apiextensions.k8s.io", "v1", "customresourcedefinitions")
    schema = "object.spec.versions[0].schema.openAPIV3Schema"
    assert told(policy(f"{schema}.minimum > 1.0", rule)) == []
    assert [wrong for _, wrong in told(policy(f"{schema}.properties['a'].minimum > 1.0", rule))] == [
        "undefined field 'minimum'"
    ]


@pytest.mark.parametrize(
    "rule",
    [
        ("*", "v1", "deployments"),
        ("apps", "*", "deployments"),
        ("apps", "v1", "*"),
        ("apps", "v1", "deployments/scale"),
    ],
)
def test_only_what_is_named_outright_is_checked(rule: tuple[str, str, str]) -> None:
    assert told(policy("object.foo", rule)) == []


def test_no_group_stands_for_any_and_of_many_kinds_ten_are_checked() -> None:
    assert [kind for kind, _ in told(policy("object.foo", ("", "v1", "events")))] == [
        "/v1, Kind=Event",
        "events.k8s.io/v1, Kind=Event",
    ]
    many = (
        "configmaps,endpoints,limitranges,namespaces,nodes,persistentvolumeclaims,persistentvolumes,pods,podtemplates"
    )
    both = told(policy("object.foo", ("", "v1", f"{many},secrets,services"), DEPLOYMENTS))
    assert len(both) == 10 and "apps/v1, Kind=Deployment" not in dict(both)


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("variables.count == 'a'", "found no matching overload for '_==_' applied to '(int, string)'"),
        ("variables.next == 'a'", "found no matching overload for '_==_' applied to '(int, string)'"),
        ("variables.containers[0].name == 1", ""),
        ("variables.wrong.anything", ""),
        ("variables.none", "undefined field 'none'"),
    ],
)
def test_a_variable_has_its_expressions_type_where_that_is_simple(expression: str, wrong: str) -> None:
    variables = [
        {"name": "count", "expression": "object.spec.replicas"},
        {"name": "next", "expression": "variables.count + 1"},
        {"name": "containers", "expression": "object.spec.template.spec.containers"},
        {"name": "wrong", "expression": "object.foo"},
    ]
    assert [text for _, text in told(policy(expression, variables=variables))] == ([wrong] if wrong else [])


def test_params_have_their_kinds_type() -> None:
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    assert told(policy("params.data.x == 'a'", paramKind=kind)) == []
    assert [text for _, text in told(policy("params.foo == 'a'", paramKind=kind))] == ["undefined field 'foo'"]
    kind["kind"] = "Unheard"
    assert [text for _, text in told(policy("params.foo == 'a'", paramKind=kind))] == [
        "undeclared reference to 'params' (in container '')"
    ]
