"""Subresources beside status: what edits an object through another door, what a POST to one does, and `scale`.

Which kinds have which is told by whoever composes the server; the machinery knows only that they are there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at, metadata
from ropewalk.kube.machinery.registry.aspects import STATUS, Aspect
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.requests import Call
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.machinery.selectors import label_selector_of
from ropewalk.kube.machinery.strategy import ScalePaths

Create = Callable[[Served, str, str, Object, Call], Awaitable[Object]]
"""(resource, namespace, name, body, call) → the answer: eviction, binding, token."""
Evaluate = Callable[[Object, Call], Awaitable[Object]]
"""A resource that is never stored: its object → the same with its status (reviews)."""


@dataclass(frozen=True, slots=True)
class Subresources:
    aspects: Mapping[tuple[GroupResource, str], Aspect] = field(default_factory=dict)
    creators: Mapping[tuple[GroupResource, str], Create] = field(default_factory=dict)
    virtual: Mapping[GroupResource, Evaluate] = field(default_factory=dict)

    def aspect(self, served: Served, name: str) -> Aspect:
        """Raises NotFound where the resource has no such subresource."""
        if name == "status" and served.info.subresource(name) is not None:
            return self.aspects.get((served.info.group_resource, name), STATUS)
        found = self.aspects.get((served.info.group_resource, name))
        if found is None:
            raise errors.path_not_found()
        return found

    async def create(
        self, served: Served, subresource: str, namespace: str, name: str, body: Object, call: Call
    ) -> Object:
        creator = self.creators.get((served.info.group_resource, subresource))
        if creator is None:
            raise errors.path_not_found()
        return await creator(served, namespace, name, body, call)


# --- scale

SCALE_VERSION = "autoscaling/v1"


def scale_of(obj: Object, paths: ScalePaths) -> Object:
    """The `Scale` of an object. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/scale-v1/"""
    meta = metadata(obj)
    shown = {
        key: meta[key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp") if key in meta
    }
    status: Object = {"replicas": at(obj, *paths.status_replicas) or 0}
    selector = at(obj, *paths.selector)
    if isinstance(selector, str):
        status["selector"] = selector
    elif selector:
        given = selector if selector.keys() & {"matchLabels", "matchExpressions"} else {"matchLabels": selector}
        status["selector"] = str(label_selector_of(given))
    replicas = at(obj, *paths.spec_replicas)
    return {
        "kind": "Scale",
        "apiVersion": SCALE_VERSION,
        "metadata": shown,
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def scaled(obj: Object, scale: Object, paths: ScalePaths) -> Object:
    """`obj` (owned) with the replicas that a Scale asks for. Raises Invalid."""
    replicas = at(scale, "spec", "replicas") or 0
    if type(replicas) is not int:
        raise errors.bad_request("Scale in version v1 cannot be handled as a Scale: spec.replicas is no integer")
    if replicas < 0:
        found = FieldErrors()
        found.invalid(Path("spec") / "replicas", replicas, "must be greater than or equal to 0")
        raise found.fault("Scale", "autoscaling", str(metadata(scale).get("name", "")))
    here = obj
    for step in paths.spec_replicas[:-1]:
        here = here.setdefault(step, {})
    here[paths.spec_replicas[-1]] = replicas
    version = metadata(scale).get("resourceVersion")
    if version:
        obj["metadata"]["resourceVersion"] = version
    uid = metadata(scale).get("uid")
    if uid:
        obj["metadata"]["uid"] = uid
    return obj
