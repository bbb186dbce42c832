"""Role-based access control: an `Authorizer` over the caches of roles and bindings.

Both are kept the way they are asked for: bindings by whom they name, roles as `RuleSet`s. A decision looks up the
user's name and groups, and touches nothing that does not concern them. Follows every change at once; what a binding
refers to is resolved when it is asked for, since the role may come later.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ropewalk.kube.machinery.access import Decision, Verdict
from ropewalk.kube.machinery.api import Api, ObjectChange
from ropewalk.kube.machinery.json_text import quoted
from ropewalk.kube.machinery.objects import Object, name_of, namespace_of
from ropewalk.kube.machinery.requests import Attributes, User
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.security.policy_rules import HeldRules, RuleSet

GROUP = "rbac.authorization.k8s.io"
ROLES = GroupResource(GROUP, "roles")
CLUSTER_ROLES = GroupResource(GROUP, "clusterroles")
ROLE_BINDINGS = GroupResource(GROUP, "rolebindings")
CLUSTER_ROLE_BINDINGS = GroupResource(GROUP, "clusterrolebindings")
RESOURCES = (CLUSTER_ROLES, ROLES, CLUSTER_ROLE_BINDINGS, ROLE_BINDINGS)

_NO_OPINION = Decision(Verdict.NO_OPINION)

Key = tuple[str, str]
"""Whom a binding names: ("User" or "Group", name). A service account is the user that it is."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One binding as one of its subjects sees it."""

    source: str
    """`ClusterRoleBinding "x" of ClusterRole "y" to User "z"`."""
    role_kind: str
    role_name: str
    namespace: str
    """"" for a cluster role binding."""


class _Grants:
    """The bindings of one namespace, or of the cluster."""

    __slots__ = ("_keys_of", "by_key")

    def __init__(self) -> None:
        self.by_key: dict[Key, dict[str, Grant]] = {}
        self._keys_of: dict[str, tuple[Key, ...]] = {}

    def set(self, name: str, grants: dict[Key, Grant] | None) -> None:
        for key in self._keys_of.pop(name, ()):
            held = self.by_key[key]
            del held[name]
            if not held:
                del self.by_key[key]
        if grants:
            self._keys_of[name] = tuple(grants)
            for key, grant in grants.items():
                self.by_key.setdefault(key, {})[name] = grant


