"""What an object uses up of a ResourceQuota, and which quotas it counts against. Pure: admission asks before a write,
the quota controller counts all there is.
https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from ropewalk.kube.kinds.core.quota_amounts import Amounts, added, is_best_effort, limits_of, requests_of
from ropewalk.kube.machinery import quantities, times
from ropewalk.kube.machinery.objects import Object, annotations_of, at, metadata
from ropewalk.kube.machinery.resources import GroupResource

Scope: TypeAlias = Object
"""A requirement of a scope selector: scopeName, operator, values."""

PODS = GroupResource("", "pods")
SERVICES = GroupResource("", "services")
CLAIMS = GroupResource("", "persistentvolumeclaims")
RESOURCE_CLAIMS = GroupResource("resource.k8s.io", "resourceclaims")

ALIASES = {
    GroupResource("", "configmaps"): "configmaps",
    GroupResource("", "resourcequotas"): "resourcequotas",
    GroupResource("", "replicationcontrollers"): "replicationcontrollers",
    GroupResource("", "secrets"): "secrets",
}
"""Counted under a short name too, from before `count/…`."""

IGNORED = frozenset(
    {
        GroupResource("", "bindings"),
        GroupResource("", "componentstatuses"),
        GroupResource("", "events"),
        GroupResource("events.k8s.io", "events"),
        GroupResource("authentication.k8s.io", "tokenreviews"),
        GroupResource("authentication.k8s.io", "selfsubjectreviews"),
        GroupResource("authorization.k8s.io", "subjectaccessreviews"),
        GroupResource("authorization.k8s.io", "selfsubjectaccessreviews"),
        GroupResource("authorization.k8s.io", "localsubjectaccessreviews"),
        GroupResource("authorization.k8s.io", "selfsubjectrulesreviews"),
    }
)

_COMPUTE = frozenset(
    {"cpu", "memory", "ephemeral-storage", "pods"}
    | {f"{kind}.{name}" for kind in ("requests", "limits") for name in ("cpu", "memory", "ephemeral-storage")}
)
_REQUIRED = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
_SERVICES = frozenset({"services", "services.nodeports", "services.loadbalancers"})
_CLAIMS = ("persistentvolumeclaims", "requests.storage")
_BY_CLASS = ".storageclass.storage.k8s.io/"
_BY_DEVICE_CLASS = ".deviceclass.resource.k8s.io/devices"
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def count_name(resource: GroupResource) -> str:
    return f"count/{resource}"


# --- usage


def usage(resource: GroupResource, obj: Object, now: float) -> Amounts:
    """What the object uses, by the names that quotas have for it."""
    count = {count_name(resource): "1"}
    if resource == PODS:
        return {**count, **_pod_usage(obj)} if _counts(obj, now) else count
    if resource == SERVICES:
        return {**count, **_service_usage(obj)}
    if resource == CLAIMS:
        return {**count, **_claim_usage(obj)}
    if resource == RESOURCE_CLAIMS:
        return {**count, **_device_usage(obj)}
    if resource in ALIASES:
        return {**count, ALIASES[resource]: "1"}
    return count


def _counts(pod: Object, now: float) -> bool:
    """Whether a pod still uses anything: not once it has ended, nor long after it should have."""
    if at(pod, "status", "phase") in ("Failed", "Succeeded"):
        return False
    deleted, grace = metadata(pod).get("deletionTimestamp"), metadata(pod).get("deletionGracePeriodSeconds")
    return deleted is None or grace is None or now <= times.parse(deleted) + grace


def _pod_usage(pod: Object) -> Amounts:
    found: Amounts = {"pods": "1"}
    requests, limits = requests_of(pod), limits_of(pod)
    for name in ("cpu", "memory", "ephemeral-storage"):
        if name in requests:
            found[name] = found[f"requests.{name}"] = requests[name]
        if name in limits:
            found[f"limits.{name}"] = limits[name]
    for name, amount in requests.items():
        if name.startswith("hugepages-"):
            found[name] = found[f"requests.{name}"] = amount
        elif is_extended(name):
            found[f"requests.{name}"] = amount
    return found


def is_extended(name: str) -> bool:
    """A resource of somebody's own, such as `example.com/gpu`."""
    domain, slash, _ = name.partition("/")
    native = not slash or domain == "kubernetes.io" or domain.endswith(".kubernetes.io")
    return not native and not name.startswith("requests.")


