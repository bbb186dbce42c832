"""What may be an endpoint's address, a load balancer's, a reference to a backend: rules that services, endpoints,
slices and ingresses share. https://kubernetes.io/docs/concepts/services-networking/service/#custom-endpointslices
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ropewalk.kube.kinds.checks import path_segments
from ropewalk.kube.machinery import addresses, names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at

PROTOCOLS = ("SCTP", "TCP", "UDP")
POINTS = ROOT / "status" / "loadBalancer" / "ingress"
"""Where services and ingresses say through which points they are reached."""


def validate_endpoint_ip(text: str, path: Path, errors: FieldErrors) -> None:
    """Not one that means something only to the machine itself."""
    address = addresses.parse_ip(text)
    if address is None:
        errors.invalid(path, text, "must be a valid IP address")
        return
    if address.is_unspecified:
        errors.invalid(path, text, f"may not be unspecified ({text})")
    if address.is_loopback:
        errors.invalid(path, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        errors.invalid(path, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if _is_link_local_multicast(address):
        errors.invalid(path, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")


def _is_link_local_multicast(address: addresses.Address) -> bool:
    """Of IPv6 whatever its flags are: ff02::1, ff12::1, ff32::1."""
    packed = address.packed
    return packed[:3] == b"\xe0\x00\x00" if address.version == 4 else packed[0] == 0xFF and packed[1] & 0xF == 2


def validate_protocol(value: str | None, path: Path, errors: FieldErrors) -> None:
    if not value:
        errors.required(path)
    elif value not in PROTOCOLS:
        errors.not_supported(path, value, PROTOCOLS)


def validate_ip(text: str, path: Path, errors: FieldErrors, kept: Collection[str] = ()) -> bool:
    """An older field's address; what stood there before (`kept`) may stay. Whether it is one."""
    if text in kept:
        return True
    problems = names.ip(text)
    errors.messages(path, text, problems)
    return not problems


def validate_points(new: Object, old: Object, errors: FieldErrors) -> None:
    """The points of a load balancer's status, without `ipMode`."""
    kept = [point["ip"] for point in points_of(old) if point.get("ip")]
    for index, point in enumerate(points_of(new)):
        here = POINTS / index
        if ip := point.get("ip"):
            validate_ip(ip, here / "ip", errors, kept)
        if hostname := point.get("hostname"):
            errors.messages(here / "hostname", hostname, names.dns1123_subdomain(hostname))
            if addresses.parse_ip(hostname):
                errors.invalid(here / "hostname", hostname, "must be a DNS name, not an IP address")


def point_warnings(obj: Object) -> list[str]:
    """Of a service's or an ingress' status."""
    return [
        warning
        for index, point in enumerate(points_of(obj))
        for warning in addresses.ip_warnings(str(POINTS / index), point.get("ip", ""))
    ]


def points_of(obj: Object) -> Sequence[Object]:
    """Of a service or an ingress: the points of its load balancer."""
    return at(obj, "status", "loadBalancer", "ingress") or ()


def points_text(obj: Object) -> str:
    """As a table shows them."""
    return ",".join(sorted({found for point in points_of(obj) if (found := point.get("ip") or point.get("hostname"))}))


def validate_reference(reference: Object, path: Path, errors: FieldErrors) -> None:
    """A TypedLocalObjectReference."""
    group = reference.get("apiGroup")
    if group is not None:
        errors.messages(path / "apiGroup", group, names.dns1123_subdomain(group))
    path_segments(reference, ("kind", "name"), path, errors)
