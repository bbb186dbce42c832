"""What a pod asks for and may use, all containers together.
https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers

Pure sums over quantities as they are written. Quotas, limit ranges and the scheduler all mean the same by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from ropewalk.kube.machinery import quantities
from ropewalk.kube.machinery.objects import Object, at

Amounts: TypeAlias = dict[str, str]
"""Quantities by resource."""


def added(left: Mapping[str, str], right: Mapping[str, str]) -> Amounts:
    total = dict(left)
    for name, amount in right.items():
        total[name] = quantities.add(total[name], amount) if name in total else str(amount)
    return total


def largest(left: Mapping[str, str], right: Mapping[str, str]) -> Amounts:
    most = dict(left)
    for name, amount in right.items():
        if name not in most or quantities.compare(amount, most[name]) > 0:
            most[name] = str(amount)
    return most


def requests_of(pod: Object, *, overhead: bool = True) -> Amounts:
    return _total(pod, "requests", overhead)


def limits_of(pod: Object, *, overhead: bool = True) -> Amounts:
    return _total(pod, "limits", overhead)


def _total(pod: Object, kind: str, overhead: bool) -> Amounts:
    """Containers run together; init containers one by one, beside those of them that keep running (sidecars)."""
    spec = pod.get("spec") or {}
    running: Amounts = {}
    for container in spec.get("containers") or ():
        running = added(running, _of(container, kind))
    sidecars: Amounts = {}
    starting: Amounts = {}
    for container in spec.get("initContainers") or ():
        asked = _of(container, kind)
        if container.get("restartPolicy") == "Always":
            running, sidecars = added(running, asked), added(sidecars, asked)
            starting = largest(starting, sidecars)
        else:
            starting = largest(starting, added(sidecars, asked))
    total = largest(running, starting)
    total.update(_pod_level(spec, kind))
    if overhead and spec.get("overhead"):
        extra = spec["overhead"]
        total = added(total, extra if kind == "requests" else {name: extra[name] for name in extra if name in total})
    return total


def _of(container: Object, kind: str) -> Amounts:
    found: Amounts = at(container, "resources", kind) or {}
    return found


def _pod_level(spec: Object, kind: str) -> Amounts:
    stated: Amounts = at(spec, "resources", kind) or {}
    return {
        name: amount for name, amount in stated.items() if name in ("cpu", "memory") or name.startswith("hugepages-")
    }


def is_best_effort(pod: Object) -> bool:
    """Whether it asks for no CPU and no memory at all."""
    spec = pod.get("spec") or {}
    holders = [spec, *(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    for holder in holders:
        for kind in ("requests", "limits"):
            amounts = _of(holder, kind)
            if any(name in amounts and quantities.parse(amounts[name]) > 0 for name in ("cpu", "memory")):
                return False
    return True
