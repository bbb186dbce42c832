"""From a task to the workload that its host runs. Pure: task, definition and interface in, `Workload` out.

Nothing below this knows ECS. The table of what becomes of each field is `docs/workload.md`; sources for the environment
that ECS gives: docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html and
task-iam-roles.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from ropewalk.model import documents
from ropewalk.model.host import AWS_ENDPOINT_ADDRESS, RESOLVER_ADDRESS
from ropewalk.model.ids import AWS_CONTROL_PLANE, InterfaceId, MachineId, WorkloadUid
from ropewalk.model.readers import SubnetView
from ropewalk.model.workload import (
    Container,
    Credential,
    Dependency,
    Desire,
    Endpoints,
    EnvironmentVariable,
    Generation,
    InterfaceSpec,
    LogRoute,
    Mount,
    NetworkMode,
    Port,
    Probe,
    Resources,
    StartCondition,
    Ulimit,
    Volume,
    Workload,
)
from ropewalk.services.ecs.names import Arns
from ropewalk.services.ecs.records import Document, Interface, Task, TaskContainer

ENDPOINT_PORT = 4566
"""Of the AWS endpoint inside every VPC, whatever port it has on the host."""
MIB = 1024 * 1024
GIB = 1024 * MIB
DEFAULT_STOP_TIMEOUT = 30.0
TASK_ROLE, EXECUTION_ROLE = "task", "execution"
"""Names of a workload's credentials."""

_CONDITIONS: Final = {
    "START": StartCondition.STARTED,
    "COMPLETE": StartCondition.COMPLETED,
    "SUCCESS": StartCondition.SUCCEEDED,
    "HEALTHY": StartCondition.HEALTHY,
}


