"""A namespace is emptied while what it holds ceases to be served."""

from __future__ import annotations

import pytest

from ropewalk.base.clock import VirtualClock
from ropewalk.base.entropy import SeededEntropy
from ropewalk.kube.controllers.namespaces import FINALIZER, NAMESPACES, NamespaceController
from ropewalk.kube.machinery import errors
from ropewalk.kube.machinery.objects import Object
from ropewalk.kube.machinery.resources import GroupResource
from support.kube_api import WALL, MemoryApi
from support.running import running

MAPS = GroupResource("", "configmaps")


class Ceasing(MemoryApi):
    """The definition of what `infos` still told of went in the same moment."""

    async def list(
        self, resource: GroupResource, namespace: str | None = None, *, label_selector: str = ""
    ) -> list[Object]:
        if resource == MAPS:
            raise errors.path_not_found()
        return await super().list(resource, namespace, label_selector=label_selector)


async def test_a_resource_that_ceases_meanwhile_holds_nothing(caplog: pytest.LogCaptureFixture) -> None:
    api, clock = Ceasing(), VirtualClock()
    async with running(NamespaceController(api, clock, SeededEntropy(1))):
        api.put(
            NAMESPACES,
            {"metadata": {"name": "going", "deletionTimestamp": WALL}, "spec": {"finalizers": [FINALIZER]}},
        )
        await clock.advance(5.0)
        found = await api.get(NAMESPACES, "", "going")
    assert found["spec"]["finalizers"] == []
    assert "Traceback" not in caplog.text
