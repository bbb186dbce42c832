"""What a crash, or somebody with kubectl, left of services' addresses and node ports is put right, and told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.controllers.service_networking import ServiceNetworking
from ropewalk.kube.kinds.core.service_addresses import PortClaim
from support.kube_front import Server

ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"
SERVICES = "/api/v1/namespaces/default/services"
EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
GATEWAY = {"group": "a.example.com", "resource": "gateways", "namespace": "default", "name": "g"}
LABELS = {"ipaddress.kubernetes.io/ip-family": "IPv4", "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"}


class Repaired(Server):
    networking: ServiceNetworking

    async def up(self) -> None:
        self.networking = ServiceNetworking(self.api, self.addresses, "host", self.clock, SeededEntropy(5))
        await self.start(*self.networking.runnables, *self.networking.led)
        await self.networking.start()
        await self.clock.advance(1.0)

    async def service(self, name: str, address: str, port: int = 30_080) -> Any:
        spec = {"type": "NodePort", "clusterIP": address, "ports": [{"port": 80, "nodePort": port}]}
        made = await self.post(SERVICES, {"metadata": {"name": name}, "spec": spec})
        assert made.status == 201, made.body
        return made.json

    async def raw(self, name: str, **spec: Any) -> None:
        """A service of before: stored, without anything that says what it holds."""
        metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}"}
        stored = {"metadata": metadata, "spec": spec, "status": {"loadBalancer": {}}}
        await self.store.create(f"/registry/core/services/default/{name}", orjson.dumps(stored))

    async def address(self, name: str, parent: Any, labels: dict[str, str] | None = None) -> None:
        made = await self.post(ADDRESSES, {"metadata": {"name": name, "labels": labels}, "spec": {"parentRef": parent}})
        assert made.status == 201, made.body

    async def addresses_there(self) -> dict[str, str]:
        items = (await self.get(ADDRESSES)).json["items"]
        return {one["metadata"]["name"]: one["spec"]["parentRef"]["name"] for one in items}

    async def claims(self) -> dict[str, str]:
        return {item.key: item.record.name for item in await self.addresses.ports.list()}

    async def told(self) -> list[tuple[str, str, str, str]]:
        items = (await self.get(EVENTS)).json["items"]
        return sorted((one["regarding"]["name"], one["reason"], one["action"], one["note"]) for one in items)


@pytest.fixture
async def server() -> AsyncIterator[Repaired]:
    made = Repaired()
    yield made
    await made.stop()


async def test_services_that_are_older_than_their_objects_get_them_at_start(server: Repaired) -> None:
    await server.raw("old", type="NodePort", clusterIP="10.96.0.9", clusterIPs=["10.96.0.9"],
                     ports=[{"port": 80, "nodePort": 30_080}])  # fmt: skip
    await server.raw("twin", type="NodePort", clusterIP="10.96.0.9", clusterIPs=["10.96.0.9"],
                     ports=[{"port": 80, "nodePort": 30_080}])  # fmt: skip
    await server.raw("lost", type="NodePort", clusterIP="10.1.0.9", clusterIPs=["10.1.0.9"],
                     ports=[{"port": 80, "nodePort": 80}])  # fmt: skip
    await server.raw("headless", clusterIP="None", clusterIPs=["None"])
    await server.up()
    assert await server.addresses_there() == {"10.96.0.9": "old"}
    assert await server.claims() == {"30080": "old"}
    out_of_range = "Cluster IP [IPv4]: 10.1.0.9 is not within any configured Service CIDR; please recreate service"
    assert await server.told() == [
        ("lost", "ClusterIPOutOfRange", "ClusterIPAllocation", out_of_range),
        (
            "lost",
            "PortOutOfRange",
            "PortAllocation",
            "Port 80 is not within the port range 30000-32767; please recreate service",
        ),
        (
            "old",
            "ClusterIPNotAllocated",
            "ClusterIPAllocation",
            "Cluster IP [IPv4]: 10.96.0.9 is not allocated; repairing",
        ),
        ("old", "PortNotAllocated", "PortAllocation", "Port 30080 is not allocated; repairing"),
        (
            "twin",
            "ClusterIPAlreadyAllocated",
            "ClusterIPAllocation",
            "Cluster IP [IPv4]:10.96.0.9 was assigned to multiple services; please recreate service",
        ),
        (
            "twin",
            "PortAlreadyAllocated",
            "PortAllocation",
            "Port 30080 was assigned to multiple services; please recreate service",
        ),
    ]
    event = (await server.get(EVENTS)).json["items"][0]
    assert (event["type"], event["reportingInstance"]) == ("Warning", f"{event['reportingController']}-host")
    assert event["reportingController"] in ("ipallocator-repair-controller", "portallocator-repair-controller")


async def test_the_same_again_is_one_event(server: Repaired) -> None:
    await server.raw("lost", clusterIP="10.1.0.9", clusterIPs=["10.1.0.9"], ports=[{"port": 80}])
    await server.up()
    await server.clock.advance(400.0)
    (event,) = (await server.get(EVENTS)).json["items"]
    assert event["series"]["count"] >= 3


async def test_an_address_that_somebody_deleted_comes_again_at_once(server: Repaired) -> None:
    await server.up()
    await server.service("web", "10.96.0.9")
    await server.delete(f"{ADDRESSES}/10.96.0.9")
    await server.clock.advance(0.1)
    assert await server.addresses_there() == {"10.96.0.9": "web"}
    assert [one[1] for one in await server.told()] == ["ClusterIPNotAllocated"]


async def test_an_address_without_its_labels_gets_them(server: Repaired) -> None:
    await server.up()
    await server.service("web", "10.96.0.9")
    await server.patch(f"{ADDRESSES}/10.96.0.9", {"metadata": {"labels": None}})
    await server.clock.advance(200.0)
    assert (await server.get(f"{ADDRESSES}/10.96.0.9")).json["metadata"]["labels"] == LABELS


async def test_the_address_of_a_service_that_never_came_is_given_back_after_a_minute(server: Repaired) -> None:
    await server.up()
    parent = {"resource": "services", "namespace": "default", "name": "never"}
    await server.address("10.96.0.9", parent, LABELS)
    await server.address("10.96.0.10", parent)  # nobody's of ours
    await server.clock.advance(59.0)
    assert set(await server.addresses_there()) == {"10.96.0.9", "10.96.0.10"}
    await server.clock.advance(5.0)
    assert set(await server.addresses_there()) == {"10.96.0.10"}
    note = "IPAddress: 10.96.0.9 for Service default/never appears to have leaked: cleaning up"
    assert await server.told() == [("10.96.0.9", "IPAddressNotAllocated", "IPAddressAllocation", note)]


async def test_an_address_that_its_service_does_not_have_is_given_back(server: Repaired) -> None:
    await server.up()
    await server.service("web", "10.96.0.9")
    await server.address("10.96.0.10", {"resource": "services", "namespace": "default", "name": "web"}, LABELS)
    await server.clock.advance(65.0)
    assert await server.addresses_there() == {"10.96.0.9": "web"}
    note = "IPAddress: 10.96.0.10 for Service default/web has a wrong reference; cleaning up"
    assert await server.told() == [("10.96.0.10", "IPAddressWrongReference", "IPAddressAllocation", note)]


async def test_an_address_of_ours_that_names_no_service_goes(server: Repaired) -> None:
    await server.up()
    await server.address("10.96.0.9", GATEWAY, LABELS)
    await server.clock.advance(0.1)
    assert await server.addresses_there() == {}
    ((name, reason, _, note),) = await server.told()
    assert (name, reason) == ("10.96.0.9", "IPAddressNotAllocated")
    assert note == (
        "IPAddress 10.96.0.9 appears to have been modified, not referencing a Service"
        " &ParentReference{Group:a.example.com,Resource:gateways,Namespace:default,Name:g,}: cleaning up"
    )


async def test_a_service_takes_its_address_back_from_what_is_no_service(server: Repaired) -> None:
    await server.address("10.96.0.9", GATEWAY)
    await server.raw("web", clusterIP="10.96.0.9", clusterIPs=["10.96.0.9"], ports=[{"port": 80}])
    await server.up()
    assert await server.addresses_there() == {"10.96.0.9": "web"}
    note = "the ClusterIP [IPv4]: 10.96.0.9 for Service default/web has a wrong reference; repairing"
    assert await server.told() == [("web", "ClusterIPNotAllocated", "ClusterIPAllocation", note)]


async def test_a_port_that_nobody_holds_is_given_back_in_the_third_round(server: Repaired) -> None:
    await server.up()
    await server.service("web", "10.96.0.9", 30_080)
    await server.addresses.ports.create("30081", PortClaim("default", "never", "uid-never"))
    await server.clock.advance(2 * 180.0)
    assert await server.claims() == {"30080": "web", "30081": "never"}
    await server.clock.advance(180.0)
    assert await server.claims() == {"30080": "web"}


async def test_a_service_takes_its_port_back_from_who_does_not_hold_it(server: Repaired) -> None:
    await server.up()
    made = await server.service("web", "10.96.0.9", 30_080)
    await server.addresses.ports.put("30080", PortClaim("default", "never", "uid-never"))
    await server.clock.advance(200.0)
    (claim,) = await server.addresses.ports.list()
    assert claim.record == PortClaim("default", "web", made["metadata"]["uid"])


async def test_what_services_give_back_themselves_is_told_to_nobody(server: Repaired) -> None:
    await server.up()
    await server.service("web", "10.96.0.9")
    changed = {"spec": {"type": "ExternalName", "externalName": "a.example.com", "clusterIP": "", "clusterIPs": None}}
    assert (await server.patch(f"{SERVICES}/web", changed)).status == 200
    await server.service("again", "10.96.0.9")
    await server.delete(f"{SERVICES}/again")
    await server.clock.advance(400.0)
    assert (await server.addresses_there(), await server.claims(), await server.told()) == ({}, {}, [])
