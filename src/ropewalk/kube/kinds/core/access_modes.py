"""Who may use a volume at once, and how: rules that volumes and claims share.
https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.machinery.fields import FieldErrors, Path

SHORT = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
VOLUME_MODES = ("Block", "Filesystem")
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
"""The annotation that named a class before there was a field for it."""


def text(modes: Sequence[str]) -> str:
    return ",".join(short for mode, short in SHORT.items() if mode in modes)


def validate(modes: Sequence[str], path: Path, errors: FieldErrors, required: str = "") -> None:
    if not modes:
        errors.required(path, required)
    for mode in modes:
        if mode not in SHORT:
            errors.not_supported(path, mode, sorted(SHORT))
    known = {mode for mode in modes if mode in SHORT}
    if "ReadWriteOncePod" in known and len(known) > 1:
        errors.forbidden(path, "may not use ReadWriteOncePod with other access modes")
