"""A task and its definition become a workload: field by field, and properties over generated definitions."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ropewalk.model.ids import SubnetId
from ropewalk.model.workload import (
    Dependency,
    Desire,
    EnvironmentVariable,
    Generation,
    Isolation,
    LogRoute,
    Mount,
    NetworkMode,
    Port,
    Probe,
    StartCondition,
    Volume,
    Workload,
    decode,
    encode,
)
from ropewalk.services.ecs.lowering import lower, millis, stopped
from ropewalk.services.ecs.names import Arns
from ropewalk.services.ecs.records import Interface, Task, TaskContainer
from ropewalk.services.ecs.registration import normalise
from ropewalk.services.ecs.run_request import shape
from support.ecs import ACCOUNT, REGION, Network, lecture

GENERATION = Generation("store", 1, 7)


def lowered(document: dict[str, Any], overrides: dict[str, Any] | None = None, **fields: Any) -> Workload:
    definition = normalise(document, ACCOUNT, REGION, "lecture")
    shaped = shape(definition, {"overrides": overrides or {}}, ACCOUNT, "lecture")
    task = Task(
        id="a" * 32,
        cluster="default",
        family=definition["family"],
        revision=3,
        created_at=1.0,
        group="family:webapp",
        launch_type="FARGATE",
        platform_version="1.4.0",
        cpu=shaped.cpu,
        memory=shaped.memory,
        ephemeral_gib=shaped.ephemeral_gib,
        machine="host-1",
        subnet="subnet-a",
        zone="us-east-1a",
        security_groups=("sg-1",),
        attachment="att",
        containers=tuple(
            TaskContainer(f"uid-{c.name}", c.name, c.image, c.cpu, c.memory, c.memory_reservation)
            for c in shaped.containers
        ),
        task_role=shaped.task_role,
        execution_role=shaped.execution_role,
        metadata_token="meta",
        credentials_token="creds",
        overrides=shaped.overrides,
        **fields,
    )
    subnet = Network().subnets[SubnetId("subnet-a")]
    interface = Interface("eni-1", "172.31.0.5", "0e:00:00:00:00:05", "ip-172-31-0-5.ec2.internal")
    return lower(task, definition, interface, subnet, Arns(ACCOUNT, REGION), GENERATION)


def variables(workload: Workload, container: str = "web") -> dict[str, str]:
    return {variable.name: variable.value for variable in workload.container(container).environment}


def with_web(**fields: Any) -> dict[str, Any]:
    document = lecture()
    document["containerDefinitions"][0].update(fields)
    return document


def test_the_lectures_task() -> None:
    workload = lowered(lecture(), tags=(("team", "a"),))
    assert (workload.uid, workload.machine, workload.owner, workload.desire) == ("a" * 32, "host-1", "aws", Desire.RUN)
    assert workload.generation == GENERATION
    assert workload.network is NetworkMode.INTERFACE and workload.isolation is Isolation.SHARED_KERNEL
    assert workload.interface is not None
    assert (workload.interface.vpc, workload.interface.gateway) == ("vpc-1", "172.31.0.1")
    assert workload.interface.subnet_cidr == "172.31.0.0/20"
    assert (workload.resources.cpu_millis, workload.resources.memory_bytes) == (250, 512 * 1024**2)
    assert workload.ephemeral_storage_bytes == 20 * 1024**3
    assert workload.dns_servers == ("169.254.169.253",) and workload.dns_search == ("ec2.internal",)
    [web] = workload.containers
    assert (web.image, web.essential, web.command, web.arguments) == ("nginx:latest", True, None, None)
    assert web.ports == (Port(80, "tcp", 80),)
    assert web.log == LogRoute("/ecs/webapp", f"web/web/{'a' * 32}", "us-east-1", False, "execution")
    assert web.stop_timeout == 30.0
    assert dict(workload.labels)["com.amazonaws.ecs.task-definition-version"] == "3"
    assert dict(workload.labels)["tag/team"] == "a"
    assert dict(web.labels)["com.amazonaws.ecs.container-arn"].endswith("/uid-web")
    assert [credential.name for credential in workload.credentials] == ["execution"]


def test_the_environment_is_ecss_then_the_definitions_then_the_calls() -> None:
    overrides = {"containerOverrides": [{"name": "web", "environment": [{"name": "ENV_VAR", "value": "other"}]}]}
    seen = variables(lowered(lecture(), overrides))
    assert seen == {
        "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": "http://169.254.170.1:4566",
        "ECS_CONTAINER_METADATA_URI_V4": seen["ECS_CONTAINER_METADATA_URI_V4"],
        "ENV_VAR": "other",
    }
    assert seen["ECS_CONTAINER_METADATA_URI_V4"].startswith("http://169.254.170.2/v4/meta")
    own = with_web(environment=[{"name": "AWS_ENDPOINT_URL", "value": "http://mine"}])
    assert variables(lowered(own))["AWS_ENDPOINT_URL"] == "http://mine"


def test_a_task_role_brings_credentials() -> None:
    workload = lowered({**lecture(), "taskRoleArn": "app"})
    assert variables(workload)["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] == "/v2/credentials/creds"
    assert [(c.name, c.path_token) for c in workload.credentials] == [("task", "creds"), ("execution", "")]


def test_entry_point_and_command() -> None:
    rows = [
        ({"entryPoint": ["sh", "-c"], "command": ["x"]}, ("sh", "-c"), ("x",)),
        ({"entryPoint": ["sh"]}, ("sh",), ()),
        ({"command": ["x"]}, None, ("x",)),
    ]
    for fields, command, arguments in rows:
        [web] = lowered(with_web(**fields)).containers
        assert (web.command, web.arguments) == (command, arguments)
    [web] = lowered(with_web(command=["x"]), {"containerOverrides": [{"name": "web", "command": ["y"]}]}).containers
    assert web.arguments == ("y",)


def test_health_dependencies_volumes_and_limits() -> None:
    document = with_web(
        dependsOn=[{"containerName": "init", "condition": "SUCCESS"}],
        healthCheck={"command": ["CMD-SHELL", "curl localhost || exit 1"], "startPeriod": 9},
        mountPoints=[{"sourceVolume": "data", "containerPath": "/data", "readOnly": True}],
        volumesFrom=[{"sourceContainer": "init"}],
        ulimits=[{"name": "nofile", "softLimit": 1, "hardLimit": 2}],
        linuxParameters={"initProcessEnabled": True, "capabilities": {"drop": ["NET_RAW"]}},
        user="1000:1000",
        workingDirectory="/srv",
        stopTimeout=99,
        readonlyRootFilesystem=True,
        cpu=128,
        memory=256,
        memoryReservation=64,
        systemControls=[{"namespace": "net.core.somaxconn", "value": "1"}],
    )
    document["containerDefinitions"].append(
        {
            "name": "init",
            "image": "busybox",
            "essential": False,
            "startTimeout": 20,
            "mountPoints": [{"sourceVolume": "tmp", "containerPath": "/scratch"}],
        }
    )
    document["volumes"] = [{"name": "data"}, {"name": "tmp", "host": {}}]
    document["pidMode"] = "task"
    workload = lowered(document)
    web = workload.container("web")
    assert web.depends_on == (Dependency("init", StartCondition.SUCCEEDED, 20.0),)
    assert web.health == Probe(("/bin/sh", "-c", "curl localhost || exit 1"), 30.0, 5.0, 3, 9.0)
    assert web.mounts == (Mount("data", "/data", True), Mount("tmp", "/scratch"))
    assert workload.volumes == (Volume("data", "scratch"), Volume("tmp", "scratch"))
    assert (web.resources.cpu_shares, web.resources.memory_bytes) == (128, 256 * 1024**2)
    assert web.resources.memory_reservation_bytes == 64 * 1024**2
    assert web.init and web.read_only_root and web.drop_capabilities == ("NET_RAW",)
    assert (web.user, web.working_directory, web.stop_timeout) == ("1000:1000", "/srv", 99.0)
    assert web.sysctls == (("net.core.somaxconn", "1"),)
    assert workload.shared_pid_namespace
    assert workload.container("init").essential is False


def test_stopping_changes_only_the_wish() -> None:
    workload = lowered(lecture())
    later = Generation("store", 1, 9)
    told = stopped(workload, "why", later)
    assert (told.desire, told.stop_reason, told.generation) == (Desire.STOP, "why", later)
    assert told.containers == workload.containers and told.interface == workload.interface


_NAMES = st.sampled_from(["A", "B", "AWS_REGION", "AWS_ENDPOINT_URL", "PATH"])
_VALUES = st.text(max_size=5).filter(lambda text: "\0" not in text)
_VARIABLES = st.lists(st.fixed_dictionaries({"name": _NAMES, "value": _VALUES}), max_size=5)


@given(defined=_VARIABLES, overriding=_VARIABLES, units=st.sampled_from([256, 512, 1024]))
def test_any_task_survives_the_wire_and_each_variable_is_set_once(
    defined: list[dict[str, str]], overriding: list[dict[str, str]], units: int
) -> None:
    overrides = {"containerOverrides": [{"name": "web", "environment": overriding}]}
    document = {**with_web(environment=defined), "cpu": str(units), "memory": "2048"}
    workload = lowered(document, overrides)
    assert decode(encode(workload)) == workload
    environment = workload.container("web").environment
    assert len({variable.name for variable in environment}) == len(environment)
    last = {v["name"]: v["value"] for v in [*defined, *overriding]}
    for name, value in last.items():
        assert EnvironmentVariable(name, value) in environment
    assert workload.resources.cpu_millis == millis(units) >= units * 1000 // 1024


@given(st.integers(0, 200_000))
def test_cpu_units_never_round_down(units: int) -> None:
    assert 0 <= millis(units) * 1024 - units * 1000 < 1024
