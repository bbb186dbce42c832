"""What a pod calls itself and whom it asks for names. Pure.
https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ropewalk.kube.machinery.objects import Object, at, name_of, namespace_of
from ropewalk.kube.pods.sources import Place

LONGEST_HOSTNAME = 63
LONGEST_FULL_NAME = 64
MOST_SERVERS, MOST_SEARCHES, LONGEST_SEARCHES, LONGEST_SEARCH = 3, 32, 2048, 253
NDOTS = "ndots:5"


class Resolver(NamedTuple):
    servers: tuple[str, ...]
    searches: tuple[str, ...]
    options: tuple[str, ...]


def hostname(pod: Object, place: Place) -> tuple[str, str]:
    """Its name, and the domain that it stands in ("": none)."""
    spec = pod.get("spec") or {}
    if override := spec.get("hostnameOverride"):
        return _cut(override), ""
    name = _cut(spec.get("hostname") or name_of(pod))
    domain = ""
    if spec.get("subdomain"):
        domain = f"{spec['subdomain']}.{namespace_of(pod)}.svc.{place.cluster_domain}"
    full = f"{name}.{domain}"
    if domain and spec.get("setHostnameAsFQDN") and len(full) <= LONGEST_FULL_NAME:
        return full, ""
    return name, domain


def _cut(name: str) -> str:
    return name if len(name) <= LONGEST_HOSTNAME else name[:LONGEST_HOSTNAME].rstrip("-.")


def aliases(pod: Object) -> tuple[tuple[str, str], ...]:
    """(name, address) of what its hosts file names beside itself."""
    given = at(pod, "spec", "hostAliases") or ()
    return tuple((name, each["ip"]) for each in given for name in each.get("hostnames") or ())


def resolver(pod: Object, place: Place) -> Resolver:
    """By its policy, with its own words added; cut where resolvers cut."""
    spec = pod.get("spec") or {}
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "ClusterFirst" and spec.get("hostNetwork"):
        policy = "Default"
    servers, searches, options = place.host_servers, place.host_searches, tuple[str, ...]()
    if policy == "None":
        servers, searches = (), ()
    elif policy != "Default" and place.cluster_servers:
        domain = place.cluster_domain
        servers, options = place.cluster_servers, (NDOTS,)
        searches = (f"{namespace_of(pod)}.svc.{domain}", f"svc.{domain}", domain, *place.host_searches)
    own = spec.get("dnsConfig") or {}
    servers = _once((*servers, *(own.get("nameservers") or ())))
    searches = _once((*searches, *(own.get("searches") or ())))
    return Resolver(servers[:MOST_SERVERS], _fitting(searches), _merged(options, own.get("options") or ()))


def _once(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def _fitting(searches: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(each for each in searches[:MOST_SEARCHES] if len(each) <= LONGEST_SEARCH)
    while len(" ".join(found)) > LONGEST_SEARCHES:
        found = found[:-1]
    return found


def _merged(options: tuple[str, ...], own: Iterable[Object]) -> tuple[str, ...]:
    found = {name: value for name, _, value in (option.partition(":") for option in options)}
    found |= {each["name"]: each.get("value") or "" for each in own if each.get("name")}
    return tuple(f"{name}:{value}" if value else name for name, value in found.items())
