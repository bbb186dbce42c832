"""What policies are told of ECS's resources: their ARNs, their tags, and the condition keys of each operation.

An ARN is what says whose tags are told, so that every operation tells them alike. Nothing is refused here: what is not
there, or is no name at all, has no tags, and the handler words the refusal once the caller may ask.

Keys: docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ropewalk.aws.operations import Call, Params, Resources, Touched
from ropewalk.aws.resource_tags import resource_tags
from ropewalk.base.errors import Fault
from ropewalk.services.ecs.names import DEFAULT_CLUSTER, cluster_name, definition_name, task_id
from ropewalk.services.ecs.records import Cluster, definition_key
from ropewalk.services.ecs.sizes import parse_cpu, parse_memory
from ropewalk.services.ecs.slice import Ecs
from ropewalk.services.ecs.tags import Tags

Arns = Callable[[Call, Params], Iterable[str]]
Conditions = Callable[[Call, Params], Mapping[str, Sequence[str]]]


def nothing_more(call: Call, params: Params) -> Mapping[str, Sequence[str]]:
    return {}


def on(arns: Arns, conditions: Conditions = nothing_more) -> Resources[Ecs]:
    """Operations on the resources that a request names by `arns`; a family of task definitions is its latest one."""

    async def resources(ecs: Ecs, call: Call, params: Params) -> list[Touched]:
        told = conditions(call, params)
        return [await touched(ecs, arn, told) for arn in arns(call, params)]

    return resources


async def touched(ecs: Ecs, arn: str, conditions: Mapping[str, Sequence[str]]) -> Touched:
    """The resource with what is told of it: its tags beside `conditions`."""
    arn = latest(ecs, arn)
    return Touched(arn, {**resource_tags(await _tags_of(ecs, arn), "ecs"), **conditions})


def latest(ecs: Ecs, arn: str) -> str:
    """A family's ARN as that of its latest ACTIVE revision, `…:*` where it has none; any other ARN as it is."""
    start, slash, name = arn.partition(":task-definition/")
    if not slash or ":" in name:
        return arn
    return f"{start}{slash}{name}:{ecs.catalogue.latest_active(name) or '*'}"


async def _tags_of(ecs: Ecs, arn: str) -> Tags:
    try:
        return await _tags(ecs, arn, arn.split(":", 5)[-1].partition("/")[0])
    except Fault:
        return ()


async def _tags(ecs: Ecs, arn: str, kind: str) -> Tags:
    if kind == "cluster":
        cluster = await existing_cluster(ecs, {"cluster": arn})
        return cluster.tags if cluster is not None else ()
    if kind == "task":
        owner = ecs.arns.strip(arn, "task").rpartition("/")[0]
        identifier = task_id(ecs.arns, owner, arn)
        task = await ecs.tasks.get(identifier) if identifier is not None else None
        return task.tags if task is not None and task.cluster == owner else ()
    if kind == "task-definition":
        family, revision = definition_name(ecs.arns, arn) or ("", None)
        definition = await ecs.definitions.get(definition_key(family, revision)) if revision is not None else None
        return definition.tags if definition is not None else ()
    return ()


async def existing_cluster(ecs: Ecs, params: Params) -> Cluster | None:
    """The cluster that a request names, None where it can name none."""
    try:
        return await ecs.clusters.get(cluster_name(ecs.arns, params.get("cluster")))
    except Fault:
        return None


def cluster_arns(call: Call, params: Params) -> list[str]:
    """The cluster that a request names."""
    text = params.get("cluster") or params.get("clusterName") or DEFAULT_CLUSTER
    return [text if text.startswith("arn:") else call.arn("ecs", f"cluster/{text}")]


def in_cluster(call: Call, params: Params) -> dict[str, Sequence[str]]:
    return {"ecs:cluster": cluster_arns(call, params)}


def cluster_providers(call: Call, params: Params) -> dict[str, Sequence[str]]:
    return _providers(call, params.get("capacityProviders") or ())


def _providers(call: Call, names: Iterable[str]) -> dict[str, Sequence[str]]:
    arns = [name if name.startswith("arn:") else call.arn("ecs", f"capacity-provider/{name}") for name in names]
    return {"ecs:capacity-provider": arns} if arns else {}


def definition_arn(call: Call, text: str) -> str:
    return text if text.startswith("arn:") else call.arn("ecs", f"task-definition/{text}")


def definition_arns(call: Call, params: Params) -> list[str]:
    """The task definitions that a request names, one or several."""
    names = params.get("taskDefinitions") or [params.get("taskDefinition", "*")]
    return [definition_arn(call, text) for text in names]


def registered(call: Call, params: Params) -> dict[str, Sequence[str]]:
    """Of RegisterTaskDefinition."""
    privileged = any(container.get("privileged") for container in params.get("containerDefinitions") or ())
    told: dict[str, Sequence[str]] = {
        **_size(params.get("cpu"), params.get("memory")),
        "ecs:privileged": (_spelled(privileged),),
    }
    if compatibilities := params.get("requiresCompatibilities"):
        told["ecs:compute-compatibility"] = tuple(compatibilities)
    return told


def started(call: Call, params: Params, cluster: Cluster | None) -> dict[str, Sequence[str]]:
    """Of RunTask. Without launch type or strategy the cluster's own strategy is what the task will follow."""
    strategy = [item["capacityProvider"] for item in params.get("capacityProviderStrategy") or ()]
    if cluster is not None and not strategy and not params.get("launchType"):
        strategy = [item.provider for item in cluster.strategy]
    return {
        **in_cluster(call, params),
        **_providers(call, strategy),
        "ecs:enable-ebs-volumes": (_spelled(params.get("volumeConfigurations")),),
        "ecs:enable-execute-command": (_spelled(params.get("enableExecuteCommand")),),
    }


def placed(call: Call, params: Params) -> dict[str, Sequence[str]]:
    """Of StartTask."""
    prefix = call.arn("ecs", "container-instance/")
    names = params.get("containerInstances") or ()
    return {
        **started(call, params, None),
        "ecs:container-instances": [name if name.startswith("arn:") else prefix + name for name in names],
    }


def account_setting(call: Call, params: Params) -> dict[str, Sequence[str]]:
    return {"ecs:account-setting": (str(params.get("name")),)}


def everything(call: Call, params: Params) -> list[str]:
    """For operations that IAM knows conditions of, but no resource."""
    return ["*"]


def _spelled(given: object) -> str:
    return "true" if given else "false"


def _size(cpu: str | None, memory: str | None) -> dict[str, Sequence[str]]:
    """CPU units and MiB in digits; nothing where there is no such size."""
    told: dict[str, Sequence[str]] = {}
    for key, text, parse in (("ecs:task-cpu", cpu, parse_cpu), ("ecs:task-memory", memory, parse_memory)):
        try:
            if text:
                told[key] = (str(parse(text)),)
        except Fault:
            continue
    return told
