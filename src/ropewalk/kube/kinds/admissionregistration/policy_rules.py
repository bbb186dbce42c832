"""What validating and mutating admission policies and their bindings have in common.
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

from ropewalk.kube.kinds.admissionregistration.expressions import (
    Compiler,
    Expression,
    Purpose,
    compile_into,
    is_identifier,
    validate_match_conditions,
)
from ropewalk.kube.kinds.admissionregistration.rules import FAILURE_POLICIES, validate_match_resources
from ropewalk.kube.kinds.cells import AGE, NAME, text
from ropewalk.kube.kinds.checks import same
from ropewalk.kube.machinery import names, selectors
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.strategy import Column

SPEC = ROOT / "spec"
NOT_FOUND_ACTIONS = ("Deny", "Allow")


def _param_kind(policy: Object) -> str:
    kind = at(policy, "spec", "paramKind")
    return "<unset>" if kind is None else f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"


def _param_ref(binding: Object) -> str:
    reference = at(binding, "spec", "paramRef") or {}
    if reference.get("name"):
        return f"{reference.get('namespace') or '*'}/{reference['name']}"
    if reference.get("selector") is not None:
        return _struct_text(reference["selector"])
    return "<unset>"


def _struct_text(selector: Object) -> str:
    """A LabelSelector as Go prints the structure."""
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{one.get('key', '')},Operator:{one.get('operator', '')},"
        f"Values:[{' '.join(one.get('values') or ())}],}},"
        for one in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )


def policy_columns(counted: str, name: str) -> tuple[Column, ...]:
    return (
        NAME,
        Column(counted, lambda obj, now: len(at(obj, "spec", name) or ()), type="integer"),
        text("ParamKind", _param_kind),
        AGE,
    )


BINDING_COLUMNS = (
    NAME,
    text("PolicyName", lambda obj: at(obj, "spec", "policyName") or ""),
    text("ParamRef", _param_ref),
    AGE,
)


def validate_common(spec: Object, old: Object | None, errors: FieldErrors, compiler: Compiler) -> None:
    """Failure policy, parameters, and what is matched."""
    failure = spec.get("failurePolicy")
    if failure is None:
        errors.required(SPEC / "failurePolicy")
    elif failure not in FAILURE_POLICIES:
        errors.not_supported(SPEC / "failurePolicy", failure, FAILURE_POLICIES)
    kind = spec.get("paramKind")
    if kind is not None:
        _validate_param_kind(kind, SPEC / "paramKind", errors)
    match = spec.get("matchConstraints")
    if match is None:
        errors.required(SPEC / "matchConstraints")
    else:
        validate_match_resources(match, SPEC / "matchConstraints", errors)
        if not match.get("resourceRules"):
            errors.required(SPEC / "matchConstraints" / "resourceRules")
    conditions = spec.get("matchConditions") or []
    before = (old or {}).get("matchConditions") or []
    if old is None or not same(conditions, before) or not same(kind, old.get("paramKind")):
        path = SPEC / "matchConditions"
        validate_match_conditions(conditions, before, path, errors, compiler, has_params=kind is not None)


def _validate_param_kind(kind: Object, path: Path, errors: FieldErrors) -> None:
    version = kind.get("apiVersion", "")
    here = path / "apiVersion"
    group, _, number = version.rpartition("/")
    if not version:
        errors.required(here)
    elif version.count("/") > 1:
        errors.invalid(here, version, f"unexpected GroupVersion string: {version}")
    else:
        problems = names.dns1123_subdomain(group) if group else []
        if problems:
            errors.invalid(here, group, ",".join(problems))
        if not number:
            errors.invalid(here, version, "version must be specified")
        elif problems := names.dns1035_label(number):
            errors.invalid(here, number, ",".join(problems))
    name = kind.get("kind", "")
    if not name:
        errors.required(path / "kind")
    elif problems := names.dns1035_label(name.lower()):
        errors.invalid(path / "kind", name, "may have mixed case, but should otherwise match: " + ",".join(problems))


def validate_variables(
    spec: Object, stored: set[str], errors: FieldErrors, compiler: Compiler
) -> tuple[tuple[str, str], ...]:
    """Those that may be spoken of in what follows."""
    known: list[tuple[str, str]] = []
    for index, variable in enumerate(spec.get("variables") or ()):
        path = SPEC / "variables" / index
        name, body = variable.get("name", ""), variable.get("expression", "")
        if not name.strip():
            errors.required(path / "name", "name is not specified")
        elif not is_identifier(name):
            errors.invalid(path / "name", name, "must be a valid CEL identifier")
        if not body.strip():
            errors.required(path / "expression", "expression is not specified")
            continue
        expression = Expression(
            body,
            Purpose.VARIABLE,
            has_params=spec.get("paramKind") is not None,
            variables=tuple(known),
            is_stored=body in stored,
        )
        compile_into(compiler, expression, path / "expression", errors)
        known.append((name, body))
    return tuple(known)


def validate_binding(spec: Object, errors: FieldErrors) -> None:
    policy = spec.get("policyName", "")
    if not policy:
        errors.required(SPEC / "policyName")
    else:
        errors.messages(SPEC / "policyName", policy, names.dns1123_subdomain(policy))
    if spec.get("paramRef") is not None:
        _validate_param_ref(spec["paramRef"], SPEC / "paramRef", errors)
    if spec.get("matchResources") is not None:
        validate_match_resources(spec["matchResources"], SPEC / "matchResources", errors)


def _validate_param_ref(reference: Object, path: Path, errors: FieldErrors) -> None:
    name, selector = reference.get("name", ""), reference.get("selector")
    if name:
        errors.messages(path / "name", name, names.path_segment(name))
        if selector is not None:
            errors.forbidden(path / "name", "name and selector are mutually exclusive")
    if selector is not None:
        selectors.validate_label_selector(selector, path / "selector", errors)
        if name:
            errors.forbidden(path / "selector", "name and selector are mutually exclusive")
    if not name and selector is None:
        errors.required(path, "one of name or selector must be specified")
    action = reference.get("parameterNotFoundAction")
    if not action:
        errors.required(path / "parameterNotFoundAction")
    elif action not in NOT_FOUND_ACTIONS:
        errors.not_supported(path / "parameterNotFoundAction", action, NOT_FOUND_ACTIONS)
