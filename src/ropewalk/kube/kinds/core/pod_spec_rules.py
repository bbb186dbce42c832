"""Rules of a pod's spec as a whole, in the order in which Kubernetes reports them.
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodSpec

The parts (containers, volumes, affinity, …) have files of their own. Kubernetes lets an update keep what older releases
let through; here an unchanged spec is not judged again at all (`pod_updates`, `pod_template_rules`), which comes to the
same for what was once accepted.
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.kinds.core.affinity import validate_affinity
from ropewalk.kube.kinds.core.checks import (
    LARGEST_INT32,
    between,
    check_format,
    label_problems,
    qualified_problems,
    search_domain_problems,
    subdomain_problems,
)
from ropewalk.kube.kinds.core.container_rules import (
    Surroundings,
    validate_containers,
    validate_ephemeral_containers,
    validate_init_containers,
)
from ropewalk.kube.kinds.core.operating_systems import validate_operating_system
from ropewalk.kube.kinds.core.pod_resources import validate_pod_resources
from ropewalk.kube.kinds.core.resources import validate_requirements
from ropewalk.kube.kinds.core.security_context import validate_pod_security_context
from ropewalk.kube.kinds.core.tolerations import validate_tolerations
from ropewalk.kube.kinds.core.topology_spread import validate_spread_constraints
from ropewalk.kube.kinds.core.variables import check_file_volumes
from ropewalk.kube.kinds.core.volume_rules import validate_volumes
from ropewalk.kube.kinds.core.windows_options import validate_host_process
from ropewalk.kube.kinds.endpoint_addresses import validate_ip
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

MIRROR = "kubernetes.io/config.mirror"
"""The annotation of a pod that mirrors one which its node runs from a file."""
NOWHERE = Path("[]")
"""What Kubernetes names where it refuses a pod as a whole."""
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_MOST_NAMESERVERS, _MOST_SEARCHES, _LONGEST_SEARCHES = 3, 32, 2048
_LONGEST_HOSTNAME = 64


def validate_pod_spec(spec: Object, path: Path, errors: FieldErrors, pod: Object | None = None) -> None:
    """`pod`: the metadata of the pod that has this spec; None for a template's, of which Kubernetes asks less."""
    get = spec.get
    grace = get("terminationGracePeriodSeconds")
    if grace is None:
        errors.required(path / "terminationGracePeriodSeconds")
    volumes = get("volumes")
    claims = get("resourceClaims") or ()
    surroundings = Surroundings(
        validate_volumes(volumes, pod, path / "volumes", errors) if volumes else {},
        {claim["name"] for claim in claims if claim.get("name")},
        grace,
        get("restartPolicy", ""),
        get("hostUsers", True),
    )
    if claims:
        _validate_claims(claims, pod, path / "resourceClaims", errors)
    validate_containers(get("containers") or (), surroundings, path / "containers", errors)
    if containers := get("initContainers"):
        validate_init_containers(containers, surroundings, path / "initContainers", errors)
    if containers := get("ephemeralContainers"):
        validate_ephemeral_containers(containers, surroundings, path / "ephemeralContainers", errors)
    validate_pod_resources(spec, surroundings.claims, path, errors)
    _validate_host_network(spec, pod is not None, path, errors)
    _validate_policies(spec, path, errors)
    if selector := get("nodeSelector"):
        names.labels(selector, path / "nodeSelector", errors)
    if context := get("securityContext"):
        validate_pod_security_context(context, spec, path / "securityContext", errors)
    elif get("hostPID") and get("shareProcessNamespace"):
        validate_pod_security_context({}, spec, path / "securityContext", errors)
    _validate_scheduling(spec, path, errors)
    validate_host_process(spec, path, errors)
    if get("hostUsers") is False:
        _validate_user_namespace(spec, path, errors)
    _validate_names(spec, path, errors)
    _validate_rest(spec, path, errors)


def _validate_policies(spec: Object, path: Path, errors: FieldErrors) -> None:
    for step, known in (("restartPolicy", _RESTART_POLICIES), ("dnsPolicy", _DNS_POLICIES)):
        value = spec.get(step)
        if not value:
            errors.required(path / step)
        elif value not in known:
            errors.not_supported(path / step, value, known)


def _validate_scheduling(spec: Object, path: Path, errors: FieldErrors) -> None:
    """With DNS amidst, as Kubernetes reports it."""
    get = spec.get
    if affinity := get("affinity"):
        validate_affinity(affinity, path / "affinity", errors)
    if get("dnsConfig") is not None or get("dnsPolicy") == "None":
        _validate_dns(get("dnsConfig"), get("dnsPolicy", ""), path / "dnsConfig", errors)
    for index, gate in enumerate(get("readinessGates") or ()):
        here = path / "readinessGates" / index
        check_format(errors, here, "conditionType", gate.get("conditionType", ""), qualified_problems)
    seen: set[str] = set()
    for index, gate in enumerate(get("schedulingGates") or ()):
        name = gate.get("name", "")
        check_format(errors, path / "schedulingGates" / index, "", name, qualified_problems)
        if name in seen:
            errors.duplicate(path / "schedulingGates" / index, name)
        seen.add(name)
    if constraints := get("topologySpreadConstraints"):
        validate_spread_constraints(constraints, path / "topologySpreadConstraints", errors)


def _validate_names(spec: Object, path: Path, errors: FieldErrors) -> None:
    get = spec.get
    if (hostname := get("hostnameOverride")) is not None:
        _validate_hostname_override(hostname, spec, path / "hostnameOverride", errors)
    for step in ("serviceAccountName", "nodeName"):
        if name := get(step):
            check_format(errors, path, step, name, subdomain_problems)
    deadline = get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= LARGEST_INT32:
        errors.invalid(path / "activeDeadlineSeconds", deadline, between(1, LARGEST_INT32))
    for step in ("hostname", "subdomain"):
        if name := get(step):
            check_format(errors, path, step, name, label_problems)


