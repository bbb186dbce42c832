"""Writes of services through two servers on one store, interleaved: none gets what another has, and what is refused or
dry leaves nothing behind. Nothing repairs here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.kube.kinds.core.service_ranges import held_addresses, held_ports
from support.kube_front import Server

SERVICES = "/api/v1/namespaces/default/services"
ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"
NAMES = ("a", "b", "c")

specs = st.fixed_dictionaries(
    {"type": st.sampled_from(("ClusterIP", "NodePort", "LoadBalancer"))},
    optional={
        "clusterIP": st.sampled_from(("10.96.0.3", "10.96.0.4", "10.9.0.1")),
        "nodePort": st.sampled_from((30_001, 30_002, 80)),
        "externalTrafficPolicy": st.just("Local"),
        "sessionAffinity": st.just("Nobody"),
    },
)
changes = st.sampled_from(
    (
        {"type": "ExternalName", "externalName": "a.example.com", "clusterIP": None, "clusterIPs": None},
        {"type": "ExternalName", "externalName": "a.example.com", "sessionAffinity": "Nobody"},
        {"type": "ClusterIP"},
        {"type": "NodePort"},
        {"type": "NodePort", "sessionAffinity": "Nobody"},
    )
)
requests = st.one_of(
    st.tuples(st.just("POST"), st.sampled_from(NAMES), specs),
    st.tuples(st.just("PATCH"), st.sampled_from(NAMES), changes),
    st.tuples(st.just("DELETE"), st.sampled_from(NAMES), st.none()),
)
steps = st.lists(st.lists(st.tuples(st.integers(0, 1), st.booleans(), requests), min_size=1, max_size=4), max_size=12)


async def ask(server: Server, dry: bool, method: str, name: str, given_spec: Any) -> None:
    query = "?dryRun=All" if dry else ""
    match method:
        case "POST":
            spec = {**given_spec, "ports": [{"port": 80}]}
            if port := spec.pop("nodePort", None):
                spec["ports"] = [{"port": 80, "nodePort": port}]
            answer = await server.post(f"{SERVICES}{query}", {"metadata": {"name": name}, "spec": spec})
        case "PATCH":
            answer = await server.patch(f"{SERVICES}/{name}{query}", {"spec": given_spec})
        case _:
            answer = await server.delete(f"{SERVICES}/{name}{query}")
    assert answer.status in (200, 201, 404, 409, 422), answer.body


async def check(server: Server) -> None:
    services = (await server.get(SERVICES)).json["items"]
    addresses = [text for one in services for text in held_addresses(one)]
    ports = [str(port) for one in services for port in held_ports(one)]
    assert len(addresses) == len(set(addresses)) and len(ports) == len(set(ports))
    objects = (await server.get(ADDRESSES)).json["items"]
    assert sorted(one["metadata"]["name"] for one in objects) == sorted(addresses)
    assert sorted(item.key for item in await server.addresses.ports.list()) == sorted(ports)


@settings(max_examples=40, deadline=None)
@given(steps)
def test_nothing_is_given_twice_and_nothing_left_behind(
    rounds: Sequence[Sequence[tuple[int, bool, tuple[str, str, Any]]]],
) -> None:
    async def act() -> None:
        first = Server()
        servers = [await first.start(), await Server(first.store, first.clock, seed=2).start()]
        try:
            for together in rounds:
                await asyncio.gather(*(ask(servers[which], dry, *request) for which, dry, request in together))
                await check(first)
        finally:
            for server in servers:
                await server.stop()

    asyncio.run(act())
