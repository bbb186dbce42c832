"""From a RegisterTaskDefinition request to the document that is stored: validation and defaults. Pure.

Source: docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RegisterTaskDefinition.html. What ECS refuses is refused
in its words; what this platform cannot do yet is refused by name; nothing is dropped.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from ropewalk.services.ecs import capabilities, container_definitions, container_graph, fargate, volumes
from ropewalk.services.ecs.faults import client, not_yet
from ropewalk.services.ecs.names import NAME
from ropewalk.services.ecs.records import Document
from ropewalk.services.ecs.sizes import check_ephemeral, parse_cpu, parse_memory

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,512}\Z")
_LATER: Final = {
    "proxyConfiguration": "App Mesh proxies cannot be injected; remove it.",
    "trustedExecutionConfiguration": "Remove it.",
    "enableFaultInjection": "Set it to false.",
    "ipcMode": "Containers of a task share no IPC namespace; remove it.",
}
MOST_BYTES = 65_536
"""docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html: the size of a task definition."""
MODES = ("bridge", "host", "awsvpc", "none")
COMPATIBILITIES = ("EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES")


def role_arn(given: str, account: str, field: str) -> str:
    """The ARN that a role's name or ARN means."""
    if _ROLE.match(given):
        return given
    if given.startswith("arn:") or not re.match(r"[\w+=,.@-]{1,64}\Z", given):
        raise client(f"Invalid {field}: Role is not valid")
    return f"arn:aws:iam::{account}:role/{given}"


def normalise(params: dict[str, Any], account: str, region: str, limits: str) -> Document:
    """The definition as DescribeTaskDefinition returns it, without ARN, revision, status and times.

    Raises ClientException. `limits` is the installation's `fargate_limits`.
    """
    family = params["family"]
    if not NAME.match(family):
        raise client("Family contains invalid characters.")
    if not params["containerDefinitions"]:
        raise client("Container list cannot be empty.")
    requires = _requires(params.get("requiresCompatibilities") or [])
    if "FARGATE" in requires and (never := fargate.forbidden(params)):
        raise client(never)
    for later in _LATER.keys() & params.keys():
        if params[later]:
            raise not_yet("", later, _LATER[later])
    if params.get("inferenceAccelerators"):
        raise client("Unsupported field 'inferenceAccelerators'.")
    mode = params.get("networkMode") or ""
    if mode and mode not in MODES:
        raise client(f"Invalid network mode '{mode}'. Must be one of {', '.join(MODES)}.")
    definition: Document = {"family": family}
    if mode:
        definition["networkMode"] = mode
    for role in ("taskRoleArn", "executionRoleArn"):
        if params.get(role):
            definition[role] = role_arn(params[role], account, role)
    if params.get("cpu"):
        definition["cpu"] = str(parse_cpu(params["cpu"]))
    if params.get("memory"):
        definition["memory"] = str(parse_memory(params["memory"]))
    definition["containerDefinitions"] = [
        container_definitions.normalise(container, mode or "bridge", region, "memory" in definition)
        for container in params["containerDefinitions"]
    ]
    definition["volumes"] = volumes.normalise(params.get("volumes") or [])
    definition["placementConstraints"] = _constraints(params.get("placementConstraints") or [])
    if requires:
        definition["requiresCompatibilities"] = requires
    _namespaces(params, definition)
    _platform(params, definition)
    problem = fargate.problem(definition, limits)
    _check_whole(definition, problem if "FARGATE" in requires else "")
    if storage := params.get("ephemeralStorage"):
        check_ephemeral(storage["sizeInGiB"])
        if mode != "awsvpc":
            raise client("EphemeralStorage is only supported for tasks that run on Fargate (networkMode=awsvpc).")
        definition["ephemeralStorage"] = {"sizeInGiB": storage["sizeInGiB"]}
    definition["requiresAttributes"] = capabilities.required_attributes(definition)
    definition["compatibilities"] = capabilities.compatibilities(mode, not problem)
    _check_length(definition)
    return definition


def _check_length(definition: Document) -> None:
    length = len(msgspec.json.encode(definition))
    if length > MOST_BYTES:
        raise client(f"Actual length: '{length}'. Max allowed length is '{MOST_BYTES}' bytes.")


def _check_whole(definition: Document, fargate_problem: str) -> None:
    containers = definition["containerDefinitions"]
    cpu, memory = definition.get("cpu"), definition.get("memory")
    container_graph.check(
        containers, {volume["name"] for volume in definition["volumes"]}, definition.get("networkMode") or "bridge"
    )
    if fargate_problem:
        raise client(fargate_problem)
    container_graph.check_sums(containers, int(cpu) if cpu else None, int(memory) if memory else None)


def _requires(given: list[str]) -> list[str]:
    for compatibility in given:
        if compatibility not in COMPATIBILITIES:
            raise client(f"Invalid compatibility '{compatibility}'. Must be one of {', '.join(COMPATIBILITIES)}.")
        if compatibility in ("EXTERNAL", "MANAGED_INSTANCES"):
            raise not_yet("", f"requiresCompatibilities={compatibility}", "Use FARGATE or EC2.")
    return list(dict.fromkeys(given))


def _constraints(given: list[dict[str, Any]]) -> list[Document]:
    if len(given) > 10:
        raise client("A task definition may hold at most 10 placement constraints.")
    for constraint in given:
        if constraint.get("type") != "memberOf":
            raise client(f"Invalid placement constraint type '{constraint.get('type')}': it must be memberOf.")
        if not 0 < len(constraint.get("expression") or "") <= 2000:
            raise client("A memberOf placement constraint requires an expression of at most 2000 characters.")
    return [dict(constraint) for constraint in given]


def _namespaces(params: dict[str, Any], definition: Document) -> None:
    pid_mode = params.get("pidMode")
    if not pid_mode:
        return
    if pid_mode not in ("task", "host"):
        raise client(f"Invalid pidMode '{pid_mode}'. Must be one of host, task.")
    if pid_mode == "host":
        raise not_yet("", "pidMode=host", "Use pidMode=task.")
    definition["pidMode"] = pid_mode


def _platform(params: dict[str, Any], definition: Document) -> None:
    platform = params.get("runtimePlatform")
    if not platform:
        return
    architecture = platform.get("cpuArchitecture") or "X86_64"
    if architecture not in ("X86_64", "ARM64"):
        raise client(f"Invalid cpuArchitecture '{architecture}'. Must be one of X86_64, ARM64.")
    system = platform.get("operatingSystemFamily") or "LINUX"
    if architecture != "X86_64":
        raise not_yet("", f"runtimePlatform.cpuArchitecture={architecture}", "Use X86_64.")
    if system != "LINUX":
        raise not_yet("", f"runtimePlatform.operatingSystemFamily={system}", "Use LINUX.")
    definition["runtimePlatform"] = {key: value for key, value in platform.items() if value is not None}
