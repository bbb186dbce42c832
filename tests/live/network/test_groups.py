"""Security groups on the real kernel: who reaches whom, and how soon a change of mind is in force."""

from __future__ import annotations

import asyncio
import socket

import pytest

from live.network.lab import ANYWHERE, WEB, Lab, group, inside, interface
from ropewalk.base.clock import SystemClock
from ropewalk.model.agent import FabricDelta
from ropewalk.model.network import FabricChange, FabricInterface, Rule, SecurityGroupSpec

CLIENT, SERVER = interface(1, "client"), interface(2, "web", subnet=1)
ADDRESS = SERVER.addresses[0]


def change(*groups: SecurityGroupSpec, interfaces: tuple[FabricInterface, ...] = ()) -> FabricDelta:
    return FabricDelta(FabricChange(serial=2, groups=groups, interfaces=interfaces))


async def placed(lab: Lab, web: SecurityGroupSpec, client: SecurityGroupSpec | None = None) -> None:
    await lab.fabric([client or group("client"), web], [CLIENT, SERVER])
    await lab.attach(CLIENT, SERVER)


async def test_only_what_the_receivers_group_admits_arrives(lab: Lab) -> None:
    await placed(lab, group("web", [WEB]))
    with lab.listen(SERVER, 80), lab.listen(SERVER, 81):
        assert await lab.reaches(CLIENT, ADDRESS, 80)
        assert not await lab.reaches(CLIENT, ADDRESS, 81)


async def test_only_what_the_senders_group_admits_leaves(lab: Lab) -> None:
    egress = Rule(protocol="tcp", from_port=80, to_port=90, cidr=f"{ADDRESS}/32")
    await placed(lab, group("web", [ANYWHERE]), group("client", egress=[egress]))
    with lab.listen(SERVER, 80), lab.listen(SERVER, 91):
        assert await lab.reaches(CLIENT, ADDRESS, 80)
        assert not await lab.reaches(CLIENT, ADDRESS, 91)


async def test_a_revoked_rule_stops_new_connections_within_a_second_and_authorising_heals_it(lab: Lab) -> None:
    await placed(lab, group("web", [WEB]))
    clock = SystemClock()
    with lab.listen(SERVER, 80):
        assert await lab.reaches(CLIENT, ADDRESS, 80)
        begin = clock.monotonic()
        await lab.hear(change(group("web")))
        assert clock.monotonic() - begin < 1.0
        assert not await lab.reaches(CLIENT, ADDRESS, 80)
        assert not await lab.reaches(None, ADDRESS, 80)
        await lab.hear(change(group("web", [WEB])))
        assert await lab.reaches(CLIENT, ADDRESS, 80)
        assert await lab.reaches(None, ADDRESS, 80)


async def test_a_connection_that_is_tracked_goes_on_after_its_rule_is_revoked(lab: Lab) -> None:
    await placed(lab, group("web", [WEB]))
    loop = asyncio.get_running_loop()
    dialling = inside(lab.namespace(CLIENT), socket.socket)
    with lab.listen(SERVER, 80) as listening, dialling:
        dialling.setblocking(False)
        await loop.sock_connect(dialling, (ADDRESS, 80))
        accepted, peer = listening.accept()
        assert peer[0] == CLIENT.addresses[0], "the receiver sees the sender's own address"
        with accepted:
            accepted.setblocking(False)
            await lab.hear(change(group("web")))
            await loop.sock_sendall(dialling, b"still here")
            async with asyncio.timeout(2):
                assert await loop.sock_recv(accepted, 100) == b"still here"


async def test_a_rule_that_names_a_group_follows_its_members(lab: Lab) -> None:
    from_clients = Rule(protocol="tcp", from_port=5432, to_port=5432, group="sg-client")
    await placed(lab, group("web", [from_clients]))
    with lab.listen(SERVER, 5432):
        assert await lab.reaches(CLIENT, ADDRESS, 5432)
        assert not await lab.reaches(None, ADDRESS, 5432), "the host is no member"
        await lab.hear(change(group("other"), interfaces=(interface(1, "other"),)))
        assert not await lab.reaches(CLIENT, ADDRESS, 5432)
        await lab.hear(change(interfaces=(interface(1, "client", "other"),)))
        assert await lab.reaches(CLIENT, ADDRESS, 5432)


