"""The group `apiregistration.k8s.io`."""

from __future__ import annotations

from ropewalk.kube.kinds.apiregistration.api_services import ApiServices
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {"apiservices": ApiServices()}
