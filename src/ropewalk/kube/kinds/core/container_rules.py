"""Rules of containers: those that all kinds share, and what sets plain, init and ephemeral ones apart.
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Container
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from ropewalk.kube.kinds.core.checks import between, check_port, label_problems, port_name_problems
from ropewalk.kube.kinds.core.pod_resources import is_sidecar
from ropewalk.kube.kinds.core.probes import validate_lifecycle, validate_probes
from ropewalk.kube.kinds.core.resources import validate_requirements
from ropewalk.kube.kinds.core.security_context import validate_security_context
from ropewalk.kube.kinds.core.variables import validate_sources, validate_variables
from ropewalk.kube.kinds.core.volume_rules import PULL_POLICIES, check_pull_policy, validate_mounts
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

PROTOCOLS = ("SCTP", "TCP", "UDP")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_RESIZABLE = ("cpu", "memory")
_RESIZE_POLICIES = ("NotRequired", "RestartContainer")
_RESTART_POLICIES = ("Always", "Never", "OnFailure")
_EXIT_OPERATORS = ("In", "NotIn")
_MOST_RULES, _MOST_CODES = 20, 255
_ONLY_SIDECARS = "may not be set for init containers without restartPolicy=Always"
_RULES_NEED_POLICY = "must specify restartPolicy when restart rules are used"
_NOT_EPHEMERAL = "cannot be set for an Ephemeral Container"
_FORBIDDEN_IN_EPHEMERAL = (
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
)


@dataclass(slots=True)
class Surroundings:
    """What a container's rules ask about the pod it stands in."""

    volumes: dict[str, str]
    """Name → kind of source."""
    claims: Collection[str]
    """Names of the pod's `resourceClaims`."""
    grace: int | None
    restart_policy: str
    host_users: bool
    names: set[str] = field(default_factory=set)
    """Of the containers seen so far, init ones included."""


def validate_containers(containers: Sequence[Object], pod: Surroundings, path: Path, errors: FieldErrors) -> None:
    if not containers:
        errors.required(path)
        return
    taken = pod.names
    for index, container in enumerate(containers):
        here = path / index
        _validate_common(container, pod, here, errors)
        name = container.get("name", "")
        if name in taken:
            errors.duplicate(here / "name", name)
        taken.add(name)
        if (lifecycle := container.get("lifecycle")) is not None:
            validate_lifecycle(lifecycle, pod.grace, here / "lifecycle", errors)
        validate_probes(container, pod.grace, here, errors)
        if "restartPolicy" in container or "restartPolicyRules" in container:
            _validate_restarts(container, here, errors)
    _check_host_ports(enumerate(containers), path, errors)


def validate_init_containers(containers: Sequence[Object], pod: Surroundings, path: Path, errors: FieldErrors) -> None:
    taken = pod.names
    for index, container in enumerate(containers):
        here = path / index
        _validate_common(container, pod, here, errors)
        _validate_init_restarts(container, here, errors)
        name = container.get("name", "")
        if name in taken:
            errors.duplicate(here / "name", name)
        elif name:
            taken.add(name)
        # Each by itself, as they run one by one; Kubernetes then counts from 0 whichever it is.
        _check_host_ports([(0, container)], path, errors)
        if is_sidecar(container):
            if (lifecycle := container.get("lifecycle")) is not None:
                validate_lifecycle(lifecycle, pod.grace, here / "lifecycle", errors)
            validate_probes(container, pod.grace, here, errors)
        else:
            for step in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
                if container.get(step) is not None:
                    errors.forbidden(here / step, _ONLY_SIDECARS)
    taken.update(container.get("name", "") for container in containers)


def validate_ephemeral_containers(
    containers: Sequence[Object], pod: Surroundings, path: Path, errors: FieldErrors
) -> None:
    lasting = set(pod.names)
    taken = pod.names
    check_image_spaces(containers, path, errors)
    for index, container in enumerate(containers):
        here = path / index
        _validate_common(container, pod, here, errors)
        name = container.get("name", "")
        if name in taken:
            errors.duplicate(here / "name", name)
        taken.add(name)
        target = container.get("targetContainerName")
        if target and target not in lasting:
            errors.not_found(here / "targetContainerName", target)
        for step in _FORBIDDEN_IN_EPHEMERAL:
            value = container.get(step)
            if value is not None and value not in ([], {} if step == "resources" else []):
                errors.forbidden(here / step, _NOT_EPHEMERAL)
        for place, mount in enumerate(container.get("volumeMounts") or ()):
            for step in ("subPath", "subPathExpr"):
                if mount.get(step):
                    errors.forbidden(here / "volumeMounts" / place / step, _NOT_EPHEMERAL)


def check_image_spaces(containers: Sequence[Object], path: Path, errors: FieldErrors) -> None:
    """Of pods, not of templates, where older clients use such an image as a mark."""
    for index, container in enumerate(containers):
        image = container.get("image", "")
        if image != image.strip():
            errors.invalid(path / index / "image", image, "must not have leading or trailing whitespace")