def _service_usage(service: Object) -> Amounts:
    spec = service.get("spec") or {}
    ports = spec.get("ports") or ()
    balanced = spec.get("type") == "LoadBalancer"
    node_ports = 0
    if balanced and spec.get("allocateLoadBalancerNodePorts") is False:
        node_ports = sum(1 for port in ports if port.get("nodePort"))
    elif balanced or spec.get("type") == "NodePort":
        node_ports = len(ports)
    return {"services": "1", "services.loadbalancers": str(int(balanced)), "services.nodeports": str(node_ports)}


def _claim_usage(claim: Object) -> Amounts:
    found: Amounts = {"persistentvolumeclaims": "1"}
    requested = at(claim, "spec", "resources", "requests", "storage")
    if requested is not None:
        allocated = at(claim, "status", "allocatedResources", "storage")
        most = allocated if allocated is not None and quantities.compare(allocated, requested) > 0 else requested
        amount = quantities.parse(most)
        whole = amount == amount.to_integral_value()
        found["requests.storage"] = str(most) if whole else str(quantities.whole(most))
    name = annotations_of(claim).get(_CLASS_ANNOTATION) or at(claim, "spec", "storageClassName")
    if name:
        found.update({f"{name}{_BY_CLASS}{resource}": amount for resource, amount in found.items()})
    return found


def _device_usage(claim: Object) -> Amounts:
    counts: dict[str, int] = {}
    for request in at(claim, "spec", "devices", "requests") or ():
        options = request.get("firstAvailable") or [request.get("exactly") or {}]
        most: dict[str, int] = {}
        for option in options:
            name = option.get("deviceClassName")
            if name:
                asked = 32 if option.get("allocationMode") == "All" else int(option.get("count", 1))
                most[name] = max(most.get(name, 0), asked)
        for name, number in most.items():
            counts[name] = counts.get(name, 0) + number
    return {f"{name}{_BY_DEVICE_CLASS}": str(number) for name, number in counts.items()}


# --- which quotas


def matching_resources(resource: GroupResource, names: Iterable[str]) -> list[str]:
    """Those of a quota's resources that objects of this kind use."""
    return [name for name in names if _is_of(resource, name)]


def _is_of(resource: GroupResource, name: str) -> bool:
    if name == count_name(resource):
        return True
    if resource == PODS:
        asked = name.removeprefix("requests.")
        return name in _COMPUTE or asked.startswith("hugepages-") or (asked != name and is_extended(asked))
    if resource == SERVICES:
        return name in _SERVICES
    if resource == CLAIMS:
        return name in _CLAIMS or any(name.endswith(_BY_CLASS + counted) for counted in _CLAIMS)
    if resource == RESOURCE_CLAIMS:
        return name.endswith(_BY_DEVICE_CLASS)
    return name == ALIASES.get(resource)


def scopes_of(quota: Object) -> list[Scope]:
    spec = quota.get("spec") or {}
    plain = [{"scopeName": name, "operator": "Exists"} for name in spec.get("scopes") or ()]
    return [*plain, *(at(spec, "scopeSelector", "matchExpressions") or ())]


def matches(resource: GroupResource, quota: Object, obj: Object) -> bool:
    """Whether the object counts against the quota."""
    if not matching_resources(resource, hard_of(quota)):
        return False
    return all(in_scope(resource, scope, obj) for scope in scopes_of(quota))


