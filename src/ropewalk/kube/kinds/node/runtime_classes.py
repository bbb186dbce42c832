"""Runtime classes: names for ways of running containers, what each costs and where it can be had.
https://kubernetes.io/docs/concepts/containers/runtime-class/
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.kinds.cells import AGE, NAME, field
from ropewalk.kube.kinds.checks import immutable
from ropewalk.kube.kinds.core.pod_warnings import NODE_LABELS
from ropewalk.kube.kinds.core.resources import validate_requirements
from ropewalk.kube.kinds.core.tolerations import validate_tolerations
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.strategy import Strategy

SCHEDULING = ROOT / "scheduling"


class RuntimeClasses(Strategy):
    allow_create_on_update = True
    allow_unconditional_update = False
    columns = (NAME, field("Handler", "handler"), AGE)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        handler = obj.get("handler", "")
        errors.messages(ROOT / "handler", handler, names.dns1123_label(handler))
        if (overhead := obj.get("overhead")) is not None:
            validate_requirements({"limits": overhead.get("podFixed") or {}}, ROOT / "overhead", errors)
        if (scheduling := obj.get("scheduling")) is not None:
            names.labels(scheduling.get("nodeSelector") or {}, SCHEDULING / "nodeSelector", errors)
            _validate_tolerations(scheduling.get("tolerations") or (), SCHEDULING / "tolerations", errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self.validate_create(new, errors)
        immutable(new.get("handler", ""), old.get("handler", ""), ROOT / "handler", errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        selector = at(new, "scheduling", "nodeSelector") or {}
        return [f"{SCHEDULING / 'nodeSelector'}: {NODE_LABELS[key]}" for key in selector if key in NODE_LABELS]


def _validate_tolerations(tolerations: Sequence[Object], path: Path, errors: FieldErrors) -> None:
    validate_tolerations(tolerations, path, errors)
    seen: list[tuple[str, ...]] = []
    for index, toleration in enumerate(tolerations):
        key = tuple(toleration.get(name, "") for name in ("key", "operator", "value", "effect"))
        if key in seen:
            errors.duplicate(path / index, go_printed(toleration, "core.v1.Toleration"))
        seen.append(key)
