"""What a RunTask request means: its parameters checked against ECS's rules, and its overrides worked out. No store.

Source: docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html. A parameter that this platform cannot honour
yet is refused by name.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ropewalk.base.errors import Fault
from ropewalk.services.ecs import capacity, tags
from ropewalk.services.ecs.container_definitions import check_environment
from ropewalk.services.ecs.container_graph import check_sums
from ropewalk.services.ecs.faults import client, invalid, not_yet_invalid
from ropewalk.services.ecs.records import Cluster, Document, TaskContainer
from ropewalk.services.ecs.registration import role_arn
from ropewalk.services.ecs.sizes import (
    DEFAULT_EPHEMERAL_GIB,
    check_ephemeral,
    fargate_problem,
    parse_cpu,
    parse_memory,
)
from ropewalk.services.ecs.tags import Tags

MOST_TASKS = 10
PLATFORM_VERSION = "1.4.0"
_STARTED_BY = re.compile(r"[A-Za-z0-9_\-/=+.:@]{1,128}\Z")
_LAUNCH_TYPES = ("EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES")
_LATER: Final = {
    "enableExecuteCommand": "ECS Exec does not work so far; leave it out.",
    "volumeConfigurations": "EBS volumes cannot be attached; leave it out.",
}
_OVERRIDES_LATER: Final = {
    "environmentFiles": "Pass the variables in 'environment'.",
    "resourceRequirements": "GPUs and other accelerators cannot be given to containers.",
}
NO_INSTANCES = "No Container Instances were found in your cluster."


@dataclass(frozen=True, slots=True)
class Launch:
    """Where the tasks go: for each, its capacity provider ("" by launch type)."""

    providers: tuple[str, ...]
    platform_version: str


@dataclass(frozen=True, slots=True)
class Shape:
    """A task's size and roles after overrides."""

    cpu: int
    memory: int
    ephemeral_gib: int
    task_role: str
    execution_role: str
    overrides: Document
    containers: tuple[TaskContainer, ...]
    """Without uids."""


def check(params: dict[str, Any]) -> None:
    """Everything that can be refused from the request alone."""
    for name in _LATER.keys() & params.keys():
        if params[name]:
            raise not_yet_invalid(name, _LATER[name])
    count = params.get("count")
    if count is not None and not 1 <= count <= MOST_TASKS:
        raise invalid(f"count must be between 1 and {MOST_TASKS}.")
    started_by = params.get("startedBy")
    if started_by and not _STARTED_BY.match(started_by):
        raise invalid("startedBy contains invalid characters, or more than 128 of them.")
    if (params.get("group") or "").startswith("service:"):
        raise invalid("Invalid namespace for group.")
    if params.get("propagateTags") == "SERVICE":
        raise invalid("propagateTags SERVICE is not valid for RunTask: the task belongs to no service.")
    if (params.get("propagateTags") or "NONE") not in ("NONE", "TASK_DEFINITION"):
        raise invalid(f"Invalid propagateTags '{params['propagateTags']}'. Must be one of TASK_DEFINITION, NONE.")
    if len(params.get("referenceId") or "") > 1024:
        raise invalid("referenceId may have at most 1024 characters.")
    token = params.get("clientToken")
    if token is not None and not (1 <= len(token) <= 64 and token.isascii() and token.isprintable()):
        raise invalid("clientToken must be 1 to 64 ASCII characters.")


def launch(params: dict[str, Any], cluster: Cluster) -> Launch:
    """By launch type, by strategy, else by the cluster's default strategy, else EC2: as ECS decides."""
    count = params.get("count") or 1
    launch_type, strategy = params.get("launchType"), params.get("capacityProviderStrategy")
    if launch_type and strategy:
        raise invalid(
            "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again."
        )
    if launch_type and launch_type not in _LAUNCH_TYPES:
        raise invalid(f"Invalid launch type '{launch_type}'. Must be one of {', '.join(_LAUNCH_TYPES)}.")
    if launch_type == "FARGATE":
        providers = [""] * count
    elif launch_type or not (strategy or cluster.strategy):
        if params.get("platformVersion"):
            raise invalid("The platform version must be null when specifying an EC2 launch type.")
        raise invalid(NO_INSTANCES)
    elif strategy:
        providers = capacity.share(capacity.parse(strategy, cluster.providers), count)
    else:
        providers = capacity.share(cluster.strategy, count)
    if params.get("placementStrategy"):
        raise invalid("Placement strategies are not supported with FARGATE launch type.")
    if params.get("placementConstraints"):
        raise invalid("Placement constraints are not supported with FARGATE launch type.")
    return Launch(tuple(providers), _platform_version(params.get("platformVersion")))


