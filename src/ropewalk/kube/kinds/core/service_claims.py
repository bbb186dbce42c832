"""What a service needs of the ranges, claimed when it is written: families, addresses, node ports.

Works in place on the new object, before validation. Everything claimed is noted, so that a write that fails gives it
back; what a change makes superfluous is given back once it is written. The order and the texts are kube-apiserver's.
https://kubernetes.io/docs/concepts/services-networking/dual-stack/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ropewalk.base.errors import Retryable
from ropewalk.kube.kinds.core import service_families as families
from ropewalk.kube.kinds.core.service_addresses import (
    FULL,
    PORT_TAKEN,
    ServiceAddresses,
    TakenAddress,
    TakenPort,
    Unavailable,
)
from ropewalk.kube.kinds.core.service_shape import (
    allocates_node_ports,
    cluster_ips,
    needs_health_check,
    node_ports,
    uses_node_ports,
)
from ropewalk.kube.machinery.errors import StatusFault, internal_error
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Json, Object, name_of
from ropewalk.kube.machinery.strategy import Finish

if TYPE_CHECKING:
    from ropewalk.kube.machinery.api import Api

SPEC = ROOT / "spec"
_BEFORE_DRY_PORTS = 32_768


class Claims:
    """What one write has taken, and what it will give back."""

    def __init__(self, pool: ServiceAddresses, api: Api, *, dry_run: bool) -> None:
        self._pool = pool
        self._api = api
        self._dry_run = dry_run
        self._taken: list[TakenAddress | TakenPort] = []
        self._own_ports: set[int] = set()
        self._holder: Object = {}
        self._left_addresses: list[str] = []
        self._left_ports: list[int] = []

    async def create(self, service: Object) -> Finish | None:
        """Raises `StatusFault`; then nothing stays claimed."""
        try:
            families.settle(service, None, self._pool.families)
            await self._addresses(service)
            if uses_node_ports(service):
                await self._init_ports(service)
            if needs_health_check(service):
                await self._health_port(service)
        except (StatusFault, Retryable):
            await self._finish(False)
            raise
        return self._to_finish()

    async def update(self, new: Object, old: Object) -> Finish | None:
        self._holder = old
        try:
            families.settle(new, old, self._pool.families)
            await self._changed_addresses(new, old)
            if uses_node_ports(new):
                await self._changed_ports(new, old)
            elif uses_node_ports(old):
                self._left_ports += node_ports(old)
            if needs_health_check(new) and not needs_health_check(old):
                await self._health_port(new)
            elif needs_health_check(old) and not needs_health_check(new):
                self._left_ports.append(old["spec"].get("healthCheckNodePort", 0))
        except (StatusFault, Retryable):
            await self._finish(False)
            raise
        return self._to_finish()

    def _to_finish(self) -> Finish | None:
        changes = self._taken or self._left_addresses or self._left_ports
        return self._finish if changes and not self._dry_run else None

    async def _finish(self, written: bool) -> None:
        if written:
            for text in self._left_addresses:
                await self._pool.give_address(self._api, self._holder, text)
            for port in filter(None, self._left_ports):
                await self._pool.give_port(self._holder, port)
            return
        while self._taken:
            taken = self._taken.pop()
            if isinstance(taken, TakenAddress):
                await self._pool.undo_address(self._api, taken)
            else:
                await self._pool.undo_port(taken)

    # --- addresses

    async def _addresses(self, service: Object) -> None:
        """One of each family; what was asked for, or any."""
        spec = service["spec"]
        given = cluster_ips(service)
        if spec.get("type") == "ExternalName" or given[:1] == ["None"]:
            return
        for place, family in enumerate(spec.get("ipFamilies") or ()):
            asked = given[place] if place < len(given) else ""
            found = await self._address(service, family, asked)
            given = [*given[:place], found, *given[place + 1 :]]
        spec["clusterIPs"] = given
        if given:
            spec["clusterIP"] = given[0]

    async def _address(self, service: Object, family: str, asked: str) -> str:
        try:
            if self._dry_run:
                return await self._dry_address(family, asked)
            if asked:
                taken = await self._pool.take_address(self._api, service, asked)
            else:
                taken = await self._pool.next_address(self._api, service, family)
        except Unavailable as why:
            if str(why) == FULL:
                raise internal_error(f"failed to allocate a serviceIP: {why}") from None
            told = f"failed to allocate IP {asked}: {why}" if asked else f"failed to allocate IP: {why}"
            raise _invalid(service, SPEC / "clusterIPs", cluster_ips(service), told) from None
        self._taken.append(taken)
        return asked or taken.text

    async def _dry_address(self, family: str, asked: str) -> str:
        if not asked:
            return await self._pool.dry_address(self._api, family)
        await self._pool.try_address(self._api, asked)
        return asked

    async def _changed_addresses(self, new: Object, old: Object) -> None:
        if families.is_unchanged(new, old):
            return
        before, now = old["spec"], new["spec"]
        if before.get("type") == "ExternalName" and now.get("type") != "ExternalName":
            await self._addresses(new)
            return
        held = cluster_ips(old)
        if held[:1] == ["None"] or before.get("type") == "ExternalName":
            return
        if now.get("type") == "ExternalName":
            self._left_addresses += held
            return
        had, has = len(before.get("ipFamilies") or ()), len(now.get("ipFamilies") or ())
        if (had, has) == (1, 2):
            given = cluster_ips(new)
            asked = given[1] if len(given) > 1 else ""
            now["clusterIPs"] = [*given[:1], await self._address(new, now["ipFamilies"][1], asked)]
        elif (had, has) == (2, 1) and len(held) > 1:
            self._left_addresses.append(held[1])

    # --- ports

    async def _port(self, service: Object, path: Path, asked: int) -> int:
        try:
            if self._dry_run:
                port = await self._dry_port(asked)
            else:
                taken = await (self._pool.take_port(service, asked) if asked else self._pool.next_port(service))
                self._taken.append(taken)
                port = taken.number
        except Unavailable as why:
            if not asked:
                raise internal_error(f"failed to allocate a nodePort: {why}") from None
            raise _invalid(service, path, asked, str(why)) from None
        self._own_ports.add(port)
        return port

    async def _dry_port(self, asked: int) -> int:
        """A dry run is shown ports that nobody gets."""
        if not asked:
            return max(self._own_ports, default=_BEFORE_DRY_PORTS) + 1
        if asked in self._own_ports:
            raise Unavailable(PORT_TAKEN)
        await self._pool.try_port(asked)
        return asked

    async def _init_ports(self, service: Object) -> None:
        """Ports of the same number (of different protocols) share a node port."""
        ports = service["spec"].get("ports") or ()
        by_number: dict[int, int] = {}
        for index, port in enumerate(ports):
            number, asked = port.get("port", 0), port.get("nodePort", 0)
            if not asked and not allocates_node_ports(service):
                continue
            here = SPEC / "ports" / index / "nodePort"
            shared = by_number.get(number)
            if shared is None:
                same = (
                    found["nodePort"] for found in ports if found.get("port", 0) == number and found.get("nodePort")
                )
                by_number[number] = port["nodePort"] = await self._port(service, here, next(same, 0))
            elif not asked:
                port["nodePort"] = shared
            elif asked != shared:
                await self._port(service, here, asked)

    async def _changed_ports(self, new: Object, old: Object) -> None:
        """Two ports of one node port are for validation to refuse."""
        held = node_ports(old)
        for index, port in enumerate(new["spec"].get("ports") or ()):
            asked = port.get("nodePort", 0)
            if not asked and not allocates_node_ports(new):
                continue
            if not asked or (asked not in held and asked not in self._own_ports):
                port["nodePort"] = await self._port(new, SPEC / "ports" / index / "nodePort", asked)
        now = node_ports(new)
        self._left_ports += [port for port in held if port not in now]

    async def _health_port(self, service: Object) -> None:
        """Kubernetes answers 500 where the asked one cannot be had; it is the client's to change, as any other port."""
        spec = service["spec"]
        asked = spec.get("healthCheckNodePort", 0)
        spec["healthCheckNodePort"] = await self._port(service, SPEC / "healthCheckNodePort", asked)


def _invalid(service: Object, path: Path, value: Json, told: str) -> StatusFault:
    errors = FieldErrors()
    errors.invalid(path, value, told)
    return errors.fault("Service", "", name_of(service))
