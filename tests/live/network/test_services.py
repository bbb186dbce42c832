"""What the router itself answers: served sockets and names; and what outlives the host agent."""

from __future__ import annotations

import asyncio
import os
import socket
import struct

import pytest
from dnslib import DNSRecord

from live.network.lab import ANYWHERE, PREFIX, VPC, WEB, Lab, group, inside, interface, run_inside, vpc
from ropewalk.base.errors import Fault
from ropewalk.model.agent import FabricDelta, FabricWhole
from ropewalk.model.host import METADATA_ADDRESS, RESOLVER_ADDRESS, Attachment
from ropewalk.model.ids import VpcId
from ropewalk.model.network import Fabric, FabricChange
from ropewalk.network import namespaces
from ropewalk.network.apply_links import router_links
from ropewalk.network.host_lock import HostLock
from ropewalk.network.names import Names

CLIENT, SERVER = interface(1, "web"), interface(2, "web", subnet=1)
GROUP = group("web", [WEB], egress=[])
NAMES = [(VPC, "ip-10-213-16-12.ec2.internal", SERVER.addresses[0])]


async def placed(lab: Lab) -> None:
    await lab.fabric([GROUP], [CLIENT, SERVER], names=NAMES)
    await lab.attach(CLIENT, SERVER)


async def test_a_served_port_is_reached_from_workloads_and_no_other(lab: Lab) -> None:
    """Groups have no say in it, as with AWS's link-local services: this one's admits no egress at all."""
    await placed(lab)
    with await lab.agent.listen(VPC, METADATA_ADDRESS, 80) as serving:
        assert await lab.reaches(CLIENT, METADATA_ADDRESS, 80)
        accepted, peer = serving.accept()
        accepted.close()
        assert peer[0] == CLIENT.addresses[0], "whom a credential is for is told by the address"
        assert not await lab.reaches(CLIENT, METADATA_ADDRESS, 81)
        assert not await lab.reaches(CLIENT, vpc().subnets[0].gateway, 80)


async def ask(lab: Lab, name: str, kind: str = "A", address: str = RESOLVER_ADDRESS, stream: bool = False) -> DNSRecord:
    query = bytes(DNSRecord.question(name, kind).pack())
    way = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
    loop = asyncio.get_running_loop()
    with inside(lab.namespace(CLIENT), lambda: socket.socket(socket.AF_INET, way)) as asking:
        asking.setblocking(False)
        async with asyncio.timeout(2):
            await loop.sock_connect(asking, (address, 53))
            await loop.sock_sendall(asking, struct.pack("!H", len(query)) + query if stream else query)
            answer = await loop.sock_recv(asking, 4096)
    return DNSRecord.parse(answer[2:] if stream else answer)


async def test_the_vpcs_names_resolve_from_inside(lab: Lab) -> None:
    await placed(lab)
    for address in (RESOLVER_ADDRESS, "10.213.0.2"):
        for stream in (False, True):
            answer = await ask(lab, "IP-10-213-16-12.ec2.internal", address=address, stream=stream)
            assert [str(record.rdata) for record in answer.rr] == [SERVER.addresses[0]]
    reverse = await ask(lab, "12.16.213.10.in-addr.arpa", "PTR")
    assert [str(record.rdata) for record in reverse.rr] == ["ip-10-213-16-12.ec2.internal."]
    assert (await ask(lab, "ip-10-213-0-99.ec2.internal")).header.rcode == 3
    assert (await ask(lab, "example.com")).header.rcode == 2, "no upstream is configured: an answer at once"


async def test_a_name_that_comes_and_goes(lab: Lab) -> None:
    await placed(lab)
    new = (VPC, "db.ec2.internal", "10.213.0.50")
    await lab.hear(FabricDelta(FabricChange(serial=2, names=(new,))))
    assert [str(record.rdata) for record in (await ask(lab, "db.ec2.internal")).rr] == ["10.213.0.50"]
    await lab.hear(FabricDelta(FabricChange(serial=3, removed_names=(new,))))
    assert (await ask(lab, "db.ec2.internal")).header.rcode == 3


async def test_applying_twice_changes_nothing(lab: Lab) -> None:
    await placed(lab)
    table, links = await lab.ruleset(), _links(lab)
    await lab.attach(CLIENT, SERVER)
    await lab.fabric([GROUP], [CLIENT, SERVER], names=NAMES)
    assert await lab.ruleset() == table, "not even a handle"
    assert _links(lab) == links


