"""Whether aggregated servers can be reached: the condition Available of every API service that names a service.

Its service must be there and have the port, it must have ready endpoints, and one of them must answer for the group
version. Looked at anew whenever one of these changes, and every half minute.
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/api-service-v1/#APIServiceStatus
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ropewalk.base.clock import Clock
from ropewalk.base.entropy import Entropy
from ropewalk.base.errors import Retryable
from ropewalk.kube.extension.aggregation_client import Client, Destination, Outgoing, Unreachable
from ropewalk.kube.extension.aggregation_proxy import AGGREGATOR, DISCOVERY_SECONDS, remote_user
from ropewalk.kube.extension.aggregation_resolving import (
    SERVICE_NAME,
    SERVICES,
    SLICES,
    Resolver,
    port_name,
    slices_of,
)
from ropewalk.kube.extension.api_services import (
    API_SERVICES,
    ApiService,
    ServiceReference,
    api_service,
    with_condition,
)
from ropewalk.kube.machinery import times
from ropewalk.kube.machinery.api import Api, ObjectChange
from ropewalk.kube.machinery.errors import StatusFault
from ropewalk.kube.machinery.objects import Object, at, labels_of, name_of, namespace_of
from ropewalk.runtime.controller import DONE, Controller, RequeueAfter, Result

LOOK_AGAIN_SECONDS = 30.0
RETRY_SECONDS = 2.0
"""After a check that failed; longer each time, up to the half minute."""
TRIES = 5
"""Endpoints that are asked at once: one that answers will do."""


@dataclass(frozen=True, slots=True)
class Verdict:
    status: str
    reason: str
    message: str


PASSED = Verdict("True", "Passed", "all checks passed")


class AvailabilityController:
    """A `Runnable`, of the leader."""

    name = "API service availability"

    def __init__(self, api: Api, resolver: Resolver, client: Client, clock: Clock, entropy: Entropy) -> None:
        self._api = api
        self._resolver = resolver
        self._client = client
        self._clock = clock
        self._failures: dict[str, int] = {}
        self._controller = Controller(self.name, self._reconcile, clock=clock, entropy=entropy, workers=5)

    async def run(self) -> None:
        self._api.cache(API_SERVICES).on_change(self._service_changed)
        self._api.cache(SERVICES).on_metadata(lambda namespace, name, _: self._backend_changed(namespace, name))
        self._api.cache(SLICES).on_change(self._slice_changed)
        await self._controller.run()

    def _service_changed(self, change: ObjectChange) -> None:
        old, new = change.old, change.new
        if new is None or at(new, "spec", "service") is None:
            return
        if old is None or old.get("spec") != new.get("spec"):
            self._controller.enqueue(name_of(new))

    def _slice_changed(self, change: ObjectChange) -> None:
        name = labels_of(change.present).get(SERVICE_NAME)
        if name:
            self._backend_changed(namespace_of(change.present), name)

    def _backend_changed(self, namespace: str, name: str) -> None:
        for obj in self._api.cache(API_SERVICES).all():
            if (at(obj, "spec", "service", "namespace"), at(obj, "spec", "service", "name")) == (namespace, name):
                self._controller.enqueue(name_of(obj))

    async def _reconcile(self, name: str) -> Result:
        obj = self._api.cache(API_SERVICES).get("", name)
        found = None if obj is None else api_service(obj)
        if obj is None or found is None or found.service is None:
            self._failures.pop(name, None)
            return DONE
        verdict = self._backend(found.service) or await self._answers(found, found.service)
        await self._tell(obj, verdict)
        if verdict.reason != "FailedDiscoveryCheck":
            self._failures.pop(name, None)
            return RequeueAfter(LOOK_AGAIN_SECONDS)
        failures = self._failures[name] = self._failures.get(name, -1) + 1
        return RequeueAfter(min(RETRY_SECONDS * 2 ** min(failures, 10), LOOK_AGAIN_SECONDS))

    def _backend(self, reference: ServiceReference) -> Verdict | None:
        """What is wrong with the service; None where nothing is."""
        called = f'service/{reference.name} in "{reference.namespace}"'
        service = self._api.cache(SERVICES).get(reference.namespace, reference.name)
        if service is None:
            return Verdict("False", "ServiceNotFound", f"{called} is not present")
        if (at(service, "spec", "type") or "ClusterIP") != "ClusterIP":
            return None
        port = port_name(service, reference.port)
        if port is None:
            return Verdict("False", "ServicePortError", f"{called} is not listening on port {reference.port}")
        slices = slices_of(self._api, reference)
        if not slices:
            return Verdict("False", "EndpointsNotFound", f"cannot find endpointslices for {called}")
        if not any(_serves(each, port) for each in slices):
            told = f'endpointslices for {called} have no addresses with port name "{port}"'
            return Verdict("False", "MissingEndpoints", told)
        return None

    async def _answers(self, found: ApiService, reference: ServiceReference) -> Verdict:
        tries = [asyncio.ensure_future(self._ask(found, reference)) for _ in range(TRIES)]
        failure = ""
        try:
            for each in asyncio.as_completed(tries):
                failure = await each
                if not failure:
                    return PASSED
        finally:
            for task in tries:
                task.cancel()
            await asyncio.gather(*tries, return_exceptions=True)
        return Verdict("False", "FailedDiscoveryCheck", failure)

    async def _ask(self, found: ApiService, reference: ServiceReference) -> str:
        """What went wrong; "" where it answered. Certificates are not looked at, as in kube-aggregator: the answer is
        thrown away.
        """
        try:
            host, port = await self._resolver.resolve(reference.namespace, reference.name, reference.port)
        except LookupError as failed:
            return str(failed)
        where = Destination(host, port, reference.server_name, insecure=True)
        url = f"https://{where.authority}{found.path}"
        headers = [("host", where.authority), ("accept", "application/json"), *remote_user(AGGREGATOR)]
        try:
            answer = await self._client.send(where, Outgoing("GET", found.path, headers), DISCOVERY_SECONDS)
        except Unreachable as failed:
            return f'failing or missing response from {url}: Get "{url}": {failed}'
        await answer.aclose()
        if not 200 <= answer.status < 300:
            return f"failing or missing response from {url}: bad status from {url}: {answer.status}"
        return ""

    async def _tell(self, obj: Object, verdict: Verdict) -> None:
        now = times.rfc3339(self._clock.wall())
        revised = with_condition(obj, verdict.status, verdict.reason, verdict.message, now=now)
        if revised is None:
            return
        try:
            await self._api.update(API_SERVICES, revised, subresource="status")
        except StatusFault as fault:
            if fault.reason == "Conflict":
                raise Retryable(fault.message, after=0.2) from fault
            if fault.status != 404:
                raise


def _serves(endpoint_slice: Object, port: str) -> bool:
    ready = any(at(one, "conditions", "ready") is not False for one in endpoint_slice.get("endpoints") or ())
    return ready and any(
        (one.get("name") or "") == port and one.get("port") for one in endpoint_slice.get("ports") or ()
    )
