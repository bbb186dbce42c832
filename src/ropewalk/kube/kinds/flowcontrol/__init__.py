"""The group `flowcontrol.apiserver.k8s.io`."""

from __future__ import annotations

from ropewalk.kube.kinds.flowcontrol.flow_schemas import FlowSchemas
from ropewalk.kube.kinds.flowcontrol.priority_levels import PriorityLevelConfigurations
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {
    "flowschemas": FlowSchemas(),
    "prioritylevelconfigurations": PriorityLevelConfigurations(),
}
