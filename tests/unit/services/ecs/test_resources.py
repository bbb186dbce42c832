"""The ARNs that policies are asked about: one name each, however a caller spells it; no Deny is walked round."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.services import ecs
from support.ecs import World, world

PREFIX = "arn:aws:ecs:us-east-1:123456789012:"
TASK = "0" * 32


async def asked(w: World, operation: str, **params: Any) -> list[str]:
    """Resources of one request."""
    return list(ecs.operations.offered[operation].resources(w.request(operation), params))


@pytest.mark.parametrize("text", ["webapp", f"{PREFIX}task-definition/webapp"])
@pytest.mark.parametrize("operation", ["RunTask", "DescribeTaskDefinition"])
async def test_a_family_means_all_its_revisions(operation: str, text: str) -> None:
    async with world() as w:
        assert await asked(w, operation, taskDefinition=text) == [f"{PREFIX}task-definition/webapp:*"]


@pytest.mark.parametrize("text", ["webapp:2", f"{PREFIX}task-definition/webapp:2"])
@pytest.mark.parametrize("operation", ["RunTask", "DeregisterTaskDefinition"])
async def test_a_revision_means_itself(operation: str, text: str) -> None:
    async with world() as w:
        assert await asked(w, operation, taskDefinition=text) == [f"{PREFIX}task-definition/webapp:2"]


@pytest.mark.parametrize("text", ["webapp:01", "webapp:١", "webapp:0"])
async def test_a_revision_has_one_spelling(text: str) -> None:
    async with world() as w:
        await w.register()
        assert (await w.refusal("DescribeTaskDefinition", taskDefinition=text)).code == "ClientException"


@pytest.mark.parametrize("text", [TASK, f"{PREFIX}task/{TASK}", f"{PREFIX}task/prod/{TASK}"])
@pytest.mark.parametrize("operation", ["StopTask", "DescribeTasks"])
async def test_a_task_belongs_to_the_cluster_that_is_asked(operation: str, text: str) -> None:
    async with world() as w:
        assert await asked(w, operation, cluster="prod", task=text) == [f"{PREFIX}task/prod/{TASK}"]
        assert await asked(w, operation, cluster="prod", tasks=[text]) == [f"{PREFIX}task/prod/{TASK}"]
