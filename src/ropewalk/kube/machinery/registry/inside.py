"""The API from inside the process: `machinery.api.Api` over the registry."""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.api import ObjectCache
from ropewalk.kube.machinery.objects import Json, Object, copied
from ropewalk.kube.machinery.registry import bodies, patching
from ropewalk.kube.machinery.registry.aspects import MAIN, Aspect
from ropewalk.kube.machinery.registry.deletion import DeleteOptions
from ropewalk.kube.machinery.registry.patching import MERGE, Patch
from ropewalk.kube.machinery.registry.reading import ListOptions
from ropewalk.kube.machinery.registry.registry import Registry
from ropewalk.kube.machinery.registry.selection import Selection
from ropewalk.kube.machinery.registry.served import Served, decoded
from ropewalk.kube.machinery.registry.subresources import Subresources
from ropewalk.kube.machinery.registry.writing import Proposal, Transform
from ropewalk.kube.machinery.requests import LOOPBACK, Attributes, Call, User
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo
from ropewalk.kube.machinery.selectors import parse_label_selector

MANAGER = "kube-apiserver"
"""Who owns the fields that the server itself writes; others say their own name (`acting_as`)."""


class InsideApi:
    """See `Api`."""

    def __init__(self, registry: Registry, subresources: Subresources, manager: str = MANAGER) -> None:
        self._registry = registry
        self._subresources = subresources
        self._manager = manager

    def acting_as(self, manager: str) -> InsideApi:
        """The same API; the fields that are written through it belong to another manager."""
        return InsideApi(self._registry, self._subresources, manager)

    def info(self, resource: GroupResource) -> ResourceInfo | None:
        served = self._registry.preferred(resource)
        return None if served is None else served.info

    def infos(self) -> list[ResourceInfo]:
        return self._registry.infos()

    def on_served_change(self, callback: Callable[[], None]) -> None:
        self._registry.on_served_change(callback)

    def cache(self, resource: GroupResource) -> ObjectCache:
        return self._registry.cache(self._served(resource))

    async def get(self, resource: GroupResource, namespace: str, name: str) -> Object:
        served = self._served(resource)
        entry = await self._registry.reader.get(served, namespace, name)
        return (await decoded(served, [(entry.value, int(entry.revision))]))[0]

    async def list(
        self, resource: GroupResource, namespace: str | None = None, *, label_selector: str = ""
    ) -> list[Object]:
        served = self._served(resource)
        selection = Selection(served, parse_label_selector(label_selector) if label_selector else None)
        found = await self._registry.reader.page(served, namespace or "", selection, ListOptions())
        return await decoded(served, [(entry.value, int(entry.revision)) for entry in found.entries])

    async def create(
        self,
        resource: GroupResource,
        obj: Object,
        *,
        namespace: str = "",
        subresource: str = "",
        name: str = "",
        user: User = LOOPBACK,
    ) -> Object:
        served = self._served(resource)
        call = self._call(served, user, "create", namespace, name)
        body = copied(obj)
        namespace = namespace or body.get("metadata", {}).get("namespace", "")
        if subresource:
            return await self._subresources.create(served, subresource, namespace, name, body, call)
        options: Object = {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}
        read = bodies.read(served, body, call)
        return (await self._registry.writer.create(served, read, call, namespace, options)).object

    async def update(
        self, resource: GroupResource, obj: Object, *, subresource: str = "", user: User = LOOPBACK
    ) -> Object:
        served = self._served(resource)
        metadata = obj["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        call = self._call(served, user, "update", namespace, name)

        async def replace(old: Object) -> Proposal:
            return Proposal(bodies.read(served, copied(obj), call))

        return await self._write(served, namespace, name, replace, call, subresource)

    async def patch(
        self,
        resource: GroupResource,
        namespace: str,
        name: str,
        patch: Json,
        *,
        subresource: str = "",
        user: User = LOOPBACK,
    ) -> Object:
        served = self._served(resource)
        call = self._call(served, user, "patch", namespace, name)
        change = patching.transform(served, Patch(MERGE, patch), call, name)
        return await self._write(served, namespace, name, change, call, subresource)

    async def _write(
        self, served: Served, namespace: str, name: str, change: Transform, call: Call, subresource: str
    ) -> Object:
        options: Object = {"kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1"}
        aspect: Aspect = MAIN if not subresource else self._subresources.aspect(served, subresource)
        written = await self._registry.writer.update(served, namespace, name, change, call, options, aspect=aspect)
        return written.object

    async def delete(
        self,
        resource: GroupResource,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        propagation: str = "",
        grace_seconds: int | None = None,
        user: User = LOOPBACK,
    ) -> None:
        served = self._served(resource)
        call = self._call(served, user, "delete", namespace, name)
        options = DeleteOptions(grace_seconds, uid, resource_version, propagation)
        document: Object = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
        await self._registry.writer.delete(served, namespace, name, options, call, document)

    def _served(self, resource: GroupResource) -> Served:
        served = self._registry.preferred(resource)
        if served is None:
            raise errors.path_not_found()
        return served

    def _call(self, served: Served, user: User, verb: str, namespace: str, name: str) -> Call:
        info = served.info
        attributes = Attributes(user, verb, "", info.group, info.version, info.plural, "", namespace, name)
        return Call(user, attributes, info, field_manager=self._manager, field_validation="Ignore")
