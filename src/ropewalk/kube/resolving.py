"""Where a service is reached from the control plane: one of its endpoints, as its EndpointSlices say.

Webhooks and aggregated servers are named by service; the control plane dials endpoints itself, not the cluster address,
which exists on nodes only.
"""

from __future__ import annotations

from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.objects import Object, at, labels_of
from ropewalk.kube.machinery.resources import GroupResource

SERVICES = GroupResource("", "services")
SLICES = GroupResource("discovery.k8s.io", "endpointslices")
ENDPOINTS = GroupResource("", "endpoints")
SERVICE_NAME = "kubernetes.io/service-name"


class EndpointResolver:
    """Answers from the caches; raises `LookupError`, saying what is missing."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def resolve(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        """(host, port) of one endpoint that serves."""
        service = self._api.cache(SERVICES).get(namespace, name)
        if service is None:
            raise LookupError(f'service "{name}" not found')
        if at(service, "spec", "type") == "ExternalName":
            return str(service["spec"]["externalName"]), port
        declared = next((one for one in at(service, "spec", "ports") or () if one.get("port") == port), None)
        if declared is None:
            raise LookupError(f'no service port {port} found for service "{name}"')
        found = self._from_slices(namespace, name, declared) or self._from_endpoints(namespace, name, declared)
        if found is None:
            raise LookupError(f'no endpoints available for service "{name}"')
        return found

    def _from_slices(self, namespace: str, name: str, declared: Object) -> tuple[str, int] | None:
        for found in self._api.cache(SLICES).all(namespace):
            if labels_of(found).get(SERVICE_NAME) != name:
                continue
            port = _port_of(found.get("ports"), declared)
            for endpoint in found.get("endpoints") or ():
                if port and endpoint.get("addresses") and at(endpoint, "conditions", "ready") is not False:
                    return str(endpoint["addresses"][0]), port
        return None

    def _from_endpoints(self, namespace: str, name: str, declared: Object) -> tuple[str, int] | None:
        """Endpoints that somebody wrote by hand, for a service without a selector."""
        found = self._api.cache(ENDPOINTS).get(namespace, name)
        for subset in (found or {}).get("subsets") or ():
            port = _port_of(subset.get("ports"), declared)
            for address in subset.get("addresses") or ():
                if port:
                    return str(address["ip"]), port
        return None


def _port_of(ports: list[Object] | None, declared: Object) -> int:
    for port in ports or ():
        if (port.get("name") or "") == (declared.get("name") or "") and port.get("port"):
            return int(port["port"])
    return 0
