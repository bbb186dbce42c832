"""RunTask: from a request to task records, each PROVISIONING on a host with room. One durable write a task.

The handler decides everything that a caller may be refused for; what then happens to a task is `task_controller.py`'s.
A client token is honoured through the task records themselves: they carry it, so that a repeated request finds its
tasks, and completes them if a crash came between two.
"""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from ropewalk.aws.operations import Call, Params, handler_asks
from ropewalk.aws.request_tags import request_tags
from ropewalk.base.errors import Fault
from ropewalk.services.ecs import clusters, run_request, task_definitions, task_network
from ropewalk.services.ecs.faults import client, invalid
from ropewalk.services.ecs.permissions import definition_arn, existing_cluster, started, touched
from ropewalk.services.ecs.placement import Choice, Room
from ropewalk.services.ecs.records import Cluster, Document, Task, TaskDefinition, head_of
from ropewalk.services.ecs.slice import Ecs, operations
from ropewalk.services.ecs.task_documents import document

NO_CAPACITY = "Capacity is unavailable at this time. Please try again later or in a different availability zone"


@operations.operation("RunTask", resources=handler_asks)
async def run_task(ecs: Ecs, call: Call, params: Params) -> Params:
    """https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html

    A family alone is looked up once: what the policies are asked about is what runs, whoever registers meanwhile.
    """
    found = await task_definitions.find(ecs, params["taskDefinition"])
    await _require(ecs, call, params, found)
    run_request.check(params)
    cluster = await clusters.active(ecs, params.get("cluster"))
    if not (token := params.get("clientToken")):
        return await _run(ecs, call, params, cluster, _usable(found), {}, "")
    async with ecs.client_tokens.hold((cluster.name, token)):
        digest = run_request.digest(params)
        made = await _already(ecs, cluster.name, token, digest)
        if made and len(made) == made[min(made)].token_count:
            return _answer(ecs, list(made.values()), (params.get("count") or 1) - len(made))
        return await _run(ecs, call, params, cluster, _usable(found), made, digest)


async def _require(ecs: Ecs, call: Call, params: Params, found: TaskDefinition | None) -> None:
    """Raises AccessDenied unless the caller may start this very revision, so."""
    if call.principal.unlimited:
        return
    if found is None:
        arn = definition_arn(call, params["taskDefinition"])
    else:
        arn = ecs.arns.definition(found.family, found.revision)
    conditions = started(call, params, await existing_cluster(ecs, params))
    asked = await touched(ecs, arn, {**request_tags(params), **conditions})
    await call.require("ecs:RunTask", asked.arn, asked.conditions)


async def _run(
    ecs: Ecs,
    call: Call,
    params: Params,
    cluster: Cluster,
    definition: TaskDefinition,
    made: dict[int, Task],
    digest: str,
) -> Params:
    """Make the tasks of the request that `made` lacks."""
    launch = run_request.launch(params, cluster)
    shape = run_request.shape(definition.document, params, ecs.settings.account, ecs.settings.fargate_limits)
    given_tags = run_request.task_tags(params, definition.tags, cluster.name)
    network = await task_network.resolve(
        ecs.network, params.get("networkConfiguration"), definition.document.get("networkMode") or "bridge"
    )
    await task_definitions.require_pass_role(call, shape.task_role, shape.execution_role)
    await _check_roles(ecs, shape.task_role, shape.execution_role)
    group = params.get("group") or f"family:{definition.family}"
    providers = launch.providers
    choices = _place(ecs, cluster.name, group, network, shape, [i for i in range(len(providers)) if i not in made])
    tasks = [
        Task(
            id=ecs.entropy.hex(32),
            cluster=cluster.name,
            family=definition.family,
            revision=definition.revision,
            created_at=call.now,
            group=group,
            launch_type="FARGATE",
            platform_version=launch.platform_version,
            cpu=shape.cpu,
            memory=shape.memory,
            ephemeral_gib=shape.ephemeral_gib,
            machine=choice.machine,
            subnet=choice.subnet.spec.id,
            zone=choice.subnet.spec.zone,
            security_groups=network.groups,
            attachment=ecs.entropy.uuid(),
            containers=tuple(replace(container, uid=ecs.entropy.uuid()) for container in shape.containers),
            task_role=shape.task_role,
            execution_role=shape.execution_role,
            metadata_token=ecs.entropy.token(),
            credentials_token=ecs.entropy.token() if shape.task_role else "",
            capacity_provider=providers[place],
            started_by=params.get("startedBy") or "",
            overrides=shape.overrides,
            tags=given_tags,
            token=params.get("clientToken") or "",
            token_digest=digest,
            token_index=place,
            token_count=len(choices) + len(made) if digest else 0,
        )
        for place, choice in choices.items()
    ]
    await _create(ecs, cluster.name, tasks)
    return _answer(ecs, [*made.values(), *tasks], len(providers) - len(made) - len(tasks))


