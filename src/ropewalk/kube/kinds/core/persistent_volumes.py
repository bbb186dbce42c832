"""Persistent volumes: storage that outlives pods, and who claims it.
https://kubernetes.io/docs/concepts/storage/persistent-volumes/
"""

from __future__ import annotations

import posixpath

from ropewalk.base.clock import Clock, SystemClock
from ropewalk.kube.kinds.cells import AGE, NAME, field, text
from ropewalk.kube.kinds.checks import immutable, same
from ropewalk.kube.kinds.core import access_modes
from ropewalk.kube.kinds.core.access_modes import BETA_CLASS, VOLUME_MODES
from ropewalk.kube.kinds.core.affinity import validate_node_selector
from ropewalk.kube.kinds.core.persistent_volume_sources import SOURCES, validate_sources
from ropewalk.kube.kinds.core.pod_warnings import NODE_LABELS
from ropewalk.kube.kinds.core.resource_lists import settle, validate_basic, validate_positive
from ropewalk.kube.kinds.go_spelling import difference, go_printed
from ropewalk.kube.machinery import names, times
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, annotations_of, at, metadata, name_of
from ropewalk.kube.machinery.strategy import Column, Strategy

SPEC = ROOT / "spec"
RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
_TAKE_MOUNT_OPTIONS = (
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "nfs",
    "rbd",
    "quobyte",
    "iscsi",
    "cinder",
    "cephfs",
    "azureFile",
    "vsphereVolume",
    "azureDisk",
    "photonPersistentDisk",
)
_IN_PLACE = "may not be specified in the context of inline volumes"
_DEPRECATED_ANNOTATIONS = {
    BETA_CLASS: 'deprecated since v1.8; use "storageClassName" attribute instead',
    MOUNT_OPTIONS: 'deprecated since v1.31; use "mountOptions" attribute instead',
}
_DEPRECATED_SOURCES = {
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_SPELLED = {"storageos": "storageOS"}


class PersistentVolumes(Strategy):
    has_status = True
    returns_deleted = True
    columns = (
        NAME,
        text("Capacity", lambda obj: at(obj, "spec", "capacity", "storage") or "0"),
        text("Access Modes", lambda obj: access_modes.text(at(obj, "spec", "accessModes") or ())),
        field("Reclaim Policy", "spec", "persistentVolumeReclaimPolicy"),
        Column("Status", lambda obj, now: phase_text(obj)),
        text("Claim", lambda obj: _claim(at(obj, "spec", "claimRef"))),
        Column("StorageClass", lambda obj, now: _class(obj)),
        field("VolumeAttributesClass", "spec", "volumeAttributesClassName", none="<unset>"),
        field("Reason", "status", "reason"),
        AGE,
        field("VolumeMode", "spec", "volumeMode", none="<unset>", priority=1),
    )

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        """Says when a volume's phase changed."""

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        settle(spec, "capacity")
        if not spec.get("persistentVolumeReclaimPolicy"):
            spec["persistentVolumeReclaimPolicy"] = "Retain"
        spec.setdefault("volumeMode", "Filesystem")
        default_volume_sources(spec)

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        since = metadata(obj).get("creationTimestamp") or times.rfc3339(self._clock.wall())
        obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": since}

    def prepare_status_update(self, new: Object, old: Object) -> None:
        super().prepare_status_update(new, old)
        now, before = new.setdefault("status", {}), old.get("status") or {}
        given, kept = now.get("lastPhaseTransitionTime"), before.get("lastPhaseTransitionTime")
        if now.get("phase") == before.get("phase"):
            if given is None and kept is not None:
                now["lastPhaseTransitionTime"] = kept
        elif given is None or given == kept:
            now["lastPhaseTransitionTime"] = times.rfc3339(self._clock.wall())

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        spec = obj.get("spec") or {}
        validate_volume_spec(spec, SPEC, errors, name=name_of(obj))
        if MOUNT_OPTIONS in annotations_of(obj) and not any(spec.get(name) for name in _TAKE_MOUNT_OPTIONS):
            here = ROOT / "metadata" / "annotations" / MOUNT_OPTIONS
            errors.forbidden(here, "may not specify mount options for this volume type")

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self.validate_create(new, errors)
        now, before = new.get("spec") or {}, old.get("spec") or {}
        source, kept = _source(now), _source(before)
        if "csi" in source and "csi" in kept and "controllerExpandSecretRef" not in kept["csi"]:
            source["csi"] = {key: value for key, value in source["csi"].items() if key != "controllerExpandSecretRef"}
        if not same(source, kept):
            changes = difference(kept, source, "core.v1.PersistentVolumeSource")
            told = f"spec.persistentvolumesource is immutable after creation\n{changes}"
            errors.forbidden(SPEC / "persistentvolumesource", told)
        immutable(now.get("volumeMode"), before.get("volumeMode"), ROOT / "volumeMode", errors)
        affinity = before.get("nodeAffinity")
        if affinity is not None and not same(_without_beta(now.get("nodeAffinity")), _without_beta(affinity)):
            told = "field is immutable, except for updating from beta label to GA"
            errors.invalid(
                ROOT / "nodeAffinity", go_printed(now.get("nodeAffinity"), "core.v1.VolumeNodeAffinity"), told
            )
        if before.get("volumeAttributesClassName") is not None and now.get("volumeAttributesClassName") is None:
            errors.forbidden(SPEC / "volumeAttributesClassName", "update from non-nil value to nil is forbidden")

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        if not metadata(new).get("resourceVersion"):
            errors.required(ROOT / "resourceVersion")

    def warnings(self, new: Object, old: Object | None) -> list[str]:
        spec, annotations = new.get("spec") or {}, annotations_of(new)
        found = [
            f"metadata.annotations[{name}]: {told}"
            for name, told in _DEPRECATED_ANNOTATIONS.items()
            if name in annotations
        ]
        if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
            found.append(
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended"
                " approach is to use dynamic provisioning."
            )
        for index, term in enumerate(at(spec, "nodeAffinity", "required", "nodeSelectorTerms") or ()):
            for place, expression in enumerate(term.get("matchExpressions") or ()):
                key = expression.get("key", "")
                if key in NODE_LABELS:
                    here = SPEC / "nodeAffinity" / "required" / "nodeSelectorTerms" / index / "matchExpressions" / place
                    found.append(f"{here / 'key'}: {key} is {NODE_LABELS[key]}")
        for name, told in _DEPRECATED_SOURCES.items():
            if spec.get(name) is not None:
                found.append(f"spec.{_SPELLED.get(name, name)}: {told}")
        return found


def phase_text(obj: Object) -> str:
    """Of a volume or a claim."""
    return "Terminating" if metadata(obj).get("deletionTimestamp") else at(obj, "status", "phase") or ""


def _claim(reference: Object | None) -> str:
    return "" if reference is None else f"{reference.get('namespace', '')}/{reference.get('name', '')}"


def _class(obj: Object) -> str:
    return annotations_of(obj).get(BETA_CLASS) or at(obj, "spec", "storageClassName") or ""


def _source(spec: Object) -> Object:
    return {name: spec[name] for name in SOURCES if spec.get(name) is not None}


_BETA_LABELS = {
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
}


def _without_beta(affinity: Object | None) -> Object | None:
    """With labels by their present names."""
    if affinity is None:
        return None
    terms = []
    for term in at(affinity, "required", "nodeSelectorTerms") or ():
        expressions = [
            {**found, "key": _BETA_LABELS.get(found.get("key", ""), found.get("key", ""))}
            for found in term.get("matchExpressions") or ()
        ]
        terms.append({**term, "matchExpressions": expressions})
    return {**affinity, "required": {"nodeSelectorTerms": terms}}


_SOURCE_DEFAULTS: dict[str, Object] = {
    "hostPath": {"type": ""},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "iscsi": {"iscsiInterface": "default"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def default_volume_sources(spec: Object) -> None:
    for name, defaults in _SOURCE_DEFAULTS.items():
        source = spec.get(name)
        if source is not None:
            for key, value in defaults.items():
                source.setdefault(key, value)


def validate_volume_spec(
    spec: Object, path: Path, errors: FieldErrors, *, name: str = "", inline: bool = False
) -> None:
    """`inline`: it stands in a VolumeAttachment, where only a CSI volume may be described."""
    if inline:
        if spec.get("claimRef") is not None:
            errors.forbidden(path / "claimRef", _IN_PLACE)
        if spec.get("capacity"):
            errors.forbidden(path / "capacity", _IN_PLACE)
        if spec.get("csi") is None:
            errors.required(path / "csi", "has to be specified in the context of inline volumes")
    access_modes.validate(spec.get("accessModes") or (), path / "accessModes", errors)
    if not inline:
        _validate_capacity(spec.get("capacity") or {}, path / "capacity", errors)
    _validate_policy(spec, path / "persistentVolumeReclaimPolicy", inline, errors)
    _validate_affinity(spec, path / "nodeAffinity", inline, errors)
    validate_sources(spec, name, path, errors)
    if spec.get("local") is not None and (inline or spec.get("nodeAffinity") is None):
        errors.required(path / "nodeAffinity", "Local volume requires node affinity")
    target = at(spec, "hostPath", "path")
    if target and posixpath.normpath(target) == "/" and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        told = "may not be 'recycle' for a hostPath mount of '/'"
        errors.forbidden(path / "persistentVolumeReclaimPolicy", told)
    _validate_classes(spec, path, inline, errors)


def _validate_capacity(capacity: Object, path: Path, errors: FieldErrors) -> None:
    if not capacity:
        errors.required(path)
    if list(capacity) != ["storage"]:
        errors.not_supported(path, capacity, ("storage",))
    for key, value in capacity.items():
        validate_basic(value, path.key(key), errors)
        validate_positive(value, path.key(key), errors)


def _validate_policy(spec: Object, path: Path, inline: bool, errors: FieldErrors) -> None:
    policy = spec.get("persistentVolumeReclaimPolicy")
    if inline and policy and policy != "Retain":
        errors.forbidden(path, "may only be Retain in the context of inline volumes")
    elif not inline and policy and policy not in RECLAIM_POLICIES:
        errors.not_supported(path, policy, RECLAIM_POLICIES)


def _validate_affinity(spec: Object, path: Path, inline: bool, errors: FieldErrors) -> None:
    affinity = spec.get("nodeAffinity")
    if affinity is None:
        return
    if inline:
        errors.forbidden(path, _IN_PLACE)
    elif affinity.get("required") is None:
        errors.required(path / "required", "must specify required node constraints")
    else:
        validate_node_selector(affinity["required"], path / "required", errors)


def _validate_classes(spec: Object, path: Path, inline: bool, errors: FieldErrors) -> None:
    storage_class, mode = spec.get("storageClassName"), spec.get("volumeMode")
    if storage_class:
        if inline:
            errors.forbidden(path / "storageClassName", _IN_PLACE)
        else:
            errors.messages(path / "storageClassName", storage_class, names.dns1123_subdomain(storage_class))
    if inline and mode is not None and mode != "Filesystem":
        told = "may not specify volumeMode other than Filesystem in the context of inline volumes"
        errors.forbidden(path / "volumeMode", told)
    elif not inline and mode is not None and mode not in VOLUME_MODES:
        errors.not_supported(path / "volumeMode", mode, VOLUME_MODES)
    attributes, here = spec.get("volumeAttributesClassName"), path / "volumeAttributesClassName"
    if attributes is None:
        return
    if not attributes:
        errors.required(here, "an empty string is disallowed")
    else:
        errors.messages(here, attributes, names.dns1123_subdomain(attributes))
    if spec.get("csi") is None:
        errors.required(path / "csi", "has to be specified when using volumeAttributesClassName")
