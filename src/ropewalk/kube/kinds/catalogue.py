"""Every built-in kind as it is served: the table's names, the definitions' shapes, the kinds' strategies."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from ropewalk.kube.kinds.autoscaling.conversion import to_v1, to_v2
from ropewalk.kube.kinds.converted import converted
from ropewalk.kube.kinds.core.component_statuses import DEPRECATION as OF_COMPONENT_STATUSES
from ropewalk.kube.kinds.core.component_statuses import component_statuses
from ropewalk.kube.kinds.core.endpoints import DEPRECATION as OF_ENDPOINTS
from ropewalk.kube.kinds.definitions import Definitions
from ropewalk.kube.kinds.events.conversion import from_core, to_core
from ropewalk.kube.kinds.table import RESOURCES
from ropewalk.kube.machinery import decoding
from ropewalk.kube.machinery.registry.served import Served, head_of
from ropewalk.kube.machinery.resources import GroupResource, ResourceInfo
from ropewalk.kube.machinery.strategy import Strategy

PACKAGES = {
    "": "ropewalk.kube.kinds.core",
    "admissionregistration.k8s.io": "ropewalk.kube.kinds.admissionregistration",
    "apiregistration.k8s.io": "ropewalk.kube.kinds.apiregistration",
    "apps": "ropewalk.kube.kinds.apps",
    "authentication.k8s.io": "ropewalk.kube.kinds.authentication",
    "authorization.k8s.io": "ropewalk.kube.kinds.authorization",
    "autoscaling": "ropewalk.kube.kinds.autoscaling",
    "batch": "ropewalk.kube.kinds.batch",
    "certificates.k8s.io": "ropewalk.kube.kinds.certificates",
    "coordination.k8s.io": "ropewalk.kube.kinds.coordination",
    "discovery.k8s.io": "ropewalk.kube.kinds.discovery",
    "events.k8s.io": "ropewalk.kube.kinds.events",
    "flowcontrol.apiserver.k8s.io": "ropewalk.kube.kinds.flowcontrol",
    "networking.k8s.io": "ropewalk.kube.kinds.networking",
    "node.k8s.io": "ropewalk.kube.kinds.node",
    "policy": "ropewalk.kube.kinds.policy",
    "rbac.authorization.k8s.io": "ropewalk.kube.kinds.rbac",
    "resource.k8s.io": "ropewalk.kube.kinds.resource",
    "scheduling.k8s.io": "ropewalk.kube.kinds.scheduling",
    "storage.k8s.io": "ropewalk.kube.kinds.storage",
}
"""Group → the package that has its strategies."""

_DEPRECATED = {
    ("", "v1", "componentstatuses"): OF_COMPONENT_STATUSES,
    ("", "v1", "endpoints"): OF_ENDPOINTS,
}
"""(group, version, plural) → what every request is warned of."""

Strategies = Mapping[GroupResource, Strategy]


def plain_strategies() -> dict[GroupResource, Strategy]:
    """Of every kind that needs nothing from outside."""
    found: dict[GroupResource, Strategy] = {}
    for group, package in PACKAGES.items():
        module = importlib.import_module(package)
        for plural, strategy in module.STRATEGIES.items():
            found[GroupResource(group, plural)] = strategy
    return found


def catalogue(definitions: Definitions, strategies: Strategies) -> Iterator[Served]:
    """What the server serves from the start, in discovery's order."""
    infos = {(info.group, info.version, info.plural): info for info in RESOURCES}
    core_events = infos["", "v1", "events"]
    autoscalers = infos["autoscaling", "v2", "horizontalpodautoscalers"]
    for info in RESOURCES:
        served = _served(info, definitions, strategies[info.group_resource])
        if (info.group, info.plural) == ("events.k8s.io", "events"):
            served = replace(
                served, storage=core_events.group_resource, stored_as=core_events, kept=to_core, shown=from_core
            )
        elif info.group_resource == autoscalers.group_resource and info != autoscalers:
            older = converted(served.strategy, to_v2, to_v1)
            served = replace(served, strategy=older, stored_as=autoscalers, kept=to_v2, shown=to_v1)
        elif (info.group, info.plural) == ("", "componentstatuses"):
            served = replace(served, computed=component_statuses)
        yield served


def _served(info: ResourceInfo, definitions: Definitions, strategy: Strategy) -> Served:
    return Served(
        info,
        strategy,
        definitions.schema(info.gvk),
        decoding.reader(info.gvk, definitions),
        info.group_resource,
        head=head_of(info, custom=False),
        warning=_DEPRECATED.get((info.group, info.version, info.plural), ""),
    )
