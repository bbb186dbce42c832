"""What ValidatingAdmissionPolicy and MutatingAdmissionPolicy share: which bindings are about a request, with which
parameters, and what their expressions see.
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import ClassVar

from ropewalk.kube.admission.expressions import OUT_OF_BUDGET, Scene, compiled, meets_conditions
from ropewalk.kube.admission.matching import CONFIGURATIONS, Converter, Matcher, relabelled
from ropewalk.kube.admission.plugin import Lookup, Plugin, ready
from ropewalk.kube.admission.review import request_of
from ropewalk.kube.machinery.access import Authorizer
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.cel.authorization import Checks
from ropewalk.kube.machinery.cel.environment import (
    MATCH_CONDITIONS_BUDGET,
    Budget,
    CompileError,
    evaluate,
)
from ropewalk.kube.machinery.cel.evaluator import Lazy
from ropewalk.kube.machinery.cel.values import CostExceeded, EvaluationError, Value
from ropewalk.kube.machinery.objects import Object, at, labels_of, name_of
from ropewalk.kube.machinery.resources import GroupResource, GroupVersionKind, ResourceInfo
from ropewalk.kube.machinery.selectors import label_selector_of

GROUP = "admissionregistration.k8s.io"


class ConfigurationProblem(Exception):
    """A policy or binding that cannot be followed; the text says why."""


class ExpressionFailed(Exception):
    """An expression gave no value; the text is Kubernetes'."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A policy as one binding applies it to a request."""

    policy: Object
    binding: Object
    info: ResourceInfo
    """The version that the rules name."""

    @property
    def spec(self) -> Object:
        found: Object = self.policy.get("spec") or {}
        return found

    @property
    def fails_open(self) -> bool:
        return bool(self.spec.get("failurePolicy", "Fail") == "Ignore")


