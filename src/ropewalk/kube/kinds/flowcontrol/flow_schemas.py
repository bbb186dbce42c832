"""Flow schemas: which requests go to which priority level.
https://kubernetes.io/docs/concepts/cluster-administration/flow-control/
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.kinds.cells import AGE, NAME, field, text
from ropewalk.kube.kinds.checks import same
from ropewalk.kube.kinds.flowcontrol.bootstrap import MANDATORY_SPECS
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at, name_of
from ropewalk.kube.machinery.strategy import ALL_METADATA, STATUS_ALONE, Column, Strategy

SPEC = ROOT / "spec"
LAST = 10000
_METHOD = "flowcontrol.v1.FlowDistinguisherMethod"
METHODS = ("ByNamespace", "ByUser")
VERBS = frozenset(["get", "list", "create", "update", "delete", "deletecollection", "patch", "watch", "proxy"])
SUBJECTS = {"ServiceAccount": "serviceAccount", "User": "user", "Group": "group"}


def _is_dangling(obj: Object) -> str:
    return next(
        (one.get("status", "") for one in at(obj, "status", "conditions") or () if one.get("type") == "Dangling"), "?"
    )


class FlowSchemas(Strategy):
    has_status = True
    status_keeps = ALL_METADATA
    reset_fields = STATUS_ALONE
    has_generation = True
    columns = (
        NAME,
        field("PriorityLevel", "spec", "priorityLevelConfiguration", "name"),
        Column("MatchingPrecedence", lambda obj, now: at(obj, "spec", "matchingPrecedence") or 0),
        field("DistinguisherMethod", "spec", "distinguisherMethod", "type", none="<none>"),
        AGE,
        text("MissingPL", _is_dangling),
    )

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec["matchingPrecedence"] = spec.get("matchingPrecedence") or 1000

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        name, spec = name_of(obj), obj.get("spec") or {}
        precedence = spec.get("matchingPrecedence", 0)
        path = SPEC / "matchingPrecedence"
        if precedence <= 0:
            errors.invalid(path, precedence, "must be a positive value")
        if precedence > LAST:
            errors.invalid(path, precedence, f"must not be greater than {LAST}")
        if precedence == 1 and name != "exempt":
            errors.invalid(path, precedence, "only the schema named 'exempt' may have matchingPrecedence 1")
        method = spec.get("distinguisherMethod")
        if method is not None and method.get("type") not in METHODS:
            errors.not_supported(SPEC / "distinguisherMethod" / "type", go_printed(method, _METHOD), METHODS)
        level = at(spec, "priorityLevelConfiguration", "name")
        path = SPEC / "priorityLevelConfiguration" / "name"
        if level:
            errors.messages(path, level, names.dns1123_subdomain(level))
        else:
            errors.required(path, "must reference a priority level")
        for index, rule in enumerate(spec.get("rules") or ()):
            _validate_rule(rule, SPEC / "rules" / index, errors)
        fixed = MANDATORY_SPECS.get(("FlowSchema", name))
        if fixed is not None and not same(spec, fixed):
            told = f"spec of '{name}' must equal the fixed value"
            errors.invalid(SPEC, go_printed(spec, "flowcontrol.v1.FlowSchemaSpec"), told)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        validate_condition_types(new, errors)


def validate_condition_types(obj: Object, errors: FieldErrors) -> None:
    seen = set()
    for index, condition in enumerate(at(obj, "status", "conditions") or ()):
        path = ROOT / "status" / "conditions" / index / "type"
        kind = condition.get("type", "")
        if kind in seen:
            errors.duplicate(path, kind)
        seen.add(kind)
        if not kind:
            errors.required(path)


def _validate_rule(rule: Object, path: Path, errors: FieldErrors) -> None:
    for index, subject in enumerate(rule.get("subjects") or ()):
        _validate_subject(subject, path / "subjects" / index, errors)
    if not rule.get("subjects"):
        errors.required(path / "subjects", "subjects must contain at least one value")
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        errors.required(path, "at least one of resourceRules and nonResourceRules has to be non-empty")
    for index, one in enumerate(rule.get("resourceRules") or ()):
        _validate_resources(one, path / "resourceRules" / index, errors)
    for index, one in enumerate(rule.get("nonResourceRules") or ()):
        _validate_urls(one, path / "nonResourceRules" / index, errors)


def _validate_subject(subject: Object, path: Path, errors: FieldErrors) -> None:
    kind = subject.get("kind", "")
    field = SUBJECTS.get(kind)
    if field is None:
        errors.not_supported(path / "kind", kind, sorted(SUBJECTS))
        return
    if subject.get(field) is None:
        errors.required(path / field, f"{field} is required when subject kind is '{kind}'")
    else:
        _validate_named(subject[field], kind, path / field, errors)
    for other, name in SUBJECTS.items():
        if name != field and subject.get(name) is not None:
            errors.forbidden(path / name, f"{name} is forbidden when subject kind is not '{other}'")


def _validate_named(named: Object, kind: str, path: Path, errors: FieldErrors) -> None:
    name, namespace = named.get("name", ""), named.get("namespace", "")
    if not name:
        errors.required(path / "name")
    elif kind == "ServiceAccount" and name != "*":
        errors.messages(path / "name", name, names.dns1123_subdomain(name))
    if kind != "ServiceAccount":
        return
    if namespace:
        errors.messages(path / "namespace", namespace, names.dns1123_label(namespace))
    else:
        errors.required(path / "namespace", "must specify namespace for service account")


def _validate_verbs(verbs: Sequence[str], path: Path, errors: FieldErrors) -> None:
    if not verbs:
        errors.required(path, "verbs must contain at least one value")
    elif "*" in verbs:
        _alone(verbs, "verbs", path, errors)
    elif not VERBS.issuperset(verbs):
        errors.not_supported(path, verbs, sorted(VERBS))


def _alone(words: Sequence[str], called: str, path: Path, errors: FieldErrors) -> None:
    if len(words) > 1 and "*" in words:
        errors.invalid(path, words, f"if '*' is present, must not specify other {called}")


def _validate_resources(rule: Object, path: Path, errors: FieldErrors) -> None:
    _validate_verbs(rule.get("verbs") or [], path / "verbs", errors)
    for name, one, called in (("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")):
        if not rule.get(name):
            errors.required(path / name, f"resource rules must supply at least one {one}")
        else:
            _alone(rule[name], called, path / name, errors)
    namespaces = rule.get("namespaces") or []
    if not namespaces and not rule.get("clusterScope"):
        errors.required(
            path / "namespaces", "resource rules that are not cluster scoped must supply at least one namespace"
        )
    elif "*" in namespaces:
        _alone(namespaces, "namespaces", path / "namespaces", errors)
    else:
        for index, namespace in enumerate(namespaces):
            problems = names.dns1123_label(namespace)
            told = [f"each member of this list must be '*' or a DNS-1123 label; {found}" for found in problems]
            errors.messages(path / "namespaces" / index, namespace, told)


def _validate_urls(rule: Object, path: Path, errors: FieldErrors) -> None:
    _validate_verbs(rule.get("verbs") or [], path / "verbs", errors)
    path = path / "nonResourceURLs"
    urls = rule.get("nonResourceURLs") or []
    if not urls:
        errors.required(path, "nonResourceURLs must contain at least one value")
    elif "*" in urls:
        _alone(urls, "non-resource URLs", path, errors)
    else:
        for index, url in enumerate(urls):
            complaint = _url_problem(url)
            if complaint:
                errors.invalid(path / index, url, complaint)


def _url_problem(url: str) -> str:
    if not url:
        return "must not be empty"
    if url == "/":
        return ""
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    if url.count("*") > 1 or ("*" in url and not url.endswith("/*")):
        return "wildcard can only do suffix matching"
    return ""
