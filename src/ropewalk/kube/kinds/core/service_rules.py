"""The rules of a service's spec and status, apart from its addresses (`service_families`).
https://kubernetes.io/docs/reference/kubernetes-api/service-resources/service-v1/
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ropewalk.kube.kinds.core.checks import check_port_or_name
from ropewalk.kube.kinds.core.service_shape import (
    CLUSTER_IP,
    EXTERNAL_NAME,
    LOAD_BALANCER,
    NODE_PORT,
    TYPES,
    cluster_ips,
    is_external,
    is_headless,
    needs_health_check,
    type_of,
)
from ropewalk.kube.kinds.endpoint_addresses import (
    POINTS,
    points_of,
    validate_endpoint_ip,
    validate_ip,
    validate_points,
    validate_protocol,
)
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, annotations_of, at

SPEC = ROOT / "spec"
ANNOTATIONS = ROOT / "metadata" / "annotations"
TOPOLOGY_HINTS, TOPOLOGY_MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
AFFINITIES = ("ClientIP", "None")
TRAFFIC_POLICIES = ("Cluster", "Local")
DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
LONGEST_AFFINITY = 86_400
_FOR_LOAD_BALANCERS = "may only be used when `type` is 'LoadBalancer'"


def validate_spec(service: Object, old: Object | None, errors: FieldErrors) -> None:
    spec, annotations = service["spec"], annotations_of(service)
    hints, mode = annotations.get(TOPOLOGY_HINTS), annotations.get(TOPOLOGY_MODE)
    if hints is not None and mode is not None and hints != mode:
        told = f"must match annotations[{TOPOLOGY_HINTS}] when both are specified"
        errors.invalid(ANNOTATIONS.key(TOPOLOGY_MODE), mode, told)
    _validate_type(service, errors)
    _validate_ports(service, errors)
    names.labels(spec.get("selector") or {}, SPEC / "selector", errors)
    _validate_affinity(spec, errors)
    _validate_external_ips(spec.get("externalIPs") or (), at(old, "spec", "externalIPs") or (), errors)
    _validate_load_balancer(service, old, errors)
    _validate_traffic(service, errors)


def _validate_type(service: Object, errors: FieldErrors) -> None:
    spec, kind = service["spec"], type_of(service)
    if not kind:
        errors.required(SPEC / "type")
    elif kind not in TYPES:
        errors.not_supported(SPEC / "type", kind, TYPES)
    if kind in (LOAD_BALANCER, NODE_PORT) and is_headless(service):
        errors.invalid(SPEC / "clusterIPs" / 0, "None", f"may not be set to 'None' for {kind} services")
    if kind != EXTERNAL_NAME:
        return
    for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(name):
            errors.forbidden(SPEC / name, "may not be set for ExternalName services")
    target = spec.get("externalName", "").removesuffix(".")
    if not target:
        errors.required(SPEC / "externalName")
    else:
        errors.messages(SPEC / "externalName", target, names.dns1123_subdomain(target))


def _validate_ports(service: Object, errors: FieldErrors) -> None:
    spec, kind, path = service["spec"], type_of(service), SPEC / "ports"
    ports = spec.get("ports") or ()
    if not ports and not is_headless(service) and kind != EXTERNAL_NAME:
        errors.required(path)
    seen: set[str] = set()
    for index, port in enumerate(ports):
        _validate_port(port, len(ports) > 1, seen, path / index, errors)
    node_ports, numbers = set(), set()
    for index, port in enumerate(ports):
        node_port, protocol = port.get("nodePort", 0), port.get("protocol", "")
        if node_port and kind == CLUSTER_IP:
            errors.forbidden(path / index / "nodePort", "may not be used when `type` is 'ClusterIP'")
        if node_port:
            if (protocol, node_port) in node_ports:
                errors.duplicate(path / index / "nodePort", node_port)
            node_ports.add((protocol, node_port))
        if (protocol, port.get("port", 0)) in numbers:
            key = {"protocol": protocol, "port": port.get("port", 0)}
            errors.duplicate(path / index, go_printed(key, "core.v1.ServicePort"))
        numbers.add((protocol, port.get("port", 0)))


def _validate_port(port: Object, needs_name: bool, seen: set[str], path: Path, errors: FieldErrors) -> None:
    name, number = port.get("name", ""), port.get("port", 0)
    if name:
        errors.messages(path / "name", name, names.dns1123_label(name))
        if name in seen:
            errors.duplicate(path / "name", name)
        seen.add(name)
    elif needs_name:
        errors.required(path / "name")
    errors.messages(path / "port", number, names.port_number(number))
    validate_protocol(port.get("protocol"), path / "protocol", errors)
    check_port_or_name(errors, path, "targetPort", port.get("targetPort"))
    if (protocol := port.get("appProtocol")) is not None:
        errors.messages(path / "appProtocol", protocol, names.qualified_name(protocol))


def _validate_affinity(spec: Object, errors: FieldErrors) -> None:
    affinity, config = spec.get("sessionAffinity", ""), spec.get("sessionAffinityConfig")
    if not affinity:
        errors.required(SPEC / "sessionAffinity")
    elif affinity not in AFFINITIES:
        errors.not_supported(SPEC / "sessionAffinity", affinity, AFFINITIES)
    here = SPEC / "sessionAffinityConfig"
    if affinity == "None" and config is not None:
        errors.forbidden(here, "must not be set when session affinity is None")
    if affinity != "ClientIP":
        return
    told = "when session affinity type is ClientIP"
    seconds = at(config, "clientIP", "timeoutSeconds")
    if config is None:
        errors.required(here, told)
    elif config.get("clientIP") is None:
        errors.required(here / "clientIP", told)
    elif seconds is None:
        errors.required(here / "clientIP" / "timeoutSeconds", told)
    elif not 0 < seconds <= LONGEST_AFFINITY:
        told = f"must be greater than 0 and less than {LONGEST_AFFINITY}"
        errors.invalid(here / "clientIP" / "timeoutSeconds", seconds, told)


def _validate_external_ips(given: Sequence[str], kept: Collection[str], errors: FieldErrors) -> None:
    for index, text in enumerate(given):
        here = SPEC / "externalIPs" / index
        if validate_ip(text, here, errors, kept):
            validate_endpoint_ip(text, here, errors)


def _validate_load_balancer(service: Object, old: Object | None, errors: FieldErrors) -> None:
    spec, balanced = service["spec"], type_of(service) == LOAD_BALANCER
    ranges, annotation = spec.get("loadBalancerSourceRanges") or (), annotations_of(service).get(SOURCE_RANGES)
    if ranges:
        here = SPEC / "LoadBalancerSourceRanges"
        if not balanced:
            errors.forbidden(here, _FOR_LOAD_BALANCERS)
        kept = [text.strip() for text in at(old, "spec", "loadBalancerSourceRanges") or ()]
        for index, text in enumerate(ranges):
            if text.strip() not in kept:
                errors.messages(here / index, text.strip(), names.cidr(text.strip()))
    elif annotation is not None:
        here = ANNOTATIONS.key(SOURCE_RANGES)
        if not balanced:
            errors.forbidden(here, _FOR_LOAD_BALANCERS)
        if annotation.strip() and (old is None or annotations_of(old).get(SOURCE_RANGES) != annotation):
            for text in annotation.strip().split(","):
                errors.messages(here, text.strip(), names.cidr(text.strip()))
    if spec.get("allocateLoadBalancerNodePorts") is not None and not balanced:
        errors.forbidden(SPEC / "allocateLoadBalancerNodePorts", _FOR_LOAD_BALANCERS)
    if spec.get("allocateLoadBalancerNodePorts") is None and balanced:
        errors.required(ROOT / "allocateLoadBalancerNodePorts")
    name = spec.get("loadBalancerClass")
    if name is not None and balanced:
        errors.messages(SPEC / "loadBalancerClass", name, names.qualified_name(name))
    elif name is not None:
        errors.forbidden(SPEC / "loadBalancerClass", _FOR_LOAD_BALANCERS)


def _validate_traffic(service: Object, errors: FieldErrors) -> None:
    spec = service["spec"]
    policy, here = spec.get("externalTrafficPolicy"), SPEC / "externalTrafficPolicy"
    if not is_external(service):
        if policy:
            errors.invalid(here, policy, "may only be set for externally-accessible services")
    elif not policy:
        errors.required(here)
    elif policy not in TRAFFIC_POLICIES:
        errors.not_supported(here, policy, TRAFFIC_POLICIES)
    port, here = spec.get("healthCheckNodePort", 0), SPEC / "healthCheckNodePort"
    if not needs_health_check(service):
        if port:
            told = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            errors.invalid(here, port, told)
    elif not port:
        errors.required(here)
    else:
        errors.messages(here, port, names.port_number(port))
    internal = spec.get("internalTrafficPolicy")
    if internal is None:
        if type_of(service) in (NODE_PORT, LOAD_BALANCER, CLUSTER_IP):
            errors.required(SPEC / "internalTrafficPolicy")
    elif internal not in TRAFFIC_POLICIES:
        errors.not_supported(SPEC / "internalTrafficPolicy", internal, TRAFFIC_POLICIES)
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in DISTRIBUTIONS:
        errors.not_supported(SPEC / "trafficDistribution", distribution, DISTRIBUTIONS)


def validate_kept(new: Object, old: Object, errors: FieldErrors) -> None:
    """What an update may not change, apart from addresses."""
    name, was = at(new, "spec", "loadBalancerClass"), at(old, "spec", "loadBalancerClass")
    if type_of(new) == type_of(old) == LOAD_BALANCER and name != was:
        errors.invalid(SPEC / "loadBalancerClass", name, "may not change once set")
    port, before = (at(obj, "spec", "healthCheckNodePort") or 0 for obj in (new, old))
    if needs_health_check(new) and needs_health_check(old) and port != before:
        errors.forbidden(SPEC / "healthCheckNodePort", "field is immutable")


def validate_status(service: Object, old: Object, errors: FieldErrors) -> None:
    points = points_of(service)
    if type_of(service) != LOAD_BALANCER and points:
        errors.forbidden(POINTS, "may only be used when `spec.type` is 'LoadBalancer'")
        return
    validate_points(service, old, errors)
    for index, point in enumerate(points):
        mode, here = point.get("ipMode"), POINTS / index / "ipMode"
        if mode is None:
            if point.get("ip"):
                errors.required(here, "must be specified when `ip` is set")
        elif not point.get("ip"):
            errors.forbidden(here, "may not be specified when `ip` is not set")
        elif mode not in ("Proxy", "VIP"):
            errors.not_supported(here, mode, ("Proxy", "VIP"))


def has_address(service: Object) -> bool:
    return bool(cluster_ips(service)) and not is_headless(service)
