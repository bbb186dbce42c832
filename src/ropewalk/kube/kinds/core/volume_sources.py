"""Rules of each kind of volume source that stands in a pod's spec: one function a kind, `SOURCES` in the order in which
Kubernetes looks for them (of two sources, the first is checked, the second refused).
https://kubernetes.io/docs/concepts/storage/volumes/
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ropewalk.kube.kinds.core.checks import (
    amount,
    between,
    check_format,
    check_mode,
    check_no_backsteps,
    check_relative,
    check_relative_unreserved,
    label_problems,
    require,
    subdomain_problems,
)
from ropewalk.kube.kinds.core.downward import check_file
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

Check = Callable[[Object, Path, FieldErrors], None]

_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_ISCSI_FORMS = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([a-zA-Z0-9\-.]+)(:[^,;*&$|\s]+)\Z"),
    "eui": re.compile(r"\Aeui.[a-zA-Z0-9]{16}\Z"),
    "naa": re.compile(r"\Anaa.[a-zA-Z0-9]{32}\Z"),
}
_PAIRS = "must be a host:port pair or multiple pairs separated by commas"
_MANAGED_DISK = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
_BLOB_DISK = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
_LARGEST_DRIVER_NAME = 63


def check_key_to_path(item: Object, path: Path, errors: FieldErrors) -> None:
    require(errors, item, path, "key", "path")
    check_relative_unreserved(errors, path / "path", item.get("path", ""))
    check_mode(errors, item, path, "mode")


def _needs(*steps: str) -> Check:
    def check(source: Object, path: Path, errors: FieldErrors) -> None:
        require(errors, source, path, *steps)

    return check


def _check_empty_dir(source: Object, path: Path, errors: FieldErrors) -> None:
    limit = source.get("sizeLimit")
    if limit is None:
        return
    try:
        bad = amount(limit) < 0
    except ValueError:
        bad = True
    if bad:
        errors.forbidden(path / "sizeLimit", "SizeLimit field must be a valid resource quantity")


def _check_host_path(source: Object, path: Path, errors: FieldErrors) -> None:
    target = source.get("path")
    if not target:
        errors.required(path / "path")
        return
    check_no_backsteps(errors, path / "path", target)
    kind = source.get("type", "")
    if kind not in _HOST_PATH_TYPES:
        errors.not_supported(path / "type", kind, _HOST_PATH_TYPES)


def _check_git_repo(source: Object, path: Path, errors: FieldErrors) -> None:
    require(errors, source, path, "repository")
    check_relative(errors, path / "directory", source.get("directory", ""))


def _disk(name: str) -> Check:
    def check(source: Object, path: Path, errors: FieldErrors) -> None:
        require(errors, source, path, name)
        partition = source.get("partition", 0)
        if not 0 <= partition <= 255:
            errors.invalid(path / "partition", partition, between(1, 255))

    return check


def _items(name: str) -> Check:
    """A Secret or a ConfigMap: its name in the field `name`, keys mapped to paths."""

    def check(source: Object, path: Path, errors: FieldErrors) -> None:
        require(errors, source, path, name)
        check_mode(errors, source, path, "defaultMode")
        for index, item in enumerate(source.get("items") or ()):
            check_key_to_path(item, path / "items" / index, errors)

    return check


def _check_nfs(source: Object, path: Path, errors: FieldErrors) -> None:
    require(errors, source, path, "server", "path")
    if not source.get("path", "").startswith("/"):
        errors.invalid(path / "path", source.get("path", ""), "must be an absolute path")


def _check_iscsi(source: Object, path: Path, errors: FieldErrors) -> None:
    require(errors, source, path, "targetPortal", "iqn")
    if name := source.get("iqn"):
        _check_iscsi_name(errors, path / "iqn", name)
    if not 0 <= source.get("lun", 0) <= 255:
        errors.invalid(path / "lun", source["lun"], between(0, 255))
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and source.get("secretRef") is None:
        errors.required(path / "secretRef")
    if (name := source.get("initiatorName")) is not None:
        _check_iscsi_name(errors, path / "initiatorname", name)


def _check_iscsi_name(errors: FieldErrors, path: Path, name: str) -> None:
    form = _ISCSI_FORMS.get(name[:3])
    if form is None:
        errors.invalid(path, name, "must be valid format starting with iqn, eui, or naa")
    elif not form.search(name):
        errors.invalid(path, name, "must be valid format")


def _check_flocker(source: Object, path: Path, errors: FieldErrors) -> None:
    name, uuid = source.get("datasetName"), source.get("datasetUUID")
    if not name and not uuid:
        errors.required(path, "one of datasetName and datasetUUID is required")
    if name and uuid:
        errors.invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously")
    if "/" in (name or ""):
        errors.invalid(path / "datasetName", name, "must not contain '/'")


def _check_cinder(source: Object, path: Path, errors: FieldErrors) -> None:
    require(errors, source, path, "volumeID")
    _check_secret_name(source, path, errors)


def _check_secret_name(source: Object, path: Path, errors: FieldErrors) -> None:
    if (reference := source.get("secretRef")) is not None:
        require(errors, reference, path / "secretRef", "name")


def _check_quobyte(source: Object, path: Path, errors: FieldErrors) -> None:
    registry = source.get("registry")
    if not registry:
        errors.required(path / "registry", _PAIRS)
    elif len(source.get("tenant", "").encode()) > 64:
        errors.required(path / "tenant", "must be a UUID and may not exceed a length of 64 characters")
    else:
        for pair in registry.split(","):
            if not re.fullmatch(r"(\[[^\[\]]*\]|[^:\[\]]*):[^:\[\]]*", pair):
                errors.invalid(path / "registry", registry, _PAIRS)
    require(errors, source, path, "volume")


def _check_downward(source: Object, path: Path, errors: FieldErrors) -> None:
    check_mode(errors, source, path, "defaultMode")
    for item in source.get("items") or ():
        check_file(item, path, errors)


def _check_fibre_channel(source: Object, path: Path, errors: FieldErrors) -> None:
    targets, ids = source.get("targetWWNs"), source.get("wwids")
    if not targets and not ids:
        errors.required(path / "targetWWNs", "must specify either targetWWNs or wwids, but not both")
    if targets and ids:
        text = "targetWWNs and wwids can not be specified simultaneously"
        errors.invalid(path / "targetWWNs", targets, text)
    if targets:
        unit = source.get("lun")
        if unit is None:
            errors.required(path / "lun", "lun is required if targetWWNs is specified")
        elif not 0 <= unit <= 255:
            errors.invalid(path / "lun", unit, between(0, 255))


def _check_flex(source: Object, path: Path, errors: FieldErrors) -> None:
    require(errors, source, path, "driver")
    for key in source.get("options") or ():
        owner = "." + key.split("/", 1)[0].lower()
        if owner.endswith((".kubernetes.io", ".k8s.io")):
            text = "kubernetes.io and k8s.io namespaces are reserved"
            errors.invalid((path / "options").key(key), key, text)


def _check_azure_disk(source: Object, path: Path, errors: FieldErrors) -> None:
    require(errors, source, path, "diskName", "diskURI")
    for step, words in (
        ("cachingMode", ("None", "ReadOnly", "ReadWrite")),
        ("kind", ("Dedicated", "Managed", "Shared")),
    ):
        if source.get(step) is not None and source[step] not in words:
            errors.not_supported(path / step, source[step], words)
    kind, uri = source.get("kind"), source.get("diskURI", "")
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        errors.not_supported(path / "diskURI", uri, (_MANAGED_DISK,))
    if kind is not None and kind != "Managed" and not uri.startswith("https://"):
        errors.not_supported(path / "diskURI", uri, (_BLOB_DISK,))


def _check_storage_os(source: Object, path: Path, errors: FieldErrors) -> None:
    require(errors, source, path, "volumeName")
    for step in ("volumeName", "volumeNamespace"):
        if name := source.get(step):
            check_format(errors, path, step, name, label_problems)
    _check_secret_name(source, path, errors)


def check_driver_name(errors: FieldErrors, path: Path, name: str) -> None:
    """A CSI driver's."""
    if not name:
        errors.required(path)
        return
    if len(name.encode()) > _LARGEST_DRIVER_NAME:
        errors.too_long(path, _LARGEST_DRIVER_NAME)
    errors.messages(path, name, subdomain_problems(name.lower()))


