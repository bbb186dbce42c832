"""References from a pod to its own fields: in variables and in downward API volumes.
https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
"""

from __future__ import annotations

from ropewalk.kube.kinds.core.checks import amount, canonical, check_mode, check_relative_unreserved, qualified_problems
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

_FIELDS = frozenset(
    {
        "metadata.annotations",
        "metadata.labels",
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.serviceAccountName",
        "spec.schedulerName",
        "status.phase",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    }
)
_IN_VARIABLES = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_IN_FILES = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
_RESOURCES = tuple(
    f"{kind}.{name}" for kind in ("limits", "requests") for name in ("cpu", "ephemeral-storage", "memory")
)
_HUGE_PAGES = ("requests.hugepages-", "limits.hugepages-")
_SIZES = ("1", *(f"1{unit}" for unit in ("k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")))
_DIVISORS = {
    "cpu": (("1m", "1"), "only divisor's values 1m and 1 are supported with the cpu resource"),
    "memory": (_SIZES, f"only divisor's values {', '.join(_SIZES)} are supported with the memory resource"),
    "ephemeral-storage": (
        _SIZES,
        f"only divisor's values {', '.join(_SIZES)} are supported with the local ephemeral storage resource",
    ),
    "hugepages": (_SIZES, f"only divisor's values {', '.join(_SIZES)} are supported with the hugepages resource"),
}


def is_plain(reference: Object) -> bool:
    """Nothing is wrong with it in a variable: what nearly all say, told quickly."""
    return reference.get("apiVersion") == "v1" and reference.get("fieldPath") in _IN_VARIABLES


def check_field_reference(reference: Object, path: Path, errors: FieldErrors, *, volume: bool = False) -> None:
    version, field = reference.get("apiVersion"), reference.get("fieldPath")
    if not version:
        errors.required(path / "apiVersion")
        return
    if not field:
        errors.required(path / "fieldPath")
        return
    allowed = _IN_FILES if volume else _IN_VARIABLES
    if version == "v1" and field in allowed:
        return
    name, subscript = _subscripted(field)
    if why := _unreadable(version, field, name, subscript):
        errors.invalid(path / "fieldPath", field, f"error converting fieldPath: {why}")
    elif subscript is not None:
        key = subscript.lower() if name == "metadata.annotations" else subscript
        errors.messages(path, key, qualified_problems(key))
    elif field == "spec.host" and not volume:
        return
    else:
        errors.not_supported(path / "fieldPath", "spec.nodeName" if field == "spec.host" else field, allowed)


def _subscripted(field: str) -> tuple[str, str | None]:
    """`metadata.labels['a']` → ("metadata.labels", "a")."""
    name, bracket, rest = field.partition("['")
    if not name or not bracket or not rest.endswith("']"):
        return field, None
    return name, rest.removesuffix("']")


def _unreadable(version: str, field: str, name: str, subscript: str | None) -> str:
    if version != "v1":
        return f"unsupported pod version: {version}"
    if subscript is not None:
        if name in ("metadata.annotations", "metadata.labels"):
            return ""
        return f"field label does not support subscript: {field}"
    return "" if field in _FIELDS or field == "spec.host" else f"field label not supported: {field}"


def check_resource_reference(reference: Object, path: Path, errors: FieldErrors, *, volume: bool = False) -> None:
    resource = reference.get("resource", "")
    if volume and not reference.get("containerName"):
        errors.required(path / "containerName")
    elif not resource:
        errors.required(path / "resource")
    elif resource not in _RESOURCES and not resource.startswith(_HUGE_PAGES):
        errors.not_supported(path / "resource", resource, _RESOURCES)
    _check_divisor(resource, reference.get("divisor"), path / "divisor", errors)


def _check_divisor(resource: str, divisor: str | int | None, path: Path, errors: FieldErrors) -> None:
    if divisor is None:
        return
    try:
        if amount(divisor) == 0:
            return
        spelling = canonical(divisor)
    except ValueError as problem:
        errors.invalid(path, divisor, str(problem))
        return
    kind = "hugepages" if resource.startswith(_HUGE_PAGES) else resource.partition(".")[2]
    if kind in _DIVISORS and spelling not in _DIVISORS[kind][0]:
        errors.invalid(path, resource, _DIVISORS[kind][1])


def check_file(item: Object, path: Path, errors: FieldErrors) -> None:
    """One file of a downward API volume. Kubernetes names the volume's path, not the item's."""
    if not item.get("path"):
        errors.required(path / "path")
    check_relative_unreserved(errors, path / "path", item.get("path", ""))
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None:
        check_field_reference(field, path / "fieldRef", errors, volume=True)
        if resource is not None:
            errors.invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
    elif resource is not None:
        check_resource_reference(resource, path / "resourceFieldRef", errors, volume=True)
    else:
        errors.required(path, "one of fieldRef and resourceFieldRef is required")
    check_mode(errors, item, path, "mode")
