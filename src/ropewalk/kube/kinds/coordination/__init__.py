"""The group `coordination.k8s.io`: who holds what, and until when."""

from __future__ import annotations

from ropewalk.kube.kinds.coordination.leases import Leases
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {"leases": Leases()}