class PolicyPlugin(Plugin):
    """`policies` and `bindings` say where the two kinds are."""

    subresources: ClassVar[frozenset[str] | None] = None
    policies: ClassVar[GroupResource]
    bindings: ClassVar[GroupResource]

    def __init__(self, api: Api, authorizer: Authorizer | None, *, convert: Converter = relabelled) -> None:
        self._api = api
        self._authorizer = authorizer
        self._convert = convert
        self._matcher = Matcher(api)
        self._bindings = Lookup(api, self.bindings)

    def concerns(self, info: ResourceInfo, subresource: str, operation: str) -> tuple[bool, bool]:
        wanted = info.group_resource not in CONFIGURATIONS
        return wanted and self.mutates, wanted and self.validates

    async def none_bound(self) -> bool:
        """No binding at all: the usual case, and a cheap one."""
        return not (await self._bindings()).all()

    async def bound(self, admission: Admission) -> AsyncIterator[Bound]:
        bindings = (await self._bindings()).all()
        policies = await ready(self._api, self.policies)
        for policy in policies.all():
            info = await self._matching(admission, at(policy, "spec", "matchConstraints") or {})
            if info is None:
                continue
            for binding in bindings:
                if at(binding, "spec", "policyName") != name_of(policy):
                    continue
                narrower = at(binding, "spec", "matchResources")
                if narrower is None or await self._narrowed(admission, narrower):
                    yield Bound(policy, binding, info)

    async def _matching(self, admission: Admission, resources: Object) -> ResourceInfo | None:
        info = self._matcher.matching_info(
            admission,
            resources.get("resourceRules") or (),
            resources.get("matchPolicy", "Equivalent"),
            resources.get("excludeResourceRules") or (),
        )
        return info if info is not None and await self._matcher.matches_selectors(admission, resources) else None

    async def _narrowed(self, admission: Admission, resources: Object) -> bool:
        """Of a binding: no rules at all means all that its policy is about."""
        if resources.get("resourceRules"):
            return await self._matching(admission, resources) is not None
        excluded = resources.get("excludeResourceRules") or ()
        policy = resources.get("matchPolicy", "Equivalent")
        if excluded and self._matcher.matching_info(admission, excluded, policy) is not None:
            return False
        return await self._matcher.matches_selectors(admission, resources)

    async def params(self, admission: Admission, bound: Bound) -> list[Object | None]:
        """[None] where the policy has none."""
        kind, reference = bound.spec.get("paramKind"), at(bound.binding, "spec", "paramRef")
        if kind is None or reference is None:
            return [None]
        info = self._param_info(kind)
        namespace = ""
        if info.namespaced:
            namespace = reference.get("namespace") or admission.namespace
            if not namespace:
                raise ConfigurationProblem(
                    "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
                )
        elif reference.get("namespace"):
            raise ConfigurationProblem("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        found: list[Object | None] = list(await self._referenced(info, namespace, reference))
        if not found and reference.get("parameterNotFoundAction") == "Deny":
            raise ConfigurationProblem("no params found for policy binding with `Deny` parameterNotFoundAction")
        return found

    def _param_info(self, kind: Object) -> ResourceInfo:
        wanted = GroupVersionKind.of(kind.get("apiVersion", ""), kind.get("kind", ""))
        found = next((info for info in self._api.infos() if info.gvk == wanted), None)
        if found is None:
            spelled = f"{wanted.api_version}, Kind={wanted.kind}"
            raise ConfigurationProblem(
                f"failed to configure policy: failed to find resource referenced by paramKind: '{spelled}'"
            )
        return found

    async def _referenced(self, info: ResourceInfo, namespace: str, reference: Object) -> list[Object]:
        cache = await ready(self._api, info.group_resource)
        name, selector = reference.get("name"), reference.get("selector")
        if name and selector is not None:
            raise ConfigurationProblem("paramRef.name and paramRef.selector are mutually exclusive")
        if name:
            found = cache.get(namespace, name)
            return [found] if found is not None else []
        if selector is None:
            raise ConfigurationProblem("one of name or selector must be provided")
        chosen = label_selector_of(selector)
        return [one for one in cache.all(namespace or None) if chosen.matches(labels_of(one))]

    async def scene(self, admission: Admission, bound: Bound, params: Object | None) -> Scene:
        scene = Scene(
            admission,
            self._authorizer,
            new=self.seen(admission, admission.object, bound.info),
            old=self.seen(admission, admission.old, bound.info),
            request=request_of(admission, bound.info),
            namespace=await self._matcher.namespace(admission),
        )
        scene.variables["params"] = params
        return scene

    def seen(self, admission: Admission, obj: Object | None, info: ResourceInfo) -> Object | None:
        """The object in the version that the rules name."""
        if obj is None or info == admission.info or admission.subresource:
            return obj
        return self._convert(obj, info.gvk)


async def applies(bound: Bound, scene: Scene) -> bool:
    """Whether the policy's match conditions hold. Raises `ConditionFailed`."""
    conditions = bound.spec.get("matchConditions")
    if not conditions:
        return True
    return await meets_conditions(conditions, scene, Budget(MATCH_CONDITIONS_BUDGET), params=_has_params(bound))


def _has_params(bound: Bound) -> bool:
    return bound.spec.get("paramKind") is not None


class Variables(Lazy):
    """`variables`: each worked out where it is first asked for, once; a failure is remembered as well."""

    __slots__ = ("_bound", "_budget", "_failed", "_scene", "_texts")

    def __init__(self, bound: Bound, scene: Scene, budget: Budget, *, mutation: bool) -> None:
        declared = bound.spec.get("variables") or ()
        super().__init__({variable["name"]: None for variable in declared})
        self._texts: dict[str, Value] = {
            variable["name"]: (variable["expression"], _has_params(bound), mutation) for variable in declared
        }
        self._scene = scene
        self._budget = budget
        self._failed: dict[str, str] = {}

    def resolve(self, key: str) -> Value:
        if key in self._failed:
            raise EvaluationError(self._failed[key])
        if key in self._texts:
            text, params, mutation = self._texts[key]
            try:
                program = compiled(text, params=params, variables=True, mutation=mutation)
                self[key] = program.evaluate(self._scene.variables, self._budget)
            except (CompileError, EvaluationError) as error:
                self._failed[key] = f"composited variable {key!r} fails to evaluate: {error}".replace("'", '"')
                raise EvaluationError(self._failed[key]) from None
            del self._texts[key]
        return self[key]


async def value_of(
    text: str,
    bound: Bound,
    scene: Scene,
    budget: Budget,
    *,
    returns: tuple[str, ...] = (),
    authorizer: bool = True,
    mutation: bool = False,
) -> Value:
    """The value of one of the policy's expressions. Raises `ExpressionFailed`."""
    checks: Checks | None = scene.checks
    try:
        program = compiled(
            text, returns, authorizer=authorizer, params=_has_params(bound), variables=True, mutation=mutation
        )
        return await evaluate(program, scene.variables, budget, checks)
    except CompileError as error:
        raise ExpressionFailed(f"compilation error: {error}") from None
    except EvaluationError as error:
        raise ExpressionFailed(f"expression '{text}' resulted in error: {error}") from None
    except CostExceeded:
        raise ExpressionFailed(OUT_OF_BUDGET) from None
