"""Mutating admission policies and their bindings, as of v1beta1.
https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
"""

from __future__ import annotations

from ropewalk.kube.kinds.admissionregistration.expressions import (
    Compiler,
    Expression,
    Purpose,
    anything,
    compile_into,
)
from ropewalk.kube.kinds.admissionregistration.policy_rules import (
    BINDING_COLUMNS,
    SPEC,
    policy_columns,
    validate_binding,
    validate_common,
    validate_variables,
)
from ropewalk.kube.kinds.admissionregistration.rules import (
    REINVOCATION_POLICIES,
    default_match_resources,
    validate_mutable,
)
from ropewalk.kube.kinds.checks import one_of
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.strategy import Strategy

PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}
"""Types of patches, and the fields that hold them."""
PURPOSES = {"ApplyConfiguration": Purpose.APPLY_CONFIGURATION, "JSONPatch": Purpose.JSON_PATCH}


class MutatingAdmissionPolicies(Strategy):
    has_generation = True
    allow_unconditional_update = False
    columns = policy_columns("Mutations", "mutations")

    def __init__(self, compiler: Compiler = anything) -> None:
        self._compiler = compiler

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("failurePolicy", "Fail")
        spec["reinvocationPolicy"] = spec.get("reinvocationPolicy") or "Never"
        if spec.get("matchConstraints") is not None:
            default_match_resources(spec["matchConstraints"])

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        self._validate(obj.get("spec") or {}, None, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self._validate(new.get("spec") or {}, old.get("spec") or {}, errors)

    def _validate(self, spec: Object, old: Object | None, errors: FieldErrors) -> None:
        validate_common(spec, old, errors, self._compiler)
        validate_mutable(spec.get("matchConstraints") or {}, SPEC / "matchConstraints", errors)
        stored = {
            at(mutation, field, "expression")
            for mutation in (old or {}).get("mutations") or ()
            for field in PATCHES.values()
        }
        variables = validate_variables(spec, set(), errors, self._compiler)
        if not spec.get("mutations"):
            errors.required(SPEC / "mutations", "mutations must contain at least one item")
        for index, mutation in enumerate(spec.get("mutations") or ()):
            has_params = spec.get("paramKind") is not None
            self._validate_mutation(mutation, variables, has_params, stored, SPEC / "mutations" / index, errors)
        one_of(spec.get("reinvocationPolicy"), REINVOCATION_POLICIES, SPEC / "reinvocationPolicy", errors)

    def _validate_mutation(
        self,
        mutation: Object,
        variables: tuple[tuple[str, str], ...],
        has_params: bool,
        stored: set[str],
        path: Path,
        errors: FieldErrors,
    ) -> None:
        kind = mutation.get("patchType", "")
        if kind not in PATCHES:
            one_of(kind, PATCHES, path / "patchType", errors)
            return
        field = PATCHES[kind]
        (other,) = set(PATCHES.values()) - {field}
        if mutation.get(field) is None:
            errors.required(path / field, f"must be specified when patchType is {kind}")
        else:
            body = mutation[field].get("expression", "")
            if not body.strip():
                errors.required(path / field / "expression")
            else:
                expression = Expression(
                    body.strip(), PURPOSES[kind], has_params, variables=variables, is_stored=body in stored
                )
                compile_into(self._compiler, expression, path / field / "expression", errors)
        if mutation.get(other) is not None:
            errors.invalid(path / other, f"{{{other}}}", f"must not be specified when patchType is {kind}")


class MutatingAdmissionPolicyBindings(Strategy):
    has_generation = True
    allow_unconditional_update = False
    columns = BINDING_COLUMNS

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if spec.get("matchResources") is not None:
            default_match_resources(spec["matchResources"])

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        validate_binding(spec, errors)
        validate_mutable(spec.get("matchResources") or {}, SPEC / "matchResources", errors)
