"""Which other objects a pod or a volume mentions: what its node must be able to read."""

from __future__ import annotations

from collections.abc import Iterator

from ropewalk.kube.machinery.objects import Object, at, metadata, name_of

MIRROR = "kubernetes.io/config.mirror"
"""The annotation of a pod that a node made from a file of its own."""

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_WITH_SECRET = ("cephfs", "cinder", "flexVolume", "rbd", "scaleIO", "iscsi", "storageos")
"""Volume sources with a secretRef."""
_OF_KUBELET = ("nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef")
"""The secrets of a CSI volume that are the node's business; others are the controller's."""


def secrets(spec: Object) -> Iterator[str]:
    """Names of secrets; may come twice."""
    for reference in spec.get("imagePullSecrets") or ():
        yield from _named(reference.get("name"))
    yield from _of_containers(spec, "secretRef", "secretKeyRef")
    for volume in spec.get("volumes") or ():
        for kind in ("azureFile", "secret"):
            yield from _named(at(volume, kind, "secretName"))
        for kind in _WITH_SECRET:
            yield from _named(at(volume, kind, "secretRef", "name"))
        yield from _named(at(volume, "csi", "nodePublishSecretRef", "name"))
        yield from _projected(volume, "secret")


def config_maps(spec: Object) -> Iterator[str]:
    yield from _of_containers(spec, "configMapRef", "configMapKeyRef")
    for volume in spec.get("volumes") or ():
        yield from _named(at(volume, "configMap", "name"))
        yield from _projected(volume, "configMap")


def claims(pod: Object) -> Iterator[str]:
    """Of persistent volumes; those of ephemeral volumes are called after pod and volume."""
    for volume in at(pod, "spec", "volumes") or ():
        if "ephemeral" in volume:
            yield ephemeral_claim(pod, volume)
        else:
            yield from _named(at(volume, "persistentVolumeClaim", "claimName"))


def ephemeral_claim(pod: Object, volume: Object) -> str:
    return f"{name_of(pod)}-{volume.get('name', '')}"


def resource_claims(pod: Object) -> Iterator[str]:
    """Those that exist: a claim made from a template is named in the status."""
    made = {status.get("name"): status for status in at(pod, "status", "resourceClaimStatuses") or ()}
    for claim in at(pod, "spec", "resourceClaims") or ():
        yield from _named(claim.get("resourceClaimName") or at(made.get(claim.get("name")), "resourceClaimName"))
    yield from _named(at(pod, "status", "extendedResourceClaimStatus", "resourceClaimName"))


def references(pod: Object) -> Iterator[tuple[str, str]]:
    """(plural resource, name) of all that the pod's node may read, in the pod's namespace. A mirror pod gives nothing:
    no node may help itself to rights by making one.
    """
    if MIRROR in (metadata(pod).get("annotations") or {}):
        return
    spec = pod.get("spec") or {}
    for account in _named(spec.get("serviceAccountName")):
        yield "serviceaccounts", account
    for name in secrets(spec):
        yield "secrets", name
    for name in config_maps(spec):
        yield "configmaps", name
    for name in claims(pod):
        yield "persistentvolumeclaims", name
    for name in resource_claims(pod):
        yield "resourceclaims", name


def volume_secrets(volume: Object) -> Iterator[tuple[str, str]]:
    """(namespace, name) of the secrets of a PersistentVolume that its node needs."""
    spec = volume.get("spec") or {}
    home = at(spec, "claimRef", "namespace") or ""
    for name in _named(at(spec, "azureFile", "secretName")):
        yield at(spec, "azureFile", "secretNamespace") or home, name
    for kind in _WITH_SECRET:
        reference = at(spec, kind, "secretRef") or {}
        for name in _named(reference.get("name")):
            yield reference.get("namespace") or ("" if kind in ("cinder", "storageos") else home), name
    for kind in _OF_KUBELET:
        reference = at(spec, "csi", kind) or {}
        for name in _named(reference.get("name")):
            yield reference.get("namespace", ""), name


def api_object(pod: Object) -> str:
    """The first kind of object that a pod needs the API for, as NodeRestriction names it; "" where it needs none."""
    spec = pod.get("spec") or {}
    if spec.get("serviceAccountName"):
        return "serviceaccounts"
    if next(secrets(spec), None):
        return "secrets"
    if next(config_maps(spec), None):
        return "configmaps"
    if spec.get("resourceClaims"):
        return "resourceclaims"
    for volume in spec.get("volumes") or ():
        found = next((told for kind, told in _API_VOLUMES.items() if kind in volume), "")
        for source in at(volume, "projected", "sources") or ():
            found = found or next((told for kind, told in _API_PROJECTIONS.items() if kind in source), "")
        if found:
            return found
    return ""


_API_VOLUMES = {
    "configMap": "configmaps (via configmap volumes)",
    "secret": "secrets (via secret volumes)",
    "csi": "csidrivers (via CSI volumes)",
    "glusterfs": "endpoints (via glusterFS volumes)",
    "persistentVolumeClaim": "persistentvolumeclaims",
    "ephemeral": "persistentvolumeclaims (via ephemeral volumes)",
    "azureFile": "secrets (via azureFile volumes)",
}
_API_PROJECTIONS = {
    "configMap": "configmaps (via projected volumes)",
    "secret": "secrets (via projected volumes)",
    "serviceAccountToken": "serviceaccounts (via projected volumes)",
    "clusterTrustBundle": "clustertrustbundles",
    "podCertificate": "podcertificates",
}


def _named(name: str | None) -> Iterator[str]:
    if name:
        yield name


def _of_containers(spec: Object, whole: str, single: str) -> Iterator[str]:
    for kind in _CONTAINERS:
        for container in spec.get(kind) or ():
            for source in container.get("envFrom") or ():
                yield from _named(at(source, whole, "name"))
            for variable in container.get("env") or ():
                yield from _named(at(variable, "valueFrom", single, "name"))


def _projected(volume: Object, kind: str) -> Iterator[str]:
    for source in at(volume, "projected", "sources") or ():
        yield from _named(at(source, kind, "name"))
