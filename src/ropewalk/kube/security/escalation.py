"""Nobody grants what they do not hold: the check on every write of a role or a binding, as an admission plug-in.

It runs among the validating plug-ins, so that it sees what will be stored: no webhook comes after it.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#privilege-escalation-prevention-and-bootstrapping
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ropewalk.kube.kinds.rbac.rules import uncovered
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.access import Authorizer, Verdict
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.json_text import quoted
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.requests import Attributes, User
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo
from ropewalk.kube.security.aggregation import is_aggregated
from ropewalk.kube.security.authorizer import MASTERS
from ropewalk.kube.security.policy_rules import FULL_AUTHORITY, compacted, quoted_list, spelled
from ropewalk.kube.security.rbac import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    GROUP,
    RESOURCES,
    ROLE_BINDINGS,
    ROLES,
    Rbac,
)

_COLLECTOR_FIELDS = frozenset({"ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation"})
"""Of metadata: what may change without granting anything."""


class Escalation:
    """An `AdmissionPlugin`."""

    name: ClassVar[str] = "RBACEscalation"

    def __init__(self, rbac: Rbac, authorizer: Authorizer) -> None:
        """`authorizer` is the whole chain: it is asked for the verbs `escalate` and `bind`."""
        self._rbac = rbac
        self._authorizer = authorizer

    def concerns(self, info: ResourceInfo, subresource: str, operation: str) -> tuple[bool, bool]:
        return False, info.group_resource in RESOURCES and operation in ("CREATE", "UPDATE") and not subresource

    async def mutate(self, admission: Admission) -> None: ...

    async def validate(self, admission: Admission) -> None:
        resource, obj = admission.info.group_resource, admission.object
        if resource not in RESOURCES or obj is None or admission.operation not in ("CREATE", "UPDATE"):
            return
        if MASTERS in admission.user.groups or _grants_nothing_new(obj, admission.old):
            return
        await self._rbac.synced()
        if resource in (ROLES, CLUSTER_ROLES):
            await self._check_role(admission, resource, obj)
        else:
            await self._check_binding(admission, resource, obj)

    async def _check_role(self, admission: Admission, resource: GroupResource, role: Object) -> None:
        if await self._may(admission, "escalate", resource.resource, admission.call.attributes.name):
            return
        self._confirm(admission, role.get("rules") or ())
        if is_aggregated(role) or is_aggregated(admission.old or {}):
            problem = self._missing(admission.user, admission.namespace, FULL_AUTHORITY)
            if problem:
                raise _refused(admission, "must have cluster-admin privileges to use the aggregationRule")

    async def _check_binding(self, admission: Admission, resource: GroupResource, binding: Object) -> None:
        role = binding.get("roleRef") or {}
        kind, name = role.get("kind", ""), role.get("name", "")
        plural = {"Role": ROLES.resource, "ClusterRole": CLUSTER_ROLES.resource}.get(kind)
        if plural is None or (kind == "Role" and resource == CLUSTER_ROLE_BINDINGS):
            raise _refused(admission, f"unsupported role reference kind: {quoted(kind)}")
        if await self._may(admission, "bind", plural, name):
            return
        rules = self._rbac.rules_of(kind, name, admission.namespace if resource == ROLE_BINDINGS else "")
        if rules is None:
            raise errors.not_found(plural, GROUP, name)
        self._confirm(admission, rules.rules)

    async def _may(self, admission: Admission, verb: str, plural: str, name: str) -> bool:
        asked = Attributes(admission.user, verb, "", GROUP, "*", plural, namespace=admission.namespace, name=name)
        return (await self._authorizer.authorize(asked)).verdict is Verdict.ALLOW

    def _confirm(self, admission: Admission, rules: Sequence[Object]) -> None:
        problem = self._missing(admission.user, admission.namespace, rules)
        if problem:
            raise _refused(admission, problem)

    def _missing(self, user: User, namespace: str, rules: Sequence[Object]) -> str:
        """Which of the rules go beyond what the user holds, in a sentence."""
        held = self._rbac.rules_for(user, namespace)
        pieces = uncovered(held.rules, rules)
        if not pieces:
            return ""
        told = "\n".join(sorted({spelled(rule) for rule in compacted(pieces)}))
        return (
            f"user {quoted(user.name)} (groups={quoted_list(user.groups)}) is attempting to grant RBAC permissions not"
            f" currently held:\n{told}" + (f"; resolution errors: [{held.error}]" if held.error else "")
        )


def _refused(admission: Admission, why: str) -> StatusFault:
    return errors.forbidden(admission.info.plural, admission.info.group, admission.name, why)


def _grants_nothing_new(new: Object, old: Object | None) -> bool:
    """Whether all that changes is what the garbage collector needs to change."""
    if old is None or any(new.get(key) != old.get(key) for key in new.keys() | old.keys() if key != "metadata"):
        return False
    mine, theirs = new.get("metadata") or {}, old.get("metadata") or {}
    return all(mine.get(key) == theirs.get(key) for key in mine.keys() | theirs.keys() if key not in _COLLECTOR_FIELDS)
