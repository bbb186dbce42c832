"""IP addresses: which object holds an address of a service range. The name is the address.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/ip-address-v1/
"""

from __future__ import annotations

from ropewalk.kube.kinds.cells import NAME, text
from ropewalk.kube.kinds.checks import immutable, path_segments
from ropewalk.kube.machinery import addresses, names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.strategy import Strategy

PARENT = ROOT / "spec" / "parentRef"


class IPAddresses(Strategy):
    columns = (NAME, text("ParentRef", lambda obj: _parent_text(at(obj, "spec", "parentRef"))))

    def name_problems(self, name: str, *, prefix: bool) -> list[str]:
        return addresses.strict_ip(name)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        parent = at(obj, "spec", "parentRef")
        if parent is None:
            errors.required(PARENT)
            return
        if group := parent.get("group"):
            errors.messages(PARENT / "group", group, names.dns1123_subdomain(group))
        path_segments(parent, ("resource", "name"), PARENT, errors)
        if namespace := parent.get("namespace"):
            errors.messages(PARENT / "namespace", namespace, names.path_segment(namespace))

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self.validate_create(new, errors)
        immutable(
            at(new, "spec", "parentRef"), at(old, "spec", "parentRef"), PARENT, errors, "networking.v1.ParentReference"
        )


def _parent_text(parent: Object | None) -> str:
    if parent is None:
        return "<none>"
    group, resource = parent.get("group", ""), parent.get("resource", "")
    kind = (f"{resource}.{group}" if group else resource).lower()
    namespace = parent.get("namespace")
    return "/".join([kind, *([namespace] if namespace else ()), parent.get("name", "")])
