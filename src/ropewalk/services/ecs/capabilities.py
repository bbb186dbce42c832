"""requiresAttributes and compatibilities: what a definition asks of a container instance, worked out from its fields.

Attribute names: docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-capabilities… and what
DescribeTaskDefinition answers for each field.
"""

from __future__ import annotations

import re

from ropewalk.services.ecs.records import Document

_AGENT = "com.amazonaws.ecs.capability."
_ECR = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/")


def required_attributes(definition: Document) -> list[dict[str, str]]:
    names: dict[str, None] = {}
    mode = definition.get("networkMode")
    for container in definition["containerDefinitions"]:
        names.update(dict.fromkeys(_of_container(container, bool(definition.get("executionRoleArn")))))
    if definition.get("taskRoleArn"):
        names[_AGENT + ("task-iam-role-network-host" if mode == "host" else "task-iam-role")] = None
    if definition.get("pidMode") or definition.get("ipcMode"):
        names["ecs.capability.pid-ipc-namespace-sharing"] = None
    if definition.get("cpu") or definition.get("memory"):
        names["ecs.capability.task-cpu-mem-limit"] = None
    if mode == "awsvpc":
        names["ecs.capability.task-eni"] = None
    names[_AGENT + "docker-remote-api.1.18"] = None
    return [{"name": name} for name in names]


def _of_container(container: Document, execution_role: bool) -> list[str]:
    names: list[str] = []
    if log := container.get("logConfiguration"):
        names += [f"{_AGENT}logging-driver.{log['logDriver']}", _AGENT + "docker-remote-api.1.19"]
        if log["logDriver"] == "awslogs" and execution_role:
            names.append("ecs.capability.execution-role-awslogs")
    if container.get("dependsOn") or "startTimeout" in container or "stopTimeout" in container:
        names.append("ecs.capability.container-ordering")
    if "healthCheck" in container:
        names.append("ecs.capability.container-health-check")
    if "memoryReservation" in container:
        names.append(_AGENT + "docker-remote-api.1.21")
    if container.get("privileged"):
        names.append(_AGENT + "privileged-container")
    if _ECR.match(container["image"]):
        names.append(_AGENT + "ecr-auth")
        if execution_role:
            names.append("ecs.capability.execution-role-ecr-pull")
    return names


def compatibilities(network_mode: str, fits_fargate: bool) -> list[str]:
    if network_mode == "awsvpc":
        return ["EC2", "FARGATE"] if fits_fargate else ["EC2"]
    return ["EXTERNAL", "EC2"]
