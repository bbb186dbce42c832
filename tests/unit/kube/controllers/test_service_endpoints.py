"""Services' endpoints: what pods are in slices and in Endpoints, how slices are packed, and both on a server."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.controllers import endpoint_slices as slices
from ropewalk.kube.controllers.endpoint_subsets import endpoints_for, subsets_of
from ropewalk.kube.controllers.pod_book import PodBook
from ropewalk.kube.controllers.service_endpoints import ENDPOINTS, NODES, SERVICES, SLICES, ServiceEndpoints
from ropewalk.kube.machinery.recorder import Events
from support.kube_workloads import PODS, Hands, workload_server

READY = [{"type": "Ready", "status": "True"}]


def service(**spec: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "clusterIP": "10.96.0.9",
        "ipFamilies": ["IPv4"],
        "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
        "selector": {"app": "web"},
    }
    meta = {"name": "web", "namespace": "default", "uid": "s", "labels": {"of": "mine"}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": fields | spec}


def pod(name: str, address: str = "10.0.0.1", *, ready: bool = True, going: bool = False, **more: Any) -> Any:
    meta: dict[str, Any] = {"name": name, "namespace": "default", "uid": f"u-{name}"}
    if going:
        meta["deletionTimestamp"] = "2023-11-14T22:13:20Z"
    ips = more.pop("ips", [address])
    return {
        "metadata": meta,
        "spec": {"nodeName": "n-1", "containers": more.pop("containers", [])} | more.pop("spec", {}),
        "status": {
            "phase": more.pop("phase", "Running"),
            "podIP": address,
            "podIPs": [{"ip": ip} for ip in ips],
            "conditions": READY if ready else [],
        },
    }


def planned(svc: Any, pods: list[Any], present: list[Any] = ()) -> slices.Plan:  # type: ignore[assignment]
    return slices.plan(svc, pods, present, lambda found: "zone-a")


def applied(present: list[Any], made: slices.Plan) -> list[Any]:
    """The slices after the plan was written."""
    gone = {one["metadata"]["name"] for one in (*made.delete, *made.update)}
    kept = [one for one in present if one["metadata"]["name"] not in gone]
    fresh = []
    for number, one in enumerate(made.create):
        named = copy.deepcopy(one)
        named["metadata"]["name"] = f"{one['metadata']['generateName']}{len(present)}-{number}"
        fresh.append(named)
    return [*kept, *made.update, *fresh]


# --- slices


@pytest.mark.parametrize(
    ("ready", "going", "publish", "expected"),
    [
        (True, False, False, (True, True, False)),
        (False, False, False, (False, False, False)),
        (True, True, False, (False, True, True)),
        (False, True, False, (False, False, True)),
        (False, False, True, (True, False, False)),
        (True, True, True, (True, True, True)),
    ],
)
def test_the_conditions_of_an_endpoint(
    ready: bool, going: bool, publish: bool, expected: tuple[bool, bool, bool]
) -> None:
    made = planned(service(publishNotReadyAddresses=publish), [pod("a", ready=ready, going=going)])
    conditions = made.create[0]["endpoints"][0]["conditions"]
    assert (conditions["ready"], conditions["serving"], conditions["terminating"]) == expected


def test_a_slice_is_its_services() -> None:
    made = planned(service(), [pod("a")])
    one = made.create[0]
    assert one["metadata"]["labels"] == {
        "of": "mine",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    assert one["metadata"]["generateName"] == "web-"
    assert one["metadata"]["ownerReferences"][0] == {
        "apiVersion": "v1",
        "kind": "Service",
        "name": "web",
        "uid": "s",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    assert one["addressType"] == "IPv4"
    assert one["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert one["endpoints"][0]["targetRef"] == {"kind": "Pod", "namespace": "default", "name": "a", "uid": "u-a"}
    assert (one["endpoints"][0]["nodeName"], one["endpoints"][0]["zone"]) == ("n-1", "zone-a")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_what_has_ended_or_has_no_address_is_left_out(phase: str) -> None:
    made = planned(service(), [pod("a", phase=phase), pod("b", "", ips=[])])
    assert [one["endpoints"] for one in made.create] == [[]], "an empty slice stands for it"
    assert made.create[0]["ports"] == []


def test_both_families_and_headless_services() -> None:
    both = service(ipFamilies=["IPv4", "IPv6"], clusterIP="None", ports=[])
    made = planned(both, [pod("a", ips=["10.0.0.1", "fd00:0::1"]), pod("b", "10.0.0.2")])
    found = {
        one["addressType"]: [address for each in one["endpoints"] for address in each["addresses"]]
        for one in made.create
    }
    assert found == {"IPv4": ["10.0.0.1", "10.0.0.2"], "IPv6": ["fd00::1"]}
    assert made.create[0]["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
    assert made.create[0]["ports"] == []
    present = applied([], made)
    assert [one["addressType"] for one in planned(service(), [pod("a")], present).delete] == ["IPv6"]


def test_named_ports_differ_by_pod() -> None:
    named = service(ports=[{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}])
    sidecar = {"name": "s", "restartPolicy": "Always", "ports": [{"name": "web", "containerPort": 3}]}
    pods = [
        pod("a", containers=[{"ports": [{"name": "web", "containerPort": 1}]}]),
        pod("b", containers=[{"ports": [{"name": "web", "containerPort": 2, "protocol": "UDP"}]}]),
        pod("c", spec={"initContainers": [sidecar]}),
    ]
    made = planned(named, pods)
    assert sorted([port["port"] for port in one["ports"]] for one in made.create) == [[], [1], [3]]


def test_the_host_name_is_told_under_its_own_service_alone() -> None:
    hosted = pod("a", spec={"hostname": "db-0", "subdomain": "web"})
    assert planned(service(), [hosted]).create[0]["endpoints"][0]["hostname"] == "db-0"
    hosted["spec"]["subdomain"] = "other"
    assert "hostname" not in planned(service(), [hosted]).create[0]["endpoints"][0]


def test_slices_are_filled_and_kept() -> None:
    pods = [pod(str(n), f"10.0.{n // 250}.{n % 250 + 1}") for n in range(250)]
    present = applied([], planned(service(), pods))
    assert sorted(len(one["endpoints"]) for one in present) == [50, 100, 100]
    nothing = planned(service(), pods, present)
    assert (nothing.create, nothing.update, nothing.delete) == ([], [], [])
    pods[120]["status"]["conditions"] = []
    one = planned(service(), [*pods, pod("new", "10.1.0.1")], present)
    assert (len(one.create), len(one.delete)) == (0, 0)
    assert len(one.update) == 2, "one changed, and one has room"
    none = planned(service(), [], present)
    assert (len(none.create), len(none.update), len(none.delete)) == (0, 1, 2), "one stays, empty"


def test_a_label_of_the_service_reaches_its_slices() -> None:
    present = applied([], planned(service(), [pod("a")]))
    changed = service()
    changed["metadata"]["labels"] = {"of": "yours"}
    made = planned(changed, [pod("a")], present)
    assert [one["metadata"]["labels"]["of"] for one in made.update] == ["yours"]


def test_slices_of_another_service_of_the_same_name_go() -> None:
    present = applied([], planned(service(), [pod("a")]))
    again = service()
    again["metadata"]["uid"] = "s-2"
    made = planned(again, [pod("a")], present)
    assert (len(made.create), len(made.delete)) == (1, 1)


steps = st.lists(
    st.lists(st.tuples(st.integers(0, 11), st.booleans(), st.booleans()), max_size=12), min_size=1, max_size=5
)


@given(steps)
def test_after_any_changes_each_pod_is_in_one_slice(history: list[list[tuple[int, bool, bool]]]) -> None:
    largest, slices.LARGEST = slices.LARGEST, 3
    try:
        present: list[Any] = []
        for wanted in history:
            pods = {n: pod(str(n), f"10.0.0.{n + 1}", ready=ready, going=going) for n, ready, going in wanted}
            made = planned(service(), list(pods.values()), present)
            present = applied(present, made)
            names = [each["targetRef"]["name"] for one in present for each in one["endpoints"]]
            assert sorted(names) == sorted(str(n) for n in pods)
            assert all(len(one["endpoints"]) <= 3 for one in present)
            assert present, "a service has a slice"
            assert len(present) == 1 or all(one["endpoints"] for one in present)
            for one in present:
                for each in one["endpoints"]:
                    ready = pods[int(each["targetRef"]["name"])]["status"]["conditions"] == READY
                    assert each["conditions"]["serving"] is ready
            again = planned(service(), list(pods.values()), present)
            assert (again.create, again.update, again.delete) == ([], [], [])
    finally:
        slices.LARGEST = largest


# --- Endpoints


def test_subsets_tell_ready_from_unready() -> None:
    pods = [pod("a", "10.0.0.2"), pod("b", "10.0.0.1", ready=False), pod("c", "10.0.0.3", going=True)]
    subsets, is_cut = subsets_of(service(), pods)
    assert not is_cut
    assert [[each["ip"] for each in subsets[0][name]] for name in ("addresses", "notReadyAddresses")] == [
        ["10.0.0.2"],
        ["10.0.0.1"],
    ]
    assert subsets[0]["ports"] == [{"port": 8080, "protocol": "TCP", "name": "http"}]
    published, _ = subsets_of(service(publishNotReadyAddresses=True), pods)
    assert [each["ip"] for each in published[0]["addresses"]] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_endpoints_are_of_the_first_family() -> None:
    both = pod("a", ips=["10.0.0.1", "fd00::1"])
    assert subsets_of(service(ipFamilies=["IPv6", "IPv4"]), [both])[0][0]["addresses"][0]["ip"] == "fd00::1"
    assert subsets_of(service(ipFamilies=["IPv6"]), [pod("b")])[0] == []


def test_headless_without_ports_has_addresses_alone() -> None:
    subsets, _ = subsets_of(service(clusterIP="None", ports=[]), [pod("a")])
    assert [set(each) for each in subsets] == [{"addresses"}]
    assert subsets_of(service(ports=[]), [pod("a")])[0] == []


def test_more_than_a_thousand_are_cut_and_that_is_said() -> None:
    pods = [pod(str(n), f"10.{n // 62500}.{n // 250}.{n % 250 + 1}", ready=n % 2 == 0) for n in range(1500)]
    made = endpoints_for(service(), pods, None, "")
    assert made is not None
    assert len(made["subsets"][0]["addresses"]) == 750, "the ready ones first"
    assert len(made["subsets"][0]["notReadyAddresses"]) == 250
    assert made["metadata"]["annotations"] == {"endpoints.kubernetes.io/over-capacity": "truncated"}
    assert endpoints_for(service(), pods, made, "now") is None
    fewer = endpoints_for(service(), pods[:10], made, "now")
    assert fewer is not None
    assert fewer["metadata"]["annotations"] == {"endpoints.kubernetes.io/last-change-trigger-time": "now"}


# --- on a server


class World:
    def __init__(self) -> None:
        self.server = workload_server(clock=VirtualClock(settle_rounds=200))
        self.api, self.clock = self.server.api, self.server.clock
        self.hands = Hands(self.api, self.clock)

    async def start(self) -> World:
        events = Events(self.api, self.clock)
        book = PodBook(self.api)
        await self.server.start(events, ServiceEndpoints(self.api, book, events, self.clock, SeededEntropy(1)))
        labels = {"topology.kubernetes.io/zone": "zone-b"}
        await self.api.create(NODES, {"metadata": {"name": "n-1", "labels": labels}})
        return self

    async def expose(self, **spec: Any) -> None:
        fields = {"selector": {"app": "web"}, "ports": [{"port": 80}]} | spec
        await self.api.create(SERVICES, {"metadata": {"name": "web", "namespace": "default"}, "spec": fields})
        await self.clock.advance(0.2)

    async def run(self, name: str, node: str = "n-1", labels: dict[str, str] | None = None) -> None:
        meta = {"name": name, "namespace": "default", "labels": labels or {"app": "web"}}
        body = {"metadata": meta, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}
        made = await self.api.create(PODS, body)
        await self.hands.bind(made, node)
        await self.hands.report(await self.api.get(PODS, "default", name))
        await self.clock.advance(0.2)

    async def slices(self) -> list[Any]:
        return await self.api.list(SLICES, "default")

    async def targets(self) -> list[tuple[str, bool]]:
        found = [each for one in await self.slices() for each in one.get("endpoints") or ()]
        return sorted((each["targetRef"]["name"], each["conditions"]["ready"]) for each in found)

    async def subsets(self) -> list[Any]:
        return (await self.api.get(ENDPOINTS, "default", "web")).get("subsets") or []


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = await World().start()
    yield made
    await made.server.stop()


async def test_pods_come_get_ready_and_go(world: World) -> None:
    await world.expose()
    assert [one["endpoints"] for one in await world.slices()] in ([[]], [None])
    await world.run("a")
    await world.run("other", labels={"app": "other"})
    assert await world.targets() == [("a", True)]
    assert (await world.slices())[0]["endpoints"][0]["zone"] == "zone-b"
    assert (await world.subsets())[0]["addresses"][0]["targetRef"]["name"] == "a"
    found = await world.api.get(PODS, "default", "a")
    await world.hands.report(found, ready=False)
    await world.clock.advance(0.2)
    assert await world.targets() == [("a", False)]
    assert "addresses" not in (await world.subsets())[0]
    await world.hands.finish(found)
    await world.clock.advance(0.2)
    assert await world.targets() == []
    assert await world.subsets() == []
    assert len(await world.slices()) == 1


async def test_labels_bring_and_take_pods(world: World) -> None:
    await world.expose()
    await world.run("a", labels={"app": "other"})
    assert await world.targets() == []
    for label, expected in (("web", [("a", True)]), ("other", [])):
        await world.api.patch(PODS, "default", "a", {"metadata": {"labels": {"app": label}}})
        await world.clock.advance(0.2)
        assert await world.targets() == expected


async def test_what_others_do_to_slices_is_undone(world: World) -> None:
    await world.expose()
    await world.run("a")
    one = (await world.slices())[0]
    await world.api.delete(SLICES, "default", one["metadata"]["name"])
    await world.clock.advance(1.5)
    assert await world.targets() == [("a", True)]
    one = (await world.slices())[0]
    await world.api.patch(SLICES, "default", one["metadata"]["name"], {"endpoints": []})
    await world.api.delete(ENDPOINTS, "default", "web")
    await world.clock.advance(1.5)
    assert await world.targets() == [("a", True)]
    assert len(await world.subsets()) == 1


async def test_a_pod_waits_for_its_node(world: World) -> None:
    await world.expose()
    await world.run("a", node="n-2")
    assert await world.targets() == []
    await world.api.create(NODES, {"metadata": {"name": "n-2"}})
    await world.clock.advance(1.5)
    assert await world.targets() == [("a", True)]


async def test_services_that_select_nothing_are_left_alone(world: World) -> None:
    await world.expose(selector=None)
    assert await world.slices() == []
    assert await world.api.list(ENDPOINTS, "default") == []


async def test_a_service_that_goes_takes_its_endpoints(world: World) -> None:
    await world.expose()
    await world.run("a")
    await world.api.delete(SERVICES, "default", "web")
    await world.clock.advance(1.5)
    assert await world.api.list(ENDPOINTS, "default") == []
