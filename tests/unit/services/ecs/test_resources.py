"""The ARNs that policies are asked about: one name each, however a caller spells it; no Deny is walked round."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import pytest

from ropewalk.aws.operations import Principal
from ropewalk.base.errors import Fault
from support.ecs import World, lecture, world

PREFIX = "arn:aws:ecs:us-east-1:123456789012:"
TASK = "0" * 32


async def asked(w: World, operation: str, **params: Any) -> list[str]:
    """Resources of one request, as policies were asked about them."""
    w.authorizer.asked.clear()
    with contextlib.suppress(Fault):
        await w.call(operation, **params)
    return [arn for action, arn, _ in w.authorizer.asked if action == f"ecs:{operation}"]


async def told(w: World, operation: str, **params: Any) -> dict[str, Sequence[str]]:
    """What conditions may ask about the first resource of a request."""
    await asked(w, operation, **params)
    return dict(w.authorizer.asked[0][2])


@pytest.mark.parametrize("text", ["webapp", f"{PREFIX}task-definition/webapp"])
@pytest.mark.parametrize("operation", ["RunTask", "DescribeTaskDefinition", "StartTask"])
async def test_a_family_means_its_latest_active_revision(operation: str, text: str) -> None:
    async with world() as w:
        assert await asked(w, operation, taskDefinition=text, containerInstances=["i"]) in (
            [f"{PREFIX}task-definition/webapp"],
            [f"{PREFIX}task-definition/webapp:*"],
        )
        for _ in range(3):
            await w.register()
        await w.call("DeregisterTaskDefinition", taskDefinition="webapp:3")
        assert await asked(w, operation, taskDefinition=text, containerInstances=["i"]) == [
            f"{PREFIX}task-definition/webapp:2"
        ]


async def test_a_revision_that_is_denied_does_not_run_by_its_familys_name() -> None:
    async with world() as w:
        await w.register()
        await w.register()
        w.authorizer.denied = (f"{PREFIX}task-definition/webapp:2",)
        fault = await w.refusal("RunTask", taskDefinition="webapp", launchType="FARGATE")
        assert fault.code == "AccessDeniedException"
        await w.run_task("webapp:1")


@pytest.mark.parametrize("text", ["webapp:2", f"{PREFIX}task-definition/webapp:2"])
@pytest.mark.parametrize("operation", ["RunTask", "DeregisterTaskDefinition"])
async def test_a_revision_means_itself(operation: str, text: str) -> None:
    async with world() as w:
        assert await asked(w, operation, taskDefinition=text) == [f"{PREFIX}task-definition/webapp:2"]


TAGS = [{"key": "env", "value": "prod"}]
TOLD = {"aws:ResourceTag/env": ("prod",), "ecs:ResourceTag/env": ("prod",)}


async def test_policies_are_told_the_tags_of_what_is_there() -> None:
    async with world() as w:
        cluster = (await w.call("CreateCluster", clusterName="prod", tags=TAGS))["cluster"]["clusterArn"]
        definition = (await w.register(tags=TAGS))["taskDefinitionArn"]
        [task] = (await w.run_task(cluster="prod", tags=TAGS))["tasks"]
        in_prod = {"ecs:cluster": [cluster]}
        assert await told(w, "UpdateCluster", cluster="prod") == TOLD
        assert await told(w, "DescribeClusters", clusters=[cluster]) == TOLD
        assert await told(w, "ListTagsForResource", resourceArn=definition) == TOLD
        assert await told(w, "DescribeTaskDefinition", taskDefinition="webapp") == TOLD
        assert await told(w, "ListTagsForResource", resourceArn=task["taskArn"]) == TOLD
        assert await told(w, "StopTask", cluster="prod", task=task["taskArn"]) == {**TOLD, **in_prod}
        assert await told(w, "StopTask", task=task["taskArn"].rpartition("/")[2]) == {
            "ecs:cluster": [f"{PREFIX}cluster/default"]
        }
        w.authorizer.asked.clear()
        await w.run_task(cluster="prod")
        assert w.authorizer.asked[0][2] == {
            **TOLD,
            **in_prod,
            "ecs:enable-ebs-volumes": ("false",),
            "ecs:enable-execute-command": ("false",),
        }


async def test_policies_are_told_what_is_registered_and_set() -> None:
    async with world() as w:
        definition = await told(w, "RegisterTaskDefinition", **lecture(), tags=TAGS)
        assert definition == {
            "aws:RequestTag/env": ("prod",),
            "aws:TagKeys": ("env",),
            "ecs:compute-compatibility": ("FARGATE",),
            "ecs:privileged": ("false",),
            "ecs:task-cpu": ("256",),
            "ecs:task-memory": ("512",),
        }
        containers = [{**lecture()["containerDefinitions"][0], "privileged": True}]
        changed = {**lecture(), "containerDefinitions": containers, "cpu": "1 vCPU", "memory": "nonsense"}
        definition = await told(w, "RegisterTaskDefinition", **changed)
        assert definition["ecs:privileged"] == ("true",) and definition["ecs:task-cpu"] == ("1024",)
        assert "ecs:task-memory" not in definition
        spot = {"ecs:capacity-provider": [f"{PREFIX}capacity-provider/FARGATE_SPOT"]}
        assert await told(w, "CreateCluster", clusterName="c", capacityProviders=["FARGATE_SPOT"]) == spot
        strategy = [{"capacityProvider": "FARGATE_SPOT"}]
        await w.call(
            "PutClusterCapacityProviders",
            cluster="c",
            capacityProviders=["FARGATE_SPOT"],
            defaultCapacityProviderStrategy=strategy,
        )
        for params in ({"capacityProviderStrategy": strategy}, {"cluster": "c"}):
            assert (await told(w, "RunTask", taskDefinition="webapp", **params)).items() >= spot.items()
        assert await told(w, "PutAccountSetting", name="x", value="y") == {"ecs:account-setting": ("x",)}


@pytest.mark.parametrize("text", ["", "a b", "arn:aws:ecs", f"{PREFIX}task/x", f"{PREFIX}cluster/\0", "x" * 5000])
async def test_what_is_no_name_is_asked_about_and_then_refused(text: str) -> None:
    async with world() as w:
        for operation, params in (
            ("DescribeTasks", {"tasks": [text]}),
            ("StopTask", {"task": text, "cluster": text}),
            ("UpdateCluster", {"cluster": text}),
            ("RunTask", {"taskDefinition": "webapp", "cluster": text}),
            ("ListTagsForResource", {"resourceArn": text}),
        ):
            assert len(await asked(w, operation, **params)) == 1


async def test_an_administrator_costs_no_reads() -> None:
    async with world() as w:
        w.principal = Administrator(**{f.name: getattr(w.principal, f.name) for f in fields(Principal)})
        await w.register()
        await w.run_task()
        assert [action for action, _, _ in w.authorizer.asked if action.startswith("ecs:")] == []


class Administrator(Principal):
    @property
    def unlimited(self) -> bool:
        return True


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