def _validate_rest(spec: Object, path: Path, errors: FieldErrors) -> None:
    get = spec.get
    if tolerations := get("tolerations"):
        validate_tolerations(tolerations, path / "tolerations", errors)
    for index, alias in enumerate(get("hostAliases") or ()):
        here = path / "hostAliases" / index
        validate_ip(alias.get("ip", ""), here / "ip", errors)
        for place, name in enumerate(alias.get("hostnames") or ()):
            check_format(errors, here / "hostnames" / place, "", name, subdomain_problems)
    if name := get("priorityClassName"):
        check_format(errors, path, "priorityClassName", name, subdomain_problems)
    if (name := get("runtimeClassName")) is not None:
        check_format(errors, path, "runtimeClassName", name, subdomain_problems)
    if (policy := get("preemptionPolicy")) is not None:
        if not policy:
            errors.required(path / "preemptionPolicy")
        elif policy not in ("PreemptLowerPriority", "Never"):
            errors.not_supported(path / "preemptionPolicy", policy, ("PreemptLowerPriority", "Never"))
    if overhead := get("overhead"):
        validate_requirements({"limits": overhead}, path / "overhead", errors)
    if (system := get("os")) is not None:
        validate_operating_system(system, spec, path, errors)
    for step in CONTAINER_LISTS:
        check_file_volumes(spec, step, path, errors)


def _validate_hostname_override(hostname: str, spec: Object, path: Path, errors: FieldErrors) -> None:
    if spec.get("setHostnameAsFQDN"):
        errors.forbidden(path, "may not be specified when setHostnameAsFQDN is true")
    if spec.get("hostNetwork"):
        errors.forbidden(path, "may not be specified when hostNetwork is true")
    if len(hostname.encode()) > _LONGEST_HOSTNAME:
        errors.too_long(path, _LONGEST_HOSTNAME)
    check_format(errors, path, "", hostname, subdomain_problems)


def _validate_claims(claims: Sequence[Object], pod: Object | None, path: Path, errors: FieldErrors) -> None:
    """`resourceClaims`. https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/"""
    seen: set[str] = set()
    for index, claim in enumerate(claims):
        if MIRROR in ((pod or {}).get("annotations") or {}):
            errors.forbidden(NOWHERE, "static pods do not support resource claims")
            continue
        here = path / index
        name = claim.get("name")
        if not name:
            errors.required(here / "name")
        elif name in seen:
            errors.duplicate(here / "name", name)
        else:
            check_format(errors, here, "name", name, label_problems)
            seen.add(name)
        named = [step for step in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(step) is not None]
        if len(named) > 1:
            text = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            errors.invalid(here, go_printed(claim, "core.v1.PodResourceClaim"), text)
        if not named:
            text = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            errors.invalid(here, go_printed(claim, "core.v1.PodResourceClaim"), text)
        for step in named:
            check_format(errors, here, step, claim[step], subdomain_problems)


def _validate_host_network(spec: Object, in_pod: bool, path: Path, errors: FieldErrors) -> None:
    if not spec.get("hostNetwork"):
        return
    for index, container in enumerate(spec.get("containers") or ()):
        for place, port in enumerate(container.get("ports") or ()):
            number = port.get("hostPort", 0)
            if (in_pod or number) and number != port.get("containerPort", 0):
                text = "must match `containerPort` when `hostNetwork` is true"
                errors.invalid(path / "containers" / index / "ports" / place / "hostPort", number, text)


def _validate_user_namespace(spec: Object, path: Path, errors: FieldErrors) -> None:
    """https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/#limitations"""
    for step, told in (("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")):
        if spec.get(step):
            errors.forbidden(path / told, "when `hostUsers` is false")
    for step in CONTAINER_LISTS:
        for index, container in enumerate(spec.get(step) or ()):
            if container.get("volumeDevices"):
                errors.forbidden(path / step / index / "volumeDevices", "when `hostUsers` is false")


def _validate_dns(config: Object | None, policy: str, path: Path, errors: FieldErrors) -> None:
    """https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/#pod-dns-config"""
    servers = (config or {}).get("nameservers") or []
    if policy == "None":
        if config is None:
            errors.required(path, "must provide `dnsConfig` when `dnsPolicy` is None")
            return
        if not servers:
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            errors.required(path / "nameservers", text)
            return
    if config is None:
        return
    if len(servers) > _MOST_NAMESERVERS:
        text = f"must not have more than {_MOST_NAMESERVERS} nameservers"
        errors.invalid(path / "nameservers", servers, text)
    for index, server in enumerate(servers):
        validate_ip(server, path / "nameservers" / index, errors)
    searches = config.get("searches") or []
    if len(searches) > _MOST_SEARCHES:
        errors.invalid(path / "searches", searches, f"must not have more than {_MOST_SEARCHES} search paths")
    if len(" ".join(searches).encode()) > _LONGEST_SEARCHES:
        text = f"must not have more than {_LONGEST_SEARCHES} characters (including spaces) in the search list"
        errors.invalid(path / "searches", searches, text)
    for index, search in enumerate(searches):
        if search != ".":
            check_format(errors, path / "searches" / index, "", search.removesuffix("."), search_domain_problems)
    for index, option in enumerate(config.get("options") or ()):
        if not option.get("name"):
            errors.required(path / "options" / index, "must not be empty")