def _links(lab: Lab) -> str:
    """Links with their indices, addresses and routes, in the router and in a workload."""
    seen = (run_inside(p, "ip", "-o", what, "show") for p in (lab.router(), lab.namespace(CLIENT)) for what in _WHAT)
    return "\n".join(seen)


_WHAT = ("link", "address", "route", "neighbour")


async def test_a_restart_adopts_what_is_there_and_breaks_no_connection(lab: Lab) -> None:
    await lab.fabric([group("web", [WEB])], [CLIENT, SERVER], names=NAMES)
    await lab.attach(CLIENT, SERVER)
    loop = asyncio.get_running_loop()
    serving = await lab.agent.listen(VPC, METADATA_ADDRESS, 80)
    dialling = inside(lab.namespace(CLIENT), socket.socket)
    with lab.listen(SERVER, 80) as listening, dialling, serving:
        dialling.setblocking(False)
        await loop.sock_connect(dialling, (SERVER.addresses[0], 80))
        accepted, _ = listening.accept()
        links = _links(lab)
        await lab.agent.close()  # no host agent at all: the kernel goes on by itself
        assert await lab.reaches(CLIENT, SERVER.addresses[0], 80)
        assert await lab.reaches(CLIENT, METADATA_ADDRESS, 80)
        await lab.restart()
        assert _links(lab) == links
        with accepted:
            accepted.setblocking(False)
            await loop.sock_sendall(dialling, b"still here")
            async with asyncio.timeout(2):
                assert await loop.sock_recv(accepted, 100) == b"still here"
        assert await lab.reaches(CLIENT, SERVER.addresses[0], 80)
        assert not await lab.reaches(CLIENT, SERVER.addresses[0], 81)
        assert await lab.agent.vpcs() == (VPC,)
        before = await lab.ruleset()
        await lab.attach(CLIENT, SERVER)
        assert await lab.ruleset() == before
        again = await lab.agent.listen(VPC, METADATA_ADDRESS, 80)
        with again:
            assert await lab.reaches(CLIENT, METADATA_ADDRESS, 80)


async def test_a_restart_without_control_plane_still_detaches(lab: Lab) -> None:
    await placed(lab)
    await lab.restart()
    await lab.agent.detach(CLIENT.id)
    assert set(router_links_of(lab)) == {Names(PREFIX).interface(SERVER.id)}


def router_links_of(lab: Lab) -> dict[str, object]:
    def read() -> dict[str, object]:
        return dict(router_links(lab.router(), Names(PREFIX)))

    return inside("/proc/self/ns/net", read)


async def test_an_emptied_store_takes_nothing_away_and_a_named_removal_does(lab: Lab) -> None:
    await lab.fabric([group("web", [WEB])], [CLIENT, SERVER])
    await lab.attach(CLIENT, SERVER)
    await lab.hear(FabricWhole(Fabric()))
    with lab.listen(SERVER, 80):
        assert await lab.reaches(CLIENT, SERVER.addresses[0], 80)
        await lab.restart()
        await lab.hear(FabricWhole(Fabric()))
        assert await lab.reaches(CLIENT, SERVER.addresses[0], 80)
        await lab.hear(FabricDelta(FabricChange(serial=3, removed_interfaces=(SERVER.id,))))
        assert not await lab.reaches(CLIENT, SERVER.addresses[0], 80)
    assert set(router_links_of(lab)) == {Names(PREFIX).interface(CLIENT.id)}


async def test_a_vpc_that_is_deleted_takes_its_router_along(lab: Lab) -> None:
    other = vpc(VpcId("vpc-0bbbbbbbbbbbbbbb2"), "10.214.0.0/16")
    await lab.fabric([GROUP], [CLIENT], [vpc(), other])
    assert lab.router(other.id).exists()
    assert "10.214.0.0/16" in run_inside("/proc/self/ns/net", "ip", "route")
    await lab.hear(FabricDelta(FabricChange(serial=2, removed_vpcs=(other.id,))))
    assert not lab.router(other.id).exists()
    assert "10.214.0.0/16" not in run_inside("/proc/self/ns/net", "ip", "route")
    assert await lab.agent.vpcs() == (VPC,)