async def test_groups_of_one_interface_add_up(lab: Lab) -> None:
    server = interface(2, "web", "admin", subnet=1)
    ssh = Rule(protocol="tcp", from_port=22, to_port=22, cidr="10.213.0.0/20")
    await lab.fabric([group("client"), group("web", [WEB]), group("admin", [ssh])], [CLIENT, server])
    await lab.attach(CLIENT, server)
    with lab.listen(server, 80), lab.listen(server, 22), lab.listen(server, 23):
        assert [await lab.reaches(CLIENT, ADDRESS, port) for port in (80, 22, 23)] == [True, True, False]
        assert [await lab.reaches(None, ADDRESS, port) for port in (80, 22)] == [True, False], "ssh is for the subnet"


def ping(lab: Lab, source: FabricInterface, identifier: int) -> socket.socket:
    """A raw socket that has sent the server one echo request. One identifier is one tracked flow."""
    opened = inside(lab.namespace(source), lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    body = bytes([8, 0, 0, 0, 0, identifier, 0, 1])
    total = sum(int.from_bytes(body[i : i + 2], "big") for i in range(0, 8, 2))
    check = 0xFFFF ^ ((total & 0xFFFF) + (total >> 16))
    opened.setblocking(False)
    opened.sendto(body[:2] + check.to_bytes(2, "big") + body[4:], (ADDRESS, 0))
    return opened


async def answered(opened: socket.socket) -> bool:
    loop = asyncio.get_running_loop()
    with opened:
        try:
            async with asyncio.timeout(0.4):
                while True:
                    packet = await loop.sock_recv(opened, 200)
                    if packet[20] == 0:
                        return True
        except TimeoutError:
            return False


async def test_icmp_is_admitted_by_type(lab: Lab) -> None:
    echo = Rule(protocol="icmp", from_port=8, to_port=-1, cidr="0.0.0.0/0")
    await placed(lab, group("web", [echo]))
    assert await answered(ping(lab, CLIENT, 1))
    await lab.hear(change(group("web", [Rule(protocol="icmp", from_port=13, to_port=0, cidr="0.0.0.0/0")])))
    assert not await answered(ping(lab, CLIENT, 2))
    await lab.hear(change(group("web", [Rule(protocol="1", cidr="10.213.0.0/16")])))
    assert await answered(ping(lab, CLIENT, 3))


@pytest.mark.parametrize("admitted", [True, False])
async def test_udp_and_numbered_protocols(lab: Lab, admitted: bool) -> None:
    """The 17 of `protocol` is UDP's number; UDP-Lite (136) has no ports that a rule could name."""
    cidr = f"{CLIENT.addresses[0] if admitted else '10.213.0.99'}/32"
    await placed(lab, group("web", [Rule(protocol="17", from_port=9000, to_port=9010, cidr=cidr)]))
    loop = asyncio.get_running_loop()
    receiving = inside(lab.namespace(SERVER), lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sending = inside(lab.namespace(CLIENT), lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with receiving, sending:
        receiving.bind(("0.0.0.0", 9005))
        receiving.setblocking(False)
        sending.sendto(b"hello", (ADDRESS, 9005))
        try:
            async with asyncio.timeout(0.4):
                assert await loop.sock_recv(receiving, 100) == b"hello"
                assert admitted
        except TimeoutError:
            assert not admitted


async def test_the_next_owner_of_an_address_does_not_inherit_open_flows(lab: Lab) -> None:
    await placed(lab, group("web", [ANYWHERE]))
    loop = asyncio.get_running_loop()
    sending = inside(lab.namespace(CLIENT), lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    receiving = inside(lab.namespace(SERVER), lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with sending, receiving:
        for opened in (sending, receiving):
            opened.setblocking(False)
            opened.bind(("0.0.0.0", 9005))
        sending.sendto(b"hello", (ADDRESS, 9005))
        async with asyncio.timeout(2):
            assert await loop.sock_recv(receiving, 100) == b"hello"
        receiving.sendto(b"hello yourself", (CLIENT.addresses[0], 9005))
        async with asyncio.timeout(2):
            await loop.sock_recv(sending, 100)
        await lab.hear(change(group("web")))
        sending.sendto(b"tracked", (ADDRESS, 9005))
        async with asyncio.timeout(2):
            assert await loop.sock_recv(receiving, 100) == b"tracked"
        await lab.agent.detach(SERVER.id)
        await lab.attach(SERVER)
        sending.sendto(b"to the next owner", (ADDRESS, 9005))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                await loop.sock_recv(receiving, 100)
