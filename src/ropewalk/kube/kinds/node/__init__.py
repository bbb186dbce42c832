"""The group `node.k8s.io`: how containers may be run."""

from __future__ import annotations

from ropewalk.kube.kinds.node.runtime_classes import RuntimeClasses
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {"runtimeclasses": RuntimeClasses()}
