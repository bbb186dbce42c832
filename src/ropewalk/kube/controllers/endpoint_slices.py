"""A service's endpoints as EndpointSlices: what each pod is in them, and how they change with the fewest writes. Pure.

https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from ropewalk.kube.controllers.claims import controller_reference
from ropewalk.kube.machinery.objects import Object, at, labels_of, metadata, name_of, namespace_of, uid_of

MANAGER = "endpointslice-controller.k8s.io"
MANAGED_BY, SERVICE_NAME = "endpointslice.kubernetes.io/managed-by", "kubernetes.io/service-name"
HEADLESS = "service.kubernetes.io/headless"
RESERVED = (MANAGED_BY, SERVICE_NAME, HEADLESS)
ZONE = "topology.kubernetes.io/zone"
LARGEST = 100
"""Endpoints of one slice."""
LONGEST_NAME = 253

Key = tuple[object, ...]


@dataclass(slots=True)
class Plan:
    """What is to be written."""

    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


# --- what pods are in them


def is_ready(pod: Object) -> bool:
    conditions = at(pod, "status", "conditions") or ()
    return any((each.get("type"), each.get("status")) == ("Ready", "True") for each in conditions)


def is_headless(service: Object) -> bool:
    return at(service, "spec", "clusterIP") in (None, "", "None")


def addresses_of(pod: Object) -> list[str]:
    """In their usual spelling."""
    listed = [each.get("ip", "") for each in at(pod, "status", "podIPs") or ()] or [at(pod, "status", "podIP") or ""]
    return [str(ip_address(text)) for text in listed if text]


def publishes_unready(service: Object) -> bool:
    return bool(at(service, "spec", "publishNotReadyAddresses"))


def belongs(pod: Object, *, going_too: bool) -> bool:
    """It has an address, and has not ended."""
    if at(pod, "status", "phase") in ("Succeeded", "Failed") or not addresses_of(pod):
        return False
    return going_too or metadata(pod).get("deletionTimestamp") is None


def host_of(pod: Object, service: Object) -> str:
    """The host name that DNS gives it under this service; "" for most."""
    spec = pod.get("spec") or {}
    return str(spec.get("hostname") or "") if spec.get("subdomain") == name_of(service) else ""


def port_of(pod: Object, port: Object) -> int | None:
    """The number behind a service's port; None where the pod has none of that name."""
    target = port.get("targetPort")
    if not isinstance(target, str):
        return int(target or port["port"])
    spec = pod.get("spec") or {}
    sidecars = (each for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always")
    for container in (*(spec.get("containers") or ()), *sidecars):
        for each in container.get("ports") or ():
            if each.get("name") == target and each.get("protocol", "TCP") == port.get("protocol", "TCP"):
                return int(each["containerPort"])
    return None


def ports_of(pod: Object, service: Object) -> list[Object]:
    found = []
    for port in at(service, "spec", "ports") or ():
        number = port_of(pod, port)
        if number is not None:
            made = {"name": port.get("name", ""), "port": number, "protocol": port.get("protocol", "TCP")}
            found.append(made | ({"appProtocol": port["appProtocol"]} if port.get("appProtocol") else {}))
    return found


def endpoint_of(pod: Object, zone: str, service: Object, addresses: list[str]) -> Object:
    serving, going = is_ready(pod), metadata(pod).get("deletionTimestamp") is not None
    conditions = {
        "ready": publishes_unready(service) or (serving and not going),
        "serving": serving,
        "terminating": going,
    }
    target = {"kind": "Pod", "namespace": namespace_of(pod), "name": name_of(pod), "uid": uid_of(pod)}
    made: Object = {"addresses": addresses, "conditions": conditions, "targetRef": target}
    for name, value in (("hostname", host_of(pod, service)), ("nodeName", at(pod, "spec", "nodeName")), ("zone", zone)):
        if value:
            made[name] = value
    return made


# --- how they change


def families_of(service: Object) -> list[str]:
    """The kinds of addresses it wants, as slices call them."""
    listed = at(service, "spec", "ipFamilies")
    if listed:
        return list(dict.fromkeys(listed))
    address = at(service, "spec", "clusterIP") or ""
    if address in ("", "None"):
        return ["IPv4", "IPv6"]
    return [f"IPv{ip_address(address).version}"]


def labels_for(service: Object) -> dict[str, str]:
    made = {key: value for key, value in labels_of(service).items() if key not in RESERVED}
    if is_headless(service):
        made[HEADLESS] = ""
    return made | {SERVICE_NAME: name_of(service), MANAGED_BY: MANAGER}


def plan(service: Object, pods: Sequence[Object], slices: Iterable[Object], zone_of: Callable[[Object], str]) -> Plan:
    """`slices`: those of this service that this controller manages."""
    made = Plan()
    families = families_of(service)
    present = [one for one in slices if one.get("addressType") in families]
    made.delete += [one for one in slices if one.get("addressType") not in families]
    for family in families:
        _plan_family(service, pods, [one for one in present if one["addressType"] == family], family, zone_of, made)
    return made


def _plan_family(
    service: Object,
    pods: Sequence[Object],
    present: list[Object],
    family: str,
    zone_of: Callable[[Object], str],
    whole: Plan,
) -> None:
    wanted: dict[Key, tuple[list[Object], dict[Key, Object]]] = {}
    for pod in pods:
        if not belongs(pod, going_too=True):
            continue
        ports = ports_of(pod, service)
        group = wanted.setdefault(_ports_key(ports), (ports, {}))[1]
        addresses = [text for text in addresses_of(pod) if f"IPv{ip_address(text).version}" == family]
        if addresses:
            endpoint = endpoint_of(pod, zone_of(pod), service, addresses)
            group[_key(endpoint)] = endpoint
    by_ports: dict[Key, list[Object]] = {}
    made = Plan()
    for one in present:
        if _is_owned(one, service):
            by_ports.setdefault(_ports_key(one.get("ports") or []), []).append(one)
        else:
            made.delete.append(one)
    for key, (ports, endpoints) in wanted.items():
        _plan_ports(service, family, ports, endpoints, by_ports.pop(key, []), made)
    made.delete += [one for left in by_ports.values() for one in left]
    if len(made.delete) == len(present) and not made.create:
        _keep_empty(service, family, made)
    _reuse(service, made)
    whole.create += made.create
    whole.update += made.update
    whole.delete += made.delete


def _plan_ports(
    service: Object, family: str, ports: list[Object], wanted: dict[Key, Object], present: list[Object], made: Plan
) -> None:
    """Slices of the same ports: what stays is brought up to date, what is new goes where there is room."""
    labels, unchanged, changed = labels_for(service), [], []
    for one in present:
        before = one.get("endpoints") or []
        kept = [found for each in before if (found := wanted.pop(_key(each), None)) is not None]
        if not kept and before:
            made.delete.append(one)
        elif kept != before or labels_of(one) != labels:
            changed.append(_with(one, kept, labels))
        else:
            unchanged.append(one)
    left = list(wanted.values())
    for one in sorted(changed, key=lambda each: -len(each["endpoints"])):
        room = LARGEST - len(one["endpoints"])
        one["endpoints"], left = one["endpoints"] + left[:room], left[room:]
    while left:
        fit = [one for one in unchanged if len(one.get("endpoints") or []) + len(left) <= LARGEST]
        if fit:
            fullest = max(fit, key=lambda one: len(one.get("endpoints") or []))
            unchanged.remove(fullest)
            changed.append(_with(fullest, [*(fullest.get("endpoints") or []), *left], labels))
            left = []
        else:
            made.create.append(_fresh(service, family, ports, left[:LARGEST]))
            left = left[LARGEST:]
    made.update += changed


def _keep_empty(service: Object, family: str, made: Plan) -> None:
    """A service without endpoints has one empty slice."""
    empty = _fresh(service, family, [], [])
    if len(made.delete) == 1 and _is_like(made.delete[0], empty) and _is_owned(made.delete[0], service):
        made.delete.clear()
    else:
        made.create.append(empty)


def _reuse(service: Object, made: Plan) -> None:
    """Slices that would go are taken for those that would come."""
    for one in tuple(made.delete):
        if not made.create:
            return
        if _is_owned(one, service):
            made.delete.remove(one)
            fresh = made.create.pop()
            made.update.append(_with(one, fresh["endpoints"], labels_for(service)) | {"ports": fresh["ports"]})


def _is_like(one: Object, other: Object) -> bool:
    return (
        not one.get("endpoints")
        and not other.get("endpoints")
        and _ports_key(one.get("ports") or []) == _ports_key(other["ports"])
        and labels_of(one) == labels_of(other)
    )


def _is_owned(one: Object, service: Object) -> bool:
    return any(
        (each.get("uid"), each.get("kind"), each.get("apiVersion")) == (uid_of(service), "Service", "v1")
        for each in metadata(one).get("ownerReferences") or ()
    )


def _key(endpoint: Object) -> Key:
    return at(endpoint, "targetRef", "uid"), *endpoint.get("addresses", ())


def _ports_key(ports: Iterable[Object]) -> Key:
    return tuple(
        sorted(
            (each.get("name", ""), each.get("protocol", "TCP"), each.get("port", 0), each.get("appProtocol", ""))
            for each in ports
        )
    )


def _with(one: Object, endpoints: list[Object], labels: dict[str, str]) -> Object:
    return {**one, "metadata": {**metadata(one), "labels": labels}, "endpoints": list(endpoints)}


def _fresh(service: Object, family: str, ports: list[Object], endpoints: list[Object]) -> Object:
    prefix = f"{name_of(service)}-"
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": prefix if len(prefix) <= LONGEST_NAME else name_of(service),
            "namespace": namespace_of(service),
            "labels": labels_for(service),
            "ownerReferences": [controller_reference(service)],
        },
        "addressType": family,
        "ports": ports,
        "endpoints": endpoints,
    }
