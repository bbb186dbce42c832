"""E1: clusters over three zones; what they count is true; one with tasks is not deleted."""

from __future__ import annotations

from typing import Any

import pytest

from support.installation import SLEEP, Installation, eventually


def described(installation: Installation, *names: str, include: tuple[str, ...] = ()) -> dict[str, Any]:
    answer: dict[str, Any] = installation.client("ecs").describe_clusters(clusters=list(names), include=list(include))
    return answer


def test_the_default_cluster_is_there_over_three_zones(installation: Installation) -> None:
    cluster = described(installation)["clusters"]
    assert cluster == described(installation, "default")["clusters"]
    assert (cluster[0]["clusterName"], cluster[0]["status"]) == ("default", "ACTIVE")
    assert cluster[0]["clusterArn"] == "arn:aws:ecs:us-east-1:123456789012:cluster/default"
    subnets = installation.client("ec2").describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])
    zones = sorted(subnet["AvailabilityZone"] for subnet in subnets["Subnets"])
    assert zones == ["us-east-1a", "us-east-1b", "us-east-1c"]


def test_what_is_missing_is_a_failure_beside_what_is_found(installation: Installation) -> None:
    answer = described(installation, "default", "nowhere")
    assert [cluster["clusterName"] for cluster in answer["clusters"]] == ["default"]
    arn = "arn:aws:ecs:us-east-1:123456789012:cluster/nowhere"
    assert answer["failures"] == [{"arn": arn, "reason": "MISSING"}]


def test_a_cluster_counts_its_tasks_and_goes_only_without_them(installation: Installation, web_group: str) -> None:
    ecs = installation.client("ecs")
    ecs.create_cluster(clusterName="busy", tags=[{"key": "team", "value": "harbour"}])
    plain, full = described(installation, "busy"), described(installation, "busy", include=("TAGS", "STATISTICS"))
    assert plain["clusters"][0]["tags"] == [] and plain["clusters"][0]["statistics"] == []
    assert full["clusters"][0]["tags"] == [{"key": "team", "value": "harbour"}]
    installation.register("sleeper", {"name": "main", "command": SLEEP})
    arn = installation.run_task("sleeper", web_group, cluster="busy")["taskArn"]
    task = installation.wait_task(arn, "RUNNING")
    assert task["clusterArn"].endswith("cluster/busy")

    def counts() -> tuple[int, int]:
        cluster = described(installation, "busy", include=("STATISTICS",))["clusters"][0]
        statistics = {item["name"]: item["value"] for item in cluster["statistics"]}
        assert statistics["runningFargateTasksCount"] == str(cluster["runningTasksCount"])
        assert statistics["runningEC2TasksCount"] == "0"
        return cluster["runningTasksCount"], cluster["pendingTasksCount"]

    assert counts() == (1, 0)
    assert ecs.list_tasks(cluster="busy")["taskArns"] == [arn]
    assert ecs.list_tasks()["taskArns"] == [], "the default cluster has none of them"
    with pytest.raises(ecs.exceptions.ClusterContainsTasksException):
        ecs.delete_cluster(cluster="busy")
    assert installation.task(arn)["lastStatus"] == "RUNNING", "the refusal changed nothing"
    installation.stop_task(arn)
    eventually(lambda: counts() == (0, 0), "the cluster counts no task")
    assert ecs.delete_cluster(cluster="busy")["cluster"]["status"] == "INACTIVE"
    assert described(installation, "busy")["clusters"][0]["status"] == "INACTIVE"
    with pytest.raises(ecs.exceptions.ClusterNotFoundException):
        installation.run_task("sleeper", web_group, cluster="busy")
