"""Whose is what: a controller's selector and the owner references of what it selects, brought to agree.

An object that a controller owns and no longer selects is released, one that nobody controls and it selects is adopted;
what another controls is left alone.
https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#non-template-pod-acquisitions
Whether to adopt is decided on a live read of the controller, and every patch names the version it saw: of two that
would have an orphan, one gets it.
"""

from __future__ import annotations

from ropewalk.base.errors import Retryable
from ropewalk.kube.controllers.following import found
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, metadata, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.resources import GroupResource

AGAIN_SECONDS = 0.1


def controller_reference(owner: Object) -> Object:
    """As the objects that `owner` controls carry it."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


class Claims:
    """Of one controller, in one reconcile."""

    def __init__(self, api: Api, owners: GroupResource, owner: Object) -> None:
        self._api = api
        self._owners = owners
        self._owner = owner
        self._asked: bool | None = None

    async def adopt(self, resource: GroupResource, obj: Object) -> bool:
        """Whether it is the owner's now."""
        if not await self._may_adopt():
            raise Retryable(f"{name_of(self._owner)} is going: it adopts nothing", after=AGAIN_SECONDS)
        references = [*(metadata(obj).get("ownerReferences") or ()), controller_reference(self._owner)]
        return await self._patch(resource, obj, references)

    async def release(self, resource: GroupResource, obj: Object) -> None:
        references = metadata(obj).get("ownerReferences") or ()
        left = [each for each in references if each.get("uid") != uid_of(self._owner)]
        await self._patch(resource, obj, left)

    async def _may_adopt(self) -> bool:
        if self._asked is None:
            live = await found(self._api, self._owners, namespace_of(self._owner), name_of(self._owner))
            self._asked = (
                live is not None
                and uid_of(live) == uid_of(self._owner)
                and metadata(live).get("deletionTimestamp") is None
            )
        return self._asked

    async def _patch(self, resource: GroupResource, obj: Object, references: list[Object]) -> bool:
        meta = {"uid": uid_of(obj), "resourceVersion": metadata(obj)["resourceVersion"]}
        patch = {"metadata": {**meta, "ownerReferences": references or None}}
        try:
            await self._api.patch(resource, namespace_of(obj), name_of(obj), patch)
        except StatusFault as fault:
            if fault.status == 404:
                return False
            if fault.reason == "Conflict":
                raise Retryable(fault.message, after=AGAIN_SECONDS) from fault
            raise
        return True
