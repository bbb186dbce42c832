"""Facts that a workload can read about itself, and where: labels with agreed names, and link-local paths.

The agent never acts on these labels; it prints them in the documents it serves (ECS's task metadata, later a pod's
downward API). Whoever lowers to a `Workload` fills in those that apply; one that is absent is left out of the document.
"""

from __future__ import annotations

import zlib

CLUSTER = "com.amazonaws.ecs.cluster"
"""Cluster ARN."""
TASK_ARN = "com.amazonaws.ecs.task-arn"
FAMILY = "com.amazonaws.ecs.task-definition-family"
REVISION = "com.amazonaws.ecs.task-definition-version"
SERVICE = "com.amazonaws.ecs.service-name"
LAUNCH_TYPE = "com.amazonaws.ecs.launch-type"
"""FARGATE or EC2."""
ZONE = "com.amazonaws.ecs.availability-zone"
TAG_PREFIX = "tag/"
"""Workload labels `tag/<key>` are the task's tags."""
CONTAINER_ARN = "com.amazonaws.ecs.container-arn"
"""A label of a container; the others are labels of the workload."""


def container_token(metadata_token: str, container: str) -> str:
    """The last path part of a container's metadata address, `http://169.254.170.2/v4/<this>`.

    As on Fargate it ends in ten digits that tell the containers of one workload apart; only the first part is secret.
    """
    return f"{metadata_token}-{zlib.crc32(container.encode()):010d}"


def metadata_uri(metadata_token: str, container: str) -> str:
    return f"http://169.254.170.2/v4/{container_token(metadata_token, container)}"


def credentials_path(path_token: str) -> str:
    """Value of AWS_CONTAINER_CREDENTIALS_RELATIVE_URI."""
    return f"/v2/credentials/{path_token}"
