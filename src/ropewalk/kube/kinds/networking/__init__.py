"""The group `networking.k8s.io`: who may talk to whom, ways in from outside, and the addresses of services."""

from __future__ import annotations

from ropewalk.kube.kinds.networking.ingress_classes import IngressClasses
from ropewalk.kube.kinds.networking.ingresses import Ingresses
from ropewalk.kube.kinds.networking.ip_addresses import IPAddresses
from ropewalk.kube.kinds.networking.network_policies import NetworkPolicies
from ropewalk.kube.kinds.networking.service_cidrs import ServiceCIDRs
from ropewalk.kube.machinery.strategy import Strategy

STRATEGIES: dict[str, Strategy] = {
    "ingressclasses": IngressClasses(),
    "ingresses": Ingresses(),
    "ipaddresses": IPAddresses(),
    "networkpolicies": NetworkPolicies(),
    "servicecidrs": ServiceCIDRs(),
}
