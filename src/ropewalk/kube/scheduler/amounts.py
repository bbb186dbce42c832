"""How much a pod takes of a node, in the planner's numbers. Pure; worked out once for all pods of a template.

https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import orjson

from ropewalk.kube.kinds.core.quota_amounts import requests_of
from ropewalk.kube.machinery import quantities
from ropewalk.kube.machinery.objects import Object
from ropewalk.planning.demands import CPU, MEMORY

PODS = "pods"
STORAGE = "ephemeral-storage"
UNSTATED = {CPU: "100m", MEMORY: str(200 << 20)}
"""What a container that asks for nothing counts for where nodes are compared."""

Amounts = Mapping[str, int]


def room_of(pod: Object) -> tuple[Amounts, Amounts]:
    """What it takes, and what it weighs (CPU and memory)."""
    spec = pod.get("spec") or {}
    told = [
        [_told(each) for each in spec.get("containers") or ()],
        [_told(each) for each in spec.get("initContainers") or ()],
        spec.get("overhead"),
        spec.get("resources"),
    ]
    return _worked_out(orjson.dumps(told))


def _told(container: Object) -> list[object]:
    return [(container.get("resources") or {}).get("requests"), container.get("restartPolicy")]


@lru_cache(maxsize=4096)
def _worked_out(told: bytes) -> tuple[Amounts, Amounts]:
    containers, inits, overhead, resources = orjson.loads(told)
    spec = {
        "containers": [_container(requests or {}, policy) for requests, policy in containers],
        "initContainers": [_container(requests or {}, policy) for requests, policy in inits],
        "overhead": overhead or {},
        "resources": resources or {},
    }
    asked = numbers(requests_of({"spec": spec}))
    room = {PODS: 1} | {name: asked.pop(name) for name in (CPU, MEMORY, STORAGE) if name in asked}
    room |= dict(sorted(asked.items()))
    for step in ("containers", "initContainers"):
        for container in spec[step]:
            container["resources"]["requests"] = UNSTATED | container["resources"]["requests"]
    weighed = numbers(requests_of({"spec": spec}))
    return room, {name: weighed.get(name, 0) for name in (CPU, MEMORY)}


def _container(requests: Object, policy: str | None) -> Object:
    return {"resources": {"requests": requests}, "restartPolicy": policy}


def numbers(amounts: Mapping[str, str]) -> dict[str, int]:
    """Thousandths of CPU, whole units of everything else."""
    return {
        name: quantities.milli(amount) if name == CPU else quantities.whole(amount) for name, amount in amounts.items()
    }
