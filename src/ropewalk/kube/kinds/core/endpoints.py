"""Endpoints: the addresses behind a service, in the old shape that had no slices.
https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoints-v1/
"""

from __future__ import annotations

from collections.abc import Iterator

from ropewalk.kube.kinds.cells import AGE, NAME
from ropewalk.kube.kinds.checks import same
from ropewalk.kube.kinds.endpoint_addresses import validate_endpoint_ip, validate_ip, validate_protocol
from ropewalk.kube.machinery import addresses, names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, labels_of
from ropewalk.kube.machinery.strategy import Column, Strategy

SUBSETS = ROOT / "subsets"
DEPRECATION = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
"""Warned about at every request."""
MANAGED_BY, CONTROLLER = "endpoints.kubernetes.io/managed-by", "endpoint-controller"
_SHOWN = 3


class Endpoints(Strategy):
    allow_create_on_update = True
    kept_under = "services/endpoints"
    columns = (NAME, Column("Endpoints", lambda obj, now: _text(obj)), AGE)

    def default(self, obj: Object) -> None:
        for subset in obj.get("subsets") or ():
            for port in subset.get("ports") or ():
                if not port.get("protocol"):
                    port["protocol"] = "TCP"

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        for index, subset in enumerate(obj.get("subsets") or ()):
            _validate_subset(subset, SUBSETS / index, errors)

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        if not same(new.get("subsets"), old.get("subsets")):
            self.validate_create(new, errors)

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        if labels_of(new).get(MANAGED_BY) == CONTROLLER:
            return []
        found = []
        for index, subset in enumerate(new.get("subsets") or ()):
            for kind in ("addresses", "notReadyAddresses"):
                for place, address in enumerate(subset.get(kind) or ()):
                    field = f"subsets[{index}].{kind}[{place}].ip"
                    found += addresses.ip_warnings(field, address.get("ip", ""))
        return found


def _shown(obj: Object) -> Iterator[str]:
    for subset in obj.get("subsets") or ():
        ready = [address.get("ip", "") for address in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        if not ports:
            yield from ready
        for port in ports:
            for ip in ready:
                yield f"[{ip}]:{port.get('port', 0)}" if ":" in ip else f"{ip}:{port.get('port', 0)}"


def _text(obj: Object) -> str:
    if not obj.get("subsets"):
        return "<none>"
    listed = list(_shown(obj))
    some = ",".join(listed[:_SHOWN])
    return some if len(listed) <= _SHOWN else f"{some} + {len(listed) - _SHOWN} more..."


def _validate_subset(subset: Object, path: Path, errors: FieldErrors) -> None:
    ready, other = subset.get("addresses") or (), subset.get("notReadyAddresses") or ()
    if not ready and not other:
        errors.required(path, "must specify `addresses` or `notReadyAddresses`")
    for kind, found in (("addresses", ready), ("notReadyAddresses", other)):
        for index, address in enumerate(found):
            _validate_address(address, path / kind / index, errors)
    ports = subset.get("ports") or ()
    for index, port in enumerate(ports):
        _validate_port(port, len(ports) > 1, path / "ports" / index, errors)


def _validate_address(address: Object, path: Path, errors: FieldErrors) -> None:
    ip = address.get("ip", "")
    validate_ip(ip, path / "ip", errors)
    if hostname := address.get("hostname"):
        errors.messages(path / "hostname", hostname, names.dns1123_label(hostname))
    if (node := address.get("nodeName")) is not None:
        errors.messages(path / "nodeName", node, names.dns1123_subdomain(node))
    validate_endpoint_ip(ip, path / "ip", errors)


def _validate_port(port: Object, needs_name: bool, path: Path, errors: FieldErrors) -> None:
    name, number = port.get("name"), port.get("port", 0)
    if name:
        errors.messages(path / "name", name, names.dns1123_label(name))
    elif needs_name:
        errors.required(path / "name")
    errors.messages(path / "port", number, names.port_number(number))
    validate_protocol(port.get("protocol"), path / "protocol", errors)
    if (protocol := port.get("appProtocol")) is not None:
        errors.messages(path / "appProtocol", protocol, names.qualified_name(protocol))
