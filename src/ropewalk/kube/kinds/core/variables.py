"""Rules of a container's environment: `env` and `envFrom`.
https://kubernetes.io/docs/tasks/inject-data-application/define-environment-variable-container/
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.kinds.core.checks import (
    check_format,
    check_named,
    check_no_backsteps,
    config_key_problems,
    label_problems,
    prefix_problems,
    subdomain_problems,
    variable_problems,
)
from ropewalk.kube.kinds.core.downward import check_field_reference, check_resource_reference, is_plain
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_MUST_NAME_ONE = (
    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
)


def validate_variables(variables: Sequence[Object], path: Path, errors: FieldErrors) -> None:
    for index, variable in enumerate(variables):
        name = variable.get("name")
        if not name:
            errors.required(path / index / "name")
        elif problems := variable_problems(name):
            errors.messages(path / index / "name", name, problems)
        if (source := variable.get("valueFrom")) is not None:
            reference = source.get("fieldRef")
            if reference is not None and len(source) == 1 and is_plain(reference) and not variable.get("value"):
                continue
            _validate_source(source, variable.get("value", ""), path / index / "valueFrom", errors)


def _validate_source(source: Object, value: str, path: Path, errors: FieldErrors) -> None:
    count = 0
    for kind in _SOURCES:
        reference = source.get(kind)
        if reference is None:
            continue
        count += 1
        if kind == "fieldRef":
            check_field_reference(reference, path / kind, errors)
        elif kind == "resourceFieldRef":
            check_resource_reference(reference, path / kind, errors)
        elif kind == "fileKeyRef":
            _check_file_key(reference, path / kind, errors)
        else:
            name = reference.get("name", "")
            check_format(errors, path / kind, "name", name, subdomain_problems)
            check_named(errors, reference, path / kind, "key", config_key_problems)
    if not count:
        errors.invalid(path, "", _MUST_NAME_ONE)
    elif value:
        errors.invalid(path, "", "may not be specified when `value` is not empty")
    elif count > 1:
        errors.invalid(path, "", "may not have more than one field specified at a time")


def _check_file_key(reference: Object, path: Path, errors: FieldErrors) -> None:
    check_named(errors, reference, path, "key", variable_problems)
    check_named(errors, reference, path, "volumeName", label_problems)
    target = reference.get("path")
    if not target:
        errors.required(path / "path")
    else:
        check_no_backsteps(errors, path / "path", target)


def validate_sources(sources: Sequence[Object], path: Path, errors: FieldErrors) -> None:
    """`envFrom`. How many sources there are is said of the list, as Kubernetes does."""
    for index, source in enumerate(sources):
        if prefix := source.get("prefix"):
            check_format(errors, path / index, "prefix", prefix, variable_problems)
        count = 0
        for kind in ("configMapRef", "secretRef"):
            if (reference := source.get(kind)) is not None:
                count += 1
                check_named(errors, reference, path / index / kind, "name", prefix_problems)
        if not count:
            errors.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
        elif count > 1:
            errors.invalid(path, "", "may not have more than one field specified at a time")


def check_file_volumes(spec: Object, step: str, path: Path, errors: FieldErrors) -> None:
    """Variables read from a file read it from an emptyDir. `step`: which of the spec's lists of containers."""
    for index, container in enumerate(spec.get(step) or ()):
        for place, variable in enumerate(container.get("env") or ()):
            source = variable.get("valueFrom")
            if source is None or source.get("fileKeyRef") is None:
                continue
            name = source["fileKeyRef"].get("volumeName", "")
            here = path / step / index / "env" / place / "valueFrom" / "fileKeyRef" / "volumeName"
            named = [volume for volume in spec.get("volumes") or () if volume.get("name", "") == name]
            if not named:
                errors.not_found(here, name)
            elif named[-1].get("emptyDir") is None:
                errors.invalid(here, name, "referenced volume must be of type emptyDir")
