"""Requirements of resources: which names a container may ask for, how much, and that no request exceeds its limit.
https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from functools import lru_cache

from ropewalk.kube.kinds.core.checks import (
    NOT_NEGATIVE,
    REMEMBERED,
    amount,
    canonical,
    check_format,
    label_problems,
    milli,
    qualified_problems,
)
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

HUGE_PAGES = "hugepages-"
_NATIVE = "kubernetes.io/"
_REQUESTS = "requests."
COMPUTE = frozenset({"cpu", "memory", "ephemeral-storage"})
"""What a container may ask for, beside huge pages and extended resources."""
COUNTED = frozenset(
    {
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)
OF_QUOTAS = COUNTED | COMPUTE | {f"{kind}.{name}" for kind in ("requests", "limits") for name in COMPUTE}
OF_QUOTAS |= {"requests.storage"}
_OF_PODS = ("cpu", "hugepages-", "memory")
"""What may be asked for a pod as a whole; huge pages of any size."""


def is_huge_page(name: str) -> bool:
    return name.startswith(HUGE_PAGES)


def is_native(name: str) -> bool:
    """Kubernetes' own, as opposed to an extended resource."""
    return "/" not in name or _NATIVE in name


def may_overcommit(name: str) -> bool:
    return is_native(name) and not is_huge_page(name)


def is_for_pods(name: str) -> bool:
    return name in ("cpu", "memory") or is_huge_page(name)


def is_extended(name: str) -> bool:
    return not is_native(name) and not name.startswith(_REQUESTS) and not qualified_problems(_REQUESTS + name)


@lru_cache(maxsize=REMEMBERED)
def _is_counted(name: str) -> bool:
    return name in COUNTED or is_extended(name)


def is_for_quota(name: str) -> bool:
    return name in OF_QUOTAS or name.startswith((HUGE_PAGES, _REQUESTS + HUGE_PAGES))


@lru_cache(maxsize=REMEMBERED)
def name_problems(name: str) -> tuple[str, ...]:
    """Of a resource anywhere."""
    if problems := qualified_problems(name):
        return problems
    if "/" not in name and name != "storage" and not is_for_quota(name):
        return ("must be a standard resource type or fully qualified",)
    return ()


@lru_cache(maxsize=REMEMBERED)
def _container_name_problems(name: str) -> tuple[str, ...]:
    problems = name_problems(name)
    if "/" not in name:
        if name not in COMPUTE and not is_huge_page(name):
            problems = (*problems, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        problems = (*problems, "doesn't follow extended resource name standard")
    return problems


def check_container_resource(errors: FieldErrors, path: Path, name: str) -> None:
    errors.messages(path, name, _container_name_problems(name))


def check_pod_resource(errors: FieldErrors, path: Path, name: str) -> None:
    if problems := name_problems(name):
        errors.messages(path, name, problems)
    elif not is_for_pods(name):
        errors.not_supported(path, name, _OF_PODS)


NameCheck = Callable[[FieldErrors, Path, str], None]


def validate_requirements(
    requirements: Object,
    path: Path,
    errors: FieldErrors,
    claims: Collection[str] = (),
    check_name: NameCheck = check_container_resource,
) -> None:
    """`claims`: the names of the pod's `resourceClaims`."""
    limits = requirements.get("limits") or {}
    requests = requirements.get("requests") or {}
    limited: dict[str, Decimal] = {}
    for name, value in limits.items():
        number = _validate_amount(name, value, path, "limits", errors, check_name)
        if number is not None:
            limited[name] = number
    for name, value in requests.items():
        number = _validate_amount(name, value, path, "requests", errors, check_name)
        if number is not None:
            _compare(name, value, number, limits, limited, path, errors)
    if not _computes(limits) and not _computes(requests) and any(map(is_huge_page, (*limits, *requests))):
        errors.forbidden(path, "HugePages require cpu or memory")
    if asked := requirements.get("claims"):
        _validate_claims(asked, claims, path / "claims", errors)


def _computes(listed: Object) -> bool:
    return "cpu" in listed or "memory" in listed


def _validate_amount(
    name: str, value: str, path: Path, step: str, errors: FieldErrors, check_name: NameCheck
) -> Decimal | None:
    if check_name is not check_container_resource or _container_name_problems(name):
        check_name(errors, (path / step).key(name), name)
    try:
        number = amount(value)
    except ValueError as problem:
        errors.invalid((path / step).key(name), value, str(problem))
        return None
    if number < 0:
        errors.invalid((path / step).key(name), canonical(value), NOT_NEGATIVE)
    if _is_counted(name) and milli(number) % 1000:
        errors.invalid((path / step).key(name), canonical(value), "must be an integer")
    if is_huge_page(name) and not _is_whole_pages(name, number):
        text = f"{canonical(value)} is not positive integer multiple of {name}"
        errors.invalid((path / step).key(name), canonical(value), text)
    return number


def _is_whole_pages(name: str, number: Decimal) -> bool:
    try:
        page = amount(name.removeprefix(HUGE_PAGES))
    except ValueError:
        return False
    return page > 0 and page == int(page) and milli(number) % (int(page) * 1000) == 0


def _compare(
    name: str,
    value: str,
    number: Decimal,
    limits: Object,
    limited: dict[str, Decimal],
    path: Path,
    errors: FieldErrors,
) -> None:
    if name not in limits:
        if not may_overcommit(name):
            errors.required(path / "limits", "Limit must be set for non overcommitable resources")
        return
    limit = limited.get(name)
    if limit is None or number == limit:
        return
    if not may_overcommit(name):
        text = f"must be equal to {name} limit of {canonical(limits[name])}"
        errors.invalid(path / "requests", canonical(value), text)
    elif number > limit:
        text = f"must be less than or equal to {name} limit of {canonical(limits[name])}"
        errors.invalid(path / "requests", canonical(value), text)


def _validate_claims(asked: Sequence[Object], known: Collection[str], path: Path, errors: FieldErrors) -> None:
    seen: set[str] = set()
    for index, claim in enumerate(asked):
        name, request = claim.get("name", ""), claim.get("request", "")
        here = path / index
        if not name:
            errors.required(here)
            continue
        if name in seen:
            errors.duplicate(here, name)
        else:
            key = f"{name}/{request}" if request else name
            if request:
                check_format(errors, here, "request", request, label_problems)
            if key in seen:
                errors.duplicate(here, key)
            elif not request:
                for other in seen:
                    if other.startswith(f"{name}/"):
                        errors.duplicate(here, name)
            seen.add(key)
        if name not in known:
            detail = "must be one of the names in pod.spec.resourceClaims"
            detail += f": {', '.join(sorted(known))}" if known else " which is empty"
            errors.not_found(here, name, detail)
