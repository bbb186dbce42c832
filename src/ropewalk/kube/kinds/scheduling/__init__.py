"""The group `scheduling.k8s.io`: whose pods come first. `bootstrap` has what a server starts with."""

from __future__ import annotations

from ropewalk.kube.kinds.scheduling.priority_classes import PriorityClasses
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {"priorityclasses": PriorityClasses()}
