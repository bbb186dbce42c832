"""What a service is, by its type: which fields mean something for it. Small questions that its other files ask.
https://kubernetes.io/docs/concepts/services-networking/service/#publishing-services-service-types
"""

from __future__ import annotations

from ropewalk.kube.machinery.objects import Object, at

CLUSTER_IP, NODE_PORT, LOAD_BALANCER, EXTERNAL_NAME = "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"
TYPES = (CLUSTER_IP, EXTERNAL_NAME, LOAD_BALANCER, NODE_PORT)
NONE = "None"


def type_of(service: Object) -> str:
    return at(service, "spec", "type") or ""


def cluster_ips(service: Object) -> list[str]:
    return list(at(service, "spec", "clusterIPs") or ())


def is_headless(service: Object) -> bool:
    return cluster_ips(service) == [NONE]


def uses_node_ports(service: Object) -> bool:
    return type_of(service) in (NODE_PORT, LOAD_BALANCER)


def allocates_node_ports(service: Object) -> bool:
    """Whether a port without a node port gets one."""
    if type_of(service) == LOAD_BALANCER:
        return at(service, "spec", "allocateLoadBalancerNodePorts") is not False
    return type_of(service) == NODE_PORT


def node_ports(service: Object) -> list[int]:
    return [port["nodePort"] for port in at(service, "spec", "ports") or () if port.get("nodePort")]


def needs_health_check(service: Object) -> bool:
    return type_of(service) == LOAD_BALANCER and at(service, "spec", "externalTrafficPolicy") == "Local"


def is_external(service: Object) -> bool:
    """Whether it can be reached from outside the cluster."""
    return uses_node_ports(service) or (type_of(service) == CLUSTER_IP and bool(at(service, "spec", "externalIPs")))
