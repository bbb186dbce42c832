"""Validating and mutating admission policies: bindings, parameters, expressions, what they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from ropewalk.kube.admission.apply_configuration import Unmergeable, merged
from ropewalk.kube.admission.chain import Chain
from ropewalk.kube.admission.mutating_policies import MutatingAdmissionPolicy
from ropewalk.kube.admission.validating_policies import ValidatingAdmissionPolicy
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import at
from ropewalk.kube.machinery.schema import Schema, Shape

Make = Callable[..., Any]
CONSTRAINTS = {
    "resourceRules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]
}


def policy(api: Any, *validations: Any, binding: Any = None, mutating: bool = False, **spec: Any) -> None:
    kind = "MutatingAdmissionPolicy" if mutating else "ValidatingAdmissionPolicy"
    parts = {"mutations" if mutating else "validations": list(validations)}
    api.add(kind, "p", spec={"matchConstraints": CONSTRAINTS, **parts, **spec})
    bound = {"policyName": "p", **({} if mutating else {"validationActions": ["Deny"]}), **(binding or {})}
    api.add(f"{kind}Binding", "b", spec=bound)


async def refusal(api: Any, allowing: Any, admission: Any) -> StatusFault:
    with pytest.raises(StatusFault) as fault:
        await ValidatingAdmissionPolicy(api, allowing()).validate(admission)
    return fault.value


NO = {"expression": "object.metadata.name != 'p'"}


@pytest.mark.parametrize(
    ("validation", "status", "why"),
    [
        (NO, 422, "failed expression: object.metadata.name != 'p'"),
        ({**NO, "message": "not p"}, 422, "not p"),
        ({**NO, "messageExpression": "'not ' + object.metadata.name", "message": "m"}, 422, "not p"),
        ({**NO, "messageExpression": "object.zoo", "message": "m"}, 422, "m"),
        ({**NO, "message": "m", "reason": "Forbidden"}, 403, "m"),
        (
            {"expression": "object.zoo == 1"},
            422,
            "expression 'object.zoo == 1' resulted in error: no such key: zoo",
        ),
        ({"expression": "1"}, 422, "compilation error: must evaluate to bool"),
        (
            {"expression": "lists.range(10000000).size() > 0"},
            422,
            "validation failed due to running out of cost budget, no further validation rules will be run",
        ),
    ],
)
async def test_denials(
    api: Any, allowing: Any, request_for: Make, pod: Make, validation: Any, status: int, why: str
) -> None:
    policy(api, validation)
    fault = await refusal(api, allowing, request_for("Pod", pod()))
    assert fault.status == status
    assert fault.message == (
        f"pods \"p\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: {why}"
    )


@pytest.mark.parametrize(
    ("binding", "spec"),
    [
        ({"policyName": "other"}, {}),
        ({"matchResources": {"namespaceSelector": {"matchLabels": {"x": "y"}}}}, {}),
        ({}, {"matchConditions": [{"name": "c", "expression": "request.operation == 'DELETE'"}]}),
        ({}, {"matchConstraints": {**CONSTRAINTS, "objectSelector": {"matchLabels": {"a": "b"}}}}),
        ({}, {"matchConstraints": {**CONSTRAINTS, "excludeResourceRules": CONSTRAINTS["resourceRules"]}}),
    ],
)
async def test_a_policy_that_is_not_about_it(
    api: Any, allowing: Any, request_for: Make, pod: Make, binding: Any, spec: Any
) -> None:
    policy(api, NO, binding=binding, **spec)
    await ValidatingAdmissionPolicy(api, allowing()).validate(request_for("Pod", pod()))


async def test_names_that_expressions_see(api: Any, allowing: Any, request_for: Make, pod: Make) -> None:
    api.add("Namespace", "ns", metadata={"labels": {"env": "test"}})
    validations = [
        "variables.names == ['c'] && variables.count == 1",
        "namespaceObject.metadata.labels.env == 'test'",
        "request.userInfo.username == 'alice' && request.kind.kind == 'Pod' && oldObject == null",
        "authorizer.group('').resource('pods').namespace('ns').name('p').check('breakglass').allowed()",
        "authorizer.requestResource.check('breakglass').allowed()",
    ]
    variables = [
        {"name": "names", "expression": "object.spec.containers.map(c, c.name)"},
        {"name": "count", "expression": "variables.names.size()"},
    ]
    policy(api, *({"expression": text} for text in validations), variables=variables)
    authorizer = allowing(("breakglass", "pods", "p"))
    await ValidatingAdmissionPolicy(api, authorizer).validate(request_for("Pod", pod()))
    assert len(authorizer.asked) == 1  # the second check asks the same


async def test_warnings_and_audit(api: Any, allowing: Any, request_for: Make, pod: Make) -> None:
    annotations = [{"key": "k", "valueExpression": "'name ' + object.metadata.name"}]
    annotations.append({"key": "none", "valueExpression": "null"})
    policy(api, NO, binding={"validationActions": ["Warn", "Audit"]}, auditAnnotations=annotations)
    admission = request_for("Pod", pod())
    await ValidatingAdmissionPolicy(api, allowing()).validate(admission)
    assert admission.call.warnings == [
        "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': failed expression:"
        " object.metadata.name != 'p'"
    ]
    assert admission.annotations["p/k"] == "name p" and "p/none" not in admission.annotations
    (failure,) = orjson.loads(admission.annotations["validation.policy.admission.k8s.io/validation_failure"])
    assert (failure["policy"], failure["binding"], failure["expressionIndex"]) == ("p", "b", "0")


async def test_failures_may_be_ignored(api: Any, allowing: Any, request_for: Make, pod: Make) -> None:
    policy(api, {"expression": "object.zoo == 1"}, failurePolicy="Ignore")
    await ValidatingAdmissionPolicy(api, allowing()).validate(request_for("Pod", pod()))


PARAMS = {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}
LIMIT = {"expression": "object.metadata.name.size() <= int(params.data.most)", "message": "too long"}


async def test_parameters(api: Any, allowing: Any, request_for: Make, pod: Make) -> None:
    api.add("ConfigMap", "small", "ns", data={"most": "0"}, metadata={"labels": {"use": "yes"}})
    api.add("ConfigMap", "large", "ns", data={"most": "9"}, metadata={"labels": {"use": "yes"}})
    admission = request_for("Pod", pod())
    plugin = ValidatingAdmissionPolicy(api, allowing())
    policy(api, LIMIT, binding={"paramRef": {"name": "large"}}, **PARAMS)
    await plugin.validate(admission)
    policy(api, LIMIT, binding={"paramRef": {"selector": {"matchLabels": {"use": "yes"}}}}, **PARAMS)
    assert (await refusal(api, allowing, admission)).message.endswith("denied request: too long")
    policy(api, LIMIT, binding={"paramRef": {"name": "none", "parameterNotFoundAction": "Allow"}}, **PARAMS)
    await plugin.validate(admission)
    policy(api, LIMIT, binding={"paramRef": {"name": "none", "parameterNotFoundAction": "Deny"}}, **PARAMS)
    assert (await refusal(api, allowing, admission)).message.endswith(
        "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
    )


async def test_policies_do_not_judge_policies(api: Any, allowing: Any, request_for: Make) -> None:
    rule = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
    policy(api, {"expression": "false"}, matchConstraints={"resourceRules": [rule]})
    chain = Chain([ValidatingAdmissionPolicy(api, allowing())])
    await chain.validate(request_for("ValidatingAdmissionPolicy", {"metadata": {"name": "p"}}))
    with pytest.raises(StatusFault):
        await chain.validate(request_for("ConfigMap", {"metadata": {"name": "c", "namespace": "ns"}}))


CONTAINERS = Schema(
    Shape.LIST,
    list_type="map",
    list_keys=("name",),
    items=Schema(Shape.OBJECT, fields={"name": Schema(Shape.STRING), "image": Schema(Shape.STRING)}),
)
SCHEMA = Schema(
    Shape.OBJECT,
    fields={
        "metadata": Schema(
            Shape.OBJECT, fields={"labels": Schema(Shape.MAP), "finalizers": Schema(Shape.LIST, list_type="set")}
        ),
        "spec": Schema(Shape.OBJECT, fields={"containers": CONTAINERS, "args": Schema(Shape.LIST)}),
    },
)


async def mutated(api: Any, allowing: Any, admission: Any) -> Any:
    plugin = MutatingAdmissionPolicy(api, allowing(), schema_of=lambda kind: SCHEMA)
    await Chain([plugin]).mutate(admission)
    return admission.object


def json_patch(text: str) -> Any:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": text}}


def configuration(text: str) -> Any:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": text}}


async def test_json_patches(api: Any, allowing: Any, request_for: Make, pod: Make) -> None:
    value = "{variables.key: string(object.spec.containers.size())}"
    text = f"[JSONPatch{{op: 'add', path: '/metadata/labels', value: {value}}}]"
    further = "[JSONPatch{op: 'replace', path: '/metadata/labels/' + jsonpatch.escapeKey(variables.key), value: 'two'}]"
    variables = [{"name": "key", "expression": "'x.io/k'"}]
    policy(api, json_patch(text), json_patch(further), mutating=True, variables=variables)
    assert at(await mutated(api, allowing, request_for("Pod", pod())), "metadata", "labels") == {"x.io/k": "two"}


async def test_configurations_merge(api: Any, allowing: Any, request_for: Make, pod: Make) -> None:
    text = (
        "Object{metadata: Object.metadata{labels: {'a': 'b'}}, spec: Object.spec{containers:"
        " [Object.spec.containers{name: 'c', image: 'new'}, Object.spec.containers{name: 'd'}]}}"
    )
    policy(api, configuration(text), mutating=True)
    found = await mutated(api, allowing, request_for("Pod", pod()))
    assert found["metadata"]["labels"] == {"a": "b"}
    assert found["spec"]["containers"] == [{"name": "c", "image": "new"}, {"name": "d"}]


@pytest.mark.parametrize(
    ("mutation", "problem"),
    [
        (json_patch("'text'"), "JSONPatchType.expression should evaluate to array"),
        (json_patch("[1]"), "should evaluate to array of JSONPatch"),
        (json_patch("[JSONPatch{op: 'remove', path: '/zoo'}]"), "JSON Patch: "),
        (json_patch("[JSONPatch{op: 'remove', path: zoo}]"), "undeclared reference to 'zoo'"),
        (configuration("{'spec': {}}"), "unsupported return type from ApplyConfiguration expression"),
        (configuration("Object{spec: Object.zoo{}}"), 'unexpected type name "Object.zoo", expected "Object.spec"'),
        (configuration("Object{spec: Object.spec{args: ['x']}}"), "may not mutate atomic arrays, maps or structs"),
    ],
)
async def test_mutations_that_fail(
    api: Any, allowing: Any, request_for: Make, pod: Make, mutation: Any, problem: str
) -> None:
    policy(api, mutation, mutating=True)
    with pytest.raises(StatusFault) as fault:
        await mutated(api, allowing, request_for("Pod", pod()))
    assert problem in fault.value.message and fault.value.status == 403
    policy(api, mutation, mutating=True, failurePolicy="Ignore")
    assert await mutated(api, allowing, request_for("Pod", pod())) == pod()


def test_sets_merge_and_atomic_parts_do_not() -> None:
    before = {"metadata": {"finalizers": ["a"]}, "spec": {"args": ["x"]}}
    after = merged(before, {"metadata": {"finalizers": ["a", "b"]}}, SCHEMA)
    assert after == {"metadata": {"finalizers": ["a", "b"]}, "spec": {"args": ["x"]}}
    assert before["metadata"] == {"finalizers": ["a"]}
    with pytest.raises(Unmergeable, match=r"\.spec\.args"):
        merged(before, {"spec": {"args": ["y"]}}, SCHEMA)
