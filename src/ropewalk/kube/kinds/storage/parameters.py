"""The provisioner of a class and what it is told: rules that classes of volumes and of their attributes share."""

from __future__ import annotations

from collections.abc import Mapping

from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import FieldErrors, Path

MOST_PARAMETERS = 512
LARGEST_PARAMETERS = 256 * 1024


def validate_provisioner(name: str, path: Path, errors: FieldErrors) -> None:
    if not name:
        errors.required(path)
        return
    # The message names what was looked at, which is lower case.
    lower = name.lower()
    errors.messages(path, lower, names.qualified_name(lower))


def size_of(entries: Mapping[str, str]) -> int:
    return sum(len(key.encode()) + len(value.encode()) for key, value in entries.items())


def validate_parameters(parameters: Mapping[str, str], path: Path, errors: FieldErrors, *, required: bool) -> None:
    if len(parameters) > MOST_PARAMETERS:
        errors.too_long(path, MOST_PARAMETERS)
        return
    if "" in parameters:
        errors.invalid(path, "", "field can not be empty.")
    if size_of(parameters) > LARGEST_PARAMETERS:
        errors.too_long(path, LARGEST_PARAMETERS)
    if required and not parameters:
        errors.required(path, "must contain at least one key/value pair")
