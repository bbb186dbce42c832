"""The flow schemas and priority levels that a server comes with: those it cannot do without, and those it suggests.
https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#defaults
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ropewalk.kube.kinds.checks import same
from ropewalk.kube.machinery.objects import Object, annotations_of, copied, metadata, name_of

AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"
API_VERSION = "flowcontrol.apiserver.k8s.io/v1"
ALL = ["*"]


def _object(kind: str, name: str, spec: Object) -> Object:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "annotations": {AUTO_UPDATE: "true"}},
        "spec": spec,
    }


def _level(name: str, shares: int, lendable: int, queues: int, hand: int) -> Object:
    queuing = {"queues": queues, "handSize": hand, "queueLengthLimit": 50}
    limited = {
        "nominalConcurrencyShares": shares,
        "lendablePercent": lendable,
        "limitResponse": {"type": "Queue", "queuing": queuing} if queues else {"type": "Reject"},
    }
    return _object("PriorityLevelConfiguration", name, {"type": "Limited", "limited": limited})


def _groups(*names: str) -> list[Object]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


def _users(*names: str) -> list[Object]:
    return [{"kind": "User", "user": {"name": name}} for name in names]


KUBE_SYSTEM: list[Object] = [{"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": "kube-system"}}]
EVERYONE = _groups("system:unauthenticated", "system:authenticated")


def _resources(verbs: list[str], group: str, resources: list[str], *, cluster: bool) -> Object:
    rule: Object = {"verbs": verbs, "apiGroups": [group], "resources": resources, "namespaces": ALL}
    return {**rule, "clusterScope": True} if cluster else rule


def _schema(
    name: str,
    level: str,
    precedence: int,
    told_apart: str,
    subjects: list[Object],
    resources: list[Object] | None = None,
    urls: Object | None = None,
) -> Object:
    """With neither rules for resources nor for URLs it is about everything."""
    rule: Object = {"subjects": subjects}
    if resources is None and urls is None:
        resources = [_resources(ALL, "*", ALL, cluster=True)]
        urls = {"verbs": ALL, "nonResourceURLs": ALL}
    if resources is not None:
        rule["resourceRules"] = resources
    if urls is not None:
        rule["nonResourceRules"] = [urls]
    spec: Object = {"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence, "rules": [rule]}
    if told_apart:
        spec["distinguisherMethod"] = {"type": told_apart}
    return _object("FlowSchema", name, copied(spec))


MANDATORY_LEVELS = (
    _level("catch-all", 5, 0, 0, 0),
    _object(
        "PriorityLevelConfiguration",
        "exempt",
        {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
    ),
)
SUGGESTED_LEVELS = (
    _level("system", 30, 33, 64, 6),
    _level("node-high", 40, 25, 64, 6),
    _level("leader-election", 10, 0, 16, 4),
    _level("workload-high", 40, 50, 128, 6),
    _level("workload-low", 100, 90, 128, 6),
    _level("global-default", 20, 50, 128, 6),
)
MANDATORY_SCHEMAS = (
    _schema("exempt", "exempt", 1, "", _groups("system:masters")),
    _schema("catch-all", "catch-all", 10000, "ByUser", EVERYONE),
)
LEASES = _resources(["get", "create", "update"], "coordination.k8s.io", ["leases"], cluster=False)
SUGGESTED_SCHEMAS = (
    _schema("system-nodes", "system", 500, "ByUser", _groups("system:nodes")),
    _schema(
        "system-node-high",
        "node-high",
        400,
        "ByUser",
        _groups("system:nodes"),
        [
            _resources(ALL, "", ["nodes", "nodes/status"], cluster=True),
            _resources(ALL, "coordination.k8s.io", ["leases"], cluster=False),
        ],
    ),
    _schema(
        "probes",
        "exempt",
        2,
        "",
        EVERYONE,
        urls={"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]},
    ),
    _schema(
        "system-leader-election",
        "leader-election",
        100,
        "ByUser",
        [*_users("system:kube-controller-manager", "system:kube-scheduler"), *KUBE_SYSTEM],
        [LEASES],
    ),
    _schema("kube-controller-manager", "workload-high", 800, "ByNamespace", _users("system:kube-controller-manager")),
    _schema("kube-scheduler", "workload-high", 800, "ByNamespace", _users("system:kube-scheduler")),
    _schema("kube-system-service-accounts", "workload-high", 900, "ByNamespace", KUBE_SYSTEM),
    _schema("service-accounts", "workload-low", 9000, "ByUser", _groups("system:serviceaccounts")),
    _schema("global-default", "global-default", 9900, "ByUser", EVERYONE),
)
MANDATORY_SPECS: dict[tuple[str, str], Object] = {
    (obj["kind"], name_of(obj)): obj["spec"] for obj in (*MANDATORY_LEVELS, *MANDATORY_SCHEMAS)
}
"""(kind, name) → the only spec that it may have."""


@dataclass(frozen=True, slots=True)
class Changes:
    create: tuple[Object, ...] = ()
    update: tuple[Object, ...] = ()
    delete: tuple[str, ...] = ()
    """Names of what earlier versions suggested and this one does not."""


def reconcile(mandatory: Iterable[Object], suggested: Iterable[Object], present: Mapping[str, Object]) -> Changes:
    """What to write so that the objects of one kind are as they should be; `present` by name. A suggested object whose
    annotation says false (or which was edited and has none) is the administrator's own. Mandatory levels come first.
    """
    create, update, wanted = [], [], set()
    for always, objects in ((True, mandatory), (False, suggested)):
        for desired in objects:
            name = name_of(desired)
            wanted.add(name)
            if name not in present:
                create.append(copied(desired))
                continue
            revised = _revised(desired, present[name], always=always)
            if revised is not None:
                update.append(revised)
    gone = [
        name for name, obj in present.items() if name not in wanted and annotations_of(obj).get(AUTO_UPDATE) == "true"
    ]
    return Changes(tuple(create), tuple(update), tuple(gone))


def _revised(desired: Object, present: Object, *, always: bool) -> Object | None:
    told = {"true": True, "false": False}.get(annotations_of(present).get(AUTO_UPDATE, ""))
    ours = always or (metadata(present).get("generation") == 1 if told is None else told)
    changed = ours and not _same_spec(desired, present)
    if told is ours and not changed:
        return None
    revised: Object = copied(present)
    if changed:
        revised["spec"] = copied(desired["spec"])
    revised["metadata"]["annotations"] = {**annotations_of(present), AUTO_UPDATE: "true" if ours else "false"}
    return revised


def _same_spec(desired: Object, present: Object) -> bool:
    """The shares of the exempt level are the administrator's."""
    left, right = desired["spec"], present.get("spec") or {}
    if left.get("type") == "Exempt":
        return same({**left, "exempt": None}, {**right, "exempt": None})
    return same(left, right)
