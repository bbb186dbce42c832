"""Keys `NAMESPACE/NAME` of a resource into a controller's queue, whenever one of its objects changes."""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.kube.machinery.api import Api, Metadata
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, metadata
from ropewalk.kube.machinery.resources import GroupResource


def follow(api: Api, resource: GroupResource, enqueue: Callable[[str], None], *, also_gone: bool = False) -> None:
    """Objects that are there are told at once."""

    def observe(namespace: str, name: str, found: Metadata | None) -> None:
        if found is not None or also_gone:
            enqueue(f"{namespace}/{name}")

    api.cache(resource).on_metadata(observe)


def split(key: str) -> tuple[str, str]:
    namespace, _, name = key.partition("/")
    return namespace, name


async def found(api: Api, resource: GroupResource, namespace: str, name: str) -> Object | None:
    """A current read; None where there is none."""
    try:
        return await api.get(resource, namespace, name)
    except StatusFault as fault:
        if fault.status == 404:
            return None
        raise


async def ensure(api: Api, resource: GroupResource, obj: Object) -> bool:
    """Create it if it is not there, in a namespace that is there and stays; whether it was created."""
    meta = metadata(obj)
    if await found(api, resource, meta.get("namespace", ""), meta["name"]) is not None:
        return False
    try:
        await api.create(resource, obj)
    except StatusFault as fault:
        if fault.reason == "AlreadyExists" or fault.status == 404 or is_terminating(fault):
            return False
        raise
    return True


def is_terminating(fault: StatusFault) -> bool:
    """Nothing can be created, since the namespace is being deleted."""
    causes = fault.details.causes if fault.details is not None else ()
    return any(cause.reason == "NamespaceTerminating" for cause in causes)
