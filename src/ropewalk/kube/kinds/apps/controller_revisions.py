"""Controller revisions: the past templates of daemon sets and stateful sets. Their content never changes.
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/controller-revision-v1/
"""

from __future__ import annotations

from ropewalk.kube.kinds.cells import AGE, NAME, text
from ropewalk.kube.kinds.checks import immutable, non_negative
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object, controller_of
from ropewalk.kube.machinery.resources import GroupVersionKind
from ropewalk.kube.machinery.strategy import Column, Strategy


def _controller(obj: Object) -> str:
    owner = controller_of(obj)
    if owner is None:
        return "<none>"
    gvk = GroupVersionKind.of(owner.get("apiVersion", ""), owner.get("kind", ""))
    return f"{gvk.kind}.{gvk.group}".rstrip(".").lower() + "/" + str(owner.get("name", ""))


class ControllerRevisions(Strategy):
    columns = (
        NAME,
        text("Controller", _controller),
        Column("Revision", lambda obj, now: obj.get("revision", 0)),
        AGE,
    )

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        non_negative(obj.get("revision"), ROOT / "revision", errors)
        if obj.get("data") is None:
            errors.required(ROOT / "data", "data is mandatory")
        elif not isinstance(obj["data"], dict):
            errors.required(ROOT / "data", "data must be a valid JSON object")

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        non_negative(new.get("revision"), ROOT / "revision", errors)
        immutable(new.get("data"), old.get("data"), ROOT / "data", errors)
