"""API servers' leases: made, renewed in place, and removed once their server is long gone."""

from __future__ import annotations

from ropewalk.base.clock import VirtualClock
from ropewalk.kube.controllers.server_leases import LEASE_SECONDS, LEASES, NAMESPACE, ServerLeases, identity
from ropewalk.kube.machinery import times
from support.kube_api import MemoryApi
from support.running import running


async def test_a_lease_is_made_and_renewed_in_place() -> None:
    api, clock = MemoryApi(), VirtualClock()
    async with running(ServerLeases(api, "host", "a:1", clock)):
        await clock.advance(1)
        first = await api.get(LEASES, NAMESPACE, identity("a:1"))
        await clock.advance(30)
        later = await api.get(LEASES, NAMESPACE, identity("a:1"))
    assert first["spec"]["holderIdentity"] == f"{identity('a:1')}_host"
    assert later["spec"]["acquireTime"] == first["spec"]["acquireTime"]
    assert times.parse(later["spec"]["renewTime"]) == times.parse(first["spec"]["renewTime"]) + 30
    assert later["metadata"]["uid"] == first["metadata"]["uid"]


async def test_a_lease_that_ran_out_is_removed_by_whoever_lives() -> None:
    api, clock = MemoryApi(), VirtualClock()
    async with running(ServerLeases(api, "host", "dead:1", clock)):
        await clock.advance(1)
    async with running(ServerLeases(api, "host", "alive:2", clock)):
        await clock.advance(LEASE_SECONDS / 2)
        names = {lease["metadata"]["name"] for lease in await api.list(LEASES, NAMESPACE)}
        assert names == {identity("dead:1"), identity("alive:2")}
        await clock.advance(LEASE_SECONDS * 1.5)
        names = {lease["metadata"]["name"] for lease in await api.list(LEASES, NAMESPACE)}
        assert names == {identity("alive:2")}
