"""Aggregated cluster roles follow the roles that they gather."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.security.aggregation import CLUSTER_ROLES, ClusterRoleAggregation
from support.kube_api import MemoryApi

READ, WRITE = ({"apiGroups": [""], "resources": ["pods"], "verbs": [verb]} for verb in ("get", "create"))


def role(name: str, *rules: Object, **labels: str) -> Object:
    return {"metadata": {"name": name, "labels": labels}, "rules": list(rules)}


TOTAL: Object = {
    "metadata": {"name": "total"},
    "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"part": "total"}}]},
    "rules": None,
}


@asynccontextmanager
async def running(api: MemoryApi) -> AsyncIterator[VirtualClock]:
    clock = VirtualClock()
    task = asyncio.create_task(ClusterRoleAggregation(api, clock, SeededEntropy(1)).run())
    try:
        await clock.advance(1)
        yield clock
    finally:
        task.cancel()


def rules_of(api: MemoryApi) -> list[Object]:
    found = api.cache(CLUSTER_ROLES).get("", "total")
    assert found is not None
    return found["rules"] or []


async def test_rules_come_and_go_with_the_roles_that_are_gathered() -> None:
    api = MemoryApi((CLUSTER_ROLES, TOTAL), (CLUSTER_ROLES, role("a", READ, part="total")))
    async with running(api) as clock:
        assert rules_of(api) == [READ]
        api.put(CLUSTER_ROLES, role("b", WRITE, part="total"))
        await clock.advance(1)
        assert rules_of(api) == [READ, WRITE]
        api.put(CLUSTER_ROLES, role("a", READ, part="nothing"))
        await clock.advance(1)
        assert rules_of(api) == [WRITE]
        api.drop(CLUSTER_ROLES, "", "b")
        await clock.advance(1)
        assert rules_of(api) == []


async def test_what_is_as_it_should_be_is_not_written() -> None:
    api = MemoryApi((CLUSTER_ROLES, {**TOTAL, "rules": [READ]}), (CLUSTER_ROLES, role("a", READ, part="total")))
    async with running(api) as clock:
        api.put(CLUSTER_ROLES, role("other", WRITE))
        await clock.advance(1)
    assert api.log == []
    assert rules_of(api) == [READ]
