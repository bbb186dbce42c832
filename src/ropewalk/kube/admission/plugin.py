"""What the plug-ins share: saying which requests concern one, and refusing.

The chain asks `concerns` once for every kind of request and remembers the answer, so that a plug-in costs nothing
where it has nothing to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.api import Api, ObjectCache
from ropewalk.kube.machinery.errors import Cause, StatusFault
from ropewalk.kube.machinery.objects import metadata
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo

ALL = frozenset({"CREATE", "UPDATE", "DELETE", "CONNECT"})
CREATE = frozenset({"CREATE"})
UPDATE = frozenset({"UPDATE"})
WRITES = frozenset({"CREATE", "UPDATE"})

PODS = GroupResource("", "pods")
NAMESPACES = GroupResource("", "namespaces")


class Plugin:
    """Concerned with `operations` on `resources` (all where None) and `subresources` (all where None)."""

    name: ClassVar[str] = ""
    operations: ClassVar[frozenset[str]] = ALL
    resources: ClassVar[frozenset[GroupResource] | None] = None
    subresources: ClassVar[frozenset[str] | None] = frozenset({""})
    mutates: ClassVar[bool] = False
    validates: ClassVar[bool] = False

    def concerns(self, info: ResourceInfo, subresource: str, operation: str) -> tuple[bool, bool]:
        """Whether requests of this kind are to be mutated, and whether validated, by this plug-in."""
        concerned = (
            operation in self.operations
            and (self.resources is None or info.group_resource in self.resources)
            and (self.subresources is None or subresource in self.subresources)
        )
        return concerned and self.mutates, concerned and self.validates

    async def mutate(self, admission: Admission) -> None: ...

    async def validate(self, admission: Admission) -> None: ...


class Lookup:
    """One resource's cache, for plug-ins that look at it with every request."""

    __slots__ = ("_api", "_cache", "_resource")

    def __init__(self, api: Api, resource: GroupResource) -> None:
        self._api = api
        self._resource = resource
        self._cache: ObjectCache | None = None

    async def __call__(self) -> ObjectCache:
        if self._cache is None:
            self._cache = await ready(self._api, self._resource)
        return self._cache


async def ready(api: Api, resource: GroupResource) -> ObjectCache:
    """The cache, once it is synchronised."""
    cache = api.cache(resource)
    if not cache.is_synced:
        await cache.synced()
    return cache


def resource_name(admission: Admission) -> str:
    """What a refusal calls the object: its name, as far as it has one."""
    if admission.name:
        return admission.name
    if admission.object is not None:
        about = metadata(admission.object)
        return str(about.get("name") or about.get("generateName") or "Unknown")
    return "Unknown"


def forbidden(admission: Admission, why: str, causes: Sequence[Cause] = ()) -> StatusFault:
    return errors.forbidden(admission.info.plural, admission.info.group, resource_name(admission), why, causes=causes)


def aggregate(problems: Sequence[str]) -> str:
    """Several errors in one line, as apimachinery's `Aggregate` prints them."""
    different = list(dict.fromkeys(problems))
    return different[0] if len(different) == 1 else "[" + ", ".join(different) + "]"


def quoted(text: str) -> str:
    """As Go's `%q` prints plain text."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
