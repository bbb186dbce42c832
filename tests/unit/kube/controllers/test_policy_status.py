"""A policy's status tells what is wrong with its expressions, once a generation."""

from __future__ import annotations

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.controllers.policy_status import POLICIES, PolicyStatus
from ropewalk.kube.machinery.objects import Object
from support.kube_api import MemoryApi
from support.running import running

WARNING = {"fieldRef": "spec.validations[0].expression", "warning": "…"}


async def test_each_generation_is_checked_once() -> None:
    api, clock = MemoryApi(), VirtualClock()
    checked: list[int] = []

    def check(policy: Object) -> list[Object]:
        checked.append(policy["metadata"]["generation"])
        return [WARNING] if policy["spec"]["wrong"] else []

    async with running(PolicyStatus(api, check, clock, SeededEntropy(1))):
        await api.create(POLICIES, {"metadata": {"name": "p", "generation": 1}, "spec": {"wrong": True}})
        await clock.settle()
        found = await api.get(POLICIES, "", "p")
        assert found["status"] == {"observedGeneration": 1, "typeChecking": {"expressionWarnings": [WARNING]}}
        found["metadata"]["labels"] = {"a": "b"}
        await api.update(POLICIES, found)
        await clock.settle()
        assert checked == [1]
        found = await api.get(POLICIES, "", "p")
        found["metadata"]["generation"], found["spec"] = 2, {"wrong": False}
        await api.update(POLICIES, found)
        await clock.settle()
        assert (await api.get(POLICIES, "", "p"))["status"] == {"observedGeneration": 2, "typeChecking": {}}
        await api.delete(POLICIES, "", "p")
        await clock.settle()
    assert checked == [1, 2]
