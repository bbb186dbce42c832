"""What Fargate asks of a task definition beyond ECS's own rules. Pure: a definition in, its first problem out.

Source: docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html. A definition without
requiresCompatibilities FARGATE may have such problems; then FARGATE is simply not among its `compatibilities`.
"""

from __future__ import annotations

import re

from ropewalk.services.ecs.log_configuration import FARGATE_DRIVERS
from ropewalk.services.ecs.records import Document
from ropewalk.services.ecs.sizes import fargate_problem

_ECR = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/")


def problem(definition: Document, limits: str) -> str:
    """ECS's text for the first thing that Fargate would refuse; "" for none."""
    if definition.get("networkMode") != "awsvpc":
        return "Fargate only supports network mode ‘awsvpc’."
    for amount in ("cpu", "memory"):
        if not definition.get(amount):
            return f"Fargate requires that '{amount}' be defined at the task level."
    size = fargate_problem(int(definition["cpu"]), int(definition["memory"]), limits)
    if size:
        return size
    if definition.get("placementConstraints"):
        return "Fargate does not support task placement constraints."
    if definition.get("pidMode") == "host":
        return "Tasks using the Fargate launch type do not support pidMode 'host'."
    if any((volume.get("host") or {}).get("sourcePath") for volume in definition["volumes"]):
        return "Fargate compatible task definitions do not support sourcePath"
    execution_role = definition.get("executionRoleArn")
    for container in definition["containerDefinitions"]:
        if text := _container_problem(container, bool(execution_role)):
            return text
    return ""


def _container_problem(container: Document, execution_role: bool) -> str:
    if container.get("privileged"):
        return "Fargate compatible task definitions do not support privileged containers"
    if (container.get("stopTimeout") or 0) > 120 or (container.get("startTimeout") or 0) > 120:
        which = "stop" if (container.get("stopTimeout") or 0) > 120 else "start"
        return f"Tasks using the Fargate launch type must have a container {which} timeout of less than 120 seconds."
    if _ECR.match(container["image"]) and not execution_role:
        return "Fargate requires task definition to have execution role ARN to support ECR images."
    if log := container.get("logConfiguration"):
        driver = log["logDriver"]
        if driver not in FARGATE_DRIVERS:
            return f"{driver} is not a valid log driver. Must be one of [{','.join(FARGATE_DRIVERS)}]"
        if not execution_role:
            return f"Fargate requires task definition to have execution role ARN to support log driver {driver}."
        if not (log.get("options") or {}).get("awslogs-stream-prefix"):
            return "Log driver awslogs requires options: awslogs-stream-prefix"
    capabilities = ((container.get("linuxParameters") or {}).get("capabilities") or {}).get("add") or ()
    if any(capability != "SYS_PTRACE" for capability in capabilities):
        return "Fargate compatible task definitions only support adding the SYS_PTRACE capability"
    if any(ulimit["name"] != "nofile" for ulimit in container.get("ulimits") or ()):
        return "Fargate compatible task definitions only support the nofile ulimit"
    return ""