def _check_csi(source: Object, path: Path, errors: FieldErrors) -> None:
    check_driver_name(errors, path / "driver", source.get("driver", ""))
    if (reference := source.get("nodePublishSecretRef")) is None:
        return
    name = reference.get("name")
    if not name:
        errors.required(path / "nodePublishSecretRef" / "name")
    else:
        check_format(errors, path, "name", name, subdomain_problems)


SOURCES: dict[str, Check] = {
    "emptyDir": _check_empty_dir,
    "hostPath": _check_host_path,
    "gitRepo": _check_git_repo,
    "gcePersistentDisk": _disk("pdName"),
    "awsElasticBlockStore": _disk("volumeID"),
    "secret": _items("secretName"),
    "nfs": _check_nfs,
    "iscsi": _check_iscsi,
    "glusterfs": _needs("endpoints", "path"),
    "flocker": _check_flocker,
    "persistentVolumeClaim": _needs("claimName"),
    "rbd": _needs("monitors", "image"),
    "cinder": _check_cinder,
    "cephfs": _needs("monitors"),
    "quobyte": _check_quobyte,
    "downwardAPI": _check_downward,
    "fc": _check_fibre_channel,
    "flexVolume": _check_flex,
    "configMap": _items("name"),
    "azureFile": _needs("secretName", "shareName"),
    "vsphereVolume": _needs("volumePath"),
    "photonPersistentDisk": _needs("pdID"),
    "portworxVolume": _needs("volumeID"),
    "azureDisk": _check_azure_disk,
    "storageos": _check_storage_os,
    "projected": lambda source, path, errors: None,
    "scaleIO": _needs("gateway", "system", "volumeName"),
    "csi": _check_csi,
    "ephemeral": lambda source, path, errors: None,
    "image": lambda source, path, errors: None,
}
"""The last three without rules of their own here: `volume_rules` checks them, as they need to know more."""
