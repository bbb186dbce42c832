"""Cluster roles that gather the rules of others, chosen by label.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#aggregated-clusterroles
"""

from __future__ import annotations

from collections.abc import Iterable

from ropewalk.kube.machinery.objects import Object, at, labels_of, name_of
from ropewalk.kube.machinery.selectors import label_selector_of


def is_aggregated(role: Object) -> bool:
    return bool(at(role, "aggregationRule", "clusterRoleSelectors"))


def aggregated_rules(role: Object, roles: Iterable[Object]) -> list[Object]:
    """The rules that `role`, which has an aggregationRule, should have: those of every other of `roles` that one of its
    selectors chooses, by name, each rule once.
    """
    others = sorted((other for other in roles if name_of(other) != name_of(role)), key=name_of)
    found: list[Object] = []
    for selector in at(role, "aggregationRule", "clusterRoleSelectors") or ():
        chosen = label_selector_of(selector)
        for other in others:
            if chosen.matches(labels_of(other)):
                found += [rule for rule in other.get("rules") or () if rule not in found]
    return found
