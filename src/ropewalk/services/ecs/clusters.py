"""Clusters: names that tasks run under, with settings and capacity providers.

A deleted cluster stays, INACTIVE, as on AWS; creating it again makes it ACTIVE anew. Counts come from the task index,
so describing costs nothing per task. Source: docs.aws.amazon.com/AmazonECS/latest/developerguide/clusters.html.
"""

from __future__ import annotations

import bisect
from typing import Any

import msgspec

from ropewalk.aws.operations import Call, Params
from ropewalk.base.errors import Fault
from ropewalk.services.ecs import capacity, paging, tags
from ropewalk.services.ecs.faults import cluster_not_found, invalid, not_yet_invalid
from ropewalk.services.ecs.names import DEFAULT_CLUSTER, NAME, cluster_name
from ropewalk.services.ecs.permissions import cluster_arns, cluster_providers, on
from ropewalk.services.ecs.records import Cluster, Document
from ropewalk.services.ecs.slice import Ecs, operations
from ropewalk.store.protocol import KeyExists

MOST_DESCRIBED = 100
_LAUNCH_TYPES = ("EC2", "Fargate")


async def seed(ecs: Ecs) -> None:
    """The cluster "default" exists from the first start, as in an account that has used the console once."""
    try:
        await ecs.clusters.create(DEFAULT_CLUSTER, Cluster(DEFAULT_CLUSTER, ecs.clock.wall()))
    except KeyExists:
        return


async def active(ecs: Ecs, text: str | None) -> Cluster:
    """The ACTIVE cluster that `text` names. Raises ClusterNotFoundException."""
    cluster = await ecs.clusters.get(cluster_name(ecs.arns, text))
    if cluster is None or cluster.status != "ACTIVE":
        raise cluster_not_found()
    return cluster


def document(ecs: Ecs, cluster: Cluster, include: frozenset[str]) -> Document:
    counts = ecs.index.counts(cluster.name)
    answer: Document = {
        "clusterArn": ecs.arns.cluster(cluster.name),
        "clusterName": cluster.name,
        "status": cluster.status,
        "registeredContainerInstancesCount": 0,
        "runningTasksCount": counts.running,
        "pendingTasksCount": counts.pending,
        "activeServicesCount": 0,
        "statistics": [],
        "tags": [],
        "settings": [],
        "capacityProviders": list(cluster.providers),
        "defaultCapacityProviderStrategy": capacity.document(cluster.strategy),
    }
    if "STATISTICS" in include:
        values = {"runningFargateTasksCount": counts.running, "pendingFargateTasksCount": counts.pending}
        answer["statistics"] = [
            {"name": name, "value": str(values.get(name, 0))}
            for verb, what in (
                ("running", "Tasks"),
                ("pending", "Tasks"),
                ("active", "Service"),
                ("draining", "Service"),
            )
            for name in (f"{verb}{launch}{what}Count" for launch in _LAUNCH_TYPES)
        ]
    if "TAGS" in include:
        answer["tags"] = tags.document(cluster.tags)
    if "SETTINGS" in include:
        answer["settings"] = [{"name": name, "value": value} for name, value in cluster.settings]
    if "ATTACHMENTS" in include:
        answer["attachments"] = []
    return answer


_CREATED = frozenset({"TAGS", "SETTINGS"})


