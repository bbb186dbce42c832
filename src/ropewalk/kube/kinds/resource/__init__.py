"""The group `resource.k8s.io`."""

from __future__ import annotations

from ropewalk.kube.kinds.resource.device_classes import DeviceClasses
from ropewalk.kube.kinds.resource.device_rules import Compiler, any_selector
from ropewalk.kube.kinds.resource.resource_claims import ResourceClaims, ResourceClaimTemplates
from ropewalk.kube.kinds.resource.resource_slices import ResourceSlices
from ropewalk.kube.machinery.strategy import Strategy


def strategies(compiler: Compiler = any_selector) -> dict[str, Strategy]:
    """With what compiles the CEL expressions that select devices."""
    return {
        "deviceclasses": DeviceClasses(compiler),
        "resourceclaims": ResourceClaims(compiler),
        "resourceclaimtemplates": ResourceClaimTemplates(compiler),
        "resourceslices": ResourceSlices(),
    }


STRATEGIES: dict[str, Strategy] = strategies()
"""Expressions pass unread: for an installation's own server take `strategies(compiler)`."""
