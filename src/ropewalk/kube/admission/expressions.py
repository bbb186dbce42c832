"""The expressions of webhooks and policies: what they may mention, compiled once and kept.
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/#validation-expression
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from ropewalk.kube.machinery.access import Authorizer
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.cel.authorization import AuthorizerValue, Checks, ResourceCheck
from ropewalk.kube.machinery.cel.environment import Budget, CompileError, Environment, Program, evaluate
from ropewalk.kube.machinery.cel.values import CostExceeded, EvaluationError, Value
from ropewalk.kube.machinery.objects import Object

OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
_AUTHORIZERS = {"authorizer": "Authorizer", "authorizer.requestResource": "ResourceCheck"}


@functools.cache
def environment(*, authorizer: bool, params: bool, variables: bool, mutation: bool) -> Environment:
    names = dict.fromkeys(("object", "oldObject", "request", "namespaceObject"), "dyn")
    if params:
        names["params"] = "dyn"
    if variables:
        names["variables"] = "dyn"
    if authorizer:
        names.update(_AUTHORIZERS)
    return Environment(names, messages=("JSONPatch", "Object") if mutation else ())


@functools.lru_cache(maxsize=5_000)
def compiled(
    text: str,
    returns: Sequence[str] = (),
    *,
    authorizer: bool = True,
    params: bool = False,
    variables: bool = False,
    mutation: bool = False,
) -> Program:
    """Raises `CompileError`. `returns` must be a tuple. What is made of variables has a type only at run time."""
    if returns and variables and "variables." in text:
        returns = (*returns, "dyn")
    known = environment(authorizer=authorizer, params=params, variables=variables, mutation=mutation)
    return known.compile(text, returns)


class Scene:
    """What the names of expressions mean for one request, and who answers their authorization checks."""

    __slots__ = ("checks", "variables")

    def __init__(
        self,
        admission: Admission,
        authorizer: Authorizer | None,
        *,
        new: Object | None,
        old: Object | None,
        request: Object,
        namespace: Object | None,
    ) -> None:
        self.checks = Checks(authorizer) if authorizer is not None else None
        self.variables: dict[str, Value] = {
            "object": new,
            "oldObject": old,
            "request": request,
            "namespaceObject": _visible(namespace),
        }
        if self.checks is not None:
            who = AuthorizerValue(admission.user, self.checks)
            self.variables["authorizer"] = who
            self.variables["authorizer.requestResource"] = ResourceCheck(
                who,
                admission.info.group,
                admission.info.plural,
                admission.subresource,
                admission.namespace,
                admission.name,
            )

    async def evaluate(self, program: Program, budget: Budget) -> Value:
        return await evaluate(program, self.variables, budget, self.checks)


_SHOWN = (
    *("annotations", "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "finalizers"),
    *("generateName", "generation", "labels", "name", "namespace", "resourceVersion", "selfLink", "uid"),
)


def _visible(namespace: Object | None) -> Object | None:
    """A namespace without the parts that are nobody's business: owners, managers."""
    if namespace is None:
        return None
    about = namespace.get("metadata") or {}
    return {**namespace, "metadata": {key: about[key] for key in _SHOWN if key in about}}


class ConditionFailed(Exception):
    """A match condition could not be evaluated; the message is Kubernetes'."""


async def meets_conditions(conditions: Sequence[Object], scene: Scene, budget: Budget, *, params: bool = False) -> bool:
    """False beats every error; raises `ConditionFailed` where some failed and none is false."""
    problems: list[str] = []
    for condition in conditions:
        text = condition.get("expression", "")
        try:
            program = compiled(text, ("bool",), params=params)
            verdict = await scene.evaluate(program, budget)
        except CompileError as error:
            problems.append(f"match condition '{condition.get('name')}' compilation error: {error}")
        except EvaluationError as error:
            problems.append(f"expression '{text}' resulted in error: {error}")
        except CostExceeded:
            problems.append(OUT_OF_BUDGET)
            break
        else:
            if verdict is not True:
                return False
    if problems:
        raise ConditionFailed(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return True