def _settings(given: list[dict[str, Any]] | None, old: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    result = dict(old)
    for setting in given or ():
        name, value = setting.get("name"), setting.get("value")
        if name != "containerInsights":
            raise invalid(f"Invalid setting name '{name}'. Must be containerInsights.")
        if value not in ("enabled", "enhanced", "disabled"):
            raise invalid(f"Invalid value '{value}' of containerInsights. Must be one of enabled, enhanced, disabled.")
        if value != "disabled":
            raise not_yet_invalid(f"containerInsights={value}", "There are no CloudWatch metrics so far; use disabled.")
        result[name] = value
    return tuple(result.items())


def _refuse(params: Params) -> None:
    """What a cluster cannot be configured to yet."""
    configuration = params.get("configuration") or {}
    if configuration.get("executeCommandConfiguration"):
        raise not_yet_invalid("configuration.executeCommandConfiguration", "ECS Exec does not work so far; remove it.")
    if configuration.get("managedStorageConfiguration"):
        raise not_yet_invalid("configuration.managedStorageConfiguration", "There are no KMS keys so far; remove it.")
    if params.get("serviceConnectDefaults"):
        raise not_yet_invalid("serviceConnectDefaults", "There are no Cloud Map namespaces so far; remove it.")


@operations.operation("CreateCluster", resources=on(cluster_arns, cluster_providers))
async def create_cluster(ecs: Ecs, call: Call, params: Params) -> Params:
    """Idempotent: the same request again answers the same cluster."""
    name = params.get("clusterName") or DEFAULT_CLUSTER
    if not NAME.match(name):
        raise invalid(
            "Cluster name contains invalid characters: use at most 255 letters, digits, hyphens, underscores."
        )
    _refuse(params)
    providers = capacity.check_providers(params.get("capacityProviders") or ())
    wanted = Cluster(
        name=name,
        created_at=call.now,
        settings=_settings(params.get("settings"), Cluster(name, 0).settings),
        providers=providers,
        strategy=capacity.parse(params.get("defaultCapacityProviderStrategy") or (), providers),
        tags=tags.parse(params.get("tags")),
    )
    while True:
        found = await ecs.clusters.find(name)
        if found is None:
            try:
                await ecs.clusters.create(name, wanted)
            except KeyExists:
                continue
            return {"cluster": document(ecs, wanted, _CREATED)}
        if found.record.status == "ACTIVE":
            _check_same(found.record, wanted, params)
            return {"cluster": document(ecs, found.record, _CREATED)}
        await ecs.clusters.mutate(name, lambda old: wanted if old.status != "ACTIVE" else None)


def _check_same(old: Cluster, wanted: Cluster, params: Params) -> None:
    same = (
        ("capacityProviders" not in params or old.providers == wanted.providers)
        and ("defaultCapacityProviderStrategy" not in params or old.strategy == wanted.strategy)
        and ("settings" not in params or old.settings == wanted.settings)
        and ("tags" not in params or dict(old.tags) == dict(wanted.tags))
    )
    if not same:
        raise invalid(
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s)."
        )


def _described(call: Call, params: Params) -> list[str]:
    names = params.get("clusters") or [DEFAULT_CLUSTER]
    return [text if text.startswith("arn:") else call.arn("ecs", f"cluster/{text}") for text in names]


@operations.operation("DescribeClusters", resources=on(_described))
async def describe_clusters(ecs: Ecs, call: Call, params: Params) -> Params:
    asked = params.get("clusters") or [DEFAULT_CLUSTER]
    if len(asked) > MOST_DESCRIBED:
        raise invalid(f"Clusters cannot be more than {MOST_DESCRIBED}.")
    include = frozenset(params.get("include") or ())
    found: list[Document] = []
    failures: list[Document] = []
    for text in asked:
        name = cluster_name(ecs.arns, text)
        cluster = await ecs.clusters.get(name)
        if cluster is None:
            failures.append({"arn": ecs.arns.cluster(name), "reason": "MISSING"})
        else:
            found.append(document(ecs, cluster, include))
    return {"clusters": found, "failures": failures}


@operations.operation("ListClusters")
async def list_clusters(ecs: Ecs, call: Call, params: Params) -> Params:
    size = paging.page_size(params.get("maxResults"))
    ordered = [
        (item.key, ecs.arns.cluster(item.key)) for item in await ecs.clusters.list() if item.record.status == "ACTIVE"
    ]
    last = paging.decode("clusters", params.get("nextToken"))
    start = bisect.bisect_right(ordered, last, key=lambda pair: pair[0]) if last else 0
    arns, token = paging.cut("clusters", ordered, start, size)
    return {"clusterArns": arns, **({"nextToken": token} if token else {})}


