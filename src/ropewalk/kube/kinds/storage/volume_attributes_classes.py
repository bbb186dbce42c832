"""Volume attributes classes: what may be changed about a volume while it is in use.
https://kubernetes.io/docs/concepts/storage/volume-attributes-classes/
"""

from __future__ import annotations

from ropewalk.kube.kinds.cells import AGE, NAME, field
from ropewalk.kube.kinds.checks import same
from ropewalk.kube.kinds.storage.parameters import validate_parameters, validate_provisioner
from ropewalk.kube.machinery.fields import ROOT, FieldErrors
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.strategy import Strategy


class VolumeAttributesClasses(Strategy):
    returns_deleted = True
    columns = (NAME, field("DriverName", "driverName"), AGE)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        validate_provisioner(obj.get("driverName", ""), ROOT / "driverName", errors)
        validate_parameters(obj.get("parameters") or {}, ROOT / "parameters", errors, required=True)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        for name in ("driverName", "parameters"):
            if not same(new.get(name), old.get(name)):
                errors.forbidden(ROOT / name, f"updates to {name} are forbidden.")
        self.validate_create(new, errors)
