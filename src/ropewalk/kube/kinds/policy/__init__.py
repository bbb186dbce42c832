"""The group `policy`."""

from __future__ import annotations

from ropewalk.kube.kinds.policy.pod_disruption_budgets import PodDisruptionBudgets
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {"poddisruptionbudgets": PodDisruptionBudgets()}