async def _already(ecs: Ecs, cluster: str, token: str, digest: str) -> dict[int, Task]:
    """Tasks that this very request has made before. Raises ConflictException for another with the same token."""
    made: dict[int, Task] = {}
    for place, identifier in sorted(ecs.index.with_token(cluster, token).items()):
        task = await ecs.tasks.get(identifier)
        if task is None:
            continue
        if task.token_digest != digest:
            raise Fault(
                "ConflictException",
                "The RunTask request could not be processed due to conflicts: the clientToken was used before with "
                "other parameters. Use a new clientToken.",
                members={"resourceIds": [ecs.arns.task(cluster, identifier)]},
            )
        made[place] = task
    return made


def _usable(definition: TaskDefinition | None) -> TaskDefinition:
    """Raises where there is none, or none that may still run on Fargate."""
    if definition is None:
        raise client("TaskDefinition not found.")
    if definition.status != "ACTIVE":
        raise client("TaskDefinition is inactive")
    if "FARGATE" not in definition.document["compatibilities"]:
        raise invalid("Task definition does not support launch_type FARGATE.")
    return definition


async def _check_roles(ecs: Ecs, *roles: str) -> None:
    for role in dict.fromkeys(roles):
        if role and not await ecs.roles.trusts(role, "ecs-tasks.amazonaws.com", f"{ecs.arns.prefix}*"):
            raise client(
                f"ECS was unable to assume the role '{role}' that was provided for this task. Please verify that the "
                "role being passed has the proper trust relationship and permissions and that your IAM user has "
                "permissions to pass this role."
            )


def _place(
    ecs: Ecs,
    cluster: str,
    group: str,
    network: task_network.TaskNetwork,
    shape: run_request.Shape,
    places: list[int],
) -> dict[int, Choice]:
    """Hosts for as many of the tasks as there is room for. Nothing awaits between this and the first note."""
    machines = (facts for _, facts in ecs.machines.items() if ecs.connected(facts.machine))
    room = Room(machines, network.subnets, ecs.index)
    if len(network.subnets) > 1:
        for (zone, subnet), tasks in ecs.index.spread(cluster, group).items():
            room.count(zone, subnet, tasks)
    choices: dict[int, Choice] = {}
    for place in places:
        choice = room.place(shape.cpu, shape.memory)
        if choice is None:
            break
        choices[place] = choice
    return choices


async def _create(ecs: Ecs, cluster: str, tasks: list[Task]) -> None:
    """Write the tasks. Room is taken before the first write, and given back by those that could not be written.

    The cluster is looked at again once its count has risen, as DeleteCluster counts again once it has written: of the
    two at least one sees the other.
    """
    for task in tasks:
        ecs.index.note(task.id, head_of(task))
    try:
        await clusters.active(ecs, cluster)
    except Fault:
        for task in tasks:
            ecs.index.note(task.id, None)
        raise
    writes = [_write(ecs, task) for task in tasks]
    if len(writes) == 1:
        await writes[0]
        return
    failures = [result for result in await asyncio.gather(*writes, return_exceptions=True) if result is not None]
    if failures:
        raise failures[0]


async def _write(ecs: Ecs, task: Task) -> None:
    try:
        await ecs.tasks.create(task.id, task)
    except BaseException:
        ecs.index.note(task.id, None)
        raise


def _answer(ecs: Ecs, tasks: list[Task], unplaced: int) -> Params:
    ordered = sorted(tasks, key=lambda task: task.token_index)
    failures: list[Document] = [{"reason": NO_CAPACITY}] * unplaced
    return {"tasks": [document(ecs, task, with_tags=True) for task in ordered], "failures": failures}
