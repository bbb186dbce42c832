"""LimitRanger: fills in and checks what containers, pods and claims may ask for in a namespace.
https://kubernetes.io/docs/concepts/policy/limit-range/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import ClassVar

from ropewalk.kube.admission.plugin import PODS, Lookup, Plugin, aggregate, forbidden
from ropewalk.kube.kinds.core.quota_amounts import limits_of, requests_of
from ropewalk.kube.machinery import quantities
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.objects import Object, at, metadata
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo

LIMIT_RANGES = GroupResource("", "limitranges")
CLAIMS = GroupResource("", "persistentvolumeclaims")
ANNOTATION = "kubernetes.io/limit-ranger"


class LimitRanger(Plugin):
    name: ClassVar[str] = "LimitRanger"

    def __init__(self, api: Api) -> None:
        self._limit_ranges = Lookup(api, LIMIT_RANGES)

    def concerns(self, info: ResourceInfo, subresource: str, operation: str) -> tuple[bool, bool]:
        resource = info.group_resource
        pod = resource == PODS and (
            (subresource == "" and operation == "CREATE") or (subresource == "resize" and operation == "UPDATE")
        )
        claim = resource == CLAIMS and subresource == "" and operation in ("CREATE", "UPDATE")
        return pod, pod or claim

    async def mutate(self, admission: Admission) -> None:
        pod = admission.object
        assert pod is not None
        for limit_range in await self._ranges(admission):
            _fill(pod, limit_range)

    async def validate(self, admission: Admission) -> None:
        obj = admission.object
        assert obj is not None
        judge = _pod_problems if admission.info.plural == "pods" else _claim_problems
        for limit_range in await self._ranges(admission):
            problems = [problem for limit in at(limit_range, "spec", "limits") or () for problem in judge(limit, obj)]
            if problems:
                raise forbidden(admission, aggregate(problems))

    async def _ranges(self, admission: Admission) -> list[Object]:
        """None for what is being deleted."""
        if admission.old is not None and metadata(admission.old).get("deletionTimestamp"):
            return []
        return (await self._limit_ranges()).all(admission.namespace)


def _fill(pod: Object, limit_range: Object) -> None:
    """Give containers the defaults they lack; note in an annotation what was set."""
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for limit in at(limit_range, "spec", "limits") or ():
        if limit.get("type") == "Container":
            requests.update(limit.get("defaultRequest") or {})
            limits.update(limit.get("default") or {})
    if not requests and not limits:
        return
    notes: list[str] = []
    for kind, word in (("containers", "container"), ("initContainers", "init container")):
        for container in at(pod, "spec", kind) or ():
            resources = container.setdefault("resources", {})
            for field, single, defaults in (("requests", "request", requests), ("limits", "limit", limits)):
                present = resources.get(field) or {}
                lacking = sorted(defaults.keys() - present.keys())
                if lacking:
                    resources[field] = {**present, **{name: defaults[name] for name in lacking}}
                    notes.append(f"{', '.join(lacking)} {single} for {word} {container.get('name')}")
    if notes:
        about = pod.setdefault("metadata", {})
        told = "LimitRanger plugin set: " + "; ".join(notes)
        about["annotations"] = {**(about.get("annotations") or {}), ANNOTATION: told}


def _pod_problems(limit: Object, pod: Object) -> Iterator[str]:
    kind = limit.get("type")
    if kind == "Container":
        for field in ("containers", "initContainers"):
            for container in at(pod, "spec", field) or ():
                resources = container.get("resources") or {}
                yield from _problems(limit, resources.get("requests") or {}, resources.get("limits") or {})
    elif kind == "Pod":
        yield from _problems(limit, requests_of(pod, overhead=False), limits_of(pod, overhead=False))


def _claim_problems(limit: Object, claim: Object) -> Iterator[str]:
    if limit.get("type") != "PersistentVolumeClaim":
        return
    requests = at(claim, "spec", "resources", "requests") or {}
    for name, least in sorted((limit.get("min") or {}).items()):
        yield from _too_little("PersistentVolumeClaim", name, least, requests, {})
    for name, most in sorted((limit.get("max") or {}).items()):
        told = f"maximum {name} usage per PersistentVolumeClaim is {_text(most)}"
        if name not in requests:
            yield f"{told}.  No request is specified"
        elif quantities.compare(requests[name], most) > 0:
            yield f"{told}, but request is {_text(requests[name])}"


def _problems(limit: Object, requests: Mapping[str, str], limits: Mapping[str, str]) -> Iterator[str]:
    kind = limit["type"]
    for name, least in sorted((limit.get("min") or {}).items()):
        yield from _too_little(kind, name, least, requests, limits)
    for name, most in sorted((limit.get("max") or {}).items()):
        yield from _too_much(kind, name, most, requests, limits)
    for name, ratio in sorted((limit.get("maxLimitRequestRatio") or {}).items()):
        yield from _too_wide(kind, name, ratio, requests, limits)


def _text(amount: str) -> str:
    return quantities.canonical(amount)


def _too_little(
    kind: str, name: str, least: str, requests: Mapping[str, str], limits: Mapping[str, str]
) -> Iterator[str]:
    told = f"minimum {name} usage per {kind} is {_text(least)}"
    if name not in requests:
        yield f"{told}.  No request is specified"
    elif quantities.compare(requests[name], least) < 0:
        yield f"{told}, but request is {_text(requests[name])}"
    elif name in limits and quantities.compare(limits[name], least) < 0:
        yield f"{told}, but limit is {_text(limits[name])}"


def _too_much(kind: str, name: str, most: str, requests: Mapping[str, str], limits: Mapping[str, str]) -> Iterator[str]:
    told = f"maximum {name} usage per {kind} is {_text(most)}"
    if name not in limits:
        yield f"{told}.  No limit is specified"
    elif quantities.compare(limits[name], most) > 0:
        yield f"{told}, but limit is {_text(limits[name])}"
    elif name in requests and quantities.compare(requests[name], most) > 0:
        yield f"{told}, but request is {_text(requests[name])}"


def _too_wide(
    kind: str, name: str, ratio: str, requests: Mapping[str, str], limits: Mapping[str, str]
) -> Iterator[str]:
    told = f"{name} max limit to request ratio per {kind} is {_text(ratio)}"
    requested = quantities.parse(requests.get(name, "0"))
    limited = quantities.parse(limits.get(name, "0"))
    if requested == 0:
        yield f"{told}, but no request is specified or request is 0"
    elif limited == 0:
        yield f"{told}, but no limit is specified or limit is 0"
    elif limited / requested > quantities.parse(ratio):
        yield f"{told}, but provided ratio is {float(Decimal(limited) / requested):f}"