async def test_the_hosts_route_passes_to_the_younger_vpc_when_the_older_goes(lab: Lab) -> None:
    twin = vpc(VpcId("vpc-0bbbbbbbbbbbbbbb2"), created_at=2.0)
    await lab.fabric([GROUP], [CLIENT], [vpc(), twin])
    assert f"rth{VPC[-12:]}" in run_inside("/proc/self/ns/net", "ip", "route", "get", "10.213.0.9")
    await lab.hear(FabricDelta(FabricChange(serial=2, removed_vpcs=(VPC,))))
    assert f"rth{twin.id[-12:]}" in run_inside("/proc/self/ns/net", "ip", "route", "get", "10.213.0.9")


async def test_a_workload_that_vanishes_is_swept(lab: Lab) -> None:
    await placed(lab)
    namespaces.remove(lab.namespace(CLIENT))
    await lab.agent.sweep()
    assert Names(PREFIX).interface(CLIENT.id) not in await lab.ruleset()
    assert Names(PREFIX).interface(SERVER.id) in await lab.ruleset()


async def test_an_interface_whose_addresses_change_changes_in_place(lab: Lab) -> None:
    await lab.fabric([group("web", [ANYWHERE])], [CLIENT, SERVER])
    await lab.attach(CLIENT, SERVER)
    more = interface(2, "web", subnet=1)
    more = type(more)(
        **{**{f: getattr(more, f) for f in more.__struct_fields__}, "addresses": ("10.213.16.12", "10.213.16.60")}
    )
    await lab.hear(FabricDelta(FabricChange(serial=2, interfaces=(more,))))
    with lab.listen(SERVER, 80):
        assert await lab.reaches(CLIENT, "10.213.16.60", 80)
        await lab.hear(FabricDelta(FabricChange(serial=3, interfaces=(SERVER,))))
        assert not await lab.reaches(CLIENT, "10.213.16.60", 80)
        assert await lab.reaches(CLIENT, SERVER.addresses[0], 80)


async def test_many_attaches_at_once_share_transactions(lab: Lab) -> None:
    many = [interface(n, "web") for n in range(1, 21)]
    await lab.fabric([GROUP], many)
    await asyncio.gather(*(lab.agent.attach(Attachment(i.id, str(lab.namespace(i)))) for i in many))
    assert len(router_links_of(lab)) == 20
    table = await lab.ruleset()
    assert all(f'"{Names(PREFIX).interface(i.id)}"' in table for i in many)
    await asyncio.gather(*(lab.agent.detach(i.id) for i in many))
    assert router_links_of(lab) == {}


async def test_a_filter_that_somebody_else_changed_is_mended_by_the_next_change(lab: Lab) -> None:
    await placed(lab)
    command = ["env", *(f"{k}={v}" for k, v in lab.nft.environment.items()), *lab.nft.argv]
    await asyncio.to_thread(run_inside, lab.router(), *command, "flush", "ruleset")
    await lab.agent.detach(CLIENT.id)
    table = await lab.ruleset()
    assert Names(PREFIX).interface(SERVER.id) in table
    assert "policy drop" in table


def test_one_host_has_one_host_agent() -> None:
    first, second = HostLock("rt"), HostLock("rt")
    first.acquire()
    with pytest.raises(Fault) as refused:
        second.acquire()
    assert refused.value.code == "HostAgentRunning"
    assert str(os.getpid()) in refused.value.message
    first.release()
    second.acquire()
    second.release()


async def test_files_left_by_a_reboot_are_no_obstacle(lab: Lab) -> None:
    """After one, the journal and the routers' files are there and the kernel knows nothing of them."""
    await placed(lab)
    await lab.agent.close()
    for path in (lab.router(), lab.namespace(CLIENT), lab.namespace(SERVER)):
        namespaces.remove(path)
        await asyncio.to_thread(path.touch)
    # The kernel takes the host's end along with the router, in its own time.
    delete = f"ip link delete rth{VPC[-12:]} || true"
    await asyncio.to_thread(run_inside, "/proc/self/ns/net", "sh", "-c", delete)
    await lab.restart()
    assert await lab.agent.vpcs() == (VPC,)
    assert router_links_of(lab) == {}
    assert Names(PREFIX).interface(CLIENT.id) not in await lab.ruleset()
