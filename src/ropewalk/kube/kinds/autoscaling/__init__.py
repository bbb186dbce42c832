"""The group `autoscaling`. Stored in v2; `conversion` gives v1."""

from __future__ import annotations

from ropewalk.kube.kinds.autoscaling.horizontal_pod_autoscalers import HorizontalPodAutoscalers
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {"horizontalpodautoscalers": HorizontalPodAutoscalers()}
