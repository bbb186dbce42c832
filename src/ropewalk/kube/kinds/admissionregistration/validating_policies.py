"""Validating admission policies and their bindings.
https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/

That the author may read what `paramKind` and `paramRef` name is asked elsewhere: these rules know no authorizer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

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
from ropewalk.kube.kinds.admissionregistration.rules import default_match_resources
from ropewalk.kube.kinds.conditions import validate_conditions
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at, name_of
from ropewalk.kube.machinery.strategy import ALL_METADATA, STATUS_ALONE, Strategy

SUPPORTED_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
ACTIONS = ("Audit", "Deny", "Warn")
MOST_ANNOTATIONS = 20
LONGEST_VALUE = 5 * 1024
LINE_BREAK = re.compile(r"[\n\r]+")


class ValidatingAdmissionPolicies(Strategy):
    has_status = True
    status_keeps = ALL_METADATA
    reset_fields = STATUS_ALONE
    has_generation = True
    allow_unconditional_update = False
    columns = policy_columns("Validations", "validations")

    def __init__(self, compiler: Compiler = anything) -> None:
        self._compiler = compiler

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("failurePolicy", "Fail")
        if spec.get("matchConstraints") is not None:
            default_match_resources(spec["matchConstraints"])

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        self._validate(obj, None, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self._validate(new, old.get("spec") or {}, errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        status = ROOT / "status"
        for index, warning in enumerate(at(new, "status", "typeChecking", "expressionWarnings") or ()):
            path = status / "typeChecking" / "expressionWarnings" / index
            for name in ("warning", "fieldRef"):
                if not warning.get(name, "").strip():
                    errors.required(path / name)
        validate_conditions(at(new, "status", "conditions") or (), status / "conditions", errors)

    def _validate(self, policy: Object, old: Object | None, errors: FieldErrors) -> None:
        spec, before = policy.get("spec") or {}, old or {}
        validate_common(spec, old, errors, self._compiler)
        stored = {rule.get("expression") for rule in before.get("validations") or ()}
        variables = validate_variables(spec, stored, errors, self._compiler)
        rules, annotations = spec.get("validations") or [], spec.get("auditAnnotations") or []
        if not rules and not annotations:
            needed = "validations or auditAnnotations must contain at least one item"
            errors.required(SPEC / "validations", needed)
            errors.required(SPEC / "auditAnnotations", needed)
            return
        has_params = spec.get("paramKind") is not None
        for index, rule in enumerate(rules):
            path = SPEC / "validations" / index
            body = rule.get("expression", "")
            if not body.strip():
                errors.required(path / "expression", "expression is not specified")
            else:
                expression = Expression(
                    body, Purpose.VALIDATION, has_params, variables=variables, is_stored=body in stored
                )
                compile_into(self._compiler, expression, path / "expression", errors)
            self._validate_message(rule, variables, has_params, path, errors)
        if len(annotations) > MOST_ANNOTATIONS:
            errors.invalid(
                SPEC / "auditAnnotations", annotations, f"must not have more than {MOST_ANNOTATIONS} auditAnnotations"
            )
        known = {one.get("valueExpression") for one in before.get("auditAnnotations") or ()}
        self._validate_annotations(policy, annotations, variables, known, errors)

    def _validate_message(
        self, rule: Object, variables: tuple[tuple[str, str], ...], has_params: bool, path: Path, errors: FieldErrors
    ) -> None:
        computed, message = rule.get("messageExpression", ""), rule.get("message", "")
        if computed and not computed.strip():
            errors.invalid(path / "messageExpression", computed, "must be non-empty if specified")
        elif computed:
            expression = Expression(computed, Purpose.MESSAGE, has_params, has_authorizer=False, variables=variables)
            compile_into(self._compiler, expression, path / "messageExpression", errors)
        if message and not message.strip():
            errors.invalid(path / "message", message, "must be non-empty if specified")
        elif LINE_BREAK.search(message.strip()):
            errors.invalid(path / "message", message, "must not contain line breaks")
        reason = rule.get("reason")
        if reason is not None and reason not in SUPPORTED_REASONS:
            errors.not_supported(path / "reason", reason, SUPPORTED_REASONS)

    def _validate_annotations(
        self,
        policy: Object,
        annotations: Sequence[Object],
        variables: tuple[tuple[str, str], ...],
        known: set[str],
        errors: FieldErrors,
    ) -> None:
        seen = set()
        for index, annotation in enumerate(annotations):
            path = SPEC / "auditAnnotations" / index
            key, body = annotation.get("key", ""), annotation.get("valueExpression", "")
            if name_of(policy):
                whole = f"{name_of(policy)}/{key}"
                errors.messages(path / "key", whole, names.qualified_name(whole))
            else:
                errors.invalid(path / "key", key, "requires metadata.name be non-empty")
            text = body.strip()
            if not text:
                errors.required(path / "valueExpression", "valueExpression is not specified")
            elif len(text.encode()) > LONGEST_VALUE:
                errors.required(path / "valueExpression", f"must not exceed {LONGEST_VALUE} bytes in length")
            else:
                expression = Expression(
                    text,
                    Purpose.AUDIT_ANNOTATION,
                    has_params=at(policy, "spec", "paramKind") is not None,
                    variables=variables,
                    is_stored=body in known,
                )
                compile_into(self._compiler, expression, path / "valueExpression", errors)
            if key in seen:
                errors.duplicate(path / "key", key)
            seen.add(key)


class ValidatingAdmissionPolicyBindings(Strategy):
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
        path = SPEC / "validationActions"
        actions = spec.get("validationActions") or []
        for index, action in enumerate(actions):
            if action not in ACTIONS:
                errors.not_supported(path / index, action, ACTIONS)
            if action in actions[:index]:
                errors.duplicate(path / index, action)
        if "Deny" in actions and "Warn" in actions:
            errors.invalid(
                path,
                actions,
                "must not contain both Deny and Warn (repeating the same validation failure information in the API"
                " response and headers serves no purpose)",
            )
        if not actions:
            errors.required(path, "at least one validation action is required")
