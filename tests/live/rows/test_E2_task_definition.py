"""E2: task definitions: the lecture's file unchanged, revisions; each field takes effect or is refused by name."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from support.installation import LECTURE, LOGGED, SLEEP, Installation, eventually


def lecture(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((LECTURE / name).read_text())
    return document


def test_the_lectures_file_registers_unchanged_and_counts_revisions(installation: Installation) -> None:
    given = lecture("ecs-task-definition-webapp.json")
    file = LECTURE / "ecs-task-definition-webapp.json"
    register = ("ecs", "register-task-definition", "--cli-input-json", f"file://{file}")
    assert [installation.aws(*register)["taskDefinition"]["revision"] for _ in range(2)] == [1, 2]
    ecs = installation.client("ecs")
    stored = ecs.describe_task_definition(taskDefinition="webapp")["taskDefinition"]
    assert stored["revision"] == 2
    container, wanted = stored["containerDefinitions"][0], given.pop("containerDefinitions")[0]
    assert {name: stored[name] for name in given} == given
    assert {name: container[name] for name in wanted} == wanted
    arns = ecs.list_task_definitions(familyPrefix="webapp")["taskDefinitionArns"]
    assert [arn.rpartition("/")[2] for arn in arns] == ["webapp:1", "webapp:2"]
    ecs.deregister_task_definition(taskDefinition="webapp:2")
    latest = ecs.describe_task_definition(taskDefinition="webapp")["taskDefinition"]
    assert latest["revision"] == 1, "the latest ACTIVE one"


def test_the_lectures_efs_example_is_refused_first_as_aws_does_then_by_name(installation: Installation) -> None:
    ecs = installation.client("ecs")
    given = lecture("ecs-task-definition-efs.json")
    with pytest.raises(ecs.exceptions.ClientException, match="At least one of 'memory' or 'memoryReservation'"):
        ecs.register_task_definition(**given)
    given["containerDefinitions"][0]["memory"] = 128
    with pytest.raises(ecs.exceptions.ClientException, match="'efsVolumeConfiguration' is not supported by Ropewalk"):
        ecs.register_task_definition(**given)


REFUSED: list[tuple[str, Any]] = [
    ("proxyConfiguration", {"containerName": "web", "type": "APPMESH"}),
    ("enableFaultInjection", True),
    ("secrets", [{"name": "A", "valueFrom": "arn:aws:ssm:us-east-1:123456789012:parameter/a"}]),
    ("environmentFiles", [{"type": "s3", "value": "arn:aws:s3:::bucket/key.env"}]),
    ("repositoryCredentials", {"credentialsParameter": "arn:aws:secretsmanager:us-east-1:123456789012:secret:a"}),
    ("firelensConfiguration", {"type": "fluentbit"}),
    ("restartPolicy", {"enabled": True}),
    ("credentialSpecs", ["credentialspec:arn:aws:s3:::bucket/key"]),
]


@pytest.mark.parametrize(("field", "value"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_take_effect_yet_is_refused_by_name(installation: Installation, field: str, value: Any) -> None:
    ecs = installation.client("ecs")
    given = copy.deepcopy(lecture("ecs-task-definition-webapp.json"))
    given["family"] = "refused"
    shape = ecs.meta.service_model.operation_model("RegisterTaskDefinition").input_shape
    target = given if field in shape.members else given["containerDefinitions"][0]
    target[field] = value
    with pytest.raises(ecs.exceptions.ClientException, match=f"'{field}' is not supported by Ropewalk yet"):
        ecs.register_task_definition(**given)
    assert ecs.list_task_definitions(familyPrefix="refused")["taskDefinitionArns"] == []


PRINT = (
    'echo "env: $GREETING|$GIVEN"; echo "user: $(id -u):$(id -g)"; echo "folder: $PWD";'
    ' echo "files: $(ulimit -Sn):$(ulimit -Hn)"; (: >/probe) 2>/dev/null && echo "root: writable" || echo "root: held";'
    ' (: >/scratch/probe) && echo "scratch: writable"; sed -n "s/^CapEff:\\t/capabilities: /p" /proc/self/status;'
    ' echo "args: $*"; echo "local: $(cat /proc/sys/net/ipv4/ip_local_port_range)"; echo done'
)


def test_fields_take_effect_inside_the_container(installation: Installation, web_group: str) -> None:
    installation.register(
        "effects",
        {
            "name": "main",
            "entryPoint": ["sh", "-c", PRINT, "sh"],
            "command": ["from", "definition"],
            "environment": [{"name": "GREETING", "value": "it's $HOME\ttoo"}, {"name": "GIVEN", "value": "definition"}],
            "user": "101:33",
            "workingDirectory": "/var/tmp",
            "ulimits": [{"name": "nofile", "softLimit": 1234, "hardLimit": 2345}],
            "readonlyRootFilesystem": True,
            "mountPoints": [{"sourceVolume": "scratch", "containerPath": "/scratch"}],
            "systemControls": [{"namespace": "net.ipv4.ip_local_port_range", "value": "2000 3000"}],
            "linuxParameters": {"capabilities": {"drop": ["ALL"]}, "initProcessEnabled": True},
        },
        volumes=[{"name": "scratch"}],
    )
    arn = installation.run_task("effects", web_group)["taskArn"]
    task = installation.finish(arn)
    assert task["containers"][0]["exitCode"] == 0, task
    printed = dict(line.split(": ", 1) for line in installation.lines(arn, until="done") if ": " in line)
    assert printed["env"] == "it's $HOME\ttoo|definition"
    assert printed["user"] == "101:33"
    assert printed["folder"] == "/var/tmp"
    assert printed["files"] == "1234:2345"
    assert printed["root"] == "held"
    assert printed["scratch"] == "writable"
    assert int(printed["capabilities"], 16) == 0
    assert printed["args"] == "from definition"
    assert printed["local"].split() == ["2000", "3000"]


def test_run_task_overrides_command_and_environment(installation: Installation, web_group: str) -> None:
    installation.register(
        "overridden",
        {
            "name": "main",
            "command": ["sh", "-c", "echo from the definition"],
            "environment": [{"name": "KEPT", "value": "kept"}, {"name": "CHANGED", "value": "before"}],
        },
    )
    override = {
        "name": "main",
        "command": ["sh", "-c", 'echo "$KEPT $CHANGED $NEW"; exit 3'],
        "environment": [{"name": "CHANGED", "value": "after"}, {"name": "NEW", "value": "new"}],
    }
    task = installation.run_task("overridden", web_group, overrides={"containerOverrides": [override]})
    arn = task["taskArn"]
    assert installation.finish(arn)["containers"][0]["exitCode"] == 3
    assert installation.lines(arn, until="after") == ["kept after new"]


def test_containers_start_in_the_order_of_their_dependencies(installation: Installation, web_group: str) -> None:
    """first must succeed, then second be healthy, before main starts; they share a volume and a loopback."""
    shared = [{"sourceVolume": "shared", "containerPath": "/shared"}]
    serve = "test -s /shared/index.html && echo serving && exec httpd -f -p 127.0.0.1:8080 -h /shared"
    installation.register(
        "ordered",
        {
            "name": "first",
            "essential": False,
            "mountPoints": shared,
            "command": ["sh", "-c", "sleep 1; echo made by first >/shared/index.html; echo written"],
        },
        {
            "name": "second",
            "essential": False,
            "mountPoints": [{**shared[0], "readOnly": True}],
            "command": ["sh", "-c", serve],
            "stopTimeout": 2,
            "dependsOn": [{"containerName": "first", "condition": "SUCCESS"}],
            "healthCheck": {"command": ["CMD-SHELL", "wget -qO- http://127.0.0.1:8080/"], "interval": 5},
        },
        {
            "name": "main",
            "command": ["sh", "-c", f"wget -qO- http://127.0.0.1:8080/ && {SLEEP[2]}"],
            "dependsOn": [{"containerName": "second", "condition": "HEALTHY"}],
        },
        volumes=[{"name": "shared"}],
    )
    arn = installation.run_task("ordered", web_group)["taskArn"]
    task = installation.wait_task(arn, "RUNNING")
    found = {container["name"]: container for container in task["containers"]}
    assert (found["first"]["lastStatus"], found["first"]["exitCode"]) == ("STOPPED", 0)
    assert (found["second"]["lastStatus"], found["second"]["healthStatus"]) == ("RUNNING", "HEALTHY")
    assert installation.lines(arn, "main", until="first") == ["made by first"]
    logs = installation.client("logs")
    moments = {}
    for name in ("first", "second", "main"):
        stream = f"out/{name}/{arn.rpartition('/')[2]}"
        events = logs.get_log_events(logGroupName="/tests", logStreamName=stream, startFromHead=True)["events"]
        moments[name] = events[0]["timestamp"]
    assert moments["first"] <= moments["second"] < moments["main"]
    assert installation.stop_task(arn)["containers"][0]["exitCode"] == 0


def test_a_dependency_that_fails_stops_the_task(installation: Installation, web_group: str) -> None:
    installation.register(
        "blocked",
        {"name": "first", "essential": False, "command": ["sh", "-c", "exit 4"]},
        {
            "name": "main",
            "command": ["sh", "-c", "echo must not run"],
            "dependsOn": [{"containerName": "first", "condition": "SUCCESS"}],
        },
    )
    arn = installation.run_task("blocked", web_group)["taskArn"]
    task = installation.finish(arn)
    found = {container["name"]: container for container in task["containers"]}
    assert found["first"]["exitCode"] == 4
    assert "exitCode" not in found["main"]
    assert task["stopCode"] == "TaskFailedToStart"


def test_a_deaf_container_is_killed_after_its_own_stop_timeout(installation: Installation, web_group: str) -> None:
    deaf = "trap '' TERM; echo here; while :; do sleep 1; done"
    installation.register("deaf", {"name": "main", "command": ["sh", "-c", deaf], "stopTimeout": 2})
    arn = installation.run_task("deaf", web_group)["taskArn"]
    installation.wait_task(arn, "RUNNING")
    installation.lines(arn, until="here")
    task = installation.stop_task(arn)
    assert task["containers"][0]["exitCode"] == 137
    waited = (task["executionStoppedAt"] - task["stoppingAt"]).total_seconds()
    assert 2 <= waited < 10, "not the 30 seconds of the default"


def test_one_process_space_for_the_task_where_asked_for(installation: Installation, web_group: str) -> None:
    look = "until ps | grep -q '[d]istinctive'; do :; done; echo seen"
    other = {"name": "other", "command": ["sh", "-c", f": distinctive; {SLEEP[2]}"]}
    installation.register("shared-pids", {"name": "main", "command": ["sh", "-c", look]}, other, pidMode="task")
    arn = installation.run_task("shared-pids", web_group)["taskArn"]
    assert installation.finish(arn)["stopCode"] == "EssentialContainerExited"
    assert installation.lines(arn) == ["seen"]
    alone = "sleep 1; ps | grep -q '[d]istinctive' && echo seen || echo alone"
    installation.register("own-pids", {"name": "main", "command": ["sh", "-c", alone]}, other)
    arn = installation.run_task("own-pids", web_group)["taskArn"]
    installation.finish(arn)
    assert installation.lines(arn) == ["alone"]


def test_a_failing_health_check_is_told_and_stops_no_task(installation: Installation, web_group: str) -> None:
    """Only a service replaces an unhealthy task; one started by RunTask goes on."""
    installation.register(
        "ill",
        {
            "name": "main",
            "command": SLEEP,
            "healthCheck": {"command": ["CMD", "false"], "interval": 5, "retries": 1},
        },
    )
    arn = installation.run_task("ill", web_group)["taskArn"]
    installation.wait_task(arn, "RUNNING")
    task = eventually(
        lambda: (found := installation.task(arn))["healthStatus"] == "UNHEALTHY" and found, "the check fails", 15
    )
    assert (task["lastStatus"], task["containers"][0]["healthStatus"]) == ("RUNNING", "UNHEALTHY")
    installation.stop_task(arn)


def test_volumes_are_taken_from_another_container_and_labels_are_told(
    installation: Installation, web_group: str
) -> None:
    """volumesFrom read only, sourceContainer's own mounts; dockerLabels in the metadata document."""
    look = (
        "until test -s /data/made; do :; done; cat /data/made; (: >/data/more) 2>/dev/null || echo read only;"
        ' wget -qO- $ECS_CONTAINER_METADATA_URI_V4 | grep -o \'"team":"harbour"\''
    )
    installation.register(
        "from",
        {
            "name": "main",
            "command": ["sh", "-c", look],
            "volumesFrom": [{"sourceContainer": "owner", "readOnly": True}],
            "dockerLabels": {"team": "harbour"},
        },
        {
            "name": "owner",
            "command": ["sh", "-c", f"echo by owner >/data/made; {SLEEP[2]}"],
            "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}],
        },
        volumes=[{"name": "data"}],
    )
    arn = installation.run_task("from", web_group)["taskArn"]
    assert installation.finish(arn)["containers"][0]["exitCode"] == 0
    assert installation.lines(arn, until="harbour") == ["by owner", "read only", '"team":"harbour"']


def test_a_log_group_is_made_only_by_a_role_that_may(installation: Installation, web_group: str) -> None:
    """AmazonECSTaskExecutionRolePolicy holds no logs:CreateLogGroup, on AWS neither."""
    made = {**LOGGED, "options": {**LOGGED["options"], "awslogs-group": "/made", "awslogs-create-group": "true"}}
    container = {"name": "main", "command": ["sh", "-c", "echo logged"], "logConfiguration": made}
    installation.register("maker", container)
    task = installation.finish(installation.run_task("maker", web_group)["taskArn"])
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("ResourceInitializationError")
    assert "logs:CreateLogGroup" in task["stoppedReason"]
    iam = installation.client("iam")
    allow = {"Effect": "Allow", "Action": "logs:CreateLogGroup", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName="ecsTaskExecutionRole", PolicyName="make-groups", PolicyDocument=policy)
    arn = installation.run_task("maker", web_group)["taskArn"]
    assert installation.finish(arn)["containers"][0]["exitCode"] == 0
    groups = installation.client("logs").describe_log_groups(logGroupNamePrefix="/made")["logGroups"]
    assert [group["logGroupName"] for group in groups] == ["/made"]