def _validate_common(container: Object, pod: Surroundings, path: Path, errors: FieldErrors) -> None:
    get = container.get
    name = get("name")
    if not name:
        errors.required(path / "name")
    elif problems := label_problems(name):
        errors.messages(path / "name", name, problems)
    if not get("image"):
        errors.required(path / "image")
    policy = get("terminationMessagePolicy")
    if policy not in _MESSAGE_POLICIES:
        if not policy:
            errors.required(path / "terminationMessagePolicy")
        else:
            errors.not_supported(path / "terminationMessagePolicy", policy, _MESSAGE_POLICIES)
    if ports := get("ports"):
        _validate_ports(ports, path / "ports", errors)
    if variables := get("env"):
        validate_variables(variables, path / "env", errors)
    if sources := get("envFrom"):
        validate_sources(sources, path / "envFrom", errors)
    if get("volumeMounts") or get("volumeDevices"):
        validate_mounts(container, pod.volumes, path, errors)
    if get("imagePullPolicy") not in PULL_POLICIES:
        check_pull_policy(get("imagePullPolicy"), path / "imagePullPolicy", errors)
    if resources := get("resources"):
        validate_requirements(resources, path / "resources", errors, pod.claims)
    if policies := get("resizePolicy"):
        _validate_resize_policies(policies, pod.restart_policy, path / "resizePolicy", errors)
    if context := get("securityContext"):
        validate_security_context(context, path / "securityContext", errors, host_users=pod.host_users)


def _validate_ports(ports: Sequence[Object], path: Path, errors: FieldErrors) -> None:
    taken: set[str] = set()
    for index, port in enumerate(ports):
        if name := port.get("name"):
            if problems := port_name_problems(name):
                errors.messages(path / index / "name", name, problems)
            elif name in taken:
                errors.duplicate(path / index / "name", name)
            taken.add(name)
        number = port.get("containerPort")
        if not number:
            errors.required(path / index / "containerPort")
        elif not 1 <= number <= 65535:
            errors.invalid(path / index / "containerPort", number, between(1, 65535))
        if number := port.get("hostPort"):
            check_port(errors, path / index / "hostPort", number)
        protocol = port.get("protocol")
        if not protocol:
            errors.required(path / index / "protocol")
        elif protocol not in PROTOCOLS:
            errors.not_supported(path / index / "protocol", protocol, PROTOCOLS)


def _check_host_ports(containers: Iterable[tuple[int, Object]], path: Path, errors: FieldErrors) -> None:
    taken: set[str] = set()
    for index, container in containers:
        for place, port in enumerate(container.get("ports") or ()):
            if number := port.get("hostPort"):
                key = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{number}"
                if key in taken:
                    errors.duplicate(path / index / "ports" / place / "hostPort", key)
                taken.add(key)


def _validate_resize_policies(policies: Sequence[Object], restart_policy: str, path: Path, errors: FieldErrors) -> None:
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        name, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if name in seen:
            errors.duplicate(path / index, name)
        seen.add(name)
        for value, supported in ((name, _RESIZABLE), (restart, _RESIZE_POLICIES)):
            if not value:
                errors.required(path)
            elif value not in supported:
                errors.not_supported(path, value, supported)
        if restart_policy == "Never" and restart != "NotRequired":
            errors.invalid(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'")


def _validate_init_restarts(container: Object, path: Path, errors: FieldErrors) -> None:
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules")
    if policy is None:
        if rules:
            errors.required(path / "restartPolicy", _RULES_NEED_POLICY)
    elif policy != "Always":
        _validate_restarts(container, path, errors)
    elif rules:
        text = "restartPolicyRules are not allowed for init containers with restart policy Always"
        errors.forbidden(path / "restartPolicyRules", text)


def _validate_restarts(container: Object, path: Path, errors: FieldErrors) -> None:
    """A container's own restart policy and its rules by exit code.
    https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-restart-rules
    """
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    if policy is None:
        if not rules:
            return
        errors.required(path / "restartPolicy", _RULES_NEED_POLICY)
    elif policy not in _RESTART_POLICIES:
        errors.not_supported(path / "restartPolicy", policy, _RESTART_POLICIES)
    if len(rules) > _MOST_RULES:
        errors.too_long(path / "restartPolicyRules", _MOST_RULES)
    for index, rule in enumerate(rules):
        here = path / "restartPolicyRules" / index
        if rule.get("action") != "Restart":
            errors.not_supported(here / "action", rule.get("action", ""), ("Restart",))
        codes = rule.get("exitCodes")
        if codes is None:
            errors.required(here / "exitCodes", "must be specified")
            continue
        if codes.get("operator") not in _EXIT_OPERATORS:
            errors.not_supported(here / "exitCodes" / "operator", codes.get("operator", ""), _EXIT_OPERATORS)
        if len(codes.get("values") or ()) > _MOST_CODES:
            errors.too_long(here / "exitCodes" / "values", _MOST_CODES)
