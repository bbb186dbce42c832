"""The API from inside the process: what controllers, admission plug-ins and authorizers use instead of HTTP.

Objects are decoded dictionaries, shared with the caches: never change one in place (`objects.copied` first). Calls run
as a user, through the same defaulting, admission, validation and storage as a request over HTTP; authorization is not
asked, as for the loopback client of kube-apiserver's own controllers (system:masters).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from ropewalk.kube.machinery.objects import Json, Object
from ropewalk.kube.machinery.requests import LOOPBACK, User
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What happened to one object. Both present is a change of content; both None never occurs."""

    old: Object | None
    new: Object | None

    @property
    def present(self) -> Object:
        """The newest of the two."""
        found = self.new if self.new is not None else self.old
        assert found is not None
        return found


class OwnerReference(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    block_owner_deletion: bool = False
    controller: bool = False


class Metadata(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What those who look after objects of every kind ask of one."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()
    deletion_timestamp: str = ""
    labels: dict[str, str] = {}


class Outline(msgspec.Struct, frozen=True, gc=False):
    """An object of which only the metadata is decoded yet; the rest waits as bytes for who knows its kind."""

    metadata: Metadata
    spec: msgspec.Raw = msgspec.Raw(b"{}")
    status: msgspec.Raw = msgspec.Raw(b"{}")


class ObjectCache(Protocol):
    """Every object of one resource, kept up to date by a watch of the store: synchronous to read, eventually consistent
    (in the embedded store: current as of the last commit).
    """

    @property
    def is_synced(self) -> bool: ...

    async def synced(self) -> None: ...

    def get(self, namespace: str, name: str) -> Object | None: ...

    def all(self, namespace: str | None = None) -> list[Object]:
        """In key order; all namespaces where None."""
        ...

    def on_change(self, callback: Callable[[ObjectChange], None]) -> None:
        """Called for every change from now on, and at once for all there is (as created). May not block."""
        ...

    def on_metadata(self, callback: Callable[[str, str, Metadata | None], None]) -> None:
        """The same with metadata alone, without decoding objects: (namespace, name, None where it is gone)."""
        ...

    def on_outline(self, callback: Callable[[str, str, Outline | None], None]) -> None:
        """As `on_metadata`, and of the rest as much as the callback decodes of it."""
        ...

    def index(self, name: str, keys: Callable[[Object], Iterable[str]]) -> None:
        """Keep an index under `name`; `keys` says under which keys an object is found."""
        ...

    def by_index(self, name: str, key: str) -> list[Object]: ...


class Api(Protocol):
    """Faults are `StatusFault`s. `resource` names are in their preferred (stored) version."""

    def info(self, resource: GroupResource) -> ResourceInfo | None:
        """None where no such resource is served now."""
        ...

    def infos(self) -> list[ResourceInfo]:
        """All resources served now, in every version."""
        ...

    def on_served_change(self, callback: Callable[[], None]) -> None:
        """Called whenever resources begin or cease to be served."""
        ...

    def cache(self, resource: GroupResource) -> ObjectCache:
        """The shared cache, started at its first use."""
        ...

    async def get(self, resource: GroupResource, namespace: str, name: str) -> Object:
        """A current read."""
        ...

    async def list(
        self, resource: GroupResource, namespace: str | None = None, *, label_selector: str = ""
    ) -> list[Object]: ...

    async def create(
        self,
        resource: GroupResource,
        obj: Object,
        *,
        namespace: str = "",
        subresource: str = "",
        name: str = "",
        user: User = LOOPBACK,
    ) -> Object: ...

    async def update(
        self, resource: GroupResource, obj: Object, *, subresource: str = "", user: User = LOOPBACK
    ) -> Object:
        """Replace at the resourceVersion that `obj` carries (any, where it carries none)."""
        ...

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
        """A JSON merge patch."""
        ...

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
    ) -> None: ...