def millis(cpu_units: int) -> int:
    """Thousandths of a vCPU, rounded up: 256 units are 250."""
    return -(-cpu_units * 1000 // 1024)


def lower(
    task: Task, definition: Document, interface: Interface, subnet: SubnetView, arns: Arns, generation: Generation
) -> Workload:
    """The workload of a Fargate task. Its interface has been made, its host chosen."""
    overrides = {item["name"]: item for item in task.overrides.get("containerOverrides") or () if "name" in item}
    by_name = {container["name"]: container for container in definition["containerDefinitions"]}
    containers = tuple(
        _container(task, definition, observed, by_name, overrides.get(observed.name) or {}, arns)
        for observed in task.containers
    )
    return Workload(
        uid=WorkloadUid(task.id),
        owner=AWS_CONTROL_PLANE,
        machine=MachineId(task.machine),
        generation=generation,
        name=f"{task.family}-{task.revision}-{task.id[:8]}",
        containers=containers,
        volumes=tuple(_volume(volume) for volume in definition["volumes"]),
        network=NetworkMode.INTERFACE,
        interface=InterfaceSpec(
            id=InterfaceId(interface.id),
            vpc=subnet.vpc,
            subnet=subnet.spec.id,
            address=interface.address,
            subnet_cidr=subnet.spec.cidr,
            gateway=subnet.spec.gateway,
            mac=interface.mac,
            hostname=interface.private_dns,
        ),
        resources=Resources(cpu_millis=millis(task.cpu), cpu_shares=max(2, task.cpu), memory_bytes=task.memory * MIB),
        ephemeral_storage_bytes=task.ephemeral_gib * GIB,
        hostname=interface.private_dns,
        dns_servers=(RESOLVER_ADDRESS,),
        dns_search=(interface.private_dns.partition(".")[2],) if "." in interface.private_dns else (),
        shared_pid_namespace=definition.get("pidMode") == "task",
        credentials=_credentials(task),
        endpoints=Endpoints(metadata_token=task.metadata_token),
        labels=_labels(task, arns),
    )


def stopped(workload: Workload, reason: str, generation: Generation) -> Workload:
    """The same workload, asked to stop."""
    return replace(workload, desire=Desire.STOP, stop_reason=reason, generation=generation)


def _credentials(task: Task) -> tuple[Credential, ...]:
    credentials: list[Credential] = []
    if task.task_role:
        credentials.append(Credential(TASK_ROLE, task.task_role, task.credentials_token))
    if task.execution_role:
        credentials.append(Credential(EXECUTION_ROLE, task.execution_role))
    return tuple(credentials)


def _labels(task: Task, arns: Arns) -> tuple[tuple[str, str], ...]:
    labels = [
        (documents.CLUSTER, arns.cluster(task.cluster)),
        (documents.TASK_ARN, arns.task(task.cluster, task.id)),
        (documents.FAMILY, task.family),
        (documents.REVISION, str(task.revision)),
        (documents.LAUNCH_TYPE, task.launch_type),
    ]
    if task.zone:
        labels.append((documents.ZONE, task.zone))
    if task.group.startswith("service:"):
        labels.append((documents.SERVICE, task.group.removeprefix("service:")))
    return (*labels, *((documents.TAG_PREFIX + key, value) for key, value in task.tags))


def _volume(volume: Document) -> Volume:
    path = (volume.get("host") or {}).get("sourcePath") or ""
    return Volume(volume["name"], "host", path) if path else Volume(volume["name"], "scratch")


def _container(
    task: Task,
    definition: Document,
    observed: TaskContainer,
    by_name: Mapping[str, Document],
    override: Mapping[str, Any],
    arns: Arns,
) -> Container:
    given = by_name[observed.name]
    linux = given.get("linuxParameters") or {}
    capabilities = linux.get("capabilities") or {}
    entry_point = given.get("entryPoint")
    arguments = override.get("command") or given.get("command")
    if entry_point and not arguments:
        arguments = []  # as Docker: an ENTRYPOINT of one's own drops the image's CMD
    health = given.get("healthCheck")
    return Container(
        name=observed.name,
        image=given["image"],
        command=tuple(entry_point) if entry_point else None,
        arguments=None if arguments is None else tuple(arguments),
        environment=environment(task, given, override, arns.region),
        working_directory=given.get("workingDirectory") or "",
        user=given.get("user") or "",
        essential=given["essential"],
        depends_on=tuple(
            Dependency(
                dependency["containerName"],
                _CONDITIONS[dependency["condition"]],
                float(by_name[dependency["containerName"]].get("startTimeout") or 0),
            )
            for dependency in given.get("dependsOn") or ()
        ),
        health=_probe(health) if health else None,
        resources=Resources(
            cpu_shares=observed.cpu,
            memory_bytes=observed.memory * MIB,
            memory_reservation_bytes=observed.memory_reservation * MIB,
        ),
        ports=tuple(
            Port(port["containerPort"], port["protocol"], port.get("hostPort") or 0, port.get("name") or "")
            for port in given["portMappings"]
            if "containerPort" in port
        ),
        mounts=_mounts(given, by_name),
        log=_log_route(task, given),
        read_only_root=bool(given.get("readonlyRootFilesystem")),
        privileged=bool(given.get("privileged")),
        add_capabilities=tuple(capabilities.get("add") or ()),
        drop_capabilities=tuple(capabilities.get("drop") or ()),
        ulimits=tuple(
            Ulimit(ulimit["name"], ulimit["softLimit"], ulimit["hardLimit"]) for ulimit in given.get("ulimits") or ()
        ),
        sysctls=tuple((control["namespace"], control["value"]) for control in given["systemControls"]),
        init=bool(linux.get("initProcessEnabled")),
        interactive=bool(given.get("interactive")),
        terminal=bool(given.get("pseudoTerminal")),
        labels=(
            *sorted((given.get("dockerLabels") or {}).items()),
            (documents.CONTAINER_ARN, arns.container(task.cluster, task.id, observed.uid)),
        ),
        stop_timeout=float(given.get("stopTimeout") or DEFAULT_STOP_TIMEOUT),
    )


def environment(
    task: Task, given: Document, override: Mapping[str, Any], region: str
) -> tuple[EnvironmentVariable, ...]:
    """What ECS gives, under what the definition sets, under what the call overrides. Names are unique."""
    values = {
        "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": f"http://{AWS_ENDPOINT_ADDRESS}:{ENDPOINT_PORT}",
        "ECS_CONTAINER_METADATA_URI_V4": documents.metadata_uri(task.metadata_token, given["name"]),
    }
    if task.task_role:
        values["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = documents.credentials_path(task.credentials_token)
    for source in (given["environment"], override.get("environment") or ()):
        for variable in source:
            values[variable["name"]] = variable.get("value") or ""
    return tuple(EnvironmentVariable(name, value) for name, value in values.items())


def _probe(check: Document) -> Probe | None:
    kind, *rest = check["command"]
    if kind == "NONE":
        return None
    return Probe(
        command=("/bin/sh", "-c", " ".join(rest)) if kind == "CMD-SHELL" else tuple(rest),
        interval=float(check["interval"]),
        timeout=float(check["timeout"]),
        failures=check["retries"],
        grace=float(check.get("startPeriod") or 0),
    )


def _mounts(given: Document, by_name: Mapping[str, Document]) -> tuple[Mount, ...]:
    """The container's own mounts, then those of `volumesFrom` at paths that are still free. Followed through."""
    mounts = {
        mount["containerPath"]: Mount(mount["sourceVolume"], mount["containerPath"], bool(mount.get("readOnly")))
        for mount in given["mountPoints"]
    }
    for source in given["volumesFrom"]:
        for mount in _mounts(by_name[source["sourceContainer"]], by_name):
            read_only = bool(source.get("readOnly")) or mount.read_only
            mounts.setdefault(mount.path, Mount(mount.volume, mount.path, read_only))
    return tuple(mounts.values())


def _log_route(task: Task, given: Document) -> LogRoute | None:
    log = given.get("logConfiguration")
    if not log or log["logDriver"] != "awslogs":
        return None
    options = log["options"]
    return LogRoute(
        group=options["awslogs-group"],
        stream=log_stream(options.get("awslogs-stream-prefix") or "ecs", given["name"], task.id),
        region=options["awslogs-region"],
        create_group=options.get("awslogs-create-group") == "true",
        credentials=EXECUTION_ROLE if task.execution_role else "",
    )


def log_stream(prefix: str, container: str, task: str) -> str:
    return f"{prefix}/{container}/{task}"


def log_groups_needed(definition: Document) -> list[str]:
    """Log groups that must exist before the task starts: those that it does not ask to be created."""
    groups: dict[str, None] = {}
    for container in definition["containerDefinitions"]:
        log = container.get("logConfiguration")
        if log and log["logDriver"] == "awslogs" and log["options"].get("awslogs-create-group") != "true":
            groups[log["options"]["awslogs-group"]] = None
    return list(groups)
