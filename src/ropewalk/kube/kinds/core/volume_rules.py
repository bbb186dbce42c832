"""Rules of a pod's volumes and of how containers mount them.
https://kubernetes.io/docs/concepts/storage/volumes/
"""

from __future__ import annotations

from collections.abc import Sequence

from ropewalk.kube.kinds.core.checks import (
    check_mode,
    check_relative,
    check_relative_unreserved,
    label_problems,
    require,
    subdomain_problems,
)
from ropewalk.kube.kinds.core.downward import check_file
from ropewalk.kube.kinds.core.volume_sources import SOURCES, check_key_to_path
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import FieldErrors, Path, spelled
from ropewalk.kube.machinery.objects import Object

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_CLAIMED = ("persistentVolumeClaim", "ephemeral")
_LEAST_TOKEN_SECONDS = 600
_MOST_TOKEN_SECONDS = 1 << 32
_LONGEST_ISCSI = 64
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RECURSIVE = ("Disabled", "Enabled", "IfPossible")
_CLAIM_METADATA = ("annotations", "labels")


def validate_volumes(volumes: Sequence[Object], pod: Object | None, path: Path, errors: FieldErrors) -> dict[str, str]:
    """Name → kind of source, of the volumes that are right. `pod`: the pod's metadata, None in a template."""
    pod_name = (pod or {}).get("name", "")
    made = {f"{pod_name}-{volume.get('name', '')}" for volume in volumes if pod_name and "ephemeral" in volume}
    found: dict[str, str] = {}
    for index, volume in enumerate(volumes):
        here = path / index
        name = volume.get("name", "")
        before = len(errors.causes)
        kind = _validate_source(volume, name, pod_name, pod is not None, here, errors)
        if not name:
            errors.required(here / "name")
        elif problems := label_problems(name):
            errors.messages(here / "name", name, problems)
        if name in found:
            errors.duplicate(here / "name", name)
        if len(errors.causes) == before:
            found[name] = kind
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
        if claim in made:
            text = "must not reference a PVC that gets created for an ephemeral volume"
            errors.invalid(here / "persistentVolumeClaim" / "claimName", claim, text)
    return found


def _validate_source(volume: Object, name: str, pod_name: str, in_pod: bool, path: Path, errors: FieldErrors) -> str:
    chosen = ""
    for kind in SOURCES if len(volume) > 2 else [key for key in volume if key != "name"]:
        source = volume.get(kind)
        if source is None or kind not in SOURCES:
            continue
        if chosen:
            told = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}.get(kind, kind)
            errors.forbidden(path / told, "may not specify more than 1 volume type")
        else:
            chosen = kind
            here = path / ("persistentDisk" if kind == "gcePersistentDisk" else kind)
            SOURCES[kind](source, here, errors)
            if kind == "projected":
                _validate_projected(source, here, errors)
            elif kind == "ephemeral":
                _validate_ephemeral(source, name, pod_name, path, errors)
            elif kind == "image":
                _validate_image(source, in_pod, here, errors)
        if kind == "iscsi" and source.get("initiatorName") is not None:
            _check_iscsi_length(name, source.get("targetPortal", ""), path, errors)
    if not chosen:
        errors.required(path, "must specify a volume type")
    return chosen


def _check_iscsi_length(name: str, portal: str, path: Path, errors: FieldErrors) -> None:
    if len(f"{name}:{portal}".encode()) > _LONGEST_ISCSI:
        errors.invalid(
            path / "name",
            name,
            "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is"
            " specified.",
        )


def _validate_image(source: Object, in_pod: bool, path: Path, errors: FieldErrors) -> None:
    if in_pod:
        require(errors, source, path, "reference")
    check_pull_policy(source.get("pullPolicy"), path / "pullPolicy", errors)


def check_pull_policy(policy: str | None, path: Path, errors: FieldErrors) -> None:
    if not policy:
        errors.required(path)
    elif policy not in PULL_POLICIES:
        errors.not_supported(path, policy, PULL_POLICIES)


def _validate_ephemeral(source: Object, name: str, pod_name: str, path: Path, errors: FieldErrors) -> None:
    here = path / "ephemeral" / "volumeClaimTemplate"
    template = source.get("volumeClaimTemplate")
    if template is None:
        errors.required(here)
    else:
        metadata = template.get("metadata") or {}
        names.annotations(metadata.get("annotations") or {}, here / "metadata" / "annotations", errors)
        names.labels(metadata.get("labels") or {}, here / "metadata" / "labels", errors)
        for key, value in metadata.items():
            if key not in _CLAIM_METADATA and value not in (None, "", [], {}):
                errors.forbidden(here / "metadata" / key, "cannot be set")
        _validate_claim(template.get("spec") or {}, here / "spec", errors)
    if pod_name and name:
        claim = f"{pod_name}-{name}"
        for problem in subdomain_problems(claim):
            errors.invalid(path / "name", name, f"PVC name {spelled(claim)}: {problem}")


def _validate_claim(spec: Object, path: Path, errors: FieldErrors) -> None:
    from ropewalk.kube.kinds.core.persistent_volume_claims import validate_claim_spec

    validate_claim_spec(spec, path, errors)


# --- projected volumes


def _validate_projected(source: Object, path: Path, errors: FieldErrors) -> None:
    check_mode(errors, source, path, "defaultMode")
    seen: set[str] = set()
    for index, projection in enumerate(source.get("sources") or ()):
        here = path / "sources" / index
        for kind in ("secret", "configMap"):
            if (keys := projection.get(kind)) is not None:
                _validate_keys(keys, here / kind, path, seen, errors)
        if (files := projection.get("downwardAPI")) is not None:
            for item in files.get("items") or ():
                check_file(item, here / "downwardAPI", errors)
                _claim_path(item.get("path", ""), item.get("path", ""), path, seen, errors)
        if (token := projection.get("serviceAccountToken")) is not None:
            _validate_token(token, here / "serviceAccountToken", path, errors)
        if len(projection) > 1:
            errors.forbidden(here, "may not specify more than 1 volume type per source")


