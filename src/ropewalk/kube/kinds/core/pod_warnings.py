"""What is accepted in a pod and yet said of it in a `Warning` header: what is deprecated, what hides something, what
cannot mean what it says. https://kubernetes.io/docs/reference/using-api/deprecation-policy/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ropewalk.kube.kinds.core.affinity import PREFERRED, REQUIRED
from ropewalk.kube.kinds.core.checks import canonical, is_fractional, label_value_problems
from ropewalk.kube.kinds.core.overlapping_paths import overlap_warnings
from ropewalk.kube.kinds.core.pod_annotations import (
    APP_ARMOR,
    SECCOMP_CONTAINER,
    SECCOMP_POD,
    profile_of_annotation,
)
from ropewalk.kube.kinds.core.pod_spec_rules import CONTAINER_LISTS
from ropewalk.kube.machinery import addresses
from ropewalk.kube.machinery.fields import ROOT, Path, spelled
from ropewalk.kube.machinery.objects import Object

NODE_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
_VOLUMES = {
    "photonPersistentDisk": ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    "gitRepo": ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    "scaleIO": ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    "flocker": ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    "storageos": ("storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    "quobyte": ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    "glusterfs": ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    "cephfs": ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    "rbd": ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
}
_MATCHES_NOTHING = "a null labelSelector results in matching no pod"
_WHOLE_BYTES = ("memory", "ephemeral-storage")


def pod_warnings(pod: Object) -> list[str]:
    """At a pod's creation, of all but its name."""
    return _warnings(pod, ROOT, of_template=False)


def template_warnings(template: Object, path: Path, old: Object | None = None) -> list[str]:
    """`old` is the template that stood there; Kubernetes warns of all of a template that changed."""
    return _warnings(template, path, of_template=True)


@dataclass(frozen=True, slots=True)
class _Container:
    """Where one stands, so that its path is made only where something is said of it."""

    step: str
    index: int
    body: Object

    def at(self, spec: Path) -> Path:
        return spec / self.step / self.index


def _warnings(holder: Object, path: Path, *, of_template: bool) -> list[str]:
    spec = holder.get("spec") or {}
    annotations = (holder.get("metadata") or {}).get("annotations") or {}
    containers = [
        _Container(step, index, container)
        for step in CONTAINER_LISTS
        for index, container in enumerate(spec.get(step) or ())
    ]
    here = path / "spec"
    found: list[str] = [*_of_placement(spec, here)]
    for key, text in _ANNOTATIONS.items():
        if key in annotations:
            found.append(f"{(path / 'metadata' / 'annotations').key(key)}: {text}")
    if volumes := spec.get("volumes"):
        found += _of_volumes(volumes, here / "volumes")
    found += _of_duplicates(spec, here)
    if overhead := spec.get("overhead"):
        found += _of_fractions(overhead, here, ("overhead",))
    if annotations:
        found += _of_profiles(spec, annotations, containers, path, of_template)
    for container in containers:
        found += _of_container(container, here)
    found += _of_ports(containers, here)
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        where = here / "terminationGracePeriodSeconds"
        found.append(f"{where}: must be >= 0; negative values are invalid and will be treated as 1")
    if affinity := spec.get("affinity"):
        found += _of_pod_affinity(affinity, here / "affinity")
    for index, server in enumerate((spec.get("dnsConfig") or {}).get("nameservers") or ()):
        found += addresses.ip_warnings(str(here / "dnsConfig" / "nameservers" / index), server)
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        found += addresses.ip_warnings(str(here / "hostAliases" / index / "ip"), alias.get("ip", ""))
    return found


def _of_container(container: _Container, spec: Path) -> Iterator[str]:
    if resources := container.body.get("resources"):
        for kind in ("limits", "requests"):
            for name in _WHOLE_BYTES:
                if name in (resources.get(kind) or ()) and is_fractional(resources[kind][name]):
                    yield from _of_fractions(resources[kind], container.at(spec), ("resources", kind), (name,))
    if len(variables := container.body.get("env") or ()) > 1:
        yield from _of_variables(variables, container, spec)


