"""RegisterTaskDefinition's rules, one row each, and the defaults ECS fills in."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.base.errors import Fault
from ropewalk.services.ecs.registration import normalise
from ropewalk.services.ecs.sizes import FARGATE, fargate_problem, parse_cpu, parse_memory
from support.ecs import ACCOUNT, REGION, lecture


def register(document: dict[str, Any], limits: str = "lecture") -> dict[str, Any]:
    return normalise(document, ACCOUNT, REGION, limits)


def put(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with `value` at a path such as "containerDefinitions.0.cpu"; None removes the field."""
    result = copy.deepcopy(document)
    *parents, last = path.split(".")
    here: Any = result
    for part in parents:
        here = here[int(part)] if part.isdigit() else here.setdefault(part, {})
    if value is None:
        here.pop(last, None)
    else:
        here[last] = value
    return result


def test_the_lectures_definition_registers_unchanged_with_defaults_filled_in() -> None:
    definition = register(lecture())
    assert (definition["cpu"], definition["memory"], definition["networkMode"]) == ("256", "512", "awsvpc")
    assert definition["compatibilities"] == ["EC2", "FARGATE"]
    assert definition["requiresCompatibilities"] == ["FARGATE"]
    assert definition["volumes"] == [] and definition["placementConstraints"] == []
    [container] = definition["containerDefinitions"]
    assert container["cpu"] == 0
    assert container["essential"] is True
    assert container["portMappings"] == [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}]
    assert container["mountPoints"] == container["volumesFrom"] == container["systemControls"] == []
    assert container["logConfiguration"] == lecture()["containerDefinitions"][0]["logConfiguration"]
    names = {attribute["name"] for attribute in definition["requiresAttributes"]}
    assert {"ecs.capability.task-eni", "com.amazonaws.ecs.capability.logging-driver.awslogs"} <= names


def test_describing_and_registering_again_changes_nothing() -> None:
    once = register(lecture())
    again = register({**once})
    assert again == once


def test_a_definition_holds_at_most_64_kib() -> None:
    environment = [{"name": f"v{number}", "value": "x" * 1000} for number in range(66)]
    register(put(lecture(), f"{CONTAINER}.environment", environment[:60]))
    with pytest.raises(Fault) as refused:
        register(put(lecture(), f"{CONTAINER}.environment", environment))
    assert refused.value.code == "ClientException"
    assert refused.value.message.endswith("Max allowed length is '65536' bytes.")


