"""Namespaces: where names live. One that is deleted stays, Terminating, until what is in it is gone.
https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from ropewalk.kube.kinds.cells import AGE, NAME, field
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.apply.field_sets import LEAF, FieldSet
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at, metadata, name_of
from ropewalk.kube.machinery.strategy import Selectable, Strategy, keep

FINALIZERS = ROOT / "spec" / "finalizers"
FINALIZER = "kubernetes"
NAME_LABEL = "kubernetes.io/metadata.name"
ACTIVE, TERMINATING = "Active", "Terminating"
_STANDARD_FINALIZERS = (FINALIZER, "orphan", "foregroundDeletion")


class Namespaces(Strategy):
    has_status = True
    reset_fields: ClassVar[Mapping[str, FieldSet]] = {"finalize": {"f:status": LEAF}}
    returns_deleted = True
    columns = (NAME, field("Status", "status", "phase"), AGE)
    selectable_fields: ClassVar[Mapping[str, Selectable]] = {
        "status.phase": lambda obj: at(obj, "status", "phase") or "",
    }

    def name_problems(self, name: str, *, prefix: bool) -> list[str]:
        return names.dns1123_label(name, prefix=prefix)

    def default(self, obj: Object) -> None:
        _label(obj)

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        obj["status"] = {"phase": ACTIVE}
        spec = obj.setdefault("spec", {})
        finalizers = spec.get("finalizers") or []
        if FINALIZER not in finalizers:
            spec["finalizers"] = [*finalizers, FINALIZER]
        _label(obj)

    def prepare_update(self, new: Object, old: Object) -> None:
        super().prepare_update(new, old)
        _keep_finalizers(new, old)
        _label(new)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        for finalizer in at(obj, "spec", "finalizers") or ():
            _validate_finalizer(finalizer, FINALIZERS, errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        phase = at(new, "status", "phase") or ACTIVE
        if not metadata(new).get("deletionTimestamp"):
            if phase != ACTIVE:
                told = "may only be 'Active' if `deletionTimestamp` is empty"
                errors.invalid(ROOT / "status" / "Phase", phase, told)
        elif phase != TERMINATING:
            told = "may only be 'Terminating' if `deletionTimestamp` is not empty"
            errors.invalid(ROOT / "status" / "Phase", phase, told)

    def prepare_finalize(self, new: Object, old: Object) -> None:
        """A write of the `finalize` subresource: the only way to change `spec.finalizers`."""
        keep(new, old, "status")

    def validate_finalize(self, new: Object, old: Object, errors: FieldErrors) -> None:
        for index, finalizer in enumerate(at(new, "spec", "finalizers") or ()):
            _validate_finalizer(finalizer, FINALIZERS / index, errors)

    def is_held(self, obj: Object) -> bool:
        return bool(at(obj, "spec", "finalizers"))

    def begin_deletion(self, obj: Object) -> None:
        obj["status"] = {**(obj.get("status") or {}), "phase": TERMINATING}


def _label(obj: Object) -> None:
    """So that selectors of namespaces can name one."""
    name = name_of(obj)
    if name:
        obj["metadata"].setdefault("labels", {})[NAME_LABEL] = name


def _keep_finalizers(new: Object, old: Object) -> None:
    kept = at(old, "spec", "finalizers")
    if kept:
        new.setdefault("spec", {})["finalizers"] = kept
    else:
        (new.get("spec") or {}).pop("finalizers", None)


def _validate_finalizer(finalizer: str, path: Path, errors: FieldErrors) -> None:
    errors.messages(path, finalizer, names.qualified_name(finalizer))
    if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
        errors.invalid(path, finalizer, "name is neither a standard finalizer name nor is it fully qualified")
