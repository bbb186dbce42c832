"""What a persistent volume is made of: rules of each kind of source, in the order in which Kubernetes looks for them.

Most are a pod's own volume sources; those whose references name a namespace have rules of their own here.
https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-v1/
"""

from __future__ import annotations

from ropewalk.kube.kinds.core.checks import check_no_backsteps, require
from ropewalk.kube.kinds.core.volume_sources import SOURCES as OF_PODS
from ropewalk.kube.kinds.core.volume_sources import Check, check_driver_name
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import FieldErrors, Path
from ropewalk.kube.machinery.objects import Object

_SECRETS = ("controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef")
_LONGEST_ISCSI = 64


def _needs(*steps: str) -> Check:
    def check(source: Object, path: Path, errors: FieldErrors) -> None:
        require(errors, source, path, *steps)

    return check


def _check_secret(source: Object, path: Path, errors: FieldErrors) -> None:
    """A reference that, where it is there, names both."""
    if (reference := source.get("secretRef")) is not None:
        require(errors, reference, path / "secretRef", "name", "namespace")


def _check_glusterfs(source: Object, path: Path, errors: FieldErrors) -> None:
    require(errors, source, path, "endpoints", "path")
    namespace = source.get("endpointsNamespace")
    if namespace == "":
        told = "if the endpointnamespace is set, it must be a valid namespace name"
        errors.invalid(path / "endpointsNamespace", namespace, told)
    elif namespace is not None:
        errors.messages(path / "endpointsNamespace", namespace, names.dns1123_label(namespace))


def _check_cinder(source: Object, path: Path, errors: FieldErrors) -> None:
    require(errors, source, path, "volumeID")
    _check_secret(source, path, errors)


def _check_flex(source: Object, path: Path, errors: FieldErrors) -> None:
    require(errors, source, path, "driver")
    for key in source.get("options") or {}:
        normal = f".{key.split('/', 1)[0].lower()}"
        if normal.endswith((".kubernetes.io", ".k8s.io")):
            told = "kubernetes.io and k8s.io namespaces are reserved"
            errors.invalid((path / "options").key(key), key, told)


def _check_azure_file(source: Object, path: Path, errors: FieldErrors) -> None:
    require(errors, source, path, "secretName", "shareName")
    if source.get("secretNamespace") == "":
        errors.required(path / "secretNamespace")


def _check_local(source: Object, path: Path, errors: FieldErrors) -> None:
    target = source.get("path")
    if not target:
        errors.required(path / "path")
    else:
        check_no_backsteps(errors, path / "path", target)


def _check_storage_os(source: Object, path: Path, errors: FieldErrors) -> None:
    require(errors, source, path, "volumeName")
    for step in ("volumeName", "volumeNamespace"):
        if name := source.get(step):
            errors.messages(path / step, name, names.dns1123_label(name))
    _check_secret(source, path, errors)


def _check_csi(source: Object, path: Path, errors: FieldErrors) -> None:
    check_driver_name(errors, path / "driver", source.get("driver", ""))
    require(errors, source, path, "volumeHandle")
    for step in _SECRETS:
        if (reference := source.get(step)) is not None:
            here = path / step
            require(errors, reference, here, "name", "namespace")
            if name := reference.get("name"):
                errors.messages(here / "name", name, names.dns1123_subdomain(name))
            if namespace := reference.get("namespace"):
                errors.messages(here / "namespace", namespace, names.dns1123_label(namespace))


SOURCES: dict[str, Check] = {
    "hostPath": OF_PODS["hostPath"],
    "gcePersistentDisk": OF_PODS["gcePersistentDisk"],
    "awsElasticBlockStore": OF_PODS["awsElasticBlockStore"],
    "glusterfs": _check_glusterfs,
    "flocker": OF_PODS["flocker"],
    "nfs": OF_PODS["nfs"],
    "rbd": _needs("monitors", "image"),
    "quobyte": OF_PODS["quobyte"],
    "cephfs": _needs("monitors"),
    "iscsi": OF_PODS["iscsi"],
    "cinder": _check_cinder,
    "fc": OF_PODS["fc"],
    "flexVolume": _check_flex,
    "azureFile": _check_azure_file,
    "vsphereVolume": OF_PODS["vsphereVolume"],
    "photonPersistentDisk": OF_PODS["photonPersistentDisk"],
    "portworxVolume": OF_PODS["portworxVolume"],
    "azureDisk": OF_PODS["azureDisk"],
    "scaleIO": _needs("gateway", "system", "volumeName"),
    "local": _check_local,
    "storageos": _check_storage_os,
    "csi": _check_csi,
}
_TOLD_OTHERWISE = {"gcePersistentDisk": "persistentDisk"}
"""Sources whose own mistakes Kubernetes reports under another name."""


def validate_sources(spec: Object, volume_name: str, path: Path, errors: FieldErrors) -> None:
    """One source there must be, and no second one."""
    found = [name for name in SOURCES if spec.get(name) is not None]
    if not found:
        errors.required(path, "must specify a volume type")
    for place, name in enumerate(found):
        if place and name != "flexVolume":
            errors.forbidden(path / name, "may not specify more than 1 volume type")
        else:
            SOURCES[name](spec[name], path / _TOLD_OTHERWISE.get(name, name), errors)
    iscsi = spec.get("iscsi")
    if iscsi is not None and iscsi.get("initiatorName") is not None:
        portal = iscsi.get("targetPortal", "")
        if len(f"{volume_name}:{portal}".encode()) > _LONGEST_ISCSI:
            errors.invalid(
                path / "iscsi" / "targetportal",
                portal,
                "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if"
                " iscsi.initiatorName is specified.",
            )