CONTAINER = "containerDefinitions.0"
ROWS: list[tuple[str, object, str]] = [
    ("family", "has space", "Family contains invalid characters."),
    ("containerDefinitions", [], "Container list cannot be empty."),
    ("networkMode", "bridge", "Fargate only supports network mode ‘awsvpc’."),
    ("networkMode", None, "Fargate only supports network mode ‘awsvpc’."),
    ("networkMode", "magic", "Invalid network mode 'magic'"),
    ("cpu", None, "Fargate requires that 'cpu' be defined at the task level."),
    ("memory", None, "At least one of 'memory' or 'memoryReservation' must be specified."),
    ("cpu", "300", "No Fargate configuration exists for given values: 300 CPU, 512 memory."),
    ("memory", "640", "No Fargate configuration exists for given values: 256 CPU, 640 memory."),
    ("cpu", "much", "Invalid 'cpu' setting for task."),
    ("memory", "much", "Invalid 'memory' setting for task."),
    ("executionRoleArn", None, "execution role ARN to support log driver awslogs."),
    ("executionRoleArn", "arn:aws:s3:::bucket", "Role is not valid"),
    ("placementConstraints", [{"type": "memberOf", "expression": "x"}], "does not support task placement constraints"),
    ("pidMode", "host", "do not support pidMode 'host'"),
    ("ipcMode", "task", "Fargate compatible task definitions do not support ipcMode"),
    ("proxyConfiguration", {"containerName": "x"}, "'proxyConfiguration' is not supported by Ropewalk yet"),
    ("inferenceAccelerators", [{"deviceName": "x", "deviceType": "y"}], "Unsupported field 'inferenceAccelerators'"),
    ("enableFaultInjection", True, "'enableFaultInjection' is not supported by Ropewalk yet"),
    ("runtimePlatform", {"cpuArchitecture": "ARM64"}, "cpuArchitecture=ARM64' is not supported"),
    ("runtimePlatform", {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}, "WINDOWS_SERVER_2022_CORE'"),
    ("requiresCompatibilities", ["EXTERNAL"], "requiresCompatibilities=EXTERNAL"),
    ("requiresCompatibilities", ["MOON"], "Invalid compatibility 'MOON'"),
    ("ephemeralStorage", {"sizeInGiB": 20}, "EphemeralStorage size should be at least 21"),
    ("ephemeralStorage", {"sizeInGiB": 201}, "EphemeralStorage size should be at most 200"),
    ("volumes", [{"name": "v", "host": {"sourcePath": "/x"}}], "do not support sourcePath"),
    ("volumes", [{"name": "v"}, {"name": "v"}], "Duplicate volume name 'v'"),
    ("volumes", [{"name": ""}], "Volume name should not be null or empty"),
    ("volumes", [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}], "'efsVolumeConfiguration'"),
    ("volumes", [{"name": "v", "configuredAtLaunch": True}], "'configuredAtLaunch' is not supported"),
    (f"{CONTAINER}.name", "", "Container.name should not be null or empty."),
    (f"{CONTAINER}.name", "a b", "Container.name contains invalid characters."),
    (f"{CONTAINER}.image", None, "Container.image should not be null or empty."),
    (f"{CONTAINER}.image", "a b", "Container.image contains invalid characters."),
    (f"{CONTAINER}.cpu", 512, "The sum of all container 'cpu' values cannot be greater"),
    (f"{CONTAINER}.cpu", -1, "'cpu' must not be negative"),
    (f"{CONTAINER}.memory", 1024, "The 'memory' setting for container 'web' is greater than for the task."),
    (f"{CONTAINER}.memory", 3, "must be at least 6 MiB"),
    (f"{CONTAINER}.essential", False, "Task definition doesn't have any essential container."),
    (f"{CONTAINER}.portMappings.0.hostPort", 81, "When networkMode=awsvpc, the host ports and container ports"),
    (f"{CONTAINER}.portMappings.0.name", "Web", "the port mapping name 'Web' is invalid"),
    (f"{CONTAINER}.portMappings.0.name", "-web", "the port mapping name '-web' is invalid"),
    (f"{CONTAINER}.portMappings.0.name", "w" * 65, "is invalid: up to 64 lowercase letters"),
    (f"{CONTAINER}.portMappings.0.containerPort", 70_000, "Invalid 'containerPort' setting"),
    (f"{CONTAINER}.portMappings.0.containerPortRange", "80-90", "cannot specify both single port and port range"),
    (f"{CONTAINER}.portMappings", [{"containerPortRange": "90-80"}], "Invalid 'containerPortRange' setting"),
    (f"{CONTAINER}.portMappings", [{"containerPort": 80}] * 2, "The container port 80 is used multiple times"),
    (
        f"{CONTAINER}.portMappings",
        [{"containerPort": 80, "name": "p"}, {"containerPort": 81, "name": "p"}],
        "The port mapping name p is already used",
    ),
    (f"{CONTAINER}.links", ["x"], "Links are not supported when networkMode=awsvpc."),
    (f"{CONTAINER}.hostname", "h", "Hostname is not supported on container when networkMode=awsvpc."),
    (f"{CONTAINER}.dnsServers", ["1.1.1.1"], "DNS servers are not supported on container when networkMode=awsvpc."),
    (f"{CONTAINER}.disableNetworking", True, "Disable Networking is not supported on container"),
    (f"{CONTAINER}.privileged", True, "do not support privileged"),
    (f"{CONTAINER}.stopTimeout", 1, "stop timeout on container 'web' must be at least 2 seconds"),
    (f"{CONTAINER}.stopTimeout", 121, "must have a container stop timeout of less than 120 seconds"),
    (f"{CONTAINER}.startTimeout", 1, "start timeout on container 'web' must be at least 2 seconds"),
    (f"{CONTAINER}.secrets", [{"name": "X", "valueFrom": "arn"}], "'secrets' is not supported by Ropewalk yet"),
    (f"{CONTAINER}.repositoryCredentials", {"credentialsParameter": "x"}, "'repositoryCredentials' is not supported"),
    (f"{CONTAINER}.environmentFiles", [{"value": "x", "type": "s3"}], "'environmentFiles' is not supported"),
    (f"{CONTAINER}.firelensConfiguration", {"type": "fluentbit"}, "'firelensConfiguration' is not supported"),
    (f"{CONTAINER}.resourceRequirements", [{"value": "1", "type": "GPU"}], "do not support GPU resource"),
    (f"{CONTAINER}.restartPolicy", {"enabled": True}, "'restartPolicy' is not supported"),
    (f"{CONTAINER}.dockerSecurityOptions", ["x"], "do not support dockerSecurityOptions"),
    (f"{CONTAINER}.linuxParameters", {"tmpfs": [{"containerPath": "/t", "size": 1}]}, "do not support tmpfs"),
    (f"{CONTAINER}.linuxParameters", {"sharedMemorySize": 64}, "do not support sharedMemorySize"),
    (f"{CONTAINER}.linuxParameters", {"maxSwap": 0}, "do not support maxSwap"),
    (f"{CONTAINER}.linuxParameters", {"devices": [{"hostPath": "/dev/x"}]}, "do not support devices"),
    ("volumes", [{"name": "v", "dockerVolumeConfiguration": {"scope": "task"}}], "support dockerVolumeConfiguration"),
    (f"{CONTAINER}.linuxParameters", {"capabilities": {"add": ["SYS_ADMIN"]}}, "only support adding the SYS_PTRACE"),
    (f"{CONTAINER}.linuxParameters", {"capabilities": {"drop": ["FLY"]}}, "Invalid Linux capability 'FLY'"),
    (f"{CONTAINER}.ulimits", [{"name": "nofile", "softLimit": 2, "hardLimit": 1}], "Soft limit exceeds hard limit"),
    (f"{CONTAINER}.ulimits", [{"name": "nproc", "softLimit": 1, "hardLimit": 1}], "only support the nofile ulimit"),
    (f"{CONTAINER}.environment", [{"name": "A=B", "value": "x"}], "an environment variable has no name, or '='"),
    (f"{CONTAINER}.systemControls", [{"namespace": "vm.swappiness", "value": "1"}], "is not allowed"),
    (f"{CONTAINER}.healthCheck", {"command": []}, "it must begin with CMD or CMD-SHELL"),
    (f"{CONTAINER}.healthCheck", {"command": ["CMD-SHELL", "x"], "interval": 4}, "interval for container 'web'"),
    (f"{CONTAINER}.healthCheck", {"command": ["CMD-SHELL", "x"], "timeout": 61}, "timeout for container 'web'"),
    (f"{CONTAINER}.healthCheck", {"command": ["CMD-SHELL", "x"], "retries": 11}, "retries for container 'web'"),
    (f"{CONTAINER}.healthCheck", {"command": ["CMD-SHELL", "x"], "startPeriod": 301}, "startPeriod for container"),
    (f"{CONTAINER}.mountPoints", [{"sourceVolume": "v", "containerPath": "/v"}], "Unknown volume 'v'."),
    (f"{CONTAINER}.volumesFrom", [{"sourceContainer": "x"}], "Invalid 'volumesFrom' setting. Unknown container: 'x'"),
    (f"{CONTAINER}.dependsOn", [{"containerName": "x", "condition": "START"}], "Cannot depend on container + 'x'"),
    (f"{CONTAINER}.dependsOn", [{"containerName": "web", "condition": "START"}], "should not have a cycle"),
    (f"{CONTAINER}.logConfiguration.logDriver", "syslog", "logDriver=syslog' is not supported"),
    (f"{CONTAINER}.logConfiguration.logDriver", "json-file", "options of json-file"),
    (f"{CONTAINER}.logConfiguration.options", {"awslogs-region": REGION}, "requires options: awslogs-group"),
    (f"{CONTAINER}.logConfiguration.options.awslogs-stream-prefix", None, "requires options: awslogs-stream-prefix"),
    (f"{CONTAINER}.logConfiguration.options.awslogs-endpoint", "x", "disallows options: awslogs-endpoint"),
    (f"{CONTAINER}.logConfiguration.options.awslogs-region", "eu-west-1", "awslogs-region=eu-west-1"),
    (f"{CONTAINER}.logConfiguration.options.awslogs-multiline-pattern", "x", "awslogs-multiline-pattern"),
    (f"{CONTAINER}.logConfiguration.options.mode", "blocking", "mode=blocking"),
    (f"{CONTAINER}.logConfiguration.options.max-buffer-size", "lots", "max-buffer-size is invalid"),
    (f"{CONTAINER}.logConfiguration.secretOptions", [{"name": "a", "valueFrom": "b"}], "secretOptions"),
]


