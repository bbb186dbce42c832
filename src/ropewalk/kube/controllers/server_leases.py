"""Each API server says that it is there, by a Lease of its own; leases of servers that are gone are removed.

https://kubernetes.io/docs/concepts/architecture/leases/#api-server-identity
"""

from __future__ import annotations

import hashlib

from ropewalk.base.clock import Clock
from ropewalk.kube.controllers.following import ensure, found
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, copied, metadata
from ropewalk.kube.machinery.resources import GroupResource

LEASES = GroupResource("coordination.k8s.io", "leases")
NAMESPACE = "kube-system"
LABEL = "apiserver.kubernetes.io/identity"
SELECTED = f"{LABEL}=kube-apiserver"
RENEW_SECONDS, LEASE_SECONDS = 10.0, 3600
SWEEP_EVERY = 360
"""Renewals between two looks for leases that have run out: an hour."""


def identity(name: str) -> str:
    """The name of a server's lease, from what tells it from the others."""
    return f"apiserver-{hashlib.sha256(name.encode()).hexdigest()[:26]}"


class ServerLeases:
    """A `Runnable`, of every replica."""

    name = "server leases"

    def __init__(self, api: Api, hostname: str, holder: str, clock: Clock) -> None:
        """`hostname` is told; `holder` is this server's own among those that share the store."""
        self._api = api
        self._hostname = hostname
        self._holder = holder
        self._clock = clock

    async def run(self) -> None:
        renewals = 0
        while True:
            try:
                await self._renew()
                if renewals % SWEEP_EVERY == 0:
                    await self._sweep()
                renewals += 1
            except StatusFault as fault:
                if fault.status not in (404, 409):  # the namespace is still to come; somebody else wrote
                    raise
            await self._clock.sleep(RENEW_SECONDS)

    async def _renew(self) -> None:
        name = identity(self._holder)
        now = times.rfc3339_micro(self._clock.wall())
        spec = {"holderIdentity": f"{name}_{self._hostname}", "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now}
        labels = {LABEL: "kube-apiserver", "kubernetes.io/hostname": self._hostname}
        lease: Object = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
            "spec": {**spec, "acquireTime": now},
        }
        if await ensure(self._api, LEASES, lease):
            return
        present = await found(self._api, LEASES, NAMESPACE, name)
        if present is not None:
            changed = copied(present)
            changed["spec"] = {**(changed.get("spec") or {}), **spec}
            await self._api.update(LEASES, changed)

    async def _sweep(self) -> None:
        for lease in await self._api.list(LEASES, NAMESPACE, label_selector=SELECTED):
            renewed, seconds = at(lease, "spec", "renewTime"), at(lease, "spec", "leaseDurationSeconds") or 0
            if renewed and times.parse(renewed) + seconds < self._clock.wall():
                await self._api.delete(LEASES, NAMESPACE, metadata(lease)["name"], uid=metadata(lease)["uid"])
