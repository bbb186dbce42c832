"""Clusters: creation, description with true counts, settings, providers, deletion."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ropewalk.services import ecs as package
from support.ecs import world


def _name(arn: str) -> str:
    return arn.rpartition("/")[2]


async def test_default_exists_from_the_start_and_seeding_again_changes_nothing() -> None:
    async with world() as w:
        await package.seed(w.ecs)
        [cluster] = (await w.call("DescribeClusters"))["clusters"]
        assert (cluster["clusterName"], cluster["status"]) == ("default", "ACTIVE")
        assert cluster["clusterArn"] == "arn:aws:ecs:us-east-1:123456789012:cluster/default"
        assert cluster["settings"] == cluster["tags"] == cluster["statistics"] == []


async def test_creation_is_idempotent_but_not_with_other_arguments() -> None:
    async with world() as w:
        asked: dict[str, Any] = {
            "clusterName": "shop",
            "tags": [{"key": "a", "value": "b"}],
            "settings": [{"name": "containerInsights", "value": "disabled"}],
            "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
            "defaultCapacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}],
        }
        made = (await w.call("CreateCluster", **asked))["cluster"]
        assert made["settings"] == asked["settings"] and made["tags"] == asked["tags"]
        assert made["defaultCapacityProviderStrategy"] == [{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]
        assert (await w.call("CreateCluster", **asked))["cluster"] == made
        assert (await w.call("CreateCluster", clusterName="shop"))["cluster"] == made
        fault = await w.refusal("CreateCluster", clusterName="shop", capacityProviders=["FARGATE"])
        assert "inconsistent with arguments used in previous request" in fault.message


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"clusterName": "a b"}, "invalid characters"),
        ({"capacityProviders": ["mine"]}, "'mine' was not found"),
        ({"settings": [{"name": "containerInsights", "value": "on"}]}, "Invalid value 'on'"),
        ({"settings": [{"name": "containerInsights", "value": "enabled"}]}, "containerInsights=enabled"),
        ({"configuration": {"executeCommandConfiguration": {"logging": "NONE"}}}, "executeCommandConfiguration"),
        ({"configuration": {"managedStorageConfiguration": {"kmsKeyId": "k"}}}, "managedStorageConfiguration"),
        ({"serviceConnectDefaults": {"namespace": "n"}}, "serviceConnectDefaults"),
        ({"defaultCapacityProviderStrategy": [{"capacityProvider": "FARGATE"}]}, "not associated with the cluster"),
        ({"tags": [{"key": "aws:x", "value": ""}]}, "aws: is reserved"),
        ({"tags": [{"key": "x", "value": ""}, {"key": "x", "value": ""}]}, "Duplicate tag key"),
    ],
)
async def test_what_cannot_be_honoured_is_refused_and_nothing_is_made(params: dict[str, Any], text: str) -> None:
    async with world() as w:
        fault = await w.refusal("CreateCluster", **{"clusterName": "shop", **params})
        assert fault.code == "InvalidParameterException" and text in fault.message
        assert (await w.call("DescribeClusters", clusters=["shop"]))["failures"][0]["reason"] == "MISSING"


async def test_counts_follow_the_tasks() -> None:
    async with world() as w:
        await w.register()
        tasks = (await w.run_task(count=3))["tasks"]
        [before] = (await w.call("DescribeClusters", include=["STATISTICS"]))["clusters"]
        assert (before["runningTasksCount"], before["pendingTasksCount"]) == (0, 3)
        first = _name(tasks[0]["taskArn"])
        await w.bring_up(first)
        [after] = (await w.call("DescribeClusters", include=["STATISTICS"]))["clusters"]
        assert (after["runningTasksCount"], after["pendingTasksCount"]) == (1, 2)
        values = {item["name"]: item["value"] for item in after["statistics"]}
        assert values["runningFargateTasksCount"] == "1" and values["pendingFargateTasksCount"] == "2"
        assert len(values) == 8 and values["runningEC2TasksCount"] == values["activeFargateServiceCount"] == "0"
        await w.call("StopTask", task=first)
        await w.follow_stop(first)
        [later] = (await w.call("DescribeClusters"))["clusters"]
        assert (later["runningTasksCount"], later["pendingTasksCount"]) == (0, 2)


async def test_what_is_asked_to_be_included_is() -> None:
    async with world() as w:
        await w.call("CreateCluster", clusterName="shop", tags=[{"key": "a", "value": "b"}])
        include = ["TAGS", "SETTINGS", "ATTACHMENTS", "CONFIGURATIONS"]
        [cluster] = (await w.call("DescribeClusters", clusters=["shop"], include=include))["clusters"]
        assert cluster["tags"] == [{"key": "a", "value": "b"}] and cluster["attachments"] == []
        assert cluster["settings"] == [{"name": "containerInsights", "value": "disabled"}]


async def test_a_cluster_with_tasks_is_not_deleted_and_a_deleted_one_stays_inactive() -> None:
    async with world() as w:
        await w.call("CreateCluster", clusterName="shop")
        await w.register()
        [task] = (await w.run_task(cluster="shop"))["tasks"]
        fault = await w.refusal("DeleteCluster", cluster="shop")
        assert fault.code == "ClusterContainsTasksException"
        identifier = _name(task["taskArn"])
        await w.settle()
        await w.call("StopTask", cluster="shop", task=identifier)
        await w.settle()
        gone = (await w.call("DeleteCluster", cluster="arn:aws:ecs:us-east-1:123456789012:cluster/shop"))["cluster"]
        assert gone["status"] == "INACTIVE"
        assert (await w.call("DescribeClusters", clusters=["shop"]))["clusters"][0]["status"] == "INACTIVE"
        assert [_name(arn) for arn in (await w.call("ListClusters"))["clusterArns"]] == ["default"]
        assert (await w.refusal("ListTasks", cluster="shop")).code == "ClusterNotFoundException"
        assert (await w.call("CreateCluster", clusterName="shop"))["cluster"]["status"] == "ACTIVE"


async def test_deleting_a_cluster_while_a_task_starts_loses_to_the_task_or_refuses_it() -> None:
    for order in (("run", "delete"), ("delete", "run")):
        async with world() as w:
            await w.register()
            await w.call("CreateCluster", clusterName="shop")
            calls = {
                "run": lambda w=w: w.run_task(cluster="shop"),
                "delete": lambda w=w: w.call("DeleteCluster", cluster="shop"),
            }
            results = await asyncio.gather(*(calls[name]() for name in order), return_exceptions=True)
            outcome = dict(zip(order, results, strict=True))
            [cluster] = (await w.call("DescribeClusters", clusters=["shop"]))["clusters"]
            started = not isinstance(outcome["run"], BaseException)
            assert (cluster["status"] == "ACTIVE") == started == isinstance(outcome["delete"], BaseException)


async def test_clusters_are_listed_in_pages() -> None:
    async with world() as w:
        for name in ("c", "a", "b"):
            await w.call("CreateCluster", clusterName=name)
        first = await w.call("ListClusters", maxResults=3)
        assert [_name(arn) for arn in first["clusterArns"]] == ["a", "b", "c"]
        rest = await w.call("ListClusters", maxResults=3, nextToken=first["nextToken"])
        assert [_name(arn) for arn in rest["clusterArns"]] == ["default"] and "nextToken" not in rest


async def test_settings_and_providers_can_be_changed() -> None:
    async with world() as w:
        disabled = [{"name": "containerInsights", "value": "disabled"}]
        for operation in ("UpdateCluster", "UpdateClusterSettings"):
            changed = await w.call(operation, cluster="default", settings=disabled)
            assert changed["cluster"]["settings"] == disabled
            assert (await w.refusal(operation, cluster="x", settings=disabled)).code == "ClusterNotFoundException"
        strategy = [{"capacityProvider": "FARGATE", "weight": 1, "base": 2}]
        put = await w.call(
            "PutClusterCapacityProviders",
            cluster="default",
            capacityProviders=["FARGATE"],
            defaultCapacityProviderStrategy=strategy,
        )
        assert put["cluster"]["capacityProviders"] == ["FARGATE"]
        assert put["cluster"]["defaultCapacityProviderStrategy"] == strategy


async def test_fargates_providers_describe_themselves() -> None:
    async with world() as w:
        answer = await w.call("DescribeCapacityProviders")
        assert [provider["name"] for provider in answer["capacityProviders"]] == ["FARGATE", "FARGATE_SPOT"]
        answer = await w.call("DescribeCapacityProviders", capacityProviders=["FARGATE", "mine"])
        assert answer["failures"][0]["reason"] == "MISSING" and len(answer["capacityProviders"]) == 1


async def test_names_of_other_kinds_accounts_and_missing_clusters() -> None:
    async with world() as w:
        missing = await w.refusal("ListTasks", cluster="none")
        assert (missing.code, missing.message) == ("ClusterNotFoundException", "Cluster not found.")
        for arn in (
            "arn:aws:ecs:us-east-1:123456789012:task/a/b",
            "arn:aws:ecs:us-east-1:1:cluster/x",
            "arn:aws:s3:::x",
        ):
            assert (await w.refusal("ListTasks", cluster=arn)).code == "InvalidParameterException"
