"""F6: what Fargate has not is refused with AWS's own text; the setting that would admit a size is named and works."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from support.installation import LECTURE, Installation

NO_SIZE = "No Fargate configuration exists for given values"
ROWS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"cpu": "300"}, {}, NO_SIZE),
    ({"memory": "4096"}, {}, NO_SIZE),
    ({"cpu": "4096", "memory": "31744"}, {}, NO_SIZE),
    ({"cpu": "8192", "memory": "16384"}, {}, "--fargate-limits aws"),
    ({"cpu": "16384", "memory": "122880"}, {}, NO_SIZE),
    ({"cpu": ""}, {}, "Fargate requires that 'cpu' be defined at the task level."),
    ({"networkMode": "host"}, {}, "Fargate only supports network mode ‘awsvpc’."),
    ({"networkMode": "bridge"}, {"portMappings": []}, "Fargate only supports network mode ‘awsvpc’."),
    ({"volumes": [{"name": "v", "host": {"sourcePath": "/etc"}}]}, {}, "do not support sourcePath"),
    ({"volumes": [{"name": "v", "dockerVolumeConfiguration": {"driver": "local"}}]}, {}, "dockerVolumeConfiguration"),
    ({"pidMode": "host"}, {}, "pidMode 'host'"),
    ({"ipcMode": "task"}, {}, "do not support ipcMode"),
    ({"ephemeralStorage": {"sizeInGiB": 201}}, {}, "EphemeralStorage size should be at most 200"),
    ({"placementConstraints": [{"type": "memberOf", "expression": "attribute:a exists"}]}, {}, "placement constraints"),
    ({}, {"privileged": True}, "do not support privileged"),
    ({}, {"linuxParameters": {"devices": [{"hostPath": "/dev/kvm"}]}}, "do not support devices"),
    ({}, {"linuxParameters": {"capabilities": {"add": ["SYS_ADMIN"]}}}, "only support adding the SYS_PTRACE"),
    ({}, {"resourceRequirements": [{"type": "GPU", "value": "1"}]}, "do not support GPU"),
    ({}, {"stopTimeout": 121}, "must have a container stop timeout of less than 120 seconds"),
]


def definition(task: dict[str, Any], container: dict[str, Any]) -> dict[str, Any]:
    given = json.loads((LECTURE / "ecs-task-definition-webapp.json").read_text())
    given.update(copy.deepcopy(task))
    given["containerDefinitions"][0].update(copy.deepcopy(container))
    return {name: value for name, value in given.items() if value != ""}


@pytest.mark.parametrize(("task", "container", "text"), ROWS, ids=[json.dumps({**row[0], **row[1]}) for row in ROWS])
def test_what_fargate_has_not_is_refused(
    installation: Installation, task: dict[str, Any], container: dict[str, Any], text: str
) -> None:
    ecs = installation.client("ecs")
    with pytest.raises(ecs.exceptions.ClientException) as refused:
        ecs.register_task_definition(**definition(task, container))
    assert text in refused.value.response["Error"]["Message"]


def test_a_size_is_refused_as_an_override_too(installation: Installation, web_group: str) -> None:
    ecs = installation.client("ecs")
    ecs.register_task_definition(**definition({}, {}))
    with pytest.raises(ecs.exceptions.ClientException, match=NO_SIZE):
        installation.run_task("webapp", web_group, overrides={"cpu": "8192", "memory": "16384"})


def test_more_than_the_host_has_is_a_failure_not_a_wait(installation: Installation, web_group: str) -> None:
    ecs = installation.client("ecs")
    ecs.register_task_definition(**definition({"cpu": "4096", "memory": "30720"}, {}))
    machine = installation.status()["machines"][0]
    network = {"awsvpcConfiguration": {"subnets": [installation.subnet()["SubnetId"]], "securityGroups": [web_group]}}
    most = min(machine["cpu_millis"] // 4000, machine["memory_bytes"] // (30720 << 20))
    if most >= 10:
        pytest.fail("this host has room for ten of the largest tasks: the test proves nothing here")
    answer = ecs.run_task(taskDefinition="webapp", launchType="FARGATE", count=10, networkConfiguration=network)
    assert len(answer["tasks"]) == most
    assert len(answer["failures"]) == 10 - most
    assert all("Capacity is unavailable" in failure["reason"] for failure in answer["failures"])
    for task in answer["tasks"]:
        installation.stop_task(task["taskArn"])


@pytest.fixture(scope="module")
def roomy() -> Iterator[Installation]:
    """Fake machines, large enough for AWS's largest task, under AWS's own limits."""
    made = Installation("--simulated", "--fargate-limits", "aws")
    try:
        made.up()
        yield made
    finally:
        made.discard()


@pytest.mark.parametrize(("cpu", "memory"), [("8192", "16384"), ("16384", "122880")])
def test_the_setting_that_the_refusal_names_admits_the_size(roomy: Installation, cpu: str, memory: str) -> None:
    roomy.register("large", {"name": "main", "image": "nginx"}, cpu=cpu, memory=memory)
    groups = roomy.client("ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": ["default"]}])
    arn = roomy.run_task("large", groups["SecurityGroups"][0]["GroupId"])["taskArn"]
    task = roomy.wait_task(arn, "RUNNING")
    assert (task["cpu"], task["memory"]) == (cpu, memory)