@pytest.mark.parametrize(("path", "value", "text"), ROWS, ids=[f"{row[0]}={row[1]!r:.30}" for row in ROWS])
def test_what_ecs_or_this_platform_refuses_is_refused_by_name(path: str, value: object, text: str) -> None:
    with pytest.raises(Fault) as refused:
        register(put(lecture(), path, value))
    assert refused.value.code == "ClientException"
    assert text in refused.value.message


ACCEPTED: list[tuple[str, object]] = [
    ("taskRoleArn", "app"),
    ("pidMode", "task"),
    ("ephemeralStorage", {"sizeInGiB": 21}),
    ("runtimePlatform", {"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"}),
    ("enableFaultInjection", False),
    (f"{CONTAINER}.secrets", []),
    (
        f"{CONTAINER}.linuxParameters",
        {"initProcessEnabled": True, "capabilities": {"add": ["SYS_PTRACE"]}, "tmpfs": []},
    ),
    (f"{CONTAINER}.healthCheck", {"command": ["CMD", "/ok"], "startPeriod": 0}),
    (f"{CONTAINER}.healthCheck", {"command": ["NONE"]}),
    (f"{CONTAINER}.portMappings", [{"containerPort": 53, "protocol": "udp"}, {"containerPort": 53}]),
    (f"{CONTAINER}.portMappings", [{"containerPortRange": "8000-8010"}]),
    (f"{CONTAINER}.logConfiguration.options.mode", "non-blocking"),
    (f"{CONTAINER}.logConfiguration.options.awslogs-create-group", "true"),
    (f"{CONTAINER}.logConfiguration", None),
    (f"{CONTAINER}.systemControls", [{"namespace": "net.core.somaxconn", "value": "1024"}]),
    (f"{CONTAINER}.restartPolicy", {"enabled": False}),
]


