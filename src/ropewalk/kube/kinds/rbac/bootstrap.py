"""The RBAC objects of a fresh cluster, and what to write so that a cluster has them.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#auto-reconciliation

Pure: `objects()` says what there should be; `reconcile` compares one of them with what is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ropewalk.kube.kinds.checks import same
from ropewalk.kube.kinds.rbac.bootstrap_controllers import CONTROLLER_ROLES
from ropewalk.kube.kinds.rbac.bootstrap_roles import AGGREGATED, CLUSTER_ROLES
from ropewalk.kube.kinds.rbac.rules import EVENTS, READ, Rules, may, uncovered
from ropewalk.kube.machinery.objects import Object, annotations_of, copied, labels_of

GROUP = "rbac.authorization.k8s.io"
AUTO_UPDATE = "rbac.authorization.kubernetes.io/autoupdate"
AGGREGATE_TO = f"{GROUP}/aggregate-to-"
CONTROLLER = "system:controller:"
SYSTEM = "kube-system"
PUBLIC = "kube-public"

BINDINGS: dict[str, str] = {
    "cluster-admin": "group:system:masters",
    "system:basic-user": "group:system:authenticated",
    "system:discovery": "group:system:authenticated",
    "system:kube-controller-manager": "user:system:kube-controller-manager",
    "system:kube-dns": "account:kube-dns",
    "system:kube-scheduler": "user:system:kube-scheduler",
    "system:monitoring": "group:system:monitoring",
    "system:node": "",
    "system:node-proxier": "user:system:kube-proxy",
    "system:public-info-viewer": "group:system:authenticated group:system:unauthenticated",
    "system:service-account-issuer-discovery": "group:system:serviceaccounts",
    "system:volume-scheduler": "user:system:kube-scheduler",
}
"""Cluster roles that are bound, each by a binding of its own name. Accounts are those of kube-system. Nobody is bound
to `system:node` any more: the node authorizer took its place.
"""

_LEASES: Rules = (
    may("create get list update watch", "leases", groups="coordination.k8s.io"),
    may("create get list update watch", "leasecandidates", groups="coordination.k8s.io"),
)
ROLES: dict[tuple[str, str], Rules] = {
    (PUBLIC, f"{CONTROLLER}bootstrap-signer"): (
        may(READ, "configmaps"),
        may("update", "configmaps", names="cluster-info"),
        EVENTS,
    ),
    (SYSTEM, "extension-apiserver-authentication-reader"): (
        may(READ, "configmaps", names="extension-apiserver-authentication"),
    ),
    (SYSTEM, "system::leader-locking-kube-controller-manager"): _LEASES,
    (SYSTEM, "system::leader-locking-kube-scheduler"): _LEASES,
    (SYSTEM, f"{CONTROLLER}bootstrap-signer"): (may(READ, "secrets"),),
    (SYSTEM, f"{CONTROLLER}cloud-provider"): (may("create get list watch", "configmaps"),),
    (SYSTEM, f"{CONTROLLER}token-cleaner"): (may("delete get list watch", "secrets"), EVENTS),
}
ROLE_BINDINGS: dict[tuple[str, str], tuple[str, str]] = {
    (PUBLIC, f"{CONTROLLER}bootstrap-signer"): (f"{CONTROLLER}bootstrap-signer", "account:bootstrap-signer"),
    (SYSTEM, "system::extension-apiserver-authentication-reader"): (
        "extension-apiserver-authentication-reader",
        "user:system:kube-controller-manager user:system:kube-scheduler",
    ),
    (SYSTEM, "system::leader-locking-kube-controller-manager"): (
        "system::leader-locking-kube-controller-manager",
        "user:system:kube-controller-manager account:kube-controller-manager account:leader-election-controller",
    ),
    (SYSTEM, "system::leader-locking-kube-scheduler"): (
        "system::leader-locking-kube-scheduler",
        "user:system:kube-scheduler account:kube-scheduler",
    ),
    (SYSTEM, f"{CONTROLLER}bootstrap-signer"): (f"{CONTROLLER}bootstrap-signer", "account:bootstrap-signer"),
    (SYSTEM, f"{CONTROLLER}cloud-provider"): (f"{CONTROLLER}cloud-provider", "account:cloud-provider"),
    (SYSTEM, f"{CONTROLLER}token-cleaner"): (f"{CONTROLLER}token-cleaner", "account:token-cleaner"),
}
"""(namespace, name) → the role and who is bound to it."""


def objects() -> list[Object]:
    """All of them: cluster roles, their bindings, roles, role bindings, in the order in which to write them."""
    made = [_role("ClusterRole", name, rules) for name, rules in CLUSTER_ROLES.items()]
    made += [_role("ClusterRole", CONTROLLER + name, rules) for name, rules in CONTROLLER_ROLES.items()]
    made += [_binding("ClusterRole", name, name, subjects) for name, subjects in BINDINGS.items()]
    made += [
        _binding("ClusterRole", CONTROLLER + name, CONTROLLER + name, f"account:{name}") for name in CONTROLLER_ROLES
    ]
    made += [_role("Role", name, rules, namespace) for (namespace, name), rules in ROLES.items()]
    made += [
        _binding("Role", name, role, subjects, namespace)
        for (namespace, name), (role, subjects) in ROLE_BINDINGS.items()
    ]
    return made


class Step(Enum):
    NONE = "none"
    CREATE = "create"
    UPDATE = "update"
    RECREATE = "recreate"
    """Delete, then create: what a binding refers to cannot change."""


@dataclass(frozen=True, slots=True)
class Change:
    step: Step
    object: Object


def reconcile(desired: Object, present: Object | None) -> Change:
    """Permissions, subjects, labels and annotations that are missing are added; what was added by others stays. An
    object annotated `rbac.authorization.kubernetes.io/autoupdate: "false"` is left alone.
    """
    if present is None:
        return Change(Step.CREATE, copied(desired))
    if annotations_of(present).get(AUTO_UPDATE) == "false":
        return Change(Step.NONE, present)
    if not same(desired.get("roleRef"), present.get("roleRef")):
        return Change(Step.RECREATE, copied(desired))
    revised: Object = copied(present)
    for name, found in (("labels", labels_of), ("annotations", annotations_of)):
        revised["metadata"][name] = {**found(desired), **found(present)}
    if "roleRef" in desired:
        subjects = present.get("subjects") or []
        missing = [subject for subject in desired.get("subjects") or () if subject not in subjects]
        if missing:
            revised["subjects"] = copied(subjects + missing)
    else:
        missing = uncovered(present.get("rules") or (), desired.get("rules") or ())
        if missing:
            revised["rules"] = copied(present.get("rules") or []) + missing
        _reconcile_aggregation(revised, desired, present)
    return Change(Step.NONE if same(revised, present) else Step.UPDATE, revised)


def _reconcile_aggregation(revised: Object, desired: Object, present: Object) -> None:
    wanted = (desired.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
    known = (present.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
    missing = [selector for selector in wanted if not any(same(selector, one) for one in known)]
    if "aggregationRule" not in desired:
        revised.pop("aggregationRule", None)
    elif missing:
        revised["aggregationRule"] = {"clusterRoleSelectors": copied(known + missing)}


def _metadata(name: str, namespace: str) -> Object:
    made: Object = {
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {AUTO_UPDATE: "true"},
    }
    return {**made, "namespace": namespace} if namespace else made


def _role(kind: str, name: str, rules: Rules, namespace: str = "") -> Object:
    role: Object = {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": _metadata(name, namespace),
        "rules": copied(list(rules)),
    }
    if name in AGGREGATED:
        role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": {AGGREGATE_TO + name: "true"}}]}
    counted_for = AGGREGATED.get(name) or name.removeprefix("system:aggregate-to-")
    if counted_for in AGGREGATED and counted_for != name:
        role["metadata"]["labels"][AGGREGATE_TO + counted_for] = "true"
    return role


def _binding(kind: str, name: str, role: str, subjects: str, namespace: str = "") -> Object:
    binding: Object = {
        "apiVersion": f"{GROUP}/v1",
        "kind": f"{kind}Binding",
        "metadata": _metadata(name, namespace),
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role},
    }
    if subjects:
        binding["subjects"] = [_subject(subject) for subject in subjects.split()]
    return binding


def _subject(text: str) -> Object:
    kind, _, name = text.partition(":")
    if kind == "account":
        return {"kind": "ServiceAccount", "name": name, "namespace": SYSTEM}
    return {"apiGroup": GROUP, "kind": kind.capitalize(), "name": name}