def _platform_version(given: str | None) -> str:
    if given in (None, "", "LATEST", PLATFORM_VERSION):
        return PLATFORM_VERSION
    if given in ("1.0.0", "1.1.0", "1.2.0", "1.3.0"):
        raise Fault(
            "PlatformTaskDefinitionIncompatibilityException",
            f"Platform version {given} is retired here. Use LATEST or {PLATFORM_VERSION}.",
        )
    raise Fault("PlatformUnknownException", "The specified platform does not exist.")


def shape(definition: Document, params: dict[str, Any], account: str, limits: str) -> Shape:
    """What one task of the definition comes to under the request's overrides."""
    overrides = params.get("overrides") or {}
    if overrides.get("inferenceAcceleratorOverrides"):
        raise client("Unsupported field 'inferenceAcceleratorOverrides'.")
    by_name = {container["name"]: container for container in definition["containerDefinitions"]}
    changed: dict[str, dict[str, Any]] = {}
    for item in overrides.get("containerOverrides") or ():
        name = item.get("name") or ""
        if name not in by_name:
            raise invalid(f"Override for container named {name} is not a container in the TaskDefinition.")
        if name in changed:
            raise invalid(f"Only one override may be given for container {name}.")
        for later in _OVERRIDES_LATER.keys() & item.keys():
            if item[later]:
                raise not_yet_invalid(f"containerOverrides.{later}", _OVERRIDES_LATER[later])
        check_environment(name, item.get("environment") or ())
        changed[name] = item
    if overrides and len(msgspec.json.encode(overrides)) > 8192:
        raise invalid("Overrides are limited to 8192 characters of JSON.")
    cpu = parse_cpu(overrides["cpu"]) if overrides.get("cpu") else int(definition["cpu"])
    memory = parse_memory(overrides["memory"]) if overrides.get("memory") else int(definition["memory"])
    if (overrides.get("cpu") or overrides.get("memory")) and (problem := fargate_problem(cpu, memory, limits)):
        raise client(problem)
    storage = overrides.get("ephemeralStorage") or definition.get("ephemeralStorage")
    if storage:
        check_ephemeral(storage["sizeInGiB"])
    amounts = [_amounts(container, changed.get(name) or {}) for name, container in by_name.items()]
    check_sums(amounts, cpu, memory)
    return Shape(
        cpu=cpu,
        memory=memory,
        ephemeral_gib=storage["sizeInGiB"] if storage else DEFAULT_EPHEMERAL_GIB,
        task_role=_role(overrides, definition, "taskRoleArn", account),
        execution_role=_role(overrides, definition, "executionRoleArn", account),
        overrides=overrides,
        containers=tuple(_task_container(amount, by_name[amount["name"]]) for amount in amounts),
    )


def _role(overrides: dict[str, Any], definition: Document, field: str, account: str) -> str:
    given = overrides.get(field)
    return role_arn(given, account, field) if given else definition.get(field) or ""


def _amounts(container: Document, override: dict[str, Any]) -> Document:
    fields = {"name": container["name"]}
    for field in ("cpu", "memory", "memoryReservation"):
        value = override.get(field)
        if value is not None and value < 0:
            raise invalid(f"Override of {field} for container {container['name']} must not be negative.")
        fields[field] = container.get(field) or 0 if value is None else value
    if fields["memory"] and fields["memoryReservation"] > fields["memory"]:
        raise client(
            f"Invalid setting for container '{container['name']}'. "
            "'memory' must be greater than or equal to 'memoryReservation'."
        )
    return fields


def _task_container(amounts: Document, container: Document) -> TaskContainer:
    check = container.get("healthCheck") or {"command": ["NONE"]}
    return TaskContainer(
        uid="",
        name=container["name"],
        image=container["image"],
        cpu=amounts["cpu"],
        memory=amounts["memory"],
        memory_reservation=amounts["memoryReservation"],
        essential=container["essential"],
        checked=check["command"][0] != "NONE",
    )


def task_tags(params: dict[str, Any], definition_tags: Tags, cluster: str) -> Tags:
    """The request's tags, over the definition's where they are propagated, and ECS's own where asked for."""
    result = tags.parse(params.get("tags"))
    if params.get("propagateTags") == "TASK_DEFINITION":
        result = tags.merged(definition_tags, result)
    if params.get("enableECSManagedTags"):
        result = (*result, ("aws:ecs:clusterName", cluster))
    return result


def digest(params: dict[str, Any]) -> str:
    """Tells requests with the same client token apart."""
    content = {name: value for name, value in params.items() if name != "clientToken"}
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:32]
