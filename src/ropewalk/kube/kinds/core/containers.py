"""Defaults of a container: of a plain one, an init container, an ephemeral one.
https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#Container
"""

from __future__ import annotations

from ropewalk.kube.kinds.core.checks import settled
from ropewalk.kube.kinds.core.images import default_pull_policy
from ropewalk.kube.kinds.core.probes import default_handler, default_probe
from ropewalk.kube.kinds.core.volumes import default_field_reference, default_resource_reference
from ropewalk.kube.machinery.objects import Object

PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
TERMINATION_PATH = "/dev/termination-log"


def default_container(container: Object) -> None:
    get = container.get
    if not get("imagePullPolicy"):
        container["imagePullPolicy"] = default_pull_policy(get("image", ""))
    if not get("terminationMessagePath"):
        container["terminationMessagePath"] = TERMINATION_PATH
    if not get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    resources = get("resources")
    if resources is None:
        container["resources"] = {}
    elif resources:
        default_resources(resources)
    for port in get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for variable in get("env") or ():
        if (source := variable.get("valueFrom")) is not None:
            _default_source(source)
    for name in PROBES:
        if (probe := get(name)) is not None:
            default_probe(probe)
    if (lifecycle := get("lifecycle")) is not None:
        _default_lifecycle(container, lifecycle)


def default_resources(resources: Object) -> None:
    """Amounts as the API stores them."""
    for key in ("limits", "requests"):
        if listed := resources.get(key):
            for name, value in listed.items():
                listed[name] = settled(value)


def request_what_is_limited(container: Object) -> None:
    """Of a pod, not of a template: what has a limit and no request requests its limit."""
    resources = container.get("resources")
    if not resources:
        return
    limits = resources.get("limits")
    if not limits:
        return
    requests = resources.setdefault("requests", {})
    for name, value in limits.items():
        if name not in requests:
            requests[name] = value


def _default_source(source: Object) -> None:
    if (reference := source.get("fieldRef")) is not None:
        default_field_reference(reference)
    elif (reference := source.get("resourceFieldRef")) is not None:
        default_resource_reference(reference)
    elif (reference := source.get("fileKeyRef")) is not None:
        reference.setdefault("optional", False)


def _default_lifecycle(container: Object, lifecycle: Object) -> None:
    for name in ("postStart", "preStop"):
        if (handler := lifecycle.get(name)) is not None:
            default_handler(handler)
    # Off by default in 1.35 (ContainerStopSignals): dropped, as Kubernetes does.
    if lifecycle.pop("stopSignal", None) is not None and not lifecycle:
        del container["lifecycle"]