@pytest.mark.parametrize(("path", "value"), ACCEPTED, ids=[f"{row[0]}={row[1]!r:.30}" for row in ACCEPTED])
def test_what_is_honoured_is_taken(path: str, value: object) -> None:
    definition = register(put(lecture(), path, value))
    assert definition["compatibilities"] == ["EC2", "FARGATE"]


def test_containers_of_one_definition_depend_on_each_other_as_ecs_allows() -> None:
    web = lecture()["containerDefinitions"][0]
    init = {"name": "init", "image": "busybox", "essential": False}
    waits = {"containerName": "init", "condition": "SUCCESS"}
    register({**lecture(), "containerDefinitions": [{**web, "dependsOn": [waits]}, init]})
    for change, text in (
        ({"essential": True}, "SUCCESS or COMPLETE condition cannot be an essential container"),
        ({"name": "web"}, "Container names must be unique within a task definition."),
        ({"dependsOn": [{"containerName": "web", "condition": "START"}]}, "should not have a cycle"),
    ):
        with pytest.raises(Fault) as refused:
            register({**lecture(), "containerDefinitions": [{**web, "dependsOn": [waits]}, {**init, **change}]})
        assert text in refused.value.message
    healthy = {"containerName": "init", "condition": "HEALTHY"}
    with pytest.raises(Fault, match="HEALTHY condition must have health check configured"):
        register({**lecture(), "containerDefinitions": [{**web, "dependsOn": [healthy]}, init]})


