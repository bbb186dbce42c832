"""ServiceCIDRs say whether services may get addresses of them, and go only once none of these is in use any more.

https://kubernetes.io/docs/tasks/network/extend-service-ip-ranges/
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.kube.controllers.following import follow, found, split
from ropewalk.kube.kinds.core.service_addresses import IP_ADDRESSES, SERVICE_CIDRS, is_managed
from ropewalk.kube.kinds.core.service_ranges import holds, networks_of
from ropewalk.kube.machinery import addresses, conditions, times
from ropewalk.kube.machinery.addresses import Network
from ropewalk.kube.machinery.api import Api, Metadata
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, copied, metadata, name_of
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
GRACE_SECONDS = 10.0
"""Until every server knows of the deletion, and hands out none of its addresses any more."""
READY = "Kubernetes Service CIDR is ready"
IN_USE = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"
AGAIN_SECONDS = 0.2


class ServiceCIDRController:
    """A `Runnable`."""

    name = "service CIDRs"

    def __init__(self, api: Api, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._clock = clock
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy)

    async def run(self) -> None:
        follow(self._api, SERVICE_CIDRS, self._observe, also_gone=True)
        self._api.cache(IP_ADDRESSES).on_metadata(self._observe_address)
        await self._controller.run()

    def _observe(self, key: str) -> None:
        self._controller.enqueue(split(key)[1])
        self._look_at_those_that_wait()

    def _observe_address(self, namespace: str, name: str, present: Metadata | None) -> None:
        self._look_at_those_that_wait()

    def _look_at_those_that_wait(self) -> None:
        for one in self._api.cache(SERVICE_CIDRS).all():
            if metadata(one).get("deletionTimestamp"):
                self._controller.enqueue(name_of(one))

    async def _reconcile(self, name: str) -> Result:
        service_cidr = await found(self._api, SERVICE_CIDRS, "", name)
        if service_cidr is None:
            return DONE
        try:
            if metadata(service_cidr).get("deletionTimestamp"):
                return await self._end(service_cidr)
            if FINALIZER not in finalizers(service_cidr):
                await self._set_finalizers(service_cidr, [*finalizers(service_cidr), FINALIZER])
                return DONE  # its change comes back here
            await set_ready(self._api, service_cidr, ready_condition("True", "", READY), self._clock.wall())
        except StatusFault as fault:
            if fault.status in (404, 409):
                raise Retryable(fault.message, after=AGAIN_SECONDS) from fault
            raise
        return DONE

    async def _end(self, service_cidr: Object) -> Result:
        if FINALIZER not in finalizers(service_cidr):
            return DONE
        others = [one for one in await self._api.list(SERVICE_CIDRS) if name_of(one) != name_of(service_cidr)]
        if is_needed(service_cidr, others, await self._api.list(IP_ADDRESSES)):
            condition = ready_condition("False", "Terminating", IN_USE)
            await set_ready(self._api, service_cidr, condition, self._clock.wall())
            return DONE
        waited = self._clock.wall() - times.parse(metadata(service_cidr)["deletionTimestamp"])
        if waited < GRACE_SECONDS:
            return RequeueAfter(GRACE_SECONDS - waited)
        kept = [name for name in finalizers(service_cidr) if name != FINALIZER]
        await self._set_finalizers(service_cidr, kept)
        return DONE

    async def _set_finalizers(self, service_cidr: Object, wanted: list[str]) -> None:
        changed = copied(service_cidr)
        changed["metadata"]["finalizers"] = wanted
        await self._api.update(SERVICE_CIDRS, changed)


def finalizers(obj: Object) -> list[str]:
    return list(metadata(obj).get("finalizers") or ())


def is_needed(service_cidr: Object, others: Iterable[Object], ip_addresses: Iterable[Object]) -> bool:
    """Whether some address of it would belong to no range any more. Ranges that are going as well do not count, though
    Kubernetes counts them: two that hold the same addresses could go at once.
    """
    own = networks_of(service_cidr)
    staying = [one for one in others if not metadata(one).get("deletionTimestamp")]
    networks = [network for one in staying for network in networks_of(one)]
    if all(any(_covers(other, network) for other in networks) for network in own):
        return False
    return any(_is_alone(one, own, networks) for one in ip_addresses if is_managed(one))


def _covers(outer: Network, inner: Network) -> bool:
    if outer.version != inner.version:
        return False
    return outer.prefixlen <= inner.prefixlen and inner.network_address in outer


def _is_alone(ip_address: Object, own: Sequence[Network], others: Sequence[Network]) -> bool:
    address = addresses.parse_ip(name_of(ip_address))
    if address is None or not any(holds(network, address) for network in own):
        return False
    return not any(holds(network, address) for network in others)


def ready_condition(status: str, reason: str, message: str) -> Object:
    """Without its time."""
    return {"type": "Ready", "status": status, "reason": reason, "message": message}


def found_ready(service_cidr: Object) -> Object | None:
    return conditions.find(at(service_cidr, "status", "conditions"), "Ready")


async def set_ready(api: Api, service_cidr: Object, condition: Object, now: float) -> None:
    """Unless it says so already. The time is that of the last change, whatever changed."""
    present = found_ready(service_cidr)
    if present is not None and all(present.get(name, "") == value for name, value in condition.items()):
        return
    changed = copied(service_cidr)
    kept = conditions.without(at(changed, "status", "conditions"), "Ready")
    stamped = {**condition, "lastTransitionTime": times.rfc3339(now)}
    changed["status"] = {**(changed.get("status") or {}), "conditions": [*kept, stamped]}
    await api.update(SERVICE_CIDRS, changed, subresource="status")
