"""What Fargate asks of a task definition beyond ECS's own rules. Pure: a definition in, its first problem out.

Source: docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html. A definition without
requiresCompatibilities FARGATE may have such problems; then FARGATE is simply not among its `compatibilities`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from ropewalk.services.ecs.log_configuration import FARGATE_DRIVERS
from ropewalk.services.ecs.records import Document
from ropewalk.services.ecs.sizes import fargate_problem

_ECR = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/")


_LINUX_FORBIDS: Final = ("devices", "sharedMemorySize", "tmpfs", "maxSwap", "swappiness")
_VOLUME_FORBIDS: Final = ("dockerVolumeConfiguration", "fsxWindowsFileServerVolumeConfiguration")


def forbidden(params: dict[str, Any]) -> str:
    """ECS's text for the first thing in a request that no Fargate task may have, whoever runs it; "" for none.

    Told before what this platform lacks: these would be refused on AWS too.
    """
    if params.get("ipcMode"):
        return "Fargate compatible task definitions do not support ipcMode"
    if params.get("pidMode") == "host":
        return "Tasks using the Fargate launch type do not support pidMode 'host'."
    for volume in params.get("volumes") or ():
        for name in _VOLUME_FORBIDS:
            if volume.get(name):
                return f"Fargate compatible task definitions do not support {name}"
    for container in params["containerDefinitions"]:
        linux = container.get("linuxParameters") or {}
        for name in _LINUX_FORBIDS:
            if linux.get(name) not in (None, []):
                return f"Fargate compatible task definitions do not support {name}"
        if container.get("dockerSecurityOptions"):
            return "Fargate compatible task definitions do not support dockerSecurityOptions"
        if any(resource.get("type") == "GPU" for resource in container.get("resourceRequirements") or ()):
            return "Tasks using the Fargate launch type do not support GPU resource requirements."
    return ""


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
