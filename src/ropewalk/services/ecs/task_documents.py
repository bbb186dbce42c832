"""A task as DescribeTasks and RunTask answer it. Pure but for the names it reads.

Source: docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Task.html. Members that have no value yet are left out, as
ECS does.
"""

from __future__ import annotations

from ropewalk.services.ecs import tags
from ropewalk.services.ecs.records import Document, Task, TaskContainer
from ropewalk.services.ecs.slice import Ecs

_TIMES = (
    ("connectivity_at", "connectivityAt"),
    ("pull_started_at", "pullStartedAt"),
    ("pull_stopped_at", "pullStoppedAt"),
    ("started_at", "startedAt"),
    ("stopping_at", "stoppingAt"),
    ("execution_stopped_at", "executionStoppedAt"),
    ("stopped_at", "stoppedAt"),
)


def document(ecs: Ecs, task: Task, *, with_tags: bool = False) -> Document:
    answer: Document = {
        "attachments": [_attachment(task)],
        "attributes": [{"name": "ecs.cpu-architecture", "value": "x86_64"}],
        "availabilityZone": task.zone,
        "clusterArn": ecs.arns.cluster(task.cluster),
        "containers": [_container(ecs, task, container) for container in task.containers],
        "cpu": str(task.cpu),
        "createdAt": task.created_at,
        "desiredStatus": task.desired,
        "enableExecuteCommand": False,
        "group": task.group,
        "healthStatus": task.health,
        "inferenceAccelerators": [],
        "lastStatus": task.status,
        "memory": str(task.memory),
        "overrides": _overrides(task),
        "platformVersion": task.platform_version,
        "platformFamily": "Linux",
        "tags": tags.document(task.tags) if with_tags else [],
        "taskArn": ecs.arns.task(task.cluster, task.id),
        "taskDefinitionArn": ecs.arns.definition(task.family, task.revision),
        "version": task.version,
        "ephemeralStorage": {"sizeInGiB": task.ephemeral_gib},
        "fargateEphemeralStorage": {"sizeInGiB": task.ephemeral_gib},
    }
    answer["launchType"] = task.launch_type
    if task.capacity_provider:
        answer["capacityProviderName"] = task.capacity_provider
    if task.started_by:
        answer["startedBy"] = task.started_by
    if task.connectivity_at:
        answer["connectivity"] = "CONNECTED"
    if task.stop_code:
        answer["stopCode"] = task.stop_code
    if task.stopped_reason:
        answer["stoppedReason"] = task.stopped_reason
    for field, name in _TIMES:
        if value := getattr(task, field):
            answer[name] = value
    return answer


def _attachment(task: Task) -> Document:
    details = [{"name": "subnetId", "value": task.subnet}]
    if task.interface is not None:
        details += [
            {"name": "networkInterfaceId", "value": task.interface.id},
            {"name": "macAddress", "value": task.interface.mac},
            {"name": "privateDnsName", "value": task.interface.private_dns},
            {"name": "privateIPv4Address", "value": task.interface.address},
        ]
    return {
        "id": task.attachment,
        "type": "ElasticNetworkInterface",
        "status": task.attachment_status,
        "details": details,
    }


def _container(ecs: Ecs, task: Task, container: TaskContainer) -> Document:
    answer: Document = {
        "containerArn": ecs.arns.container(task.cluster, task.id, container.uid),
        "taskArn": ecs.arns.task(task.cluster, task.id),
        "name": container.name,
        "image": container.image,
        "lastStatus": container.status,
        "networkInterfaces": [],
        "healthStatus": container.health,
        "cpu": str(container.cpu),
    }
    if task.interface is not None:
        answer["networkInterfaces"] = [{"attachmentId": task.attachment, "privateIpv4Address": task.interface.address}]
    if container.memory:
        answer["memory"] = str(container.memory)
    if container.memory_reservation:
        answer["memoryReservation"] = str(container.memory_reservation)
    if container.runtime_id:
        answer["runtimeId"] = container.runtime_id
    if container.image_digest:
        answer["imageDigest"] = container.image_digest
    if container.exit_code is not None:
        answer["exitCode"] = container.exit_code
    if container.reason:
        answer["reason"] = container.reason
    return answer


def _overrides(task: Task) -> Document:
    """As given, with an entry for every container."""
    given = {item["name"]: item for item in task.overrides.get("containerOverrides") or ()}
    return {
        "inferenceAcceleratorOverrides": [],
        **task.overrides,
        "containerOverrides": [given.get(container.name) or {"name": container.name} for container in task.containers],
    }
