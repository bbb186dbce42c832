"""Config maps: settings that pods read, text or bytes.
https://kubernetes.io/docs/concepts/configuration/configmap/
"""

from __future__ import annotations

from ropewalk.kube.kinds.cells import AGE, NAME
from ropewalk.kube.kinds.core.stored_data import LARGEST, byte_length, validate_kept, validate_keys
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.strategy import Column, Strategy

WHOLE = Path("[]")
"""How Kubernetes writes the path of the object as a whole here."""


class ConfigMaps(Strategy):
    columns = (
        NAME,
        Column("Data", lambda obj, now: len(obj.get("data") or {}) + len(obj.get("binaryData") or {})),
        AGE,
    )

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
        validate_keys(data, ROOT / "data", errors)
        for key in data:
            if key in binary:
                errors.invalid((ROOT / "data").key(key), key, "duplicate of key present in binaryData")
        validate_keys(binary, ROOT / "binaryData", errors)
        size = sum(len(value.encode()) for value in data.values()) + sum(map(byte_length, binary.values()))
        if size > LARGEST:
            errors.too_long(WHOLE, LARGEST)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        validate_kept(new, old, ("data", "binaryData"), errors)
        self.validate_create(new, errors)
