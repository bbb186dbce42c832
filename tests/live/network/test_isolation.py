"""What must never happen: spoofed sources, VPCs that mix, packets that leave the machine, a machine that is changed."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys

import pytest

from live.network.lab import ANYWHERE, VPC, WEB, Lab, group, inside, interface, run_inside, vpc
from live.network.own_host import CHECKS
from ropewalk.base.errors import Fault
from ropewalk.model.host import Attachment
from ropewalk.model.ids import SecurityGroupId, VpcId
from ropewalk.model.network import SecurityGroupSpec

CLIENT, SERVER = interface(1, "open"), interface(2, "open", subnet=1)
OPEN = group("open", [ANYWHERE])


async def placed(lab: Lab) -> None:
    await lab.fabric([OPEN], [CLIENT, SERVER])
    await lab.attach(CLIENT, SERVER)


async def test_a_source_that_is_not_the_interfaces_own_is_dropped(lab: Lab) -> None:
    await placed(lab)
    where = lab.namespace(CLIENT)
    run_inside(where, "ip", "address", "add", "10.213.0.77/32", "dev", "eth0")
    with lab.listen(SERVER, 80):
        assert await lab.reaches(CLIENT, SERVER.addresses[0], 80)
        assert not await _sent_arrives(lab, "10.213.0.77")
        assert await _sent_arrives(lab, CLIENT.addresses[0])
        run_inside(where, "ip", "link", "set", "eth0", "address", "02:00:00:00:00:99")
        assert not await _sent_arrives(lab, CLIENT.addresses[0]), "its MAC is not its own either"


async def _sent_arrives(lab: Lab, source: str) -> bool:
    """Whether a datagram sent under `source` reaches the server: no answer needed, so none can fail instead."""
    receiving = inside(lab.namespace(SERVER), lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sending = inside(lab.namespace(CLIENT), lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with receiving, sending:
        receiving.bind(("0.0.0.0", 9005))
        receiving.setblocking(False)
        sending.bind((source, 0))
        sending.sendto(b"hello", (SERVER.addresses[0], 9005))
        try:
            async with asyncio.timeout(0.4):
                await asyncio.get_running_loop().sock_recv(receiving, 100)
        except TimeoutError:
            return False
        return True


async def test_an_interface_without_source_check_may_send_for_others(lab: Lab) -> None:
    client = interface(1, "open", source_dest_check=False)
    await lab.fabric([OPEN], [client, SERVER])
    await lab.attach(client, SERVER)
    run_inside(lab.namespace(client), "ip", "address", "add", "10.213.0.77/32", "dev", "eth0")
    assert await _sent_arrives(lab, "10.213.0.77")


async def test_two_vpcs_of_one_range_do_not_mix(lab: Lab) -> None:
    twin = vpc(VpcId("vpc-0bbbbbbbbbbbbbbb2"), created_at=2.0)
    twin_open = SecurityGroupSpec(SecurityGroupId("sg-twin"), twin.id, (ANYWHERE,), (ANYWHERE,))
    double, stranger = interface(2, "twin", in_vpc=twin, subnet=1), interface(3, "twin", in_vpc=twin)
    await lab.fabric([OPEN, twin_open], [CLIENT, SERVER, double, stranger], [vpc(), twin])
    await lab.attach(CLIENT, SERVER, double, stranger)
    assert double.addresses == SERVER.addresses
    with lab.listen(double, 80):
        assert await lab.reaches(stranger, double.addresses[0], 80)
        assert not await lab.reaches(CLIENT, SERVER.addresses[0], 80), "the listener is in the other VPC"
        assert not await lab.reaches(None, SERVER.addresses[0], 80), "the host's route goes to the older VPC"
    with lab.listen(SERVER, 80):
        assert await lab.reaches(None, SERVER.addresses[0], 80)


async def test_a_workload_cannot_reach_the_host(lab: Lab) -> None:
    await placed(lab)
    own = _route_source(SERVER.addresses[0])
    with socket.create_server(("0.0.0.0", 0)) as listening:
        port = listening.getsockname()[1]
        assert await lab.reaches(None, "127.0.0.1", port)
        for address in (own, *_host_addresses()):
            assert not await lab.reaches(CLIENT, address, port, within=0.2)


def _route_source(address: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect((address, 9))
        return str(asking.getsockname()[0])


def _host_addresses() -> list[str]:
    from ropewalk.network.netlink import Netlink

    with Netlink() as netlink:
        return [str(a.interface.ip) for a in netlink.addresses() if not a.interface.is_loopback]


async def test_an_outside_address_is_refused_at_once_and_an_absent_one_is_silence(lab: Lab) -> None:
    await placed(lab)
    loop = asyncio.get_running_loop()
    with inside(lab.namespace(CLIENT), socket.socket) as dialling:
        dialling.setblocking(False)
        with pytest.raises(OSError, match="Errno 113"):
            async with asyncio.timeout(2):
                await loop.sock_connect(dialling, ("198.51.100.7", 80))
    assert not await lab.reaches(CLIENT, "10.213.99.99", 80)


@pytest.mark.parametrize("check", sorted(CHECKS))
def test_on_a_host_of_its_own(check: str) -> None:
    done = subprocess.run(
        [
            "unshare",
            "--net",
            "--mount",
            "--propagation",
            "private",
            sys.executable,
            "-m",
            "live.network.own_host",
            check,
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


async def test_a_range_that_the_host_uses_gets_no_host_route(lab: Lab) -> None:
    """The workloads of such a VPC still reach each other; the host keeps its own."""
    used = next((a for a in _host_addresses()), None)
    assert used is not None
    spec = vpc(cidr=f"{used.rsplit('.', 2)[0]}.0.0/16")
    routes = run_inside("/proc/self/ns/net", "ip", "route", "show")
    client, server = interface(1, "open", in_vpc=spec), interface(2, "open", in_vpc=spec, subnet=1)
    await lab.fabric([OPEN], [client, server], [spec])
    await lab.attach(client, server)
    added = set(run_inside("/proc/self/ns/net", "ip", "route", "show").splitlines()) - set(routes.splitlines())
    assert {line.split()[0] for line in added} == {"169.254.192.0/31"} or all(
        line.startswith("169.254.") for line in added
    )
    with lab.listen(server, 80):
        assert await lab.reaches(client, server.addresses[0], 80)


async def test_a_namespace_that_is_none_is_refused_and_leaves_nothing(lab: Lab) -> None:
    await lab.fabric([OPEN], [CLIENT])
    plain = lab.folder / "plain"
    plain.touch()
    for path in (str(plain), str(lab.folder / "absent")):
        with pytest.raises(Fault) as refused:
            await lab.agent.attach(Attachment(CLIENT.id, path))
        assert refused.value.code == "InvalidNamespace"
    assert "eni" not in await lab.ruleset()
    assert f'"rt{CLIENT.id[-12:]}"' not in await lab.ruleset()


async def test_a_hostile_group_id_is_no_syntax(lab: Lab) -> None:
    name = 'x"; flush ruleset; add table ip evil #'
    spec = SecurityGroupSpec(SecurityGroupId(f"sg-{name}"), VPC, (WEB,), (ANYWHERE,))
    server = interface(2, name, subnet=1)
    await lab.fabric([spec], [server])
    await lab.attach(server)
    assert "evil" not in await lab.ruleset()
    with lab.listen(server, 80):
        assert await lab.reaches(None, server.addresses[0], 80)
