"""ValidatingAdmissionPolicy: rules in CEL that refuse, warn or leave a note in the audit log.
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import orjson

from ropewalk.kube.admission.expressions import ConditionFailed, Scene
from ropewalk.kube.admission.plugin import resource_name
from ropewalk.kube.admission.policy_bindings import (
    GROUP,
    Bound,
    ConfigurationProblem,
    ExpressionFailed,
    PolicyPlugin,
    Variables,
    applies,
    value_of,
)
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.cel.environment import BUDGET, Budget
from ropewalk.kube.machinery.errors import Cause, Details, StatusFault
from ropewalk.kube.machinery.objects import Object, at, name_of
from ropewalk.kube.machinery.resources import GroupResource

MAX_MESSAGE = 5 << 10
MAX_ANNOTATION = 10 << 10
FAILURES = "validation.policy.admission.k8s.io/validation_failure"
_CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413}


@dataclass(frozen=True, slots=True)
class Denial:
    message: str
    reason: str = "Invalid"
    expression: int = 0


@dataclass(slots=True)
class _Outcome:
    """What all policies said to one request."""

    denial: tuple[Bound, str, str] | None = None
    """The first one: by whom, why, and the status' reason."""
    failures: list[Object] = field(default_factory=list)
    annotations: dict[str, list[str]] = field(default_factory=dict)

    def deny(self, bound: Bound, message: str, reason: str) -> None:
        self.denial = self.denial or (bound, message, reason)


class ValidatingAdmissionPolicy(PolicyPlugin):
    name: ClassVar[str] = "ValidatingAdmissionPolicy"
    validates: ClassVar[bool] = True
    policies: ClassVar[GroupResource] = GroupResource(GROUP, "validatingadmissionpolicies")
    bindings: ClassVar[GroupResource] = GroupResource(GROUP, "validatingadmissionpolicybindings")

    async def validate(self, admission: Admission) -> None:
        if await self.none_bound():
            return
        outcome = _Outcome()
        async for bound in self.bound(admission):
            try:
                for params in await self.params(admission, bound):
                    await self._judge(admission, bound, params, outcome)
            except ConfigurationProblem as problem:
                if not bound.fails_open:
                    outcome.deny(bound, f"failed to configure binding: {problem}", "")
        _publish(admission, outcome)
        if outcome.denial is not None:
            raise _refusal(admission, *outcome.denial)

    async def _judge(self, admission: Admission, bound: Bound, params: Object | None, outcome: _Outcome) -> None:
        scene = await self.scene(admission, bound, params)
        for denial in await _denials(bound, scene):
            _act(admission, bound, denial, outcome)
        await _note(bound, scene, outcome)


async def _denials(bound: Bound, scene: Scene) -> list[Denial]:
    """What the validations refuse; [] where the policy does not apply."""
    try:
        if not await applies(bound, scene):
            scene.variables["variables"] = None
            return []
    except ConditionFailed as failure:
        scene.variables["variables"] = None
        return [] if bound.fails_open else [Denial(str(failure))]
    budget = Budget(BUDGET)
    scene.variables["variables"] = Variables(bound, scene, budget, mutation=False)
    found: list[Denial] = []
    for index, validation in enumerate(bound.spec.get("validations") or ()):
        try:
            verdict = await value_of(validation.get("expression", ""), bound, scene, budget, returns=("bool",))
        except ExpressionFailed as failure:
            if not bound.fails_open:
                found.append(Denial(str(failure), "", index))
            continue
        if verdict is not True:
            message = await _message(validation, bound, scene, budget)
            found.append(Denial(message, validation.get("reason") or "Invalid", index))
    return found


async def _message(validation: Object, bound: Bound, scene: Scene, budget: Budget) -> str:
    computed = validation.get("messageExpression")
    if computed:
        try:
            value = await value_of(computed, bound, scene, budget, returns=("string",), authorizer=False)
        except ExpressionFailed:
            value = None
        if isinstance(value, str):
            text = value.strip()
            if text and len(text.encode()) <= MAX_MESSAGE and "\n" not in text:
                return text
    stated = (validation.get("message") or "").strip()
    return stated or f"failed expression: {validation.get('expression', '').strip()}"


def _act(admission: Admission, bound: Bound, denial: Denial, outcome: _Outcome) -> None:
    policy, binding = name_of(bound.policy), name_of(bound.binding)
    actions = at(bound.binding, "spec", "validationActions") or ()
    if "Deny" in actions:
        outcome.deny(bound, denial.message, denial.reason)
    if "Audit" in actions:
        failure = {"message": denial.message, "policy": policy, "binding": binding}
        failure["expressionIndex"] = str(denial.expression)
        outcome.failures.append({**failure, "validationActions": list(actions)})
    if "Warn" in actions:
        by = f"ValidatingAdmissionPolicy '{policy}' with binding '{binding}'"
        admission.warn(f"Validation failed for {by}: {denial.message}")


async def _note(bound: Bound, scene: Scene, outcome: _Outcome) -> None:
    """The policy's own audit annotations."""
    if scene.variables.get("variables") is None:
        return
    budget = Budget(BUDGET)
    for annotation in bound.spec.get("auditAnnotations") or ():
        text = annotation.get("valueExpression", "")
        try:
            value = await value_of(text, bound, scene, budget, returns=("string", "null_type", "dyn"))
        except ExpressionFailed as failure:
            if not bound.fails_open:
                outcome.deny(bound, str(failure), "")
            continue
        if isinstance(value, str):
            if value.strip():
                key = f"{name_of(bound.policy)}/{annotation.get('key')}"
                values = outcome.annotations.setdefault(key, [])
                if value.strip() not in values:
                    values.append(value.strip()[:MAX_ANNOTATION])
        elif value is not None:
            told = f"valueExpression '{text}' resulted in unsupported return type"
            outcome.deny(bound, f"{told}. Return type must be either string or null.", "")


def _publish(admission: Admission, outcome: _Outcome) -> None:
    for key, values in outcome.annotations.items():
        admission.annotations[key] = ", ".join(values)
    if outcome.failures:
        admission.annotations[FAILURES] = orjson.dumps(outcome.failures).decode()


def _refusal(admission: Admission, bound: Bound, why: str, reason: str) -> StatusFault:
    policy, binding = name_of(bound.policy), name_of(bound.binding)
    message = f"ValidatingAdmissionPolicy '{policy}' with binding '{binding}' denied request: {why}"
    info, name, reason = admission.info, resource_name(admission), reason or "Invalid"
    worded = errors.forbidden(info.plural, info.group, name, message)
    causes = (Cause("", message),)
    details = Details(name, info.group, info.plural, causes=causes)
    return StatusFault(reason, worded.message, status=_CODES.get(reason, 422), details=details)