def test_at_most_ten_containers() -> None:
    web = lecture()["containerDefinitions"][0]
    many = [{**web, "name": f"c{i}", "portMappings": []} for i in range(11)]
    with pytest.raises(Fault, match="at most 10 containers"):
        register({**lecture(), "containerDefinitions": many})


EC2_ROWS: list[tuple[str, object, str]] = [
    ("ipcMode", "task", "'ipcMode' is not supported by Ropewalk yet"),
    ("pidMode", "host", "'pidMode=host' is not supported by Ropewalk yet"),
    (f"{CONTAINER}.links", ["x"], "'links' is not supported by Ropewalk yet"),
    (f"{CONTAINER}.dockerSecurityOptions", ["x"], "'dockerSecurityOptions' is not supported by Ropewalk yet"),
    (f"{CONTAINER}.linuxParameters", {"devices": [{"hostPath": "/dev/x"}]}, "'linuxParameters.devices'"),
    (f"{CONTAINER}.linuxParameters", {"maxSwap": 0}, "'linuxParameters.maxSwap'"),
    (f"{CONTAINER}.resourceRequirements", [{"value": "1", "type": "GPU"}], "'resourceRequirements' is not supported"),
    (f"{CONTAINER}.portMappings", [{"containerPortRange": "80-90"}], "containerPortRange with networkMode=bridge"),
    (f"{CONTAINER}.disableNetworking", True, "'disableNetworking' is not supported"),
    (f"{CONTAINER}.dnsServers", ["nowhere"], "Invalid DNS server"),
    ("ephemeralStorage", {"sizeInGiB": 21}, "only supported for tasks that run on Fargate"),
    ("cpu", "64", "Invalid 'cpu' setting for task."),
]


@pytest.mark.parametrize(("path", "value", "text"), EC2_ROWS, ids=[f"{row[0]}={row[1]!r:.30}" for row in EC2_ROWS])
def test_what_ec2_would_run_but_this_platform_cannot_yet_is_refused_by_name(
    path: str, value: object, text: str
) -> None:
    legacy = {"family": "legacy", "containerDefinitions": [{"name": "app", "image": "nginx", "memory": 128}]}
    with pytest.raises(Fault) as refused:
        register(put(legacy, path, value))
    assert text in refused.value.message


def test_ecs_own_refusal_of_the_lectures_efs_file_comes_before_what_this_platform_lacks() -> None:
    """The file as printed names no memory anywhere: AWS would refuse it for that, whatever becomes of its volume."""
    with pytest.raises(Fault) as refused:
        register(lecture("ecs-task-definition-efs.json"))
    assert refused.value.message.startswith("Invalid setting for container 'webapp'. At least one of 'memory'")
    with pytest.raises(Fault) as refused:
        register(put(lecture("ecs-task-definition-efs.json"), "containerDefinitions.0.memory", 128))
    assert "'efsVolumeConfiguration' is not supported by Ropewalk yet" in refused.value.message


