"""Checks that need a host to themselves: a process in network and mount namespaces of its own, with a stand-in uplink.

`python -m live.network.own_host NAME`, started by `unshare`; ends with 0 where the check holds. Nothing else on the
machine can add a route, a mount or a packet meanwhile, so that before and after are compared whole.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from live.network.lab import ANYWHERE, VPC, Lab, group, interface, nft_command
from ropewalk.model.host import METADATA_ADDRESS

CLIENT, SERVER = interface(1, "open"), interface(2, "open", subnet=1)
_UPLINK = """
ip link set lo up
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6 || true
ip link add uplink type veth peer name far
ip link set uplink up
ip link set far up
ip address add 198.51.100.2/24 dev uplink
ip neighbour add 198.51.100.1 lladdr 02:00:00:00:ff:01 dev uplink nud permanent
ip route add default via 198.51.100.1
"""


def machine(lab: Lab) -> dict[str, str]:
    """All that another program could notice: routes, links, addresses, every IPv4 switch, mounts, nft tables."""
    found = {
        "routes": _run("ip", "-4", "route", "show", "table", "all"),
        "links": _run("ip", "-o", "-d", "link", "show"),
        "addresses": _run("ip", "-o", "address", "show"),
        "rules": _run("ip", "rule", "show"),
        "mounts": _without_workloads(lab, Path("/proc/self/mounts").read_text()),
        "nft": subprocess.run(
            [*lab.nft.argv, "list", "ruleset"], env=lab.nft.merged(), capture_output=True, text=True, check=True
        ).stdout,
        "sockets": Path("/proc/net/unix").read_text().count("ropewalk-host-agent"),
        "files": "\n".join(sorted(str(p) for p in lab.folder.rglob("*") if "workloads" not in str(p))),
    }
    for path in sorted(Path("/proc/sys/net/ipv4").rglob("*")):
        if path.is_file():
            try:
                found[str(path)] = path.read_text()
            except OSError:
                continue
    return {name: str(value) for name, value in found.items()}


def _without_workloads(lab: Lab, mounts: str) -> str:
    return "\n".join(line for line in mounts.splitlines() if str(lab.folder / "workloads") not in line)


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


async def placed(lab: Lab) -> None:
    await lab.fabric([group("open", [ANYWHERE])], [CLIENT, SERVER])
    await lab.attach(CLIENT, SERVER)


async def left_as_found(lab: Lab) -> None:
    before = await asyncio.to_thread(machine, lab)
    await lab.agent.adopt()
    await placed(lab)
    (await lab.agent.listen(VPC, METADATA_ADDRESS, 80)).close()
    during = await asyncio.to_thread(machine, lab)
    links = [name for name in during if f"rth{VPC[-12:]}" in name]
    assert links, "the switches of our own link are there"
    changed = {name for name in before if during[name] != before[name]}
    assert changed == {"routes", "links", "addresses", "mounts", "files"}, changed
    assert set(before["routes"].splitlines()) <= set(during["routes"].splitlines()), "no route of others' changes"
    await lab.agent.teardown()
    after = await asyncio.to_thread(machine, lab)
    left = {name: (before.get(name), after.get(name)) for name in before | after if before.get(name) != after.get(name)}
    left.pop("files")  # the empty folder that the journal was in
    assert not left, left
    assert [p for p in (lab.folder / "host").rglob("*") if p.is_file()] == []


def _sent() -> int:
    """From /proc/net/dev: /sys shows the namespace it was mounted in."""
    for line in Path("/proc/thread-self/net/dev").read_text().splitlines():
        name, _, figures = line.strip().partition(":")
        if name == "uplink":
            return int(figures.split()[9])
    raise LookupError("uplink")


async def nothing_leaves(lab: Lab) -> None:
    """With the router in place, with its link down, and for addresses that nobody has."""
    assert not await lab.reaches(None, "203.0.113.9", 80, within=0.05)
    assert _sent() > 0, "the stand-in uplink counts what leaves"
    await lab.agent.adopt()
    await placed(lab)
    before = _sent()
    for address in (SERVER.addresses[0], "10.213.200.200"):
        await lab.reaches(None, address, 80, within=0.05)
    for address in ("10.213.200.200", "203.0.113.9", "198.51.100.1", "169.254.169.254"):
        assert not await lab.reaches(CLIENT, address, 80, within=0.05)
    await asyncio.to_thread(_run, "ip", "link", "set", f"rth{VPC[-12:]}", "down")
    for address in (SERVER.addresses[0], "10.213.200.200"):
        assert not await lab.reaches(None, address, 80, within=0.05)
    await asyncio.to_thread(_run, "ip", "link", "delete", f"rth{VPC[-12:]}")
    assert not await lab.reaches(None, SERVER.addresses[0], 80, within=0.05)
    assert _sent() == before


CHECKS: dict[str, Callable[[Lab], Awaitable[None]]] = {
    "left_as_found": left_as_found,
    "nothing_leaves": nothing_leaves,
}


async def _main(name: str) -> None:
    await asyncio.to_thread(subprocess.run, ["sh", "-ec", _UPLINK], check=True)
    lab = Lab(nft_command())
    try:
        await CHECKS[name](lab)
    finally:
        await lab.close()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
