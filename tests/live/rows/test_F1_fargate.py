"""F1, E7: Fargate needs no instance: by launch type or by capacity provider, in any zone."""

from __future__ import annotations

import pytest

from support.installation import SLEEP, Installation, address_of


@pytest.fixture(scope="module", autouse=True)
def sleeper(installation: Installation) -> None:
    installation.register("sleeper", {"name": "main", "command": SLEEP})


def test_a_task_runs_where_there_is_no_instance(installation: Installation, web_group: str) -> None:
    ecs = installation.client("ecs")
    arn = installation.run_task("sleeper", web_group)["taskArn"]
    task = installation.wait_task(arn, "RUNNING")
    assert (task["launchType"], task["platformVersion"], task["platformFamily"]) == ("FARGATE", "1.4.0", "Linux")
    assert "containerInstanceArn" not in task
    assert (task["cpu"], task["memory"], task["ephemeralStorage"]) == ("256", "512", {"sizeInGiB": 20})
    assert ecs.describe_clusters()["clusters"][0]["registeredContainerInstancesCount"] == 0
    assert installation.stop_task(arn)["stopCode"] == "UserInitiated"


def test_without_a_launch_type_there_is_no_instance_to_run_on(installation: Installation, web_group: str) -> None:
    ecs = installation.client("ecs")
    network = {"awsvpcConfiguration": {"subnets": [installation.subnet()["SubnetId"]], "securityGroups": [web_group]}}
    with pytest.raises(ecs.exceptions.InvalidParameterException, match="No Container Instances were found"):
        ecs.run_task(taskDefinition="sleeper", networkConfiguration=network)


def test_a_capacity_provider_runs_tasks_in_every_zone(installation: Installation, web_group: str) -> None:
    ecs = installation.client("ecs")
    subnets = [installation.subnet(f"us-east-1{letter}")["SubnetId"] for letter in "abc"]
    ecs.put_cluster_capacity_providers(
        cluster="default", capacityProviders=["FARGATE"], defaultCapacityProviderStrategy=[]
    )
    answer = ecs.run_task(
        taskDefinition="sleeper",
        count=3,
        capacityProviderStrategy=[{"capacityProvider": "FARGATE", "weight": 1}],
        networkConfiguration={"awsvpcConfiguration": {"subnets": subnets, "securityGroups": [web_group]}},
    )
    assert answer["failures"] == []
    tasks = [installation.wait_task(task["taskArn"], "RUNNING") for task in answer["tasks"]]
    assert {task["availabilityZone"] for task in tasks} == {"us-east-1a", "us-east-1b", "us-east-1c"}
    assert {task["capacityProviderName"] for task in tasks} == {"FARGATE"}
    assert len({address_of(task) for task in tasks}) == 3
    for task in tasks:
        ecs.stop_task(task=task["taskArn"])
    for task in tasks:
        installation.wait_task(task["taskArn"], "STOPPED", 60)
