"""The group `rbac.authorization.k8s.io`."""

from __future__ import annotations

from ropewalk.kube.kinds.rbac.bindings import ClusterRoleBindings, RoleBindings
from ropewalk.kube.kinds.rbac.roles import ClusterRoles, Roles
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {
    "clusterrolebindings": ClusterRoleBindings(),
    "clusterroles": ClusterRoles(),
    "rolebindings": RoleBindings(),
    "roles": Roles(),
}
