"""Role bindings and cluster role bindings: who may do what a role says.
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#rolebinding-and-clusterrolebinding
"""

from __future__ import annotations

from typing import ClassVar

from ropewalk.kube.kinds.cells import AGE, NAME, text
from ropewalk.kube.kinds.checks import same
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.kinds.rbac.roles import GROUP
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.strategy import Strategy

ROLE_REF = ROOT / "roleRef"
KINDS = ("ServiceAccount", "User", "Group")


def _subjects(obj: Object, kind: str) -> str:
    found = [one for one in obj.get("subjects") or () if one.get("kind") == kind]
    if kind == "ServiceAccount":
        return ", ".join(f"{one.get('namespace', '')}/{one.get('name', '')}" for one in found)
    return ", ".join(one.get("name", "") for one in found)


class RoleBindings(Strategy):
    allow_create_on_update = True
    roles: ClassVar[tuple[str, ...]] = ("Role", "ClusterRole")
    """The kinds it may bind."""
    namespaced: ClassVar[bool] = True
    columns = (
        NAME,
        text("Role", lambda obj: "/".join((obj.get("roleRef") or {}).get(part, "") for part in ("kind", "name"))),
        AGE,
        text("Users", lambda obj: _subjects(obj, "User"), 1),
        text("Groups", lambda obj: _subjects(obj, "Group"), 1),
        text("ServiceAccounts", lambda obj: _subjects(obj, "ServiceAccount"), 1),
    )

    def name_problems(self, name: str, *, prefix: bool) -> list[str]:
        return names.path_segment(name)

    def default(self, obj: Object) -> None:
        role = obj.setdefault("roleRef", {})
        role["apiGroup"] = role.get("apiGroup") or GROUP
        for subject in obj.get("subjects") or ():
            if subject.get("kind") in ("User", "Group"):
                subject["apiGroup"] = subject.get("apiGroup") or GROUP

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        role = obj.get("roleRef") or {}
        if role.get("apiGroup") != GROUP:
            errors.not_supported(ROLE_REF / "apiGroup", role.get("apiGroup", ""), (GROUP,))
        if role.get("kind") not in self.roles:
            errors.not_supported(ROLE_REF / "kind", role.get("kind", ""), self.roles)
        if not role.get("name"):
            errors.required(ROLE_REF / "name")
        else:
            errors.messages(ROLE_REF / "name", role["name"], names.path_segment(role["name"]))
        for index, subject in enumerate(obj.get("subjects") or ()):
            _validate_subject(subject, ROOT / "subjects" / index, errors, namespaced=self.namespaced)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self.validate_create(new, errors)
        if not same(new.get("roleRef"), old.get("roleRef")):
            errors.invalid(ROLE_REF, go_printed(new.get("roleRef") or {}, "rbac.v1.RoleRef"), "cannot change roleRef")


class ClusterRoleBindings(RoleBindings):
    roles = ("ClusterRole",)
    namespaced = False


def _validate_subject(subject: Object, path: Path, errors: FieldErrors, *, namespaced: bool) -> None:
    name, group, kind = (subject.get(key, "") for key in ("name", "apiGroup", "kind"))
    if not name:
        errors.required(path / "name")
    if kind not in KINDS:
        errors.not_supported(path / "kind", kind, KINDS)
    elif kind != "ServiceAccount":
        if group != GROUP:
            errors.not_supported(path / "apiGroup", group, (GROUP,))
    else:
        if name:
            errors.messages(path / "name", name, names.dns1123_subdomain(name))
        if group:
            errors.not_supported(path / "apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            errors.required(path / "namespace")
