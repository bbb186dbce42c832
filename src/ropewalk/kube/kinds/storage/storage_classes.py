"""Storage classes: what kind of volume a claim gets, and who makes it.
https://kubernetes.io/docs/concepts/storage/storage-classes/
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.kinds.cells import AGE, field, pointer
from ropewalk.kube.kinds.checks import immutable, same
from ropewalk.kube.kinds.core.pod_warnings import NODE_LABELS
from ropewalk.kube.kinds.storage.parameters import validate_parameters, validate_provisioner
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, annotations_of, name_of
from ropewalk.kube.machinery.strategy import Column, Strategy

RECLAIM_POLICIES = ("Delete", "Retain")
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
DEFAULT_ANNOTATIONS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
TOPOLOGIES = ROOT / "allowedTopologies"


def is_default(obj: Object) -> bool:
    """Of a storage class: what claims get that name none."""
    return any(annotations_of(obj).get(name) == "true" for name in DEFAULT_ANNOTATIONS)


class StorageClasses(Strategy):
    returns_deleted = True
    columns = (
        Column("Name", lambda obj, now: name_of(obj) + (" (default)" if is_default(obj) else ""), format="name"),
        field("Provisioner", "provisioner"),
        pointer("ReclaimPolicy", "reclaimPolicy", none="Delete"),
        pointer("VolumeBindingMode", "volumeBindingMode", none="Immediate"),
        Column("AllowVolumeExpansion", lambda obj, now: bool(obj.get("allowVolumeExpansion"))),
        AGE,
    )

    def default(self, obj: Object) -> None:
        obj.setdefault("reclaimPolicy", "Delete")
        obj.setdefault("volumeBindingMode", "Immediate")

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        validate_provisioner(obj.get("provisioner", ""), ROOT / "provisioner", errors)
        validate_parameters(obj.get("parameters") or {}, ROOT / "parameters", errors, required=False)
        policy, mode = obj.get("reclaimPolicy"), obj.get("volumeBindingMode")
        if policy and policy not in RECLAIM_POLICIES:
            errors.not_supported(ROOT / "reclaimPolicy", policy, RECLAIM_POLICIES)
        if mode is None:
            errors.required(ROOT / "volumeBindingMode")
        elif mode not in BINDING_MODES:
            errors.not_supported(ROOT / "volumeBindingMode", mode, BINDING_MODES)
        _validate_topologies(obj.get("allowedTopologies") or (), errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self.validate_create(new, errors)
        for name in ("parameters", "provisioner", "reclaimPolicy"):
            if not same(new.get(name), old.get(name)):
                errors.forbidden(ROOT / name, f"updates to {name} are forbidden.")
        immutable(new.get("volumeBindingMode"), old.get("volumeBindingMode"), ROOT / "volumeBindingMode", errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        return [
            f"{TOPOLOGIES / index / 'matchLabelExpressions' / place / 'key'}: {NODE_LABELS[expression['key']]}"
            for index, term in enumerate(new.get("allowedTopologies") or ())
            for place, expression in enumerate(term.get("matchLabelExpressions") or ())
            if expression.get("key") in NODE_LABELS
        ]


def _validate_topologies(terms: Sequence[Object], errors: FieldErrors) -> None:
    # Kubernetes begins with as many empty terms as there are given: an empty one is always a duplicate.
    seen: list[dict[str, set[str]]] = [{}] if terms else []
    for index, term in enumerate(terms):
        found: dict[str, set[str]] = {}
        here = TOPOLOGIES / index / "matchLabelExpressions"
        for place, expression in enumerate(term.get("matchLabelExpressions") or ()):
            _validate_expression(expression, here / place, errors)
            key = expression.get("key", "")
            if key in found:
                errors.duplicate(here / place / "key", key)
            found[key] = set(expression.get("values") or ())
        if found in seen:
            errors.duplicate(here, "")
        seen.append(found)


def _validate_expression(expression: Object, path: Path, errors: FieldErrors) -> None:
    values, key = expression.get("values") or (), expression.get("key", "")
    if not values:
        errors.required(path / "values")
    for index, value in enumerate(values):
        if value in values[:index]:
            errors.duplicate(path / "values" / index, value)
    errors.messages(path / "key", key, names.qualified_name(key))