class Rbac:
    """An `Authorizer` and a `RuleResolver`."""

    def __init__(self, api: Api) -> None:
        self._roles: dict[tuple[str, str], RuleSet] = {}
        """(namespace, name) → rules; cluster roles have no namespace."""
        self._cluster = _Grants()
        self._namespaces: dict[str, _Grants] = {}
        self._caches = [api.cache(resource) for resource in RESOURCES]
        self._is_synced = False
        for resource, cache in zip(RESOURCES, self._caches, strict=True):
            cache.on_change(self._follower(resource))

    # --- following

    def _follower(self, resource: GroupResource) -> Callable[[ObjectChange], None]:
        return self._role_changed if resource in (ROLES, CLUSTER_ROLES) else self._binding_changed

    def _role_changed(self, change: ObjectChange) -> None:
        key = namespace_of(change.present), name_of(change.present)
        if change.new is None:
            self._roles.pop(key, None)
        else:
            self._roles[key] = RuleSet(change.new.get("rules") or ())

    def _binding_changed(self, change: ObjectChange) -> None:
        namespace, name = namespace_of(change.present), name_of(change.present)
        held = self._cluster if not namespace else self._namespaces.setdefault(namespace, _Grants())
        held.set(name, None if change.new is None else _grants(change.new))
        if namespace and not held.by_key:
            del self._namespaces[namespace]

    async def synced(self) -> None:
        """Wait until all there is has been read."""
        for cache in self._caches:
            await cache.synced()
        self._is_synced = True

    # --- asking

    async def authorize(self, attributes: Attributes) -> Decision:
        if not self._is_synced:
            await self.synced()
        return self.decide(attributes)

    def decide(self, attributes: Attributes) -> Decision:
        """The same without waiting: from what is known now."""
        problems: list[str] | None = None
        for grant in self.grants(attributes.user, attributes.namespace):
            rules = self.role(grant)
            if rules is None:
                problems = [*(problems or ()), _not_found(grant)]
            elif rules.allows(attributes):
                return Decision(Verdict.ALLOW, f"RBAC: allowed by {grant.source}")
        return _NO_OPINION if problems is None else Decision(Verdict.NO_OPINION, f"RBAC: {aggregated(problems)}")

    def rules_for(self, user: User, namespace: str) -> HeldRules:
        """Every rule that holds for the user in the namespace."""
        found: list[Object] = []
        problems: list[str] = []
        for grant in self.grants(user, namespace):
            rules = self.role(grant)
            if rules is None:
                problems.append(_not_found(grant))
            else:
                found += rules.rules
        return HeldRules(found, aggregated(problems))

    def grants(self, user: User, namespace: str) -> Iterator[Grant]:
        """Cluster role bindings first; a binding that names the user twice comes once."""
        keys: list[Key] = [("User", user.name)]
        keys += [("Group", group) for group in user.groups]
        yield from _named(self._cluster, keys)
        if namespace and (held := self._namespaces.get(namespace)) is not None:
            yield from _named(held, keys)

    def role(self, grant: Grant) -> RuleSet | None:
        return self.rules_of(grant.role_kind, grant.role_name, grant.namespace)

    def rules_of(self, kind: str, name: str, namespace: str) -> RuleSet | None:
        """The rules of a role that a binding in `namespace` refers to; None where it does not exist."""
        return self._roles.get((namespace if kind == "Role" else "", name))


def _named(held: _Grants, keys: list[Key]) -> Iterator[Grant]:
    seen: set[str] = set()
    by_key = held.by_key
    for key in keys:
        found = by_key.get(key)
        if found is not None:
            for name, grant in list(found.items()):
                if name not in seen:
                    seen.add(name)
                    yield grant


def _not_found(grant: Grant) -> str:
    return f"{grant.role_kind.lower()}.{GROUP} {quoted(grant.role_name)} not found"


def aggregated(problems: list[str]) -> str:
    """As apimachinery prints several errors at once."""
    told = list(dict.fromkeys(problems))
    return told[0] if len(told) == 1 else f"[{', '.join(told)}]" if told else ""


# --- bindings


def _grants(binding: Object) -> dict[Key, Grant]:
    """Whom a binding names, each with what it gives; the first mention of each counts."""
    namespace, name = namespace_of(binding), name_of(binding)
    role = binding.get("roleRef") or {}
    kind, role_name = role.get("kind", ""), role.get("name", "")
    told = f"RoleBinding {quoted(f'{name}/{namespace}')}" if namespace else f"ClusterRoleBinding {quoted(name)}"
    found: dict[Key, Grant] = {}
    for subject in binding.get("subjects") or ():
        key = subject_key(subject, namespace)
        if key is not None and key not in found:
            source = f"{told} of {kind} {quoted(role_name)} to {_described(subject, namespace)}"
            found[key] = Grant(source, kind, role_name, namespace)
    return found


def subject_key(subject: Object, namespace: str) -> Key | None:
    """None for a subject that can be nobody."""
    kind, name = subject.get("kind", ""), subject.get("name", "")
    if kind in ("User", "Group"):
        return kind, name
    place = subject.get("namespace") or namespace
    if kind == "ServiceAccount" and place:
        return "User", f"system:serviceaccount:{place}:{name}"
    return None


def _described(subject: Object, namespace: str) -> str:
    kind, name = subject["kind"], subject.get("name", "")
    if kind == "ServiceAccount":
        return f"{kind} {quoted(name + '/' + (subject.get('namespace') or namespace))}"
    return f"{kind} {quoted(name)}"
