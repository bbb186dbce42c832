"""Every address of a service has its IPAddress object, and every IPAddress made for a service is held by it.

A service and its addresses are written one after the other, so a server that dies between leaves one without the other.
Looked at whenever one of them changes, every three minutes, and once before a server is ready: then services that are
older than their objects get them. What seems wrong in the caches is read anew before anything is done about it.
https://kubernetes.io/docs/reference/networking/virtual-ips/#ip-address-objects
"""

from __future__ import annotations

import asyncio

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.kube.controllers.following import found, split
from ropewalk.kube.controllers.warnings import Warnings
from ropewalk.kube.kinds.core.service_addresses import (
    FAMILY_LABEL,
    IP_ADDRESSES,
    ServiceAddresses,
    address_name,
    address_object,
    is_managed,
    refers_to,
    refers_to_service,
)
from ropewalk.kube.kinds.core.service_ranges import family_of_address, held_addresses, holds
from ropewalk.kube.machinery import addresses, times
from ropewalk.kube.machinery.api import Api, Metadata
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, labels_of, metadata, name_of, namespace_of, uid_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result

SERVICES = GroupResource("", "services")
CONTROLLER = "ipallocator-repair-controller"
EVERY_SECONDS = 180.0
GRACE_SECONDS = 60.0
"""So long a service may take to be written after its address was taken."""
AGAIN_SECONDS = 1.0
BY_ADDRESS = "service address"
OF_SERVICE, OF_ADDRESS = "ClusterIPAllocation", "IPAddressAllocation"


