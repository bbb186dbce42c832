"""Access reviews: questions about what somebody may do. Created, answered, never stored: the answers are
`ropewalk.kube.security`'s.
https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/
"""

from __future__ import annotations

from typing import ClassVar

from ropewalk.kube.machinery import errors, names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at, metadata, namespace_of
from ropewalk.kube.machinery.strategy import Strategy

SPEC = ROOT / "spec"
RESOURCE = Path("spec.resourceAttributes")


class SelfSubjectAccessReviews(Strategy):
    """May the caller?"""

    kept: ClassVar[frozenset[str]] = frozenset({"managedFields"})
    """All that metadata may hold."""
    complaint: ClassVar[str] = "must be empty"

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        resource, other = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
        if resource is not None and other is not None:
            errors.invalid(
                SPEC / "nonResourceAttributes", other, "cannot be specified in combination with resourceAttributes"
            )
        if resource is None and other is None:
            errors.invalid(
                SPEC / "resourceAttributes",
                None,
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
            )
        self.validate_subject(spec, errors)
        for name in ("fieldSelector", "labelSelector"):
            selector = (resource or {}).get(name)
            if selector is not None:
                _validate_selector(selector, RESOURCE / name, errors)
        if any(value for key, value in metadata(obj).items() if key not in self.kept):
            errors.invalid(ROOT / "metadata", metadata(obj), self.complaint)

    def validate_subject(self, spec: Object, errors: FieldErrors) -> None:
        """The caller is known."""


class SubjectAccessReviews(SelfSubjectAccessReviews):
    """May anybody?"""

    def validate_subject(self, spec: Object, errors: FieldErrors) -> None:
        if not spec.get("user") and not spec.get("groups"):
            errors.invalid(SPEC / "user", spec.get("user", ""), "at least one of user or group must be specified")


class LocalSubjectAccessReviews(SubjectAccessReviews):
    """May anybody, in this namespace?"""

    kept = frozenset({"managedFields", "namespace"})
    complaint = "must be empty except for namespace"

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        super().validate_create(obj, errors)
        spec = obj.get("spec") or {}
        resource = spec.get("resourceAttributes")
        if resource is not None and resource.get("namespace", "") != namespace_of(obj):
            errors.invalid(RESOURCE / "namespace", resource.get("namespace", ""), "must match metadata.namespace")
        if spec.get("nonResourceAttributes") is not None:
            errors.invalid(
                Path("spec.nonResourceAttributes"),
                spec["nonResourceAttributes"],
                "disallowed on this kind of request",
            )


class SelfSubjectRulesReviews(Strategy):
    """All that the caller may do in a namespace."""


def check_rules_review(review: Object) -> str:
    """The namespace asked about."""
    namespace = at(review, "spec", "namespace")
    if not namespace:
        raise errors.bad_request("no namespace on request")
    return str(namespace)


def _validate_selector(selector: Object, path: Path, errors: FieldErrors) -> None:
    raw, requirements = selector.get("rawSelector"), selector.get("requirements") or []
    if raw and requirements:
        errors.invalid(path / "rawSelector", raw, "may not specified at the same time as requirements")
    if not raw and not requirements:
        errors.required(path / "requirements", f"when {path} is specified, requirements or rawSelector is required")
    for index, requirement in enumerate(requirements):
        _validate_requirement(requirement, path / "requirements" / index, errors)


def _validate_requirement(requirement: Object, path: Path, errors: FieldErrors) -> None:
    """An operator that is not known is let through: a newer client may know it."""
    key, operator, values = requirement.get("key", ""), requirement.get("operator", ""), requirement.get("values")
    if operator in ("In", "NotIn") and not values:
        errors.required(path / "values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist") and values:
        errors.forbidden(path / "values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    if "labelSelector" in str(path):
        errors.messages(path / "key", key, names.qualified_name(key))
        for index, value in enumerate(values or ()):
            errors.messages(path / "values" / index, value, names.label_value(value))
    elif not key:
        errors.required(path / "key", "must be specified")
