"""Defaults of a pod's volumes. https://kubernetes.io/docs/concepts/storage/volumes/"""

from __future__ import annotations

from ropewalk.kube.kinds.core.checks import canonical, settled
from ropewalk.kube.kinds.core.images import default_pull_policy
from ropewalk.kube.machinery.objects import Object

FILE_MODE = 0o644
TOKEN_SECONDS = 3600
_PLAIN_DEFAULTS: dict[str, dict[str, str | bool | int]] = {
    "iscsi": {"iscsiInterface": "default", "lun": 0},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
    "azureDisk": {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
}
_MODES = ("secret", "configMap", "downwardAPI", "projected")


def default_volume(volume: Object) -> None:
    """A volume that names no source is an emptyDir."""
    kind = next((key for key in volume if key != "name"), None)
    if kind is None:
        volume["emptyDir"] = {}
        return
    source = volume[kind]
    if kind in _MODES:
        source.setdefault("defaultMode", FILE_MODE)
        if kind == "downwardAPI":
            _default_files(source)
        elif kind == "projected":
            _default_projections(source)
    elif kind == "hostPath":
        source.setdefault("type", "")
    elif kind == "image":
        if not source.get("pullPolicy"):
            source["pullPolicy"] = default_pull_policy(source.get("reference", ""))
    elif kind == "emptyDir":
        if "sizeLimit" in source:
            source["sizeLimit"] = _canonical(source["sizeLimit"])
    elif kind == "ephemeral":
        _default_claim(source)
    elif kind in _PLAIN_DEFAULTS:
        for name, value in _PLAIN_DEFAULTS[kind].items():
            if source.get(name) in (None, ""):
                source[name] = value


def default_field_reference(reference: Object) -> None:
    if not reference.get("apiVersion"):
        reference["apiVersion"] = "v1"


def default_resource_reference(reference: Object) -> None:
    """The API always shows a divisor; 0 stands for the one of the unit."""
    reference["divisor"] = _canonical(reference.get("divisor") or "0")


def _canonical(value: str | int | float) -> str | int | float:
    try:
        return canonical(value)
    except ValueError:
        return value


def _default_files(source: Object) -> None:
    for item in source.get("items") or ():
        if (reference := item.get("fieldRef")) is not None:
            default_field_reference(reference)
        if (reference := item.get("resourceFieldRef")) is not None:
            default_resource_reference(reference)


def _default_projections(source: Object) -> None:
    for projection in source.get("sources") or ():
        if (files := projection.get("downwardAPI")) is not None:
            _default_files(files)
        if (token := projection.get("serviceAccountToken")) is not None:
            token.setdefault("expirationSeconds", TOKEN_SECONDS)
        # Off by default in 1.35 (ClusterTrustBundleProjection, PodCertificateRequest): dropped, as Kubernetes does.
        projection.pop("clusterTrustBundle", None)
        projection.pop("podCertificate", None)


def _default_claim(source: Object) -> None:
    template = source.get("volumeClaimTemplate")
    if template is None:
        return
    spec = template.setdefault("spec", {})
    spec.setdefault("volumeMode", "Filesystem")
    resources = spec.setdefault("resources", {})
    for key in ("limits", "requests"):
        if listed := resources.get(key):
            resources[key] = {name: settled(value) for name, value in listed.items()}