@operations.operation("DeleteCluster", resources=on(cluster_arns))
async def delete_cluster(ecs: Ecs, call: Call, params: Params) -> Params:
    name = cluster_name(ecs.arns, params["cluster"])

    def delete(cluster: Cluster) -> Cluster | None:
        if cluster.status != "ACTIVE":
            return None
        if ecs.index.counts(name).active:
            raise _contains_tasks()
        return msgspec.structs.replace(cluster, status="INACTIVE")

    cluster = await ecs.clusters.mutate(name, delete)
    if cluster is None:
        raise cluster_not_found()
    if ecs.index.counts(name).active:  # a RunTask came in between: it may have seen the cluster ACTIVE
        await ecs.clusters.mutate(name, lambda old: msgspec.structs.replace(old, status="ACTIVE"))
        raise _contains_tasks()
    return {"cluster": document(ecs, cluster, frozenset())}


def _contains_tasks() -> Fault:
    return Fault("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")


async def _change(ecs: Ecs, text: str, **fields: Any) -> Cluster:
    name = cluster_name(ecs.arns, text)

    def change(cluster: Cluster) -> Cluster | None:
        return msgspec.structs.replace(cluster, **fields) if cluster.status == "ACTIVE" else None

    cluster = await ecs.clusters.mutate(name, change)
    if cluster is None or cluster.status != "ACTIVE":
        raise cluster_not_found()
    return cluster


@operations.operation("UpdateCluster", resources=on(cluster_arns))
async def update_cluster(ecs: Ecs, call: Call, params: Params) -> Params:
    _refuse(params)
    cluster = await active(ecs, params["cluster"])
    cluster = await _change(ecs, cluster.name, settings=_settings(params.get("settings"), cluster.settings))
    return {"cluster": document(ecs, cluster, _CREATED)}


@operations.operation("UpdateClusterSettings", resources=on(cluster_arns))
async def update_cluster_settings(ecs: Ecs, call: Call, params: Params) -> Params:
    cluster = await active(ecs, params["cluster"])
    cluster = await _change(ecs, cluster.name, settings=_settings(params["settings"], cluster.settings))
    return {"cluster": document(ecs, cluster, _CREATED)}


@operations.operation("PutClusterCapacityProviders", resources=on(cluster_arns, cluster_providers))
async def put_cluster_capacity_providers(ecs: Ecs, call: Call, params: Params) -> Params:
    providers = capacity.check_providers(params["capacityProviders"])
    strategy = capacity.parse(params["defaultCapacityProviderStrategy"], providers)
    cluster = await _change(ecs, params["cluster"], providers=providers, strategy=strategy)
    return {"cluster": document(ecs, cluster, _CREATED)}


@operations.operation("DescribeCapacityProviders")
async def describe_capacity_providers(ecs: Ecs, call: Call, params: Params) -> Params:
    """Fargate's two, which every account has."""
    paging.page_size(params.get("maxResults"), 10)
    paging.decode("capacity-providers", params.get("nextToken"))
    if params.get("cluster"):
        await active(ecs, params["cluster"])
    asked = [text.rpartition("/")[2] for text in params.get("capacityProviders") or capacity.FARGATE_PROVIDERS]
    return {
        "capacityProviders": [
            {
                "capacityProviderArn": ecs.arns.capacity_provider(name),
                "name": name,
                "status": "ACTIVE",
                "type": name,
                "tags": [],
            }
            for name in asked
            if name in capacity.FARGATE_PROVIDERS
        ],
        "failures": [
            {"arn": ecs.arns.capacity_provider(name), "reason": "MISSING"}
            for name in asked
            if name not in capacity.FARGATE_PROVIDERS
        ],
    }
