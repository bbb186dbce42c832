"""TagResource, UntagResource, ListTagsForResource: for clusters, task definitions and tasks, by ARN.

Source: docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TagResource.html.
"""

from __future__ import annotations

from msgspec.structs import replace

from ropewalk.aws.operations import Call, Params
from ropewalk.base.errors import Fault
from ropewalk.services.ecs import tags
from ropewalk.services.ecs.faults import cluster_not_found, invalid
from ropewalk.services.ecs.names import cluster_name, definition_name
from ropewalk.services.ecs.permissions import on
from ropewalk.services.ecs.records import Cluster, Task, TaskDefinition, definition_key
from ropewalk.services.ecs.slice import Ecs, operations
from ropewalk.services.ecs.tags import Change, Tags

_MISSING = "The specified {kind} could not be found. Specify a valid ARN and try again."


async def _apply(ecs: Ecs, arn: str, change: Change) -> Tags:
    """Change the tags of what `arn` names (`lambda old: old` only reads). Answers them as they then are."""
    if not arn.startswith("arn:"):
        raise invalid("The specified ARN is invalid. Specify a valid ARN and try again.")
    kind = arn.split(":", 5)[-1].partition("/")[0]
    if kind == "cluster":
        name = cluster_name(ecs.arns, arn)
        cluster = await ecs.clusters.mutate(name, lambda old: _changed_cluster(old, change))
        if cluster is None or cluster.status != "ACTIVE":
            raise cluster_not_found()
        return cluster.tags
    if kind == "task-definition":
        named = definition_name(ecs.arns, arn)
        if named is None or named[1] is None:
            raise invalid("The specified ARN is invalid: it must name a revision. Specify a valid ARN and try again.")
        definition = await ecs.definitions.mutate(
            definition_key(named[0], named[1]), lambda old: _changed_definition(old, change)
        )
        if definition is None:
            raise _not_found("task definition")
        return definition.tags
    if kind == "task":
        cluster_of, _, identifier = ecs.arns.strip(arn, "task").rpartition("/")
        task = await ecs.tasks.mutate(identifier, lambda old: _changed_task(old, cluster_of, change))
        if task is None or task.cluster != cluster_of:
            raise _not_found("task")
        return task.tags
    raise invalid(f"Resources of type '{kind}' cannot be tagged so far: clusters, task definitions and tasks can.")


def _not_found(kind: str) -> Fault:
    return Fault("ResourceNotFoundException", _MISSING.format(kind=kind))


def _changed_cluster(old: Cluster, change: Change) -> Cluster | None:
    return replace(old, tags=change(old.tags)) if old.status == "ACTIVE" else None


def _changed_definition(old: TaskDefinition, change: Change) -> TaskDefinition:
    return replace(old, tags=change(old.tags))


def _changed_task(old: Task, cluster: str, change: Change) -> Task | None:
    return replace(old, tags=change(old.tags)) if old.cluster == cluster else None


def _resource(call: Call, params: Params) -> list[str]:
    return [params["resourceArn"]]


@operations.operation("TagResource", resources=on(_resource))
async def tag_resource(ecs: Ecs, call: Call, params: Params) -> Params:
    new = tags.parse(params["tags"])
    await _apply(ecs, params["resourceArn"], lambda old: tags.merged(old, new))
    return {}


@operations.operation("UntagResource", resources=on(_resource))
async def untag_resource(ecs: Ecs, call: Call, params: Params) -> Params:
    keys = params["tagKeys"]
    await _apply(ecs, params["resourceArn"], lambda old: tags.without(old, keys))
    return {}


@operations.operation("ListTagsForResource", resources=on(_resource))
async def list_tags_for_resource(ecs: Ecs, call: Call, params: Params) -> Params:
    found = await _apply(ecs, params["resourceArn"], lambda old: old)
    return {"tags": tags.document(found)}