def _of_placement(spec: Object, path: Path) -> Iterator[str]:
    for key in spec.get("nodeSelector") or ():
        if key in NODE_LABELS:
            yield f"{(path / 'nodeSelector').key(key)}: {NODE_LABELS[key]}"
    if nodes := (spec.get("affinity") or {}).get("nodeAffinity"):
        yield from _of_node_affinity(nodes, path / "affinity" / "nodeAffinity")
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        at = path / "topologySpreadConstraints" / index
        key = constraint.get("topologyKey", "")
        if key in NODE_LABELS:
            yield f"{at / 'topologyKey'}: {key} is {NODE_LABELS[key]}"
        if constraint.get("labelSelector") is None:
            yield f"{at / 'labelSelector'}: {_MATCHES_NOTHING}"


def _of_node_affinity(nodes: Object, here: Path) -> Iterator[str]:
    for index, term in enumerate((nodes.get(REQUIRED) or {}).get("nodeSelectorTerms") or ()):
        yield from _of_node_term(term, here / REQUIRED / "nodeSelectorTerms" / index, check_values=False)
    for index, term in enumerate(nodes.get(PREFERRED) or ()):
        yield from _of_node_term(
            term.get("preference") or {}, here / PREFERRED / index / "preference", check_values=True
        )


def _of_node_term(term: Object, path: Path, *, check_values: bool) -> Iterator[str]:
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        here = path / "matchExpressions" / index
        key = expression.get("key", "")
        if key in NODE_LABELS:
            yield f"{here / 'key'}: {key} is {NODE_LABELS[key]}"
        if check_values:
            for place, value in enumerate(expression.get("values") or ()):
                for problem in label_value_problems(value):
                    yield f"{here / 'values' / place}: {value} is invalid, {problem}"


def _of_volumes(volumes: Sequence[Object], path: Path) -> Iterator[str]:
    for index, volume in enumerate(volumes):
        for kind in volume:
            if kind in _VOLUMES:
                told, text = _VOLUMES[kind]
                yield f"{path / index / told}: {text}"
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template is None:
            continue
        for kind in ("requests", "limits"):
            listed = ((template.get("spec") or {}).get("resources") or {}).get(kind) or {}
            steps = ("ephemeral", "volumeClaimTemplate", "spec", "resources", kind)
            yield from _of_fractions(listed, path / index, steps, ("storage",))
    yield from overlap_warnings(volumes)


def _of_duplicates(spec: Object, path: Path) -> Iterator[str]:
    for step, name in (("hostAliases", "ip"), ("imagePullSecrets", "name")):
        seen: set[str] = set()
        for index, item in enumerate(spec.get(step) or ()):
            value = item.get(name, "")
            if value in seen:
                yield f"{path / step / index / name}: duplicate {name} {spelled(value)}"
            seen.add(value)
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if not secret.get("name"):
            yield f'{path / "imagePullSecrets" / index / "name"}: invalid empty name ""'


def _of_fractions(
    listed: Object, path: Path, steps: Sequence[str], names: Sequence[str] = _WHOLE_BYTES
) -> Iterator[str]:
    for name in names:
        if name in listed and is_fractional(listed[name]):
            where = path
            for step in steps:
                where = where / step
            text = f"fractional byte value {spelled(canonical(listed[name]))} is invalid, must be an integer"
            yield f"{where.key(name)}: {text}"


