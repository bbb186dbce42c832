"""What aggregated servers say that they serve, as this server's documents show it."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.kube_aggregation import (
    REFUSED,
    FakeAnswer,
    FakeRemote,
    FakeResolver,
    a_cluster,
    an_api_service,
    said,
)
from tests.support.kube_api import MemoryApi

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.extension.aggregation_discovery import (
    AggregatedDiscovery,
    Unusable,
    aggregated_infos,
    plain_infos,
)
from ropewalk.kube.extension.api_services import API_SERVICES, ApiServices
from ropewalk.kube.machinery import discovery

KEY = ("metrics.k8s.io", "v1beta1")
PATH = "/apis/metrics.k8s.io/v1beta1"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
PLAIN = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": "metrics.k8s.io/v1beta1",
    "resources": [
        {"name": "nodes", "singularName": "", "namespaced": False, "kind": "NodeMetrics", "verbs": ["get", "list"]},
        {
            "name": "pods",
            "singularName": "pod",
            "namespaced": True,
            "kind": "PodMetrics",
            "verbs": ["get", "list"],
            "shortNames": ["pm"],
            "categories": ["all"],
        },
        {
            "name": "pods/scale",
            "namespaced": True,
            "kind": "Scale",
            "group": "autoscaling",
            "version": "v1",
            "verbs": ["get"],
        },
    ],
}
TOGETHER: dict[str, Any] = {
    "kind": "APIGroupDiscoveryList",
    "apiVersion": "apidiscovery.k8s.io/v2",
    "items": [
        {
            "metadata": {"name": "metrics.k8s.io"},
            "versions": [
                {
                    "version": "v1beta1",
                    "freshness": "Current",
                    "resources": [
                        {
                            "resource": "nodes",
                            "responseKind": {"group": "", "version": "", "kind": "NodeMetrics"},
                            "scope": "Cluster",
                            "singularResource": "",
                            "verbs": ["get", "list"],
                        },
                        {
                            "resource": "pods",
                            "responseKind": {"group": "", "version": "", "kind": "PodMetrics"},
                            "scope": "Namespaced",
                            "singularResource": "pod",
                            "verbs": ["get", "list"],
                            "shortNames": ["pm"],
                            "categories": ["all"],
                            "subresources": [
                                {
                                    "subresource": "scale",
                                    "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
                                    "verbs": ["get"],
                                }
                            ],
                        },
                    ],
                }
            ],
        }
    ],
}


def test_both_documents_say_the_same() -> None:
    assert aggregated_infos(TOGETHER)[KEY] == plain_infos(PLAIN, *KEY)


def test_what_is_read_is_shown_as_it_was() -> None:
    found = discovery.catalogue(plain_infos(PLAIN, *KEY), {KEY: discovery.Priority(100, 50)})
    assert discovery.aggregated(found, core=False)["items"][0]["versions"] == TOGETHER["items"][0]["versions"]
    shown = discovery.resource_list(found, *KEY)
    assert shown is not None
    assert [row["name"] for row in shown["resources"]] == ["nodes", "pods", "pods/scale"]


def test_metrics_of_pods_that_are_no_resource_themselves() -> None:
    row = {"name": "pods/http_requests", "namespaced": True, "kind": "MetricValueList", "verbs": ["get"]}
    (info,) = plain_infos({"resources": [row]}, "custom.metrics.k8s.io", "v1beta1")
    assert (info.plural, info.verbs, info.subresources[0].name) == ("pods", (), "http_requests")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["items", "metadata", "name", "versions", "version", "resources", "resource", "responseKind"]
            )
            | st.sampled_from(["kind", "verbs", "subresources", "subresource", "shortNames", "scope", "group"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["items", "resources"]), json_values))
def test_documents_of_others_may_hold_anything(document: dict[str, Any]) -> None:
    found = [info for infos in aggregated_infos(document).values() for info in infos]
    found += plain_infos(document, "g", "v1")
    shown = discovery.catalogue(found, {})
    orjson.dumps([discovery.aggregated(shown, core=False), discovery.group_list(shown)])


class Scene:
    def __init__(self, api: MemoryApi | None = None) -> None:
        self.api = api or a_cluster()
        self.clock, self.remote, self.resolver = VirtualClock(), FakeRemote(), FakeResolver()
        services = ApiServices(self.api)
        services.follow()
        self.discovery = AggregatedDiscovery(services, self.resolver, self.remote, self.clock, SeededEntropy(1))
        self.running = asyncio.ensure_future(self.discovery.run())

    def together(self, document: dict[str, Any] = TOGETHER, etag: str = "one") -> None:
        self.remote.answers["/apis"] = said(orjson.dumps(document), content_type=AGGREGATED, etag=etag)

    def kinds(self) -> list[str]:
        return [info.kind for info in self.discovery.infos()]

    def asked(self, path: str) -> int:
        return sum(1 for _, message in self.remote.asked if message.target == path)


async def test_the_aggregated_document_is_asked_for_first() -> None:
    scene = Scene()
    scene.together()
    await scene.clock.advance(1)
    assert scene.kinds() == ["NodeMetrics", "PodMetrics"]
    assert scene.discovery.stale() == frozenset()
    assert scene.discovery.priorities() == {KEY: discovery.Priority(100, 50)}
    assert scene.asked(PATH) == 0
    scene.running.cancel()


async def test_the_plain_one_of_a_server_that_knows_no_other() -> None:
    scene = Scene()
    scene.remote.answers["/apis"] = said(b'{"kind":"APIGroupList"}', content_type="application/json")
    scene.remote.answers[PATH] = said(orjson.dumps(PLAIN))
    await scene.clock.advance(1)
    assert scene.kinds() == ["NodeMetrics", "PodMetrics"]
    scene.remote.answers["/apis"] = FakeAnswer(404)
    await scene.clock.advance(61)
    assert scene.discovery.stale() == frozenset()
    scene.running.cancel()


async def test_it_is_asked_again_and_need_not_be_read_again() -> None:
    scene = Scene()
    scene.together()
    await scene.clock.advance(1)
    grown = scene.discovery.generation
    scene.remote.answers["/apis"] = FakeAnswer(304)
    await scene.clock.advance(130)
    assert ("if-none-match", "one") in next(
        message.headers for _, message in reversed(scene.remote.asked) if message.target == "/apis"
    )
    assert scene.kinds() == ["NodeMetrics", "PodMetrics"]
    assert scene.discovery.generation == grown
    less = orjson.loads(orjson.dumps(TOGETHER))
    less["items"][0]["versions"][0]["resources"].pop()
    scene.together(less, "two")
    await scene.clock.advance(61)
    assert scene.kinds() == ["NodeMetrics"]
    assert scene.discovery.generation > grown
    scene.running.cancel()


async def test_a_server_that_is_down_keeps_what_it_said_and_is_stale() -> None:
    scene = Scene()
    scene.together()
    await scene.clock.advance(1)
    for path in ("/apis", PATH):
        scene.remote.answers[path] = REFUSED
    await scene.clock.advance(61)
    assert scene.kinds() == ["NodeMetrics", "PodMetrics"]
    assert scene.discovery.stale() == {KEY}
    scene.together()
    await scene.clock.advance(61)
    assert scene.discovery.stale() == frozenset()
    scene.running.cancel()


async def test_one_that_never_answered_is_known_to_be_empty() -> None:
    scene = Scene(a_cluster(available=False))
    await scene.clock.advance(1)
    assert (scene.discovery.empty(), scene.discovery.stale()) == ([KEY], {KEY})
    assert scene.remote.asked == []
    scene.together()
    scene.api.put(API_SERVICES, an_api_service())
    await scene.clock.advance(1)
    assert scene.kinds() == ["NodeMetrics", "PodMetrics"]
    grown = scene.discovery.generation
    scene.api.drop(API_SERVICES, "", "v1beta1.metrics.k8s.io")
    assert (scene.kinds(), scene.discovery.empty(), scene.discovery.stale()) == ([], [], frozenset())
    assert scene.discovery.generation > grown
    scene.running.cancel()


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b'{"items":7}'])
async def test_nonsense_is_stale_not_an_error(body: bytes) -> None:
    scene = Scene()
    scene.remote.answers["/apis"] = said(body, content_type=AGGREGATED)
    await scene.clock.advance(1)
    assert scene.discovery.stale() == {KEY}
    scene.running.cancel()


async def test_openapi_of_others() -> None:
    scene = Scene()
    scene.together()
    place = "apis/metrics.k8s.io/v1beta1"
    index = {"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}?hash=ABC"}, "apis/other": {}}}
    scene.remote.answers["/openapi/v3"] = said(orjson.dumps(index))
    scene.remote.answers[f"/openapi/v3/{place}"] = said(b'{"openapi":"3.0.0"}')
    await scene.clock.advance(1)
    assert scene.discovery.openapi_places() == {place: f"/openapi/v3/{place}?hash=ABC"}
    assert await scene.discovery.openapi(*KEY) == b'{"openapi":"3.0.0"}'
    assert await scene.discovery.openapi("apps", "v1") is None
    scene.remote.answers[f"/openapi/v3/{place}"] = REFUSED
    with pytest.raises(Unusable):
        await scene.discovery.openapi(*KEY)
    scene.running.cancel()
