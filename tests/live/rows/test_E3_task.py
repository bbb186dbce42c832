"""E3, E7, F1: the lecture's task definition, unchanged, from registration to STOPPED with stock clients."""

from __future__ import annotations

import json

from support.installation import LECTURE, Installation, address_of, curl, eventually


def test_the_lecture_task_lives_and_ends(installation: Installation, web_group: str) -> None:
    aws = installation.aws
    file = LECTURE / "ecs-task-definition-webapp.json"
    registered = aws("ecs", "register-task-definition", "--cli-input-json", f"file://{file}")["taskDefinition"]
    assert registered["family"] == "webapp" and registered["status"] == "ACTIVE"

    subnet = installation.subnet()["SubnetId"]
    task = aws(
        "ecs", "run-task", "--task-definition", "webapp", "--launch-type", "FARGATE",
        "--network-configuration", f"awsvpcConfiguration={{subnets=[{subnet}],securityGroups=[{web_group}]}}",
    )["tasks"][0]  # fmt: skip
    assert task["lastStatus"] == "PROVISIONING" and task["desiredStatus"] == "RUNNING"
    arn = task["taskArn"]
    aws("ecs", "wait", "tasks-running", "--tasks", arn)

    task = aws("ecs", "describe-tasks", "--tasks", arn)["tasks"][0]
    address = address_of(task)
    interface = aws("ec2", "describe-network-interfaces", "--filters", f"Name=private-ip-address,Values={address}")
    assert interface["NetworkInterfaces"][0]["Status"] == "in-use"
    assert interface["NetworkInterfaces"][0]["Groups"][0]["GroupId"] == web_group

    page = eventually(lambda: curl(f"http://{address}/").stdout, "nginx answers")
    assert "Welcome to nginx" in page

    stream = f"web/web/{arn.rsplit('/', 1)[1]}"

    def logged() -> list[str]:
        answer = installation.try_aws(
            "logs", "get-log-events", "--log-group-name", "/ecs/webapp", "--log-stream-name", stream
        )
        events = json.loads(answer.stdout)["events"] if answer.returncode == 0 else []
        return [event["message"] for event in events if "GET / HTTP/1.1" in event["message"]]

    eventually(logged, "the access log arrives in the Logs API", 10)

    aws("ecs", "stop-task", "--task", arn, "--reason", "the test is over")
    aws("ecs", "wait", "tasks-stopped", "--tasks", arn)
    task = aws("ecs", "describe-tasks", "--tasks", arn)["tasks"][0]
    assert task["stopCode"] == "UserInitiated"
    assert task["stoppedReason"] == "the test is over"
    assert task["containers"][0]["exitCode"] == 0
    for stamp in ("createdAt", "pullStartedAt", "pullStoppedAt", "startedAt", "stoppingAt", "stoppedAt"):
        assert task[stamp], stamp
    gone = aws("ec2", "describe-network-interfaces", "--filters", f"Name=private-ip-address,Values={address}")
    assert gone["NetworkInterfaces"] == []


def test_a_container_that_fails_tells_why(installation: Installation, web_group: str) -> None:
    ecs = installation.client("ecs")
    ecs.register_task_definition(
        family="fails",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "main", "image": "busybox:latest", "command": ["sh", "-c", "exit 7"]}],
    )
    arn = installation.run_task("fails", web_group)["taskArn"]
    task = eventually(
        lambda: (found := installation.task(arn))["lastStatus"] == "STOPPED" and found, "the task stops", 30
    )
    assert task["stopCode"] == "EssentialContainerExited"
    assert task["stoppedReason"] == "Essential container in task exited"
    assert task["containers"][0]["exitCode"] == 7


def test_an_image_that_is_not_there_stops_the_task(installation: Installation, web_group: str) -> None:
    installation.client("ecs").register_task_definition(
        family="nosuchimage",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "main", "image": "no-such-image:1"}],
    )
    arn = installation.run_task("nosuchimage", web_group)["taskArn"]
    task = eventually(
        lambda: (found := installation.task(arn))["lastStatus"] == "STOPPED" and found, "the task stops", 60
    )
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError")
