"""Subresources that are connections, through the whole front: who may, what admission hears, who carries it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ropewalk.base.http.messages import Request, Response
from ropewalk.kube.connectors import Connectors
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.admission import Admission
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.streams.proxy import Named
from support.kube_front import Server, pod

PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


class Streams:
    """In place of `PodStreams`."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    async def exec(self, request: Request, pod: Object) -> Response:
        return self._called("exec", pod)

    async def attach(self, request: Request, pod: Object) -> Response:
        return self._called("attach", pod)

    async def port_forward(self, request: Request, pod: Object) -> Response:
        return self._called("portforward", pod)

    async def log(self, request: Request, pod: Object) -> Response:
        return self._called("log", pod)

    async def proxy(self, request: Request, pod: Object, wanted: Named, path: str, prefix: str) -> Response:
        return self._called("proxy", pod, wanted, path, prefix)

    def _called(self, door: str, pod: Object, *more: Any) -> Response:
        self.calls.append((door, pod["metadata"]["name"], *more))
        return Response(200, {}, b"carried")


class Chain:
    """Admission that hears of connections."""

    def __init__(self) -> None:
        self.heard: list[Admission] = []
        self.refuses = False

    async def mutate(self, admission: Admission) -> None: ...

    async def validate(self, admission: Admission) -> None:
        if admission.operation == "CONNECT":
            self.heard.append(admission)
            if self.refuses:
                raise errors.forbidden("pods", "", admission.name, "not today")


class Scene:
    def __init__(self) -> None:
        self.streams, self.chain, self.made = Streams(), Chain(), 0
        connectors: dict[Any, Any] = {}
        self.server = Server(connectors=connectors, chain=lambda api: self.chain)
        connectors |= Connectors(self.server.api, self.chain, self.server.rules, self._make).all()

    def _make(self) -> Any:
        self.made += 1
        return self.streams

    def verbs(self) -> list[str]:
        return [asked.verb for asked in self.server.rules.asked]

    async def service(self, *ready: str) -> None:
        """`web`, with these pods ready behind it."""
        ports = [{"name": "http", "port": 80, "targetPort": 8080}]
        assert (await self.server.post(SERVICES, {"metadata": {"name": "web"}, "spec": {"ports": ports}})).status == 201
        endpoints = [
            {"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": name}, "conditions": {"ready": True}}
            for name in ready
        ]
        labels = {"kubernetes.io/service-name": "web"}
        slice_: Object = {"metadata": {"name": "web-1", "labels": labels}, "addressType": "IPv4"}
        slice_ |= {"endpoints": endpoints, "ports": [{"name": "http", "port": 8080}]}
        assert (await self.server.post(SLICES, slice_)).status == 201
        await self.server.clock.settle()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    await made.server.start()
    assert (await made.server.post(PODS, pod("web"))).status == 201
    made.server.rules.asked.clear()
    yield made
    await made.server.stop()


@pytest.mark.parametrize("door", ["exec", "attach", "portforward"])
async def test_a_session_reaches_the_pod(scene: Scene, door: str) -> None:
    assert (await scene.server.post(f"{PODS}/web/{door}", None)).body == b"carried"
    assert (await scene.server.get(f"{PODS}/web/{door}")).body == b"carried"
    assert scene.streams.calls == [(door, "web")] * 2
    assert scene.made == 1
    assert scene.verbs() == ["create", "get", "create"]


@pytest.mark.parametrize("door", ["exec", "attach", "portforward"])
async def test_to_read_is_not_to_connect(scene: Scene, door: str) -> None:
    scene.server.rules.denied.add(("create", "pods"))
    refused = await scene.server.get(f"{PODS}/web/{door}")
    assert (refused.status, refused.message) == (
        403,
        f'pods "web" is forbidden: User "alice" cannot create resource "pods/{door}" in API group "" in the namespace'
        ' "default": no rule says so',
    )
    assert not scene.streams.calls


async def test_admission_hears_what_a_session_asks_for(scene: Scene) -> None:
    query = "command=sh&command=-c&container=main&stdin=true&tty=1&stdout=false"
    await scene.server.post(f"{PODS}/web/exec?{query}", None)
    (heard,) = scene.chain.heard
    assert (heard.info.plural, heard.subresource, heard.namespace, heard.name) == ("pods", "exec", "default", "web")
    assert heard.kind.kind == "PodExecOptions"
    assert heard.object == {
        "kind": "PodExecOptions",
        "apiVersion": "v1",
        "stdin": True,
        "tty": True,
        "command": ["sh", "-c"],
        "container": "main",
    }


@pytest.mark.parametrize("door", ["exec", "attach", "portforward", "proxy/"])
async def test_admission_may_refuse(scene: Scene, door: str) -> None:
    scene.chain.refuses = True
    refused = await scene.server.post(f"{PODS}/web/{door}", None)
    assert (refused.status, refused.message) == (403, 'pods "web" is forbidden: not today')
    assert not scene.streams.calls


async def test_a_log_is_read_and_admission_is_not_asked(scene: Scene) -> None:
    assert (await scene.server.get(f"{PODS}/web/log")).body == b"carried"
    assert scene.streams.calls == [("log", "web")]
    assert not scene.chain.heard


@pytest.mark.parametrize(("method", "door"), [("PUT", "exec"), ("DELETE", "attach"), ("POST", "log"), ("PATCH", "log")])
async def test_other_methods_are_none(scene: Scene, method: str, door: str) -> None:
    refused = await scene.server.ask(method, f"{PODS}/web/{door}")
    assert (refused.status, refused.reason) == (405, "MethodNotAllowed")


@pytest.mark.parametrize("door", ["exec", "log", "proxy/"])
async def test_a_pod_that_is_not_there(scene: Scene, door: str) -> None:
    refused = await scene.server.get(f"{PODS}/other/{door}")
    assert (refused.status, refused.message) == (404, 'pods "other" not found')


async def test_a_pods_proxy_names_scheme_and_port(scene: Scene) -> None:
    assert (await scene.server.get(f"{PODS}/https:web:8443/proxy/a%2Fb/c?x=1")).body == b"carried"
    prefix = f"{PODS}/https:web:8443/proxy"
    assert scene.streams.calls == [("proxy", "web", Named("https", "web", "8443"), "/a%2Fb/c", prefix)]
    (heard,) = scene.chain.heard
    assert heard.object == {"kind": "PodProxyOptions", "apiVersion": "v1", "path": "/a/b/c"}
    refused = await scene.server.get(f"{PODS}/a:b:c:d/proxy/")
    assert (refused.status, refused.message) == (400, 'invalid pod request "a:b:c:d"')


async def test_a_services_proxy_leads_to_the_first_pod_that_is_there(scene: Scene) -> None:
    await scene.service("gone", "web")
    assert (await scene.server.get(f"{SERVICES}/web:http/proxy/x")).body == b"carried"
    prefix = f"{SERVICES}/web:http/proxy"
    assert scene.streams.calls == [("proxy", "web", Named("", "web", "8080"), "/x", prefix)]
    (heard,) = scene.chain.heard
    assert (heard.info.plural, heard.object) == (
        "services",
        {"kind": "ServiceProxyOptions", "apiVersion": "v1", "path": "/x"},
    )


@pytest.mark.parametrize("ready", [(), ("gone",)])
async def test_a_service_without_a_pod(scene: Scene, ready: tuple[str, ...]) -> None:
    await scene.service(*ready)
    refused = await scene.server.get(f"{SERVICES}/web:http/proxy/")
    assert (refused.status, refused.message) == (503, 'no endpoints available for service "web:http"')