def _validate_keys(keys: Object, here: Path, path: Path, seen: set[str], errors: FieldErrors) -> None:
    require(errors, keys, here, "name")
    for index, item in enumerate(keys.get("items") or ()):
        check_key_to_path(item, here / "items" / index, errors)
        _claim_path(item.get("path", ""), keys.get("name", ""), path, seen, errors)


def _claim_path(target: str, told: str, path: Path, seen: set[str], errors: FieldErrors) -> None:
    if target and target in seen:
        errors.invalid(path, told, "conflicting duplicate paths")
    seen.add(target)


def _validate_token(token: Object, here: Path, path: Path, errors: FieldErrors) -> None:
    seconds = token.get("expirationSeconds", 0)
    if seconds < _LEAST_TOKEN_SECONDS:
        text = "may not specify a duration less than 10 minutes"
        errors.invalid(here / "expirationSeconds", seconds, text)
    if seconds > _MOST_TOKEN_SECONDS:
        text = "may not specify a duration larger than 2^32 seconds"
        errors.invalid(here / "expirationSeconds", seconds, text)
    target = token.get("path")
    if not target:
        errors.required(path / "path")
    else:
        check_relative_unreserved(errors, path / "path", target)


# --- mounts and devices


def validate_mounts(container: Object, volumes: dict[str, str], path: Path, errors: FieldErrors) -> None:
    """`volumeMounts` and `volumeDevices` of a container at `path`."""
    mounts = container.get("volumeMounts") or ()
    devices = container.get("volumeDevices") or ()
    mounted = {mount.get("name", ""): mount.get("mountPath", "") for mount in mounts} if devices else {}
    attached = {device.get("name", ""): device.get("devicePath", "") for device in devices}
    points: set[str] = set()
    for index, mount in enumerate(mounts):
        _validate_mount(mount, container, volumes, attached, points, path / "volumeMounts", index, errors)
        points.add(mount.get("mountPath", ""))
    if devices:
        _validate_devices(devices, volumes, mounted, path / "volumeDevices", errors)


def _validate_mount(
    mount: Object,
    container: Object,
    volumes: dict[str, str],
    attached: dict[str, str],
    points: set[str],
    path: Path,
    index: int,
    errors: FieldErrors,
) -> None:
    name, point = mount.get("name", ""), mount.get("mountPath", "")
    if not name:
        errors.required(path / index / "name")
    if name not in volumes:
        errors.not_found(path / index / "name", name)
    if not point:
        errors.required(path / index / "mountPath")
    if point in points:
        errors.invalid(path / index / "mountPath", point, "must be unique")
    if attached:
        if name in attached:
            errors.invalid(path / index / "name", name, "must not already exist in volumeDevices")
        if point in attached.values():
            text = "must not already exist as a path in volumeDevices"
            errors.invalid(path / index / "mountPath", point, text)
    within, expression = mount.get("subPath"), mount.get("subPathExpr")
    if within:
        check_relative(errors, path / "subPath", within)
    if expression:
        if within:
            text = "subPathExpr and subPath are mutually exclusive"
            errors.invalid(path / index / "subPathExpr", expression, text)
        check_relative(errors, path / "subPathExpr", expression)
    propagation = mount.get("mountPropagation")
    if propagation is not None:
        _check_propagation(propagation, container, path / "mountPropagation", errors)
    if (recursive := mount.get("recursiveReadOnly")) is not None:
        _check_recursive(recursive, mount, propagation, path / "recursiveReadOnly", errors)


def _check_propagation(propagation: str, container: Object, path: Path, errors: FieldErrors) -> None:
    if propagation not in _PROPAGATIONS:
        errors.not_supported(path, propagation, _PROPAGATIONS)
    if propagation == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        errors.forbidden(path, "Bidirectional mount propagation is available only to privileged containers")


def _check_recursive(recursive: str, mount: Object, propagation: str | None, path: Path, errors: FieldErrors) -> None:
    if recursive not in _RECURSIVE:
        errors.not_supported(path, recursive, _RECURSIVE)
    elif recursive != "Disabled":
        if not mount.get("readOnly"):
            errors.forbidden(path, "may only be specified when readOnly is true")
        if propagation not in (None, "None"):
            errors.forbidden(path, "may only be specified when mountPropagation is None or not specified")


def _validate_devices(
    devices: Sequence[Object], volumes: dict[str, str], mounted: dict[str, str], path: Path, errors: FieldErrors
) -> None:
    names_seen: set[str] = set()
    paths_seen: set[str] = set()
    for index, device in enumerate(devices):
        name, target = device.get("name", ""), device.get("devicePath", "")
        at_name, at_target = path / index / "name", path / index / "devicePath"
        if not name:
            errors.required(at_name)
        if name in names_seen:
            errors.invalid(at_name, name, "must be unique")
        if name in volumes and volumes[name] not in _CLAIMED:
            text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.invalid(at_name, name, text)
        if name not in volumes:
            errors.not_found(at_name, name)
        if not target:
            errors.required(at_target)
        if target in paths_seen:
            errors.invalid(at_target, target, "must be unique")
        if ".." in target.split("/"):
            errors.invalid(at_target, target, "can not contain backsteps ('..')")
        else:
            paths_seen.add(target)
        if name in mounted:
            errors.invalid(at_name, name, "must not already exist in volumeMounts")
        if target in mounted.values():
            errors.invalid(at_target, target, "must not already exist as a path in volumeMounts")
        if name:
            names_seen.add(name)
