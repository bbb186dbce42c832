"""Resources of a pod as a whole: what its containers add up to, what it asks for itself, and the class of service that
follows. https://kubernetes.io/docs/tasks/configure-pod-container/assign-pod-level-resources/

An init container runs beside the sidecars that started before it, and alone of its kind: the pod needs the most that
any moment of its start needs, or what its containers and sidecars need together.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from ropewalk.kube.kinds.core.checks import amount, canonical
from ropewalk.kube.kinds.core.resources import (
    check_pod_resource,
    is_for_pods,
    is_huge_page,
    may_overcommit,
    validate_requirements,
)
from ropewalk.kube.machinery import quantities
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

Amounts = dict[str, Decimal]
_SERVED = ("cpu", "memory")


def is_sidecar(container: Object) -> bool:
    """Of an init container: it goes on running beside the others."""
    return container.get("restartPolicy") == "Always"


def amounts(container: Object, kind: str) -> Amounts:
    """Its "requests" or "limits"; those that are no quantities left out, as validation tells of them."""
    found: Amounts = {}
    for name, value in ((container.get("resources") or {}).get(kind) or {}).items():
        try:
            found[name] = amount(value)
        except ValueError:
            continue
    return found


Listed = dict[str, str]
"""Resource → quantity, spelled."""


def aggregate(spec: Object, kind: str) -> Listed:
    """What the pod's containers need together, of "requests" or "limits"."""
    total: Listed = {}
    for container in spec.get("containers") or ():
        _add(total, _listed(container, kind))
    sidecars: Listed = {}
    start: Listed = {}
    for container in spec.get("initContainers") or ():
        needed = _listed(container, kind)
        if is_sidecar(container):
            _add(total, needed)
            _add(sidecars, needed)
            needed = dict(sidecars)
        else:
            _add(needed, sidecars)
        _raise_to(start, needed)
    _raise_to(total, start)
    return total


def _listed(container: Object, kind: str) -> Listed:
    listed = (container.get("resources") or {}).get(kind) or {}
    return {name: canonical(listed[name]) for name in amounts(container, kind)}


def _add(total: Listed, more: Listed) -> None:
    for name, value in more.items():
        total[name] = quantities.add(total[name], value) if name in total else value


def _raise_to(total: Listed, least: Listed) -> None:
    for name, value in least.items():
        if name not in total or amount(value) > amount(total[name]):
            total[name] = value


# --- defaults


def default_pod_resources(spec: Object) -> None:
    """Where the pod itself says something: huge pages are limited to what its containers are limited to; requests left
    out are what its containers request, or else its limits.
    """
    resources = spec["resources"]
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    if not limits and not requests:
        return
    for name, value in aggregate(spec, "limits").items():
        if is_huge_page(name) and name not in requests and name not in limits:
            limits[name] = value
    if not limits:
        return
    resources["limits"] = limits
    for name, value in aggregate(spec, "requests").items():
        if name not in requests and is_for_pods(name) and may_overcommit(name):
            requests[name] = value
    for name, value in limits.items():
        if name not in requests and is_for_pods(name):
            requests[name] = value
    if requests:
        resources["requests"] = requests


# --- rules


def validate_pod_resources(spec: Object, claims: Collection[str], path: Path, errors: FieldErrors) -> None:
    resources = spec.get("resources")
    if resources is None:
        return
    here = path / "resources"
    if (spec.get("os") or {}).get("name") == "windows":
        errors.forbidden(here, "may not be set for a windows pod")
        return
    if resources.get("claims") is not None:
        errors.forbidden(here / "claims", "claims may not be set for Resources at pod-level")
    validate_requirements(resources, here, errors, claims, check_pod_resource)
    _validate_consistency(spec, resources, here, errors)


def _validate_consistency(spec: Object, resources: Object, path: Path, errors: FieldErrors) -> None:
    own = {"resources": resources}
    requests, limits = _listed(own, "requests"), _listed(own, "limits")
    for name, value in aggregate(spec, "requests").items():
        if name in requests and amount(value) > amount(requests[name]):
            text = f"must be greater than or equal to aggregate container requests of {value}"
            errors.invalid((path / "requests").key(name), requests[name], text)
    for name, value in aggregate(spec, "limits").items():
        if is_huge_page(name) and name in limits and amount(value) > amount(limits[name]):
            text = f"must be greater than or equal to aggregate container limits of {value}"
            errors.invalid((path / "limits").key(name), limits[name], text)
    for index, container in enumerate(spec.get("containers") or ()):
        for name, value in _listed(container, "limits").items():
            if name in limits and amount(value) > amount(limits[name]):
                text = f"must be less than or equal to pod limits of {limits[name]}"
                errors.invalid((path / "containers" / index).key(name) / "limits", value, text)


# --- class of service


def quality_of_service(pod: Object) -> str:
    """Guaranteed, Burstable or BestEffort.
    https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
    """
    spec = pod.get("spec") or {}
    whole = spec.get("resources")
    holders = _all_containers(spec) if whole is None else [{"resources": whole}]
    requests: Amounts = {}
    limits: Amounts = {}
    guaranteed = True
    for holder in holders:
        _count(requests, amounts(holder, "requests"))
        limited = amounts(holder, "limits")
        _count(limits, limited)
        guaranteed = guaranteed and all(limited.get(name, 0) > 0 for name in _SERVED)
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"


def _count(total: Amounts, more: Amounts) -> None:
    for name in _SERVED:
        if more.get(name, 0) > 0:
            total[name] = total.get(name, Decimal(0)) + more[name]


def _all_containers(spec: Object) -> list[Object]:
    return [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