class ServiceAddressRepair:
    """A `Runnable`, of the leader; `once` is for every server that starts."""

    name = "service address repair"

    def __init__(self, api: Api, pool: ServiceAddresses, hostname: str, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._pool = pool
        self._clock = clock
        self._warnings = Warnings(api, CONTROLLER, hostname, clock, entropy)
        self._controller = Controller(
            *(self.name, self._reconcile),
            clock=clock,
            entropy=entropy,
            workers=5,
            everything=lambda: list(self._known),
            turn=_let_others,
        )
        self._known: dict[str, None] = {}
        """The key of every service and address there is."""

    async def run(self) -> None:
        self._api.cache(SERVICES).index(BY_ADDRESS, _names_held)
        self._api.cache(SERVICES).on_metadata(self._observe_service)
        self._api.cache(IP_ADDRESSES).on_metadata(self._observe_address)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._controller.run())
            tasks.create_task(self._rounds())

    async def once(self) -> None:
        """Give every service its objects."""
        for resource in (SERVICES, IP_ADDRESSES):
            await self._api.cache(resource).synced()
        for service in self._api.cache(SERVICES).all():
            await self._repair_service(namespace_of(service), name_of(service))

    async def _rounds(self) -> None:
        while True:
            await self._clock.sleep(EVERY_SECONDS)
            for key in list(self._known):
                self._controller.enqueue(key)

    def _observe_service(self, namespace: str, name: str, present: Metadata | None) -> None:
        self._observe(f"service/{namespace}/{name}", present)

    def _observe_address(self, namespace: str, name: str, present: Metadata | None) -> None:
        self._observe(f"address/{name}", present)
        if present is not None:
            return
        for service in self._api.cache(SERVICES).by_index(BY_ADDRESS, name):
            self._controller.enqueue(f"service/{namespace_of(service)}/{name_of(service)}")

    def _observe(self, key: str, present: Metadata | None) -> None:
        if present is None:
            self._known.pop(key, None)
        else:
            self._known[key] = None
            self._controller.enqueue(key)

    async def _reconcile(self, key: str) -> Result:
        kind, _, rest = key.partition("/")
        try:
            if kind == "service":
                await self._repair_service(*split(rest))
                return DONE
            return await self._repair_address(rest)
        except StatusFault as fault:
            if fault.status in (404, 409):  # somebody else was there meanwhile
                raise Retryable(fault.message, after=AGAIN_SECONDS) from fault
            raise

    # --- from the service's side

    async def _repair_service(self, namespace: str, name: str) -> None:
        service = self._api.cache(SERVICES).get(namespace, name)
        if service is None:
            return
        for text in held_addresses(service):
            await self._repair_held(service, text)

    async def _repair_held(self, service: Object, text: str) -> None:
        name, family = address_name(text), family_of_address(text)
        address = addresses.parse_ip(text)
        if address is None:
            told = "Cluster IP <nil> is not a valid IP; please recreate Service"
            await self._warnings.warn(service, "ClusterIPNotValid", "ClusterIPValidation", told)
            return
        if not any(holds(one.network, address) for one in await self._pool.ranges(self._api)):
            told = f"Cluster IP [{family}]: {name} is not within any configured Service CIDR; please recreate service"
            await self._warnings.warn(service, "ClusterIPOutOfRange", OF_SERVICE, told)
            return
        known = self._api.cache(IP_ADDRESSES).get("", name)
        if known is not None and refers_to(known, service) and _is_labelled(known):
            return
        present = await found(self._api, SERVICES, namespace_of(service), name_of(service))
        if present is not None and name in _names_held(present):
            await self._restore(present, name, await found(self._api, IP_ADDRESSES, "", name))

    async def _restore(self, service: Object, name: str, address: Object | None) -> None:
        """Make the object of this address be, and be the service's."""
        about = f"[{family_of_address(name)}]: {name}"
        if address is None:
            await self._api.create(IP_ADDRESSES, address_object(name, service))
            told = f"Cluster IP {about} is not allocated; repairing"
            await self._warnings.warn(service, "ClusterIPNotAllocated", OF_SERVICE, told)
            return
        if not refers_to(address, service):
            parent = at(address, "spec", "parentRef") or {}
            where = (parent.get("namespace", ""), parent.get("name", ""))
            other = await found(self._api, SERVICES, *where) if refers_to_service(address) else None
            if other is None:
                await self._api.delete(IP_ADDRESSES, "", name, uid=uid_of(address))
                await self._api.create(IP_ADDRESSES, address_object(name, service))
                whose = f"{namespace_of(service)}/{name_of(service)}"
                told = f"the ClusterIP {about} for Service {whose} has a wrong reference; repairing"
                await self._warnings.warn(service, "ClusterIPNotAllocated", OF_SERVICE, told)
                return
            if name in _names_held(other):
                about = about.replace(" ", "")
                told = f"Cluster IP {about} was assigned to multiple services; please recreate service"
                await self._warnings.warn(service, "ClusterIPAlreadyAllocated", OF_SERVICE, told)
        if not _is_labelled(address):
            labels = metadata(address_object(name, service))["labels"]
            await self._api.patch(IP_ADDRESSES, "", name, {"metadata": {"labels": labels, "uid": uid_of(address)}})

    # --- from the address's side

    async def _repair_address(self, name: str) -> Result:
        known = self._api.cache(IP_ADDRESSES).get("", name)
        if known is None or not is_managed(known):
            return DONE
        if not refers_to_service(known):
            parent = _printed(at(known, "spec", "parentRef") or {})
            told = f"IPAddress {name} appears to have been modified, not referencing a Service {parent}: cleaning up"
            return await self._clean(known, "IPAddressNotAllocated", told)
        parent = at(known, "spec", "parentRef")
        where = (parent.get("namespace", ""), parent.get("name", ""))
        service = self._api.cache(SERVICES).get(*where)
        if service is None or name not in _names_held(service):
            service = await found(self._api, SERVICES, *where)
        if service is not None and name in _names_held(service):
            return DONE
        age = self._clock.wall() - times.parse(metadata(known)["creationTimestamp"])
        if age <= GRACE_SECONDS:
            return RequeueAfter(GRACE_SECONDS - age + AGAIN_SECONDS)
        about = f"IPAddress: {name} for Service {where[0]}/{where[1]}"
        if service is None:
            return await self._clean(known, "IPAddressNotAllocated", f"{about} appears to have leaked: cleaning up")
        return await self._clean(known, "IPAddressWrongReference", f"{about} has a wrong reference; cleaning up")

    async def _clean(self, address: Object, reason: str, told: str) -> Result:
        await self._api.delete(IP_ADDRESSES, "", name_of(address), uid=uid_of(address))
        await self._warnings.warn(address, reason, OF_ADDRESS, told)
        return DONE


async def _let_others() -> None:
    """A round looks at everything there is and mostly finds it right, without ever having to wait."""
    await asyncio.sleep(0)


def _names_held(service: Object) -> list[str]:
    return [address_name(text) for text in held_addresses(service)]


def _is_labelled(address: Object) -> bool:
    return is_managed(address) and labels_of(address).get(FAMILY_LABEL) == family_of_address(name_of(address))


def _printed(parent: Object) -> str:
    """As Go prints a reference."""
    fields = ((name, parent.get(name.lower(), "")) for name in ("Group", "Resource", "Namespace", "Name"))
    return f"&ParentReference{{{''.join(f'{name}:{value},' for name, value in fields)}}}"
