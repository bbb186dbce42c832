"""Volume attachments: the wish that a volume be attached to a node, and what came of it.
https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/volume-attachment-v1/
"""

from __future__ import annotations

from ropewalk.kube.kinds.cells import AGE, NAME, field
from ropewalk.kube.kinds.checks import same
from ropewalk.kube.kinds.core.persistent_volumes import validate_volume_spec
from ropewalk.kube.kinds.core.volume_sources import check_driver_name
from ropewalk.kube.kinds.go_spelling import go_printed
from ropewalk.kube.kinds.storage.parameters import size_of
from ropewalk.kube.machinery import names
from ropewalk.kube.machinery.fields import ROOT, FieldErrors, Path
from ropewalk.kube.machinery.objects import Object, at
from ropewalk.kube.machinery.strategy import ALL_METADATA, STATUS_ALONE, Column, Strategy

SPEC = ROOT / "spec"
SOURCE = SPEC / "source"
STATUS = ROOT / "status"
LARGEST_METADATA = 256 * 1024
LONGEST_ERROR = 1024
_ONE_SOURCE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


class VolumeAttachments(Strategy):
    has_status = True
    status_keeps = ALL_METADATA
    reset_fields = STATUS_ALONE
    allow_unconditional_update = False
    returns_deleted = True
    columns = (
        NAME,
        Column("Attacher", lambda obj, now: at(obj, "spec", "attacher") or "", format="name"),
        field("PV", "spec", "source", "persistentVolumeName"),
        field("Node", "spec", "nodeName"),
        Column("Attached", lambda obj, now: bool(at(obj, "status", "attached")), type="boolean"),
        AGE,
    )

    def prepare_create(self, obj: Object) -> None:
        super().prepare_create(obj)
        obj["status"] = {"attached": False}

    def validate_create(self, obj: Object, errors: FieldErrors) -> None:
        _validate_spec(obj.get("spec") or {}, errors)
        check_driver_name(errors, SPEC / "attacher", at(obj, "spec", "attacher") or "")
        if (volume := at(obj, "spec", "source", "persistentVolumeName")) is not None:
            errors.messages(SOURCE / "persistentVolumeName", volume, names.dns1123_subdomain(volume))

    def validate_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        _validate_spec(new.get("spec") or {}, errors)
        _validate_status(new.get("status") or {}, errors)
        if not same(new.get("spec"), old.get("spec")):
            errors.immutable(SPEC, go_printed(new.get("spec") or {}, "storage.v1.VolumeAttachmentSpec"))

    def validate_status_update(self, new: Object, old: Object, errors: FieldErrors) -> None:
        self.validate_update(new, old, errors)


def _validate_spec(spec: Object, errors: FieldErrors) -> None:
    if not spec.get("attacher"):
        errors.required(SPEC / "attacher")
    source = spec.get("source") or {}
    volume, inline = source.get("persistentVolumeName"), source.get("inlineVolumeSpec")
    if inline is None and volume is None:
        errors.required(SOURCE, _ONE_SOURCE)
    elif inline is not None and volume is not None:
        errors.forbidden(SOURCE, _ONE_SOURCE)
    elif inline is not None:
        validate_volume_spec(inline, SOURCE / "inlineVolumeSpec", errors, inline=True)
    elif not volume:
        errors.required(SOURCE / "persistentVolumeName", "must specify non empty persistentVolumeName")
    node = spec.get("nodeName", "")
    errors.messages(SPEC / "nodeName", node, names.dns1123_subdomain(node))


def _validate_status(status: Object, errors: FieldErrors) -> None:
    if size_of(status.get("attachmentMetadata") or {}) > LARGEST_METADATA:
        errors.too_long(STATUS / "attachmentMetadata", LARGEST_METADATA)
    for name in ("attachError", "detachError"):
        if (problem := status.get(name)) is not None:
            _validate_error(problem, STATUS / name, errors)


def _validate_error(problem: Object, path: Path, errors: FieldErrors) -> None:
    if len(problem.get("message", "").encode()) > LONGEST_ERROR:
        errors.too_long(path / "message", LARGEST_METADATA)
    code = problem.get("errorCode")
    if code is not None and code < 0:
        errors.invalid(path / "errorCode", code, f"must be between 0 and {2**31 - 1}, inclusive")
