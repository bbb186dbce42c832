"""Roles and cluster roles: what may be done. Who may grant what is asked elsewhere (`kube.security`).
https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from ropewalk.kube.kinds.cells import CREATED_AT, NAME
from ropewalk.kube.machinery import names, selectors
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.strategy import Strategy

GROUP = "rbac.authorization.k8s.io"


class Roles(Strategy):
    allow_create_on_update = True
    columns = (NAME, CREATED_AT)

    def name_problems(self, name: str, *, prefix: bool) -> list[str]:
        return names.path_segment(name)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        for index, rule in enumerate(obj.get("rules") or ()):
            validate_rule(rule, ROOT / "rules" / index, errors, namespaced=True)


class ClusterRoles(Roles):
    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        for index, rule in enumerate(obj.get("rules") or ()):
            validate_rule(rule, ROOT / "rules" / index, errors, namespaced=False)
        aggregation = obj.get("aggregationRule")
        if aggregation is not None:
            _validate_aggregation(aggregation, ROOT / "aggregationRule" / "clusterRoleSelectors", errors)


def _validate_aggregation(aggregation: Object, path: Path, errors: FieldErrors) -> None:
    found = aggregation.get("clusterRoleSelectors") or []
    if not found:
        errors.required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil")
    for index, selector in enumerate(found):
        wrong = FieldErrors()
        selectors.validate_label_selector(selector, path / index, wrong)
        errors.causes += wrong.causes
        if wrong:
            errors.invalid(path / index, selector, "invalid label selector.")


def validate_rule(rule: Object, path: Path, errors: FieldErrors, *, namespaced: bool) -> None:
    if not rule.get("verbs"):
        errors.required(path / "verbs", "verbs must contain at least one value")
    urls = rule.get("nonResourceURLs")
    if urls:
        where = path / "nonResourceURLs"
        if namespaced:
            errors.invalid(where, urls, "namespaced rules cannot apply to non-resource URLs")
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            errors.invalid(where, urls, "rules cannot apply to both regular resources and non-resource URLs")
        return
    if not rule.get("apiGroups"):
        errors.required(path / "apiGroups", "resource rules must supply at least one api group")
    if not rule.get("resources"):
        errors.required(path / "resources", "resource rules must supply at least one resource")
