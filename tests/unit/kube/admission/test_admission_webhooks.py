"""Webhooks: who is called with what, what their answers do, and what happens where they fail."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.admission.chain import Chain
from ropewalk.kube.admission.matching import matches_rule
from ropewalk.kube.admission.webhook_client import WebhookFailure
from ropewalk.kube.admission.webhooks import MutatingAdmissionWebhook, ValidatingAdmissionWebhook
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import at
from ropewalk.kube.machinery.resources import ResourceInfo

Make = Callable[..., Any]


class Hooks:
    """Answers by URL: a function of the request gives the response, or what is to be raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[str, Any]] = []

    async def call(self, client_config: Any, body: bytes, timeout: float) -> bytes:
        request = orjson.loads(body)["request"]
        url = client_config["url"]
        self.calls.append((url, request))
        answer = self.answers[url]
        response = answer(request) if callable(answer) else answer
        if isinstance(response, Exception):
            raise response
        if isinstance(response, bytes):
            return response
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        return orjson.dumps({**review, "response": {"uid": request["uid"], **response}})


def patch(*operations: Any) -> Any:
    encoded = base64.b64encode(orjson.dumps(list(operations))).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": encoded}


RULE = {"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}


def hook(url: str, **fields: Any) -> Any:
    fixed = {"name": f"{url}.x.io", "clientConfig": {"url": url}, "rules": [RULE], "sideEffects": "None"}
    return {**fixed, **fields}


def validating(api: Any, hooks: Hooks, allowing: Any, *specs: Any) -> ValidatingAdmissionWebhook:
    api.add("ValidatingWebhookConfiguration", "w", webhooks=list(specs))
    return ValidatingAdmissionWebhook(api, allowing(), hooks, SeededEntropy(1))


def mutating(api: Any, hooks: Hooks, allowing: Any, *specs: Any) -> MutatingAdmissionWebhook:
    api.add("MutatingWebhookConfiguration", "w", webhooks=list(specs))
    return MutatingAdmissionWebhook(api, allowing(), hooks, SeededEntropy(1))


PODS = ResourceInfo("", "v1", "Pod", "pods", "pod", True)


@pytest.mark.parametrize(
    ("rule", "subresource", "matches"),
    [
        ({}, "", True),
        ({}, "status", False),
        ({"resources": ["pods/*"]}, "status", True),
        ({"resources": ["*/*"]}, "status", True),
        ({"resources": ["*"]}, "status", False),
        ({"resources": ["*/scale"]}, "status", False),
        ({"resources": ["pods/*"]}, "", True),
        ({"operations": ["UPDATE"]}, "", False),
        ({"apiGroups": ["apps"]}, "", False),
        ({"apiVersions": ["*"], "scope": "Cluster"}, "", False),
        ({"resourceNames": ["other"]}, "", False),
    ],
)
def test_rules(rule: Any, subresource: str, matches: bool) -> None:
    assert matches_rule({**RULE, **rule}, PODS, subresource, "CREATE", "p") is matches


async def test_the_request_as_a_webhook_sees_it(api: Any, allowing: Any, request_for: Make, pod: Make) -> None:
    answer = {"allowed": True, "warnings": ["careful"], "auditAnnotations": {"k": "v"}}
    hooks = Hooks(a=answer)
    admission = request_for("Pod", pod(), old=pod("p"))
    await validating(api, hooks, allowing, hook("a")).validate(admission)
    ((_, request),) = hooks.calls
    assert request["kind"] == {"group": "", "version": "v1", "kind": "Pod"}
    assert request["resource"] == {"group": "", "version": "v1", "resource": "pods"}
    assert (request["name"], request["namespace"], request["operation"]) == ("p", "ns", "UPDATE")
    assert request["userInfo"] == {"username": "alice", "groups": ["system:authenticated"]}
    assert request["object"] == admission.object and request["oldObject"] == admission.old
    assert admission.call.warnings == ["careful"]
    assert admission.annotations == {"a.x.io/k": "v"}


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (None, 400, 'admission webhook "a.x.io" denied the request without explanation'),
        ({"message": "no"}, 400, 'admission webhook "a.x.io" denied the request: no'),
        (
            {"message": "no", "code": 403, "reason": "Forbidden"},
            403,
            'admission webhook "a.x.io" denied the request: no',
        ),
        ({"reason": "Because", "code": 200}, 400, 'admission webhook "a.x.io" denied the request: Because'),
    ],
)
async def test_refusals(
    api: Any, allowing: Any, request_for: Make, pod: Make, status: Any, code: int, message: str
) -> None:
    answer = {"allowed": False, **({"status": status} if status else {})}
    with pytest.raises(StatusFault) as fault:
        await validating(api, Hooks(a=answer), allowing, hook("a")).validate(request_for("Pod", pod()))
    assert (fault.value.status, fault.value.message) == (code, message)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (WebhookFailure('Post "https://a": refused'), 'failed to call webhook: Post "https://a": refused'),
        (TimeoutError(), "failed to call webhook: context deadline exceeded"),
        (b"no json", "failed to call webhook: "),
        (
            b'{"apiVersion": "v1", "kind": "Pod"}',
            "received invalid webhook response: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview,"
            " got /v1, Kind=Pod",
        ),
        ({"uid": "other", "allowed": True}, "received invalid webhook response: expected response.uid="),
        (
            {"allowed": True, "patch": "W10=", "patchType": "JSONPatch"},
            "received invalid webhook response: validating webhook may not return response.patch",
        ),
    ],
)
async def test_failures(api: Any, allowing: Any, request_for: Make, pod: Make, answer: Any, problem: str) -> None:
    plugin = validating(api, Hooks(a=answer), allowing, hook("a"))
    with pytest.raises(StatusFault) as fault:
        await plugin.validate(request_for("Pod", pod()))
    assert fault.value.status == 500
    assert fault.value.message.startswith(f'Internal error occurred: failed calling webhook "a.x.io": {problem}')
    admission = request_for("Pod", pod())
    await validating(api, Hooks(a=answer), allowing, hook("a", failurePolicy="Ignore")).validate(admission)
    assert "failed-open.validating.webhook.admission.k8s.io/a.x.io" in admission.annotations


