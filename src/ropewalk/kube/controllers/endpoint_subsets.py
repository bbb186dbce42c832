"""A service's endpoints as the older Endpoints object. Pure.

https://kubernetes.io/docs/concepts/services-networking/service/#endpoints
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from ropewalk.kube.controllers.endpoint_slices import (
    HEADLESS,
    addresses_of,
    belongs,
    families_of,
    host_of,
    is_headless,
    is_ready,
    port_of,
    publishes_unready,
)
from ropewalk.kube.machinery.objects import Object, annotations_of, at, labels_of, name_of, namespace_of, uid_of

MANAGED_BY, MANAGER = "endpoints.kubernetes.io/managed-by", "endpoint-controller"
OVER_CAPACITY, MOST = "endpoints.kubernetes.io/over-capacity", 1000


def subsets_of(service: Object, pods: Sequence[Object]) -> tuple[list[Object], bool]:
    """The subsets, addresses of the same ports together; whether some had to be left out."""
    unready_too = publishes_unready(service)
    grouped: dict[tuple[tuple[str, int, str, str], ...], tuple[list[Object], list[Object]]] = {}
    wanted = families_of(service)[0]
    for pod in pods:
        own = [text for text in addresses_of(pod) if f"IPv{ip_address(text).version}" == wanted]
        if not own or not belongs(pod, going_too=unready_too):
            continue
        ports = _ports(pod, service)
        if not ports and not (is_headless(service) and not at(service, "spec", "ports")):
            continue
        ready, unready = grouped.setdefault(ports, ([], []))
        (ready if unready_too or is_ready(pod) else unready).append(_address(pod, service, own[0]))
    room, is_cut, made = MOST, False, []
    for ports in sorted(grouped):
        subset: Object = {}
        for name, found in zip(("addresses", "notReadyAddresses"), grouped[ports], strict=True):
            found.sort(key=lambda each: (ip_address(each["ip"]), each["targetRef"]["uid"]))
            is_cut |= len(found) > room
            if found[:room]:
                subset[name] = found[:room]
            room -= len(found[:room])
        if ports:
            subset["ports"] = [_port(*port) for port in ports]
        made.append(subset)
    return made, is_cut


def _ports(pod: Object, service: Object) -> tuple[tuple[str, int, str, str], ...]:
    found = []
    for port in at(service, "spec", "ports") or ():
        number = port_of(pod, port)
        if number is not None:
            found.append((port.get("name", ""), number, port.get("protocol", "TCP"), port.get("appProtocol", "")))
    return tuple(sorted(found))


def _port(name: str, number: int, protocol: str, application: str) -> Object:
    made: Object = {"port": number, "protocol": protocol}
    return made | ({"name": name} if name else {}) | ({"appProtocol": application} if application else {})


def _address(pod: Object, service: Object, address: str) -> Object:
    target = {"kind": "Pod", "namespace": namespace_of(pod), "name": name_of(pod), "uid": uid_of(pod)}
    made: Object = {"ip": address, "targetRef": target}
    for name, value in (("hostname", host_of(pod, service)), ("nodeName", at(pod, "spec", "nodeName"))):
        if value:
            made[name] = value
    return made


def endpoints_for(service: Object, pods: Sequence[Object], present: Object | None, triggered: str) -> Object | None:
    """The object as it should be; None where it is. `triggered`: the time of what changed, "" where that is unknown."""
    subsets, is_cut = subsets_of(service, pods)
    labels = {key: value for key, value in labels_of(service).items() if key != HEADLESS}
    if is_headless(service):
        labels[HEADLESS] = ""
    labels[MANAGED_BY] = MANAGER
    before = annotations_of(present) if present is not None else {}
    if (
        present is not None
        and (present.get("subsets") or []) == subsets
        and labels_of(present) == labels
        and (OVER_CAPACITY in before) == is_cut
    ):
        return None
    annotations = {key: value for key, value in before.items() if key not in (TRIGGER_TIME, OVER_CAPACITY)}
    annotations |= ({TRIGGER_TIME: triggered} if triggered else {}) | ({OVER_CAPACITY: "truncated"} if is_cut else {})
    about: Object = {"name": name_of(service), "namespace": namespace_of(service)}
    about = (dict(present["metadata"]) if present is not None else about) | {"labels": labels}
    about["annotations"] = annotations
    return {**(present or {}), "apiVersion": "v1", "kind": "Endpoints", "metadata": about, "subsets": subsets}


TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"
"""From which on the delay of whoever programs the network can be told."""
