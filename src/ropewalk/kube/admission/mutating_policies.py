"""MutatingAdmissionPolicy: changes in CEL, as JSON patches or as configurations that are merged in.
https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from ropewalk.kube.admission.apply_configuration import Unmergeable, check_types, merged, plain
from ropewalk.kube.admission.chain import Reinvocation
from ropewalk.kube.admission.expressions import ConditionFailed, Scene
from ropewalk.kube.admission.matching import Converter, relabelled
from ropewalk.kube.admission.plugin import forbidden
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
from ropewalk.kube.admission.webhooks import patched
from ropewalk.kube.machinery.access import Authorizer
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.cel.environment import BUDGET, Budget
from ropewalk.kube.machinery.cel.values import Message
from ropewalk.kube.machinery.objects import Json, Object, at, name_of, uid_of
from ropewalk.kube.machinery.resources import GroupResource, GroupVersionKind
from ropewalk.kube.machinery.schema import Schema

SchemaOf = Callable[[GroupVersionKind], "Schema | None"]
_OPERATIONS = {"op", "path", "from", "value"}


class MutatingAdmissionPolicy(PolicyPlugin):
    """`schema_of` gives the schema of a kind, by which configurations are merged; without one they are refused."""

    name: ClassVar[str] = "MutatingAdmissionPolicy"
    mutates: ClassVar[bool] = True
    operations: ClassVar[frozenset[str]] = frozenset({"CREATE", "UPDATE", "CONNECT"})
    policies: ClassVar[GroupResource] = GroupResource(GROUP, "mutatingadmissionpolicies")
    bindings: ClassVar[GroupResource] = GroupResource(GROUP, "mutatingadmissionpolicybindings")

    def __init__(
        self,
        api: Api,
        authorizer: Authorizer | None,
        *,
        schema_of: SchemaOf = lambda kind: None,
        convert: Converter = relabelled,
    ) -> None:
        super().__init__(api, authorizer, convert=convert)
        self._schema_of = schema_of

    async def mutate(self, admission: Admission) -> None:
        await self.mutate_noting(admission, Reinvocation())

    async def mutate_noting(self, admission: Admission, reinvocation: Reinvocation) -> None:
        if admission.object is None or await self.none_bound():
            return
        async for bound in self.bound(admission):
            try:
                for params in await self.params(admission, bound):
                    await self._apply(admission, bound, params, reinvocation)
            except (ConfigurationProblem, ConditionFailed, ExpressionFailed, Unmergeable) as problem:
                if not bound.fails_open:
                    by = f"policy '{name_of(bound.policy)}' with binding '{name_of(bound.binding)}'"
                    raise forbidden(admission, f"{by} denied request: {problem}") from None

    async def _apply(
        self, admission: Admission, bound: Bound, params: Object | None, reinvocation: Reinvocation
    ) -> None:
        key = f"{uid_of(bound.policy)}/{uid_of(bound.binding)}/{name_of(bound.policy)}/{name_of(bound.binding)}"
        key += f"/{uid_of(params)}" if params is not None else ""
        if admission.reinvocation and key not in reinvocation.required:
            return
        scene = await self.scene(admission, bound, params)
        if not await applies(bound, scene):
            return
        budget = Budget(BUDGET)
        before = self.seen(admission, admission.object, bound.info)
        now: Json = before
        for mutation in bound.spec.get("mutations") or ():
            scene.variables["object"] = now
            scene.variables["variables"] = Variables(bound, scene, budget, mutation=True)
            now = await self._mutated(now, mutation, bound, scene, budget)
        if now != before:
            admission.object = now if bound.info == admission.info else self._convert(now, admission.kind)
            reinvocation.object_changed()
        reinvocation.called(key, if_needed=bound.spec.get("reinvocationPolicy") == "IfNeeded")

    async def _mutated(self, obj: Json, mutation: Object, bound: Bound, scene: Scene, budget: Budget) -> Json:
        kind = mutation.get("patchType")
        if kind == "JSONPatch":
            text = at(mutation, "jsonPatch", "expression") or ""
            value = await value_of(text, bound, scene, budget, mutation=True)
            try:
                return patched(obj, _operations(value))
            except ValueError as error:
                raise ExpressionFailed(f"JSON Patch: {error}") from None
        if kind != "ApplyConfiguration":
            raise ConfigurationProblem(f"unsupported patch type {kind}")
        text = at(mutation, "applyConfiguration", "expression") or ""
        value = await value_of(text, bound, scene, budget, mutation=True)
        if not isinstance(value, Message):
            raise ExpressionFailed("unsupported return type from ApplyConfiguration expression")
        check_types(value)
        schema = self._schema_of(GroupVersionKind.of(obj.get("apiVersion", ""), obj.get("kind", "")))
        if schema is None:
            raise ExpressionFailed(f"no schema for {obj.get('apiVersion')}, Kind={obj.get('kind')}")
        return merged(obj, plain(value), schema)


def _operations(value: object) -> list[Object]:
    if not isinstance(value, list):
        raise ExpressionFailed("type mismatch: JSONPatchType.expression should evaluate to array")
    found: list[Object] = []
    for operation in value:
        if not isinstance(operation, Message) or operation.type_name != "JSONPatch" or operation.keys() - _OPERATIONS:
            raise ExpressionFailed("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch")
        found.append({key: plain(part) for key, part in operation.items()})
        if found[-1].get("op") in ("add", "replace", "test"):
            found[-1].setdefault("value", None)
    return found
