"""Services: one name and address for the pods behind it. This file says what a write does with one; its rules stand in
`service_rules` and `service_families`, what it holds of the cluster's ranges in `service_claims`.
https://kubernetes.io/docs/concepts/services-networking/service/
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from ropewalk.base.errors import Retryable
from ropewalk.kube.kinds.cells import AGE, NAME, field, labels_text, text
from ropewalk.kube.kinds.checks import same
from ropewalk.kube.kinds.core import service_families
from ropewalk.kube.kinds.core.service_addresses import ServiceAddresses
from ropewalk.kube.kinds.core.service_claims import Claims
from ropewalk.kube.kinds.core.service_ranges import held_addresses, held_ports
from ropewalk.kube.kinds.core.service_rules import (
    TOPOLOGY_HINTS,
    TOPOLOGY_MODE,
    has_address,
    validate_kept,
    validate_spec,
    validate_status,
)
from ropewalk.kube.kinds.core.service_shape import (
    CLUSTER_IP,
    EXTERNAL_NAME,
    LOAD_BALANCER,
    NODE_PORT,
    NONE,
    allocates_node_ports,
    cluster_ips,
    is_external,
    needs_health_check,
    node_ports,
    type_of,
    uses_node_ports,
)
from ropewalk.kube.kinds.endpoint_addresses import point_warnings, points_of, points_text
from ropewalk.kube.machinery import addresses, names
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.fields import FieldErrors
from ropewalk.kube.machinery.objects import Object, annotations_of, at, name_of, namespace_of
from ropewalk.kube.machinery.resources import GroupResource
from ropewalk.kube.machinery.strategy import Column, Finish, Selectable, Strategy

if TYPE_CHECKING:
    from ropewalk.kube.machinery.api import Api

ENDPOINTS = GroupResource("", "endpoints")
AFFINITY_SECONDS = 10_800


class Services(Strategy):
    has_status = True
    allow_create_on_update = True
    returns_deleted = True
    kept_under = "services/specs"
    columns = (
        NAME,
        field("Type", "spec", "type"),
        text("Cluster-IP", lambda obj: (cluster_ips(obj) or ["<none>"])[0]),
        Column("External-IP", lambda obj, now: _external_text(obj)),
        Column("Port(s)", lambda obj, now: _ports_text(obj)),
        AGE,
        text("Selector", lambda obj: labels_text(at(obj, "spec", "selector")), 1),
    )
    selectable_fields: ClassVar[Mapping[str, Selectable]] = {
        "spec.clusterIP": lambda service: at(service, "spec", "clusterIP") or "",
        "spec.type": type_of,
    }

    def __init__(self, addresses: ServiceAddresses) -> None:
        self.addresses = addresses

    def name_problems(self, name: str, *, prefix: bool) -> list[str]:
        return names.dns1035_label(name, prefix=prefix)

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("type"):
            spec["type"] = CLUSTER_IP
        _default_affinity(spec)
        for port in spec.get("ports") or ():
            if not port.get("protocol"):
                port["protocol"] = "TCP"
            if not port.get("targetPort"):
                port["targetPort"] = port.get("port", 0)
        if is_external(obj) and not spec.get("externalTrafficPolicy"):
            spec["externalTrafficPolicy"] = "Cluster"
        if spec.get("internalTrafficPolicy") is None and spec["type"] in (CLUSTER_IP, NODE_PORT, LOAD_BALANCER):
            spec["internalTrafficPolicy"] = "Cluster"
        if spec["type"] == LOAD_BALANCER:
            spec.setdefault("allocateLoadBalancerNodePorts", True)
            for point in points_of(obj):
                if point.get("ip"):
                    point.setdefault("ipMode", "VIP")

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        obj["status"] = {"loadBalancer": {}}

    def prepare_update(self, new: Object, old: Object) -> None:
        super().prepare_update(new, old)
        _drop_of_other_types(new, old)

    async def before_create(self, obj: Object, api: Api, *, dry_run: bool) -> Finish | None:
        spec = obj["spec"]
        if spec.get("clusterIP") and not spec.get("clusterIPs"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        return await Claims(self.addresses, api, dry_run=dry_run).create(obj)

    async def before_update(self, new: Object, old: Object, api: Api, *, dry_run: bool) -> Finish | None:
        _keep_allocated(new, old)
        _agree(new["spec"], old["spec"])
        return await Claims(self.addresses, api, dry_run=dry_run).update(new, old)

    async def after_delete(self, obj: Object, api: Api) -> None:
        """Its endpoints go with it, as Kubernetes has it: the next service of its name should not find them."""
        with suppress(StatusFault, Retryable):
            await api.delete(ENDPOINTS, namespace_of(obj), name_of(obj))
        for address in held_addresses(obj):
            await self.addresses.give_address(api, obj, address)
        for port in held_ports(obj):
            await self.addresses.give_port(obj, port)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        validate_spec(obj, None, errors)
        service_families.validate(obj, None, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        service_families.validate_change(new, old, errors)
        validate_kept(new, old, errors)
        validate_spec(new, old, errors)
        service_families.validate(new, old, errors)

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        validate_status(new, old, errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        return service_warnings(new)

    def status_warnings(self, new: Object, old: Object) -> list[str]:
        return point_warnings(new)


def _default_affinity(spec: Object) -> None:
    affinity = spec.get("sessionAffinity") or "None"
    spec["sessionAffinity"] = affinity
    if affinity == "None":
        spec.pop("sessionAffinityConfig", None)
    elif affinity == "ClientIP" and at(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds") is None:
        spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": AFFINITY_SECONDS}}


def _drop_of_other_types(new: Object, old: Object) -> None:
    """What the old type had and the new one has not is dropped; but what this very write changed is refused."""
    now, before = new["spec"], old["spec"]

    def drop_unchanged(*fields: str) -> None:
        for name in fields:
            if same(now.get(name), before.get(name)):
                now.pop(name, None)

    kind, was = type_of(new), type_of(old)
    if was != EXTERNAL_NAME and kind == EXTERNAL_NAME:
        if same(now.get("clusterIP"), before.get("clusterIP")) and same(
            now.get("clusterIPs"), before.get("clusterIPs")
        ):
            now.pop("clusterIP", None)
            now.pop("clusterIPs", None)
        drop_unchanged("ipFamilies", "ipFamilyPolicy")
    if uses_node_ports(old) and not uses_node_ports(new) and set(node_ports(old)) >= set(node_ports(new)):
        for port in now.get("ports") or ():
            port.pop("nodePort", None)
    if needs_health_check(old) and not needs_health_check(new):
        drop_unchanged("healthCheckNodePort")
    if was == LOAD_BALANCER != kind:
        drop_unchanged("allocateLoadBalancerNodePorts", "loadBalancerClass")
    if is_external(old) and not is_external(new):
        drop_unchanged("externalTrafficPolicy")
    if kind != LOAD_BALANCER:
        new["status"] = {**(new.get("status") or {}), "loadBalancer": {}}


def _keep_allocated(new: Object, old: Object) -> None:
    """A client that leaves out what it was given means to keep it."""
    now, before = new["spec"], old["spec"]
    if EXTERNAL_NAME not in (type_of(new), type_of(old)):
        if not now.get("clusterIP") and before.get("clusterIP"):
            now["clusterIP"] = before["clusterIP"]
        if not now.get("clusterIPs") and before.get("clusterIPs"):
            now["clusterIPs"] = list(before["clusterIPs"])
    if allocates_node_ports(new) and allocates_node_ports(old):
        kept = set(node_ports(old)) & set(node_ports(new))
        by_name = {port.get("name", ""): port.get("nodePort", 0) for port in before.get("ports") or ()}
        for port in now.get("ports") or ():
            known = by_name.get(port.get("name", ""), 0)
            if not port.get("nodePort") and known and known not in kept:
                port["nodePort"] = known
    if needs_health_check(new) and needs_health_check(old) and not now.get("healthCheckNodePort"):
        now["healthCheckNodePort"] = before.get("healthCheckNodePort", 0)


def _agree(now: Object, before: Object) -> None:
    """Old clients know `clusterIP` alone: `clusterIPs` follows what they did to it."""
    one, was = now.get("clusterIP") or "", before.get("clusterIP") or ""
    several, were = now.get("clusterIPs") or [], before.get("clusterIPs") or []
    if were and not several and one == was:
        now["clusterIPs"] = list(were)
    if one == was or several != were:
        return
    if was and not one:
        now.pop("clusterIPs", None)
    else:
        now["clusterIPs"] = [one]


def service_warnings(service: Object) -> list[str]:
    spec, found = service["spec"], []
    if TOPOLOGY_HINTS in annotations_of(service):
        found.append(f"annotation {TOPOLOGY_HINTS} is deprecated, please use {TOPOLOGY_MODE} instead")
    if has_address(service):
        for index, address in enumerate(cluster_ips(service)):
            found += addresses.ip_warnings(f"spec.clusterIPs[{index}]", address)
    if type_of(service) == CLUSTER_IP and spec.get("clusterIP") == NONE:
        for name in ("loadBalancerIP", "externalIPs"):
            if spec.get(name):
                found.append(f"spec.{name} is ignored for headless services")
        if spec.get("sessionAffinity") != "None":
            found.append("spec.SessionAffinity is ignored for headless services")
    for index, address in enumerate(spec.get("externalIPs") or ()):
        found += addresses.ip_warnings(f"spec.externalIPs[{index}]", address)
    if spec.get("loadBalancerIP"):
        found += addresses.ip_warnings("spec.loadBalancerIP", spec["loadBalancerIP"])
    for index, cidr in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        found += addresses.cidr_warnings(f"spec.loadBalancerSourceRanges[{index}]", cidr)
    if type_of(service) == EXTERNAL_NAME and spec.get("externalIPs"):
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if type_of(service) != EXTERNAL_NAME and spec.get("externalName"):
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


# --- as a table shows it


def _external_text(service: Object) -> str:
    kind, external = type_of(service), ",".join(at(service, "spec", "externalIPs") or ())
    if kind in (CLUSTER_IP, NODE_PORT):
        return external or "<none>"
    if kind == LOAD_BALANCER:
        points = points_text(service)
        return ",".join(part for part in (points, external) if part) or "<pending>"
    return str(at(service, "spec", "externalName") or "") if kind == EXTERNAL_NAME else "<unknown>"


def _ports_text(service: Object) -> str:
    shown = []
    for port in at(service, "spec", "ports") or ():
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port.get('port', 0)}{node_port}/{port.get('protocol', '')}")
    return ",".join(shown) or "<none>"
