"""What config maps and secrets have in common: keys, sizes, and that an immutable one stays as it is."""

from __future__ import annotations

from collections.abc import Iterable

from ropewalk.kube.kinds.checks import same
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

LARGEST = 1024 * 1024
"""Bytes of all values together."""


def byte_length(base64: str) -> int:
    """Of what this text stands for."""
    return len(base64) // 4 * 3 - base64.count("=", -2)


def validate_keys(keys: Iterable[str], path: Path, errors: FieldErrors) -> None:
    for key in keys:
        if problems := names.config_map_key(key):
            errors.messages(path.key(key), key, problems)


def validate_kept(new: Object, old: Object, fields: Iterable[str], errors: FieldErrors) -> None:
    """What an immutable one may not change: that it is immutable, and `fields`."""
    if not old.get("immutable"):
        return
    detail = "field is immutable when `immutable` is set"
    if not new.get("immutable"):
        errors.forbidden(ROOT / "immutable", detail)
    for name in fields:
        if not same(new.get(name), old.get(name)):
            errors.forbidden(ROOT / name, detail)