def test_a_bridge_definition_for_ec2_registers_with_dynamic_ports() -> None:
    definition = register(
        {
            "family": "legacy",
            "containerDefinitions": [
                {
                    "name": "app",
                    "image": "nginx",
                    "memory": 128,
                    "privileged": True,
                    "portMappings": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 8081}],
                    "extraHosts": [{"hostname": "db", "ipAddress": "10.0.0.9"}],
                }
            ],
            "volumes": [{"name": "data", "host": {"sourcePath": "/data"}}],
        }
    )
    assert definition["compatibilities"] == ["EXTERNAL", "EC2"]
    assert [port["hostPort"] for port in definition["containerDefinitions"][0]["portMappings"]] == [0, 8081]
    assert "networkMode" not in definition and "cpu" not in definition


def test_host_mode_binds_the_same_ports() -> None:
    base: dict[str, Any] = {"family": "h", "networkMode": "host"}
    container = {"name": "app", "image": "nginx", "memory": 128}
    port = {"containerPort": 80, "hostPort": 81}
    with pytest.raises(Fault, match="When networkMode=host, the host ports"):
        register({**base, "containerDefinitions": [{**container, "portMappings": [port]}]})
    made = register({**base, "containerDefinitions": [{**container, "portMappings": [{"containerPort": 80}]}]})
    assert made["containerDefinitions"][0]["portMappings"][0]["hostPort"] == 80


@pytest.mark.parametrize(("cpu", "memory"), [(8192, 16384), (16384, 122880)])
def test_large_fargate_sizes_are_admitted_by_the_setting_that_the_refusal_names(cpu: int, memory: int) -> None:
    large = {**lecture(), "cpu": str(cpu), "memory": str(memory)}
    with pytest.raises(Fault) as refused:
        register(large)
    assert refused.value.message.startswith(f"No Fargate configuration exists for given values: {cpu} CPU, {memory}")
    assert "--fargate-limits aws" in refused.value.message
    assert register(large, "aws")["cpu"] == str(cpu)


@pytest.mark.parametrize(
    ("text", "units"), [("256", 256), (".25 vCPU", 256), ("0.25vcpu", 256), ("1 vCPU", 1024), ("4 VCPU", 4096)]
)
def test_cpu_is_read_in_both_spellings(text: str, units: int) -> None:
    assert parse_cpu(text) == units


@pytest.mark.parametrize(("text", "mib"), [("512", 512), ("0.5GB", 512), ("1 GB", 1024), ("30 gb", 30720)])
def test_memory_is_read_in_both_spellings(text: str, mib: int) -> None:
    assert parse_memory(text) == mib


@given(cpu=st.integers(128, 20_000), memory=st.integers(4, 130_000))
def test_fargate_admits_exactly_its_table(cpu: int, memory: int) -> None:
    assert (fargate_problem(cpu, memory, "aws") == "") == (memory in FARGATE.get(cpu, ()))


@given(
    name=st.text(max_size=12),
    image=st.text(max_size=12),
    cpu=st.integers(-5, 2000),
    memory=st.integers(-5, 2000),
    ports=st.lists(st.fixed_dictionaries({"containerPort": st.integers(-1, 70_000)}), max_size=3),
    command=st.lists(st.text(max_size=5), max_size=3),
)
def test_bad_containers_are_refused_and_never_break_the_handler(
    name: str, image: str, cpu: int, memory: int, ports: list[dict[str, int]], command: list[str]
) -> None:
    container = {
        "name": name,
        "image": image,
        "cpu": cpu,
        "memory": memory,
        "portMappings": ports,
        "healthCheck": {"command": command},
    }
    try:
        made = register({**lecture(), "containerDefinitions": [container]})
    except Fault as fault:
        assert fault.code == "ClientException" and fault.message
    else:
        assert register(made) == made
