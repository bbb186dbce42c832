"""One resource in one version as the server knows it: names, shape, behaviour, and how its objects are stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ropewalk.kube.machinery.apply.field_sets import FieldSet
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.registry import codec
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo
from ropewalk.kube.machinery.schema import Schema
from ropewalk.kube.machinery.strategy import Strategy
from ropewalk.kube.machinery.structs import complete

Reader = Callable[[Sequence[Object]], Awaitable[list[Object]]]
"""Stored objects, decoded and owned → the same in this version, in their order."""


class BodyReader(Protocol):
    """Reads a request's body as an object of this resource: wrong types refused, unknown fields told."""

    def __call__(self, body: Object, /) -> tuple[Object, list[str]]:
        """(the object, complaints of strict decoding); works in place. Raises BadRequest."""
        ...


@dataclass(frozen=True, slots=True)
class Served:
    info: ResourceInfo
    strategy: Strategy
    schema: Schema
    read_body: BodyReader
    storage: GroupResource
    """Whose keys its objects lie under; another resource's for those that are shown under two names (events)."""
    custom: bool = False
    """A custom resource: its objects keep apiVersion and kind in storage."""
    reader: Reader | None = None
    """Where stored objects must be converted, pruned or defaulted when they are read; None serves the stored bytes."""
    writer: Callable[[Object], Awaitable[Object]] | None = None
    """Where an object of this version must be converted before it is stored."""
    kept: Callable[[Object], Object] | None = None
    """A built-in kind in another version or shape than the one it is kept in: this one → the kept one, and back."""
    shown: Callable[[Object], Object] | None = None
    stored_as: ResourceInfo | None = None
    """The version it is kept in, where that is another."""
    head: bytes = field(default=b"")
    """What a served object begins with; see `codec`."""

    warning: str = ""
    """Told on every request: the version is deprecated."""
    computed: Callable[[], list[Object]] | None = None
    """Of a resource that can only be got and listed, and of which nothing is stored: what there is at this moment. Its
    objects stand at no revision.
    """

    def complete(self, obj: Object) -> None:
        """Add what Go always writes of a built-in kind: `status: {}`, `resources: {}`. In place."""
        if not self.custom:
            complete(obj, self.schema)

    @property
    def passes_bytes(self) -> bool:
        """Whether stored bytes are served without being decoded."""
        return self.reader is None and self.shown is None

    def reset_fields(self, subresource: str) -> FieldSet | None:
        """Fields that a write through this door never owns; None for the usual ones."""
        if not subresource and not self.strategy.has_status:
            return {}
        return self.strategy.reset_fields.get(subresource)

    @property
    def kept_as(self) -> ResourceInfo:
        return self.stored_as or self.info


def head_of(info: ResourceInfo, *, custom: bool) -> bytes:
    return codec.ITEM_HEAD if custom else codec.single_head(info.api_version, info.kind)


async def decoded(served: Served, values: Sequence[tuple[bytes, int]]) -> list[Object]:
    """Stored (value, revision) pairs as objects of the version that is asked for."""
    kept = served.kept_as
    found = [codec.decode(value, revision, kept.api_version, kept.kind) for value, revision in values]
    if served.reader is not None:
        return await served.reader(found)
    if served.shown is not None:
        return [served.shown(obj) for obj in found]
    return found
