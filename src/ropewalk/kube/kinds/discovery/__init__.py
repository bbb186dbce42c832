"""The group `discovery.k8s.io`: where a service's pods are."""

from __future__ import annotations

from ropewalk.kube.kinds.discovery.endpoint_slices import EndpointSlices
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {"endpointslices": EndpointSlices()}
