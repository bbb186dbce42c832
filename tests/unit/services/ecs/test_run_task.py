"""RunTask: what it answers, what it refuses, and that a client token makes it happen once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.ecs import ACCOUNT, GIB, world

FARGATE_ON_DEFAULT = {
    "cluster": "default",
    "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
    "defaultCapacityProviderStrategy": [],
}


def network(*subnets: str, groups: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    configuration: dict[str, Any] = {"subnets": list(subnets), **more}
    if groups:
        configuration["securityGroups"] = list(groups)
    return {"awsvpcConfiguration": configuration}


async def test_the_answer_is_as_ecs_gives_it() -> None:
    async with world() as w:
        definition = await w.register()
        answer = await w.run_task(
            tags=[{"key": "a", "value": "b"}], enableECSManagedTags=True, startedBy="ci", group="batch"
        )
        [task] = answer["tasks"]
        identifier = task["taskArn"].rpartition("/")[2]
        assert len(identifier) == 32
        assert task["taskArn"] == f"arn:aws:ecs:us-east-1:{ACCOUNT}:task/default/{identifier}"
        assert task["taskDefinitionArn"] == definition["taskDefinitionArn"]
        expected = {
            "cpu": "256",
            "memory": "512",
            "launchType": "FARGATE",
            "platformVersion": "1.4.0",
            "platformFamily": "Linux",
            "group": "batch",
            "startedBy": "ci",
            "availabilityZone": "us-east-1a",
            "healthStatus": "UNKNOWN",
            "ephemeralStorage": {"sizeInGiB": 20},
            "createdAt": w.clock.wall(),
        }
        assert {name: task[name] for name in expected} == expected
        assert task["tags"] == [{"key": "a", "value": "b"}, {"key": "aws:ecs:clusterName", "value": "default"}]
        [container] = task["containers"]
        assert (container["name"], container["image"], container["lastStatus"]) == ("web", "nginx:latest", "PENDING")
        assert container["containerArn"].startswith(f"arn:aws:ecs:us-east-1:{ACCOUNT}:container/default/{identifier}/")
        assert task["overrides"]["containerOverrides"] == [{"name": "web"}]
        assert task["attachments"][0]["details"] == [{"name": "subnetId", "value": "subnet-a"}]
        for absent in ("startedAt", "stoppedAt", "stopCode", "connectivity"):
            assert absent not in task


async def test_one_durable_write_a_task() -> None:
    async with world() as w:
        await w.register()
        await w.stop()
        before = w.ecs.store.revision
        await w.run_task(count=10)
        assert w.ecs.store.revision == before + 10


REFUSALS: list[tuple[dict[str, Any], str, str]] = [
    ({"taskDefinition": "none"}, "ClientException", "TaskDefinition not found."),
    ({"taskDefinition": "a:b:c"}, "ClientException", "TaskDefinition not found."),
    ({"cluster": "none"}, "ClusterNotFoundException", "Cluster not found."),
    ({"count": 0}, "InvalidParameterException", "count must be between 1 and 10"),
    ({"count": 11}, "InvalidParameterException", "count must be between 1 and 10"),
    ({"launchType": "EC2"}, "InvalidParameterException", "No Container Instances were found in your cluster."),
    ({"launchType": None}, "InvalidParameterException", "No Container Instances were found in your cluster."),
    ({"launchType": "MOON"}, "InvalidParameterException", "Invalid launch type"),
    (
        {"capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]},
        "InvalidParameterException",
        "Specifying both a launch type and capacity provider strategy is not supported",
    ),
    (
        {"launchType": None, "capacityProviderStrategy": [{"capacityProvider": "FARGATE"}]},
        "InvalidParameterException",
        "not associated with the cluster",
    ),
    ({"platformVersion": "9.9.9"}, "PlatformUnknownException", "The specified platform does not exist."),
    ({"platformVersion": "1.3.0"}, "PlatformTaskDefinitionIncompatibilityException", "retired"),
    ({"enableExecuteCommand": True}, "InvalidParameterException", "'enableExecuteCommand' is not supported"),
    ({"volumeConfigurations": [{"name": "v"}]}, "InvalidParameterException", "'volumeConfigurations' is not supported"),
    ({"group": "service:x"}, "InvalidParameterException", "Invalid namespace for group."),
    ({"startedBy": "a b"}, "InvalidParameterException", "startedBy contains invalid characters"),
    ({"propagateTags": "SERVICE"}, "InvalidParameterException", "belongs to no service"),
    ({"referenceId": "x" * 1025}, "InvalidParameterException", "referenceId"),
    ({"clientToken": "x" * 65}, "InvalidParameterException", "clientToken must be"),
    ({"placementStrategy": [{"type": "random"}]}, "InvalidParameterException", "Placement strategies are not"),
    ({"placementConstraints": [{"type": "memberOf"}]}, "InvalidParameterException", "Placement constraints are not"),
    ({"networkConfiguration": None}, "InvalidParameterException", "Network Configuration must be provided when"),
    ({"networkConfiguration": network()}, "InvalidParameterException", "subnets can not be empty"),
    ({"networkConfiguration": network("subnet-q")}, "InvalidParameterException", "The subnet ID 'subnet-q' does not"),
    ({"networkConfiguration": network("subnet-a", "subnet-x")}, "InvalidParameterException", "same VPC"),
    ({"networkConfiguration": network("subnet-a", groups=("sg-x",))}, "InvalidParameterException", "same VPC"),
    ({"networkConfiguration": network("subnet-a", groups=("sg-q",))}, "InvalidParameterException", "'sg-q' does not"),
    (
        {"networkConfiguration": network("subnet-a", groups=tuple(f"sg-{i}" for i in range(6)))},
        "InvalidParameterException",
        "at most 5",
    ),
    ({"networkConfiguration": network(*[f"s-{i}" for i in range(17)])}, "InvalidParameterException", "at most 16"),
    (
        {"overrides": {"containerOverrides": [{"name": "db"}]}},
        "InvalidParameterException",
        "Override for container named db is not a container in the TaskDefinition.",
    ),
    ({"overrides": {"containerOverrides": [{"name": "web"}] * 2}}, "InvalidParameterException", "Only one override"),
    (
        {"overrides": {"containerOverrides": [{"name": "web", "environmentFiles": [{"value": "x"}]}]}},
        "InvalidParameterException",
        "containerOverrides.environmentFiles",
    ),
    (
        {"overrides": {"containerOverrides": [{"name": "web", "environment": [{"name": "A=B", "value": ""}]}]}},
        "ClientException",
        "an environment variable has no name",
    ),
    ({"overrides": {"containerOverrides": [{"name": "web", "cpu": 512}]}}, "ClientException", "sum of all container"),
    ({"overrides": {"containerOverrides": [{"name": "web", "memory": -1}]}}, "InvalidParameterException", "negative"),
    ({"overrides": {"cpu": "300"}}, "ClientException", "No Fargate configuration exists for given values: 300 CPU"),
    ({"overrides": {"ephemeralStorage": {"sizeInGiB": 5}}}, "ClientException", "at least 21"),
    ({"overrides": {"taskRoleArn": "nobody"}}, "ClientException", "ECS was unable to assume the role"),
    ({"tags": [{"key": "", "value": ""}]}, "InvalidParameterException", "tag key"),
]


@pytest.mark.parametrize(("params", "code", "text"), REFUSALS, ids=[f"{row[0]!r:.60}" for row in REFUSALS])
async def test_a_refused_request_makes_nothing(params: dict[str, Any], code: str, text: str) -> None:
    async with world() as w:
        await w.register()
        before = w.ecs.store.revision
        given: dict[str, Any] = {
            "taskDefinition": "webapp",
            "launchType": "FARGATE",
            "networkConfiguration": network("subnet-a"),
            **params,
        }
        fault = await w.refusal("RunTask", **{name: value for name, value in given.items() if value is not None})
        assert (fault.code, text in fault.message) == (code, True), fault.message
        assert w.ecs.store.revision == before


async def test_roles_must_be_passable_and_trust_ecs_tasks() -> None:
    async with world() as w:
        await w.register(taskRoleArn="app")
        w.authorizer.asked.clear()
        await w.run_task()
        asked = [arn.rpartition("/")[2] for _, arn, _ in w.authorizer.asked]
        assert asked == ["webapp:1", "app", "ecsTaskExecutionRole"]
        w.roles.trusting.clear()
        fault = await w.refusal(
            "RunTask", taskDefinition="webapp", launchType="FARGATE", networkConfiguration=network("subnet-a")
        )
        assert fault.message.startswith("ECS was unable to assume the role") and "role/app" in fault.message


async def test_without_groups_the_vpcs_default_group_is_taken() -> None:
    async with world() as w:
        await w.register()
        [task] = (await w.run_task(networkConfiguration=network("subnet-a", assignPublicIp="DISABLED")))["tasks"]
        await w.settle()
        claim = await w.ecs.claim_table.get(f"ecs/{task['taskArn'].rpartition('/')[2]}")
        assert claim is not None and claim.groups == ("sg-default",)


async def test_a_public_address_is_refused_by_name() -> None:
    async with world() as w:
        await w.register()
        fault = await w.refusal(
            "RunTask",
            taskDefinition="webapp",
            launchType="FARGATE",
            networkConfiguration=network("subnet-a", assignPublicIp="ENABLED"),
        )
        assert "assignPublicIp 'ENABLED' is not supported" in fault.message


async def test_tasks_are_spread_over_the_zones_of_their_subnets() -> None:
    async with world() as w:
        await w.register()
        subnets = network("subnet-a", "subnet-b", "subnet-c")
        zones = [
            task["availabilityZone"] for task in (await w.run_task(count=6, networkConfiguration=subnets))["tasks"]
        ]
        assert sorted(zones) == sorted(["us-east-1a", "us-east-1b", "us-east-1c"] * 2)
        [more] = (await w.run_task(networkConfiguration=network("subnet-a", "subnet-b")))["tasks"]
        assert more["availabilityZone"] == "us-east-1a"


async def test_a_host_of_one_zone_takes_only_that_zones_subnets() -> None:
    async with world(hosts=0) as w:
        await w.add_host("host-b", zone="us-east-1b")
        await w.register()
        await w.settle()
        answer = await w.run_task(count=2, networkConfiguration=network("subnet-a", "subnet-b"))
        assert [task["availabilityZone"] for task in answer["tasks"]] == ["us-east-1b"] * 2
        nowhere = await w.run_task(networkConfiguration=network("subnet-a"))
        assert nowhere["tasks"] == [] and nowhere["failures"][0]["reason"].startswith("Capacity is unavailable")


async def test_without_room_the_rest_are_failures() -> None:
    async with world(hosts=0) as w:
        await w.add_host(cpu=1000, memory=4 * GIB)
        await w.register()
        await w.settle()
        answer = await w.run_task(count=6)
        assert (len(answer["tasks"]), len(answer["failures"])) == (4, 2)
        assert answer["failures"][0]["reason"] == (
            "Capacity is unavailable at this time. Please try again later or in a different availability zone"
        )
        first = answer["tasks"][0]["taskArn"].rpartition("/")[2]
        await w.settle()
        await w.call("StopTask", task=first)
        await w.settle()
        assert len((await w.run_task())["tasks"]) == 1


async def test_concurrent_requests_never_overcommit_a_host() -> None:
    async with world(hosts=0) as w:
        await w.add_host(cpu=2000, memory=64 * GIB)
        await w.register()
        await w.settle()
        answers = await asyncio.gather(*(w.run_task(count=3) for _ in range(6)))
        assert sum(len(answer["tasks"]) for answer in answers) == 8


async def test_a_strategy_shares_tasks_among_its_providers() -> None:
    async with world() as w:
        await w.register()
        await w.call("PutClusterCapacityProviders", **FARGATE_ON_DEFAULT)
        strategy = [
            {"capacityProvider": "FARGATE", "base": 1, "weight": 1},
            {"capacityProvider": "FARGATE_SPOT", "weight": 3},
        ]
        answer = await w.call(
            "RunTask",
            taskDefinition="webapp",
            capacityProviderStrategy=strategy,
            count=5,
            networkConfiguration=network("subnet-a"),
        )
        providers = [task["capacityProviderName"] for task in answer["tasks"]]
        assert (providers.count("FARGATE"), providers.count("FARGATE_SPOT")) == (2, 3)
        assert {task["launchType"] for task in answer["tasks"]} == {"FARGATE"}


async def test_the_clusters_default_strategy_is_taken_when_nothing_is_said() -> None:
    async with world() as w:
        await w.register()
        strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
        await w.call(
            "PutClusterCapacityProviders", **{**FARGATE_ON_DEFAULT, "defaultCapacityProviderStrategy": strategy}
        )
        answer = await w.call("RunTask", taskDefinition="webapp", networkConfiguration=network("subnet-a"))
        assert answer["tasks"][0]["capacityProviderName"] == "FARGATE_SPOT"


async def test_overrides_shape_the_task() -> None:
    async with world() as w:
        await w.register()
        overrides = {
            "cpu": "512",
            "memory": "1GB",
            "ephemeralStorage": {"sizeInGiB": 30},
            "taskRoleArn": "app",
            "containerOverrides": [{"name": "web", "cpu": 256, "memory": 512, "command": ["sleep", "1"]}],
        }
        [task] = (await w.run_task(overrides=overrides))["tasks"]
        assert (task["cpu"], task["memory"]) == ("512", "1024")
        assert task["fargateEphemeralStorage"] == {"sizeInGiB": 30}
        assert (task["containers"][0]["cpu"], task["containers"][0]["memory"]) == ("256", "512")
        assert task["overrides"]["containerOverrides"][0]["command"] == ["sleep", "1"]


async def test_a_client_token_makes_a_request_happen_once() -> None:
    async with world() as w:
        await w.register()
        first, again = await asyncio.gather(*(w.run_task(count=2, clientToken="t") for _ in range(2)))
        assert len(first["tasks"]) == 2
        assert [t["taskArn"] for t in first["tasks"]] == [t["taskArn"] for t in again["tasks"]]
        await w.settle()
        later = await w.run_task(count=2, clientToken="t")
        assert [t["taskArn"] for t in later["tasks"]] == [t["taskArn"] for t in first["tasks"]]
        with pytest.raises(Exception, match="ConflictException"):
            await w.run_task(count=3, clientToken="t")
        other = await w.run_task(count=2, clientToken="u")
        assert len({t["taskArn"] for t in other["tasks"] + first["tasks"]}) == 4


async def test_tags_of_the_definition_are_propagated_when_asked() -> None:
    async with world() as w:
        await w.register(tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
        assert (await w.run_task())["tasks"][0]["tags"] == []
        answer = await w.run_task(propagateTags="TASK_DEFINITION", tags=[{"key": "b", "value": "3"}])
        assert answer["tasks"][0]["tags"] == [{"key": "a", "value": "1"}, {"key": "b", "value": "3"}]
