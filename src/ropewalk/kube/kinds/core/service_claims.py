"""What a service needs of the ranges, claimed when it is written: families, addresses, node ports.

Works in place on the new object, before validation; everything claimed is noted, so that a write that fails gives it
back. The order and the texts are kube-apiserver's.
https://kubernetes.io/docs/concepts/services-networking/dual-stack/
"""

from __future__ import annotations

from collections.abc import Callable

from ropewalk.kube.kinds.core import service_families as families
from ropewalk.kube.kinds.core.service_addresses import FULL, ServiceAddresses, Unavailable
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

SPEC = ROOT / "spec"


class Claims:
    """What one write has taken and given so far."""

    def __init__(self, pool: ServiceAddresses, *, dry_run: bool) -> None:
        self._pool = pool
        self._dry_run = dry_run
        self._undo: list[Callable[[], None]] = []
        self._own_ports: set[int] = set()

    def undo(self) -> None:
        while self._undo:
            self._undo.pop()()

    def create(self, service: Object) -> None:
        """Raises `StatusFault`; then nothing stays claimed."""
        try:
            families.settle(service, None, self._pool.families)
            self._addresses(service)
            if uses_node_ports(service):
                self._init_ports(service)
            if needs_health_check(service):
                self._health_port(service)
        except StatusFault:
            self.undo()
            raise

    def update(self, new: Object, old: Object) -> None:
        try:
            families.settle(new, old, self._pool.families)
            self._changed_addresses(new, old)
            if uses_node_ports(new):
                self._changed_ports(new, old)
            elif uses_node_ports(old):
                self._give_ports(node_ports(old))
            if needs_health_check(new) and not needs_health_check(old):
                self._health_port(new)
            elif needs_health_check(old) and not needs_health_check(new):
                self._give_ports([old["spec"].get("healthCheckNodePort", 0)])
        except StatusFault:
            self.undo()
            raise

    # --- addresses

    def _addresses(self, service: Object) -> None:
        """One of each family; what was asked for, or any."""
        spec = service["spec"]
        given = cluster_ips(service)
        if spec.get("type") == "ExternalName" or given[:1] == ["None"]:
            return
        for place, family in enumerate(spec.get("ipFamilies") or ()):
            asked = given[place] if place < len(given) else ""
            found = self._address(service, family, asked)
            given = [*given[:place], found, *given[place + 1 :]]
        spec["clusterIPs"] = given
        if given:
            spec["clusterIP"] = given[0]

    def _address(self, service: Object, family: str, asked: str) -> str:
        try:
            if asked:
                self._pool.take_address(asked, dry_run=self._dry_run)
            else:
                asked = self._pool.next_address(family, dry_run=self._dry_run)
        except Unavailable as why:
            if str(why) == FULL:
                raise internal_error(f"failed to allocate a serviceIP: {why}") from None
            told = f"failed to allocate IP {asked}: {why}" if asked else f"failed to allocate IP: {why}"
            raise _invalid(service, SPEC / "clusterIPs", cluster_ips(service), told) from None
        if not self._dry_run:
            self._undo.append(lambda: self._pool.give_address(asked))
        return asked

    def _give_address(self, text: str) -> None:
        """Given back at once; taken again where the write fails."""
        if self._dry_run:
            return
        self._pool.give_address(text)
        self._undo.append(lambda: self._pool.occupy({"spec": {"clusterIPs": [text]}}))

    def _changed_addresses(self, new: Object, old: Object) -> None:
        if families.is_unchanged(new, old):
            return
        before, now = old["spec"], new["spec"]
        if before.get("type") == "ExternalName" and now.get("type") != "ExternalName":
            self._addresses(new)
            return
        held = cluster_ips(old)
        if held[:1] == ["None"] or before.get("type") == "ExternalName":
            return
        if now.get("type") == "ExternalName":
            for text in held:
                self._give_address(text)
            return
        had, has = len(before.get("ipFamilies") or ()), len(now.get("ipFamilies") or ())
        if (had, has) == (1, 2):
            given = cluster_ips(new)
            asked = given[1] if len(given) > 1 else ""
            now["clusterIPs"] = [*given[:1], self._address(new, now["ipFamilies"][1], asked)]
        elif (had, has) == (2, 1) and len(held) > 1:
            self._give_address(held[1])

    # --- ports

    def _port(self, service: Object, path: Path, asked: int) -> int:
        try:
            if asked:
                if self._dry_run and asked in self._own_ports:
                    raise Unavailable("provided port is already allocated")
                self._pool.take_port(asked, dry_run=self._dry_run)
                port = asked
            else:
                port = self._pool.next_port(dry_run=self._dry_run)
                while self._dry_run and port in self._own_ports:
                    port += 1
        except Unavailable as why:
            if not asked:
                raise internal_error(f"failed to allocate a nodePort: {why}") from None
            raise _invalid(service, path, asked, str(why)) from None
        self._own_ports.add(port)
        if not self._dry_run:
            self._undo.append(lambda: self._pool.give_port(port))
        return port

    def _give_ports(self, ports: list[int]) -> None:
        if self._dry_run:
            return
        for port in filter(None, ports):
            self._pool.give_port(port)
            self._undo.append(lambda port=port: self._pool.occupy(_holding(port)))  # type: ignore[misc]

    def _init_ports(self, service: Object) -> None:
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
                by_number[number] = port["nodePort"] = self._port(service, here, next(same, 0))
            elif not asked:
                port["nodePort"] = shared
            elif asked != shared:
                self._port(service, here, asked)

    def _changed_ports(self, new: Object, old: Object) -> None:
        """Two ports of one node port are for validation to refuse."""
        held = node_ports(old)
        for index, port in enumerate(new["spec"].get("ports") or ()):
            asked = port.get("nodePort", 0)
            if not asked and not allocates_node_ports(new):
                continue
            if not asked or (asked not in held and asked not in self._own_ports):
                port["nodePort"] = self._port(new, SPEC / "ports" / index / "nodePort", asked)
        now = node_ports(new)
        self._give_ports([port for port in held if port not in now])

    def _health_port(self, service: Object) -> None:
        """Kubernetes answers 500 where the asked one cannot be had; it is the client's to change, as any other port."""
        spec = service["spec"]
        asked = spec.get("healthCheckNodePort", 0)
        spec["healthCheckNodePort"] = self._port(service, SPEC / "healthCheckNodePort", asked)


def _holding(port: int) -> Object:
    return {"spec": {"ports": [{"nodePort": port}]}}


def _invalid(service: Object, path: Path, value: Json, told: str) -> StatusFault:
    errors = FieldErrors()
    errors.invalid(path, value, told)
    return errors.fault("Service", "", name_of(service))
