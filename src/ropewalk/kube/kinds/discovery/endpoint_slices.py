"""Endpoint slices: the addresses behind a service, in bundles.
https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.kinds.cells import AGE, NAME, field, text
from ropewalk.kube.kinds.checks import immutable, same
from ropewalk.kube.kinds.endpoint_addresses import PROTOCOLS, validate_endpoint_ip, validate_ip
from ropewalk.kube.machinery import addresses, names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, labels_of, metadata
from ropewalk.kube.machinery.strategy import Strategy

ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
MOST_ENDPOINTS, MOST_ADDRESSES, MOST_PORTS, MOST_TOPOLOGY, MOST_HINTS = 1000, 100, 20_000, 16, 8
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
CAREFUL = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")
"""Controllers that write canonical addresses: what they write is not looked through for warnings."""
_SHOWN = 3


class EndpointSlices(Strategy):
    has_generation = True
    columns = (
        NAME,
        field("AddressType", "addressType"),
        text("Ports", lambda obj: _some([_port_text(port) for port in obj.get("ports") or ()])),
        text(
            "Endpoints",
            lambda obj: _some(
                [address for endpoint in obj.get("endpoints") or () for address in endpoint.get("addresses") or ()]
            ),
        ),
        AGE,
    )

    def default(self, obj: Object) -> None:
        for port in obj.get("ports") or ():
            port.setdefault("name", "")
            port.setdefault("protocol", "TCP")

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        _drop_topology(obj)

    def prepare_update(self, new: Object, old: Object) -> None:
        if not same(new.get("endpoints"), old.get("endpoints")):
            _drop_topology(new)
        super().prepare_update(new, old)

    def count_generation(self, new: Object, old: Object) -> None:
        """Labels count too: they say whose slice it is."""
        changed = any(not same(new.get(name), old.get(name)) for name in ("addressType", "endpoints", "ports"))
        changed = changed or not same(labels_of(new), labels_of(old))
        new["metadata"]["generation"] = metadata(old).get("generation", 1) + (1 if changed else 0)

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        _validate(obj, errors)
        _validate_endpoints(obj, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        _validate(new, errors)
        if not same(new.get("endpoints"), old.get("endpoints")):
            _validate_endpoints(new, errors)
        immutable(new.get("addressType", ""), old.get("addressType"), ROOT / "addressType", errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        found = []
        if old is None and new.get("addressType") == "FQDN":
            found.append("spec.addressType: FQDN endpoints are deprecated")
        if labels_of(new).get(MANAGED_BY) in CAREFUL:
            return found
        for index, endpoint in enumerate(new.get("endpoints") or ()):
            for place, address in enumerate(endpoint.get("addresses") or ()):
                found += addresses.ip_warnings(f"endpoints[{index}].addresses[{place}]", address)
        return found


def _drop_topology(obj: Object) -> None:
    """A field of v1beta1 that v1 cannot write."""
    for endpoint in obj.get("endpoints") or ():
        endpoint.pop("deprecatedTopology", None)


def _port_text(port: Object) -> str:
    return str(port["port"]) if "port" in port else str(port.get("name", "*"))


def _some(values: Sequence[str]) -> str:
    shown = ",".join(values[:_SHOWN])
    return f"{shown} + {len(values) - _SHOWN} more..." if len(values) > _SHOWN else shown or "<unset>"


def _validate(obj: Object, errors: FieldErrors) -> None:
    kind = obj.get("addressType")
    if not kind:
        errors.required(ROOT / "addressType")
    elif kind not in ADDRESS_TYPES:
        errors.not_supported(ROOT / "addressType", kind, ADDRESS_TYPES)
    _validate_ports(obj.get("ports") or (), ROOT / "ports", errors)


def _validate_ports(ports: Sequence[Object], path: Path, errors: FieldErrors) -> None:
    if len(ports) > MOST_PORTS:
        errors.too_many(path, len(ports), MOST_PORTS)
        return
    seen = set()
    for index, port in enumerate(ports):
        here, name = path / index, port.get("name", "")
        if name:
            errors.messages(here / "name", name, names.dns1123_label(name))
        if name in seen:
            errors.duplicate(here / "name", name)
        seen.add(name)
        if port.get("protocol") not in PROTOCOLS:
            errors.not_supported(here / "protocol", port.get("protocol"), PROTOCOLS)
        if (protocol := port.get("appProtocol")) is not None:
            errors.messages(here / "appProtocol", protocol, names.qualified_name(protocol))


def _validate_endpoints(obj: Object, errors: FieldErrors) -> None:
    endpoints, kind, path = obj.get("endpoints") or (), obj.get("addressType", ""), ROOT / "endpoints"
    if len(endpoints) > MOST_ENDPOINTS:
        errors.too_many(path, len(endpoints), MOST_ENDPOINTS)
        return
    for index, endpoint in enumerate(endpoints):
        here, given = path / index, endpoint.get("addresses") or ()
        if not given:
            errors.required(here / "addresses", "must contain at least 1 address")
        elif len(given) > MOST_ADDRESSES:
            errors.too_many(here / "addresses", len(given), MOST_ADDRESSES)
        for place, address in enumerate(given):
            _validate_address(address, kind, here / "addresses", place, errors)
        if (node := endpoint.get("nodeName")) is not None:
            errors.messages(here / "nodeName", node, names.dns1123_subdomain(node))
        topology = endpoint.get("deprecatedTopology") or {}
        if len(topology) > MOST_TOPOLOGY:
            errors.too_many(here / "deprecatedTopology", len(topology), MOST_TOPOLOGY)
        names.labels(topology, here / "deprecatedTopology", errors)
        if (hostname := endpoint.get("hostname")) is not None:
            errors.messages(here / "hostname", hostname, names.dns1123_label(hostname))
        if (hints := endpoint.get("hints")) is not None:
            _validate_hints(hints, here / "hints", errors)


def _validate_address(address: str, kind: str, path: Path, place: int, errors: FieldErrors) -> None:
    here = path / place
    if kind == "IPv4":
        if validate_ip(address, here, errors):
            if addresses.is_ipv6(address):
                errors.invalid(path, address, "must be an IPv4 address")
            validate_endpoint_ip(address, here, errors)
    elif kind == "IPv6":
        problems = addresses.strict_ip(address)
        errors.messages(here, address, problems)
        if not problems:
            if not addresses.is_ipv6(address):
                errors.invalid(path, address, "must be an IPv6 address")
            validate_endpoint_ip(address, here, errors)
    elif kind == "FQDN":
        _validate_domain_name(address, here, errors)


def _validate_domain_name(name: str, path: Path, errors: FieldErrors) -> None:
    if not name:
        errors.required(path)
        return
    name = name.removesuffix(".")
    if problems := names.dns1123_subdomain(name):
        errors.invalid(path, name, ",".join(problems))
    elif "." not in name:
        errors.invalid(path, name, "should be a domain with at least two segments separated by dots")
    else:
        for label in name.split("."):
            if problems := names.dns1123_label(label):
                errors.invalid(path, label, ",".join(problems))
                return


def _validate_hints(hints: Object, path: Path, errors: FieldErrors) -> None:
    for field_name, check in (("forZones", names.label_value), ("forNodes", names.dns1123_subdomain)):
        given = hints.get(field_name) or ()
        if len(given) > MOST_HINTS:
            errors.too_many(path / field_name, len(given), MOST_HINTS)
            return
        seen = set()
        for index, hint in enumerate(given):
            here, name = path / field_name / index / "name", hint.get("name", "")
            if name in seen:
                errors.duplicate(here, name)
            seen.add(name)
            errors.messages(here, name, check(name))