def _of_profiles(
    spec: Object,
    annotations: dict[str, str],
    containers: Sequence[_Container],
    path: Path,
    of_template: bool,
) -> Iterator[str]:
    here = path / "metadata" / "annotations"
    context = spec.get("securityContext") or {}
    seccomp = 'non-functional in v1.27+; use the "seccompProfile" field instead'
    if SECCOMP_POD in annotations and not context.get("seccompProfile"):
        yield f"{here.key(SECCOMP_POD)}: {seccomp}"
    for container in containers:
        own = container.body.get("securityContext") or {}
        key = SECCOMP_CONTAINER + container.body.get("name", "")
        if key in annotations and not own.get("seccompProfile"):
            yield f"{here.key(key)}: {seccomp}"
        key = APP_ARMOR + container.body.get("name", "")
        if key not in annotations:
            continue
        said = profile_of_annotation(annotations[key])
        # A pod has taken its annotations over into fields by now: a field that says the same came from there.
        given = own.get("appArmorProfile")
        if not of_template and given == said:
            given = None
        whole = context.get("appArmorProfile")
        if given is None and (whole is None or whole != said):
            yield f'{here.key(key)}: deprecated since v1.30; use the "appArmorProfile" field instead'


def _of_variables(variables: Sequence[Object], container: _Container, spec: Path) -> Iterator[str]:
    seen: set[str] = set()
    for index, variable in enumerate(variables):
        name = variable.get("name", "")
        if name in seen:
            value = variable.get("value", "")
            reference = f"$({name})"
            if variable.get("valueFrom") is not None or value == reference or reference not in value:
                text = f"hides previous definition of {spelled(name)}, which may be dropped when using apply"
                yield f"{container.at(spec) / 'env' / index}: {text}"
        seen.add(name)


def _of_ports(containers: Sequence[_Container], spec: Path) -> Iterator[str]:
    taken: dict[tuple[int, str], list[tuple[_Container, int, Object]]] = {}
    named: dict[str, tuple[_Container, int]] = {}
    clashes: list[str] = []
    for container in containers:
        for index, port in enumerate(container.body.get("ports") or ()):
            if port.get("hostIP") and not port.get("hostPort"):
                yield f"{_port_at(container, index, spec)}: hostIP set without hostPort: {_go_port(port)}"
            others = taken.setdefault((port.get("containerPort", 0), port.get("protocol", "")), [])
            for holder, place, other in others:
                if clash := _clash(port, other):
                    where = _port_at(holder, place, spec)
                    yield f"{_port_at(container, index, spec)}: {clash} port definition with {where}"
            others.append((container, index, port))
            name = port.get("name")
            if name and name in named:
                first = _port_at(*named[name], spec)
                clashes.append(
                    f"{_port_at(container, index, spec)}: duplicate port name {spelled(name)} with {first}, services"
                    f" and probes that select ports by name will use {first}"
                )
            elif name:
                named[name] = (container, index)
    yield from clashes


def _port_at(container: _Container, index: int, spec: Path) -> Path:
    return container.at(spec) / "ports" / index


def _clash(port: Object, other: Object) -> str:
    number, number_of_other = port.get("hostPort", 0), other.get("hostPort", 0)
    address, address_of_other = port.get("hostIP", ""), other.get("hostIP", "")
    if address == address_of_other and number == number_of_other:
        return "duplicate"
    if not number or not number_of_other:
        return "overlapping"
    if number == number_of_other and bool(address) != bool(address_of_other):
        return "dangerously ambiguous"
    return ""


def _go_port(port: Object) -> str:
    name, number = port.get("name", ""), port.get("containerPort", 0)
    return (
        f"{{Name:{name} HostPort:0 ContainerPort:{number} Protocol:{port.get('protocol', '')} HostIP:{port['hostIP']}}}"
    )


def _of_pod_affinity(affinity: Object, path: Path) -> Iterator[str]:
    for name in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(name) or {}
        for index, term in enumerate(terms.get(REQUIRED) or ()):
            if term.get("labelSelector") is None:
                yield f"{path / name / REQUIRED / index / 'labelSelector'}: {_MATCHES_NOTHING}"
        for index, weighted in enumerate(terms.get(PREFERRED) or ()):
            if (weighted.get("podAffinityTerm") or {}).get("labelSelector") is None:
                where = path / name / PREFERRED / index / "podAffinityTerm" / "labelSelector"
                yield f"{where}: {_MATCHES_NOTHING}"
