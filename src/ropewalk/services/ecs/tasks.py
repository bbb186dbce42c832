"""Tasks as callers see them: describe, list, stop. RunTask is `run_task.py`, their life `task_controller.py`.

Source: docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DescribeTasks.html and its neighbours.
"""

from __future__ import annotations

import bisect

from msgspec.structs import replace

from ropewalk.aws.operations import Call, Params
from ropewalk.services.ecs import clusters, paging, task_states
from ropewalk.services.ecs.faults import invalid, service_not_found
from ropewalk.services.ecs.index import TaskIndex
from ropewalk.services.ecs.names import task_id
from ropewalk.services.ecs.permissions import cluster_arns, definition_arns, everything, in_cluster, on, placed
from ropewalk.services.ecs.records import Document, Task, TaskHead, head_of
from ropewalk.services.ecs.slice import Ecs, operations
from ropewalk.services.ecs.task_documents import document

MOST_DESCRIBED = 100
MOST_REASON = 1024
STOPPED_BY_USER = "Task stopped by user"


def _task_arns(call: Call, params: Params) -> list[str]:
    cluster = cluster_arns(call, params)[0].rpartition("/")[2]
    names = params.get("tasks") or [params.get("task", "*")]
    return [_task_arn(call, cluster, name) for name in names]


def _task_arn(call: Call, cluster: str, name: str) -> str:
    """The long ARN: a short one (`…:task/ID`) means a task of the cluster that is asked."""
    if not name.startswith("arn:"):
        return call.arn("ecs", f"task/{cluster}/{name}")
    start, slash, rest = name.partition(":task/")
    return name if "/" in rest or not slash else f"{start}{slash}{cluster}/{rest}"


@operations.operation("DescribeTasks", resources=on(_task_arns, in_cluster))
async def describe_tasks(ecs: Ecs, call: Call, params: Params) -> Params:
    cluster = await clusters.active(ecs, params.get("cluster"))
    asked = params["tasks"]
    if not asked:
        raise invalid("Tasks cannot be empty.")
    if len(asked) > MOST_DESCRIBED:
        raise invalid(f"Tasks cannot be more than {MOST_DESCRIBED}.")
    with_tags = "TAGS" in (params.get("include") or ())
    found: list[Document] = []
    failures: list[Document] = []
    for text in asked:
        identifier = task_id(ecs.arns, cluster.name, text)
        task = None if identifier is None else await ecs.tasks.get(identifier)
        if task is None or task.cluster != cluster.name:
            arn = text if text.startswith("arn:") else ecs.arns.task(cluster.name, text)
            failures.append({"arn": arn, "reason": "MISSING"})
        else:
            found.append(document(ecs, task, with_tags=with_tags))
    return {"tasks": found, "failures": failures}


@operations.operation("StopTask", resources=on(_task_arns, in_cluster))
async def stop_task(ecs: Ecs, call: Call, params: Params) -> Params:
    """Asks for the end of a task; a task that has ended, or is about to, is answered as it is."""
    cluster = await clusters.active(ecs, params.get("cluster"))
    reason = params.get("reason") or STOPPED_BY_USER
    if len(reason) > MOST_REASON:
        raise invalid(f"reason may have at most {MOST_REASON} characters.")
    identifier = task_id(ecs.arns, cluster.name, params["task"])
    if identifier is None:
        raise invalid("The referenced task was not found.")

    def stop(task: Task) -> Task | None:
        if task.cluster != cluster.name or task.desired == "STOPPED":
            return None
        return replace(task_states.stop(task, "UserInitiated", reason, call.now), version=task.version + 1)

    task = await ecs.tasks.mutate(identifier, stop)
    if task is None or task.cluster != cluster.name:
        raise invalid("The referenced task was not found.")
    ecs.index.note(identifier, head_of(task))
    return {"task": document(ecs, task, with_tags=True)}


@operations.operation("ListTasks", resources=on(everything, in_cluster))
async def list_tasks(ecs: Ecs, call: Call, params: Params) -> Params:
    """By `desiredStatus`, RUNNING unless asked otherwise, as ECS does; newest last."""
    cluster = await clusters.active(ecs, params.get("cluster"))
    size = paging.page_size(params.get("maxResults"))
    desired = params.get("desiredStatus") or "RUNNING"
    if desired not in ("RUNNING", "PENDING", "STOPPED"):
        raise invalid(f"Invalid desiredStatus '{desired}'. Must be one of RUNNING, PENDING, STOPPED.")
    if params.get("serviceName"):
        raise service_not_found()  # no operation makes services so far
    ordered = _matching(ecs.index, cluster.name, desired, params)
    last = paging.decode("tasks", params.get("nextToken"))
    start = bisect.bisect_right(ordered, last, key=lambda pair: pair[0]) if last else 0
    page, token = paging.cut("tasks", ordered, start, size)
    arns = [ecs.arns.task(cluster.name, identifier) for identifier in page]
    return {"taskArns": arns, **({"nextToken": token} if token else {})}


def _matching(index: TaskIndex, cluster: str, desired: str, params: Params) -> list[tuple[str, str]]:
    """(position, id) of the tasks asked for. ECS never sets `desired` to PENDING: asking for it finds nothing."""
    if params.get("containerInstance") or params.get("daemonName"):
        return []  # no container instances or daemons exist so far, so no task runs on one
    wanted = [
        (name, params[parameter])
        for name, parameter in (("family", "family"), ("started_by", "startedBy"), ("launch_type", "launchType"))
        if params.get(parameter)
    ]

    def fits(head: TaskHead) -> bool:
        return head.desired == desired and all(getattr(head, name) == value for name, value in wanted)

    return sorted(
        (f"{head.created_at:017.6f}/{identifier}", identifier)
        for identifier, head in index.of_cluster(cluster)
        if fits(head)
    )


@operations.operation("StartTask", resources=on(definition_arns, placed))
async def start_task(ecs: Ecs, call: Call, params: Params) -> Params:
    """Places tasks on named container instances; there are none so far, so each is a failure, as ECS answers it."""
    await clusters.active(ecs, params.get("cluster"))
    instances = params["containerInstances"]
    if not 1 <= len(instances) <= 10:
        raise invalid("containerInstances must name 1 to 10 container instances.")
    prefix = f"{ecs.arns.prefix}container-instance/"
    arns = [name if name.startswith("arn:") else prefix + name for name in instances]
    return {"tasks": [], "failures": [{"arn": arn, "reason": "MISSING"} for arn in arns]}
