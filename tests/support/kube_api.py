"""The inside of a Kubernetes API server without one: an `Api` over dictionaries, for tests of what stands on it.

Nothing is defaulted, validated or admitted; caches follow every write at once. `put` and `drop` change objects without
ceremony. Writes are noted in `log`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from ropewalk.kube.kinds.table import RESOURCES
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.api import Metadata, ObjectChange, Outline
from ropewalk.kube.machinery.objects import Json, Object, copied, labels_of
from ropewalk.kube.machinery.requests import LOOPBACK, User
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo
from ropewalk.kube.machinery.selectors import parse_label_selector

WALL = "2023-11-14T22:13:20Z"


@dataclass(frozen=True, slots=True)
class Write:
    """One call that changed something."""

    verb: str
    resource: GroupResource
    namespace: str
    name: str
    subresource: str
    object: Object | None
    user: User


class MemoryCache:
    """An `ObjectCache`."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Object] = {}
        self._callbacks: list[Callable[[ObjectChange], None]] = []
        self._outline_callbacks: list[Callable[[str, str, Outline | None], None]] = []
        self._indexes: dict[str, Callable[[Object], Iterable[str]]] = {}

    @property
    def is_synced(self) -> bool:
        return True

    async def synced(self) -> None: ...

    def get(self, namespace: str, name: str) -> Object | None:
        return self.objects.get((namespace, name))

    def all(self, namespace: str | None = None) -> list[Object]:
        return [obj for (place, _), obj in sorted(self.objects.items()) if namespace is None or place == namespace]

    def on_change(self, callback: Callable[[ObjectChange], None]) -> None:
        self._callbacks.append(callback)
        for obj in self.all():
            callback(ObjectChange(None, obj))

    def on_metadata(self, callback: Callable[[str, str, Metadata | None], None]) -> None:
        def tell(namespace: str, name: str, outline: Outline | None) -> None:
            callback(namespace, name, None if outline is None else outline.metadata)

        self.on_outline(tell)

    def on_outline(self, callback: Callable[[str, str, Outline | None], None]) -> None:
        self._outline_callbacks.append(callback)
        for (namespace, name), obj in sorted(self.objects.items()):
            callback(namespace, name, _outline(obj))

    def index(self, name: str, keys: Callable[[Object], Iterable[str]]) -> None:
        self._indexes[name] = keys

    def by_index(self, name: str, key: str) -> list[Object]:
        return [obj for obj in self.all() if key in self._indexes[name](obj)]

    def set(self, namespace: str, name: str, new: Object | None) -> None:
        old = self.objects.get((namespace, name))
        if new is not None:
            self.objects[namespace, name] = new
        elif old is not None:
            del self.objects[namespace, name]
        else:
            return
        for callback in self._callbacks:
            callback(ObjectChange(old, new))
        for told in self._outline_callbacks:
            told(namespace, name, None if new is None else _outline(new))


class MemoryApi:
    """An `Api`. Serves the built-in resources."""

    def __init__(self, *objects: tuple[GroupResource, Object]) -> None:
        self.log: list[Write] = []
        self._caches: dict[GroupResource, MemoryCache] = {}
        self._infos: dict[GroupResource, ResourceInfo] = {}
        for info in RESOURCES:
            self._infos.setdefault(info.group_resource, info)
        self._revision = 0
        for resource, obj in objects:
            self.put(resource, obj)

    # --- without ceremony

    def put(self, resource: GroupResource, obj: Object) -> Object:
        """Make it be there, exactly so; uid, resourceVersion and creationTimestamp are added where they are missing."""
        self._revision += 1
        stored = copied(obj)
        metadata = stored.setdefault("metadata", {})
        metadata.setdefault("uid", f"uid-{self._revision}")
        metadata.setdefault("creationTimestamp", WALL)
        metadata["resourceVersion"] = str(self._revision)
        self.cache(resource).set(metadata.get("namespace", ""), metadata["name"], stored)
        found: Object = stored
        return found

    def drop(self, resource: GroupResource, namespace: str, name: str) -> None:
        self.cache(resource).set(namespace, name, None)

    # --- the Protocol

    def info(self, resource: GroupResource) -> ResourceInfo | None:
        return self._infos.get(resource)

    def infos(self) -> list[ResourceInfo]:
        return list(RESOURCES)

    def on_served_change(self, callback: Callable[[], None]) -> None:
        """The built-in resources never cease."""

    def cache(self, resource: GroupResource) -> MemoryCache:
        return self._caches.setdefault(resource, MemoryCache())

    async def get(self, resource: GroupResource, namespace: str, name: str) -> Object:
        return copied(self._present(resource, namespace, name))  # type: ignore[no-any-return]

    async def list(
        self, resource: GroupResource, namespace: str | None = None, *, label_selector: str = ""
    ) -> list[Object]:
        found = self.cache(resource).all(namespace)
        if label_selector:
            selector = parse_label_selector(label_selector)
            found = [obj for obj in found if selector.matches(labels_of(obj))]
        return [copied(obj) for obj in found]

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
        made = copied(obj)
        metadata = made.setdefault("metadata", {})
        if namespace:
            metadata["namespace"] = namespace
        namespace, name = metadata.get("namespace", ""), name or metadata.get("name", "")
        if subresource:
            self.log.append(Write("create", resource, namespace, name, subresource, made, user))
            return made  # type: ignore[no-any-return]
        if not name:
            name = metadata["name"] = f"{metadata['generateName']}{self._revision:05d}"
        if self.cache(resource).get(namespace, name) is not None:
            raise errors.already_exists(resource.resource, resource.group, name)
        self.log.append(Write("create", resource, namespace, name, "", made, user))
        return copied(self.put(resource, made))  # type: ignore[no-any-return]

    async def update(
        self, resource: GroupResource, obj: Object, *, subresource: str = "", user: User = LOOPBACK
    ) -> Object:
        metadata = obj["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        present = self._present(resource, namespace, name)
        if metadata.get("resourceVersion") not in (None, present["metadata"]["resourceVersion"]):
            raise errors.conflict(resource.resource, resource.group, name, errors.OBJECT_MODIFIED)
        self.log.append(Write("update", resource, namespace, name, subresource, copied(obj), user))
        if subresource == "status":
            obj = {**present, "status": obj.get("status", {})}
        return copied(self.put(resource, obj))  # type: ignore[no-any-return]

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
        merged = _merged(self._present(resource, namespace, name), patch)
        self.log.append(Write("patch", resource, namespace, name, subresource, copied(patch), user))
        return copied(self.put(resource, merged))  # type: ignore[no-any-return]

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
        present = self._present(resource, namespace, name)
        if uid not in ("", present["metadata"]["uid"]):
            raise errors.conflict(resource.resource, resource.group, name, "the UID in the precondition does not match")
        self.log.append(Write("delete", resource, namespace, name, "", None, user))
        self.drop(resource, namespace, name)

    def _present(self, resource: GroupResource, namespace: str, name: str) -> Object:
        found = self.cache(resource).get(namespace, name)
        if found is None:
            raise errors.not_found(resource.resource, resource.group, name)
        return found


def _outline(obj: Object) -> Outline:
    return msgspec.json.decode(msgspec.json.encode(obj), type=Outline)


def _merged(present: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copied(patch)
    result = dict(present) if isinstance(present, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merged(result.get(key), value)
    return result
