"""What a node may do: read what its pods need, report on them and on itself. An `Authorizer` for system:node:<name>.

What the verbs may be done with is looked up in `NodeGraph`; the content of writes is judged by `NodeRestriction`.
https://kubernetes.io/docs/reference/access-authn-authz/node/
"""

from __future__ import annotations

from ropewalk.kube.kinds.rbac.bootstrap_roles import CLUSTER_ROLES
from ropewalk.kube.machinery.access import Decision, Verdict
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.json_text import quoted
from ropewalk.kube.machinery.requests import Attributes, User
from ropewalk.kube.machinery.selectors import parse_field_selector
from ropewalk.kube.security.node_graph import NodeGraph
from ropewalk.kube.security.policy_rules import HeldRules, RuleSet
from ropewalk.kube.security.users import node_of

LEASES_NAMESPACE = "kube-node-lease"

_ALLOWED = Decision(Verdict.ALLOW)
_SILENT = Decision(Verdict.NO_OPINION)
_READ = frozenset(("get", "list", "watch"))
_OWN = frozenset(("get", "create", "update", "patch", "delete"))


def _refused(reason: str) -> Decision:
    return Decision(Verdict.NO_OPINION, reason)


class NodeAuthorizer:
    """An `Authorizer` and a `RuleResolver`."""

    def __init__(self, graph: NodeGraph) -> None:
        self._graph = graph
        self._rules = RuleSet(CLUSTER_ROLES["system:node"])

    def rules_for(self, user: User, namespace: str) -> HeldRules:
        if node_of(user) is None:
            return HeldRules()
        return HeldRules(error="node authorizer does not support user rule resolution", incomplete=True)

    async def authorize(self, attributes: Attributes) -> Decision:
        node = node_of(attributes.user)
        if node is None:
            return _SILENT
        if not node:
            return _refused(f"unknown node for user {quoted(attributes.user.name)}")
        await self._graph.follow()
        return self._decide(node, attributes)

    def _decide(self, node: str, asked: Attributes) -> Decision:
        match asked.group, asked.resource:
            case ("", "secrets" | "configmaps"):
                return self._read(node, asked)
            case ("", "persistentvolumeclaims"):
                return self._claim(node, asked)
            case (
                ("", "persistentvolumes")
                | ("resource.k8s.io", "resourceclaims")
                | (
                    "storage.k8s.io",
                    "volumeattachments",
                )
            ):
                return self._get(node, asked)
            case ("", "serviceaccounts"):
                return self._account(node, asked)
            case ("coordination.k8s.io", "leases"):
                return _lease(node, asked)
            case ("storage.k8s.io", "csinodes"):
                return _csi_node(node, asked)
            case ("resource.k8s.io", "resourceslices"):
                return self._slice(node, asked)
            case ("", "nodes"):
                return _node(node, asked)
            case ("", "pods"):
                return self._pod(node, asked)
        return _ALLOWED if self._rules.allows(asked) else _SILENT

    # --- by relation

    def _related(self, node: str, asked: Attributes) -> Decision:
        if not asked.name:
            return _refused("No Object name found")
        if self._graph.relates(node, asked.resource, asked.namespace, asked.name):
            return _ALLOWED
        return _refused(f"no relationship found between node '{node}' and this object")

    def _get(self, node: str, asked: Attributes) -> Decision:
        if asked.verb != "get":
            return _refused("can only get individual resources of this type")
        if asked.subresource:
            return _refused("cannot get subresource")
        return self._related(node, asked)

    def _read(self, node: str, asked: Attributes) -> Decision:
        if asked.verb not in _READ:
            return _refused("can only read resources of this type")
        if asked.subresource:
            return _refused("cannot read subresource")
        if not asked.namespace:
            return _refused("can only read namespaced object of this type")
        return self._related(node, asked)

    def _claim(self, node: str, asked: Attributes) -> Decision:
        if asked.subresource != "status":
            return self._get(node, asked)
        if asked.verb not in ("update", "patch"):
            return _refused("can only get/update/patch this type")
        return self._related(node, asked)

    def _account(self, node: str, asked: Attributes) -> Decision:
        if asked.verb == "get" and not asked.subresource:
            return self._read(node, asked)
        if asked.verb != "create" or not asked.name:
            return _refused("can only create tokens for individual service accounts")
        if asked.subresource != "token":
            return _refused("can only create token subresource of serviceaccount")
        return self._related(node, asked)

    def _slice(self, node: str, asked: Attributes) -> Decision:
        if asked.subresource:
            return _refused("cannot authorize ResourceSlice subresources")
        match asked.verb:
            case "create":
                return _ALLOWED
            case "get" | "update" | "patch" | "delete":
                return self._related(node, asked)
            case "watch" | "list" | "deletecollection":
                if _selects(asked, "spec.nodeName", node):
                    return _ALLOWED
                return _refused("can only list/watch/deletecollection resourceslices with nodeName field selector")
        return _refused(
            "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete,"
            " deletecollection"
        )

    def _pod(self, node: str, asked: Attributes) -> Decision:
        match asked.subresource, asked.verb:
            case ("", "get"):
                return self._get(node, asked)
            case ("", "list" | "watch"):
                if _selects(asked, "spec.nodeName", node):
                    return _ALLOWED
                if asked.name:
                    return self._related(node, asked)
                return _refused("can only list/watch pods with spec.nodeName field selector")
            case ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create"):
                return _ALLOWED
        return _SILENT


# --- by name


def _lease(node: str, asked: Attributes) -> Decision:
    if asked.verb not in _OWN:
        return _refused("can only get, create, update, patch, or delete a node lease")
    if asked.namespace != LEASES_NAMESPACE:
        return _refused(f'can only access leases in the "{LEASES_NAMESPACE}" system namespace')
    if asked.verb != "create" and asked.name != node:
        return _refused("can only access node lease with the same name as the requesting node")
    return _ALLOWED


def _csi_node(node: str, asked: Attributes) -> Decision:
    if asked.verb not in _OWN:
        return _refused("can only get, create, update, patch, or delete a CSINode")
    if asked.subresource:
        return _refused("cannot authorize CSINode subresources")
    if asked.verb != "create" and asked.name != node:
        return _refused("can only access CSINode with the same name as the requesting node")
    return _ALLOWED


def _node(node: str, asked: Attributes) -> Decision:
    match asked.subresource, asked.verb:
        case ("", "create" | "update" | "patch") | ("status", "update" | "patch"):
            return _ALLOWED
        case ("", "get" | "list" | "watch"):
            if asked.name == node:
                return _ALLOWED
            if not asked.name:
                return _refused(f"node '{node}' cannot read all nodes, only its own Node object")
            return _refused(f"node '{node}' cannot read '{asked.name}', only its own Node object")
    return _SILENT


def _selects(asked: Attributes, field: str, value: str) -> bool:
    """Whether the request is about objects with this value only."""
    if not asked.field_selector:
        return False
    try:
        found = parse_field_selector(asked.field_selector)
    except StatusFault:
        return False
    return (field, "=", value) in found.requirements