async def test_dry_runs_spare_what_has_side_effects(api: Any, allowing: Any, request_for: Make, pod: Make) -> None:
    hooks = Hooks(a={"allowed": True})
    await validating(api, hooks, allowing, hook("a")).validate(request_for("Pod", pod(), dry_run=True))
    plugin = validating(api, hooks, allowing, hook("a", sideEffects="Some"))
    with pytest.raises(StatusFault) as fault:
        await plugin.validate(request_for("Pod", pod(), dry_run=True))
    assert fault.value.message == 'admission webhook "a.x.io" does not support dry run'
    assert len(hooks.calls) == 1


@pytest.mark.parametrize(
    ("fields", "called"),
    [
        ({"namespaceSelector": {"matchLabels": {"team": "a"}}}, True),
        ({"namespaceSelector": {"matchLabels": {"team": "b"}}}, False),
        ({"objectSelector": {"matchLabels": {"l": "1"}}}, True),
        ({"objectSelector": {"matchLabels": {"l": "2"}}}, False),
        ({"matchConditions": [{"name": "c", "expression": "object.metadata.name == 'p'"}]}, True),
        ({"matchConditions": [{"name": "c", "expression": "request.userInfo.username != 'alice'"}]}, False),
        (
            {
                "matchConditions": [
                    {"name": "bad", "expression": "object.zoo == 1"},
                    {"name": "no", "expression": "1 == 2"},
                ]
            },
            False,
        ),
    ],
)
async def test_selectors_and_conditions(
    api: Any, allowing: Any, request_for: Make, pod: Make, fields: Any, called: bool
) -> None:
    api.add("Namespace", "ns", metadata={"labels": {"team": "a"}})
    labelled = pod()
    labelled["metadata"]["labels"] = {"l": "1"}
    hooks = Hooks(a={"allowed": True})
    await validating(api, hooks, allowing, hook("a", **fields)).validate(request_for("Pod", labelled))
    assert bool(hooks.calls) is called


async def test_a_condition_that_fails_follows_the_failure_policy(
    api: Any, allowing: Any, request_for: Make, pod: Make
) -> None:
    conditions = [{"name": "c", "expression": "object.zoo == 1"}]
    plugin = validating(api, Hooks(), allowing, hook("a", matchConditions=conditions))
    with pytest.raises(StatusFault, match="resulted in error: no such key: zoo"):
        await plugin.validate(request_for("Pod", pod()))
    ignoring = hook("a", matchConditions=conditions, failurePolicy="Ignore")
    await validating(api, Hooks(), allowing, ignoring).validate(request_for("Pod", pod()))


async def test_patches_and_the_second_round(api: Any, allowing: Any, request_for: Make, pod: Make) -> None:
    def first(request: Any) -> Any:
        seen = at(request, "object", "metadata", "labels") or {}
        return patch({"op": "add", "path": "/metadata/labels", "value": {**seen, "first": str(len(seen))}})

    hooks = Hooks(a=first, b=patch({"op": "add", "path": "/metadata/labels/second", "value": "x"}))
    plugin = mutating(api, hooks, allowing, hook("a", reinvocationPolicy="IfNeeded"), hook("b"))
    admission = request_for("Pod", pod())
    await Chain([plugin]).mutate(admission)
    assert [url for url, _ in hooks.calls] == ["a", "b", "a"]
    assert at(admission.object, "metadata", "labels") == {"first": "2", "second": "x"}
    assert admission.reinvocation


async def test_no_second_round_where_nothing_changed(api: Any, allowing: Any, request_for: Make, pod: Make) -> None:
    hooks = Hooks(a={"allowed": True})
    admission = request_for("Pod", pod())
    await Chain([mutating(api, hooks, allowing, hook("a", reinvocationPolicy="IfNeeded"))]).mutate(admission)
    assert len(hooks.calls) == 1 and not admission.reinvocation


async def test_a_patch_that_does_not_fit(api: Any, allowing: Any, request_for: Make, pod: Make) -> None:
    hooks = Hooks(a=patch({"op": "remove", "path": "/nothing"}))
    plugin = mutating(api, hooks, allowing, hook("a"))
    with pytest.raises(StatusFault, match="received undecodable patch in webhook response"):
        await plugin.mutate(request_for("Pod", pod()))
    hooks = Hooks(a=patch({"op": "add", "path": "/x", "value": 1}))
    plugin = mutating(api, hooks, allowing, hook("a"))
    with pytest.raises(StatusFault, match="attempted to modify the object, which is not supported"):
        await plugin.mutate(request_for("Pod", None, old=pod(), operation="DELETE"))


async def test_configurations_are_nobodys_business(api: Any, allowing: Any, request_for: Make) -> None:
    everything = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
    hooks = Hooks(a={"allowed": False})
    plugin = validating(api, hooks, allowing, hook("a", rules=[everything]))
    admission = request_for("ValidatingWebhookConfiguration", {"metadata": {"name": "w"}})
    await Chain([plugin]).validate(admission)
    assert not hooks.calls
    with pytest.raises(StatusFault):
        await Chain([plugin]).validate(request_for("Node", {"metadata": {"name": "n"}}))