def hard_of(quota: Object) -> Amounts:
    """The limits the controller has taken notice of."""
    found: Amounts = at(quota, "status", "hard") or {}
    return found


def in_scope(resource: GroupResource, scope: Scope, obj: Object) -> bool:
    name = scope.get("scopeName")
    if resource == CLAIMS:
        attributes = at(obj, "spec", "volumeAttributesClassName")
        return bool(name == "VolumeAttributesClass") and _selects(scope, attributes)
    if resource != PODS:
        return False
    spec = obj.get("spec") or {}
    if name in ("Terminating", "NotTerminating"):
        return bool((spec.get("activeDeadlineSeconds") is not None) == (name == "Terminating"))
    if name in ("BestEffort", "NotBestEffort"):
        return bool(is_best_effort(obj) == (name == "BestEffort"))
    if name == "PriorityClass":
        return _selects(scope, spec.get("priorityClassName"))
    return bool(name == "CrossNamespacePodAffinity") and _reaches_across(spec)


def _selects(scope: Scope, value: str | None) -> bool:
    operator = scope.get("operator", "Exists")
    values = scope.get("values") or ()
    if operator == "In":
        return bool(value) and value in values
    if operator == "NotIn":
        return not value or value not in values
    return bool(bool(value) == (operator == "Exists"))


def _reaches_across(spec: Object) -> bool:
    for kind in ("podAffinity", "podAntiAffinity"):
        affinity = at(spec, "affinity", kind) or {}
        terms = list(affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [weighted.get("podAffinityTerm") or {} for weighted in preferred]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False


# --- what must be stated


def missing(resource: GroupResource, names: Iterable[str], obj: Object) -> str:
    """What the pod's containers must say so that the quota can be kept ("must specify …"); "" where nothing lacks."""
    spec = obj.get("spec") or {}
    if resource != PODS or at(spec, "resources"):
        return ""
    lacking: dict[str, set[str]] = {}
    required = _REQUIRED.intersection(names)
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        stated: set[str] = set()
        for kind, prefixes in (("requests", ("", "requests.")), ("limits", ("limits.",))):
            for name in at(container, "resources", kind) or ():
                stated.update(prefix + name for prefix in prefixes)
        for name in required - stated:
            lacking.setdefault(name, set()).add(container.get("name", ""))
    if not lacking:
        return ""
    told = "; ".join(f"{name} for: {','.join(sorted(lacking[name]))}" for name in sorted(lacking))
    return f"must specify {told}"


# --- arithmetic over several resources


def masked(amounts: Mapping[str, str], names: Iterable[str]) -> Amounts:
    wanted = set(names)
    return {name: amount for name, amount in amounts.items() if name in wanted}


def increase(new: Mapping[str, str], old: Mapping[str, str]) -> Amounts:
    """What `new` uses more than `old`; nothing where it uses less."""
    more = {name: quantities.subtract(amount, old.get(name, "0")) for name, amount in new.items()}
    return {name: amount for name, amount in more.items() if quantities.parse(amount) > 0}


def exceeded(used: Mapping[str, str], hard: Mapping[str, str]) -> list[str]:
    return [name for name in used if name in hard and quantities.compare(used[name], hard[name]) > 0]


def total(resource: GroupResource, quota: Object, objects: Iterable[Object], now: float) -> Amounts:
    """What all objects of one kind use of a quota's resources: the controller's count."""
    names = matching_resources(resource, at(quota, "spec", "hard") or {})
    used: Amounts = dict.fromkeys(names, "0")
    for obj in objects:
        if all(in_scope(resource, scope, obj) for scope in scopes_of(quota)):
            used = added(used, masked(usage(resource, obj, now), names))
    return used


def pretty(amounts: Mapping[str, str]) -> str:
    """`cpu=1,memory=2Gi`, as refusals have it."""
    return ",".join(f"{name}={quantities.canonical(amounts[name])}" for name in sorted(amounts))
