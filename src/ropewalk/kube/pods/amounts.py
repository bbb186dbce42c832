"""A pod's and its containers' resources as the kubelet writes them into control groups. Pure.

https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/ and
https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
"""

from __future__ import annotations

from ropewalk.kube.kinds.core.pod_resources import quality_of_service
from ropewalk.kube.kinds.core.quota_amounts import limits_of, requests_of
from ropewalk.kube.machinery import quantities
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.model.workload import Resources

LEAST_SHARES, MOST_SHARES = 2, 262_144
GUARANTEED, BEST_EFFORT = -997, 1000
NODE_CRITICAL = 2_000_000_000
"""Lowest priority of a pod without which its node is none."""


def of_container(container: Object) -> Resources:
    """A request that is not made is as large as the limit."""
    limits = at(container, "resources", "limits") or {}
    requests = limits | (at(container, "resources", "requests") or {})
    return Resources(
        cpu_millis=quantities.milli(limits.get("cpu", "0")),
        cpu_shares=shares(quantities.milli(requests.get("cpu", "0"))),
        memory_bytes=quantities.whole(limits.get("memory", "0")),
    )


def of_pod(pod: Object) -> Resources:
    """Of all its containers together. A limit holds for the whole only where every part has one."""
    if quality_of_service(pod) == "BestEffort":
        return Resources(cpu_shares=LEAST_SHARES)
    limits = limits_of(pod)
    return Resources(
        cpu_millis=quantities.milli(limits.get("cpu", "0")) if _limited(pod, "cpu") else 0,
        cpu_shares=shares(quantities.milli(requests_of(pod).get("cpu", "0"))),
        memory_bytes=quantities.whole(limits.get("memory", "0")) if _limited(pod, "memory") else 0,
    )


def storage_of_pod(pod: Object) -> int:
    """What it may keep on its node's disk; 0: no limit."""
    return quantities.whole(limits_of(pod).get("ephemeral-storage", "0"))


def _limited(pod: Object, name: str) -> bool:
    spec = pod.get("spec") or {}
    if quantities.milli(at(spec, "resources", "limits", name) or "0"):
        return True
    every = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    return all(quantities.milli(at(each, "resources", "limits", name) or "0") for each in every)


def shares(millis: int) -> int:
    return max(LEAST_SHARES, min(MOST_SHARES, millis * 1024 // 1000))


def out_of_memory_score(pod: Object, container: Object, capacity: int) -> int:
    """How soon the kernel ends its processes where the machine runs out of memory; the more a container has asked for,
    the later. `capacity`: the machine's memory.
    """
    spec = pod.get("spec") or {}
    if (spec.get("priority") or 0) >= NODE_CRITICAL:
        return GUARANTEED
    quality = quality_of_service(pod)
    if quality != "Burstable" or capacity <= 0:
        return GUARANTEED if quality == "Guaranteed" else BEST_EFFORT
    mains = spec.get("containers") or ()
    asked, spare = _asked(container), _spare(pod)
    if container.get("restartPolicy") == "Always" and any(
        each is container for each in spec.get("initContainers") or ()
    ):
        asked = max(asked, min((_asked(each) for each in mains), default=0))
    score = 1000 - 1000 * (asked + spare) // capacity
    # Above the guaranteed ones, and below those that have asked for nothing.
    return max(1000 + GUARANTEED, min(score, BEST_EFFORT - 1))


def _asked(container: Object) -> int:
    return quantities.whole(at(container, "resources", "requests", "memory") or "0")


def _spare(pod: Object) -> int:
    """What the pod as a whole asks for beyond its containers, for each of them."""
    spec = pod.get("spec") or {}
    whole = quantities.whole(at(spec, "resources", "requests", "memory") or "0")
    every = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    return max(0, whole - sum(_asked(each) for each in every)) // len(every) if whole and every else 0
