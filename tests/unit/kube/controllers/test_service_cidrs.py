"""ServiceCIDRs: when one may go, what is said of it meanwhile, and the one that every cluster has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.controllers.service_cidrs import FINALIZER, is_needed
from ropewalk.kube.controllers.service_networking import ServiceNetworking
from ropewalk.kube.machinery.objects import Object
from support.kube_front import Server

CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"
SERVICES = "/api/v1/namespaces/default/services"
IN_USE = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"


def cidr(name: str, *cidrs: str, going: bool = False) -> Object:
    metadata = {"name": name, **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if going else {})}
    return {"metadata": metadata, "spec": {"cidrs": list(cidrs)}}


def address(name: str, managed_by: str = "ipallocator.k8s.io") -> Object:
    return {"metadata": {"name": name, "labels": {"ipaddress.kubernetes.io/managed-by": managed_by}}}


@pytest.mark.parametrize(
    ("others", "addresses", "needed"),
    [
        ([], [], False),
        ([], [address("10.1.0.5")], True),
        ([], [address("10.1.0.5", "somebody.example.com")], False),
        ([], [address("10.2.0.5")], False),
        ([], [address("10.1.0.0")], False),
        ([cidr("b", "10.1.0.0/25")], [address("10.1.0.5")], False),
        ([cidr("b", "10.1.0.0/25")], [address("10.1.0.127")], True),
        ([cidr("b", "10.1.0.0/25")], [address("10.1.0.200")], True),
        ([cidr("b", "10.1.0.0/16", "fd00::/64")], [address("10.1.0.200"), address("fd00::9")], False),
        ([cidr("b", "10.1.0.0/16", "fd00::/64", going=True)], [address("10.1.0.200")], True),
        ([cidr("b", "10.1.0.0/24")], [address("fd00::9")], True),
    ],
)
def test_a_range_is_needed_as_long_as_it_alone_holds_an_address(
    others: list[Object], addresses: list[Object], needed: bool
) -> None:
    assert is_needed(cidr("a", "10.1.0.0/24", "fd00::/112"), others, addresses) is needed


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    networking = ServiceNetworking(made.api, made.addresses, "host", made.clock, SeededEntropy(5))
    await made.start(*networking.runnables, *networking.led)
    await networking.start()
    await made.clock.advance(1.0)
    yield made
    await made.stop()


async def get(server: Server, name: str) -> Any:
    answer = await server.get(f"{CIDRS}/{name}")
    return answer.json if answer.status == 200 else None


def ready(found: Any) -> tuple[str, str, str]:
    (condition,) = found["status"]["conditions"]
    assert condition["type"] == "Ready" and condition["lastTransitionTime"]
    return condition["status"], condition["reason"], condition["message"]


async def test_every_cluster_has_one(server: Server) -> None:
    found = await get(server, "kubernetes")
    assert found["spec"] == {"cidrs": ["10.96.0.0/16"]}
    assert found["metadata"]["finalizers"] == [FINALIZER]
    assert ready(found) == ("True", "", "Kubernetes Service CIDR is ready")


async def test_a_range_of_which_nothing_is_used_goes_after_all_servers_had_time_to_know(server: Server) -> None:
    await server.post(CIDRS, cidr("wider", "10.97.0.0/24"))
    await server.clock.advance(1.0)
    assert ready(await get(server, "wider"))[0] == "True"
    await server.delete(f"{CIDRS}/wider")
    await server.clock.advance(8.0)
    refused = await server.post(SERVICES, {"metadata": {"name": "late"}, "spec": service("10.97.0.9")})
    assert refused.status == 422 and "does not match the current range" in refused.message
    assert await get(server, "wider") is not None
    await server.clock.advance(3.0)
    assert await get(server, "wider") is None


def service(address: str) -> Object:
    return {"clusterIP": address, "ports": [{"port": 80}]}


async def test_a_range_waits_for_its_services_or_another_range(server: Server) -> None:
    for name in ("one", "two"):
        await server.post(CIDRS, cidr(name, "10.97.0.0/24" if name == "one" else "10.98.0.0/24"))
    await server.clock.advance(1.0)
    for name, text in (("one", "10.97.0.9"), ("two", "10.98.0.9")):
        made = await server.post(SERVICES, {"metadata": {"name": name}, "spec": service(text)})
        assert made.status == 201
        await server.delete(f"{CIDRS}/{name}")
    await server.clock.advance(60.0)
    for name in ("one", "two"):
        assert ready(await get(server, name)) == ("False", "Terminating", IN_USE)
    await server.delete(f"{SERVICES}/one")
    await server.post(CIDRS, cidr("in-its-place", "10.98.0.0/16"))
    await server.clock.advance(1.0)
    assert [await get(server, name) for name in ("one", "two")] == [None, None]


async def test_the_default_range_comes_again(server: Server) -> None:
    before = (await get(server, "kubernetes"))["metadata"]["uid"]
    await server.delete(f"{CIDRS}/kubernetes")
    await server.clock.advance(25.0)
    after = await get(server, "kubernetes")
    assert after["metadata"]["uid"] != before
    assert ready(after)[0] == "True"


async def test_the_default_range_is_not_changed_to_what_is_configured(server: Server) -> None:
    await server.delete(f"{CIDRS}/kubernetes")
    await server.clock.advance(9.5)
    other = Server(server.store, server.clock, seed=9)
    other.addresses.configured = ("10.50.0.0/16",)
    networking = ServiceNetworking(other.api, other.addresses, "other", server.clock, SeededEntropy(6))
    await other.start(*networking.runnables)
    await networking.start()
    await server.clock.advance(30.0)
    assert (await get(server, "kubernetes"))["spec"] == {"cidrs": ["10.96.0.0/16"]}
    (event,) = (await server.get("/api/v1/namespaces/default/events")).json["items"]
    assert (event["reason"], event["message"], event["count"]) == (
        "KubernetesDefaultServiceCIDRInconsistent",
        "The default ServiceCIDR [10.96.0.0/16] does not match the controller flag configurations [10.50.0.0/16]",
        1,
    )
    await other.stop()
