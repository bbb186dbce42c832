"""Defaults of a pod's spec, wherever one stands: in a pod, or in the template of whatever makes pods.

Some defaults are a pod's alone (`default_pod`): they would change every template that is already stored. Everything
here works in place and may be repeated. https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
"""

from __future__ import annotations

from ropewalk.kube.kinds.core.checks import settled
from ropewalk.kube.kinds.core.containers import default_container, request_what_is_limited
from ropewalk.kube.kinds.core.pod_resources import default_pod_resources
from ropewalk.kube.kinds.core.volumes import default_volume
from ropewalk.kube.machinery.objects import Object

GRACE_SECONDS = 30
_LEGACY_INIT_CONTAINERS = tuple(
    f"pod.{level}.kubernetes.io/init-container{what}" for level in ("beta", "alpha") for what in ("s", "-statuses")
)


def default_pod(pod: Object) -> None:
    spec = pod.setdefault("spec", {})
    default_pod_spec(spec)
    for name in ("containers", "initContainers"):
        for container in spec.get(name) or ():
            request_what_is_limited(container)
            if spec.get("hostNetwork"):
                for port in container.get("ports") or ():
                    if not port.get("hostPort") and "containerPort" in port:
                        port["hostPort"] = port["containerPort"]
    if spec.get("resources"):
        default_pod_resources(spec)
    spec.setdefault("enableServiceLinks", True)
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1
    _drop_legacy_annotations(pod)


def default_pod_template(template: Object) -> None:
    default_pod_spec(template.setdefault("spec", {}))
    _drop_legacy_annotations(template)


def default_pod_spec(spec: Object) -> None:
    get = spec.get
    if not get("dnsPolicy"):
        spec["dnsPolicy"] = "ClusterFirst"
    if not get("restartPolicy"):
        spec["restartPolicy"] = "Always"
    if get("securityContext") is None:
        spec["securityContext"] = {}
    if get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = GRACE_SECONDS
    if not get("schedulerName"):
        spec["schedulerName"] = "default-scheduler"
    account = get("serviceAccountName") or get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for volume in get("volumes") or ():
        default_volume(volume)
    for name in ("initContainers", "containers", "ephemeralContainers"):
        for container in get(name) or ():
            default_container(container)
    if overhead := get("overhead"):
        spec["overhead"] = {name: settled(value) for name, value in overhead.items()}
    if resources := get("resources"):
        for key in ("limits", "requests"):
            if listed := resources.get(key):
                resources[key] = {name: settled(value) for name, value in listed.items()}
    # Off by default in 1.35 (GenericWorkload): dropped, as Kubernetes does.
    spec.pop("workloadRef", None)


def _drop_legacy_annotations(holder: Object) -> None:
    annotations = (holder.get("metadata") or {}).get("annotations")
    if annotations:
        for key in _LEGACY_INIT_CONTAINERS:
            annotations.pop(key, None)
