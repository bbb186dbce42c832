"""Subresources that are connections: a pod's exec, attach, portforward, log and proxy, a service's proxy.

The pod is read, admission asked (operation CONNECT), and the conversation given to `kube.streams`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ropewalk.base.http.messages import Request, Response
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.access import Authorizer, Verdict
from ropewalk.kube.machinery.admission import Admission, AdmissionChain
from ropewalk.kube.machinery.api import Api
from ropewalk.kube.machinery.http.exchange import Exchange
from ropewalk.kube.machinery.http.front import Connector, forbidden
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.registry.served import Served
from ropewalk.kube.machinery.resources import GroupResource, GroupVersionKind
from ropewalk.kube.streams import proxy

if TYPE_CHECKING:
    from ropewalk.kube.streams.terminate import PodStreams

PODS, SERVICES = GroupResource("", "pods"), GroupResource("", "services")
SLICES = GroupResource("discovery.k8s.io", "endpointslices")
SERVICE_NAME = "kubernetes.io/service-name"
OPTIONS = {
    (PODS, "exec"): "PodExecOptions",
    (PODS, "attach"): "PodAttachOptions",
    (PODS, "portforward"): "PodPortForwardOptions",
    (PODS, "proxy"): "PodProxyOptions",
    (SERVICES, "proxy"): "ServiceProxyOptions",
}
_FLAGS = ("stdin", "stdout", "stderr", "tty")

Carry = Callable[[Request, Object], Awaitable[Response]]


class Connectors:
    def __init__(
        self, api: Api, chain: AdmissionChain, authorizer: Authorizer, streams: Callable[[], PodStreams]
    ) -> None:
        """`streams` makes them, at the first conversation: what they import takes a tenth of a server's start."""
        self._api = api
        self._chain = chain
        self._authorizer = authorizer
        self._make_streams = streams

    @cached_property
    def _streams(self) -> PodStreams:
        return self._make_streams()

    def all(self) -> dict[tuple[GroupResource, str], Connector]:
        """For the front."""
        return {
            (PODS, "exec"): self._session(lambda: self._streams.exec),
            (PODS, "attach"): self._session(lambda: self._streams.attach),
            (PODS, "portforward"): self._session(lambda: self._streams.port_forward),
            (PODS, "log"): self._log,
            (PODS, "proxy"): self._pod_proxy,
            (SERVICES, "proxy"): self._service_proxy,
        }

    def _session(self, carry: Callable[[], Carry]) -> Connector:
        async def connect(served: Served, exchange: Exchange) -> Response:
            if exchange.request.method not in ("GET", "POST"):
                raise _no_such_method()
            if exchange.request.method == "GET":
                await self._require_create(exchange)
            pod = await self._api.get(PODS, exchange.route.namespace, exchange.route.name)
            await self._admit(served, exchange)
            return await carry()(exchange.request, pod)

        return connect

    async def _require_create(self, exchange: Exchange) -> None:
        """A WebSocket begins with GET, and does what POST does: reading alone does not permit it."""
        attributes = replace(exchange.call.attributes, verb="create")
        decision = await self._authorizer.authorize(attributes)
        if decision.verdict is not Verdict.ALLOW:
            raise forbidden(attributes, decision.reason)

    async def _admit(self, served: Served, exchange: Exchange) -> None:
        route = exchange.route
        kind = GroupVersionKind("", "v1", OPTIONS[served.info.group_resource, route.subresource])
        given: Object = {"kind": kind.kind, "apiVersion": "v1"}
        for flag in _FLAGS:
            if exchange.query.get(flag, ["false"])[0] in ("true", "1"):
                given[flag] = True
        for name in ("command", "container"):
            values = exchange.query.get(name)
            if values:
                given[name] = values if name == "command" else values[0]
        if route.rest:
            given["path"] = unquote(route.rest)
        admission = Admission(
            exchange.call,
            "CONNECT",
            served.info,
            route.subresource,
            route.namespace,
            route.name,
            given,
            None,
            {},
            kind,
        )
        await self._chain.mutate(admission)
        await self._chain.validate(admission)

    async def _log(self, served: Served, exchange: Exchange) -> Response:
        if exchange.request.method not in ("GET", "HEAD"):
            raise _no_such_method()
        pod = await self._api.get(PODS, exchange.route.namespace, exchange.route.name)
        return await self._streams.log(exchange.request, pod)

    async def _pod_proxy(self, served: Served, exchange: Exchange) -> Response:
        route = exchange.route
        wanted = proxy.named(route.name, "pod")
        pod = await self._api.get(PODS, route.namespace, wanted.name)
        await self._admit(served, exchange)
        return await self._streams.proxy(exchange.request, pod, wanted, route.rest or "/", _prefix(exchange))

    async def _service_proxy(self, served: Served, exchange: Exchange) -> Response:
        """Through the first pod that is ready behind the service."""
        route = exchange.route
        wanted = proxy.named(route.name, "service")
        service = await self._api.get(SERVICES, route.namespace, wanted.name)
        await self._admit(served, exchange)
        all_slices, pods = self._api.cache(SLICES), self._api.cache(PODS)
        await all_slices.synced()  # they may be asked for the first time
        await pods.synced()
        slices = [
            found
            for found in all_slices.all(route.namespace)
            if (found["metadata"].get("labels") or {}).get(SERVICE_NAME) == wanted.name
        ]
        for pod_name, port in proxy.service_endpoints(wanted, service, slices):
            pod = pods.get(route.namespace, pod_name)
            if pod is not None:
                chosen = replace(wanted, port=str(port))
                return await self._streams.proxy(exchange.request, pod, chosen, route.rest or "/", _prefix(exchange))
        raise errors.service_unavailable(f'no endpoints available for service "{route.name}"')


def _prefix(exchange: Exchange) -> str:
    return exchange.request.path.removesuffix(exchange.route.rest)


def _no_such_method() -> errors.StatusFault:
    return errors.StatusFault(
        "MethodNotAllowed", "the server does not allow this method on the requested resource", status=405
    )
