"""Which requests a webhook or policy is asked about: rules, and the resources that policies match.
https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#matching-requests-rules
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.machinery import names, selectors
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

FAILURE_POLICIES = ("Fail", "Ignore")
MATCH_POLICIES = ("Equivalent", "Exact")
REINVOCATION_POLICIES = ("IfNeeded", "Never")
SCOPES = ("*", "Cluster", "Namespaced")
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
MUTATING_OPERATIONS = ("*", "CONNECT", "CREATE", "UPDATE")


def default_rules(rules: Sequence[Object]) -> None:
    for rule in rules:
        rule.setdefault("scope", "*")


def default_match_resources(match: Object) -> None:
    match.setdefault("matchPolicy", "Equivalent")
    match.setdefault("namespaceSelector", {})
    match.setdefault("objectSelector", {})
    default_rules(match.get("resourceRules") or ())
    default_rules(match.get("excludeResourceRules") or ())


def validate_rule(rule: Object, path: Path, errors: FieldErrors) -> None:
    """With its operations."""
    operations = rule.get("operations") or []
    if not operations:
        errors.required(path / "operations")
    _alone("*", operations, "operations", path / "operations", errors)
    for index, operation in enumerate(operations):
        if operation not in OPERATIONS:
            errors.not_supported(path / "operations" / index, operation, OPERATIONS)
    groups, versions = rule.get("apiGroups") or [], rule.get("apiVersions") or []
    if not groups:
        errors.required(path / "apiGroups")
    _alone("*", groups, "API groups", path / "apiGroups", errors)
    if not versions:
        errors.required(path / "apiVersions")
    _alone("*", versions, "API versions", path / "apiVersions", errors)
    for index, version in enumerate(versions):
        if not version:
            errors.required(path / "apiVersions" / index)
    _validate_resources(rule.get("resources") or [], path / "resources", errors)
    scope = rule.get("scope")
    if scope is not None and scope not in SCOPES:
        errors.not_supported(path / "scope", scope, SCOPES)


def _alone(word: str, words: Sequence[str], called: str, path: Path, errors: FieldErrors) -> None:
    if len(words) > 1 and word in words:
        errors.invalid(path, words, f"if '{word}' is present, must not specify other {called}")


def _validate_resources(resources: Sequence[str], path: Path, errors: FieldErrors) -> None:
    if not resources:
        errors.required(path)
    all_of_resource, all_of_subresource = set(), set()
    plain = False
    for index, resource in enumerate(resources):
        if not resource:
            errors.required(path / index)
            continue
        whole, slash, part = resource.partition("/")
        if not slash:
            plain = resource != "*"
            continue
        if whole in all_of_resource:
            errors.invalid(path / index, resource, f"if '{whole}/*' is present, must not specify {resource}")
        if part in all_of_subresource:
            errors.invalid(path / index, resource, f"if '*/{part}' is present, must not specify {resource}")
        if part == "*":
            all_of_resource.add(whole)
        if whole == "*":
            all_of_subresource.add(part)
    _alone("*/*", resources, "resources", path, errors)
    if plain and "*" in resources:
        errors.invalid(path, resources, "if '*' is present, must not specify other resources without subresources")


def validate_match_resources(match: Object, path: Path, errors: FieldErrors) -> None:
    policy = match.get("matchPolicy")
    if policy is None:
        errors.required(path / "matchPolicy")
    elif policy not in MATCH_POLICIES:
        errors.not_supported(path / "matchPolicy", policy, MATCH_POLICIES)
    for name in ("namespaceSelector", "objectSelector"):
        if match.get(name) is None:
            errors.required(path / name)
        else:
            selectors.validate_label_selector(match[name], path / name, errors)
    for name in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(match.get(name) or ()):
            _validate_named(rule.get("resourceNames") or [], path / name / index / "resourceNames", errors)
            validate_rule(rule, path / name / index, errors)


def _validate_named(resource_names: Sequence[str], path: Path, errors: FieldErrors) -> None:
    for index, name in enumerate(resource_names):
        errors.messages(path / index, name, names.path_segment(name))
        if name in resource_names[:index]:
            errors.duplicate(path / index, name)


def validate_mutable(match: Object, path: Path, errors: FieldErrors) -> None:
    """What is deleted cannot be mutated."""
    for rule in match.get("resourceRules") or ():
        for operation in rule.get("operations") or ():
            if operation not in MUTATING_OPERATIONS:
                errors.not_supported(path / "resourceRules" / "operations", operation, MUTATING_OPERATIONS)
