"""The group `events.k8s.io`: core's events in another shape."""

from __future__ import annotations

from ropewalk.kube.kinds.events.events import Events
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {"events": Events()}
