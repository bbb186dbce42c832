"""API services of the server itself, and where those of others are reached."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.support.kube_aggregation import (
    REFUSED,
    FakeRemote,
    FakeResolver,
    a_cluster,
    a_service,
    a_slice,
    an_api_service,
    said,
)
from tests.support.kube_api import MemoryApi

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.extension.aggregation_availability import AvailabilityController
from ropewalk.kube.extension.aggregation_resolving import SERVICES, SLICES, EndpointResolver, Unresolved
from ropewalk.kube.extension.aggregation_trust import authentication_map
from ropewalk.kube.extension.api_services import (
    API_SERVICES,
    DEFINITIONS,
    MANAGED,
    ApiService,
    ApiServices,
    LocalApiServices,
)
from ropewalk.kube.kinds.priorities import PRIORITIES

METRICS = ("kube-system", "metrics", 443)
NAME = "v1beta1.metrics.k8s.io"


def a_definition(name: str, group: str, *versions: tuple[str, bool]) -> dict[str, Any]:
    return {
        "metadata": {"name": f"{name}.{group}"},
        "spec": {"group": group, "versions": [{"name": one, "served": served} for one, served in versions]},
    }


Scene = tuple[MemoryApi, VirtualClock]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    api, clock = MemoryApi(), VirtualClock()
    api.put(API_SERVICES, {**an_api_service("example.org", "v9"), "metadata": {"name": "v9.example.org"}})
    running = asyncio.ensure_future(LocalApiServices(api, clock, SeededEntropy(1)).run())
    await clock.advance(1)
    yield api, clock
    running.cancel()


def spec(api: MemoryApi, name: str) -> dict[str, Any]:
    found = api.cache(API_SERVICES).get("", name)
    assert found is not None
    return dict(found["spec"])


async def test_every_group_version_that_is_built_in_has_one(scene: Scene) -> None:
    api, _ = scene
    names = {obj["metadata"]["name"] for obj in api.cache(API_SERVICES).all()}
    assert names == {f"{version}.{group}" for group, version in PRIORITIES} | {"v9.example.org"}
    assert spec(api, "v1.") == {"version": "v1", "groupPriorityMinimum": 18000, "versionPriority": 1}
    assert spec(api, "v1.apps") == {
        "group": "apps",
        "version": "v1",
        "groupPriorityMinimum": 17800,
        "versionPriority": 15,
    }
    found = api.cache(API_SERVICES).get("", "v1.apps")
    assert found is not None
    assert found["metadata"]["labels"] == {MANAGED: "onstart"}


async def test_built_in_ones_are_set_right_once(scene: Scene) -> None:
    api, clock = scene
    api.drop(API_SERVICES, "", "v1.batch")
    await clock.advance(1)
    assert api.cache(API_SERVICES).get("", "v1.batch") is None  # until the next start
    running = asyncio.ensure_future(LocalApiServices(api, clock, SeededEntropy(1)).run())
    await clock.advance(1)
    assert api.cache(API_SERVICES).get("", "v1.batch") is not None
    running.cancel()


async def test_one_that_says_so_and_came_after_the_start_stays(scene: Scene) -> None:
    api, clock = scene
    late = an_api_service("late.example", "v1")
    late["metadata"]["labels"] = {MANAGED: "onstart"}
    api.put(API_SERVICES, late)
    await clock.advance(1)
    assert api.cache(API_SERVICES).get("", "v1.late.example") is not None


async def test_an_edited_one_is_as_it_was_after_a_start() -> None:
    api, clock = MemoryApi(), VirtualClock()
    edited = an_api_service("apps", "v1", service=None)
    del edited["spec"]["service"]
    edited["metadata"]["labels"] = {MANAGED: "onstart"}
    gone = an_api_service("extensions", "v1beta1")
    gone["metadata"]["labels"] = {MANAGED: "onstart"}
    for obj in (edited, gone):
        api.put(API_SERVICES, obj)
    running = asyncio.ensure_future(LocalApiServices(api, clock, SeededEntropy(1)).run())
    await clock.advance(1)
    assert spec(api, "v1.apps")["groupPriorityMinimum"] == 17800
    assert api.cache(API_SERVICES).get("", "v1beta1.extensions") is None
    running.cancel()


async def test_custom_groups_come_and_go(scene: Scene) -> None:
    api, clock = scene
    api.put(DEFINITIONS, a_definition("crontabs", "stable.example", ("v1", True), ("v1alpha1", False)))
    api.put(DEFINITIONS, a_definition("lamps", "stable.example", ("v1", True)))
    await clock.advance(1)
    assert spec(api, "v1.stable.example") == {
        "group": "stable.example",
        "version": "v1",
        "groupPriorityMinimum": 1000,
        "versionPriority": 100,
    }
    assert api.cache(API_SERVICES).get("", "v1alpha1.stable.example") is None
    api.drop(API_SERVICES, "", "v1.stable.example")
    await clock.advance(1)
    assert api.cache(API_SERVICES).get("", "v1.stable.example") is not None
    api.drop(DEFINITIONS, "", "lamps.stable.example")
    await clock.advance(1)
    assert api.cache(API_SERVICES).get("", "v1.stable.example") is not None
    api.put(DEFINITIONS, a_definition("crontabs", "stable.example", ("v1", False), ("v2", True)))
    await clock.advance(1)
    assert api.cache(API_SERVICES).get("", "v1.stable.example") is None
    assert api.cache(API_SERVICES).get("", "v2.stable.example") is not None
    api.drop(DEFINITIONS, "", "crontabs.stable.example")
    await clock.advance(1)
    assert api.cache(API_SERVICES).get("", "v2.stable.example") is None


async def test_what_people_made_is_theirs(scene: Scene) -> None:
    api, clock = scene
    before = api.cache(API_SERVICES).get("", "v9.example.org")
    api.put(DEFINITIONS, a_definition("things", "example.org", ("v9", True)))
    await clock.advance(1)
    api.drop(DEFINITIONS, "", "things.example.org")
    await clock.advance(1)
    assert api.cache(API_SERVICES).get("", "v9.example.org") == before


def test_followers_hear_only_of_changes() -> None:
    api = MemoryApi((API_SERVICES, an_api_service(available=False)))
    services = ApiServices(api)
    services.follow()
    heard: list[tuple[ApiService, bool]] = []
    services.on_change(lambda service, present: heard.append((service, present)))
    api.put(API_SERVICES, an_api_service(available=False))
    api.put(API_SERVICES, an_api_service(available=True))
    api.drop(API_SERVICES, "", NAME)
    assert [(service.available, present) for service, present in heard] == [(False, True), (True, True), (True, False)]
    assert services.remotes() == []


# --- where others are reached


def resolved(api: MemoryApi, reference: tuple[str, str, int] = METRICS) -> set[tuple[str, int]]:
    resolver = EndpointResolver(api, SeededEntropy(1))

    async def several() -> set[tuple[str, int]]:
        return {await resolver.resolve(*reference) for _ in range(60)}

    return asyncio.run(several())


def test_every_ready_endpoint_is_used() -> None:
    api = a_cluster()
    api.put(SLICES, a_slice("metrics-2", endpoints=[{"addresses": ["10.0.0.8", "10.0.0.80"]}]))
    api.put(SLICES, a_slice("metrics-3", ready=False, endpoints=[{"addresses": ["x"], "conditions": {"ready": False}}]))
    api.put(SLICES, a_slice("metrics-4", port="other", endpoints=[{"addresses": ["10.0.0.9"]}]))
    api.put(SLICES, a_slice("metrics-5", addressType="IPv6", endpoints=[{"addresses": ["fd00::1"]}]))
    assert resolved(api) == {("10.0.0.7", 8443), ("10.0.0.8", 8443)}
    api.put(SERVICES, a_service(ipFamilies=["IPv6", "IPv4"]))
    assert resolved(api) == {("fd00::1", 8443)}


def test_external_names_are_dialled_as_they_are() -> None:
    api = a_cluster(backend=False)
    api.put(SERVICES, a_service(type="ExternalName", externalName="metrics.example.org"))
    assert resolved(api) == {("metrics.example.org", 443)}


@pytest.mark.parametrize(
    ("service", "why"),
    [
        (None, 'service "metrics" not found'),
        (a_service(ports=[{"port": 80}]), 'no service port 443 found for service "metrics"'),
        (a_service(), 'no endpoints available for service "metrics"'),
        (a_service(type="Odd"), 'unsupported service type "Odd"'),
    ],
)
def test_what_cannot_be_reached(service: dict[str, Any] | None, why: str) -> None:
    api = a_cluster(backend=False)
    if service is not None:
        api.put(SERVICES, service)
    with pytest.raises(Unresolved) as caught:
        resolved(api)
    assert str(caught.value) == why


# --- whether they can be reached

PATH = "/apis/metrics.k8s.io/v1beta1"
URL = f"https://10.0.0.7:8443{PATH}"


class Watched:
    def __init__(self, api: MemoryApi) -> None:
        self.api, self.clock, self.remote = api, VirtualClock(), FakeRemote()
        self.remote.answers[PATH] = said(b"{}")
        controller = AvailabilityController(api, FakeResolver(), self.remote, self.clock, SeededEntropy(1))
        self.running = asyncio.ensure_future(controller.run())

    async def condition(self, seconds: float = 1) -> tuple[str, str, str]:
        await self.clock.advance(seconds)
        found = self.api.cache(API_SERVICES).get("", NAME)
        assert found is not None
        (one,) = found["status"]["conditions"]
        return one["status"], one["reason"], one["message"]


async def test_from_no_service_to_one_that_answers_and_back() -> None:
    watched = Watched(a_cluster(backend=False, available=False))
    api, called = watched.api, 'service/metrics in "kube-system"'
    assert await watched.condition() == ("False", "ServiceNotFound", f"{called} is not present")
    api.put(SERVICES, a_service(ports=[{"port": 80}]))
    assert await watched.condition() == ("False", "ServicePortError", f"{called} is not listening on port 443")
    api.put(SERVICES, a_service())
    assert await watched.condition() == ("False", "EndpointsNotFound", f"cannot find endpointslices for {called}")
    api.put(SLICES, a_slice(ready=False))
    told = f'endpointslices for {called} have no addresses with port name "https"'
    assert await watched.condition() == ("False", "MissingEndpoints", told)
    assert watched.remote.asked == []
    api.put(SLICES, a_slice())
    assert await watched.condition() == ("True", "Passed", "all checks passed")
    where, message = watched.remote.asked[-1]
    assert where.insecure
    assert ("X-Remote-User", "system:kube-aggregator") in message.headers
    assert ("X-Remote-Group", "system:masters") in message.headers
    api.drop(SERVICES, "kube-system", "metrics")
    assert (await watched.condition())[1] == "ServiceNotFound"
    watched.running.cancel()


async def test_a_server_that_fails_is_asked_again() -> None:
    watched = Watched(a_cluster(available=False))
    watched.remote.answers[PATH] = REFUSED
    told = f'failing or missing response from {URL}: Get "{URL}": connection refused'
    assert await watched.condition() == ("False", "FailedDiscoveryCheck", told)
    watched.remote.answers[PATH] = said(b"no", 403)
    told = f"failing or missing response from {URL}: bad status from {URL}: 403"
    assert await watched.condition(5) == ("False", "FailedDiscoveryCheck", told)
    watched.remote.answers[PATH] = said(b"{}")
    assert await watched.condition(31) == ("True", "Passed", "all checks passed")
    watched.remote.answers[PATH] = REFUSED
    assert (await watched.condition(31))[0] == "False"
    watched.running.cancel()


async def test_nothing_is_written_while_nothing_changes() -> None:
    watched = Watched(a_cluster(available=False))
    await watched.condition()
    written = len(watched.api.log)
    await watched.condition(600)
    assert len(watched.api.log) == written
    watched.running.cancel()


async def test_local_ones_are_left_alone() -> None:
    api = MemoryApi((API_SERVICES, an_api_service(service=None, available=False)))
    watched = Watched(api)
    await watched.clock.advance(120)
    assert (api.log, watched.remote.asked) == ([], [])
    watched.running.cancel()


def test_what_others_must_know_to_believe_this_server() -> None:
    data = authentication_map(b"CA\n", b"FRONT\n")["data"]
    assert data["client-ca-file"] == "CA\n"
    assert data["requestheader-client-ca-file"] == "FRONT\n"
    told = {name: json.loads(value) for name, value in data.items() if not name.endswith("ca-file")}
    assert told == {
        "requestheader-allowed-names": ["front-proxy-client"],
        "requestheader-extra-headers-prefix": ["X-Remote-Extra-"],
        "requestheader-group-headers": ["X-Remote-Group"],
        "requestheader-uid-headers": ["X-Remote-Uid"],
        "requestheader-username-headers": ["X-Remote-User"],
    }
