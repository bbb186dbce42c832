"""Where the service of an API service is reached: one of its ready endpoints, as kube-aggregator picks them.

https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/ (--enable-aggregator-routing)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ropewalk.base.entropy import Entropy
from ropewalk.kube.extension.api_services import ServiceReference
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.resources import GroupResource

SERVICES = GroupResource("", "services")
SLICES = GroupResource("discovery.k8s.io", "endpointslices")
SERVICE_NAME = "kubernetes.io/service-name"
INDEX = "service"
ROUTED = ("ClusterIP", "LoadBalancer", "NodePort")


class Unresolved(LookupError):
    """It cannot be reached; the text says why."""


class Resolver(Protocol):
    async def resolve(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        """Host and port. Raises `LookupError`, saying why not."""
        ...


class EndpointResolver:
    """By the caches of services and endpoint slices. An ExternalName is dialled as it is."""

    def __init__(self, api: Api, entropy: Entropy) -> None:
        self._api = api
        self._entropy = entropy

    async def resolve(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        service = ServiceReference(namespace, name, port)
        found = self._api.cache(SERVICES).get(service.namespace, service.name)
        if found is None:
            raise Unresolved(f'service "{service.name}" not found')
        kind = at(found, "spec", "type") or "ClusterIP"
        if kind == "ExternalName":
            return str(at(found, "spec", "externalName") or ""), service.port
        if kind not in ROUTED:
            raise Unresolved(f'unsupported service type "{kind}"')
        called = port_name(found, service.port)
        if called is None:
            raise Unresolved(f'no service port {service.port} found for service "{service.name}"')
        choices = endpoints(slices_of(self._api, service), called, at(found, "spec", "ipFamilies", 0) or "IPv4")
        if not choices:
            raise Unresolved(f'no endpoints available for service "{service.name}"')
        return choices[int(self._entropy.random() * len(choices))]


def slices_of(api: Api, service: ServiceReference) -> list[Object]:
    return [
        found
        for found in api.cache(SLICES).all(service.namespace)
        if at(found, "metadata", "labels", SERVICE_NAME) == service.name
    ]


def port_name(service: Object, number: int) -> str | None:
    """How the service calls its port; None where it has no such."""
    return next(
        (str(port.get("name") or "") for port in at(service, "spec", "ports") or () if port.get("port") == number), None
    )


def endpoints(slices: Sequence[Object], port: str, family: str) -> list[tuple[str, int]]:
    """Every ready (address, port), of the first family that has any; `family` is tried first."""
    found: dict[str, list[tuple[str, int]]] = {}
    for each in slices:
        numbers = [
            one["port"] for one in each.get("ports") or () if (one.get("name") or "") == port and one.get("port")
        ]
        for endpoint in each.get("endpoints") or ():
            if numbers and endpoint.get("addresses") and at(endpoint, "conditions", "ready") is not False:
                kind = each.get("addressType", "IPv4")
                found.setdefault(kind, []).append((str(endpoint["addresses"][0]), int(numbers[0])))
    return found.get(family) or next(iter(found.values()), [])
