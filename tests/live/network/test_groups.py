"""Security groups on the real kernel."""

from __future__ import annotations

from live.network.lab import VPC, WEB, Lab, group, interface
from ropewalk.model.agent import FabricDelta
from ropewalk.model.network import FabricChange, Rule


async def test_only_what_the_receivers_group_admits_arrives(lab: Lab) -> None:
    client, server = interface(1, "client"), interface(2, "web", subnet=1)
    await lab.fabric([group("client"), group("web", [WEB])], [client, server])
    await lab.attach(client, server)
    with lab.listen(server, 80), lab.listen(server, 81):
        assert await lab.reaches(client, server.addresses[0], 80)
        assert not await lab.reaches(client, server.addresses[0], 81)
